"""Carrying: the use cases of a place that moves to another device: send, take, ask.

Codes are made here and told to nobody but the one who asked: they stand in no log, no metric, no key. Every
outcome is counted. Not here: the rule (``carry``), HTTP (``carry_web``).
"""

import secrets
from typing import NamedTuple

from kernel.errors import Refused
from kernel.signing import b64url, from_b64url
from waitroom import carry as rules
from waitroom import ticket as tickets
from waitroom.service import Waitroom
from waitroom.ticket import Ticket

_CODE_CHARS = 22


class Sent(NamedTuple):
    """What the old device gets: the code for the new one, and the parcel's name to ask by."""

    code: str
    name: str
    until_ms: int


class Carrying:
    """Hands places from one device to another."""

    def __init__(self, waitroom: Waitroom) -> None:
        """Serve the rooms of `waitroom`."""
        self._waitroom = waitroom
        self._outcomes = waitroom.metrics.carries

    async def send(self, room: str, text: str, now_ms: int) -> Sent:
        """Put a ticket on its way. Raises Refused as ``Waitroom.place_of`` does, and Unavailable."""
        _, held, _ = await self._waitroom.place_of(room, text, now_ms)
        code = secrets.token_bytes(rules.CODE_BYTES)
        name = rules.name_of(code)
        kept = await self._waitroom.store.carry(room, held.run, name, rules.sealed(code, text.encode()))
        if kept[0] != "kept":
            self._outcomes.labels("stale").inc()
            raise Refused("run-over", "The line you stood in is over. You can join the new one.", status=410)
        self._outcomes.labels("sent").inc()
        return Sent(b64url(code), name, int(kept[1]))

    async def take(self, room: str, code: str, taker: str) -> tuple[str, Ticket]:
        """Hand a ticket over; `taker` ('' for none) is who gets it again when the answer was lost.

        Raises Refused (``carry-code-malformed``, ``carry-taken``, ``carry-gone``) and Unavailable.
        """
        self._waitroom.reading(room)
        octets = _octets(code)
        if octets is None:
            self._outcomes.labels("malformed").inc()
            raise Refused("carry-code-malformed", "This link is not complete. Please copy the whole of it.")
        answer = await self._waitroom.store.take(room, rules.name_of(octets), taker)
        self._outcomes.labels(answer[0]).inc()
        match answer[0]:
            case "handed":
                text = rules.sealed(octets, answer[1]).decode("latin-1")
                return text, tickets.read(self._waitroom.signer, text, room)
            case "taken":
                raise Refused(
                    "carry-taken",
                    "This link has been used already: it carries a place once. Make a new one on the device that "
                    "has the place.",
                    status=409,
                )
            case _:
                raise Refused(
                    "carry-gone",
                    "This link is no longer good: it lasts five minutes. Make a new one on the device that has the "
                    "place; the place itself is safe there.",
                    status=410,
                )

    async def needs_no_key(self, room: str, code: str) -> None:
        """Leave a parcel where it is if its place is bound and the taker's browser has shown no key.

        Raises Refused (``carry-key-needed``) and Unavailable.
        """
        octets = _octets(code)
        parcel = (await self._waitroom.store.parcel(room, rules.name_of(octets)))[0] if octets else None
        if octets is None or parcel is None:
            return
        text = rules.sealed(octets, parcel.sealed).decode("latin-1")
        if tickets.read(self._waitroom.signer, text, room).key:
            self._outcomes.labels("keyless").inc()
            raise Refused(
                "carry-key-needed",
                "This place is bound to a browser, and this one can keep no key for it: it is private, or too old. "
                "Open the link in another browser; the place is safe on the device that has it.",
                status=409,
            )

    async def carried(self, room: str, name: str) -> rules.Carried:
        """Tell the old device how its parcel stands."""
        self._waitroom.reading(room)
        return rules.carried(*await self._waitroom.store.parcel(room, name))


def _octets(code: str) -> bytes | None:
    if len(code) != _CODE_CHARS or not code.isascii():
        return None
    try:
        octets = from_b64url(code)
    except ValueError:
        return None
    return octets if len(octets) == rules.CODE_BYTES else None
