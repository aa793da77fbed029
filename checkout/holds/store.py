"""The hall's store: one typed method for each transition, and every key name of an event.

All keys of an event share its hash tag. ``now_ms`` is given in tests only; in production the store's own ``TIME``
counts. Redis errors become ``Unavailable`` here and nowhere else, and nothing is ever repeated here: a hold whose
answer was lost is asked again under the same id, and is the same hold.

The scripts have one law in common (how seats move, how a hold ends): ``lua/parts/hall.lua`` is put in front of each.
It becomes one line, so that the line numbers in the store's errors stay right.

TTLs: none. Every key is bounded by the hall and by the holds of the last ten minutes; ``drop`` takes an event away.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Literal

from redis.asyncio import Redis

from checkout.halls.seats import Status, ranges
from checkout.holds.answers import (
    Ask,
    Busy,
    Closed,
    Differs,
    Expired,
    Extended,
    ExtendOutcome,
    Few,
    Gone,
    Held,
    HeldAgain,
    HoldOutcome,
    HoldRecord,
    HoldState,
    Limit,
    Loaded,
    LoadOutcome,
    Marked,
    MarkOutcome,
    Missing,
    Newer,
    NotYours,
    Pinned,
    PinOutcome,
    Released,
    ReleaseOutcome,
    Seen,
    Settled,
    SettleOutcome,
    Taken,
    places_of,
)
from kernel.batch import Batch
from kernel.lua import PRELUDE, START, Scalar, Script, fast_call, load
from kernel.store import translated

SCRIPTS = (
    "hold",
    "extend",
    "release",
    "expire",
    "pin",
    "settle",
    "reclaim",
    "mark",
    "load",
    "look",
    "waits",
    "sale",
    "mine",
)
EXPIRE_MOST = 60
"""Holds that one call of ``expire`` frees at most: some milliseconds of the store's time."""

MARK_MOST = 8192
"""Seats that one call re-tiers at most."""

LUA = Path(__file__).parent / "lua"
_COMMENT = re.compile(r"^\s*--.*$")

Act = Literal["block", "unblock"]
To = Literal["sold", "back", "held"]


class Keys:
    """Names of one event's keys, in the order in which every script takes them."""

    __slots__ = ("all", "buyers", "deltas", "expiry", "head", "holds", "journal", "map", "owner")

    def __init__(self, event: str) -> None:
        """Name the keys of `event`."""
        stem = f"co:{{{event}}}:"
        self.map = stem + "map"
        self.owner = stem + "owner"
        self.holds = stem + "holds"
        self.expiry = stem + "expiry"
        self.buyers = stem + "buyers"
        self.head = stem + "head"
        self.deltas = stem + "deltas"
        self.journal = stem + "journal"
        self.all = (
            self.map, self.owner, self.holds, self.expiry, self.buyers, self.head, self.deltas, self.journal,
        )  # fmt: skip


@cache
def load_script(name: str) -> Script:
    """Read a script and put the common part in front of it."""
    script = load(LUA / f"{name}.lua")
    part = (LUA / "parts" / "hall.lua").read_text(encoding="utf-8")
    line = " ".join(row.strip() for row in part.splitlines() if not _COMMENT.match(row))
    text = f"{PRELUDE}{line}{START}{script.text.removeprefix(PRELUDE)}"
    return replace(script, text=text, sha1=sha1(text.encode(), usedforsecurity=False).hexdigest())


