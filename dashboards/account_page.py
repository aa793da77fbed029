"""Account page: what belongs to the person who asks: password, device, recovery codes, sessions, logins.

    GET  /account              the page; with ?device=new a device to be read
    POST /account/password     another password; all other sessions end
    POST /account/device       another device; all other sessions end
    POST /account/recovery     new recovery codes, told once
    POST /account/sessions     end all other sessions

What changes how somebody signs in takes their password once more: an open browser alone does not.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.access_books import AccessBooks
from dashboards.account_tables import digest_of
from dashboards.enrolling import Enrolling
from dashboards.entrance import Entrance
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages
from dashboards.passwords import LEAST_CHARS, fault
from dashboards.ports import Deps
from kernel.errors import Refused, Unavailable
from waitroom.configure import Actor

LOGINS_SHOWN = 20
DONE = {
    "password": "Your password is changed. All other browsers are signed out.",
    "device": "Your new device counts from now on. All other browsers are signed out.",
    "sessions": "All other browsers are signed out.",
}


class AccountPage:
    """The page and its forms."""

    def __init__(self, deps: Deps, books: AccessBooks, pages: Pages, entrance: Entrance) -> None:
        """Show what `books` keep of whoever came through `entrance`."""
        self._books = books
        self._pages = pages
        self._entrance = entrance
        self._clock = deps.clock
        self._enrolling = Enrolling(deps.signer, deps.clock)

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [resource("/account", GET=self.show), resource("/account/{act}", POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /account."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        told = DONE.get(request.query_params.get("done", ""), "")
        return await self._page(session, told, is_new=request.query_params.get("device") == "new")

    async def act(self, request: Request) -> Response:
        """POST /account/{act}."""
        session, act = self._entrance.session(request), request.path_params["act"]
        if session is None:
            return self._entrance.away(request)
        if act not in ("password", "device", "recovery", "sessions"):
            raise Refused("form-unknown", "There is no such thing to do here.", 404)
        form = await self._entrance.form(request, session)
        if form is None:
            told = "This form did not come from this page as it is now, so nothing was changed. Please try again."
            return await self._page(session, told, 403)
        if not session.account:
            return await self._page(session, "You have signed in without an account.", 403)
        try:
            return await self._done(request, session, act, form)
        except Refused as error:
            return await self._page(session, error.public, error.status)
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )

    async def _done(self, request: Request, session: Session, act: str, form: Mapping[str, str]) -> Response:
        accounts, secret = self._books.accounts, b""
        if act == "sessions":
            await asyncio.to_thread(
                self._books.sessions.end_all, session.who, Actor(session.who), session.sid
            )
            return _done(act)
        paper = form.get("device", "")
        if act == "password" and (wrong := fault(form.get("new", ""), session.who)):
            return await self._page(session, wrong, 422)
        if act == "device":
            secret = self._enrolling.read(session.sid, paper) or b""
            if not secret:
                return await self._page(session, "Please read the picture again.", 422, is_new=True)
        doubt = await self._entrance.doubt(request, session, form.get("password", ""))
        if doubt:
            return await self._page(session, doubt, 403, is_new=act == "device", paper=paper)
        if act == "password":
            await self._entrance.at_work(accounts.set_password, session.who, form["new"], session.sid)
        elif act == "recovery":
            codes = await asyncio.to_thread(accounts.renew_recovery, session.who)
            return self._pages.render("codes.html", session=session, codes=codes, name=session.who)
        else:
            digits = "".join(form.get("digits", "").split())
            if not await asyncio.to_thread(accounts.set_device, session.who, secret, digits, session.sid):
                told = "These are not the digits that your device shows now. Nothing was changed."
                return await self._page(session, told, 422, is_new=True, paper=paper)
        return _done(act)

    async def _page(
        self, session: Session, told: str = "", status: int = 200, *, is_new: bool = False, paper: str = ""
    ) -> Response:
        context: dict[str, Any] = {"account": None}
        try:
            if session.account:
                context = await asyncio.to_thread(self._of, session)
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )
        if session.account and is_new:
            context["device"] = self._enrolling.offer(session.sid, session.who, paper)
        return self._pages.render(
            "account.html", status, session=session, csrf=self._entrance.csrf(session), told=told,
            refused=status != 200, least=LEAST_CHARS, **context,
        )  # fmt: skip

    def _of(self, session: Session) -> dict[str, Any]:
        return {
            "account": self._books.accounts.find(session.who),
            "stays": self._books.sessions.of(session.who),
            "this": digest_of(session.sid),
            "logins": self._books.sessions.logins(session.who, LOGINS_SHOWN),
        }


def _done(act: str) -> Response:
    return RedirectResponse(f"/account?done={act}", 303, SAFE)
