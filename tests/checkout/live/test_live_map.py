"""The live map: one reader for all who look, and what they see when things break."""

import asyncio
import logging

import pytest
from redis.asyncio import Redis

from checkout.halls import deltas
from checkout.halls.deltas import Step
from checkout.halls.seats import counts
from checkout.holds.answers import Missing
from checkout.live import feeds
from checkout.live import service as live_map
from checkout.live.feeds import AGAIN_MS, FRESH_MS, STALE_MS, TICK_MS
from checkout.live.service import FORGET_MS, RESETS_PER_TICK
from kernel.errors import Refused, Unavailable
from tests.checkout.holding import EMPTY, EVENT
from tests.checkout.maps import LIVE, Eye, house, sees_the_hall


# --------------------------------------------------------------------------------------- one reader
async def test_a_thousand_maps_a_second_are_ten_readings_of_the_store(store: Redis) -> None:
    """Row 66: whoever comes within 100 ms gets what was read; and every map is what the store has at its reading."""
    async with house(store) as made:
        await store.config_resetstat()
        for _ in range(1_000):
            body, age_ms = await made.live_map.snapshot(EVENT)
            assert age_ms < FRESH_MS
            assert body.octets == EMPTY
            made.clock.advance(1)
        calls = await store.info("commandstats")

    assert sum(made.store.read.values()) == 10
    asked = {
        name: one["calls"] for name, one in calls.items() if name in {"cmdstat_evalsha", "cmdstat_xrange"}
    }
    # A script that is not loaded yet is asked for twice.
    assert sum(asked.values()) <= 11


async def test_a_thousand_who_come_at_once_wait_for_one_reading(store: Redis) -> None:
    """Also the first: nobody reads beside another."""
    async with house(store) as made:
        found = await asyncio.gather(*(made.live_map.snapshot(EVENT) for _ in range(1_000)))

        assert made.store.read == {"look": 1}
        assert len({id(body) for body, _ in found}) == 1