class HoldStore:
    """Transitions of halls on a Redis or Valkey."""

    def __init__(self, client: Redis, scripts: Mapping[str, Script] | None = None) -> None:
        """Use `client`; `scripts` replaces single scripts (mutants in tests)."""
        self.client = client
        self._scripts = {name: load_script(name) for name in SCRIPTS} | dict(scripts or {})
        self._holds = Batch(client, self._scripts["hold"])
        self._keys: dict[str, Keys] = {}

    def keys(self, event: str) -> Keys:
        """Return the key names of an event."""
        keys = self._keys.get(event)
        if keys is None:
            keys = self._keys[event] = Keys(event)
        return keys

    async def hold(self, event: str, ask: Ask, now_ms: int | None = None) -> HoldOutcome:
        """Put seats aside for a buyer: all of them, or none. Raises ``ValueError`` for seats named twice."""
        argv = (
            ask.id, ask.buyer, ask.wanted.text(), ask.ttl_ms, ask.max_per_buyer, int(ask.back), ask.price_version,
            ask.body, ask.currency,
        )  # fmt: skip
        with translated():
            answer = await self._holds.call(self.keys(event).all, argv, now_ms)
        return _hold_outcome(answer)

    async def extend(
        self, event: str, hold_id: bytes, buyer: str, ttl_ms: int, now_ms: int | None = None
    ) -> ExtendOutcome:
        """Move a hold's end once."""
        match await self._call("extend", event, (hold_id, buyer, ttl_ms), now_ms):
            case [("extended" | "again") as word, until_ms]:
                return Extended(until_ms, again=word == "again")
            case answer:
                return _not_done(answer)

    async def release(
        self, event: str, hold_id: bytes, buyer: str, now_ms: int | None = None
    ) -> ReleaseOutcome:
        """Give the seats of a hold back."""
        answer = await self._call("release", event, (hold_id, buyer), now_ms)
        return Released() if answer[0] == "released" else _not_done(answer)

    async def expire(self, event: str, most: int = EXPIRE_MOST, now_ms: int | None = None) -> Expired:
        """Free the holds that are over, and forget those that were over ten minutes ago."""
        _, holds, seats, more = await self._call("expire", event, (most,), now_ms)
        return Expired(holds, seats, more == b"1")

    async def due(self, events: Sequence[str], now_ms: int | None = None) -> list[str]:
        """Name those of the events that have something to expire or to forget."""
        pipe = self.client.pipeline(transaction=False)
        pipe.time()
        for event in events:
            pipe.zrange(self.keys(event).expiry, 0, 0, withscores=True)
        with translated():
            (seconds, micros), *firsts = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000 if now_ms is None else now_ms
        return [event for event, first in zip(events, firsts, strict=True) if first and first[0][1] <= now_ms]

    async def pin(
        self,
        event: str,
        hold_id: bytes,
        buyer: str,
        grace_ms: int,
        longest_ms: int,
        now_ms: int | None = None,
    ) -> PinOutcome:
        """Keep the seats of a hold while SQL decides."""
        match await self._call("pin", event, (hold_id, buyer, grace_ms, longest_ms), now_ms):
            case [("pinned" | "again") as word, fence, until_ms, epoch, price_version, seats, currency]:
                places = places_of(seats.decode())
                return Pinned(
                    fence, until_ms, epoch, price_version, places, currency.decode(), again=word == "again"
                )
            case answer:
                return _not_done(answer)

    async def settle(self, event: str, hold_id: bytes, to: To, now_ms: int | None = None) -> SettleOutcome:
        """Say what SQL decided about a hold: sold for good, back, or held on until its old end."""
        answer = await self._call("settle", event, (hold_id, to), now_ms)
        return Settled() if answer[0] == "settled" else Gone(HoldState(answer[1].decode()))

    async def reclaim(
        self, event: str, buyer: str, back: Status, seats: Iterable[int], now_ms: int | None = None
    ) -> Marked | Missing:
        """Free seats that were sold and came back, and count them off from who had bought them."""
        runs = [f"{first}+{count}" for first, count in ranges(seats)]
        answer = await self._call("reclaim", event, (buyer, int(back), *runs), now_ms)
        return Marked(answer[1]) if answer[0] == "marked" else Missing()

    async def mark(
        self, event: str, act: Act, seats: Iterable[int], now_ms: int | None = None
    ) -> MarkOutcome:
        """Block free seats, or free blocked ones: all of them, or none."""
        runs = [f"{first}+{count}" for first, count in ranges(seats)]
        return _marked(await self._call("mark", event, (act, 0, *runs), now_ms))

    async def retier(
        self, event: str, tier: int, seats: Iterable[int], now_ms: int | None = None
    ) -> Marked | Missing:
        """Put seats into another tier; open holds keep theirs in their record. A large number goes in pieces."""
        done = 0
        for runs in _pieces(ranges(seats)):
            argv: tuple[Scalar, ...] = ("tier", tier, *(f"{first}+{count}" for first, count in runs))
            match _marked(await self._call("mark", event, argv, now_ms)):
                case Marked(count):
                    done += count
                case Busy(outside):
                    raise ValueError(f"the hall has no seats {outside}")
                case Missing():
                    return Missing()
        return Marked(done)

    async def load(
        self,
        event: str,
        epoch: int,
        hall: bytes,
        records: Mapping[bytes, HoldRecord] | None = None,
        bought: Mapping[str, int] | None = None,
        *,
        is_open: bool = True,
        waiting: bool = False,
        now_ms: int | None = None,
    ) -> LoadOutcome:
        """Replace everything by `hall`, the live holds `records`, and the seats that buyers `bought` before.

        The map says HELD and RESERVED exactly where a record says held and pinned, else ``ValueError``. The streams
        stay: what has not reached SQL is not lost, and viewers are told to read the map again.
        """
        told = {
            seat: record.state is HoldState.PINNED
            for record in (records or {}).values()
            for seat, _ in record.seats
        }
        if any(not record.is_live for record in (records or {}).values()) or told != _owned(hall):
            raise ValueError("the records are not those of the map")
        rows = [item for hold_id, record in (records or {}).items() for item in (hold_id, record.text())]
        sums = ",".join(f"{buyer}={seats}" for buyer, seats in (bought or {}).items())
        argv = (epoch, hall, int(is_open), int(waiting), sums, *rows)
        word, known = await self._call("load", event, argv, now_ms)
        return Loaded(known) if word == "loaded" else Newer(known)

    async def look(self, event: str) -> Seen | Missing:
        """Read the whole map, its version and its counts at one moment."""
        match await self._call("look", event, (), None):
            case ["seen", epoch, delta_id, hall, *counts]:
                return Seen(epoch, delta_id.decode(), hall, tuple(counts))
            case _:
                return Missing()

    async def waits(self, event: str, *, waiting: bool, now_ms: int | None = None) -> int | Missing:
        """Say whether anybody waits for seats; when nobody does, the kept ones are free. Returns how many."""
        freed: int = 0
        while True:
            match await self._call("waits", event, (int(waiting), MARK_MOST), now_ms):
                case ["waits", count, more]:
                    freed += count
                    if not more:
                        return freed
                case _:
                    return Missing()

    async def sale(self, event: str, *, is_open: bool, now_ms: int | None = None) -> bool:
        """Open or close the hall for new holds; False when there is no map."""
        word: str = (await self._call("sale", event, (int(is_open),), now_ms))[0]
        return word == "sale"

    async def mine(
        self, event: str, buyer: str, now_ms: int | None = None
    ) -> tuple[int, int, dict[bytes, HoldRecord]]:
        """Return the store's time, how many seats a buyer has in all, and the live holds."""
        _, now, count, *rows = await self._call("mine", event, (buyer,), now_ms)
        pairs = zip(rows[::2], rows[1::2], strict=True)
        return now, count, {hold_id: HoldRecord.of(text) for hold_id, text in pairs}

    async def record(self, event: str, hold_id: bytes) -> HoldRecord | None:
        """Read what the store keeps of one hold."""
        with translated():
            text = await self.client.hget(self.keys(event).holds, hold_id)
        return None if text is None else HoldRecord.of(text)

    async def counts(self, event: str) -> tuple[int, ...] | None:
        """Count the seats of each status, in the order of ``Status``; None when there is no map."""
        with translated():
            got = await self.client.hmget(self.keys(event).head, [f"count:{int(one)}" for one in Status])
        return None if None in got else tuple(int(count) for count in got if count is not None)

    async def deltas(self, event: str, after: str, most: int) -> list[tuple[str, str]] | None:
        """Read what came after the delta `after`: ids and texts, oldest first, at most `most`.

        None when the stream has no such delta (any more): it was cut off, or belongs to a hall that was lost.
        """
        with translated():
            got: list[tuple[bytes, dict[bytes, bytes]]] = await self.client.xrange(  # type: ignore[assignment]
                self.keys(event).deltas, min=after, count=most + 1
            )
        if not got or got[0][0].decode() != after:
            return None
        return [(id_.decode(), fields[b"d"].decode()) for id_, fields in got[1:]]

    async def drop(self, event: str) -> None:
        """Take an event out of the store, and whatever else has its hash tag: leases, the waitlist's notes."""
        with translated():
            await self.client.unlink(*self.keys(event).all)
            async for key in self.client.scan_iter(f"co:{{{event}}}:*", count=1_000):
                await self.client.unlink(key)

    async def _call(self, name: str, event: str, argv: Sequence[Scalar], now_ms: int | None) -> list[Any]:
        with translated():
            return await fast_call(self.client, self._scripts[name], self.keys(event).all, argv, now_ms)


