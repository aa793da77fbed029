"""Batch: claims that arrive together share a trip, and each has its own answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as StoreAway
from redis.exceptions import ResponseError

from kernel import batch as batching
from kernel.batch import MOST_AT_ONCE, Batch
from kernel.lua import Script, load
from kernel.store import connect

ADD = """-- add: add to a counter, and tell the sum and the time.
-- KEYS: counter
-- ARGV: amount
-- RETURNS: {'added', sum, now_ms}
local counter = KEYS[1]
local amount = tonumber(ARGV[1])
if amount < 0 then
  return redis.error_reply('ERR negative')
end
return {'added', redis.call('INCRBY', counter, amount), now_ms}
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Load a small script."""
    file = tmp_path / "add.lua"
    file.write_text(ADD)
    return load(file)


class Trips:
    """A client that counts its trips."""

    def __init__(self, client: Redis) -> None:
        """Wrap a real one."""
        self.client, self.sizes = client, list[int]()

    async def evalsha(self, sha1: str, keys: int, *rest: Any) -> Any:
        """Count what travels: each call has one key."""
        self.sizes.append(keys)
        return await self.client.evalsha(sha1, keys, *rest)

    async def script_load(self, text: str) -> Any:
        """Load."""
        return await self.client.script_load(text)


async def test_calls_that_arrive_together_travel_together(store: Redis, script: Script) -> None:
    """One trip for the crowd; every caller gets the answer to the own call, in the order of asking."""
    trips = Trips(store)
    batch = Batch(trips, script)  # type: ignore[arg-type]
    await batch.call(["n"], [0], None)
    trips.sizes.clear()

    answers = await asyncio.gather(*(batch.call(["n"], [1], 5 + step) for step in range(60)))

    assert answers == [["added", step + 1, 5 + step] for step in range(60)]
    assert trips.sizes == [60]


async def test_what_comes_during_a_trip_takes_the_next_one(store: Redis, script: Script) -> None:
    """Group commit: two trips for many that come in two waves; a trip is bounded."""
    trips = Trips(store)
    batch = Batch(trips, script)  # type: ignore[arg-type]
    await batch.call(["n"], [0], None)
    trips.sizes.clear()
    first = asyncio.ensure_future(batch.call(["n"], [1], None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await asyncio.gather(first, *(batch.call(["n"], [1], None) for _ in range(MOST_AT_ONCE + 3)))

    assert trips.sizes == [1, MOST_AT_ONCE, 3]
    assert await store.get("n") == str(MOST_AT_ONCE + 4).encode()


@pytest.mark.parametrize("count", [1, 50])
async def test_a_store_that_forgot_the_script_is_taught_it_and_runs_each_call_once(
    store: Redis, script: Script, count: int
) -> None:
    """NOSCRIPT means that it did not run."""
    batch = Batch(store, script)

    await asyncio.gather(*(batch.call(["n"], [1], None) for _ in range(count)))

    assert await store.get("n") == str(count).encode()


async def test_a_call_that_fails_fails_alone(store: Redis, script: Script) -> None:
    """Those beside it are done."""
    batch = Batch(store, script)

    good, bad, other = await asyncio.gather(
        *(batch.call(["n"], [amount], None) for amount in (1, -1, 1)), return_exceptions=True
    )

    assert isinstance(bad, ResponseError)
    assert (good, other) != (bad, bad)
    assert await store.get("n") == b"2"


async def test_a_call_that_breaks_inside_the_script_breaks_alone(store: Redis, script: Script) -> None:
    """Not an answer that says so, but a fault: a key of another kind, a program that cannot go on."""
    batch = Batch(store, script)
    await store.rpush("list", "x")

    calls = [("n", 1), ("list", 1), ("n", "one"), ("n", 1)]
    good, wrong, broken, other = await asyncio.gather(
        *(batch.call([key], [amount], None) for key, amount in calls), return_exceptions=True
    )

    assert "WRONGTYPE" in str(wrong)
    assert isinstance(broken, ResponseError)
    assert good[:2] == ["added", 1]  # type: ignore[index]
    assert other[:2] == ["added", 2]  # type: ignore[index]


async def test_without_its_net_one_fault_takes_all_along(
    store: Redis, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the script runs for each without ``pcall``."""
    monkeypatch.setattr(
        batching, "_EACH", batching._EACH.replace("pcall(one, keys, argv)", "true, one(keys, argv)")
    )
    with pytest.raises((AssertionError, TypeError, ResponseError)):
        await test_a_call_that_breaks_inside_the_script_breaks_alone(store, script)


async def test_when_the_trip_fails_every_caller_is_told_and_the_next_trip_is_made(script: Script) -> None:
    """The store is away; nobody waits for ever."""
    client = connect("unix:///nowhere/store.sock")
    batch = Batch(client, script)

    for _ in range(2):
        answers = await asyncio.gather(
            *(batch.call(["n"], [1], None) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(answer, StoreAway) for answer in answers)
    await client.aclose()


async def test_a_caller_who_goes_away_does_not_disturb_the_others(store: Redis, script: Script) -> None:
    """The call is made all the same: the fan's claim counts, and a repeat is the same admission."""
    batch = Batch(store, script)
    leaver = asyncio.ensure_future(batch.call(["n"], [1], None))
    stayer = asyncio.ensure_future(batch.call(["n"], [1], None))
    await asyncio.sleep(0)
    leaver.cancel()

    assert (await stayer)[0] == "added"
    assert leaver.cancelled()
    assert await store.get("n") == b"2"


async def test_a_batch_that_is_stopped_leaves_nobody_waiting(store: Redis, script: Script) -> None:
    """At shutdown."""
    batch = Batch(store, script)
    waiting = [asyncio.ensure_future(batch.call(["n"], [1], None)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batch._trip is not None

    batch._trip.cancel()

    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)
