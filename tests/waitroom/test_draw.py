"""The draw: pinned by a second implementation, checked as a permutation, tried for fairness."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom import draw

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> Any:
    """Read what the second implementation wrote."""
    return json.loads((VECTORS / name).read_text())


def seed_of(label: str) -> bytes:
    """Make a fixed seed."""
    return sha256(label.encode()).digest()


def chi_square(counts: Iterable[int], expected: float) -> float:
    """Measure how far counts are from what was expected."""
    return sum((count - expected) ** 2 / expected for count in counts)


def chi_limit(degrees: int, z: float = 3.719) -> float:
    """The value that chance passes once in 10,000 times (Wilson and Hilferty)."""
    return float(degrees * (1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3)


# ------------------------------------------------------------------------------------- pinned bytes
@pytest.mark.parametrize("case", vectors("draw.json")["permutations"], ids=lambda case: f"n={case['n']}")
def test_every_rank_is_the_one_that_the_second_implementation_draws(case: dict[str, Any]) -> None:
    """One by one and as a whole list, in both directions."""
    shuffle = draw.Shuffle(bytes.fromhex(case["seed"]), case["n"])

    assert [shuffle.rank(number) for number in range(case["n"])] == case["ranks"]
    assert list(shuffle.ranks()) == case["ranks"]
    assert [case["ranks"][number] for number in shuffle.numbers()] == list(range(case["n"]))
    assert shuffle.rounds == case["rounds"]


@pytest.mark.parametrize("case", vectors("draw.json")["spots"], ids=lambda case: f"n={case['n']}")
def test_single_ranks_of_large_draws_agree(case: dict[str, Any]) -> None:
    """Above 2**22 entries the rounds grow, and both sides know it."""
    shuffle = draw.Shuffle(bytes.fromhex(case["seed"]), case["n"])

    assert shuffle.rounds == case["rounds"]
    for number, rank in case["ranks"]:
        assert shuffle.rank(number) == rank
        assert shuffle.number(rank) == number


@pytest.mark.parametrize("case", vectors("draw-consensus.json")["lists"])
def test_the_permutation_is_the_one_of_ethereum(case: dict[str, Any]) -> None:
    """Vectors that another project published give the same list."""
    assert list(draw.Shuffle(bytes.fromhex(case["seed"]), case["n"]).numbers()) == case["numbers"]


def test_commitments_and_seeds_have_the_documented_bytes() -> None:
    """What is published before and after a draw can be computed by anybody."""
    for case in vectors("draw.json")["commitments"]:
        secret = bytes.fromhex(case["secret"])
        assert draw.commitment(case["draw_id"].encode(), secret).hex() == case["commitment"]
    for case in vectors("draw.json")["seeds"]:
        seed = draw.seed(
            case["draw_id"].encode(),
            case["n"],
            bytes.fromhex(case["root"]),
            chain_hash=bytes.fromhex(case["chain_hash"]),
            beacon_round=case["beacon_round"],
            randomness=bytes.fromhex(case["randomness"]),
            secret=bytes.fromhex(case["secret"]),
        )
        assert seed.hex() == case["seed"]


def test_leaves_have_the_documented_bytes() -> None:
    """A tag is not a holder key: the lengths keep the fields apart."""
    cases = vectors("leaf.json")["leaves"]

    for case in cases:
        fields = (bytes.fromhex(case[name]) for name in ("ticket_id", "identity_tag", "holder_key"))
        assert draw.leaf(case["draw_id"].encode(), *fields).hex() == case["leaf"]
    assert len({case["leaf"] for case in cases}) == len(cases)


def test_a_draw_is_named_by_its_room_and_run() -> None:
    """Two openings of a room are two draws."""
    assert draw.draw_id("main", "0123456789abcdef") == b"main:0123456789abcdef"


# --------------------------------------------------------------------------------------- permutation
@given(n=st.integers(1, 700), salt=st.binary(min_size=32, max_size=32))
def test_a_draw_gives_every_rank_to_exactly_one(n: int, salt: bytes) -> None:
    """It is a permutation, and list and single ranks are the same one."""
    shuffle = draw.Shuffle(salt, n)
    ranks = shuffle.ranks()

    assert sorted(ranks) == list(range(n))
    assert ranks[n // 2] == shuffle.rank(n // 2)


@given(
    n=st.integers(1, 10**12), part=st.floats(0, 1, exclude_max=True), salt=st.binary(min_size=32, max_size=32)
)
def test_the_inverse_finds_who_drew_a_rank(n: int, part: float, salt: bytes) -> None:
    """number(rank(x)) is x, and rank(number(x)) is x, at any size."""
    shuffle = draw.Shuffle(salt, n)
    x = int(part * n)

    assert shuffle.number(shuffle.rank(x)) == x
    assert shuffle.rank(shuffle.number(x)) == x


@pytest.mark.parametrize(
    ("n", "rounds"), [(1, 90), (2**22, 90), (2**22 + 1, 92), (2**23, 92), (2**23 + 1, 96), (10**9, 120)]
)
def test_rounds_grow_only_above_four_million_entries(n: int, rounds: int) -> None:
    """As the published vectors have it: 90 up to 2**22."""
    assert draw.rounds_for(n) == rounds


# ------------------------------------------------------------------------------------------ fairness
def orders_of_five(rounds: int | None) -> Counter[tuple[int, ...]]:
    """Count the orders that 6,000 fixed seeds give to five fans."""
    return Counter(tuple(draw.Shuffle(seed_of(f"five/{index}"), 5, rounds).ranks()) for index in range(6000))


def test_all_orders_of_five_fans_are_equally_likely() -> None:
    """Every one of the 120 orders, over 6,000 fixed seeds, within what chance allows once in 10,000."""
    counts = orders_of_five(None)

    assert len(counts) == 120
    assert chi_square(counts.values(), 6000 / 120) < chi_limit(119)


def test_the_fairness_test_notices_a_weak_shuffle() -> None:
    """Mutant: with four rounds some orders come up far too often."""
    counts = orders_of_five(4)

    assert chi_square(counts.values(), 6000 / 120) + (120 - len(counts)) * 50 > chi_limit(119)


@pytest.mark.parametrize("number", [0, 499, 999])
def test_coming_first_or_last_to_the_draw_changes_nothing(number: int) -> None:
    """The rank of one number is uniform over the seeds: ten equal parts of a thousand."""
    tenths = Counter(
        draw.Shuffle(seed_of(f"place/{index}"), 1000).rank(number) // 100 for index in range(1500)
    )

    assert chi_square((tenths[tenth] for tenth in range(10)), 150) < chi_limit(9)


def test_neighbours_in_arrival_are_strangers_in_rank() -> None:
    """Arrival number and rank are uncorrelated in one large draw (below five standard errors)."""
    n = 20_000
    ranks = draw.Shuffle(seed_of("one large draw"), n).ranks()
    mean = (n - 1) / 2
    variance = (n * n - 1) / 12

    with_number = sum((i - mean) * (rank - mean) for i, rank in enumerate(ranks)) / (n * variance)
    serial = sum((a - mean) * (b - mean) for a, b in pairwise(ranks)) / (n * variance)
    assert abs(with_number) < 5 / math.sqrt(n)
    assert abs(serial) < 5 / math.sqrt(n)


# ----------------------------------------------------------------------------------------- bad input
def test_wrong_sizes_are_refused_at_once() -> None:
    """A short secret, root or seed, an empty draw, a number outside: never a silent wrong draw."""
    secret, root = bytes(32), bytes(32)
    with pytest.raises(ValueError, match="32 bytes"):
        draw.commitment(b"a:b", secret[1:])
    with pytest.raises(ValueError, match="32 bytes"):
        draw.seed(b"a:b", 1, root[1:])
    with pytest.raises(ValueError, match="32 bytes"):
        draw.seed(b"a:b", 1, root, secret=b"")
    with pytest.raises(ValueError, match="32 bytes"):
        draw.Shuffle(b"short", 10)
    with pytest.raises(ValueError, match="at least one"):
        draw.Shuffle(bytes(32), 0)
    with pytest.raises(ValueError, match="too long"):
        draw.leaf(b"a:b", bytes(16), b"", bytes(65_536))
    for outside in (-1, 10):
        with pytest.raises(ValueError, match="draw over 10"):
            draw.Shuffle(bytes(32), 10).rank(outside)
        with pytest.raises(ValueError, match="draw over 10"):
            draw.Shuffle(bytes(32), 10).number(outside)
