"""Guard: what a backend installs. It needs little, asks nobody per request, and fails closed."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from admission import tokens
from admission.guard import (
    KEPT,
    KEYS_S,
    REFETCH_S,
    AdmissionGuard,
    KeySource,
    NoKeys,
    Verifier,
    WsgiAdmissionGuard,
    fetch,
    keys_of,
)
from admission.keyring import KeyRing
from admission.tokens import Claims, Reason

NOW_MS = 1_800_000_000_000
ISSUER, SHOP = "https://tickets.example", "https://shop.example"
RING = KeyRing.fresh(NOW_MS)


class Ticking:
    """A monotonic clock and a wall clock that stand still."""

    def __init__(self) -> None:
        """Begin."""
        self.s = 1_000.0
        self.ms = NOW_MS


def token_of(ring: KeyRing = RING, *, room: str = "main", at_ms: int = NOW_MS, audience: str = SHOP) -> str:
    """Mint an admission."""
    claims = Claims(ISSUER, audience, "A" * 22, room, "aa", "standard", at_ms, at_ms, at_ms + 300_000)
    key = ring.active("admission")
    return tokens.write(key.private, key.admission_head, claims.members())


def verifier(
    source: Any = None, *, room: str | None = "main", time: Ticking | None = None, leeway_ms: int = 30_000
) -> Verifier:
    """Check tokens of the shop's room at a standing time."""
    time = time or Ticking()
    return Verifier(
        KeySource(RING.jwks() if source is None else source, lambda: time.s),
        issuer=ISSUER, audience=SHOP, room=room, leeway_ms=leeway_ms, now_ms=lambda: time.ms,
    )  # fmt: skip


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Say who is in."""
    who = scope["waitroom"].sid if "waitroom" in scope else "anybody"
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": who.encode()})


def asgi(**changes: Any) -> httpx.AsyncClient:
    """Reach a guarded shop."""
    options: dict[str, Any] = {
        "jwks": RING.jwks(), "issuer": ISSUER, "audience": SHOP, "room": "main", "verifier": verifier(), **changes,
    }  # fmt: skip
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=AdmissionGuard(shop, **options)), base_url=SHOP
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {token_of()}"},
        {"authorization": f"bearer {token_of()}"},
        {"waitroom-admission": token_of()},
        {"cookie": f"a=b; waitroom-admission-main={token_of()}"},
        {"cookie": f'x={{"a": [1, "b"]}}; =; y; z="q; waitroom-admission-main={token_of()}'},
        {"cookie": f"__Host-waitroom-admission-main={token_of()}"},
        {"authorization": "Bearer the-shops-own", "cookie": f"waitroom-admission-main={token_of()}"},
        {"authorization": "Basic abc", "waitroom-admission": token_of()},
    ],
)
async def test_an_admitted_visitor_comes_through_and_the_shop_knows_who(headers: dict[str, str]) -> None:
    """By bearer, header or cookie; the first good one counts."""
    async with asgi() as web:
        answer = await web.get("/cart", headers=headers)

    assert (answer.status_code, answer.text) == (200, "A" * 22)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, None),
        ({"cookie": "waitroom-admission-main="}, None),
        ({"cookie": "\x01;;;==;"}, None),
        ({"cookie": f'waitroom-admission-main="{token_of()[:20]}'}, "malformed"),
        ({"cookie": f"waitroom-admission-other={token_of()}"}, None),
        ({"cookie": "a=" + "b" * 20_000 + f"; waitroom-admission-main={token_of()}"}, None),
        ({"waitroom-admission": "nonsense"}, "malformed"),
        ({"waitroom-admission": token_of()[:-4] + "AAAA"}, "forged"),
        ({"waitroom-admission": token_of(KeyRing.fresh(0))}, "unknown-key"),
        ({"waitroom-admission": token_of(room="other")}, "foreign-room"),
        ({"waitroom-admission": token_of(audience="https://other.example")}, "wrong-audience"),
        ({"waitroom-admission": token_of(at_ms=NOW_MS - 330_000)}, "expired"),
        ({"waitroom-admission": token_of(at_ms=NOW_MS + 31_000)}, "from-the-future"),
    ],
)
async def test_others_get_a_problem_document(headers: dict[str, str], reason: str | None) -> None:
    """401 with the reason's word, never cached."""
    async with asgi() as web:
        answer = await web.get("/cart", headers=headers | {"accept": "application/json"})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == ("admission-missing" if reason is None else "admission-refused")
    assert answer.json().get("reason") == reason


