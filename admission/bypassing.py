"""Bypassing: the use cases of bypass tokens: make, list, revoke, come in, and tell everybody how many did.

The journal is the book: a token counts from the entry that made it to the one that revoked it, so a wiped store changes
nothing, and the public figure is a count of entries that nobody can take out of the chain. Coming in is rare, so each
time the journal is read. A revoking is written down, then the token's visit ends; who was let in between
is out at once, and nobody comes in any more.

Not here: HTTP (``dashboards.bypass_api``, ``gateway.bypass_web``), the record itself (``ports.BypassRecord``).
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from admission import bypass
from admission.bypass import Paper
from admission.bypass_store import BypassStore
from admission.door import Stay
from admission.guests import By
from admission.ports import BypassRecord, Line
from admission.service import Admission, Granted
from admission.sessions import Over, Why
from admission.tokens import session_id
from kernel.clock import Clock
from kernel.errors import Refused
from kernel.signing import PaperSigner

HOUR_MS = 3_600_000
MOST_HOURS = 24 * 366
NAME_MAX_CHARS = 80
TOKENS_MOST = 500


@dataclass(slots=True)
class Token:
    """A token as the journal knows it. `passes` are visits that began with it; `revoked_ms` is 0 while it counts."""

    token: str
    name: str
    who: str
    why: str
    made_ms: int
    until_ms: int
    revoked_ms: int = 0
    passes: int = 0
    last_ms: int = 0

    def counts(self, now_ms: int) -> bool:
        """Tell whether it lets anybody in."""
        return not self.revoked_ms and now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Openness:
    """What everybody may know: visits by token in the room so far and in the present run, tokens that count now."""

    passed: int
    passed_in_run: int
    tokens: int


class Bypassing:
    """The bypass tokens of this installation's rooms."""

    def __init__(
        self,
        admission: Admission,
        store: BypassStore,
        line: Line,
        record: BypassRecord,
        signer: PaperSigner,
        clock: Clock,
    ) -> None:
        """Join the parts."""
        self._admission = admission
        self._store = store
        self._line = line
        self._record = record
        self._signer = signer
        self._clock = clock

    async def make(self, room: str, name: str, hours: int, by: By) -> tuple[Token, str]:
        """Make a token; its text is told this once. Raises Refused (room-unknown, bypass-malformed, bypass-full)."""
        self._admission.rooms.limits(room)
        if not 0 < len(name) <= NAME_MAX_CHARS or not 1 <= hours <= MOST_HOURS:
            told = f"Give a name of 1 to {NAME_MAX_CHARS} characters, and 1 to {MOST_HOURS:,} hours."
            raise Refused("bypass-malformed", told, status=422)
        now_ms = self._clock.now_ms()
        if sum(token.counts(now_ms) for token in await self.tokens(room)) >= TOKENS_MOST:
            raise Refused("bypass-full", f"A room has {TOKENS_MOST} bypass tokens at most.", status=409)
        made = Token(secrets.token_hex(8), name, by.who, by.why, now_ms, now_ms + hours * HOUR_MS)
        act = {"act": "bypass-made", "token": made.token, "name": name, "until_ms": str(made.until_ms)}
        await self._record.note(room, "", act | {"who": by.who, "why": by.why}, now_ms)
        return made, bypass.write(self._signer, Paper(room, made.token, made.until_ms))

    async def revoke(self, room: str, token: str, by: By) -> Token:
        """Let a token count no more, and end its visit. Raises Refused (room-unknown, bypass-unknown)."""
        self._admission.rooms.limits(room)
        found = next((one for one in await self.tokens(room) if one.token == token), None)
        if found is None:
            raise Refused("bypass-unknown", "There is no such bypass token.", status=404)
        if not found.revoked_ms:
            found.revoked_ms = now_ms = self._clock.now_ms()
            act = {"act": "bypass-revoked", "token": token, "name": found.name}
            await self._record.note(room, "", act | {"who": by.who, "why": by.why}, now_ms)
        await self._admission.end(room, self._sid(room, token), Why.REVOKED)
        return found

    async def tokens(self, room: str) -> list[Token]:
        """List a room's tokens, the newest first."""
        return _tokens(await self._record.bypasses(room))

    async def openness(self, room: str) -> Openness:
        """Tell what everybody may know. Raises Refused (room-unknown) and Unavailable."""
        self._admission.rooms.limits(room)
        facts = await self._line.facts(room)
        acts, now_ms = await self._record.bypasses(room), self._clock.now_ms()
        runs = [run for _, run, act in acts if "act" not in act]
        tokens = sum(token.counts(now_ms) for token in _tokens(acts))
        return Openness(len(runs), runs.count(facts.run) if facts is not None else 0, tokens)

    async def enter(self, room: str, text: str, now_ms: int | None = None) -> Granted:
        """Let the holder of a token in. Raises Refused (room-unknown, bypass-invalid) and Unavailable."""
        at_ms = self._clock.now_ms() if now_ms is None else now_ms
        limits = self._admission.rooms.limits(room)
        paper = bypass.read(self._signer, text)
        outcome = "refused"
        try:
            if paper is None or paper.room != room or at_ms >= paper.until_ms:
                raise _invalid()
            if not any(one.token == paper.token and one.counts(at_ms) for one in await self.tokens(room)):
                raise _invalid()
            sid = self._sid(room, paper.token)
            answer = await self._store.enter(room, self._line.keys(room), sid, paper.token, limits, now_ms)
            if isinstance(answer, Over):
                raise _invalid()
            outcome = "again" if answer.again else "entered"
        finally:
            self._admission.metrics.bypassed.labels(room, outcome).inc()
        stay = Stay(answer.since_ms, answer.run, bypass.LANE)
        return self._admission.issue(room, sid, stay, answer.until_ms, again=answer.again)

    def _sid(self, room: str, token: str) -> str:
        return session_id(self._admission.ring.active("sid").octets, room, bypass.LANE, 0, token)


def _invalid() -> Refused:
    return Refused("bypass-invalid", "This pass does not count here, or not any more.", status=403)


def _tokens(acts: Sequence[tuple[int, str, Mapping[str, str]]]) -> list[Token]:
    """Read tokens from what was recorded of them, the newest first."""
    found: dict[str, Token] = {}
    for at_ms, _, act in acts:
        match act.get("act"):
            case "bypass-made":
                found[act["token"]] = Token(
                    act["token"], act["name"], act["who"], act["why"], at_ms, int(act["until_ms"])
                )
            case "bypass-revoked" if act["token"] in found:
                found[act["token"]].revoked_ms = at_ms
            case None if act.get("token") in found:
                one = found[act["token"]]
                one.passes, one.last_ms = one.passes + 1, at_ms
    return list(found.values())[::-1]
