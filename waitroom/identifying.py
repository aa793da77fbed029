"""Identifying: the use cases of a room that asks who comes: show an identity, and get its one place.

Who shows a code or a number gets a tag (``identity``); the line knows which place a tag has, and the very same ticket
is written for it again, on any device. A right code is always taken, however many wrong ones came from the same
network: a network that many share cannot be locked out by one of them, and a guess is too unlikely to need it
(``codes``).

The key of a run is made with its first identity and destroyed when the run is over (``tidy``): after that nobody
joins with an identity, and nobody can tell whose a tag was. Not here: HTTP (``identity_web``), the rules (``enlist``,
``mailed``).
"""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import orjson

from kernel.addresses import network_of, parsed
from kernel.errors import Refused, Unavailable
from kernel.signing import BadSignature, PaperSigner, b64url, from_b64url
from waitroom import codes, ticket
from waitroom.closing import closed, full
from waitroom.codes import Batch, Code
from waitroom.enlist import Enlisted
from waitroom.identity import Shown, room_key, tag, ticket_id
from waitroom.identity_book import IdentityBook
from waitroom.lanes import Lane
from waitroom.mailed import DIGITS, Gone, Right, Slow, Wrong
from waitroom.mailed_store import MailedStore
from waitroom.newcomer import Newcomer
from waitroom.ports import AddressBucket, NumberMails
from waitroom.reading import Reading
from waitroom.room_fields import IdentityWay
from waitroom.schedule import Phase
from waitroom.service import Waitroom
from waitroom.store import Answer
from waitroom.ticket import Ticket

log = logging.getLogger(__name__)

WRONG_PER_MINUTE, WRONG_BURST = 30, 30
"""Wrong codes and numbers that a network is told of; beyond that it is told to wait."""

BATCHES_MS = 2_000
"""A batch that was revoked is known so late at most."""

STRANGERS_MS = 600_000
"""The keys of rooms that were removed are looked for so often, and are at least so old."""

SHOWN = ("code", "paper", "number", "live")
"""Fields of a join in a room that asks; ``live`` says that the form came from a page with a script."""

REST_MS = 10_000
"""After a failure nothing is destroyed for so long."""

LOGIN_PAPER_MS = 600_000
"""A login that came back may be used for a join so long."""

_NAME_BYTES = 16
_NUMBER_LABEL = "number\0"


class Placed(NamedTuple):
    """A place: its ticket, number and lane."""

    text: str
    number: int
    lane: Lane


class Sent(NamedTuple):
    """A number is on its way; `paper` is what the page shows together with it."""

    paper: str
    until_ms: int


