"""Guard: what a backend puts around its application, to let only admitted visitors in.

    app = AdmissionGuard(app, jwks="https://tickets.example/.waitroom/jwks.json",
                         issuer="https://tickets.example", audience="https://shop.example", room="main")

Needs PyJWT and cryptography only, knows no store and asks nobody per request: it checks the signature with keys
that it keeps. Keys come from an address, a document (dict) or a function. From an address they are fetched in a
thread, again when a token names an unknown key (at most once in ``REFETCH_S``) or after ``KEYS_S``; while they
cannot be fetched the old ones stay in use. Without any keys yet the answer is 503, never a free pass.

The token is taken from ``Authorization: Bearer``, the header ``Waitroom-Admission`` or the room's cookie, in that
order, the first that is good. Its claims stand in ``scope["waitroom"]`` (WSGI: ``environ["waitroom"]``) as
``admission.tokens.Claims``. Others get a redirect to the room (navigations) or a problem document (RFC 9457).

Not here: sessions that were ended early. The gate knows them; a guard alone accepts their token to its end.
"""

import asyncio
import json
import threading
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from hmac import compare_digest
from typing import Any
from urllib.parse import quote

from admission import es256, proof, tokens
from admission.limits import LEEWAY_MS
from admission.proof import Act, Proof, Wanted
from admission.tokens import Claims, Reason
from kernel.cookies import HEADER_MAX_BYTES, parse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Jwks = Mapping[str, Any]
Source = str | Jwks | Callable[[], Jwks]
Refusal = tuple[int, list[tuple[str, str]], bytes]
OnRefused = Callable[[Reason | None, str, str], Refusal | None]

KEYS_S = 3600.0
REFETCH_S = 10.0
FETCH_TIMEOUT_S = 5.0
JWKS_MAX_BYTES = 65_536
KEPT = 10_000
_NO_STORE = ("Cache-Control", "no-store")


def proven(claims: Claims, shown: str, nonce: str, now_ms: int) -> str | None:
    """Return the id of a proof that the key of a bound admission answered `nonce`, for the act ``visit``; else None.

    For backends that ask for one (docs/binding.md): `nonce` is theirs, new each time, and an id counts once, which they
    remember for two minutes. An admission that names no key proves nothing.
    """
    if not claims.key:
        return None
    found = proof.check(shown, Wanted(claims.key, Act.VISIT, claims.room, claims.run, None), now_ms)
    good = isinstance(found, Proof) and compare_digest(found.nonce.encode(), nonce.encode())
    return found.jti if isinstance(found, Proof) and good else None


class NoKeys(Exception):
    """No key could be had yet, so nothing can be checked."""


def keys_of(jwks: Jwks) -> dict[str, es256.PublicKey]:
    """Read the admission keys of a JWK set; other and damaged keys are passed over."""
    found: dict[str, es256.PublicKey] = {}
    for jwk in jwks.get("keys", ()):
        if (
            jwk.get("purpose", "admission") != "admission"
            or jwk.get("alg", tokens.ALGORITHM) != tokens.ALGORITHM
        ):
            continue
        try:
            found[str(jwk["kid"])] = es256.read_public(jwk)
        except (KeyError, ValueError):
            continue
    return found


def fetch(url: str) -> Jwks:
    """Get a JWK set over HTTP."""
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:  # noqa: S310 (scheme checked at start)
        document = json.loads(answer.read(JWKS_MAX_BYTES))
    if not isinstance(document, dict):
        raise TypeError("not a JWK set")
    return document


