"""Rank and arrival: the test of one draw, over 10,000 entrants; and the orders that it must not let pass.

Seed row 18: rank against arrival within the window is uniform, p > 0.01 over 10,000 entrants. Fixed seeds, so the
same p-values in every run.
"""

import json
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from redis.asyncio import Redis

from gateway.crowd.uniform import LEAST, arrival_p, ks_p
from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, house
from waitroom import merkle
from waitroom.draw import LEAF_BYTES, Shuffle, seed
from waitroom.lanes import Lane

ENTRANTS = 10_000
BATCH = 500
SALE = {
    "name": "sale",
    "prequeue_start_time": "2027-01-15T07:50:00Z",
    "event_start_time": "2027-01-15T08:20:00Z",
    "event_end_time": "2027-01-15T09:20:00Z",
    "shuffle_at_event_start": True,
}
START_MS = 1_800_001_200_000


@pytest.mark.parametrize("label", ["first", "second", "third", "fourth", "fifth"])
def test_the_ranks_of_ten_thousand_say_nothing_of_their_arrival(label: str) -> None:
    """The draw itself, by fixed seeds: chance explains each with p > 0.01."""
    ranks = Shuffle(sha256(label.encode()).digest(), ENTRANTS).ranks()

    likely = arrival_p(ranks)

    assert likely is not None
    assert likely > 0.01


def _weighted(numbers: list[int]) -> list[int]:
    """A draw that favours the early a little: 1.5 lots for the first, 1 for the last."""
    random, n = Random(5), len(numbers)
    order = sorted(
        numbers, key=lambda number: random.random() ** (1 / (1.5 - 0.5 * number / n)), reverse=True
    )
    return _ranks(order)


def _by_hundreds(numbers: list[int]) -> list[int]:
    """Shuffled within each hundred arrivals only."""
    random = Random(6)
    order: list[int] = []
    for start in range(0, len(numbers), 100):
        order += random.sample(numbers[start : start + 100], 100)
    return _ranks(order)


def _few_left_out(numbers: list[int]) -> list[int]:
    """Every tenth keeps the place of the arrival."""
    random = Random(7)
    moved = [number for number in numbers if number % 10]
    drawn = iter(random.sample(moved, len(moved)))
    return [number if number % 10 == 0 else next(drawn) for number in numbers]


def _ranks(order: list[int]) -> list[int]:
    ranks = [0] * len(order)
    for rank, number in enumerate(order):
        ranks[number] = rank
    return ranks


@pytest.mark.parametrize(
    "arrange", [list, lambda numbers: numbers[::-1], _weighted, _by_hundreds, _few_left_out],
    ids=["as they came", "backwards", "a little weighted", "by hundreds", "a tenth left out"],
)  # fmt: skip
def test_an_order_that_follows_the_arrival_is_noticed(arrange: Callable[[list[int]], list[int]]) -> None:
    """Mutants: each of these permutations is uniform as a whole, and none is a draw."""
    ranks = arrange(list(range(ENTRANTS)))

    likely = arrival_p(ranks)

    assert sorted(ranks) == list(range(ENTRANTS))
    assert likely is not None
    assert likely < 0.01


def test_honest_draws_are_rarely_suspected() -> None:
    """Over 400 fixed draws of 500, not more than chance allows fall below 0.01."""
    found = [arrival_p(Shuffle(sha256(b"%d" % at).digest(), 500).ranks()) for at in range(400)]

    assert sum(likely < 0.01 for likely in found if likely is not None) <= 10


def test_the_p_values_are_those_of_the_tables() -> None:
    """The critical values of Kolmogorov's distribution: 1.358 for 5 %, 1.628 for 1 %."""
    n = 40_000
    for critical, p in ((1.358, 0.05), (1.628, 0.01)):
        gap = critical / n**0.5
        values = [min((place + 0.5) / n + gap, 1.0) for place in range(n)]
        assert ks_p(values) == pytest.approx(p, rel=0.05)
    assert ks_p([(place + 0.5) / 100 for place in range(100)]) == 1.0
    assert ks_p([]) == 1.0


def test_a_handful_is_too_few_to_say_anything() -> None:
    """Below the least number there is no p-value."""
    assert arrival_p(range(LEAST - 1)) is None


async def test_ten_thousand_who_joined_a_real_line_are_drawn_whatever_their_arrival(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined through the real script, frozen, attested and drawn by the timetable: p > 0.01, and it can be recomputed.

    The run's id is fixed, so the draw and its p-value are the same each time.
    """
    async with house(store, clock, tmp_path) as here:
        with monkeypatch.context() as fixed:
            fixed.setattr("waitroom.service.secrets.token_hex", lambda size: "18" * size)
            reading = await here.set_up(draw_lead_s=60, sales=[SALE])
        assert reading.line is not None
        run, random = reading.line.run, Random(18)
        for start in range(0, ENTRANTS, BATCH):
            leaves = [random.randbytes(LEAF_BYTES) for _ in range(BATCH)]
            answer = await here.waitroom.store.join(
                ROOM, run, Lane.STANDARD, leaves, [], secrets.token_hex(8), None
            )
            assert [int(number) for number in answer[2:]] == list(range(start, start + BATCH))
        clock.set(START_MS)
        for _ in range(5):
            reading = await here.beat()
        octets = await here.waitroom.store.leaves(ROOM, 0, ENTRANTS)
    await store.aclose()
    line = reading.line

    assert line is not None
    assert line.frozen == ENTRANTS
    assert line.seed
    proof = json.loads(reading.proof)
    root = merkle.root([octets])
    assert seed(reading.draw_id, ENTRANTS, root, secret=bytes.fromhex(proof["secret"])).hex() == line.seed
    likely = arrival_p(
        [reading.place(number, Lane.STANDARD, START_MS).rank or 0 for number in range(ENTRANTS)]
    )
    assert likely is not None
    assert likely > 0.01
