"""Staff room: what somebody of the staff sees and does with a browser: log in, second factors, logins, log out.

    GET  /staff                  who is logged in, their factors and logins; or how to log in
    GET  /staff/who              the same for a script: {"name", "role", "csrf"}
    POST /staff/device/new       show a new device's secret             form: csrf, code
    POST /staff/device           keep it, if it shows the right digits  form: csrf, secret, until, paper, shown
    POST /staff/device/remove                                           form: csrf, code
    POST /staff/recovery         new recovery codes                     form: csrf, code
    POST /staff/keys/options     what a key is made from                {"code"?}
    POST /staff/keys             keep a key                             {"answer", "label"}
    POST /staff/keys/remove                                             form: csrf, credential, code
    POST /staff/proof/options    what is asked of one's keys
    POST /staff/proof            {"answer"}: the code that it is worth

and what ``entrance`` has. Whoever has a factor shows one before anything of it changes, and what is taken away is not
what is shown; the first factor of somebody is made right after a login. Without scripts all of it works but keys.
"""

import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from checkout.organiser.web import unshown
from checkout.people.factors import DEVICE, ISSUER, Factors, new_secret
from checkout.people.factors import Shown as Outcome
from checkout.people.proofs import Whose
from checkout.people.staff_keys import StaffKeys
from checkout.people.staff_sessions import StaffSession, StaffSessions, paper_of
from checkout.requests import read_object, same_site
from checkout.site.forms import html, one, read_form
from checkout.staffroom.entrance import CSRF, HOME, Entrance, NotEntered, check_paper, to
from checkout.staffroom.page import (
    PERMISSIONS,
    POLICY,
    TYPES,
    NewDevice,
    Shown,
    StaffPage,
    assets,
    texts,
    version,
)
from kernel import totp
from kernel.asgi import Receive, Scope, Send
from kernel.clock import Clock
from kernel.errors import Refused
from kernel.languages import negotiate
from kernel.problems import raw_problem

FRESH_MS = 600_000
"""So long after a login the first factor may be made."""

DEVICE_MS = 600_000
ANSWER_MOST_BYTES = 16_384
FAULTS = frozenset(
    {
        "second-factor-missing", "second-factor-wrong", "second-factor-locked", "second-factor-same", "factor-last",
        "login-old", "device-wrong",
    }
)  # fmt: skip
"""Codes that the page has words for."""

Handler = Callable[[Request], Awaitable[Response]]


