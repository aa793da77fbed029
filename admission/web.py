"""Web: the door's HTTP addresses, as raw ASGI. Decides nothing.

Below ``/.waitroom/r/{room}/``: ``claim`` and ``leave``; beside it ``jwks.json``; on the operator's port
``sessions/{sid}/{finish|renew|revoke}``. A claim is sent by a script (JSON, answered in place) or by a form (answered
by a redirect: onwards, or back to the ticket). The target is checked first, so that a bad one costs no turn.

A browser of another site may not claim or leave in a visitor's name (Sec-Fetch-Site, else Origin).
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import sha256
from math import ceil
from typing import Any
from urllib.parse import parse_qs, quote

import orjson

from admission.service import Admission, Granted, NotYet
from admission.sessions import Ended, Why
from admission.targets import checked
from admission.tokens import is_session_id
from kernel.asgi import Receive, Scope, Send, read_body, respond
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused

Handler = Callable[[Scope, Receive, Send, str], Awaitable[None]]
Asked = dict[bytes, bytes]

BODY_LIMIT_BYTES = 4096
JWKS_MAX_AGE_S = 300
_FORM = b"application/x-www-form-urlencoded"
_JSON = b"application/json"
_NO_STORE = (b"cache-control", b"no-store")
_JSON_HEADERS = ((b"content-type", _JSON), _NO_STORE)
_WANTED = frozenset(
    (b"authorization", b"content-length", b"content-type", b"cookie", b"host", b"origin", b"sec-fetch-site",
     b"transfer-encoding", b"waitroom-proof", b"waitroom-ticket")
)  # fmt: skip


class DoorWeb:
    """Handlers of the public port. Each takes (scope, receive, send, name)."""

    def __init__(self, admission: Admission, prefix: str = "/.waitroom") -> None:
        """Answer below `prefix`."""
        self._admission = admission
        self._prefix = prefix
        self._jwks: tuple[int, bytes, bytes] = (-1, b"", b"")
        self.routes: dict[tuple[str, str], Handler] = {
            ("POST", "claim"): self.claim,
            ("POST", "leave"): self.leave,
        }
        self.plain: dict[tuple[str, str], Handler] = {("GET", "jwks.json"): self.jwks}

    async def claim(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Take the turn."""
        ask = _asked(scope)
        _same_site(ask)
        ticket = self._ticket(room, ask)
        is_form, fields = await _fields(ask, receive)
        limits = self._admission.rooms.limits(room)
        target = checked(_text(fields.get("target"), "/"), limits.target_hosts)
        with self._admission.metrics.claim_time.time():
            answer = await self._admission.claim(room, ticket, proof=_proof(ask))
        if isinstance(answer, Granted):
            cookie = (b"set-cookie", self._admission.cookie(room, answer.token, answer.expires_ms))
            if is_form:
                await respond(send, 303, ((b"location", target.encode()), _NO_STORE, cookie), b"")
                return
            body = orjson.dumps(
                {
                    "outcome": "admitted", "go": target, "admission": answer.token,
                    "expires_ms": answer.expires_ms,
                }
            )  # fmt: skip
            await respond(send, 200, (*_JSON_HEADERS, cookie), body)
            return
        retry_after = (b"retry-after", b"%d" % ceil(answer.retry_ms / 1000))
        if is_form:
            where = "challenge" if answer.outcome == "check" else "ticket"
            back = f"{self._prefix}/r/{room}/{where}?target={quote(target, safe='/')}"
            await respond(send, 303, ((b"location", back.encode()), _NO_STORE, retry_after), b"")
            return
        await respond(send, 202, (*_JSON_HEADERS, retry_after), orjson.dumps(_not_yet(answer)))

    async def leave(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Give the place up; the admission, if any, is taken from the browser."""
        ask = _asked(scope)
        _same_site(ask)
        ticket = self._ticket(room, ask)
        is_form, _ = await _fields(ask, receive)
        await self._admission.leave(room, ticket, proof=_proof(ask))
        cookies = (
            (b"set-cookie", self._admission.cookie(room, None)),
            (b"set-cookie", self._no_ticket(room)),
        )
        if is_form:
            location = f"{self._prefix}/r/{room}/ticket".encode()
            await respond(send, 303, ((b"location", location), _NO_STORE, *cookies), b"")
        else:
            await respond(send, 200, (*_JSON_HEADERS, *cookies), orjson.dumps({"outcome": "left"}))

    async def jwks(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Publish the keys with which anybody can check what we sign."""
        del receive, name
        ring = self._admission.ring
        if self._jwks[0] != ring.generation:
            body = orjson.dumps(ring.jwks())
            self._jwks = (ring.generation, body, b'"' + sha256(body).hexdigest()[:32].encode() + b'"')
        _, body, etag = self._jwks
        headers = [
            (b"content-type", b"application/jwk-set+json"),
            (b"cache-control", b"public, max-age=%d" % JWKS_MAX_AGE_S),
            (b"access-control-allow-origin", b"*"),
            (b"etag", etag),
        ]
        for key, value in scope["headers"]:
            if key == b"if-none-match" and etag in value:
                await respond(send, 304, headers, b"")
                return
        await respond(send, 200, headers, body)

    def _no_ticket(self, room: str) -> bytes:
        """Take the ticket from the browser: a place that was given up is worth nothing."""
        marks = self._admission.rooms.limits(room).cookie
        name = host_name(f"waitroom-ticket-{room}{marks.suffix}", marks.secure)
        return set_cookie(
            name,
            "",
            secure=marks.secure,
            same_site=marks.same_site,
            max_age_s=0,
            partitioned=marks.partitioned,
        )

    def _ticket(self, room: str, ask: Asked) -> str:
        """Return the ticket's text from the header (apps) or the cookie; '' for none."""
        if b"waitroom-ticket" in ask:
            return ask[b"waitroom-ticket"].decode("latin-1")
        marks = self._admission.rooms.limits(room).cookie
        name = host_name(f"waitroom-ticket-{room}{marks.suffix}", marks.secure)
        return parse(ask.get(b"cookie", b"")).get(name, "")


class SessionsWeb:
    """Handlers of the operator's port: backends and operators act on sessions."""

    def __init__(self, admission: Admission, secrets: Callable[[], Iterable[str | None]]) -> None:
        """`secrets` gives the tokens that may act, those of backends and the operator's."""
        self._admission = admission
        self._secrets = secrets

    async def act(
        self, scope: Scope, receive: Receive, send: Send, path: Sequence[str], *, is_allowed: bool = False
    ) -> None:
        """Do what ``(room, sid, act)`` says. Raises ``Refused``: token-missing 401, token-wrong 403, and 404.

        `is_allowed`: whoever asks has shown another token, and it was looked at already.
        """
        del receive
        if not is_allowed:
            self._authorise(_asked(scope))
        room, sid, act = path
        if not is_session_id(sid):
            raise Refused("session-unknown", "There is no such session.", status=404)
        match act:
            case "finish" | "revoke":
                outcome = await self._admission.end(
                    room, sid, Why.FINISHED if act == "finish" else Why.REVOKED
                )
                word = "ended" if isinstance(outcome, Ended) else "already-ended"
                body: dict[str, Any] = {"outcome": word, "sid": sid, "until_ms": outcome.until_ms}
            case "renew":
                renewed = await self._admission.renew_session(room, sid)
                if renewed is None:
                    raise Refused("session-not-renewed", "This session gets no more time.", status=409)
                body = {"outcome": "renewed", "sid": sid, "admission": renewed[0], "expires_ms": renewed[1]}
            case _:
                raise Refused("act-unknown", "A session can be finished, renewed or revoked.", status=404)
        await respond(send, 200, _JSON_HEADERS, orjson.dumps(body))

    def _authorise(self, ask: Asked) -> None:
        kind, _, given = ask.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not given:
            raise Refused("token-missing", "This needs a bearer token.", status=401)
        digest = sha256(given.strip()).digest()
        matches = [
            hmac.compare_digest(digest, sha256(secret.encode()).digest())
            for secret in self._secrets()
            if secret
        ]
        if not any(matches):
            raise Refused("token-wrong", "This token may not do that.", status=403)


def _proof(ask: Asked) -> str:
    return ask.get(b"waitroom-proof", b"").decode("latin-1")


def _not_yet(answer: NotYet) -> dict[str, object]:
    match answer.outcome:
        case "next":
            return {"outcome": "next", "retry_after_ms": answer.retry_ms, "ahead_of_you": answer.ahead}
        case "paused":
            return {"outcome": "paused", "retry_after_ms": answer.retry_ms}
        case "check":
            return {
                "outcome": "check",
                "way": answer.way,
                "poll_ms": answer.retry_ms,
                "detail": "A short check, then you go in. You keep your place and your number.",
            }
        case _:
            return {"outcome": "waiting", "ahead": answer.ahead, "poll_ms": answer.retry_ms}


def _asked(scope: Scope) -> Asked:
    """Walk over the headers once; cookies may come in several lines."""
    found: Asked = {}
    for name, value in scope["headers"]:
        if name in _WANTED:
            found[name] = found[name] + b"; " + value if name == b"cookie" and name in found else value
    return found


async def _fields(ask: Asked, receive: Receive) -> tuple[bool, dict[str, Any]]:
    """Read the body: a form, a JSON object, or nothing. Tell whether it was a form."""
    kind = ask.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in {b"", _JSON, _FORM}:
        raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
    if ask.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in ask:
        return kind == _FORM, {}
    body = await read_body(receive, BODY_LIMIT_BYTES)
    try:
        if kind == _FORM:
            pairs = parse_qs(body.decode("ascii"), max_num_fields=16, errors="strict")
            return True, {name: values[0] for name, values in pairs.items()}
        fields = orjson.loads(body) if body else {}
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused("body-malformed", "The request's body cannot be read.")
    return False, fields


def _text(value: object, default: str) -> str:
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise Refused("body-malformed", "The request's body cannot be read.")
    return value


def _same_site(ask: Asked) -> None:
    """Refuse what a page of another site sends in the visitor's name."""
    site, origin = ask.get(b"sec-fetch-site"), ask.get(b"origin", b"")
    if site is not None:
        cross = site not in {b"same-origin", b"none"}
    else:
        cross = origin not in {b"", b"null"} and origin.partition(b"://")[2] != ask.get(b"host")
    if cross:
        raise Refused("cross-site", "This request came from another site.", status=403)
