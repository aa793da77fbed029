"""Admission: the door's use cases. Load, decide in the store, sign, tell.

Each reads the clock once. The store's own time decides about limits; this worker's time only judges tokens
and statistics. `now_ms` may be given (tests, rehearsals); then it counts everywhere, in the store too.

When the store is away a claim fails as ``Unavailable`` (nobody is let in unseen), a live session passes, and it is
even renewed: the token alone proves it, up to the longest stay, counted in ``store_away``. Sessions that were
ended early are known from memory, at most two seconds old. Not here: HTTP (``web``), the loop that ticks.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from admission import pace, sessions, tokens
from admission.claim import (
    Admitted,
    Again,
    Check,
    ClaimOutcome,
    Evicted,
    LeafMismatch,
    LeaveOutcome,
    Left,
    Next,
    Paused,
    RunOver,
    Stale,
    Used,
    Waiting,
    poll_ms,
    retry_after_ms,
)
from admission.door import Place, Stay
from admission.keyring import KeyRing
from admission.limits import Limits
from admission.metrics import Metrics
from admission.pace import DoorFacts, LineFacts, decide
from admission.ports import Line, Places, Rooms
from admission.proof import Act, Wanted
from admission.proving import Proving
from admission.sessions import Why
from admission.store import AdmissionStore, SettledAt
from admission.tokens import Claims, Reason
from kernel import gcra
from kernel.clock import Clock
from kernel.cookies import host_name, set_cookie
from kernel.errors import Refused, Unavailable
from kernel.tracing import at_place, derived, is_recording, milestone

log = logging.getLogger(__name__)

TICK_MS = 250
SETTLINGS_AT_ONCE = 16
VERIFIED_KEPT = 20_000
STALE_POLL_MS = 1_000
STAND_IN_MS = 30_000
STAND_IN_SID = "bypass"
PAUSED_RETRY_MS = 10_000
CHECK_RETRY_MS = 3_000

WORDS: Mapping[type, str] = {
    Admitted: "admitted", Again: "again", Next: "next", Waiting: "waiting", Paused: "paused", Check: "check",
    Evicted: "evicted",     Used: "ticket-used", LeafMismatch: "leaf-mismatch", RunOver: "run-over", Stale: "stale",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Granted:
    """The fan may go on. `token` is the admission."""

    token: str
    expires_ms: int
    again: bool


@dataclass(frozen=True, slots=True)
class NotYet:
    """The fan asks again after `retry_ms`. `outcome` is ``next``, ``waiting``, ``paused``, or ``check``, of a `way`."""

    outcome: str
    ahead: int
    retry_ms: int
    way: str = ""


@dataclass(slots=True)
class _Ended:
    """Sessions of a room that ended early, as of the last tick."""

    version: int = -1
    sids: frozenset[str] = frozenset()
    own: dict[str, int] = field(default_factory=dict)


class Admission:
    """The doors of this worker."""

    def __init__(
        self,
        store: AdmissionStore,
        places: Places,
        rooms: Rooms,
        line: Line,
        ring: KeyRing,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Join the parts; nothing is read yet."""
        self.store = store
        self.ring = ring
        self.metrics = metrics
        self.rooms = rooms
        self.proving = Proving(store, ring.signer("cookie", "proof"), metrics)
        self._places = places
        self._line = line
        self._clock = clock
        self._ended: dict[str, _Ended] = {}
        self._verified: dict[str, Claims] = {}
        self._stand_ins: dict[str, tuple[int, str]] = {}
        self._generation = ring.generation

    async def claim(
        self, room: str, ticket_text: str, now_ms: int | None = None, *, proof: str = ""
    ) -> Granted | NotYet:
        """Take the turn of a ticket; a bound one needs a `proof` (``proving``).

        Raises ``Refused`` for what will never be admitted, ``Unavailable`` while the store is away.
        """
        at_ms = self._clock.now_ms() if now_ms is None else now_ms
        limits = self.rooms.limits(room)
        place = await self._places.place_of(room, ticket_text, at_ms)
        if place.key:
            await self.proving.check(_wanted(place, Act.CLAIM), proof, at_ms)
        sid = self._sid(place)
        try:
            outcome = await self.store.claim(place, sid, limits, at_ms, now_ms)
        except Unavailable:
            self.metrics.store_away.labels("claim").inc()
            raise
        self.metrics.claimed(room, WORDS[type(outcome)])
        if is_recording() and isinstance(outcome, Admitted):
            before = [derived("join", room, place.run, place.ticket_id)]
            milestone("claim", (sid,), at_place(room, place.number, place.lane), before)
        return self._answer(place, sid, outcome, limits, at_ms)

    async def leave(self, room: str, ticket_text: str, now_ms: int | None = None, *, proof: str = "") -> None:
        """Give a ticket's place up for good; a bound one needs a `proof`. Raises ``Refused`` or ``Unavailable``."""
        at_ms = self._clock.now_ms() if now_ms is None else now_ms
        place = await self._places.place_of(room, ticket_text, at_ms)
        if place.key:
            await self.proving.check(_wanted(place, Act.LEAVE), proof, at_ms)
        sid = self._sid(place)
        outcome = await self.store.leave(place, sid, now_ms)
        if not isinstance(outcome, Left):
            raise refused(outcome)
        self.metrics.ended.labels(room, Why.LEFT.value).inc()
        self._remember_ended(room, sid, at_ms)

    async def end(
        self, room: str, sid: str, why: Why, now_ms: int | None = None
    ) -> sessions.Ended | sessions.Already:
        """End a session before its time: its shop is done with it, or an operator or origin revokes it."""
        limits = self.rooms.limits(room)
        outcome = await self.store.end(room, self._line.keys(room), sid, why, limits, now_ms)
        if isinstance(outcome, sessions.Ended):
            self.metrics.ended.labels(room, why.value).inc()
        self._remember_ended(room, sid, self._clock.now_ms() if now_ms is None else now_ms)
        return outcome

    async def renew(self, room: str, token: str, now_ms: int | None = None) -> str | None:
        """Return a fresh token for a valid one, or None when its session gets no more time.

        While the store is away the token alone proves the session.
        """
        at_ms = self._clock.now_ms() if now_ms is None else now_ms
        limits = self.rooms.limits(room)
        claims = self.verify(room, token, at_ms)
        if isinstance(claims, Reason) or claims.sid in self.ended(room):
            return None
        stay = Stay(claims.admitted_ms, claims.run, claims.lane)
        held = (stay, claims.expires_ms + limits.leeway_ms)
        try:
            outcome = await self.store.renew(room, self._line.keys(room), claims.sid, held, limits, now_ms)
        except Unavailable:
            self.metrics.store_away.labels("renew").inc()
            longest_ms = claims.admitted_ms + limits.max_session_ms
            until_ms = min(at_ms + limits.session_ms, longest_ms) + limits.leeway_ms
            if not limits.renewal or until_ms <= held[1]:
                return None
            return self._mint(room, claims.sid, stay, until_ms, limits, key=claims.key)
        return self._renewed(room, claims.sid, outcome, limits, claims.key)

    async def renew_session(self, room: str, sid: str, now_ms: int | None = None) -> tuple[str, int] | None:
        """Renew on a backend's word, without the token; return token and its end, or None."""
        limits = self.rooms.limits(room)
        outcome = await self.store.renew(room, self._line.keys(room), sid, None, limits, now_ms)
        token = self._renewed(room, sid, outcome, limits)
        if token is None or not isinstance(outcome, sessions.Renewed):
            return None
        return token, outcome.until_ms - limits.leeway_ms

    def verify(self, room: str, token: str, now_ms: int | None = None) -> Claims | Reason:
        """Check a token offline. Genuine ones are remembered, because a page loads twenty things at once."""
        limits = self.rooms.limits(room)
        if self._generation != self.ring.generation:
            self._generation = self.ring.generation
            self._verified.clear()
        claims: Claims | Reason | None = self._verified.get(token)
        if claims is None:
            claims = tokens.read(token, self.ring.public("admission"))
            if claims is Reason.UNKNOWN_KEY and self.ring.refresh():
                claims = tokens.read(token, self.ring.public("admission"))
        if isinstance(claims, Claims):
            if len(self._verified) >= VERIFIED_KEPT:
                self._verified.clear()
            self._verified[token] = claims
            reason = tokens.refusal(
                claims,
                issuer=limits.issuer,
                audience=limits.audience,
                room=room,
                now_ms=self._clock.now_ms() if now_ms is None else now_ms,
                leeway_ms=limits.leeway_ms,
            )
            claims = reason or claims
        if isinstance(claims, Reason):
            self.metrics.refused_tokens.labels(claims.value).inc()
        return claims

    def issue(self, room: str, sid: str, stay: Stay, until_ms: int, *, again: bool) -> Granted:
        """Sign the admission of a visit that began beside the line."""
        limits = self.rooms.limits(room)
        token = self._mint(room, sid, stay, until_ms, limits)
        return Granted(token, until_ms - limits.leeway_ms, again)

    def stand_in(self, room: str) -> str:
        """Return a short admission for requests that need none (bypass, fail-open): for the origin's guard only.

        It stands for nobody, holds no place and is never shown to a client; one serves half a minute.
        """
        now_ms = self._clock.now_ms()
        kept = self._stand_ins.get(room)
        if kept is None or kept[0] <= now_ms:
            limits = self.rooms.limits(room)
            claims = Claims(
                issuer=limits.issuer,
                audience=limits.audience,
                sid=STAND_IN_SID,
                room=room,
                run="",
                lane="standard",
                admitted_ms=now_ms,
                issued_ms=now_ms,
                expires_ms=now_ms + 2 * STAND_IN_MS,
            )
            key = self.ring.active("admission")
            kept = now_ms + STAND_IN_MS, tokens.write(key.private, key.admission_head, claims.members())
            self._stand_ins[room] = kept
        return kept[1]

    def ended(self, room: str) -> frozenset[str]:
        """Name the sessions of a room that ended before their time, as far as this worker knows."""
        known = self._ended.get(room)
        return known.sids if known else frozenset()

    def cookie_name(self, room: str) -> str:
        """Name the cookie that carries a room's admission."""
        return host_name(f"waitroom-admission-{room}", self.rooms.limits(room).cookie.secure)

    def cookie(self, room: str, token: str | None, expires_ms: int | None = None) -> bytes:
        """Write the cookie that carries a token, or (None) the one that takes it away."""
        marks = self.rooms.limits(room).cookie
        if token is not None and expires_ms is None:
            claims = tokens.read(token, self.ring.public("admission"))
            expires_ms = claims.expires_ms if isinstance(claims, Claims) else 0
        max_age_s = 0 if token is None or expires_ms is None else (expires_ms - self._clock.now_ms()) // 1000
        return set_cookie(
            host_name(f"waitroom-admission-{room}", marks.secure),
            token or "",
            secure=marks.secure,
            same_site=marks.same_site,
            max_age_s=max(0, max_age_s),
            partitioned=marks.partitioned,
        )

    async def tick(self, room: str, now_ms: int | None = None) -> None:
        """Serve those at the door, learn who ended, and decide whom to call next. Any worker, any time."""
        self.ring.refresh()
        limits = self.rooms.limits(room)
        facts = await self._line.facts(room)
        settled = await self._settle(room, facts.issued if facts else 0, limits, now_ms)
        known = self._ended.setdefault(room, _Ended())
        glance = await self.store.glance(room, known.version, settled.now_ms)
        if glance.ended is not None:
            known.version, known.sids = glance.ended_version, glance.ended
        for sid in [sid for sid, until_ms in known.own.items() if until_ms <= settled.now_ms]:
            del known.own[sid]
        known.sids |= known.own.keys()
        if facts is not None and facts.phase in {"serving", "gathering"}:
            rate = gcra.per_minute(limits.new_users_per_minute)
            at_hand = gcra.at_hand(settled.tat_us, rate, settled.now_ms * 1000)
            await self._call(room, facts, settled, glance.pace, at_hand, glance.came, limits)

    async def _settle(self, room: str, issued: int, limits: Limits, now_ms: int | None) -> SettledAt:
        granted = 0
        for _ in range(SETTLINGS_AT_ONCE):
            at = await self.store.settle(room, self._line.keys(room), issued, limits, now_ms)
            granted += at.settled.granted
            if not at.settled.more:
                break
        if granted:
            self.metrics.granted.labels(room).inc(granted)
        self.metrics.sessions.labels(room).set(at.settled.live)
        self.metrics.at_the_door.labels(room, "called").set(at.settled.next)
        self.metrics.at_the_door.labels(room, "recall").set(at.settled.recall)
        return at

    async def _call(
        self,
        room: str,
        facts: LineFacts,
        at: SettledAt,
        state: pace.PaceState | None,
        at_hand: float,
        came: Mapping[int, int],
        limits: Limits,
    ) -> None:
        door = DoorFacts(at.settled.live, at.settled.next, at.settled.recall, at.admitted, at_hand, came)
        state, decision = decide(state, facts, door, limits, at.now_ms)
        await self.store.put_pace(room, state)
        await self._line.call(room, facts, at.now_ms // TICK_MS, decision.serving, decision.plan_per_minute)
        self.metrics.show_ratio.labels(room).set(decision.show_ratio)

    def _answer(
        self, place: Place, sid: str, outcome: ClaimOutcome, limits: Limits, at_ms: int
    ) -> Granted | NotYet:
        match outcome:
            case Admitted(since_ms, until_ms) | Again(since_ms, until_ms):
                # A clock that was set back would leave the admitted with a token from the future, which nobody takes.
                stay = Stay(min(since_ms, at_ms + limits.leeway_ms), place.run, place.lane)
                token = self._mint(place.room, sid, stay, until_ms, limits, at_ms, key=place.key)
                return Granted(token, until_ms - limits.leeway_ms, isinstance(outcome, Again))
            case Next(ahead):
                return NotYet("next", ahead, retry_after_ms(ahead, limits))
            case Paused(ahead):
                return NotYet("paused", ahead, PAUSED_RETRY_MS)
            case Waiting(ahead):
                return NotYet("waiting", ahead, poll_ms(ahead, limits))
            case Check(way):
                return NotYet("check", 0, CHECK_RETRY_MS, way)
            case Stale():
                return NotYet("waiting", 0, STALE_POLL_MS)
            case Evicted() | Used() | LeafMismatch() | RunOver():
                raise refused(outcome)
            case _:
                assert_never(outcome)

    def _renewed(
        self,
        room: str,
        sid: str,
        outcome: sessions.Renewed | sessions.Kept | sessions.Over | sessions.Unknown | sessions.EarlierRun,
        limits: Limits,
        key: str = "",
    ) -> str | None:
        self.metrics.renewals.labels(room, type(outcome).__name__.lower()).inc()
        if not isinstance(outcome, sessions.Renewed):
            return None
        return self._mint(room, sid, outcome.stay, outcome.until_ms, limits, key=key)

    def _mint(
        self, room: str, sid: str, stay: Stay, until_ms: int, limits: Limits, at_ms: int | None = None,
        *, key: str = "",
    ) -> str:  # fmt: skip
        """Sign the admission that a place stands for. The same place gives the same text."""
        expires_ms = until_ms - limits.leeway_ms
        issued_ms = max(stay.since_ms, expires_ms - limits.session_ms)
        claims = Claims(
            issuer=limits.issuer,
            audience=limits.audience,
            sid=sid,
            room=room,
            run=stay.run,
            lane=stay.lane,
            admitted_ms=stay.since_ms,
            issued_ms=issued_ms if at_ms is None else min(issued_ms, at_ms + limits.leeway_ms),
            expires_ms=expires_ms,
            key=key,
        )
        signing = self.ring.active("admission")
        return tokens.write(signing.private, signing.admission_head, claims.members())

    def _sid(self, place: Place) -> str:
        secret = self.ring.active("sid").octets
        return tokens.session_id(secret, place.room, place.run, place.number, place.ticket_id)

    def _remember_ended(self, room: str, sid: str, now_ms: int) -> None:
        """Refuse the session in this worker at once; the others learn it with their next tick."""
        known = self._ended.setdefault(room, _Ended())
        known.own[sid] = now_ms + 2 * TICK_MS + sessions.FREE_MS
        known.sids |= {sid}


def _wanted(place: Place, act: Act) -> Wanted:
    return Wanted(place.key, act, place.room, place.run, place.number)


def refused(outcome: ClaimOutcome | LeaveOutcome) -> Refused | Unavailable:
    """Say why a ticket will not be admitted (or, while the line is being put back, cannot be judged)."""
    match outcome:
        case Evicted():
            return Refused(
                "place-evicted",
                "The organiser has taken this place out of the line and written down why. If you think that this is a "
                "mistake, write to them and name your number. The place is kept, and can be given back.",
                status=403,
            )
        case Used():
            return Refused("ticket-used", "This place was used, and its visit is over.", status=410)
        case LeafMismatch():
            return Refused("leaf-mismatch", "This place belongs to somebody else.", status=403)
        case RunOver():
            return Refused("run-over", "The sale that this place was for is over.", status=410)
        case _:
            return Unavailable("room-restoring", "The room is being put back. Your place is safe.")