async def test_the_test_of_one_reader_notices_a_worker_that_reads_for_each(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: nothing is fresh."""
    monkeypatch.setattr(feeds, "FRESH_MS", 0)
    with pytest.raises(AssertionError):
        await test_a_thousand_maps_a_second_are_ten_readings_of_the_store(store)


async def test_a_map_is_followed_and_packed_once_for_each_version(store: Redis) -> None:
    """What changed is read, not the hall; the same version is the same bytes."""
    async with house(store) as made:
        first, _ = await made.live_map.snapshot(EVENT)
        await made.hold(3, 4)
        made.clock.advance(FRESH_MS)
        second, _ = await made.live_map.snapshot(EVENT)
        made.clock.advance(FRESH_MS)
        third, _ = await made.live_map.snapshot(EVENT)
        seen = await made.truth()

    assert made.store.read == {"look": 1, "deltas": 2}
    assert (second.octets, second.version, second.etag) == (
        seen.map,
        seen.version,
        f'"{seen.version}"'.encode(),
    )
    assert second is third
    assert first.octets == EMPTY


async def test_the_best_are_sought_in_the_same_copy(store: Redis) -> None:
    """A hundred milliseconds old at most, with its counts; for a hall that is away there is no answer."""
    async with house(store) as made:
        await made.live_map.snapshot(EVENT)
        await made.hold(0)
        made.clock.advance(FRESH_MS)
        seen = await made.live_map.look(EVENT)
        assert not isinstance(seen, Missing)
        assert (seen, seen.counts) == (await made.truth(), counts(seen.map))
        assert made.store.read["look"] == 1

        made.store.away = True
        made.clock.advance(FRESH_MS)
        with pytest.raises(Unavailable, match="store-away"):
            await made.live_map.look(EVENT)


async def test_an_event_that_nobody_knows_has_no_map(store: Redis) -> None:
    """And leaves no trace in the worker."""
    async with house(store) as made:
        for asking in (made.live_map.snapshot("nowhere"), made.live_map.look("nowhere")):
            with pytest.raises(Refused, match="event-unknown"):
                await asking
        with pytest.raises(Refused, match="event-unknown"):
            await made.live_map.open("nowhere", None)
        assert not made.store.read


async def test_a_hall_that_nobody_looks_at_is_neither_read_nor_kept(store: Redis) -> None:
    """A minute after the last look the worker has forgotten it; with a stream open it has not."""
    async with house(store) as made:
        eye = await made.eye()
        for _ in range(10):
            await made.tick(FORGET_MS)
        assert made.store.read["look"] == 1
        made.live_map.close(eye.viewer)
        before = made.store.read.total()
        await made.tick(FORGET_MS - 1)
        await made.live_map.snapshot(EVENT)
        await made.tick(FORGET_MS)
        await made.live_map.snapshot(EVENT)

    assert made.store.read.total() == before + 2
    assert made.store.read["look"] == 2


# ------------------------------------------------------------------------------------------ streams
async def test_a_hold_is_seen_by_whoever_looks(store: Redis) -> None:
    """Held, given back; the copy is the store's at each version."""
    async with house(store) as made:
        eyes = [await made.eye() for _ in range(3)]
        hold = await made.hold(5, 6)
        await made.tick()
        for eye in eyes:
            assert await eye.hear() == [Step.NEXT]
            await sees_the_hall(eye, made)
        await made.release(hold)
        await made.tick()
        for eye in eyes:
            assert await eye.hear() == [Step.NEXT]
            await sees_the_hall(eye, made)


async def test_no_viewer_hears_more_than_five_messages_a_second(store: Redis) -> None:
    """Row 78: a hold every 20 ms, a worker that steps far too often, a thousand eyes; one message a tick."""
    async with house(store) as made:
        eye = await made.eye()
        for number in range(50 * 4):
            await made.release(await made.hold(number % 12))
            await made.tick(20)
            await eye.hear()

        assert 4 * 4 <= eye.watch.heard["message"] <= 4 * 5
        await made.tick()
        await eye.hear()
        await sees_the_hall(eye, made)


async def test_the_test_of_messages_notices_a_worker_that_tells_each_change(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: no tick."""
    monkeypatch.setattr(feeds, "TICK_MS", 0)
    monkeypatch.setattr(feeds, "FRESH_MS", 0)
    with pytest.raises(AssertionError):
        await test_no_viewer_hears_more_than_five_messages_a_second(store)


async def test_a_tick_that_took_too_long_is_followed_by_the_next_at_once(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came while everybody was told does not wait for the beat after the next."""
    async with house(store) as made:
        eye = await made.eye()
        read_on, seats = made.store.deltas, [1, 2]

        async def slow(event: str, after: str, most: int) -> list[tuple[str, str]] | None:
            entries = await read_on(event, after, most)
            if seats:
                await made.hold(seats.pop())
                made.clock.advance(TICK_MS)
            return entries

        monkeypatch.setattr(made.store, "deltas", slow)
        await made.tick()
        for _ in range(2):
            assert await asyncio.wait_for(eye.viewer.next(), 15)
        await made.tick()
        await eye.hear()
        assert made.store.read["deltas"] == 4


async def test_streams_go_on_where_they_stopped(store: Redis) -> None:
    """From this worker's row, and from the store's stream where that no longer reaches; nothing is lost either way."""
    async with house(store) as made:
        eye = await made.eye()
        await made.hold(1)
        await made.tick()
        await eye.hear()
        made.live_map.close(eye.viewer)
        await made.hold(2, 3)
        await made.tick()
        await made.hold(4)
        await made.tick(FRESH_MS)

        eye.viewer = await made.live_map.open(EVENT, deltas.version(eye.watch.last_id))
        await made.tick()
        assert Step.LOST not in await eye.hear()
        await sees_the_hall(eye, made)
        reads = made.store.read["look"]

        other = made.worker()
        eye.viewer = await other.open(EVENT, deltas.version(eye.watch.last_id))
        await made.hold(7)
        made.live_map.close(eye.viewer)
        third = made.worker()
        await third.snapshot(EVENT)
        eye.viewer = await third.open(EVENT, deltas.version(eye.watch.last_id))
        assert await eye.hear() == [Step.NEXT]
        await sees_the_hall(eye, made)
        assert made.store.read["look"] == reads + 2
        assert eye.watch.heard["reset"] == 0


async def test_whom_not_even_the_store_remembers_is_told_to_fetch_the_map(store: Redis) -> None:
    """A version that was cut off, one of another epoch, one that never was, and a second question at once."""
    async with house(store) as made:
        await made.hold(1)
        (first,) = [
            entry for entry in await store.xrange(made.store.keys(EVENT).deltas) if entry[1][b"d"] == b"reset"
        ]
        await made.hold(2)
        await made.live_map.snapshot(EVENT)
        good = f"1:{first[0].decode()}"
        for after, told in ((good, "message"), (good, "reset"), ("2:1-0", "reset"), ("1:1-0", "reset")):
            if told == "message":
                made.clock.advance(FRESH_MS)
            eye = await made.eye(after)
            await made.tick(1)
            await eye.hear()
            assert eye.watch.heard == {told: 1}, after
        await store.xtrim(made.store.keys(EVENT).deltas, maxlen=1, approximate=False)
        made.clock.advance(FRESH_MS)
        eye = await made.eye(good)
        await made.tick(1)
        await eye.hear()
        assert eye.watch.heard == {"reset": 1}


async def test_a_viewer_from_a_faster_worker_waits_and_one_from_a_lost_hall_is_told(store: Redis) -> None:
    """Both bring a version that this worker has not got; one reading of the store later it knows which is which."""
    async with house(store) as made:
        slow = made.worker()
        await slow.snapshot(EVENT)
        await made.hold(1)
        ahead = await made.eye()
        ahead.viewer = await slow.open(EVENT, deltas.version((await made.truth()).version))
        never = await slow.open(EVENT, deltas.Version(1, 9_999_999_999_999, 0))
        lost = Eye(never)
        await made.hold(2)
        for _ in range(2):
            await made.tick(live_map=slow)
        await lost.hear()

        assert await ahead.hear() == [Step.NEXT]
        await sees_the_hall(ahead, made)
        assert lost.watch.heard == {"reset": 1}
        await slow.stop()


async def test_the_mark_is_told_after_a_burst_and_now_and_then(store: Redis) -> None:
    """After 200 changes as soon as it is quiet; ten seconds after a change; half a minute after nothing."""
    async with house(store) as made:
        eye = await made.eye()
        await made.tick()
        for number in range(101):
            await made.release(await made.hold(number % 12))
        await made.tick(feeds.CHECK_SOON_MS)
        await eye.hear()
        before = eye.watch.heard["check"]
        await made.tick()
        await eye.hear()
        assert eye.watch.heard["check"] == before + 1

        await made.hold(3)
        await made.tick()
        await made.tick(feeds.CHECK_MS - 2 * TICK_MS)
        assert await eye.hear() == [Step.NEXT]
        await made.tick(2 * TICK_MS)
        assert await eye.hear() == [Step.KNOWN]
        await made.tick(feeds.CHECK_IDLE_MS - 1)
        assert await eye.hear() == []
        await made.tick(1 + TICK_MS)
        assert await eye.hear() == [Step.KNOWN]


async def test_a_silent_stream_is_kept_alive(store: Redis) -> None:
    """A comment after a quarter of a minute of nothing."""
    async with house(store) as made:
        eye = await made.eye()
        await made.tick()
        await eye.hear()
        await made.tick(feeds.KEEP_ALIVE_MS - 1)
        waiting = asyncio.ensure_future(eye.viewer.next())
        await made.tick(1)

        assert await waiting == b":\n\n"


async def test_streams_are_bounded_and_end_with_the_worker(store: Redis) -> None:
    """One too many is asked to look without; at the end all end, and none begins."""
    async with house(store) as made:
        own = made.worker(most_viewers=2)
        eyes = [await made.eye(live_map=own) for _ in range(2)]
        with pytest.raises(Unavailable, match="streams-full"):
            await made.eye(live_map=own)
        own.close(eyes[0].viewer)
        own.close(eyes[0].viewer)
        eyes[0] = await made.eye(live_map=own)
        waiting = [asyncio.ensure_future(eye.viewer.next()) for eye in eyes]
        await asyncio.sleep(0)
        own.end()

        assert [await one for one in waiting] == [b"", b""]
        with pytest.raises(Unavailable, match="streams-full"):
            await made.eye(live_map=own)
        await own.stop()


async def test_a_stream_that_is_being_opened_when_the_worker_goes_does_not_begin(store: Redis) -> None:
    """It waits for the store meanwhile, and is turned away when that has answered."""
    async with house(store) as made:
        (first,) = await store.xrange(made.store.keys(EVENT).deltas)
        await made.hold(1)
        await made.live_map.snapshot(EVENT)
        made.clock.advance(FRESH_MS)
        at = deltas.version(f"1:{first[0].decode()}")
        opening = asyncio.ensure_future(made.live_map.open(EVENT, at))
        await asyncio.sleep(0)
        made.live_map.end()
        with pytest.raises(Unavailable, match="streams-full"):
            await opening


# ---------------------------------------------------------------------------------- when things break
async def test_a_store_that_is_away_leaves_the_last_map_for_a_while(
    store: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """With its age; then it says so. It is left alone in between, and streams say nothing wrong."""
    async with house(store) as made:
        eye = await made.eye()
        made.store.away = True
        made.store.read.clear()
        caplog.set_level(logging.WARNING)
        for _ in range(STALE_MS // 50 - 1):
            made.clock.advance(50)
            body, age_ms = await made.live_map.snapshot(EVENT)
            assert (body.octets, age_ms) == (EMPTY, made.clock.now_ms() - 1_800_000_000_000)
        assert made.store.read.total() == -(-(STALE_MS - FRESH_MS) // AGAIN_MS)
        made.clock.advance(50)
        with pytest.raises(Unavailable, match="store-away"):
            await made.live_map.snapshot(EVENT)
        await made.tick()
        assert await eye.hear() == []
        assert [record.message for record in caplog.records] == ["a map cannot be read"]

        made.store.away = False
        await made.hold(2)
        await made.tick(AGAIN_MS)
        assert Step.LOST not in await eye.hear()
        await sees_the_hall(eye, made)


async def test_a_store_that_hangs_holds_nobody_up_who_can_be_shown_something(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last map comes after a moment; a step goes on; what the store says at last is not lost."""
    async with house(store) as made:
        eye = await made.eye()
        await made.hold(3)
        monkeypatch.setattr(feeds, "PATIENCE_S", 0.001)
        answering = asyncio.Event()
        read_on = made.store.deltas

        async def hanging(event: str, after: str, most: int) -> list[tuple[str, str]] | None:
            await answering.wait()
            return await read_on(event, after, most)

        monkeypatch.setattr(made.store, "deltas", hanging)
        await made.tick()
        body, age_ms = await made.live_map.snapshot(EVENT)
        assert (body.octets, age_ms) == (EMPTY, TICK_MS)
        made.clock.advance(STALE_MS)
        with pytest.raises(Unavailable, match="store-away"):
            await made.live_map.snapshot(EVENT)

        answering.set()
        monkeypatch.setattr(feeds, "PATIENCE_S", 9)
        await made.tick()
        await made.tick()
        assert Step.NEXT in await eye.hear()
        await sees_the_hall(eye, made)


async def test_a_map_that_is_missing_is_rebuilt_once_for_all_who_ask(store: Redis) -> None:
    """The first opening of a hall: a thousand ask, one rebuilds, all get the map."""
    async with house(store, loaded=False) as made:
        found = await asyncio.gather(*(made.live_map.snapshot(LIVE) for _ in range(1_000)))

        assert made.rebuilt == [LIVE]
        assert {body.octets for body, _ in found} == {EMPTY}


async def test_viewers_of_a_lost_hall_hear_nothing_wrong_and_then_fetch_the_new_one(store: Redis) -> None:
    """The old map is never shown again; streams stay open, a keep-alive or nothing until there is another."""
    async with house(store) as made:
        eye = await made.eye()
        await made.hold(4, 5)
        await made.tick()
        await eye.hear()
        await store.flushall()
        made.rebuilds = False
        made.clock.advance(TICK_MS)
        with pytest.raises(Unavailable, match="map-rebuilding") as away:
            await made.live_map.snapshot(EVENT)
        assert away.value.retry_after_s == 1
        assert isinstance(await made.live_map.look(EVENT), Missing)
        with pytest.raises(Unavailable, match="map-rebuilding"):
            await made.eye("1:1-0")
        for _ in range(3):
            await made.tick()
            assert await eye.hear() == []
        assert eye.watch.heard.total() == 1
        assert len(made.rebuilt) == 2

        made.rebuilds = True
        await made.tick(AGAIN_MS)
        await eye.hear()
        assert eye.watch.heard["reset"] == 1
        body, _ = await made.live_map.snapshot(EVENT)
        assert body.octets == EMPTY
        assert body.version.startswith("4:")
        eye.watch.fetched(body.octets, deltas.version(body.version))
        await made.hold(1)
        await made.tick()
        await eye.hear()
        await sees_the_hall(eye, made)


async def test_a_hall_that_was_loaded_anew_is_noticed(store: Redis) -> None:
    """Another worker rebuilt it: a new epoch, an old map is not patched."""
    async with house(store) as made:
        eye = await made.eye()
        await made.hold(4)
        await made.store.load(EVENT, 2, EMPTY[::-1])
        await made.tick()
        await eye.hear()

        assert eye.watch.heard == {"reset": 1}
        assert (await made.live_map.look(EVENT)) == await made.truth()
        assert made.rebuilt == []


async def test_more_changes_than_one_reading_takes_are_read_as_a_whole_map(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was cut off for long, or that nobody asked: the map is the cheaper reading."""
    monkeypatch.setattr(feeds, "READ_MOST", 4)
    async with house(store) as made:
        await made.live_map.snapshot(EVENT)
        for seat in range(3):
            await made.hold(seat)
        made.clock.advance(FRESH_MS)
        await made.live_map.snapshot(EVENT)
        assert made.store.read == {"look": 1, "deltas": 1}
        for seat in range(3, 7):
            await made.hold(seat)
        made.clock.advance(FRESH_MS)
        body, _ = await made.live_map.snapshot(EVENT)

        assert body.octets == (await made.truth()).map
        assert made.store.read == {"look": 2, "deltas": 2}


async def test_a_fault_of_ours_is_told_to_who_asks_and_counted(
    store: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not taken for a store that is away; the next step tries again."""
    async with house(store) as made:

        async def faulty(_event: str) -> None:
            raise RuntimeError("a fault")

        own = made.worker(rebuild=faulty)
        eye = await made.eye(live_map=own)
        await store.flushall()
        await made.tick(live_map=own)
        assert [record.message for record in caplog.records] == ["viewers could not be told"]
        made.clock.advance(AGAIN_MS)
        with pytest.raises(RuntimeError, match="a fault"):
            await own.snapshot(EVENT)

        await made.store.load(EVENT, 5, EMPTY)
        await made.tick(AGAIN_MS, live_map=own)
        await eye.hear()
        assert eye.watch.heard == {"reset": 1}
        await own.stop()


async def test_a_clock_that_jumps_back_keeps_nothing_fresh_for_ever(store: Redis) -> None:
    """An hour back: the next question is a reading, and a message is told."""
    async with house(store) as made:
        eye = await made.eye()
        await made.tick()
        await made.hold(1)
        await made.tick(-3_600_000)
        assert Step.NEXT in await eye.hear()
        await sees_the_hall(eye, made)


async def test_resets_after_a_loss_are_spread(store: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many in a tick, until all have heard."""
    monkeypatch.setattr(live_map, "RESETS_PER_TICK", 2)
    async with house(store) as made:
        eyes = [await made.eye() for _ in range(5)]
        waiting = [asyncio.ensure_future(eye.viewer.next()) for eye in eyes]
        await asyncio.sleep(0)
        await made.store.load(EVENT, 2, EMPTY)
        done = []
        for _ in range(3):
            await made.tick()
            done.append(sum(one.done() for one in waiting))

    assert done == [2, 4, 5]
    assert RESETS_PER_TICK * 1000 // TICK_MS == 500


async def test_who_can_be_written_to_at_once_is_not_woken(store: Redis) -> None:
    """What is pushed is what would have been sent; a connection that takes nothing gets it later, and all of it."""
    async with house(store) as made:
        eye, other = await made.eye(), await made.eye()
        pushed: list[bytes] = []
        takes = [True]

        def write(octets: bytes) -> bool:
            if takes[0]:
                pushed.append(octets)
            return takes[0]

        eye.viewer.push.write = write
        waiting = asyncio.ensure_future(eye.viewer.next())
        await asyncio.sleep(0)
        await made.hold(5)
        await made.tick()
        assert await other.hear() == [Step.NEXT]
        assert not waiting.done()
        assert eye.watch.hear(b"".join(pushed)) == [Step.NEXT]
        await sees_the_hall(eye, made)

        takes[0] = False
        await made.hold(6)
        await made.tick()
        await made.hold(7)
        await made.tick()
        steps = eye.watch.hear(await waiting)
        steps += await eye.hear()
        await sees_the_hall(eye, made)

    assert len(pushed) == 1
    assert set(steps) <= {Step.NEXT, Step.KNOWN}
