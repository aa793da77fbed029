"""Reminder store: one typed method for each transition of a book of reminders, and every key name of it.

The keys have a hash tag of their own and not the line's: nothing that a fan asks for here is in the way of a join. All
that is personal in them is sealed. Redis errors become ``Unavailable`` here and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from kernel.clock import Clock
from kernel.gcra import Rate
from kernel.lua import Scalar, Script, call, load
from kernel.store import translated
from waitroom.lanes import Lane, Serving
from waitroom.reminder import (
    ADDRESS_RATE,
    KEEP_MS,
    LEASE_MS,
    LIVE_MOST,
    Book,
    Came,
    Due,
    Job,
    Reminder,
    Stale,
    Taken,
)

RUBBISH_MS = KEEP_MS + 86_400_000
"""Keys that nobody asks for any more disappear after so long; it is no rule."""

WIPE_MOST = 500
"""So many are deleted in one call."""

_LUA = Path(__file__).parent / "lua"
_NAMES = ("prepare", "remind", "forget", "stop", "rank", "due", "told", "wipe")
_PARTS = 6

Answer = list[Any]


def stem_of(room: str) -> str:
    """Give the beginning of all keys of a room's book."""
    return f"wr:{{{room}/reminders}}:"


class ReminderStore:
    """Transitions of the books on a Redis or Valkey."""

    def __init__(
        self, client: Redis, scripts: Mapping[str, Script] | None = None, clock: Clock | None = None
    ) -> None:
        """Use `client`; `scripts` replaces single scripts and `clock` the store's own time: in tests."""
        self._client = client
        self._clock = clock
        self._scripts = {name: load(_LUA / f"{name}.lua") for name in _NAMES} | dict(scripts or {})

    async def prepare(self, room: str, epoch: int, run: str, half: str, now_ms: int | None = None) -> Answer:
        """Begin the book of a line, once."""
        args: dict[str, Scalar] = {"epoch": epoch, "run": run, "half": half, "keep_ms": RUBBISH_MS}
        answer = await self._call("prepare", room, args, now_ms)
        return [answer[0], *(part.decode() for part in answer[1:])]

    async def remind(
        self, room: str, epoch: int, wish: Reminder, most: int = LIVE_MOST, rate: Rate = ADDRESS_RATE,
        now_ms: int | None = None,
    ) -> Answer:  # fmt: skip
        """Put a reminder into the book."""
        args: dict[str, Scalar] = {
            "epoch": epoch, "number": wish.number, "lane": wish.lane,
            "rank": -1 if wish.rank is None else wish.rank, "sealed": wish.sealed, "tag": wish.tag,
            "until_ms": wish.until_ms, "most": most, "interval_us": rate.interval_us, "burst": rate.burst,
            "keep_ms": RUBBISH_MS,
        }  # fmt: skip
        return await self._call("remind", room, args, now_ms)

    async def forget(self, room: str, number: int, now_ms: int | None = None) -> Answer:
        """Delete the reminder of a place."""
        return await self._call("forget", room, {"number": number}, now_ms)

    async def stop(self, room: str, epoch: int, tag: str, now_ms: int | None = None) -> Answer:
        """Delete every reminder of an address, and take no more for it."""
        args: dict[str, Scalar] = {"epoch": epoch, "tag": tag, "keep_ms": RUBBISH_MS}
        return await self._call("stop", room, args, now_ms)

    async def rank(
        self, room: str, epoch: int, ranks: Mapping[int, int], now_ms: int | None = None
    ) -> Answer:
        """Give ranks to those who had none."""
        pairs = [part for pair in ranks.items() for part in pair]
        with translated():
            return await call(
                self._client, self._scripts["rank"], {"stem": stem_of(room)},
                {"epoch": epoch, "keep_ms": RUBBISH_MS, "pairs": pairs}, self._now(now_ms),
            )  # fmt: skip

    async def due(
        self, room: str, epoch: int, serving: Serving, near: Serving, most: int, lease: str,
        lease_ms: int = LEASE_MS, now_ms: int | None = None,
    ) -> Taken | Stale:  # fmt: skip
        """Take messages that are to be sent now."""
        args: dict[str, Scalar] = {
            "epoch": epoch, "most": most, "lease": lease, "lease_ms": lease_ms, "keep_ms": RUBBISH_MS,
            **{f"called_{lane}": serving.of(lane) for lane in Lane},
            **{f"near_{lane}": near.of(lane) for lane in Lane},
        }  # fmt: skip
        word, *rest = await self._call("due", room, args, now_ms)
        if word == "stale":
            return Stale()
        kept, unranked, *parts = rest
        found = [parts[at : at + _PARTS] for at in range(0, len(parts), _PARTS)]
        return Taken(tuple(_due(one) for one in found), kept, unranked)

    async def told(
        self, room: str, number: int, lease: str, came: Came, wait_ms: int = 0, now_ms: int | None = None
    ) -> Answer:
        """Write down what came of a try."""
        args: dict[str, Scalar] = {
            "number": number, "lease": lease, "came": came, "wait_ms": wait_ms, "keep_ms": RUBBISH_MS,
        }  # fmt: skip
        return await self._call("told", room, args, now_ms)

    async def wipe(self, room: str, below: int, most: int = WIPE_MOST, now_ms: int | None = None) -> Answer:
        """Destroy the key of a book whose line is over, and delete a part of it."""
        return await self._call("wipe", room, {"below": below, "most": most}, now_ms)

    async def sealed(self, room: str, number: int) -> str:
        """Read what is kept for a place, still sealed; '' for nothing."""
        with translated():
            found: Any = await self._client.hget(f"{stem_of(room)}one:{number}", "sealed")
        return (found or b"").decode()

    async def unranked(self, room: str, most: int) -> list[int]:
        """Name some of those who have no rank yet."""
        with translated():
            found: Any = await self._client.srandmember(f"{stem_of(room)}unranked", most)
        return [int(number) for number in found or ()]

    async def book(self, room: str) -> Book | None:
        """Read everything, but who asked how often: for tests, and for whoever looks for a fault."""
        stem = stem_of(room)
        with translated():
            head: Any = await self._client.hgetall(f"{stem}head")
            if not head:
                return None
            numbers: Any = await self._client.zrange(f"{stem}until", 0, -1)
            stopped: Any = await self._client.smembers(f"{stem}stopped")
            found: list[tuple[int, Any]] = [
                (int(number), await self._client.hgetall(f"{stem}one:{int(number)}")) for number in numbers
            ]
        return Book(
            int(head[b"epoch"]),
            head[b"run"].decode(),
            head[b"half"].decode(),
            {number: _reminder(number, fields) for number, fields in found},
            frozenset(tag.decode() for tag in stopped),
        )

    async def _call(self, name: str, room: str, args: Mapping[str, Scalar], now_ms: int | None) -> Answer:
        with translated():
            return await call(
                self._client, self._scripts[name], {"stem": stem_of(room)}, args, self._now(now_ms)
            )

    def _now(self, now_ms: int | None) -> int | None:
        return self._clock.now_ms() if now_ms is None and self._clock is not None else now_ms


def _due(parts: list[Any]) -> Due:
    number, lane, job, tries, sealed, tag = parts
    return Due(int(number), Lane(lane.decode()), Job(job.decode()), int(tries), sealed.decode(), tag.decode())


def _reminder(number: int, fields: dict[bytes, bytes]) -> Reminder:
    given, job = int(fields[b"rank"]), fields[b"job"].decode()
    return Reminder(
        number=number,
        lane=Lane(fields[b"lane"].decode()),
        rank=None if given < 0 else given,
        sealed=fields[b"sealed"].decode(),
        tag=fields[b"tag"].decode(),
        until_ms=int(fields[b"until_ms"]),
        is_near=fields[b"is_near"] == b"1",
        job=Job(job) if job else None,
        tries=int(fields[b"tries"]),
        at_ms=int(fields[b"at_ms"]),
        lease=fields[b"lease"].decode(),
    )
