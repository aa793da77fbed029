"""Adapters: one domain's answers in the words of another's questions.

The domains do not know each other; each says in its ``ports`` what it needs. Every translation between
them stands here, so that a mapping such as "a ticket of this lane claims in that lane" is one visible
line. Nothing is decided here.
"""

import asyncio
from collections.abc import Container, Mapping, Sequence
from typing import cast

from redis.asyncio import Redis

from admission.door import Place
from admission.limits import CookieAttributes, Limits
from admission.pace import LineFacts
from admission.ports import LineKeys, Turn
from admission.proof import Act, Wanted
from admission.service import Admission
from admission.sessions import Why
from admission.tokens import Reason
from gateway.decision import RoomRoute, bare_host, covers
from gateway.decision import Session as GateSession
from gateway.settings import Settings
from kernel.clock import Clock
from kernel.store import translated
from waitroom.binding import Binding
from waitroom.journal import Kind as JournalKind
from waitroom.journal import NewEntry
from waitroom.journal_store import JournalStore
from waitroom.lanes import Lane, Serving
from waitroom.line import CHUNK, LEAF_BYTES
from waitroom.reading import Reading
from waitroom.rooms import FailureStance, Method, Room, cookie_marks
from waitroom.service import Waitroom
from waitroom.settling import asks_checks
from waitroom.shells import Pages
from waitroom.standing import Standing
from waitroom.ticket import Ticket
from waitroom.words import negotiate

STREAMED_AT_ONCE = 500

AWAY_MS = 10_000
"""A reading older than this means that the store is away, as far as the failure stance goes."""


class LinePlaces:
    """``admission.ports.Places``: what a ticket is worth, for a claim."""

    def __init__(self, waitroom: Waitroom, binding: Binding | None = None) -> None:
        """Ask `waitroom`, and `binding` for the keys of places."""
        self._waitroom = waitroom
        self._binding = binding

    async def place_of(self, room: str, ticket_text: str, now_ms: int) -> Place:
        """Place a ticket; a rank that is still to be drawn lies behind everybody."""
        reading, held, place = await self._waitroom.place_of(room, ticket_text, now_ms)
        line, keys = reading.line, self._waitroom.store.keys(room)
        rank = place.rank if place.rank is not None else (line.issued if line else held.number)
        # A claim may come before we have read of its call; then it was called just now.
        called_ms = now_ms if place.standing is Standing.WAITING else place.called_ms
        return Place(
            room=room,
            run=held.run,
            epoch=held.epoch,
            number=held.number,
            rank=rank,
            lane=str(held.lane),
            leaf=held.leaf,
            ticket_id=held.ticket_id,
            called_ms=called_ms,
            recall=place.standing is Standing.RECALL,
            line_key=keys.line,
            leaves_key=keys.chunk(held.number),
            leaf_offset=held.number % CHUNK * LEAF_BYTES,
            journal_key=keys.journal,
            void=reading.fills_void(held),
            seed=line.seed if line else "",
            key=await self._binding.key_of(reading, held) if held.key and self._binding is not None else "",
            slowed_key=keys.slowed,
            checks=asks_checks(reading),
        )


class PlaceProofs:
    """``waitroom.ports.Proofs``: a proof for a place, as the door judges it."""

    def __init__(self, admission: Admission) -> None:
        """Ask `admission`."""
        self._admission = admission

    async def may_carry(self, held: Ticket, key: str, shown: str, now_ms: int) -> None:
        """Judge a proof that a place may be carried away."""
        wanted = Wanted(key, Act.CARRY, held.room, held.run, held.number)
        await self._admission.proving.check(wanted, shown, now_ms)


class RoomLimits:
    """``admission.ports.Rooms``: the limits in force, from the room's merged settings."""

    def __init__(self, waitroom: Waitroom, settings: Settings) -> None:
        """Read from `waitroom`'s memory."""
        self._waitroom = waitroom
        self._settings = settings
        self._kept: dict[str, tuple[Room, Limits]] = {}

    def limits(self, room: str) -> Limits:
        """Return a room's limits. Raises Refused (room-unknown)."""
        reading = self._waitroom.reading(room)
        kept = self._kept.get(room)
        if kept is None or kept[0] is not reading.room:
            kept = self._kept[room] = reading.room, self._limits(reading)
        return kept[1]

    def _limits(self, reading: Reading) -> Limits:
        found = reading.room
        shares = found.lane_shares
        return Limits(
            new_users_per_minute=found.new_users_per_minute,
            total_active_users=found.total_active_users,
            audience=found.origin,
            issuer=self._settings.issuer,
            session_ms=found.session_ms,
            renewal=not found.disable_session_renewal,
            claim_window_ms=found.claim_window_s * 1000,
            recall_share=found.recall_share,
            lane_shares={
                "verified": shares.verified,
                "standard": shares.standard,
                "suspect": shares.suspect,
            },
            paused=found.calls_nobody,
            target_hosts=frozenset(found.allowed_targets),
            cookie=cookie_attributes(reading, self._settings),
        )

    def names(self) -> Sequence[str]:
        """List the rooms."""
        return list(self._waitroom.readings)


