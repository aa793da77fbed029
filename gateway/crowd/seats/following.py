"""Following: a viewer keeps a copy of the hall by the stream of changes, and holds it against a fresh map in the end.

The copy is kept as the page keeps it (``checkout.halls.deltas``). Everything that was told is noted as well, so that a
second implementation can read it again (``checkout.audit.invariants``). A copy that notices itself that it is lost is
made anew, as pages do; what must never be is one that is wrong and does not know.

A fresh map may be of a version in the middle of a message, since a message joins what came in some tenths of a second.
A message says what seats *are* after it, all that changed within it; so the map and every message after it must give
the copy as it is now.
"""

import asyncio
from contextlib import suppress

from checkout.audit.records import Delta, Snapshot
from checkout.halls.deltas import RESET, Copy, Step, Version, put, version
from gateway.crowd.browser import Ended, Listening
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.seats.buying import Buyer
from gateway.crowd.seats.hall import Seen
from gateway.crowd.seats.noted import Compared, Ending
from gateway.crowd.seats.sse import Message, Reader
from gateway.crowd.streams import BrokenOff
from gateway.crowd.wire import NoAnswer

ACCEPT = b"text/event-stream"
SLICE_S = 1.0
COMES_WITHIN_S = 10.0
"""A change that is on the map must be in the stream by then; half a second is what the shop promises."""

MAPS = 4
"""So many fresh maps are asked for, until one is not older than the copy's beginning."""

AGAIN_S = 1.0
WITHOUT_MAP_S = 2.0
SESSION_RATIO = 0.6
"""A viewer leaves this part of its session at most to looking."""


class Viewer:
    """One viewer with its copy."""

    def __init__(self, buyer: Buyer) -> None:
        self.buyer = buyer
        self.fan = buyer.fan
        self.name = f"fan {buyer.fan.file.index}"
        self.copy: Copy | None = None
        self._told: list[tuple[Version, str]] = []  # since the copy was made
        self._stream: Listening | None = None
        self._reader = Reader()

    async def follow(self) -> Ending:
        """Look on for a while, then compare."""
        fan = self.fan
        session_s = max(0.0, fan.expires_s - fan.venue.seconds())
        until_s = fan.venue.seconds() + min(fan.plan.follow_s, SESSION_RATIO * session_s)
        try:
            while fan.venue.seconds() < until_s:
                if self.copy is None and not await self._begin():
                    await fan.venue.sleep(WITHOUT_MAP_S)  # too much is going on for maps; it may become less
                else:
                    await self._listen(until_s, None)
            for _ in range(MAPS):
                if self.copy is None:
                    return Ending.NOTHING
                if await self._compare():
                    return Ending.FOLLOWED
                await fan.venue.sleep(AGAIN_S)
        finally:
            self._close()
        self.buyer.shop.watched_in_vain += 1
        return Ending.FOLLOWED

    async def _begin(self) -> bool:
        """Make the copy anew; False where only counts are told."""
        self.copy = None
        seen = await self.buyer.look()
        if seen is None:
            return False
        self._note(seen, self.name)
        self.copy = Copy(bytearray(seen.octets), seen.version)
        self._told = []
        return True

    def _note(self, seen: Seen, viewer: str) -> None:
        at_us = self.fan.venue.wall.answered_us(self.fan.venue.seconds())
        record = Snapshot(viewer, at_us, str(seen.version), seen.octets)
        self.buyer.shop.look(self.buyer.hall.id, record)

    async def _listen(self, until_s: float, target: Version | None) -> None:
        """Take what comes until a moment, or until the copy has come to a version, or there is none any more."""
        while (now_s := self.fan.venue.seconds()) < until_s and self.copy is not None:
            if target is not None and self.copy.version >= target:
                return
            if self._stream is None:
                await self._open()
                continue
            try:
                async with asyncio.timeout(min(SLICE_S, until_s - now_s)):
                    piece = await self._stream.read()
            except TimeoutError:
                await self.fan.venue.sleep(0)  # the crowd may be sent home
                continue
            except BrokenOff:
                piece = b""
            if not piece:  # ended from the other side: go on where it stopped
                self._close()
                await self.fan.venue.sleep(AGAIN_S)
                continue
            for message in self._reader.feed(piece):
                await self._take(message)

    async def _open(self) -> None:
        fan, copy = self.fan, self.copy
        assert copy is not None  # noqa: S101 - made before anything is opened
        path = self.buyer.base + b"/deltas?after=" + str(copy.version).encode()
        fan.notes.requests[Route.DELTAS][int(fan.venue.seconds())] += 1
        self._reader = Reader()
        with suppress(NoAnswer):
            stream = await fan.wire.stream(path, fan.head(ACCEPT, None, b"", cookies=True))
            if stream.status == 200 and ACCEPT in stream.headers.get(b"content-type", b""):
                self._stream = stream
                return
            stream.close()
        await fan.venue.sleep(AGAIN_S)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _take(self, message: Message) -> None:
        copy = self.copy
        if copy is None or copy.lost:
            return
        match message.name:
            case "message":
                told = version(message.id)
                step = copy.take(told, message.text)
                self._hear(message.id, message.text)
                if step is Step.NEXT:
                    self._told.append((told, message.text))
            case "check":
                told = version(message.id)
                if copy.check(told, message.text) is Step.LOST and told == copy.version:
                    self._compared(told, f"the shop's mark of {told} is another than that of the copy")
            case "reset":
                self._hear(message.id or str(copy.version), RESET)
                copy.lost = True
            case "counts":
                self._close()
                self.copy = None
            case _:
                pass
        if copy.lost:
            self._close()
            await self._begin()

    def _hear(self, id_: str, text: str) -> None:
        at_us = self.fan.venue.wall.answered_us(self.fan.venue.seconds())
        self.buyer.shop.look(self.buyer.hall.id, Delta(self.name, at_us, id_, text))

    async def _compare(self) -> bool:
        """Hold the copy against a fresh map; False where that is older than the copy's beginning."""
        seen = await self.buyer.look()
        if seen is None:
            self.copy = None
            return False
        self._note(seen, "")
        now_s = self.fan.venue.seconds()
        await self._listen(now_s + COMES_WITHIN_S, seen.version)
        copy = self.copy
        if copy is None:
            return False
        if copy.version < seen.version:
            if self._stream is not None:
                fault = f"the stream did not come to {seen.version} in {COMES_WITHIN_S:g} s"
            elif self.fan.notes.outages:
                return False
            else:
                raise Ended(Outcome.FAILED, "the stream of changes could not be had")
            self._compared(seen.version, fault)
            return True
        if seen.version < copy.base:
            return False
        mirror = bytearray(seen.octets)
        for told, text in self._told:
            if told > seen.version:
                put(mirror, text)
        same = mirror == copy.octets
        fault = f"the map {seen.version} and what was told after it are not the copy at {copy.version}"
        self._compared(seen.version, "" if same else fault)
        return True

    def _compared(self, at: Version, fault: str) -> None:
        hall = self.buyer.hall.id
        self.buyer.shop.compared.append(Compared(self.fan.file.index, hall, str(at), fault))
