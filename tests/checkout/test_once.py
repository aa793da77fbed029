"""What many ask for at once is made once."""

import asyncio

import pytest

from checkout.once import Once
from kernel.clock import ManualClock


class Kitchen:
    """Makes things when it is let."""

    def __init__(self) -> None:
        """Begin with an open door."""
        self.made: list[str] = []
        self.door = asyncio.Event()
        self.door.set()
        self.fails = False

    async def make(self, key: str) -> str:
        """Make one."""
        self.made.append(key)
        await self.door.wait()
        if self.fails:
            raise OSError(key)
        return f"{key}{len(self.made)}"


async def test_all_who_ask_at_once_get_the_same(clock: ManualClock) -> None:
    """A thousand askers, one making; another key is another thing."""
    kitchen = Kitchen()
    once = Once(kitchen.make, clock, keep_ms=100, most=8)

    got = await asyncio.gather(*(once.get("a") for _ in range(1000)), once.get("b"))

    assert kitchen.made == ["a", "b"]
    assert set(got[:1000]) == {got[0]}


async def test_a_thing_is_as_old_as_its_making(clock: ManualClock) -> None:
    """Its age counts from when the making began, and it is made anew at the end of its time, not before."""
    kitchen = Kitchen()
    once = Once(kitchen.make, clock, keep_ms=100, most=8)
    kitchen.door.clear()
    first = asyncio.create_task(once.get("a"))
    await asyncio.sleep(0)
    clock.advance(60)
    kitchen.door.set()

    assert await first == "a1"
    clock.advance(39)
    assert await once.get("a") == "a1"
    clock.advance(1)
    assert await once.get("a") == "a2"
    clock.advance(-500)
    assert await once.get("a") == "a3"


async def test_who_must_know_better_gets_a_newer_one_and_the_others_have_it_too(clock: ManualClock) -> None:
    """Within 20 ms, or made at this moment: shared with whoever comes while it is being made."""
    kitchen = Kitchen()
    once = Once(kitchen.make, clock, keep_ms=100, most=8)
    assert await once.get("a") == "a1"
    clock.advance(20)

    assert await once.get("a", 21) == "a1"
    assert await asyncio.gather(*(once.get("a", 20) for _ in range(3))) == ["a2"] * 3
    assert await once.get("a") == "a2"
    assert await once.get("a", 0) == "a3"


async def test_what_never_changes_is_made_once(clock: ManualClock) -> None:
    """Until it is forgotten, or there are too many others."""
    kitchen = Kitchen()
    once = Once(kitchen.make, clock, most=2)
    await once.get("a")
    clock.advance(10**12)
    await once.get("b")
    assert await once.get("a") == "a1"

    await once.get("c")
    await once.get("a")
    once.forget("a")
    await once.get("a")
    await once.get("b")

    assert kitchen.made == ["a", "b", "c", "a", "b"]


async def test_a_failure_is_told_to_all_who_waited_and_kept_by_nobody(clock: ManualClock) -> None:
    """The next one who asks tries again."""
    kitchen = Kitchen()
    once = Once(kitchen.make, clock, keep_ms=100, most=8)
    kitchen.fails = True
    failed = await asyncio.gather(*(once.get("a") for _ in range(3)), return_exceptions=True)
    kitchen.fails = False

    assert all(isinstance(one, OSError) for one in failed)
    assert await once.get("a") == "a2"


async def test_who_goes_away_takes_nothing_from_the_others(clock: ManualClock) -> None:
    """Also if it was the first; and if all go away, the thing is there for the next."""
    kitchen = Kitchen()
    kitchen.door.clear()
    once = Once(kitchen.make, clock, keep_ms=100, most=8)
    first, second = asyncio.create_task(once.get("a")), asyncio.create_task(once.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    kitchen.door.set()

    assert await second == "a1"
    assert await once.get("a") == "a1"