async def test_a_navigation_is_sent_to_the_room_and_comes_back() -> None:
    """With the address that it wanted, as written."""
    async with asgi() as web:
        plain = await web.get("/a%20b?x=1&y=2", headers={"accept": "text/html,*/*"})
        modern = await web.get("/cart", headers={"accept": "*/*", "sec-fetch-mode": "navigate"})
        script = await web.get("/cart", headers={"accept": "text/html", "sec-fetch-mode": "cors"})

    assert plain.status_code == 302
    assert plain.headers["location"] == f"{ISSUER}/.waitroom/r/main?target=/a%2520b%3Fx%3D1%26y%3D2"
    assert modern.headers["location"] == f"{ISSUER}/.waitroom/r/main?target=/cart"
    assert script.status_code == 401


async def test_a_shop_may_answer_in_its_own_way() -> None:
    """For what it does not want to answer it returns nothing."""

    def own(
        reason: Reason | None, accept: str, target: str
    ) -> tuple[int, list[tuple[str, str]], bytes] | None:
        if target == "/own":
            return 418, [("X-Why", f"{reason} {accept}")], b"tea"
        return None

    async with asgi(on_refused=own) as web:
        teapot = await web.get("/own", headers={"accept": "x/y", "waitroom-admission": "bad"})
        other = await web.get("/other")

    assert (teapot.status_code, teapot.text, teapot.headers["x-why"]) == (418, "tea", "malformed x/y")
    assert other.status_code == 401


async def test_a_guard_of_all_rooms_has_no_room_to_send_to() -> None:
    """It takes any room's admission by header, and knows no cookie."""
    async with asgi(room=None, verifier=verifier(room=None)) as web:
        good = await web.get("/", headers={"waitroom-admission": token_of(room="other")})
        bad = await web.get("/", headers={"accept": "text/html"})

    assert (good.status_code, bad.status_code) == (200, 401)


