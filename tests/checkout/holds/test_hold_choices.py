"""Which seats a buyer gets who does not name them, or who has a code for them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from checkout.halls.seats import Status
from checkout.holds.answers import Few, Limit, Missing, Seen, Taken
from checkout.holds.store import HoldStore
from checkout.holds.wishes import (
    NoAllocation,
    NoBlock,
    NoSeats,
    Told,
)
from tests.checkout.box_office import CODE, EVENT, FANS, MOST, SIDE, office
from tests.checkout.held import BEST, paper_of, seats_of


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


# ------------------------------------------------------------------------------------------- allocations


async def test_a_code_opens_its_own_seats_and_no_other(url: str, store_url: str) -> None:
    """Who has it gets them, who has not does not; and what is free for all is asked for without it."""
    async with office(url, store_url) as own:
        await own.allocate(8, 9)
        await own.allocate(18, name="partners")
        without = await own.ask("bob", "k1", {"seats": [8]})
        wrong = await own.ask("bob", "k2", {"seats": [8], "code": "midnight"})
        others = await own.ask("bob", "k3", {"seats": [8, 18, 0], "code": CODE})
        told = await own.ask("bob", "k4", {"seats": [8, 9], "code": CODE})
        await own.holding.release(EVENT, "bob", paper_of(told)["hold"])
        statuses = await own.statuses()

    assert without == Taken(((8, Status.BLOCKED),))
    assert wrong == NoAllocation()
    assert others == NoSeats((18, 0))
    assert seats_of(told) == [8, 9]
    assert statuses[8] == Status.BLOCKED


async def test_the_best_with_a_code_is_the_best_of_its_seats(url: str, store_url: str) -> None:
    """Side by side; what another allocation has beside them does not count; none where there is none."""
    async with office(url, store_url) as own:
        await own.allocate(2, 3, 17, 18)
        await own.allocate(4, 5, name="partners")
        pairs = [await own.ask(name, "k", {"best": {"count": 2}, "code": CODE}) for name in ("ann", "bob")]
        more = await own.ask("cy", "k", {"best": {"count": 1}, "code": CODE})
        one_more = await own.ask("cy", "k", {"best": {"count": 3}, "code": CODE})

    assert sorted(seats_of(pair) for pair in pairs) == [[2, 3], [17, 18]]
    assert more == NoBlock()
    assert one_more == NoBlock()


async def test_places_to_stand_with_a_code_are_the_codes_own(url: str, store_url: str) -> None:
    """Never another allocation's, although the store sees both as blocked."""
    async with office(url, store_url) as own:
        await own.allocate(26, 27, name="partners")
        await own.allocate(30, 43, 44)
        told = await own.ask("ann", "k", {"standing": {"section": 2, "count": 2}, "code": CODE})
        few = await own.ask("bob", "k", {"standing": {"section": 2, "count": 2}, "code": CODE})
        by_tier = await own.ask("cy", "k", {"best": {"count": 1, "tier": 1}, "code": CODE})

    assert seats_of(told) == [30, 43]
    assert few == Few(1)
    assert seats_of(by_tier) == [44]


async def test_what_is_put_into_an_allocation_is_found_within_a_second(url: str, store_url: str) -> None:
    """And what is taken out of it is refused at once, because it is blocked no more."""
    async with office(url, store_url) as own:
        await own.allocate(*FANS[:2])
        await own.ask("ann", "k1", {"seats": [FANS[0]], "code": CODE})
        await own.allocate(FANS[2])
        own.clock.advance(999)
        early = await own.ask("bob", "k1", {"seats": [FANS[2]], "code": CODE})
        own.clock.advance(1)
        late = await own.ask("bob", "k2", {"seats": [FANS[2]], "code": CODE})
        await own.catalogue.unblock(EVENT, [FANS[1]])
        await own.holds.mark(EVENT, "unblock", [FANS[1]])
        freed = await own.ask("cy", "k1", {"seats": [FANS[1]], "code": CODE})

    assert early == NoSeats((FANS[2],))
    assert seats_of(late) == [FANS[2]]
    assert freed == Taken(((FANS[1], Status.FREE),))


# ---------------------------------------------------------------------------------------- best available


