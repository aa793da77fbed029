"""The live map under too much load: sections instead of seats, and back; nothing but maps gets coarser."""

import json

import pytest
from redis.asyncio import Redis

from checkout.halls import deltas
from checkout.live import feeds
from checkout.live.crowding import Bounds
from checkout.live.service import LiveMap
from tests.checkout.holding import EVENT
from tests.checkout.maps import house, sees_the_hall


async def test_too_much_is_told_by_sections_and_then_by_seats_again(store: Redis) -> None:
    """Maps, streams that are open, streams that begin; afterwards all fetch the map and see the hall."""
    async with house(store) as made:
        eye = await made.eye()
        await made.hold(1, 9)
        await made.crowd()
        late = await made.eye()
        for one in (eye, late):
            await one.hear()
            assert json.loads(one.watch.counts) == {"sections": [[7, 8], [3, 4]]}
        body, _ = await made.live_map.snapshot(EVENT)
        assert (body.detail, body.packed) == ("sections", None)
        told = json.loads(body.octets)
        assert (told["detail"], told["sections"]) == ("sections", [[7, 8], [3, 4]])
        assert told["version"] == body.version == (await made.truth()).version
        # The best seats are sought in all of the hall, crowd or not.
        assert await made.live_map.look(EVENT) == await made.truth()

        await made.crowd(0)
        for one in (eye, late):
            await one.hear()
            assert one.watch.heard["reset"] == 1
            body, _ = await made.live_map.snapshot(EVENT)
            one.watch.fetched(body.octets, deltas.version(body.version))
        await made.hold(2)
        await made.tick()
        for one in (eye, late):
            await one.hear()
            await sees_the_hall(one, made)


async def test_counts_are_told_every_two_seconds_at_most(store: Redis) -> None:
    """Where they change; every eight where they do not, so that no page asks."""
    async with house(store) as made:
        eye = await made.eye()
        await made.crowd()
        await eye.hear()
        before = eye.watch.heard["counts"]
        for number in range(50):
            await made.release(await made.hold(11))
            if number % 10 == 9:
                await made.hold(number // 10)
            await made.tick()
            await eye.hear()
        assert 4 <= eye.watch.heard["counts"] - before <= 5
        await made.tick(feeds.COUNTS_MS)
        await eye.hear()
        before = eye.watch.heard["counts"]
        for _ in range(80):
            await made.tick()
            await eye.hear()
        assert eye.watch.heard["counts"] - before == 2


async def test_viewers_and_bytes_count_as_load_too(store: Redis) -> None:
    """As many viewers as are allowed, or as many bytes a second."""
    async with house(store, bounds=Bounds(viewers=2)) as made:
        await made.eye()
        await made.tick(5_000)
        await made.tick(5_000)
        assert not made.live_map.is_crowded
        await made.eye()
        await made.tick(1_000)
        await made.tick(1_000)
        assert made.live_map.is_crowded
    async with house(store, bounds=Bounds(bytes_per_s=1_000)) as made:
        for _ in range(3):
            made.live_map.written(999)
            await made.tick(1_000)
        assert not made.live_map.is_crowded
        for _ in range(3):
            made.live_map.written(1_000)
            await made.tick(1_000)
        assert made.live_map.is_crowded


async def test_the_test_of_sections_notices_a_worker_that_never_gives_in(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: the load is not judged."""
    monkeypatch.setattr(LiveMap, "_measure", lambda *_: None)
    with pytest.raises(AssertionError):
        await test_too_much_is_told_by_sections_and_then_by_seats_again(store)