class KeySource:
    """Keys that are kept, and fetched again when that may help. Safe for threads."""

    def __init__(self, source: Source, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Take an address (http or https), a document, or a function that gives one."""
        if isinstance(source, str) and not source.startswith(("https://", "http://")):
            raise ValueError("the address of the JWKS must begin with https:// or http://")
        self._load: Callable[[], Jwks] = (
            (lambda: fetch(source))
            if isinstance(source, str)
            else source
            if callable(source)
            else lambda: source
        )
        self._is_fixed = isinstance(source, Mapping)
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._tried_s = float("-inf")
        self._fresh_s = float("-inf")
        self.keys: dict[str, es256.PublicKey] = keys_of(source) if isinstance(source, Mapping) else {}

    def wants(self, reason: Reason | None) -> bool:
        """Tell whether fetching the keys again may help, and is not too soon."""
        if self._is_fixed:
            return False
        now_s = self._monotonic_s()
        is_old = now_s >= self._fresh_s + KEYS_S
        return (is_old or reason is Reason.UNKNOWN_KEY) and now_s >= self._tried_s + REFETCH_S

    def refresh(self) -> None:
        """Fetch the keys; whatever goes wrong, the old ones stay."""
        with self._lock:
            now_s = self._monotonic_s()
            if now_s < self._tried_s + REFETCH_S:
                return
            self._tried_s = now_s
            try:
                keys = keys_of(self._load())
            except (OSError, ValueError, AttributeError, TypeError):
                return
            if keys:
                self.keys = keys
                self._fresh_s = now_s


class Verifier:
    """Checks tokens and remembers the genuine ones until they expire."""

    def __init__(
        self,
        source: KeySource,
        *,
        issuer: str,
        audience: str,
        room: str | None,
        leeway_ms: int = LEEWAY_MS,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Accept tokens of one issuer for one audience, of one room or (None) of any."""
        self.source = source
        self._issuer = issuer
        self._audience = audience
        self._room = room
        self._leeway_ms = leeway_ms
        self._now_ms = now_ms
        self._kept: OrderedDict[str, tuple[str, Claims]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, token: str) -> Claims | Reason:
        """Check a token with the keys at hand; raises NoKeys when there are none."""
        keys = self.source.keys
        if not keys:
            raise NoKeys
        claims = self._recall(token, keys) or tokens.read(token, keys)
        if isinstance(claims, Reason):
            return claims
        now_ms = self._now_ms()
        reason = tokens.refusal(
            claims, issuer=self._issuer, audience=self._audience, room=self._room, now_ms=now_ms,
            leeway_ms=self._leeway_ms,
        )  # fmt: skip
        if reason is None:
            self._keep(token, claims)
        elif reason is Reason.EXPIRED:
            self._forget(token)
        return reason or claims

    def _forget(self, token: str) -> None:
        with self._lock:
            self._kept.pop(token, None)

    def _recall(self, token: str, keys: Mapping[str, es256.PublicKey]) -> Claims | None:
        """Find a token checked before, if its key still counts."""
        with self._lock:
            kept = self._kept.get(token)
            if kept is None:
                return None
            if kept[0] not in keys:
                del self._kept[token]
                return None
            self._kept.move_to_end(token)
            return kept[1]

    def _keep(self, token: str, claims: Claims) -> None:
        with self._lock:
            if token not in self._kept:
                self._kept[token] = (tokens.kid_of(token), claims)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)


