"""A naive room: the API of a waiting room in memory, one process, no store; and ways to break its promises.

Right by default, in the simplest way that can be right, so that the crowd is all green before it. Each ``Fault`` makes
it break one promise, which the crowd must notice. It answers ``Asker`` directly, without sockets.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.crowd.browser import Listening
from gateway.crowd.wire import Answer, Broken, NoAnswer

KEY = ec.derive_private_key(0x1D0C, ec.SECP256R1())
SECRET = b"of the naive room"
TICK_MS = 500


class Fault(StrEnum):
    """Which promise the room breaks."""

    OVERTAKE = "numbers are leased in blocks, so a later fan may get a lower one"
    TWICE_GIVEN = "two fans get the same number"
    FORGETS_KEY = "a repeated join gets a second number"
    FAVOURS = "claims of some lower ranks are left waiting"
    VIEW_LIES = "a ticket view calls who the document does not"
    LOSES_PLACE = "some tickets are refused after a while"
    WORSENS = "ranks get worse when they are read again"
    TAKES_BACK = "a threshold goes back"
    NEW_LINE = "after a loss another run takes the line's place"
    NEW_SID = "each claim makes another session"
    SHARED_SID = "two tickets get one session"
    NO_BUCKET = "the rate is not kept"
    NO_CAP = "the number of sessions is not kept"
    OPEN_DOOR = "the origin answers without an admission"
    BELIEVES = "forged papers are taken"
    UNSIGNED_TOKEN = "admissions are signed with a foreign key"
    LEFT_MAY_CLAIM = "a place given up can be claimed"
    SHOP_SHUT = "the origin stays shut with an admission"
    FAILS = "some requests end in a 500"
    RUDE = "a full moment says 503 but not until when"
    FORGED_DOCUMENT = "status documents do not verify"
    TWO_FACED = "two fans see different documents of one version"
    EARLY_BIRDS = "who presses for the turn gets it before being called"


@dataclass(slots=True)
class Line:
    """The state that a real room has in its store."""

    run: str = "a1b2c3d4e5f60718"
    epoch: int = 1
    version: int = 1
    issued: int = 0
    serving: int = 0
    void: list[list[int]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    sessions: dict[str, float] = field(default_factory=dict)
    since_ms: dict[str, int] = field(default_factory=dict)
    tat_ms: float = 0.0


class NaiveRoom:
    """One room with its origin; speaks to fans as ``Asker``."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        per_minute: int = 1200,
        cap: int = 10_000,
        fault: Fault | None = None,
        session_s: int = 8,
        claim_window_s: int = 30,
        strict_times: bool = False,
    ) -> None:
        self.line = Line()
        self.fault = fault
        self.down_until_s = -1.0
        self.sent = 0
        self.finished: list[str] = []
        self._now_s = self._seconds = now_s
        self._per_minute, self._cap = per_minute, cap
        self._session_s, self._window_s = session_s, claim_window_s
        self._strict_times = strict_times
        self._random = Random(7)
        self._tick_ms = 0.0
        self._block: list[int] = []
        self._raw: dict[Any, bytes] = {}

    # Asker

    def at(self, seconds: Callable[[], float]) -> "NaiveRoom":
        """Tell the fans' moments by the crowd's clock."""
        self._seconds = seconds
        return self

    async def ask(self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b"") -> Answer:
        """Answer one request after a short while on the way."""
        await asyncio.sleep(self._random.uniform(0.0005, 0.002))
        asked_at = self._seconds()
        await asyncio.sleep(self._random.uniform(0.0005, 0.004))
        status, told, said = self.handle(method.decode(), path.decode(), headers, body)
        await asyncio.sleep(self._random.uniform(0.0005, 0.004))
        if status == 0:
            raise NoAnswer(Broken.CLOSED, asked_at)
        self.sent += 1
        cookies = [value.encode() for name, value in told if name == "set-cookie"]
        plain = {name.encode(): value.encode() for name, value in told if name != "set-cookie"}
        return Answer(status, said, plain, cookies, asked_at, self._seconds())

    async def ask_and_hang_up(
        self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b""
    ) -> None:
        """Act on the request; nobody hears the answer."""
        self.handle(method.decode(), path.decode(), headers, body)

    async def stream(self, path: bytes, headers: bytes = b"") -> Listening:
        """Refuse: a naive room has nothing that goes on."""
        del path, headers
        raise NoAnswer(Broken.CLOSED, self._seconds())

    def handle(
        self, method: str, path: str, head: bytes, body: bytes = b""
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer one request."""
        self._tick()
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if line)
        cookies = dict(
            pair.split(b"=", 1) for pair in headers.get(b"cookie", b"").split(b"; ") if b"=" in pair
        )
        if self._now_s() < self.down_until_s:
            return (503, [("retry-after", "1")], b"{}") if self._random.random() < 0.5 else (0, [], b"")
        if self.fault is Fault.FAILS and self._random.random() < 0.01:
            return 500, [], b"{}"
        if self.fault is Fault.RUDE and self._random.random() < 0.01:
            return 503, [], b"{}"
        if not path.startswith("/.waitroom/"):
            sid = self.admitted(cookies)
            if sid is None:
                return 200, [], b"<html>one moment: /.waitroom/r/main/join</html>"
            return self.origin(sid, method, path, headers, body)
        if path == "/.waitroom/jwks.json":
            return 200, [], json.dumps({"keys": [_jwk()]}).encode()
        act = path.removeprefix("/.waitroom/r/main/")
        if act == "status":
            return self._status(method, headers)
        if act == "join":
            return self._join(headers)
        if act == "draw" or act.startswith("leaves/"):
            return 200, [], self.published(act)
        return self._with_ticket(act, cookies)

    # Acts

    def _join(self, headers: dict[bytes, bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
        line = self.line
        key = headers[b"idempotency-key"].decode()
        number = None if self.fault is Fault.FORGETS_KEY else line.keys.get(key)
        if number is None:
            number = self._next_number()
            line.keys[key] = number
        text = f"{line.run}|{number}|{key[:8]}"
        ticket = f"k1.{_b64(text.encode())}.{_mac(text)}"
        said = {"room": "main", "run": line.run, "ticket": ticket, "number": number, "lane": "standard"}
        cookie = f"waitroom-ticket-main={ticket}; Path=/; HttpOnly"
        return 200, [("set-cookie", cookie)], json.dumps(said | {"phase": "serving"}).encode()

    def _next_number(self) -> int:
        line = self.line
        if self.fault is Fault.OVERTAKE:
            if not self._block:
                self._block = list(range(line.issued, line.issued + 8))
                line.issued += 8
            return self._block.pop()
        if self.fault is Fault.TWICE_GIVEN and line.issued % 20 == 19:
            line.issued += 1
            return line.issued - 2
        line.issued += 1
        return line.issued - 1

    def published(self, act: str) -> bytes:
        """Give the draw, or its leaves; this line has none."""
        raise NotImplementedError(act)

    def receipt(self, number: int) -> bytes:
        """Give the receipt of a drawn number; this line has none."""
        raise NotImplementedError(number)

    def _with_ticket(self, act: str, cookies: dict[bytes, bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
        ticket = cookies.get(b"waitroom-ticket-main", b"").decode()
        if not ticket:
            return 401, [], b'{"code":"ticket-missing"}'
        number = self._number_of(ticket)
        if number is None:
            return 403, [], b'{"code":"ticket-invalid"}'
        if ticket.split(".")[1] and self.line.run not in _text(ticket) and self.fault is not Fault.BELIEVES:
            return 410, [], b'{"code":"run-over"}'
        self._lift(number)
        if self.fault is Fault.LOSES_PLACE and number % 9 == 4 and self._now_s() > 1010:
            return 403, [], b'{"code":"ticket-invalid"}'
        match act:
            case "receipt":
                return 200, [], self.receipt(number)
            case "ticket":
                return 200, [], json.dumps(self._view(number)).encode()
            case "leave":
                self.line.left.add(number)
                return 200, [], b'{"outcome":"left"}'
            case _:
                return self._claim(number)

    def _number_of(self, ticket: str) -> int | None:
        try:
            _, payload, mac = ticket.split(".")
            text = base64.urlsafe_b64decode(payload + "==").decode()
            genuine = hmac.compare_digest(_mac(text), mac)
            number = int(text.split("|")[1])
        except (ValueError, IndexError):
            return 0 if self.fault is Fault.BELIEVES else None
        return number if genuine or self.fault is Fault.BELIEVES else None

    def _lift(self, number: int) -> None:
        """A genuine ticket beyond the counter proves lost joins."""
        line = self.line
        if number >= line.issued:
            line.void.append([line.issued, number + 1])
            line.issued = number + 1

    def _view(self, number: int) -> dict[str, Any]:
        line = self.line
        rank = self.rank(number)
        called = rank is not None and rank < line.serving
        if self.fault is Fault.VIEW_LIES and number % 2:
            called = True
        standing = "called" if called else "waiting"
        worse = int(self._now_s() * 10) % 1000 if self.fault is Fault.WORSENS else 0
        return {
            "run": line.run,
            "number": number,
            "rank": None if rank is None else rank + worse,
            "standing": standing,
            "epoch": line.epoch,
            "version": line.version,
        }

    def rank(self, number: int) -> int | None:
        """Give the place of a number: here first come, first served."""
        return number

    def _is_called(self, number: int) -> bool:
        """Whether a claim of this number is in order."""
        rank = self.rank(number)
        early = self.fault is Fault.EARLY_BIRDS and self._random.random() < 0.5
        return early or (rank is not None and rank < self.line.serving)

    def _claim(self, number: int) -> tuple[int, list[tuple[str, str]], bytes]:
        line, now_ms = self.line, self._now_s() * 1000
        salt = self._random.random() if self.fault is Fault.NEW_SID else ""
        shared = number // 2 if self.fault is Fault.SHARED_SID else number
        sid = hashlib.sha256(f"{line.run}{shared}{salt}".encode()).hexdigest()[:22]
        if number in line.left and self.fault is not Fault.LEFT_MAY_CLAIM:
            return 410, [], b'{"code":"ticket-used"}'
        if sid in line.sessions and line.sessions[sid] > now_ms:
            return self._admit(sid)
        if number in line.claimed and self.fault not in {Fault.NEW_SID, Fault.SHARED_SID}:
            return 410, [], b'{"code":"ticket-used"}'
        favoured = self.fault is Fault.FAVOURS and number % 3 == 1 and self._random.random() < 0.5
        if not self._is_called(number) or favoured:
            return 202, [("retry-after", "2")], b'{"outcome":"waiting","ahead":1,"poll_ms":2000}'
        interval_ms = 60_000 / self._per_minute
        burst = max(1.0, self._per_minute / 60)
        alive = sum(until > now_ms for until in line.sessions.values())
        over = line.tat_ms - now_ms > interval_ms * (burst - 1) and self.fault is not Fault.NO_BUCKET
        full = alive >= self._cap and self.fault is not Fault.NO_CAP
        if over or full:
            return 202, [("retry-after", "1")], b'{"outcome":"next","retry_after_ms":1000,"ahead_of_you":1}'
        line.tat_ms = max(line.tat_ms, now_ms) + interval_ms
        line.claimed.add(number)
        line.sessions[sid] = now_ms + (self._session_s + 30) * 1000
        line.since_ms[sid] = int(now_ms)
        return self._admit(sid)

    def _admit(self, sid: str) -> tuple[int, list[tuple[str, str]], bytes]:
        since_s = self.line.since_ms[sid] // 1000
        claims = {"sub": sid, "iat": since_s, "exp": since_s + self._session_s, "room": "main"}
        key = ec.derive_private_key(3, ec.SECP256R1()) if self.fault is Fault.UNSIGNED_TOKEN else KEY
        token = jwt.encode(claims, key, "ES256", {"kid": "k1", "typ": "waitroom-admission+jwt"})
        cookie = f"waitroom-admission-main={token}; Path=/; HttpOnly"
        said = {"outcome": "admitted", "go": "/", "admission": token, "expires_ms": claims["exp"] * 1000}
        return 200, [("set-cookie", cookie)], json.dumps(said).encode()

    def admitted(self, cookies: dict[bytes, bytes]) -> str | None:
        """Give the session of a request for the origin ('' where nobody asks), None where it has to wait."""
        token = cookies.get(b"waitroom-admission-main", b"").decode()
        try:
            options: Any = {"verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, KEY.public_key(), algorithms=["ES256"], options=options)
            sid = "" if self._strict_times and self._now_s() >= claims["exp"] else claims["sub"]
        except jwt.PyJWTError:
            sid = "anybody" if token and self.fault is Fault.BELIEVES else ""
        if self.fault is Fault.UNSIGNED_TOKEN and token.count(".") == 2:
            sid = "anybody"
        is_shut = (not sid and self.fault is not Fault.OPEN_DOOR) or self.fault is Fault.SHOP_SHUT
        return None if is_shut else sid

    def origin(
        self, sid: str, method: str, path: str, headers: dict[bytes, bytes], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer behind the door: one page, whatever the address."""
        del method, headers, body
        if path == "/bye-finish":
            self.finished.append(sid)
            # As the real room: free two seconds later, when every gate has heard of it.
            self.line.sessions[sid] = min(self.line.sessions.get(sid, 0), self._now_s() * 1000 + 2000)
        return 200, [], b'<html>the shop <a href="/bye-finish">done</a></html>'

    # The document

    def _status(self, method: str, headers: dict[bytes, bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
        if method == "POST":
            return 200, [], b'{"outcome":"known"}'
        raw = self._document()
        etag = f'"{hashlib.sha256(raw).hexdigest()[:12]}"'
        if headers.get(b"if-none-match") == etag.encode():
            return 304, [("etag", etag)], b""
        return 200, [("etag", etag)], raw

    def _document(self) -> bytes:
        line = self.line
        message = str(self._random.randint(0, 1)) if self.fault is Fault.TWO_FACED else ""
        key = (line.run, line.epoch, line.version, message)
        if key not in self._raw:
            serving = dict.fromkeys(("verified", "standard", "suspect"), line.serving)
            if self.fault is Fault.TAKES_BACK and line.version % 3 == 2:
                serving = {lane: max(0, rank - 5) for lane, rank in serving.items()}
            members: dict[str, Any] = {
                "room": "main",
                "run": line.run,
                "epoch": line.epoch,
                "version": line.version,
                "at_ms": int(self._now_s() * 1000),
                "phase": "serving",
                "starts_ms": None,
                "issued": line.issued,
                "void": line.void,
                "serving": serving,
                "speed_per_minute": dict.fromkeys(serving, self._per_minute),
                "plan_per_minute": self._per_minute,
                "poll_cap_s": 60,
                "claim_window_s": self._window_s,
                "paused": False,
                "bypass": False,
                "message": message,
                "draw": {"commitment": "", "rounds": 90, "frozen": None, "seed": ""},
                "kid": "k1",
            }
            members |= self.sale_members()
            text = json.dumps(members, separators=(",", ":")).encode()
            parts = decode_dss_signature(KEY.sign(b"waitroom-status-v1\n" + text, ec.ECDSA(SHA256())))
            signature = b"".join(part.to_bytes(32, "big") for part in parts)
            if self.fault is Fault.FORGED_DOCUMENT:
                signature = bytes(64)
            self._raw[key] = text[:-1] + b',"signature":"' + _b64(signature).encode() + b'"}'
        return self._raw[key]

    def sale_members(self) -> dict[str, Any]:
        """Say in the document what a dated sale changes."""
        return {}

    def _tick(self) -> None:
        now_ms = self._now_s() * 1000
        if now_ms < self._tick_ms + TICK_MS:
            return
        elapsed_ms = min(now_ms - self._tick_ms, 5 * TICK_MS) if self._tick_ms else TICK_MS
        self._tick_ms = now_ms
        line = self.line
        step = 60_000 if self.fault in {Fault.NO_BUCKET, Fault.NO_CAP} else self._per_minute * 1.2
        wanted = min(line.issued, line.serving + round(step * elapsed_ms / 60_000))
        if wanted != line.serving or line.version == 1:
            line.serving = wanted
            line.version += 1

    async def lose_store(self) -> None:
        """Forget what a store would forget and put the line back, or (fault) begin another."""
        self.down_until_s = self._now_s() + 3
        old = self.line
        if self.fault is Fault.NEW_LINE:
            self.line = Line(run="ffffffffffffffff", epoch=old.epoch + 1)
            return
        gap = old.issued + 40
        self.line = Line(
            run=old.run,
            epoch=old.epoch + 1,
            issued=gap,
            void=[*old.void, [old.issued, gap]],
            serving=old.serving,
            claimed=old.claimed,
            left=old.left,
            sessions=old.sessions,
            since_ms=old.since_ms,
        )


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _text(ticket: str) -> str:
    return base64.urlsafe_b64decode(ticket.split(".")[1] + "==").decode(errors="replace")


def _mac(text: str) -> str:
    return _b64(hmac.digest(SECRET, text.encode(), "sha256"))


def _jwk() -> dict[str, str]:
    found: dict[str, str] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
    return found | {"kid": "k1", "alg": "ES256", "use": "sig"}
