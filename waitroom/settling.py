"""Settling: once, when the turn comes near, it is decided in which lane a place waits, and whether a check comes first.

The page tells its rhythm when its wait falls below two minutes, so what that costs follows the admitted. What is judged
before "your turn" shows is settled: **who was called is not judged any more**, and a place is judged once. Slow is
reversible: the check lifts it (``challenging``), and the number stays. Who is asked keeps the lane, and the claim waits
for the check. A page that tells nothing is neither slowed nor asked for it.

Whoever lost the answer asks again with the old ticket, and gets the slowed one again: the store knows it. Not here:
what speaks for what (``ports.Settler``), HTTP (``rhythm_web``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernel.asgi import Scope
from kernel.errors import Refused
from waitroom import ticket as tickets
from waitroom.lanes import Lane
from waitroom.ports import Found, Settler
from waitroom.reading import Reading
from waitroom.room_fields import BotGuard, ChallengeWay
from waitroom.service import Waitroom
from waitroom.standing import Place, Standing
from waitroom.ticket import REASONS_MOST, Ticket

NEAR_S = 120.0
"""Who may come in within this time may tell; the page asks at the middle of its wait, which is never sooner."""

_NO_RANK = -1


@dataclass(frozen=True, slots=True)
class Settled:
    """The place as it waits now; `text` is its ticket where that changed, `asks` the check that comes first."""

    ticket: Ticket
    text: str = ""
    asks: str = ""


class Settling:
    """Settles the lanes of the places of `waitroom`."""

    def __init__(self, waitroom: Waitroom, settler: Settler) -> None:
        """Join the parts."""
        self._waitroom = waitroom
        self._settler = settler

    async def tell(
        self, scope: Scope, room: str, text: str, cookies: Mapping[str, str], given: Mapping[str, object]
    ) -> Settled:
        """Take what a page tells of its rhythm, and settle its place.

        Raises Refused as ``Waitroom.place_of`` does, and ``rhythm-none``, ``rhythm-late``, ``rhythm-early``,
        ``rhythm-told``, ``rhythm-malformed``; and Unavailable.
        """
        now_ms = self._waitroom.clock.now_ms()
        reading, held, place = await self._waitroom.place_of(room, text, now_ms)
        if reading.room.bot_guard is BotGuard.OFF:
            raise Refused("rhythm-none", "This waiting room does not ask how a page is handled.", status=404)
        if held.lane is Lane.SUSPECT:
            return Settled(held)
        if place.standing in {Standing.CALLED, Standing.RECALL}:
            raise Refused("rhythm-late", "It is your turn already; nothing more is asked.", status=409)
        if not is_near(reading, held, place):
            raise Refused(
                "rhythm-early",
                "This is asked when the wait is below two minutes, and not before.",
                status=409,
            )
        found = await self._settler.settle(scope, reading.room, cookies, held, given, now_ms)
        if found is not None and not found.slow and not (found.asks and asks_checks(reading)):
            self._waitroom.metrics.settle(room, "kept", held.lane)
            return Settled(held)
        return await self._settled(reading, held, place, found)

    async def _settled(self, reading: Reading, held: Ticket, place: Place, found: Found | None) -> Settled:
        """Slow a place, or ask it; without `found` it was judged before, and gets again what came of it."""
        store, room = self._waitroom.store, reading.base.name
        if found is None:
            if asks_checks(reading) and (way := await store.asked(room, held.run, held.number)):
                return self._asked(room, "again", held, way)
            known = await store.slowed(room, held.run, held.number)
            if known is None:
                raise Refused(
                    "rhythm-told", "This place has told its rhythm before; once is enough.", status=409
                )
            return self._told(room, "again", held, *known)
        codes, line = ",".join(found.reasons[:REASONS_MOST]), reading.line
        rank, seed = _NO_RANK if place.rank is None else place.rank, line.seed if line else ""
        answer = await store.slow(room, held.run, seed, held.number, rank, held.lane, codes, way=found.asks)
        match answer:
            case ["slowed", since_ms]:
                return self._told(room, "slowed", held, int(since_ms), codes)
            case ["asked", _]:
                return self._asked(room, "asked", held, found.asks)
            case ["again", _, _, way] if way:
                return self._asked(room, "again", held, way.decode())
            case ["again", since_ms, told, _]:
                return self._told(room, "again", held, int(since_ms), told.decode())
            case [word]:
                self._waitroom.metrics.settle(room, word, held.lane)
        return Settled(held)

    def _asked(self, room: str, word: str, held: Ticket, way: str) -> Settled:
        """Count a place that is asked; its ticket stays."""
        self._waitroom.metrics.settle(room, word, held.lane)
        return Settled(held, asks=way)

    def _told(self, room: str, word: str, held: Ticket, since_ms: int, codes: str) -> Settled:
        """Write the ticket of a place that was slowed."""
        self._waitroom.metrics.settle(room, word, held.lane)
        reasons = tuple(codes.split(",")) if codes else ()
        worse = replace(held, lane=Lane.SUSPECT, lane_since_ms=since_ms, reasons=reasons)
        return Settled(worse, tickets.write(self._waitroom.signer, worse))


def asks_checks(reading: Reading) -> bool:
    """Tell whether a room asks places for a check before their turn: its guard is on, and there is a check."""
    return reading.room.bot_guard is BotGuard.ON and reading.room.challenge.way is not ChallengeWay.NONE


def is_near(reading: Reading, held: Ticket, place: Place) -> bool:
    """Tell whether a place that waits may be called within two minutes, as far as anybody can know."""
    if place.standing is not Standing.WAITING:
        return False
    wait = reading.wait(place, held.lane)
    return place.ahead == 0 if wait is None else wait.low_s <= NEAR_S
