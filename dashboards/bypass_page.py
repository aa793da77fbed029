"""Bypass page: the bypass tokens of a room: who has one and why, how often it was used; make one, revoke one.

Complete without a script. A token's text is shown once, on the answer to the form that made it: no address leads there,
so it is in no history. Whoever may only look sees the list, and no form. Not here: the API (``bypass_api``).
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.guest_api import by_of
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line
from dashboards.ports import Deps, Passes
from dashboards.rights import Role, demand
from dashboards.words import at
from kernel.errors import Refused, Unavailable

SHOWN_MOST = 100


class BypassPage:
    """The page and its forms."""

    def __init__(self, deps: Deps, passes: Passes, pages: Pages, entrance: Entrance) -> None:
        """Show the tokens of the rooms of `deps` to whoever came through `entrance`."""
        self._deps = deps
        self._passes = passes
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes; they come before the levers', whose address is like theirs."""
        return [resource("/rooms/{room}/bypass", GET=self.show, POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /rooms/{room}/bypass."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        notice = "The token counts no more." if request.query_params.get("done") == "revoke" else ""
        return await self._page(session, request.path_params["room"], notice)

    async def act(self, request: Request) -> Response:
        """POST /rooms/{room}/bypass: make a token, or (with `token`) revoke one."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        name = request.path_params["room"]
        demand(session.person, Role.OPERATOR, name)
        form = await self._entrance.form(request, session)
        if form is None:
            raise Refused("form-foreign", "This form did not come from this page as it is now.", 403)
        try:
            by = by_of(session.who, one_line(form.get("why", "")))
            room = await self._deps.configurations.get(name)
            if "token" in form:
                await self._passes.revoke(room.name, form["token"], by)
                return RedirectResponse(f"/rooms/{room.name}/bypass?done=revoke", 303, SAFE)
            hours = form.get("hours", "").strip()
            count = int(hours) if hours.isascii() and hours.isdigit() and len(hours) < 9 else 0
            made, text = await self._passes.make(room.name, one_line(form.get("name", "")), count, by)
        except Refused as error:
            return await self._page(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._away(session, error)
        return await self._page(session, name, f"The token for {made.name} is made.", made=text)

    async def _page(
        self, session: Session, name: str, notice: str = "", status: int = 200, made: str = ""
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        demand(session.person, Role.VIEWER, name)
        try:
            room = await self._deps.configurations.get(name)
            tokens = await self._passes.tokens(room.name)
        except Unavailable as error:
            return self._away(session, error)
        now_ms = self._deps.clock.now_ms()
        shown: list[dict[str, Any]] = [
            {
                "token": one,
                "counts": one.counts(now_ms),
                "until": at(one.until_ms, now_ms),
                "last": at(one.last_ms, now_ms) if one.last_ms else "",
                "revoked": at(one.revoked_ms, now_ms) if one.revoked_ms else "",
            }
            for one in tokens[:SHOWN_MOST]
        ]
        return self._pages.render(
            "bypass_tokens.html",
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            room=room,
            title=room.description or room.name,
            may=session.person.may(Role.OPERATOR, name),
            tokens=shown,
            made=made,
            public=f"{self._deps.waiting_page}{room.name}/bypass" if self._deps.waiting_page else "",
            notice=notice,
            refused=status != 200,
        )

    def _away(self, session: Session, error: Unavailable) -> Response:
        return self._pages.render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)
