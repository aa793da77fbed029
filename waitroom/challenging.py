"""Challenging: the use cases of a check: give one to a place, judge its answer, let the place climb.

A check that was passed brings a place from the lane ``suspect`` into ``standard``, and keeps its number. Whoever
climbed and lost the answer asks again with the old ticket, and gets the better one again: the store knows who has
climbed. A place that was asked for a check before its turn (``settling``) stays in its lane, and may
go in. Every outcome is counted where it is judged.

Not here: what a check is worth (``ports.Challenges``), HTTP (``challenge_web``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernel.errors import Refused, Unavailable
from waitroom import ticket as tickets
from waitroom.check_page import Check
from waitroom.lanes import Lane
from waitroom.ports import Asker, Challenges
from waitroom.reading import Reading
from waitroom.room_fields import ChallengeWay
from waitroom.service import Waitroom
from waitroom.ticket import Ticket

REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class Lifted:
    """The place is in a better lane; `text` is its ticket. Without a text nothing had to change."""

    ticket: Ticket
    text: str = ""


class Challenging:
    """Gives checks to the places of `waitroom`."""

    def __init__(self, waitroom: Waitroom, challenges: Challenges) -> None:
        """Join the parts."""
        self._waitroom = waitroom
        self._challenges = challenges

    def check(self, reading: Reading, *, work: bool, now_ms: int) -> Check:
        """Say what the page needs. Raises Refused (``challenge-none``)."""
        wanted = _wanted(reading)
        return Check() if work else self._challenges.check(wanted, now_ms)

    async def issue(
        self, room: str, text: str, way: str, given: object, now_ms: int
    ) -> Mapping[str, object] | Lifted:
        """Give a challenge, or the better ticket to whom has climbed already.

        Raises Refused as ``Waitroom.place_of`` does, ``challenge-none``, for `given` as `answer` does; and Unavailable.
        """
        reading, held, asker = await self._asker(room, text, now_ms)
        if held.lane is not Lane.SUSPECT:
            if not await self._waitroom.store.asked(room, held.run, held.number):
                return Lifted(held)
            issued = await self._challenges.issue(asker, way, given, now_ms)
            if isinstance(issued, str):
                raise _refused(issued)
            return {**issued, "asked": True}
        if await self._waitroom.store.has_climbed(room, held.run, held.number):
            return await self._lifted(reading, held, REPEAT)
        issued = await self._challenges.issue(asker, way, given, now_ms)
        if isinstance(issued, str):
            raise _refused(issued)
        return issued

    async def answer(self, room: str, text: str, way: str, answer: str, now_ms: int) -> Lifted:
        """Judge an answer. Raises Refused as ``Waitroom.place_of`` does, and ``challenge-*``; and Unavailable."""
        reading, held, asker = await self._asker(room, text, now_ms)
        is_asked = held.lane is not Lane.SUSPECT
        if is_asked and not await self._waitroom.store.asked(room, held.run, held.number):
            return Lifted(held)
        outcome = await self._challenges.verify(asker, way, answer, now_ms)
        if outcome != "passed":
            raise _refused(outcome)
        if is_asked:
            await self._waitroom.store.passes(room, held.run, held.number, way)
            self._waitroom.metrics.settle(room, "passed", held.lane)
            return Lifted(held, text)
        return await self._lifted(reading, held, way)

    async def _asker(self, room: str, text: str, now_ms: int) -> tuple[Reading, Ticket, Asker]:
        reading, held, _ = await self._waitroom.place_of(room, text, now_ms)
        wanted, line = _wanted(reading), reading.line
        if held.lane is not Lane.SUSPECT and await self._waitroom.store.slowed(room, held.run, held.number):
            # Its answer got lost: the ticket is from before the place was slowed.
            held = replace(held, lane=Lane.SUSPECT)
        waiting = line.shown_waiting if line else 0
        per_minute = (line.plan_per_minute if line else 0) or reading.room.new_users_per_minute
        return (
            reading,
            held,
            Asker(room, held.run, held.number, held.ticket_id, wanted, waiting / max(1, per_minute)),
        )

    async def _lifted(self, reading: Reading, held: Ticket, why: str) -> Lifted:
        store = self._waitroom.store
        answer = await store.climb(reading.base.name, held.run, held.number, held.lane, Lane.STANDARD, why)
        if answer[0] != "climbed":
            raise Refused("run-over", "The line you stood in is over. You can join the new one.", status=410)
        better = replace(held, lane=Lane(answer[1].decode()), lane_since_ms=int(answer[2]))
        return Lifted(better, tickets.write(self._waitroom.signer, better))


def _wanted(reading: Reading) -> str:
    way = reading.room.challenge.way
    if way is ChallengeWay.NONE:
        raise Refused("challenge-none", "There is no check in this waiting room.", status=404)
    return str(way)


def _refused(outcome: str) -> Refused | Unavailable:
    """Say in words why an answer does not count."""
    match outcome:
        case "malformed":
            return Refused("challenge-malformed", "This answer cannot be read. Please do the check again.")
        case "expired":
            return Refused(
                "challenge-expired", "The time for this check is over. Please do it again.", status=410
            )
        case "spent":
            return Refused(
                "challenge-spent", "This answer has been used: each is good once. Please do the check again.",
                status=409,
            )  # fmt: skip
        case "foreign":
            return Refused("challenge-foreign", "This check was made for another place.", status=403)
        case "forged":
            return Refused("challenge-forged", "This check is none of ours. Please do it again.", status=403)
        case "elsewhere":
            return Refused("challenge-elsewhere", "This check was done on another site.", status=403)
        case "doubted":
            return Refused(
                "challenge-doubted", "The provider is not sure about this visit. Please take the other way.",
                status=403,
            )  # fmt: skip
        case "away":
            return Unavailable(
                "challenge-away", "The provider of this check does not answer. Please take the other way.",
                retry_after_s=30,
            )  # fmt: skip
        case _:
            return Refused(
                "challenge-wrong", "This answer is not right. Please do the check again.", status=403
            )
