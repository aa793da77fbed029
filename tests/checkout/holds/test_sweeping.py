"""The background of holds: what is over is freed, SQL hears of it, and no loss of anything stops it for good."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from checkout.catalogue.event import Known
from checkout.halls.seats import Status, counts
from checkout.holds import leases
from checkout.holds.answers import Ask, Expired, Held, Wanted
from checkout.holds.places import OnePlace, Place
from checkout.holds.store import EXPIRE_MOST, HoldStore
from checkout.holds.sweeping import AGAIN_S, ALL_EVERY_MS, DRAIN_S, SWEEP_S, WARM_MS, Sweeping
from checkout.tables import HOLD_JOURNAL
from kernel.errors import Unavailable
from kernel.store import connect
from tests.checkout.box_office import EVENT, TTL_MS, Office, office
from tests.checkout.catalogues import DAY_MS, NOW_MS
from tests.checkout.waitlists import hold_id

REST = 20
MANY = 2 * EXPIRE_MOST + REST


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


def sweeping(own: Office, who: str = "one", place: Place | None = None) -> Sweeping:
    """Make a worker's background."""
    return Sweeping(own.catalogue, OnePlace(place or own.place), own.clock, own.metrics, who)


async def many_holds(own: Office, ttl_ms: int = TTL_MS) -> None:
    """Load a hall in which everybody holds one seat."""
    await own.holds.load(EVENT, 2, bytes(MANY), now_ms=own.clock.now_ms())
    asks = [
        Ask(hold_id(EVENT, f"b{seat}", "k"), f"b{seat}", Wanted((seat,)), ttl_ms, 1, 1, "b", currency="EUR")
        for seat in range(MANY)
    ]
    outcomes = await asyncio.gather(*(own.holds.hold(EVENT, ask) for ask in asks))
    assert all(isinstance(one, Held) for one in outcomes)


async def free(own: Office) -> int:
    """Count free seats."""
    seen = await own.holds.look(EVENT)
    return counts(seen.map)[Status.FREE]  # type: ignore[union-attr]