async def test_a_websocket_without_admission_is_closed_and_one_with_it_is_not() -> None:
    """Policy violation; other scopes pass untouched."""

    async def play(headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        guard = AdmissionGuard(
            shop, jwks=RING.jwks(), issuer=ISSUER, audience=SHOP, room="main", verifier=verifier()
        )
        await guard({"type": "websocket", "path": "/live", "headers": headers}, receive, send)
        return sent

    assert await play([]) == [{"type": "websocket.close", "code": 1008}]
    assert await play([(b"waitroom-admission", token_of().encode())]) == [{"type": "websocket.accept"}]
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await AdmissionGuard(app, jwks=RING.jwks(), issuer=ISSUER, audience=SHOP)(
        {"type": "lifespan"}, None, None
    )  # type: ignore[arg-type]
    assert seen == ["lifespan"]


def wsgi(environ: dict[str, str], **changes: Any) -> tuple[str, dict[str, str], bytes]:
    """Ask a guarded WSGI shop."""
    told: list[Any] = []

    def app(own: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return [own["waitroom"].sid.encode()]

    options: dict[str, Any] = {
        "jwks": RING.jwks(), "issuer": ISSUER, "audience": SHOP, "room": "main", "verifier": verifier(), **changes,
    }  # fmt: skip
    body = b"".join(WsgiAdmissionGuard(app, **options)(dict(environ), lambda *args: told.extend(args)))
    return told[0], dict(told[1]), body


def test_the_wsgi_guard_decides_as_the_other() -> None:
    """Token, cookie, redirect, problem."""
    assert wsgi({"HTTP_AUTHORIZATION": f"Bearer {token_of()}"}) == ("200 OK", {}, b"A" * 22)
    assert wsgi({"HTTP_COOKIE": f"waitroom-admission-main={token_of()}"})[0] == "200 OK"
    status, headers, _ = wsgi({"PATH_INFO": "/a b", "QUERY_STRING": "x=1", "HTTP_ACCEPT": "text/html"})
    assert (status, headers["Location"]) == (
        "302 Found", f"{ISSUER}/.waitroom/r/main?target=/a%2520b%3Fx%3D1",
    )  # fmt: skip
    status, headers, body = wsgi({"HTTP_WAITROOM_ADMISSION": "bad"})
    assert status == "401 Unauthorized"
    assert json.loads(body)["reason"] == "malformed"
    assert headers["Content-Length"] == str(len(body))


def test_the_wsgi_guard_fetches_keys_for_an_unknown_one() -> None:
    """At most once in ten seconds."""
    ring, time = KeyRing.fresh(NOW_MS), Ticking()
    own = verifier(ring.jwks, time=time)
    assert wsgi({"HTTP_WAITROOM_ADMISSION": token_of(ring)}, verifier=own)[0] == "200 OK"
    ring.rotate("admission", NOW_MS)
    fresh = {"HTTP_WAITROOM_ADMISSION": token_of(ring)}

    assert wsgi(fresh, verifier=own)[0] == "401 Unauthorized"
    own.source.refresh()
    assert wsgi(fresh, verifier=own)[0] == "401 Unauthorized", "a refresh too soon is none"
    time.s += REFETCH_S
    assert wsgi(fresh, verifier=own)[0] == "200 OK"


def test_without_any_keys_nobody_passes() -> None:
    """503 and a hint to retry; a free pass would be worse."""
    source = verifier(dict)
    with pytest.raises(NoKeys):
        source.check(token_of())
    status, headers, _ = wsgi({"HTTP_WAITROOM_ADMISSION": token_of()}, verifier=verifier(dict))

    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "2")


async def test_without_any_keys_nobody_passes_the_asgi_guard_either() -> None:
    """The same for the other kind."""
    async with asgi(verifier=verifier(dict)) as web:
        answer = await web.get("/", headers={"waitroom-admission": token_of()})

    assert (answer.status_code, answer.json()["code"]) == (503, "admission-keys-missing")


async def test_keys_are_fetched_at_the_first_token_and_again_for_an_unknown_one() -> None:
    """At most once in ten seconds; and after an hour in any case."""
    ring, time, fetched = KeyRing.fresh(NOW_MS), Ticking(), []

    def jwks() -> dict[str, Any]:
        fetched.append(time.s)
        return ring.jwks()

    async with asgi(verifier=verifier(jwks, time=time)) as web:

        async def status_of(token: str) -> int:
            return (await web.get("/", headers={"waitroom-admission": token})).status_code

        assert (await web.get("/")).status_code == 401, "without a token no keys are needed"
        assert fetched == []
        assert await status_of(token_of(ring)) == 200
        ring.rotate("admission", NOW_MS)
        assert await status_of(token_of(ring)) == 401
        assert len(fetched) == 1
        time.s += REFETCH_S
        assert await status_of(token_of(ring)) == 200
        assert await status_of(token_of()) == 401
        assert len(fetched) == 2
        time.s += KEYS_S
        assert await status_of(token_of(ring)) == 200
        assert len(fetched) == 3


def test_old_keys_stay_in_use_while_new_ones_cannot_be_fetched() -> None:
    """An installation that is down for a day locks nobody out of the shop."""
    time, answers = Ticking(), [RING.jwks()]

    def jwks() -> Any:
        if not answers:
            raise OSError("away")
        return answers.pop()

    own = verifier(jwks, time=time)
    own.source.refresh()
    for nonsense in ([], {"keys": []}, {"keys": [{"kid": "x"}]}, {"keys": 5}):
        time.s += REFETCH_S
        answers.append(nonsense)  # type: ignore[arg-type]
        own.source.refresh()
        assert isinstance(own.check(token_of()), Claims)
    time.s += KEYS_S
    assert own.source.wants(None)
    own.source.refresh()
    assert isinstance(own.check(token_of()), Claims)
    assert not own.source.wants(Reason.UNKNOWN_KEY), "not before ten seconds are over"


def test_keys_of_other_purposes_are_no_admission_keys() -> None:
    """Neither the status key nor a damaged or foreign one."""
    jwks = RING.jwks()
    jwks["keys"].append({"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"})
    jwks["keys"].append({"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"})

    assert set(keys_of(jwks)) == {RING.active("admission").kid}


def test_genuine_tokens_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is checked once; the time each time; a key that is gone takes its tokens along."""
    time, read = Ticking(), tokens.read
    own = verifier(time=time)
    reads: list[str] = []

    def counted(token: str, keys: Any) -> Claims | Reason:
        reads.append(token)
        return read(token, keys)

    monkeypatch.setattr(tokens, "read", counted)

    for _ in range(3):
        assert isinstance(own.check(token_of()), Claims)
    assert len(reads) == 1
    time.ms += 330_000
    assert own.check(token_of()) is Reason.EXPIRED
    assert not own._kept
    time.ms = NOW_MS
    own.check(token_of())
    own.source.keys = {"other": RING.active("status").public}
    assert own.check(token_of()) is Reason.UNKNOWN_KEY
    own.source.keys = keys_of(RING.jwks())
    monkeypatch.setattr("admission.guard.KEPT", 2)
    for second in range(4):
        own.check(token_of(at_ms=NOW_MS - second * 1_000))
    assert len(own._kept) == 2
    assert KEPT > 2


def test_keys_come_over_http() -> None:
    """Fetched from a real server; something that is no key set is refused; so is another scheme."""
    documents = [json.dumps(RING.jwks()).encode(), b"[1]"]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = documents.pop(0)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        assert set(keys_of(fetch(url))) == {RING.active("admission").kid}
        with pytest.raises(TypeError, match="JWK"):
            fetch(url)
        server.shutdown()
        thread.join()
    with pytest.raises(ValueError, match="https"):
        KeySource("file:///etc/passwd")


def test_a_backend_needs_nothing_but_pyjwt_and_cryptography() -> None:
    """The guard is imported with everything else forbidden."""
    program = """
import sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"redis", "starlette", "orjson", "prometheus_client", "uvicorn", "jinja2"}:
            raise ImportError(name)
sys.meta_path.insert(0, Forbid())
import admission.guard
print("imported")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stdout, done.stderr) == ("imported\n", "")
