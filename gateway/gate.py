"""Gate: the door before the origin, as an ASGI application.

It asks ``gateway.decision`` and does what that says: a live session goes on to the origin, everybody
else gets the answer that their kind of client can use (``gateway.waiting``). Paths below the prefix
belong to the waiting room.

Nothing here waits for the store before a live session passes: tokens are verified offline, and the
ended sessions are a set in memory. A renewal runs beside the request and is left alone when it is
not there in time; the next request is due again.

A CORS preflight carries no cookie, so it waits like anybody else: the gate's case is same-origin.
Not here: the decision, the transport (``gateway.proxy``), what the pages look like (``waitroom``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import assert_never

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.decision import (
    Asked,
    Open,
    Pass,
    Reject,
    Renew,
    RoomRoute,
    Session,
    Verdict,
    Wait,
    decide,
    is_open_path,
    kind,
    normal_path,
)
from gateway.headers import Client, Header, is_host, keep_private, to_origin, value, values
from gateway.metrics import DECISIONS, ORIGIN_FAILURES, RENEWALS, REVOCATIONS
from gateway.origins import Origins
from gateway.ports import Admissions, Pages, Rooms
from gateway.proxy import OriginFailed, Proxy, Trip, target
from gateway.waiting import failed, say, waiting
from gateway.websocket import WebsocketProxy
from kernel import tracing
from kernel.asgi import LOCAL, Network, client_address
from kernel.clock import Clock
from kernel.cookies import parse
from kernel.errors import Refused, Unavailable
from kernel.problems import raw_problem

log = logging.getLogger(__name__)

COMMAND = b"cf-waiting-room-command"
MAX_TOKEN_CHARS = 4096
MAX_TARGET_BYTES = 16_384
RENEWAL_WAIT_S = 0.25
REVOKE_WAIT_S = 2.0
SLOW_CLIENT = "request-slow"
"""The one failure that is the visitor's own."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What the gate needs to know from the settings."""

    prefix: str = "/.waitroom"
    default_origin: str | None = None
    keep_host: bool = True
    trusted_proxies: Sequence[Network] = ()
    open_paths: Sequence[str] = ()


