"""Ticket: a visitor's place, signed, and kept by the visitor.

The store forgets nobody because it remembers nobody: a ticket carries every input of its own leaf, so
the line can be rebuilt from what the visitors bring back (``recovery``). The text is

    kid "." base64url("1|room|run|epoch|number|ticket_id|lane|lane_since_ms|identity_tag|holder_key") "." base64url(mac)

with HMAC-SHA256 under the purpose ``ticket`` (``kernel.signing``); once its holder was given more time to come in,
``|extensions`` follows the holder's key, and after that ``|reasons`` for which a place is in the lane suspect;
at last ``|carried_key``, where the place was carried to a browser with another key than the one it began with.
A ticket is a bearer paper, who holds it has the place, unless it names a key (``binding``). Not here: whether its
run is still open, and its rank (``standing``).
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from kernel.errors import Refused
from kernel.signing import BadSignature, b64url, from_b64url
from waitroom.draw import LEAF_BYTES, draw_id, field, leaf
from waitroom.lanes import Lane

MAX_CHARS = 1024
_FIELDS = (10, 11, 12, 13)
_EXTENSIONS = re.compile(r"[1-9][0-9]?")
REASONS_MOST = 10
_REASONS = re.compile(rf"[a-z-]{{1,40}}(?:,[a-z-]{{1,40}}){{0,{REASONS_MOST - 1}}}")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES = 16


class TicketSigner(Protocol):
    """Signs and opens texts (``kernel.signing.Signer`` with the purpose ``ticket``)."""

    def sign(self, payload: bytes) -> str:
        """Return the signed text."""

    def open(self, text: str) -> bytes:
        """Return the payload or raise BadSignature."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place: `number` in `run` of `room`; `ticket_id` is 16 random bytes as base64url."""

    room: str
    run: str
    epoch: int
    number: int
    ticket_id: str
    lane: Lane
    lane_since_ms: int
    identity_tag: str = ""
    holder_key: str = ""
    extensions: int = 0
    """How often the claim window was made longer by its own length (``standing.more_time``)."""

    reasons: tuple[str, ...] = ()
    """Why the place is in the lane suspect: codes, as the fan's receipt tells them."""

    carried_key: str = ""
    """The key that counts since the place was carried to another browser; the leaf keeps the first one."""

    @property
    def key(self) -> str:
        """The thumbprint of the key that this ticket is bound to, '' for none."""
        return self.carried_key or self.holder_key

    @property
    def leaf(self) -> bytes:
        """The 16 bytes that the store keeps for this place."""
        return leaf(
            draw_id(self.room, self.run),
            from_b64url(self.ticket_id),
            from_b64url(self.identity_tag),
            from_b64url(self.holder_key),
        )


def write(signer: TicketSigner, ticket: Ticket) -> str:
    """Sign a ticket. One without extensions and reasons is the very text that it was before there were any."""
    told = ticket.reasons or ticket.carried_key
    more = f"|{ticket.extensions}" if ticket.extensions or told else ""
    more += f"|{','.join(ticket.reasons)}" if told else ""
    more += f"|{ticket.carried_key}" if ticket.carried_key else ""
    return signer.sign(
        f"1|{ticket.room}|{ticket.run}|{ticket.epoch}|{ticket.number}|{ticket.ticket_id}|{ticket.lane}"
        f"|{ticket.lane_since_ms}|{ticket.identity_tag}|{ticket.holder_key}{more}".encode()
    )


class Desk:
    """Writes the plain tickets of one run and epoch: the same papers as `write`, at half the price.

    For tickets without identity, with a key or without, which is what a crowd's first second consists of.
    """

    __slots__ = ("_head", "_leaf_head", "_signer", "_tail", "epoch", "lane", "run")

    def __init__(self, signer: TicketSigner, room: str, run: str, epoch: int, lane: Lane) -> None:
        """Prepare what all these tickets share."""
        self.run = run
        self.epoch = epoch
        self.lane = lane
        self._signer = signer
        self._head = f"1|{room}|{run}|{epoch}|"
        self._tail = f"|{lane}|"
        self._leaf_head = b"\x00" + field(draw_id(room, run)) + _ID_BYTES.to_bytes(2, "big")

    def leaf(self, ticket_id: bytes, holder_key: str = "") -> bytes:
        """Return the leaf of a ticket id (16 bytes) and a holder's key (base64url)."""
        tail = b"\0\0" + field(from_b64url(holder_key)) if holder_key else b"\0\0\0\0"
        return sha256(self._leaf_head + ticket_id + tail).digest()[:LEAF_BYTES]

    def write(
        self, number: int, ticket_id: bytes, now_ms: int, reasons: tuple[str, ...] = (), holder_key: str = ""
    ) -> str:
        """Sign the ticket of a number."""
        more = f"|0|{','.join(reasons)}" if reasons else ""
        text = f"{self._head}{number}|{b64url(ticket_id)}{self._tail}{now_ms}||{holder_key}{more}"
        return self._signer.sign(text.encode())


def read(signer: TicketSigner, text: str, room: str) -> Ticket:
    """Open a ticket of this room.

    Raises Refused: ``ticket-missing`` (401), ``ticket-invalid`` (403: forged, cut off, unknown key) or
    ``ticket-foreign-room`` (403).
    """
    if not text:
        raise Refused(
            "ticket-missing", "You have no place in this line yet. Open the page to get one.", status=401
        )
    try:
        if len(text) > MAX_CHARS:
            raise _invalid()
        fields = signer.open(text).decode("ascii").split("|")
        if len(fields) not in _FIELDS or fields[0] != "1":
            raise _invalid()
        if not _is_tail(fields[10:]):
            raise _invalid()
        ticket = Ticket(
            room=fields[1],
            run=fields[2],
            epoch=int(fields[3]),
            number=int(fields[4]),
            ticket_id=fields[5],
            lane=Lane(fields[6]),
            lane_since_ms=int(fields[7]),
            identity_tag=fields[8],
            holder_key=fields[9],
            extensions=int(fields[10]) if fields[10:] else 0,
            reasons=tuple(fields[11].split(",")) if fields[11:] and fields[11] else (),
            carried_key=fields[12] if fields[12:] else "",
        )
    except (BadSignature, ValueError) as reason:
        raise _invalid() from reason
    if ticket.room != room:
        raise Refused("ticket-foreign-room", "This place belongs to another waiting room.", status=403)
    return ticket


def _is_tail(fields: list[str]) -> bool:
    """Tell whether what follows the holder's key is as we write it: extensions, or also reasons, or also a key."""
    match fields:
        case []:
            return True
        case [extensions]:
            return _EXTENSIONS.fullmatch(extensions) is not None
        case [extensions, reasons, *key]:
            counted = extensions == "0" or _EXTENSIONS.fullmatch(extensions) is not None
            told = _REASONS.fullmatch(reasons) is not None or (bool(key) and not reasons)
            return counted and told and all(_KEY.fullmatch(one) for one in key)
        case _:
            return False


def _invalid() -> Refused:
    return Refused(
        "ticket-invalid", "This place cannot be read. Open the page again to get a new one.", status=403
    )