class StaffRoom:
    """The room, as an application of its own."""

    def __init__(
        self,
        entrance: Entrance,
        sessions: StaffSessions,
        factors: Factors,
        keys: StaffKeys,
        clock: Clock,
        *,
        is_demo: bool = False,
    ) -> None:
        """`is_demo`: the page says that whoever comes may choose who they are."""
        self._entrance = entrance
        self._sessions = sessions
        self._factors = factors
        self._keys = keys
        self._clock = clock
        self._is_demo = is_demo
        self._page = StaffPage()
        get, post = ["GET"], ["POST"]
        self.routes = [
            Route(HOME, self.home, methods=get),
            Route(f"{HOME}/who", self.who, methods=get),
            Route(f"{HOME}/static/{{version}}/{{name}}", self.file, methods=get),
            Route(f"{HOME}/login", self.login, methods=get),
            Route(f"{HOME}/callback", self.callback, methods=get),
            Route(f"{HOME}/logout", self.logout, methods=post),
            Route(f"{HOME}/device/new", self.new_device, methods=post),
            Route(f"{HOME}/device", self.keep_device, methods=post),
            Route(f"{HOME}/device/remove", self.drop_device, methods=post),
            Route(f"{HOME}/recovery", self.recovery, methods=post),
            Route(f"{HOME}/keys/options", self.ask_for_key, methods=post),
            Route(f"{HOME}/keys", self.add_key, methods=post),
            Route(f"{HOME}/keys/remove", self.drop_key, methods=post),
            Route(f"{HOME}/proof/options", self.ask, methods=post),
            Route(f"{HOME}/proof", self.prove, methods=post),
        ]
        router = Router(self.routes, redirect_slashes=False)
        self._app = ExceptionMiddleware(router, {HTTPException: _problem, Exception: _problem})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app({**scope, "app": self}, receive, send)

    # ------------------------------------------------------------------------------------- coming and going

    async def home(self, request: Request) -> Response:
        """Show who is logged in, or how to log in."""
        session = await self._entrance.who(request.scope)
        return await self._shown(request, session)

    async def who(self, request: Request) -> Response:
        """Tell a script of ours who is logged in."""
        same_site(request.scope)
        session = await self._own(request)
        return _json({"name": session.name, "role": session.role.value, "csrf": session.csrf})

    async def file(self, request: Request) -> Response:
        """Give a file of the page."""
        name, made = request.path_params["name"], request.path_params["version"]
        if made != version() or name not in assets():
            raise HTTPException(404)
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        return Response(assets()[name], headers=headers, media_type=TYPES[name[name.rfind(".") :]])

    async def login(self, request: Request) -> Response:
        """Begin a login."""
        try:
            return await self._entrance.login(request, _tag(request))
        except NotEntered as error:
            return await self._shown(request, None, status=error.status, fault=f"login.{error.why}")

    async def callback(self, request: Request) -> Response:
        """Come back from the provider."""
        try:
            return await self._entrance.callback(request)
        except NotEntered as error:
            return await self._shown(request, None, status=error.status, fault=f"login.{error.why}")

    async def logout(self, request: Request) -> Response:
        """End this session, or all."""
        same_site(request.scope)
        if await self._entrance.who(request.scope) is None:
            return to(HOME)
        _, form = await self._form(request)
        return await self._entrance.logout(request, everywhere=one(form, "everywhere") == "yes")

    # --------------------------------------------------------------------------------- device and recovery

    async def new_device(self, request: Request) -> Response:
        """Show a new device's secret."""
        session, form = await self._form(request)

        async def act() -> Response:
            await self._step(session, one(form, "code"))
            return await self._shown(request, session, device=self._device(request, session, new_secret()))

        return await self._told(request, session, act)

    async def keep_device(self, request: Request) -> Response:
        """Keep a new device, if it shows the right digits."""
        session, form = await self._form(request)
        secret = _secret(one(form, "secret"))
        until = one(form, "until")
        device = self._device(
            request, session, secret, int(until) if until.isdecimal() and len(until) < 16 else 0
        )
        # What is kept was made by us, for this session, after a factor was shown; and not long ago.
        is_ours = hmac.compare_digest(device.paper.encode(), one(form, "paper").encode())
        if not is_ours or self._clock.now_ms() >= device.until_ms:
            raise Refused("paper-missing", "This did not come from our own page. Load it again.", 403)
        codes = await self._factors.put_device(session.name, secret, one(form, "shown").replace(" ", ""))
        if codes is None:
            return await self._shown(request, session, device=device, status=403, fault="fault.device-wrong")
        return await self._shown(request, session, codes=codes) if codes else to(HOME)

    async def drop_device(self, request: Request) -> Response:
        """Take the device away."""
        session, form = await self._form(request)

        async def act() -> Response:
            await self._step(session, one(form, "code"), other_than=DEVICE)
            if not await self._factors.drop_device(session.name):
                raise _last()
            return to(HOME)

        return await self._told(request, session, act)

    async def recovery(self, request: Request) -> Response:
        """Give new recovery codes."""
        session, form = await self._form(request)

        async def act() -> Response:
            await self._step(session, one(form, "code"))
            codes = await self._factors.renew_recovery(session.name)
            return await self._shown(request, session, codes=codes)

        return await self._told(request, session, act)

    # --------------------------------------------------------------------------------------------- keys

    async def ask_for_key(self, request: Request) -> Response:
        """Say what a key is made from."""
        session, plain = await self._call(request)
        await self._step(session, str(plain.get("code", "")))
        return _json(await self._keys.ask_for_new(_whose(session)))

    async def add_key(self, request: Request) -> Response:
        """Keep a key that was made."""
        session, plain = await self._call(request)
        codes = await self._keys.add(_whose(session), _answer(plain), str(plain.get("label", "")))
        return _json({"recovery": list(codes)}, 201)

    async def drop_key(self, request: Request) -> Response:
        """Take a key away."""
        session, form = await self._form(request)
        credential = one(form, "credential")

        async def act() -> Response:
            await self._step(session, one(form, "code"), other_than=credential)
            if not await self._keys.remove(session.name, credential):
                raise _last()
            return to(HOME)

        return await self._told(request, session, act)

    async def ask(self, request: Request) -> Response:
        """Say what is asked of one's keys."""
        session, _ = await self._call(request)
        return _json(await self._keys.ask(_whose(session)))

    async def prove(self, request: Request) -> Response:
        """Give the code that an answer is worth."""
        session, plain = await self._call(request)
        return _json({"code": await self._keys.prove(_whose(session), _answer(plain))})

    # ----------------------------------------------------------------------------------------- small parts

    async def _step(self, session: StaffSession, code: str, other_than: str = "") -> None:
        """See that somebody shows a factor that they have, if they have any. Raises ``Refused``."""
        looked = await self._factors.look(session.name, code, session.digest)
        if looked.shown is Outcome.NOT_NEEDED:
            if self._clock.now_ms() - session.began_ms >= FRESH_MS:
                raise Refused("login-old", "Log in once more before you make your first factor.", 403)
            return
        if looked.shown is not Outcome.RIGHT:
            raise unshown(looked.shown)
        if other_than and looked.by == other_than:
            raise Refused("second-factor-same", "Show another factor than the one that you take away.", 403)

    async def _own(self, request: Request) -> StaffSession:
        session = await self._entrance.who(request.scope)
        if session is None:
            raise Refused("staff-login-missing", "Log in first, at /staff.", 401)
        return session

    async def _form(self, request: Request) -> tuple[StaffSession, Any]:
        """Read a form of ours. Raises ``Refused``."""
        same_site(request.scope)
        session = await self._own(request)
        form = await read_form(request.scope, request.receive)
        check_paper(session, one(form, "csrf"))
        return session, form

    async def _call(self, request: Request) -> tuple[StaffSession, dict[str, Any]]:
        """Read what a script of ours sends. Raises ``Refused``."""
        same_site(request.scope)
        session = await self._own(request)
        check_paper(session, request.headers.get(CSRF, ""))
        _, plain = await read_object(request.scope, request.receive, ANSWER_MOST_BYTES)
        return session, plain

    async def _told(
        self, request: Request, session: StaffSession, act: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Do what a form asks for; a refusal that people can do something about stands on the page."""
        try:
            return await act()
        except Refused as error:
            if error.code not in FAULTS:
                raise
            return await self._shown(request, session, status=error.status, fault=f"fault.{error.code}")

    async def _shown(
        self,
        request: Request,
        session: StaffSession | None,
        *,
        status: int = 200,
        fault: str = "",
        **more: Any,
    ) -> Response:
        if session is None:
            shown = Shown(fault=fault, is_demo=self._is_demo)
        else:
            having = await self._factors.having(session.name)
            shown = Shown(
                session, await self._keys.keys(session.name), having.device, having.recovery,
                await self._sessions.entries(session.name), fault, **more,
            )  # fmt: skip
        headers = {"Permissions-Policy": PERMISSIONS, "Cross-Origin-Opener-Policy": "same-origin"}
        text = self._page.text(_tag(request), shown)
        return html(request.scope, text, status=status, policy=POLICY, more=headers)

    def _device(self, request: Request, session: StaffSession, secret: bytes, until_ms: int = 0) -> NewDevice:
        until_ms = until_ms or self._clock.now_ms() + DEVICE_MS
        text = base64.b32encode(secret).decode()
        paper = paper_of(self._entrance.secret(request.scope), f"device\0{until_ms}\0{text}")
        return NewDevice(text, totp.address(secret, session.name, ISSUER), until_ms, paper)


def _whose(session: StaffSession) -> Whose:
    return Whose(session.name, session.digest)


def _tag(request: Request) -> str:
    return negotiate(
        texts(), request.headers.get("accept-language", ""), request.query_params.get("lang", "")
    )


def _answer(plain: dict[str, Any]) -> dict[str, Any]:
    answer = plain.get("answer")
    if not isinstance(answer, dict):
        raise Refused("key-refused", "This key's answer does not count. Try once more.", 403)
    return answer


def _secret(text: str) -> bytes:
    try:
        return base64.b32decode(text)
    except ValueError:
        return b""


def _last() -> Refused:
    return Refused(
        "factor-last", "This is your only factor, or it is gone already. Make another one first.", 409
    )


def _json(plain: object, status: int = 200) -> Response:
    return Response(orjson.dumps(plain), status, {"cache-control": "no-store"}, "application/json")


def _problem(_request: Request, error: Exception) -> Response:
    status, headers, body = raw_problem(error)
    answer = Response(body, status)
    answer.raw_headers += headers
    return answer