async def test_holds_that_end_together_are_free_after_one_sweep(
    url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many, in calls of a bounded size; at their end and not a millisecond before."""
    async with office(url, store_url) as own:
        await many_holds(own)
        own.clock.advance(TTL_MS - 1)
        early = await sweeping(own).sweep(own.place)
        own.clock.advance(1)
        calls: list[Expired] = []
        expire = own.holds.expire

        async def counted(event: str) -> Expired:
            calls.append(await expire(event))
            return calls[-1]

        monkeypatch.setattr(own.holds, "expire", counted)
        freed = await sweeping(own).sweep(own.place)
        again = await sweeping(own).sweep(own.place)

        assert (early, freed, again) == (0, MANY, 0)
        assert await free(own) == MANY
        assert [one.holds for one in calls] == [EXPIRE_MOST, EXPIRE_MOST, REST]
        assert own.metrics.expired_holds._value.get() == own.metrics.expired_seats._value.get() == MANY


async def test_what_has_ended_is_in_sql_after_one_drain(url: str, store_url: str) -> None:
    """Of every hold, with its end; and the stream is empty."""
    async with office(url, store_url) as own:
        await many_holds(own)
        own.clock.advance(TTL_MS)
        await sweeping(own).sweep(own.place)
        brought = await sweeping(own).drain(own.place)
        with own.database.reading() as connection:
            rows = connection.execute(sa.select(HOLD_JOURNAL.c.state, HOLD_JOURNAL.c.until_ms)).all()

        assert brought == 2 * MANY
        assert set(rows) == {("expired", NOW_MS + TTL_MS)}
        assert len(rows) == MANY
        assert await own.client.xlen(own.holds.keys(EVENT).journal) == 0


async def test_one_worker_works_and_the_others_look_on(url: str, store_url: str) -> None:
    """Until its lease is over, because it is dead."""
    async with office(url, store_url) as own:
        await many_holds(own)
        own.clock.advance(TTL_MS)
        first, second = sweeping(own, "one"), sweeping(own, "two")
        assert await first.drain(own.place) == MANY
        await own.had("late", 0)

        assert await second.drain(own.place) == 0
        assert await first.drain(own.place) > 0
        assert await first.sweep(own.place) == MANY - 1
        assert await second.sweep(own.place) == 0
        own.clock.advance(TTL_MS)
        lease = "co:{place:main}:lease:sweep"
        assert 0 < await own.client.pttl(lease) <= 1_000
        await own.client.delete(lease)
        assert await second.sweep(own.place) == 1


async def test_two_at_once_do_no_harm(url: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that two believe to have: every hold ends once, every row is right, the counts add up."""

    async def everybody(*_: object) -> bool:
        return True

    monkeypatch.setattr(leases.Leases, "take", everybody)
    async with office(url, store_url) as own:
        await many_holds(own)
        own.clock.advance(TTL_MS)
        workers = [sweeping(own, str(number)) for number in range(4)]
        freed = await asyncio.gather(*(worker.sweep(own.place) for worker in workers))
        await asyncio.gather(*(worker.drain(own.place) for worker in workers))
        with own.database.reading() as connection:
            states = connection.scalars(sa.select(HOLD_JOURNAL.c.state)).all()

        assert sum(freed) == MANY
        assert await free(own) == MANY
        assert await own.holds.counts(EVENT) == (MANY, 0, 0, 0, 0, 0)
        assert states == ["expired"] * MANY


# ------------------------------------------------------------------------------------------ which events


async def events_of(own: Office, worker: Sweeping) -> Sequence[str]:
    """Return the events that a worker looks at."""
    return await worker._events(own.place, "sweep")


async def test_drafts_and_what_is_over_for_long_are_left_alone(url: str, store_url: str) -> None:
    """Up to a day after its sale; now and then everything that is no draft."""
    until_ms = NOW_MS + DAY_MS
    async with office(url, store_url, sale_until_ms=until_ms) as own:
        worker = sweeping(own)
        assert await events_of(own, worker) == [EVENT]
        own.clock.set(until_ms + WARM_MS - 1)
        assert await events_of(own, worker) == [EVENT]
        assert await events_of(own, worker) == [EVENT]
        own.clock.advance(1)
        assert await events_of(own, worker) == []
        own.clock.advance(ALL_EVERY_MS)
        assert await events_of(own, worker) == [EVENT]
        assert await events_of(own, worker) == []
        await own.catalogue.update_event(EVENT, {"state": "draft"})
        own.clock.advance(ALL_EVERY_MS)
        assert await events_of(own, worker) == []


async def test_an_event_is_its_places(url: str, store_url: str) -> None:
    """What lies in another place is that place's to sweep."""
    async with office(url, store_url) as own:
        elsewhere = replace(own.place, name="other")

        assert await sweeping(own)._events(elsewhere, "sweep") == []


# --------------------------------------------------------------------------------------- what may be away


async def rounds(worker: Sweeping, until: Callable[[list[float]], bool]) -> list[float]:
    """Let a worker run until it has rested as the test wants; return how long it meant to rest each time."""
    rested: list[float] = []
    enough = asyncio.Event()

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        if until(rested):
            enough.set()
        await asyncio.sleep(0)

    worker._rest = rest
    running = asyncio.create_task(worker.run())
    await enough.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return rested


async def test_it_goes_on_when_sql_is_back(url: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While SQL is away holds still end, also with a catalogue that cannot be read; then SQL hears of all of them."""
    async with office(url, store_url) as own:
        await many_holds(own)
        own.clock.advance(TTL_MS)
        worker = sweeping(own)
        await worker._events(own.place, "sweep")

        async def away() -> tuple[Known, ...]:
            raise Unavailable("shop-away", "The shop cannot reach its database.")

        with own.database.writing() as connection:
            connection.execute(sa.text("ALTER TABLE hold_journal RENAME TO away"))
        with monkeypatch.context() as patched:
            patched.setattr(own.catalogue, "all", away)
            await rounds(worker, lambda rested: {SWEEP_S, AGAIN_S} <= set(rested))
        assert await free(own) == MANY
        failed = own.metrics.background_failures._tallies["drain"].count

        with own.database.writing() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO hold_journal"))
        await rounds(worker, lambda rested: DRAIN_S in rested)
        with own.database.reading() as connection:
            states = connection.scalars(sa.select(HOLD_JOURNAL.c.state)).all()

        assert failed > 0
        assert own.metrics.background_failures._tallies["drain"].count == failed
        assert states == ["expired"] * MANY


async def test_a_place_whose_store_is_away_stops_no_other(url: str, store_url: str) -> None:
    """It is left alone for a while, and counted."""
    async with office(url, store_url) as own:
        await own.had("ann", 0)
        own.clock.advance(TTL_MS)
        lost = replace(own.place, name="lost", holds=HoldStore(connect("unix:///nowhere/store.sock")))

        class Two(OnePlace):
            def all(self) -> Sequence[Place]:
                return (lost, own.place)

        worker = Sweeping(own.catalogue, Two(own.place), own.clock, own.metrics, "one")
        await rounds(worker, lambda rested: {SWEEP_S, DRAIN_S, AGAIN_S} <= set(rested))
        await lost.holds.client.aclose()

        assert await free(own) == 45
        assert own.metrics.background_failures._tallies["sweep"].count > 0


async def test_what_nobody_foresaw_ends_a_round_and_not_the_work(
    url: str, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its trace, and tried again."""
    async with office(url, store_url) as own:
        worker = sweeping(own)

        async def broken(place: Place) -> int:
            raise ZeroDivisionError(place.name)

        monkeypatch.setattr(worker, "sweep", broken)
        await rounds(worker, lambda rested: rested.count(AGAIN_S) > 1)

        assert own.metrics.background_failures._tallies["sweep"].count > 0
        assert "ZeroDivisionError" in caplog.text


async def test_it_ends_when_it_is_told_to(url: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the order to end is swallowed below: Python 3.11's ``wait_for`` does so in the store's client."""
    async with office(url, store_url) as own:
        worker = sweeping(own)
        under_way = asyncio.Event()

        async def swallows(place: Place) -> int:
            del place
            under_way.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return 0
            return 1

        monkeypatch.setattr(worker, "drain", swallows)
        running = asyncio.create_task(worker.run())
        await under_way.wait()
        running.cancel()
        await asyncio.wait([running], timeout=60)

        assert running.cancelled()


async def test_it_has_ended_when_all_of_it_has(
    url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep ends at once, the drain is slow to hear of it: whoever waits for the end waits for both."""
    async with office(url, store_url) as own:
        worker = sweeping(own)
        under_way, ended = asyncio.Event(), asyncio.Event()

        async def slow(place: Place) -> int:
            del place
            under_way.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.2)
                ended.set()
            return 0

        async def quick(place: Place) -> int:
            del place
            await asyncio.Event().wait()
            return 0

        monkeypatch.setattr(worker, "drain", slow)
        monkeypatch.setattr(worker, "sweep", quick)
        running = asyncio.create_task(worker.run())
        await under_way.wait()
        running.cancel()
        await asyncio.wait([running], timeout=60)

        assert ended.is_set()