def _hold_outcome(answer: list[Any]) -> HoldOutcome:
    match answer:
        case ["held", fence, until_ms, epoch, seats]:
            return Held(fence, until_ms, epoch, places_of(seats.decode()))
        case ["again", state, fence, until_ms, epoch, seats, price_version, currency, extended]:
            return HeldAgain(
                HoldState(state.decode()),
                fence,
                until_ms,
                epoch,
                places_of(seats.decode()),
                price_version,
                currency.decode(),
                extended == 1,
            )
        case ["taken", *pairs]:
            return Taken(
                tuple((seat, Status(now)) for seat, now in zip(pairs[::2], pairs[1::2], strict=True))
            )
        case ["limit", has, most]:
            return Limit(has, most)
        case ["few", left]:
            return Few(left)
        case ["differs"]:
            return Differs()
        case ["closed"]:
            return Closed()
        case ["missing"]:
            return Missing()
        case _:
            raise TypeError(f"the script hold answered {answer!r}")


def _not_done(answer: list[Any]) -> Gone | NotYours:
    return NotYours() if answer[0] == "not-yours" else Gone(HoldState(answer[1].decode()))


def _marked(answer: list[Any]) -> MarkOutcome:
    match answer:
        case ["marked", count]:
            return Marked(count)
        case ["busy", *seats]:
            return Busy(tuple(seats))
        case _:
            return Missing()


def _owned(hall: bytes) -> dict[int, bool]:
    """Return the seats that have an owner, and whether they are reserved."""
    owners = (Status.HELD, Status.RESERVED)
    return {seat: now & 15 == Status.RESERVED for seat, now in enumerate(hall) if now & 15 in owners}


def _pieces(runs: Sequence[tuple[int, int]]) -> Iterable[list[tuple[int, int]]]:
    """Cut runs into pieces of at most ``MARK_MOST`` seats."""
    piece: list[tuple[int, int]] = []
    room = MARK_MOST
    for first, count in runs:
        start, left = first, count
        while left:
            part = min(left, room)
            piece.append((start, part))
            start, left, room = start + part, left - part, room - part
            if not room:
                yield piece
                piece, room = [], MARK_MOST
    if piece:
        yield piece
