"""Codes page: the priority codes of a room: how many of a batch are used; make a batch, revoke one.

Complete without a script. Codes are shown once, on the answer to the form that made them: no address leads there, so
they are in no history. Whoever may only look sees the list, and no form. Not here: the API (``codes_api``).
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.codes_api import batch_of, number_of, offered
from dashboards.entrance import Entrance
from dashboards.guest_api import by_of
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line
from dashboards.ports import Deps, PriorityCodes
from dashboards.rights import Role, demand
from dashboards.words import at
from kernel.errors import Refused, Unavailable

SHOWN_MOST = 100


class CodesPage:
    """The page and its forms."""

    def __init__(self, deps: Deps, codes: PriorityCodes, pages: Pages, entrance: Entrance) -> None:
        """Show the codes of the rooms of `deps` to whoever came through `entrance`."""
        self._deps = deps
        self._codes = codes
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes; they come before the levers', whose address is like theirs."""
        return [resource("/rooms/{room}/codes", GET=self.show, POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /rooms/{room}/codes."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        notice = "The codes count no more." if request.query_params.get("done") == "revoke" else ""
        return await self._page(session, request.path_params["room"], notice)

    async def act(self, request: Request) -> Response:
        """POST /rooms/{room}/codes: make a batch, or (with `batch`) revoke one."""
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
            if "batch" in form:
                await self._codes.revoke(room.name, number_of(form["batch"]), by)
                return RedirectResponse(f"/rooms/{room.name}/codes?done=revoke", 303, SAFE)
            label, count, hours = batch_of(
                one_line(form.get("name", "")), _whole(form.get("count", "")), _whole(form.get("hours", ""))
            )
            offered(room)
            made, texts = await self._codes.make(room.name, label, count, hours, by)
        except Refused as error:
            return await self._page(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._away(session, error)
        return await self._page(session, name, f"{made.size:,} codes for {made.label} are made.", made=texts)

    async def _page(
        self, session: Session, name: str, notice: str = "", status: int = 200, made: Sequence[str] = ()
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        demand(session.person, Role.VIEWER, name)
        try:
            room = await self._deps.configurations.get(name)
            batches = await self._codes.batches(room.name)
        except Unavailable as error:
            return self._away(session, error)
        now_ms = self._deps.clock.now_ms()
        shown: list[dict[str, Any]] = [
            {
                "batch": one,
                "until": at(one.until_ms, now_ms) if one.until_ms else "",
                "revoked": at(one.revoked_ms, now_ms) if one.revoked_ms else "",
            }
            for one in batches[:SHOWN_MOST]
        ]
        return self._pages.render(
            "priority_codes.html",
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            room=room,
            title=room.description or room.name,
            may=session.person.may(Role.OPERATOR, name),
            batches=shown,
            made=made,
            public=f"{self._deps.waiting_page}{room.name}/code" if self._deps.waiting_page else "",
            notice=notice,
            refused=status != 200,
        )

    def _away(self, session: Session, error: Unavailable) -> Response:
        return self._pages.render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)


def _whole(text: str) -> int | str:
    """Read a whole number; anything else stays text, to be refused."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text