async def test_everybody_gets_other_seats_and_the_best_that_are_left(url: str, store_url: str) -> None:
    """Ten ask for two at once; there are 12 pairs to sit on, and the map is read once."""
    async with office(url, store_url) as own:
        outcomes = await asyncio.gather(*(own.ask(f"b{at}", "k", BEST) for at in range(10)))
        reads = own.metrics.store_map_reads.count

    seats = [seat for outcome in outcomes for seat in seats_of(outcome)]
    assert len(set(seats)) == 20
    assert reads == 1


async def test_who_loses_to_another_worker_is_given_other_seats(url: str, store_url: str) -> None:
    """The map that a worker chose from was older than what others took; it chooses again."""
    async with office(url, store_url) as own:
        await own.ask("first", "k", BEST)
        other = own.worker()
        for at in range(4):
            await own.ask(f"o{at}", "k", BEST, other)
        outcomes = [await own.ask(f"b{at}", "k", BEST) for at in range(4)]

    assert len({seat for outcome in outcomes for seat in seats_of(outcome)}) == 8


async def test_after_some_tries_the_buyer_hears_who_was_faster(url: str, store_url: str) -> None:
    """Nobody tries for ever; what is in the way is named, and the next request sees a new map."""
    async with office(url, store_url) as own:
        seen = await own.holds.look(EVENT)
        await own.holds.mark(EVENT, "block", range(20))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(HoldStore, "look", always(seen))
            lost = await own.ask("ann", "k", {"best": {"count": 1, "section": 0}})
        await own.holds.mark(EVENT, "unblock", [7])
        own.clock.advance(100)
        found = await own.ask("ann", "k", {"best": {"count": 1, "section": 0}})

    assert isinstance(lost, Taken)
    assert [now for _, now in lost.seats] == [Status.BLOCKED]
    assert seats_of(found) == [7]


async def test_who_has_lost_twice_is_shown_the_hall_as_it_is(url: str, store_url: str) -> None:
    """What is left is found in the same request, and where nothing is left the buyer hears that."""
    async with office(url, store_url) as own:
        other = own.worker()
        await own.ask("first", "k", {"best": {"count": 1, "section": 1}})
        await own.ask("second", "k", {"best": {"count": 1, "section": 1}}, other)
        await own.holds.mark(EVENT, "block", [seat for seat in range(20) if seat != 7])
        found = await own.ask("ann", "k", {"best": {"count": 1, "section": 0}})
        none = await own.ask("bob", "k", {"best": {"count": 1, "section": 0}}, other)

    assert seats_of(found) == [7]
    assert none == NoBlock()


def always(seen: Seen | Missing) -> Callable[[HoldStore, str], Awaitable[Seen | Missing]]:
    """Have every reading of a map give what was there once: somebody is always faster."""

    async def look(own: HoldStore, event: str) -> Seen | Missing:
        del own, event
        return seen

    return look


async def test_what_was_chosen_and_not_granted_is_to_be_had_again(url: str, store_url: str) -> None:
    """A buyer at the limit keeps nobody from the best seats for longer than a second."""
    async with office(url, store_url) as own:
        await own.had("ann", *SIDE[:4])
        for at in range(9):
            assert await own.ask("ann", f"k{at}", {"best": {"count": 2, "tier": 0}}) == Limit(4, MOST)
        own.clock.advance(1000)
        outcome = await own.ask("bob", "k", {"best": {"count": 2, "tier": 0}})
        expected = await own.ask("cy", "k", {"best": {"count": 2, "tier": 0}}, own.worker())

    assert isinstance(outcome, Told)
    assert isinstance(expected, Told)


@pytest.mark.parametrize(
    "wish", [{"count": 11}, {"count": 2, "tier": 5}, {"count": 2, "section": 9}, {"count": 4, "tier": 15}]
)
async def test_where_there_is_no_block_the_buyer_hears_so(
    wish: dict[str, int], url: str, store_url: str
) -> None:
    """Longer than any row, in a tier or a section that there is not."""
    async with office(url, store_url, max_per_buyer=20) as own:
        assert await own.ask("ann", "k", {"best": wish}) == NoBlock()