class _Guard:
    """What the ASGI and the WSGI guard share."""

    def __init__(
        self,
        *,
        jwks: Source,
        issuer: str,
        audience: str,
        room: str | None = None,
        cookie: str | None = None,
        room_page: str | None = None,
        on_refused: OnRefused | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self._verifier = verifier or Verifier(KeySource(jwks), issuer=issuer, audience=audience, room=room)
        name = f"waitroom-admission-{room}" if room else None
        self._cookies = (cookie,) if cookie else (f"__Host-{name}", name) if name else ()
        self._room_page = room_page or (f"{issuer}/.waitroom/r/{room}" if room else None)
        self._on_refused = on_refused

    def _tokens(self, authorization: str, own: str, cookies: str) -> list[str]:
        """List the tokens that a request carries."""
        found = [authorization[7:].strip()] if authorization[:7].lower() == "bearer " else []
        if own:
            found.append(own.strip())
        if self._cookies and len(cookies) <= HEADER_MAX_BYTES:
            jar = parse(cookies.encode("latin-1", "replace"))
            found += [jar[name] for name in self._cookies if jar.get(name)]
        return found

    def _judge(self, found: list[str]) -> Claims | Reason | None:
        """Return the claims of the first good token, else the first reason, else None for no token at all."""
        reason: Reason | None = None
        for token in found:
            claims = self._verifier.check(token)
            if isinstance(claims, Claims):
                return claims
            reason = reason or claims
        return reason

    def _refuse(self, reason: Reason | None, accept: str, mode: str, target: str) -> Refusal:
        """Answer a request without a valid admission."""
        if self._on_refused is not None:
            answer = self._on_refused(reason, accept, target)
            if answer is not None:
                return answer
        navigates = mode in {"navigate", "nested-navigate"} or (not mode and "text/html" in accept)
        if navigates and self._room_page:
            page = f"{self._room_page}?target={quote(target, safe='/')}"
            return 302, [("Location", page), _NO_STORE], b""
        return _problem(401, "admission-missing" if reason is None else "admission-refused", reason)


class AdmissionGuard(_Guard):
    """The guard as ASGI middleware, for http and websocket."""

    def __init__(self, app: App, **options: Any) -> None:
        """Put the guard around `app`; see the module for the options."""
        super().__init__(**options)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an admitted visitor in, answer everybody else."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        for raw_name, raw in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw.decode("latin-1")
            headers[name] = f"{headers[name]}; {value}" if name == "cookie" and name in headers else value
        found = self._tokens(
            headers.get("authorization", ""), headers.get("waitroom-admission", ""), headers.get("cookie", "")
        )
        try:
            verdict = await self._verdict(found)
        except NoKeys:
            await _answer(scope, receive, send, _problem(503, "admission-keys-missing", None))
            return
        if isinstance(verdict, Claims):
            await self._app({**scope, "waitroom": verdict}, receive, send)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        target = path + (f"?{query}" if query else "")
        refusal = self._refuse(verdict, headers.get("accept", ""), headers.get("sec-fetch-mode", ""), target)
        await _answer(scope, receive, send, refusal)

    async def _verdict(self, found: list[str]) -> Claims | Reason | None:
        source = self._verifier.source
        if found and source.wants(None):
            await asyncio.to_thread(source.refresh)
        verdict = self._judge(found)
        if verdict is Reason.UNKNOWN_KEY and source.wants(verdict):
            await asyncio.to_thread(source.refresh)
            verdict = self._judge(found)
        return verdict


class WsgiAdmissionGuard(_Guard):
    """The guard as WSGI middleware."""

    def __init__(self, app: Callable[..., Iterable[bytes]], **options: Any) -> None:
        """Put the guard around `app`; see the module for the options."""
        super().__init__(**options)
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let an admitted visitor in, answer everybody else."""
        found = self._tokens(
            environ.get("HTTP_AUTHORIZATION", ""),
            environ.get("HTTP_WAITROOM_ADMISSION", ""),
            environ.get("HTTP_COOKIE", ""),
        )
        source = self._verifier.source
        if found and source.wants(None):
            source.refresh()
        try:
            verdict = self._judge(found)
            if verdict is Reason.UNKNOWN_KEY and source.wants(verdict):
                source.refresh()
                verdict = self._judge(found)
        except NoKeys:
            return _start(start_response, _problem(503, "admission-keys-missing", None))
        if isinstance(verdict, Claims):
            return self._app({**environ, "waitroom": verdict}, start_response)
        query = environ.get("QUERY_STRING", "")
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "/")
        target = quote(path.encode("latin-1")) + (f"?{query}" if query else "")
        accept, mode = environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_SEC_FETCH_MODE", "")
        return _start(start_response, self._refuse(verdict, accept, mode, target))


_PHRASES = {302: "Found", 401: "Unauthorized", 503: "Service Unavailable"}


def _problem(status: int, code: str, reason: Reason | None) -> Refusal:
    body = {
        "type": f"https://waitroom.dev/problems/{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "code": code,
    }
    headers = [("Content-Type", "application/problem+json"), _NO_STORE]
    if reason is not None:
        body["reason"] = reason.value
    if status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    if status == 503:
        headers.append(("Retry-After", "2"))
    return status, headers, json.dumps(body).encode()


async def _answer(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    status, told, body = refusal
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _start(start_response: Callable[..., Any], refusal: Refusal) -> list[bytes]:
    status, headers, body = refusal
    start_response(
        f"{status} {_PHRASES.get(status, '')}".strip(), [*headers, ("Content-Length", str(len(body)))]
    )
    return [body]
