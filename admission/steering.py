"""Steering: what an operator does to single guests of a room: find, revoke, evict, give back.

A guest is named by the number that the fan reads, 0-based here. Every act has somebody who does it and a reason, and
is recorded before it is done: where the journal is away nothing happens. Eviction and reinstatement are recorded by
their own transitions, in the same step.

An eviction looks for the number's session before and once more after it: an admission that came between stands in the
record by then, since no later one is possible.

Revoking all takes those who are in at that moment, and those whose visit an eviction has ended: it does not come back
with the place. They are ended one transition each, a portion at a time, so that the store answers others in between; a
repeat after a failure goes on with those who are left. Gates learn all of it with their next tick. Not here: HTTP
(``dashboards.guest_api``), the record (``ports.Turns``).
"""

import asyncio
from dataclasses import dataclass

from admission import guests
from admission.guests import By
from admission.pace import LineFacts
from admission.ports import Line, Turn, Turns
from admission.service import Admission
from admission.sessions import Ended, Why
from kernel.clock import Clock
from kernel.errors import Refused

AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Guest:
    """A number of the present run. `turn` is its admission; `until_ms` is 0 where no visit lives."""

    run: str
    number: int
    turn: Turn | None
    until_ms: int
    evicted: bool


class Steering:
    """Acts on the guests of this installation's rooms."""

    def __init__(self, admission: Admission, line: Line, turns: Turns, clock: Clock) -> None:
        """Join the parts."""
        self._admission = admission
        self._line = line
        self._turns = turns
        self._clock = clock

    async def find(self, room: str, number: int) -> Guest:
        """Tell how a number stands at the door. Raises Refused (room-unknown, place-unknown) and Unavailable."""
        facts = await self._facts(room, number)
        turn = await self._turns.turn_of(room, facts.run, number)
        return await self._guest(room, facts.run, number, turn)

    async def revoke(self, room: str, number: int, by: By) -> Guest:
        """End the session of a number; its place is used. Raises Refused (no-session) too."""
        found = await self.find(room, number)
        if found.turn is None or not found.until_ms:
            raise Refused("no-session", "This guest has no session that could be revoked.", status=409)
        act = {"act": "session-revoked", "number": str(number), "sid": found.turn.sid}
        await self._note(room, found.run, act, by)
        await self._admission.end(room, found.turn.sid, Why.REVOKED)
        return await self._guest(room, found.run, number, found.turn)

    async def revoke_all(self, room: str, by: By) -> int:
        """End every session of a room; return how many were ended. Raises Refused (room-unknown) and Unavailable."""
        self._admission.rooms.limits(room)
        facts = await self._line.facts(room)
        now_ms = self._clock.now_ms()
        sids = await self._admission.store.live_sids(room, now_ms)
        sids += await self._admission.store.withheld(room, now_ms)
        act = {"act": "sessions-revoked", "count": str(len(sids))}
        await self._note(room, facts.run if facts else "", act, by)
        count = 0
        for start in range(0, len(sids), AT_ONCE):
            ends = [self._admission.end(room, sid, Why.REVOKED) for sid in sids[start : start + AT_ONCE]]
            count += sum(isinstance(one, Ended) for one in await asyncio.gather(*ends))
        return count

    async def evict(self, room: str, number: int, by: By) -> Guest:
        """Keep a number from its turn. Raises Refused (place-unknown, already-evicted) and Unavailable."""
        facts = await self._facts(room, number)
        turn = await self._turns.turn_of(room, facts.run, number)
        first = await self._evict(room, facts.run, number, turn, by)
        late = await self._turns.turn_of(room, facts.run, number)
        if late is not None and late != turn:
            await self._evict(room, facts.run, number, late, by)
        elif first.again and not first.until_ms:
            raise Refused("already-evicted", "This place has been evicted before.", status=409)
        return await self._guest(room, facts.run, number, late)

    async def reinstate(self, room: str, number: int, by: By) -> Guest:
        """Give an evicted number its place back. Raises Refused (room-unknown, place-unknown, not-evicted)."""
        facts = await self._facts(room, number)
        keys = self._line.keys(room)
        match await self._admission.store.reinstate(room, keys, facts.run, number, by):
            case guests.Back():
                turn = await self._turns.turn_of(room, facts.run, number)
                return await self._guest(room, facts.run, number, turn)
            case guests.NotOut():
                raise Refused("not-evicted", "This place is not evicted.", status=409)
            case guests.NoPlace():
                raise _unknown()

    async def evicted(self, room: str) -> list[int]:
        """List the numbers that are evicted."""
        return await self._admission.store.evicted(room)

    async def _evict(self, room: str, run: str, number: int, turn: Turn | None, by: By) -> guests.Out:
        sid = turn.sid if turn is not None else ""
        out = await self._admission.store.evict(room, self._line.keys(room), run, number, sid, by)
        if isinstance(out, guests.NoPlace):
            raise _unknown()
        return out

    async def _guest(self, room: str, run: str, number: int, turn: Turn | None) -> Guest:
        until_ms, evicted = await self._admission.store.guest(
            room, number, turn.sid if turn is not None else "", self._clock.now_ms()
        )
        return Guest(run, number, turn, until_ms, evicted)

    async def _facts(self, room: str, number: int) -> LineFacts:
        self._admission.rooms.limits(room)
        facts = await self._line.facts(room)
        if facts is None or number >= facts.issued:
            raise _unknown()
        return facts

    async def _note(self, room: str, run: str, act: dict[str, str], by: By) -> None:
        await self._turns.note(room, run, act | {"who": by.who, "why": by.why}, self._clock.now_ms())


def _unknown() -> Refused:
    return Refused("place-unknown", "There is no such place in the present line.", status=404)