class PacedLine:
    """``admission.ports.Line``: the line as the pace sees and moves it."""

    def __init__(self, waitroom: Waitroom) -> None:
        """Move `waitroom`'s lines."""
        self._waitroom = waitroom

    def keys(self, room: str) -> LineKeys:
        """Name the line's keys."""
        keys = self._waitroom.store.keys(room)
        return LineKeys(line=keys.line, journal=keys.journal)

    async def facts(self, room: str) -> LineFacts | None:
        """Tell the line as of this beat's reading; nothing while it is being put back."""
        reading = self._waitroom.readings.get(room)
        line = reading.line if reading else None
        if reading is None or line is None or reading.fallen:
            return None
        everybody = max(1, line.issued)
        verified, suspect = line.joined_verified / everybody, line.joined_suspect / everybody
        return LineFacts(
            run=line.run,
            epoch=line.epoch,
            version=line.version,
            phase=str(line.phase),
            issued=line.issued,
            serving=line.serving._asdict(),
            density={"verified": verified, "standard": 1.0 - verified - suspect, "suspect": suspect},
            void=line.axis_void,
        )

    async def call(
        self, room: str, facts: LineFacts, slot: int, serving: Mapping[str, int], plan_per_minute: int
    ) -> bool:
        """Commit the thresholds for one slot."""
        wanted = Serving(*(serving[lane] for lane in Lane))
        answer = await self._waitroom.store.call(room, facts.run, slot, wanted, plan_per_minute)
        return bool(answer[0] == "called")


class AskedLine(PacedLine):
    """The line as it is in this moment: for operators, who name numbers that were given since the last reading."""

    async def facts(self, room: str) -> LineFacts | None:
        """Read the room, and tell. Raises Unavailable."""
        await self._waitroom.refresh_room(room)
        return await super().facts(room)


class JournalTurns:
    """``admission.ports.Turns`` and ``BypassRecord``: the room's stream, then the journal into which it is drained.

    In this order: an entry that leaves the stream is in the journal already.
    """

    def __init__(self, waitroom: Waitroom, client: Redis, journal: JournalStore) -> None:
        """Read both."""
        self._waitroom = waitroom
        self._client = client
        self._journal = journal

    async def turn_of(self, room: str, run: str, number: int) -> Turn | None:
        """Find the last admission of a number."""
        wanted = {b"kind": b"admitted", b"run": run.encode(), b"number": b"%d" % number}
        stream, before = self._waitroom.store.keys(room).journal, "+"
        while True:
            # By portions: where the drain is late, the stream is long, and the store answers nobody else meanwhile.
            with translated():
                read = await self._client.xrevrange(stream, before, "-", count=STREAMED_AT_ONCE)
            acts = cast("list[tuple[bytes, dict[bytes, bytes]]]", read)
            for _, act in acts:
                if wanted.items() <= act.items():
                    return Turn(act[b"sid"].decode(), int(act[b"at_ms"]), act[b"lane"].decode())
            if len(acts) < STREAMED_AT_ONCE:
                break
            before = f"({acts[-1][0].decode()}"
        found = await asyncio.to_thread(self._journal.admission_of, room, run, number)
        if found is None:
            return None
        return Turn(found.body["sid"], found.at_ms, found.body.get("lane", ""))

    async def bypasses(self, room: str) -> Sequence[tuple[int, str, Mapping[str, str]]]:
        """Read what the journal says of bypass tokens; the last second may still be on its way there."""
        return await asyncio.to_thread(self._bypasses, room)

    def _bypasses(self, room: str) -> list[tuple[int, str, Mapping[str, str]]]:
        found: list[tuple[int, str, Mapping[str, str]]] = []
        kinds, seq = (JournalKind.OPERATOR, JournalKind.BYPASSED), 0
        while page := self._journal.entries(room, seq, kinds):
            seq = page[-1].seq
            found += [
                (entry.at_ms, entry.run, entry.body)
                for entry in page
                if entry.kind is JournalKind.BYPASSED or entry.body.get("act", "").startswith("bypass-")
            ]
        return found

    async def note(self, room: str, run: str, act: Mapping[str, str], now_ms: int) -> None:
        """Write an operator's act down."""
        entry = NewEntry(now_ms, room, run, JournalKind.OPERATOR, act)
        await asyncio.to_thread(self._journal.append, [entry])


