"""Entrance: how a person comes to the operator's pages, and how a page knows who asks.

A page asks ``session`` (who is there), ``away`` (what to answer whoever is not signed in) and, before it changes
anything, ``form``: the fields of a form that came from our own page as it was shown to this session.

Not here: what they may do (``rights``), how a session is written (``access``).
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Attempts, Session, Sessions, digest_of, same_origin, same_token
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line, read_form
from dashboards.ports import Deps
from kernel.asgi import client_address

FREE_FAILURES = 5
WHO_MAX_CHARS = 40


class Entrance:
    """Signing in and out."""

    def __init__(self, deps: Deps, pages: Pages) -> None:
        """Know the token."""
        self._deps = deps
        self._pages = pages
        self._token = digest_of(deps.operator_token)
        self._attempts = Attempts(FREE_FAILURES)
        self._sessions = Sessions(deps.signer, deps.operator_token, deps.clock, secure=deps.secure)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            resource("/login", GET=self.show_login, POST=self.login),
            resource("/logout", POST=self.logout),
        ]

    # ---------------------------------------------------------------------------- for pages

    def session(self, request: Request) -> Session | None:
        """Return the session of a person who signed in; None for none."""
        return self._sessions.read(request)

    def csrf(self, session: Session) -> str:
        """Return the paper that a form of this session carries as its field ``csrf``."""
        return self._sessions.csrf(session)

    def away(self, request: Request) -> Response:
        """Answer whoever is not signed in: the way to sign in.

        Browsers keep a strict cookie to themselves when a link elsewhere was followed; asked once more from a page of
        ours they send it.
        """
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            return self._pages.render("again.html")
        return RedirectResponse("/login", 303, SAFE)

    async def form(self, request: Request, session: Session) -> dict[str, str] | None:
        """Read a form; None for one that is not from our own page for this session. Raises ``Refused``."""
        form = await read_form(request)
        if not same_origin(request) or not self._sessions.csrf_holds(session, form.get("csrf", "")):
            return None
        return form

    # ------------------------------------------------------------------------- signing in

    async def show_login(self, request: Request) -> Response:
        """GET /login."""
        if self._sessions.read(request) is not None:
            return RedirectResponse("/", 303, SAFE)
        return self._login_page(self._sessions.read_form(request))

    async def login(self, request: Request) -> Response:
        """POST /login: the token once, a session from then on."""
        session, form = self._sessions.read_form(request), await read_form(request)
        if (
            session is None
            or not same_origin(request)
            or not self._sessions.csrf_holds(session, form.get("csrf", ""))
        ):
            return self._login_page(session, "This form was too old. Please try again.", 403)
        address = client_address(request.scope, self._deps.trusted_proxies)
        now_ms = self._deps.clock.now_ms()
        wait_ms = self._attempts.wait_ms(address, now_ms)
        if wait_ms:
            return self._wait_page(session, wait_ms)
        who = one_line(form.get("who", ""))[:WHO_MAX_CHARS]
        if not same_token(form.get("token", "").strip(), self._token):
            wait_ms = self._attempts.failed(address, now_ms)
            if wait_ms:
                return self._wait_page(session, wait_ms)
            return self._login_page(session, "This is not the operator token.", 403, who=who)
        if not who:
            return self._login_page(session, "Please say who you are: it goes into the journal.", 422)
        self._attempts.succeeded(address)
        response = RedirectResponse("/", 303, SAFE)
        response.raw_headers.append((b"set-cookie", self._sessions.cookie(self._sessions.new(who))))
        return response

    async def logout(self, request: Request) -> Response:
        """POST /logout: end the session, also for a copy of its cookie."""
        session, form = self._sessions.read(request), await read_form(request)
        response = RedirectResponse("/login", 303, SAFE)
        if session is not None and self._sessions.csrf_holds(session, form.get("csrf", "")):
            response.raw_headers.append((b"set-cookie", self._sessions.end(session)))
        return response

    def _wait_page(self, session: Session, wait_ms: int) -> Response:
        wait_s = -(-wait_ms // 1000)
        told = f"Too many wrong tokens. Please wait {wait_s} seconds."
        return self._login_page(session, told, 429, {"retry-after": str(wait_s)})

    def _login_page(
        self,
        session: Session | None,
        told: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        who: str = "",
    ) -> Response:
        bound = session or self._sessions.new()
        response = self._pages.render(
            "login.html", status, headers, csrf=self._sessions.csrf(bound), told=told, who=who, session=None
        )
        if session is None:
            response.raw_headers.append((b"set-cookie", self._sessions.cookie(bound)))
        return response
