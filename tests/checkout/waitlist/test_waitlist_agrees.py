"""The script of the waitlist's flag and a plain model of it are one thing: random acts are played on both.

The model is a few lines: a flag, a count of joins, a map. The hall's other scripts play along, because a seat that is
released goes where the flag says.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from checkout.halls.seats import Status, byte, counts, statuses, tier
from checkout.holds.answers import Ask, Held, Wanted
from checkout.holds.store import HoldStore, load_script
from checkout.waitlist.store import Flag, KeptStore
from kernel.lua import Script

EVENT = "night"
SEATS = 8
HALL = bytes(byte(Status.FREE, seat % 2) for seat in range(SEATS))

ACTS = st.one_of(
    st.tuples(st.just("join"), st.none()),
    st.tuples(st.just("close"), st.integers(0, 1)),
    st.tuples(st.just("free"), st.tuples(st.integers(0, 1), st.sets(st.integers(0, SEATS + 1), max_size=4))),
    st.tuples(st.just("hold"), st.integers(0, SEATS - 1)),
    st.tuples(st.just("release"), st.integers(0, SEATS - 1)),
)


@dataclass
class Model:
    """What the store must say."""

    is_waiting: bool = False
    joins: int = 0
    hall: list[int] = field(default_factory=lambda: list(statuses(HALL)))

    def close(self, behind: int) -> int | None:
        """Lower the flag unless somebody joined; free what was kept."""
        if behind and self.joins:
            return None
        self.is_waiting = False
        return self.free(0, set(range(SEATS)))

    def free(self, behind: int, seats: set[int]) -> int | None:
        """Free those of the seats that are kept, unless somebody joined."""
        if behind and self.joins:
            return None
        kept = [seat for seat in seats if seat < SEATS and self.hall[seat] == Status.KEPT]
        for seat in kept:
            self.hall[seat] = Status.FREE
        return len(kept)


async def agree(
    store: Redis, acts: list[tuple[str, object]], scripts: dict[str, Script] | None = None
) -> None:
    """Play the acts on both; `behind` 1 is a worker that read the mark before the last join."""
    await store.flushall()
    holds = HoldStore(store)
    kept, model = KeptStore(holds, scripts), Model()
    assert await kept.look(EVENT) is None
    assert not await kept.join(EVENT)
    await holds.load(EVENT, 3, HALL)
    made: dict[int, bytes] = {}
    for turn, (act, given_) in enumerate(acts):
        match act, given_:
            case "join", _:
                assert await kept.join(EVENT)
                model.is_waiting, model.joins = True, model.joins + 1
            case "close", int(behind):
                seen = f"3.{max(0, model.joins - behind)}"
                assert await kept.close(EVENT, seen) == model.close(behind)
            case "free", (int(behind), set(seats)):
                seen = f"3.{max(0, model.joins - behind)}"
                assert await kept.free(EVENT, seen, sorted(seats)) == model.free(behind, seats)
            case "hold", int(seat):
                id_ = turn.to_bytes(8, "big")
                outcome = await holds.hold(EVENT, Ask(id_, "ann", Wanted((seat,)), 10**8, 99, 1, "b"))
                assert isinstance(outcome, Held) is (model.hall[seat] == Status.FREE)
                if isinstance(outcome, Held):
                    made[seat], model.hall[seat] = id_, Status.HELD
            case "release", int(seat):
                if seat in made:
                    await holds.release(EVENT, made.pop(seat), "ann")
                    model.hall[seat] = Status.KEPT if model.is_waiting else Status.FREE
            case _:
                raise AssertionError(act)
        assert await kept.look(EVENT) == Flag(model.is_waiting, f"3.{model.joins}")
        seen_now = await holds.look(EVENT)
        hall = seen_now.map  # type: ignore[union-attr]
        assert list(statuses(hall)) == model.hall
        assert [tier(octet) for octet in hall] == [tier(octet) for octet in HALL]
        assert seen_now.counts == counts(hall)  # type: ignore[union-attr]


@given(st.lists(ACTS, max_size=25))
async def test_the_flag_and_its_model_agree(store: Redis, acts: list[tuple[str, object]]) -> None:
    """Whatever is joined, closed, freed, held and released, in any order."""
    await agree(store, acts)


STORY: list[tuple[str, object]] = [
    ("hold", 1), ("hold", 2), ("hold", 3), ("join", None), ("release", 1), ("release", 2), ("hold", 1),
    ("free", (1, {1})), ("free", (0, {1, 3, 9})), ("close", 1), ("close", 0), ("release", 3), ("join", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("redis.call('HSET', head, 'waiting', '1')", ""),
        ("redis.call('HSET', head, 'waiting', '0')", ""),
        ("if seen ~= known then", "if false then"),
        ("if byte and byte % 16 == KEPT then", "if byte then"),
        ("put_byte(seat, byte - byte % 16 + FREE)", "put_byte(seat, FREE)"),
        ("'HINCRBY', head, 'joins', 1", "'HINCRBY', head, 'joins', 0"),
    ],
)
async def test_a_script_without_one_of_its_rules_is_noticed(old: str, new: str, store: Redis) -> None:
    """The mutants: each differs from the model within a short story."""
    await agree(store, STORY)

    with pytest.raises(AssertionError):
        await agree(store, STORY, {"waitlist": load_script("waitlist").mutated(old, new)})