class Routes:
    """``gateway.gate.Rooms``: which room stands before an address; the longest path wins."""

    def __init__(self, waitroom: Waitroom, settings: Settings, clock: Clock) -> None:
        """Read from `waitroom`'s memory."""
        self._waitroom = waitroom
        self._settings = settings
        self._clock = clock

    def route(self, host: str, path: str) -> RoomRoute | None:
        """Find the room of a host and a normal path. An exact host beats any host of the same path."""
        bare = bare_host(host)
        best: tuple[int, bool] = (-1, False)
        found: tuple[Reading, str] | None = None
        for reading in self._waitroom.readings.values():
            for route in reading.base.routes:
                exact = bare_host(route.host) == bare
                if (exact or route.host == "*") and covers(route.path, path):
                    rank = len(route.path.rstrip("/")), exact
                    if rank > best:
                        best, found = rank, (reading, route.path)
        return self._route(*found) if found else None

    def _route(self, reading: Reading, path: str) -> RoomRoute:
        room = reading.room
        return RoomRoute(
            name=room.name,
            origin=room.origin,
            path=path,
            admission_cookie=admission_cookie(reading, self._settings),
            method=str(room.queueing_method),
            bypass=room.bypass,
            suspended=room.suspended,
            away=self._clock.now_ms() - reading.read_ms > AWAY_MS,
            fail_open=room.failure_stance is FailureStance.OPEN,
            renewal=not room.disable_session_renewal,
            revoke_command="revoke" in room.enabled_origin_commands,
            json_response=room.json_response_enabled,
            status_code=room.queueing_status_code,
        )


class GatePages:
    """``gateway.gate.Pages``: what a waiting client sees at the address that it wanted."""

    def __init__(self, waitroom: Waitroom, pages: Pages) -> None:
        """Read from `waitroom`'s memory."""
        self._waitroom = waitroom
        self._pages = pages

    def shell(
        self, room: str, target: str, accept_language: bytes, accept_encoding: bytes
    ) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        """Give the room's page in place, with the room's own status code."""
        reading = self._waitroom.reading(room)
        liked, default = accept_language.decode("latin-1"), reading.room.default_template_language
        page = self._pages.shell(reading, target, negotiate(liked, default=default))
        code = reading.room.queueing_status_code
        if reading.room.queueing_method is Method.REJECT:
            code = 429
        return code, *page.coded(accept_encoding)

    def waiting_json(self, room: str) -> Mapping[str, object]:
        """Tell a waiting JSON client how the line stands."""
        reading = self._waitroom.reading(room)
        line = reading.line
        return {
            "phase": str(line.phase) if line else "idle",
            "people_waiting": line.shown_waiting if line else 0,
            "paused": reading.room.calls_nobody,
            "message": reading.room.message,
            "starts_ms": reading.wanted.starts_ms,
        }


class GateAdmissions:
    """``gateway.gate.Admissions``: sessions, as far as the gate deals with them."""

    def __init__(self, admission: Admission) -> None:
        """Ask `admission`."""
        self._admission = admission

    def verify(self, room: str, token: str) -> GateSession | str:
        """Check a token offline."""
        claims = self._admission.verify(room, token)
        if isinstance(claims, Reason):
            return claims.value
        return GateSession(
            room=claims.room,
            run=claims.run,
            sid=claims.sid,
            lane=claims.lane,
            admitted_ms=claims.admitted_ms,
            issued_ms=claims.issued_ms,
            expires_ms=claims.expires_ms,
            token=token,
        )

    def ended(self, room: str) -> Container[str]:
        """Name the sessions that ended early."""
        return self._admission.ended(room)

    async def renew(self, session: GateSession) -> str | None:
        """Extend the place, then sign a fresh token."""
        return await self._admission.renew(session.room, session.token)

    async def revoke(self, session: GateSession) -> None:
        """End the session, on the origin's word."""
        await self._admission.end(session.room, session.sid, Why.REVOKED)

    def cookie(self, room: str, token: str | None) -> bytes:
        """Write the cookie that carries a token, or the one that takes it away."""
        return self._admission.cookie(room, token)


def cookie_attributes(reading: Reading, settings: Settings) -> CookieAttributes:
    """Tell how a room's cookies are marked."""
    marks = cookie_marks(reading.base, tls=settings.secure)
    return CookieAttributes(
        marks.secure, marks.same_site, marks.partitioned, suffix=reading.base.cookie_suffix
    )


def admission_cookie(reading: Reading, settings: Settings) -> str:
    """Name the cookie that carries a room's admission."""
    name = f"waitroom-admission-{reading.base.name}"
    return f"__Host-{name}" if cookie_attributes(reading, settings).secure else name
