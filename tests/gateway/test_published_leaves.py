"""What is published of a frozen draw stays as it is, whoever fills an empty slot afterwards.

A store that was lost leaves void numbers. Whoever holds one fills the slot when they claim or leave, which may be
before, between and after freeze, root and draw. A root over other bytes than those that anyone can fetch would make
an honest draw look rigged.
"""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from admission.claim import Left
from admission.store import AdmissionStore
from gateway.adapters import LinePlaces
from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, House, house
from waitroom.field_readers import moment_text
from waitroom.line import LEAF_BYTES, is_void, without_void
from waitroom.merkle import root
from waitroom.store import LineStore

LEAVES_KEY = "wr:{main}:leaves:0"
KEPT, LOST = 4, 4


async def gathered_and_lost(here: House, clock: ManualClock, store: Redis) -> tuple[list[str], int]:
    """Let eight gather for a draw and lose the store when the journal has four; return all tickets and the start."""
    start_ms = clock.now_ms() + 600_000
    sale = {
        "name": "spring",
        "prequeue_start_time": moment_text(clock.now_ms()),
        "event_start_time": moment_text(start_ms),
        "event_end_time": moment_text(start_ms + 3_600_000),
        "shuffle_at_event_start": True,
    }
    await here.set_up(queueing_method="fifo", sales=[sale])
    await here.beat()
    texts = [(await here.join())[0] for _ in range(KEPT)]
    await here.drained()
    texts += [(await here.join())[0] for _ in range(LOST)]
    await here.beat()
    await store.flushall()
    await here.beat()
    await here.beat()
    return texts, start_ms


async def fill(here: House, store: Redis, text: str, number: int) -> None:
    """Let the holder of a void number leave: the script writes the ticket's own leaf into the slot."""
    place = await LinePlaces(here.waitroom).place_of(ROOM, text, here.clock.now_ms())
    assert place.void
    assert isinstance(await AdmissionStore(store).leave(place, f"sid-{number}", here.clock.now_ms()), Left)
    assert await store.getrange(LEAVES_KEY, number * LEAF_BYTES, (number + 1) * LEAF_BYTES - 1) == place.leaf


async def published(here: House) -> bytes:
    """Fetch all frozen leaves as anyone would check them."""
    line = (await here.beat()).line
    assert line is not None
    assert line.frozen is not None
    return await here.waitroom.store.leaves(ROOM, 0, line.frozen)


async def test_a_slot_that_its_holder_fills_changes_nothing_that_is_published(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Filled before the freeze, before the root, after it and after the draw: leaves and root stay one."""
    async with house(store, clock, tmp_path) as here:
        texts, start_ms = await gathered_and_lost(here, clock, store)
        await fill(here, store, texts[KEPT], KEPT)
        clock.set(start_ms - 90_000)
        await here.beat()
        await fill(here, store, texts[KEPT + 1], KEPT + 1)
        first = await published(here)
        await here.beat()
        line = (await here.beat()).line
        assert line is not None
        assert line.root == root([first]).hex()

        await fill(here, store, texts[KEPT + 2], KEPT + 2)
        assert await published(here) == first
        clock.set(start_ms)
        await here.beat()
        await fill(here, store, texts[KEPT + 3], KEPT + 3)
        assert await published(here) == first
        reading = await here.beat()

        assert reading.line is not None
        assert (reading.line.root, bool(reading.line.seed)) == (line.root, True)
        assert first[: KEPT * LEAF_BYTES] == await store.getrange(LEAVES_KEY, 0, KEPT * LEAF_BYTES - 1)
        assert not any(first[KEPT * LEAF_BYTES : (KEPT + LOST) * LEAF_BYTES])
    await store.aclose()


async def test_leaves_as_they_are_stored_would_not_do(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The mutant: read without the void ranges, the leaves change under the root when a slot is filled."""

    class Stored(LineStore):
        async def leaves(self, room: str, start: int, count: int) -> bytes:
            octets = await store.getrange(f"wr:{{{room}}}:leaves:0", 0, count * LEAF_BYTES - 1)
            return bytes(octets).ljust(count * LEAF_BYTES, b"\0")[start * LEAF_BYTES :]

    async with house(store, clock, tmp_path) as here:
        here.waitroom.store = Stored(store)
        texts, start_ms = await gathered_and_lost(here, clock, store)
        clock.set(start_ms - 90_000)
        await here.beat()
        line = (await here.beat()).line
        assert line is not None
        assert line.root == root([await published(here)]).hex()

        await fill(here, store, texts[KEPT], KEPT)
        assert line.root != root([await published(here)]).hex()
    await store.aclose()


@given(
    octets=st.integers(0, 40).flatmap(lambda count: st.binary(min_size=16 * count, max_size=16 * count)),
    start=st.integers(0, 20),
    edges=st.lists(st.integers(0, 70), max_size=6, unique=True).map(sorted),
)
def test_a_block_shows_zero_bytes_in_void_slots_and_every_other_leaf_as_it_is(
    octets: bytes, start: int, edges: list[int]
) -> None:
    """Slot by slot, wherever the block begins and the ranges end."""
    void = tuple(zip(edges[::2], edges[1::2], strict=False))

    shown = without_void(octets, start, void)

    assert len(shown) == len(octets)
    for at in range(0, len(octets), LEAF_BYTES):
        leaf = octets[at : at + LEAF_BYTES]
        expected = bytes(LEAF_BYTES) if is_void(void, start + at // LEAF_BYTES) else leaf
        assert shown[at : at + LEAF_BYTES] == expected