class Gate:
    """The ASGI application of the public port."""

    def __init__(
        self,
        settings: GateSettings,
        *,
        waitroom: ASGIApp,
        rooms: Rooms,
        admissions: Admissions,
        pages: Pages,
        proxy: Proxy,
        clock: Clock,
        stand_in: Callable[[str], str | None] = lambda _room: None,
        origins: Origins | None = None,
    ) -> None:
        """Join the gate; ``origins`` counts how the origins answer, for the console.

        ``stand_in`` signs a short admission for a room that lets all pass.
        A guard at the origin knows no bypass: without the stand-in it would send people back to the room.
        It goes to the origin only, never to the client, and is nobody's session.
        """
        self._settings = settings
        self._below = settings.prefix + "/"
        self._waitroom = waitroom
        self._rooms = rooms
        self._admissions = admissions
        self._pages = pages
        self._proxy = proxy
        self._websockets = WebsocketProxy(proxy)
        self._clock = clock
        self._stand_in = stand_in
        self._origins = origins
        self._renewing: dict[str, asyncio.Task[str | None]] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request or websocket; the waiting room's own addresses cost no frame here."""
        path: str = scope["path"]
        if path.startswith(self._below) or path == self._settings.prefix:
            if scope["type"] == "http":
                return self._waitroom(scope, receive, send)
            nothing = Refused("address-unknown", "There is no websocket at this address.", status=404)
            return say(scope, send, raw_problem(nothing))
        return self._stand_before(scope, receive, send)

    async def _stand_before(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the origin."""
        path: str = scope["path"]
        try:
            await self._answer(scope, receive, send)
        except OriginFailed as error:
            host = self._client(scope).host.decode("latin-1")
            room = self._rooms.route(host, normal_path(path))
            ORIGIN_FAILURES.labels(room.name if room else "", error.code).inc()
            if room is not None and self._origins is not None and error.code != SLOW_CLIENT:
                self._origins.failed(room.name)
            await say(scope, send, failed(kind(asked_of(scope)), error))
        except (Refused, Unavailable) as error:
            await say(scope, send, raw_problem(error))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[Header] = scope["headers"]
        check(scope)
        client = self._client(scope)
        room = self._rooms.route(client.host.decode("latin-1"), normal_path(scope["path"]))
        admission = self._admission(room, headers) if room else None
        ended = self._admissions.ended(room.name) if room else frozenset[str]()
        is_open = is_open_path(scope["path"], scope.get("raw_path") or b"%", self._settings.open_paths)
        verdict = decide(asked_of(scope), room, admission, ended, self._clock.now_ms(), is_open=is_open)
        count(room, verdict)
        match verdict:
            case Pass(session):
                await self._pass(scope, receive, send, client, room, session, renew=False)
            case Renew(session):
                await self._pass(scope, receive, send, client, room, session, renew=True)
            case Open():
                await self._pass(scope, receive, send, client, room, None, renew=False)
            case Wait() | Reject():
                if room is not None:  # it never is: without a room everything is open
                    prefix = self._settings.prefix
                    await say(scope, send, waiting(scope, room, verdict, prefix, self._pages))
            case _:
                assert_never(verdict)

    def _admission(self, room: RoomRoute, headers: list[Header]) -> Session | str | None:
        """Verify what the request carries: our cookie, our header (apps), or a bearer token.

        A bearer token that is not ours belongs to the origin and says nothing about the visitor.
        """
        cookies = parse(b"; ".join(values(headers, b"cookie")))
        bearer = value(headers, b"authorization")
        own = [
            cookies.get(room.admission_cookie, ""),
            value(headers, b"waitroom-admission").decode("latin-1"),
        ]
        reason: str | None = None
        for token in own:
            if token:
                found = (
                    "malformed" if len(token) > MAX_TOKEN_CHARS else self._admissions.verify(room.name, token)
                )
                if isinstance(found, Session):
                    return found
                reason = reason or found
        if bearer[:7].lower() == b"bearer " and bearer.count(b".") == 2 and len(bearer) <= MAX_TOKEN_CHARS:
            found = self._admissions.verify(room.name, bearer[7:].strip().decode("latin-1"))
            if isinstance(found, Session):
                return found
        return reason

    async def _pass(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        client: Client,
        room: RoomRoute | None,
        session: Session | None,
        *,
        renew: bool,
    ) -> None:
        origin = room.origin if room else self._settings.default_origin
        if origin is None:
            raise Refused("no-such-site", "There is no site at this address.", status=404)
        headers = to_origin(
            scope["headers"],
            client=client,
            admission_cookie=room.admission_cookie if room else "",
            keep_host=self._settings.keep_host,
        )
        headers += about_session(room, session, self._clock.now_ms())
        if room is not None and session is None and (token := self._stand_in(room.name)):
            headers.append((b"waitroom-admission", token.encode()))
        url = target(origin, scope)
        if scope["type"] == "websocket":
            headers += [(name.encode(), text.encode()) for name, text in tracing.onward().items()]
            await self._websockets.forward(scope, receive, send, url, headers)
            return
        renewal = self._renewal(session) if session and renew else None

        began_s = asyncio.get_running_loop().time()

        async def answer(status: int, told: list[Header]) -> list[Header]:
            if step is not None:
                step.set("http.response.status_code", status)
            if room is None:
                return told
            if self._origins is not None:
                took_s = asyncio.get_running_loop().time() - began_s
                self._origins.answered(room.name, status, took_s * 1000)
            told, revoked = await self._obey(room, session, told)
            token = await fresh(room, renewal) if renewal and not revoked else None
            if token or revoked:
                told = [*keep_private(told), (b"set-cookie", self._admissions.cookie(room.name, token))]
            return told

        with tracing.span("origin", tracing.CLIENT, {"server.address": url.host or ""}) as step:
            headers += [(name.encode(), text.encode()) for name, text in tracing.onward().items()]
            await self._proxy.forward(scope, receive, send, Trip(url, headers, answer))

    def _client(self, scope: Scope) -> Client:
        """Tell who asks; what a proxy says about the client counts when it is one of ours."""
        headers: list[Header] = scope["headers"]
        networks = self._settings.trusted_proxies
        peer = scope["client"][0] if scope.get("client") else LOCAL
        trusted = is_trusted(peer, networks)
        scheme = b"https" if scope["scheme"] in {"https", "wss"} else b"http"
        host = value(headers, b"host")
        if trusted:
            told = value(headers, b"x-forwarded-proto").lower()
            scheme = told if told in {b"http", b"https"} else scheme
            told = value(headers, b"x-forwarded-host")
            host = told if is_host(told) else host
        return Client(peer, client_address(scope, networks), scheme, host, trusted)

    def _renewal(self, session: Session) -> asyncio.Task[str | None]:
        """Start to renew a session, or join the renewal that runs: a page loads twenty things at once."""
        running = self._renewing.get(session.sid)
        if running is None:
            running = asyncio.ensure_future(self._admissions.renew(session))
            self._renewing[session.sid] = running
            running.add_done_callback(lambda task: self._renewed(session.sid, task))
        return running

    def _renewed(self, sid: str, task: asyncio.Task[str | None]) -> None:
        self._renewing.pop(sid, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a session could not be renewed", extra={"error": repr(error)})

    async def _obey(
        self, room: RoomRoute, session: Session | None, told: list[Header]
    ) -> tuple[list[Header], bool]:
        """Do what the origin commands in its answer, and take the command out."""
        if not room.revoke_command:
            return told, False
        commands = b",".join(values(told, COMMAND)).lower().split(b",")
        told = [pair for pair in told if pair[0] != COMMAND]
        if session is None or b"revoke" not in {command.strip() for command in commands}:
            return told, False
        outcome = "revoked"
        try:
            async with asyncio.timeout(REVOKE_WAIT_S):
                await self._admissions.revoke(session)
        except (Unavailable, Refused, TimeoutError) as error:
            outcome = "failed"
            log.warning("a session could not be revoked", extra={"room": room.name, "error": repr(error)})
        REVOCATIONS.labels(room.name, outcome).inc()
        return told, True


def check(scope: Scope) -> None:
    """Refuse what no honest client sends."""
    headers: list[Header] = scope["headers"]
    hosts = values(headers, b"host")
    if len(hosts) != 1 or not is_host(hosts[0]):
        raise Refused("host-unclear", "The request must name one host.", status=400)
    raw: bytes = scope.get("raw_path") or b"/"
    if len(raw) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise Refused("address-too-long", "The address is too long.", status=414)
    if not raw.startswith(b"/") or "\0" in scope["path"]:
        raise Refused("address-malformed", "The address cannot be understood.", status=400)


def asked_of(scope: Scope) -> Asked:
    """Take from a request what the decision needs."""
    headers: list[Header] = scope["headers"]
    return Asked(
        method=scope.get("method", "GET"),
        accept=b",".join(values(headers, b"accept")).decode("latin-1").lower(),
        sec_fetch_mode=value(headers, b"sec-fetch-mode").decode("latin-1").lower(),
        is_websocket=scope["type"] == "websocket",
    )


def about_session(room: RoomRoute | None, session: Session | None, now_ms: int) -> list[Header]:
    """Tell the origin what the gate knows; it has stripped what the client said by these names."""
    if room is None:
        return []
    out = [(b"waitroom-room", room.name.encode())]
    if session is not None:
        out += [
            (b"waitroom-session", session.sid.encode()),
            (b"waitroom-lane", session.lane.encode()),
            (b"waitroom-admission-age-ms", b"%d" % max(0, now_ms - session.admitted_ms)),
            (b"waitroom-admission", session.token.encode()),
        ]
    return out


def count(room: RoomRoute | None, verdict: Verdict) -> None:
    """Count the decision."""
    reason = verdict.reason if isinstance(verdict, Open | Wait) else ""
    DECISIONS.labels(room.name if room else "", type(verdict).__name__.lower(), reason).inc()


async def fresh(room: RoomRoute, renewal: asyncio.Task[str | None]) -> str | None:
    """Give the renewed token if it is there in time; a renewal must never hold up or harm a request."""
    outcome, token = "late", None
    try:
        async with asyncio.timeout(RENEWAL_WAIT_S):
            token = await asyncio.shield(renewal)
            outcome = "renewed" if token else "refused"
    except TimeoutError:
        pass
    except (Unavailable, Refused):
        outcome = "failed"
    RENEWALS.labels(room.name, outcome).inc()
    return token


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """True when the peer is one of our own proxies; on a unix socket it can be nobody else."""
    if peer == LOCAL:
        return True
    return bool(trusted) and _is_inside(peer, tuple(trusted))


@lru_cache(maxsize=4096)
def _is_inside(peer: str, trusted: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in trusted)