class Identifying:
    """Identities of this worker's rooms."""

    def __init__(
        self,
        waitroom: Waitroom,
        book: IdentityBook,
        store: MailedStore,
        mails: NumberMails | None,
        signer: PaperSigner,
        buckets: AddressBucket,
        *,
        secret: bytes,
        configured: Callable[[], Collection[str]],
    ) -> None:
        """`secret` is the ring's half of all keys; `configured` names the rooms that the journal knows."""
        self.waitroom = waitroom
        self.mails = mails
        self._book = book
        self._store = store
        self._signer = signer
        self._buckets = buckets
        self._secret = secret
        self._configured = configured
        self._keys: dict[str, tuple[str, bytes]] = {}
        self._batches: dict[str, tuple[int, Mapping[int, Batch]]] = {}
        self._tidied: dict[str, tuple[str, bool]] = {}
        self._looked_ms = self._rest_until_ms = 0
        self._shown = waitroom.metrics.identities

    # ---------------------------------------------------------------------------------- showing

    async def shown(self, reading: Reading, fields: Mapping[str, object], address: str, now_ms: int) -> Shown:
        """Read what somebody shows: ``code``, or ``paper`` and ``number``.

        Raises Refused (``identity-needed``, ``identity-code-wrong``, ``identity-number-wrong``,
        ``identity-number-gone``, ``identity-over``, ``too-many-codes``) and Unavailable.
        """
        way = reading.room.identity
        if way is IdentityWay.CODE and (typed := _text(fields, "code")):
            return await self._by_code(reading, typed, address, now_ms)
        if way is IdentityWay.MAIL and (paper := _text(fields, "paper")):
            return await self._by_number(reading, paper, _text(fields, "number"), address, now_ms)
        if way is IdentityWay.OIDC and (paper := _text(fields, "paper")):
            return self._by_login(reading, paper, now_ms)
        raise Refused(
            "identity-needed", "This waiting room asks who you are before you join.", status=403, way=str(way)
        )

    async def _by_code(self, reading: Reading, typed: str, address: str, now_ms: int) -> Shown:
        room, code = reading.base.name, codes.read(typed)
        batch = (await self._known(room, now_ms)).get(code.batch) if code else None
        if code is None or batch is None or not codes.is_good(code, batch, self._secret, room, now_ms):
            raise self._wrong(
                "code", room, address, now_ms,
                Refused("identity-code-wrong", "This code is not valid here. Please look at it again.", status=403),
            )  # fmt: skip
        self._shown.labels("code", "right").inc()
        key = await self._key(reading, now_ms)
        return Shown(b64url(tag(key, "code", f"{code.batch}/{code.number}")), batch.lane)

    async def _by_number(self, reading: Reading, paper: str, number: str, address: str, now_ms: int) -> Shown:
        room, run = reading.base.name, _run(reading)
        name = self._read_paper(paper, room, run)
        typed = "".join(sign for sign in number if sign.isdigit() and sign.isascii())
        found: Right | Wrong | Gone = Wrong(0)
        if len(typed) == DIGITS:
            digest = _digest(await self._key(reading, now_ms), name, typed)
            found = await self._store.guess(room, name, run, digest)
        match found:
            case Right(own):
                self._shown.labels("mail", "right").inc()
                return Shown(own)
            case Gone():
                self._shown.labels("mail", "gone").inc()
                raise Refused(
                    "identity-number-gone",
                    "This number does not count any more: it lasts ten minutes and a few tries. Ask for a new one.",
                    status=410,
                )
            case _:
                raise self._wrong(
                    "mail", room, address, now_ms,
                    Refused("identity-number-wrong", "This is not the number. Please look at it again.", status=403),
                )  # fmt: skip

    def _wrong(self, way: str, room: str, address: str, now_ms: int, reason: Refused) -> Refused:
        """Count a wrong one against its network, and say so, or that the network is to wait."""
        self._shown.labels(way, "wrong").inc()
        found = parsed(address)
        network = network_of(found) if found is not None else address
        wait_ms = self._buckets.take(f"{room}/codes", network, WRONG_PER_MINUTE, WRONG_BURST, now_ms)
        if not wait_ms:
            return reason
        return Refused(
            "too-many-codes",
            "Many wrong codes come from your network. Please try again in a moment.",
            status=429,
            retry_after_s=max(1, -(-wait_ms // 1000)),
        )

    async def _known(self, room: str, now_ms: int) -> Mapping[int, Batch]:
        kept = self._batches.get(room)
        if kept is None or not kept[0] <= now_ms < kept[0] + BATCHES_MS:
            found = await asyncio.to_thread(self._book.batches, room)
            kept = self._batches[room] = now_ms, {batch.batch: batch for batch in found}
        return kept[1]

    # ---------------------------------------------------------------------------------- by mail

    async def send(self, reading: Reading, given: object, language: str, name: str, now_ms: int) -> Sent:
        """Send a number to an address; `name` is what fans call the room.

        Raises Refused (``identity-needed``, ``identity-mail-invalid``, ``too-many-numbers``) and Unavailable.
        """
        if reading.room.identity is not IdentityWay.MAIL:
            raise Refused("identity-not-mail", "No number is sent by mail here.", status=404)
        if self.mails is None:
            raise _away()
        to, mailbox = self.mails.read(given)
        key, run, room = await self._key(reading, now_ms), _run(reading), reading.base.name
        own, asked = b64url(tag(key, "mail", mailbox)), secrets.token_hex(_NAME_BYTES)
        number = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        kept = await self._store.mailed(room, asked, run, own, _digest(key, asked, number))
        if isinstance(kept, Slow):
            self._shown.labels("mail", "slowed").inc()
            raise Refused(
                "too-many-numbers",
                "This address was written to too often. Please use the last number, or try again later.",
                status=429,
                retry_after_s=max(1, -(-kept.wait_ms // 1000)),
            )
        if not await self.mails.send(to, asked, number, language, name):
            self._shown.labels("mail", "not-sent").inc()
            raise Unavailable("mail-away", "The mail could not be sent just now. Please try again.", 5)
        self._shown.labels("mail", "sent").inc()
        return Sent(self._signer.sign(f"1|{room}|{run}|{asked}".encode()), kept.until_ms)

    # --------------------------------------------------------------------------------- by login

    async def login_paper(self, reading: Reading, identity: str, now_ms: int) -> str:
        """Write the paper that a join shows after a login; `identity` is issuer and subject."""
        own = b64url(tag(await self._key(reading, now_ms), "oidc", identity))
        return self._signer.sign(
            f"2|{reading.base.name}|{_run(reading)}|{own}|{now_ms + LOGIN_PAPER_MS}".encode()
        )

    def _by_login(self, reading: Reading, paper: str, now_ms: int) -> Shown:
        try:
            version, room, run, own, until_ms = self._signer.open(paper).decode("ascii").split("|")
            if (version, room, run) == ("2", reading.base.name, _run(reading)) and now_ms < int(until_ms):
                return Shown(own)
        except (BadSignature, ValueError):
            pass
        raise Refused("identity-login-over", "This login is too old. Please log in again.", status=410)

    def _read_paper(self, paper: str, room: str, run: str) -> str:
        try:
            version, of, its_run, name = self._signer.open(paper).decode("ascii").split("|")
            if (version, of, its_run) == ("1", room, run):
                return name
        except (BadSignature, ValueError):
            pass
        raise Refused(
            "identity-number-gone", "This number does not count here. Ask for a new one.", status=410
        )

    # ---------------------------------------------------------------------------------- joining

    async def join(self, reading: Reading, shown: Shown, now_ms: int, found: Newcomer) -> Placed:
        """Give an identity its place. Raises Refused as ``Waitroom.join``, and Unavailable."""
        line, room = reading.line, reading.base.name
        if line is None:
            raise closed(reading, now_ms)
        key, own = await self._key(reading, now_ms), from_b64url(shown.tag)
        first = shown.lane or reading.first_lane
        lane = Lane.SUSPECT if found.lane is Lane.SUSPECT else first
        held = Ticket(
            room, line.run, line.epoch, 0, b64url(ticket_id(key, own)), lane, now_ms, identity_tag=shown.tag
        )
        limit = reading.room.max_waiting if reading.joinable else 0
        answer = await self._enlist(room, line.run, held, limit)
        match answer[0]:
            case "enlisted":
                place = Enlisted(answer[1], answer[2], Lane(answer[3].decode()), int(answer[4]))
            case "full" if reading.joinable is not None:
                raise full()
            case "stale":
                await self.waitroom.refresh_room(room)
                raise Unavailable("room-turning", "The room is just opening anew. Please try again.")
            case _:
                await self.waitroom.refresh_room(room)
                raise closed(reading, now_ms)
        self.waitroom.metrics.joined.count += 1
        reading.given = max(reading.given, place.number + 1)
        reasons = found.reasons if place.lane is Lane.SUSPECT else ()
        text = ticket.write(
            self.waitroom.signer,
            Ticket(
                room, line.run, place.epoch, place.number, held.ticket_id, place.lane, place.since_ms,
                identity_tag=shown.tag, reasons=reasons,
            ),
        )  # fmt: skip
        return Placed(text, place.number, place.lane)

    async def _enlist(self, room: str, run: str, held: Ticket, limit: int | None) -> Answer:
        """Ask the store; once more after a failure, because a tag gets the same answer again."""
        store, asked = self.waitroom.store, (room, run, held.identity_tag, held.leaf, held.lane, limit)
        try:
            return await store.enlist(*asked)
        except Unavailable:
            return await store.enlist(*asked)

    # ------------------------------------------------------------------------------- the room key

    async def _key(self, reading: Reading, now_ms: int) -> bytes:
        line, room = reading.line, reading.base.name
        if reading.fallen:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        if line is None:
            raise closed(reading, now_ms)
        kept = self._keys.get(room)
        if kept is None or kept[0] != line.run:
            half = await asyncio.to_thread(self._book.half, room, line.run, line.epoch, now_ms)
            if not half:
                raise Refused(
                    "identity-over", "This line is over, and so are all identities in it.", status=410
                )
            kept = self._keys[room] = line.run, room_key(self._secret, half, room, line.run)
        return kept[1]

    async def tidy(self, room: str) -> None:
        """Destroy the keys of lines that are over; every worker does, and forgets its own copy.

        It is nothing that anybody waits for: while the journal is away it rests, and is tried again.
        """
        now_ms = self.waitroom.clock.now_ms()
        if now_ms < self._rest_until_ms:
            return
        try:
            if not self._looked_ms <= now_ms < self._looked_ms + STRANGERS_MS:
                self._looked_ms = now_ms
                await self.sweep(now_ms)
            await self._tidy(room)
        except Unavailable:
            self._rest_until_ms = now_ms + REST_MS
            log.warning(
                "room keys that are over cannot be destroyed yet; it is tried again", extra={"room": room}
            )

    async def _tidy(self, room: str) -> None:
        reading = self.waitroom.reading(room)
        line = reading.line
        if line is None or reading.fallen:
            return
        over = line.phase is Phase.ENDED
        if self._tidied.get(room) == (line.run, over):
            return
        kept = self._keys.get(room)
        if kept is not None and (over or kept[0] != line.run):
            del self._keys[room]
        gone = await asyncio.to_thread(self._book.destroy, room, line.run, line.epoch, over=over)
        if over:
            await self.waitroom.store.drop_tags(room, line.run)
        if gone:
            log.info("identity keys destroyed", extra={"room": room, "keys": gone})
        self._tidied[room] = line.run, over

    async def sweep(self, now_ms: int) -> None:
        """Destroy the keys of rooms that were removed."""
        rooms = await asyncio.to_thread(self._configured)
        await asyncio.to_thread(self._book.destroy_strangers, rooms, now_ms - STRANGERS_MS)


def shown_fields(body: bytes, fields: Mapping[str, list[str]], *, form: bool) -> Mapping[str, object]:
    """Return what of a join's body shows who somebody is; nothing for a body that cannot be read."""
    plain: object = {name: values[0] for name, values in fields.items()}
    if not form:
        try:
            plain = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            plain = {}
    return {name: plain[name] for name in SHOWN if name in plain} if isinstance(plain, dict) else {}


def make_codes(batch: Batch, secret: bytes) -> list[str]:
    """Write all codes of a batch."""
    key = codes.batch_key(secret, batch)
    return [codes.write(key, batch.batch, number) for number in range(batch.size)]


def found_code(typed: str, batches: Collection[Batch], secret: bytes) -> Code | None:
    """Return which code of ours somebody means, whether it still counts or not."""
    code = codes.read(typed)
    batch = next((batch for batch in batches if code is not None and batch.batch == code.batch), None)
    if code is None or batch is None or code.number >= batch.size:
        return None
    return code if codes.mac_of(codes.batch_key(secret, batch), code.number) == code.mac else None


def _digest(key: bytes, name: str, number: str) -> str:
    return hmac.digest(key, f"{_NUMBER_LABEL}{name}\0{number}".encode(), "sha256")[:16].hex()


def _run(reading: Reading) -> str:
    return reading.line.run if reading.line else ""


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""


def _away() -> Unavailable:
    return Unavailable("mail-away", "No mail can be sent from here just now.", 30)
