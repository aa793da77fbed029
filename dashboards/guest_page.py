"""Guests' page: find one fan by their number, end a visit, evict, give back, and end all visits of a room.

Complete without a script. Whoever may only look sees who is evicted, and no form. An act that touches everybody asks
once more, on a page of its own. After an act the browser is sent on, so that a reload repeats nothing.

Not here: who may (``entrance``, ``rights``), what an act does (``admission.steering``), the API (``guest_api``).
"""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.guest_api import act_of, by_of, confirmed, done, number_of, standing_of
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line
from dashboards.ports import Deps, Guests
from dashboards.rights import Role, demand
from dashboards.words import at
from kernel.errors import Refused, Unavailable
from waitroom.rooms import Room

DONE = {
    "revoke": "The visit has ended. Every gate knows it within two seconds.",
    "evict": "The place is evicted: it has no turn until you give it back. Its fan is told so when the turn comes.",
    "reinstate": "The place is given back, where it was.",
}
STANDING = {
    "evicted": "is evicted: no turn until it is given back",
    "inside": "is inside",
    "over": "was let in, and the visit is over",
    "waiting": "has not been let in",
}
SHOWN_MOST = 200


class GuestPage:
    """The page and its forms."""

    def __init__(self, deps: Deps, guests: Guests, pages: Pages, entrance: Entrance) -> None:
        """Show the guests of the rooms of `deps` to whoever came through `entrance`."""
        self._deps = deps
        self._guests = guests
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes; they come before the levers', whose address is like theirs."""
        return [
            resource("/rooms/{room}/guests", GET=self.show, POST=self.act),
            resource("/rooms/{room}/guests/all", GET=self.ask, POST=self.revoke_all),
        ]

    async def show(self, request: Request) -> Response:
        """GET /rooms/{room}/guests, with ?arrived= for one of them."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        query = request.query_params
        revoked = query.get("revoked", "")
        notice = DONE.get(query.get("done", ""), "")
        if revoked.isascii() and revoked.isdigit() and len(revoked) < 12:
            ended = "1 visit has" if int(revoked) == 1 else f"{int(revoked):,} visits have"
            notice = f"{ended} ended. Every gate knows it within two seconds."
        return await self._page(session, request.path_params["room"], query.get("arrived", ""), notice)

    async def act(self, request: Request) -> Response:
        """POST /rooms/{room}/guests: one of ``ACTS`` to one guest."""
        asked = await self._entrance.room_form(request)
        if isinstance(asked, Response):
            return asked
        session, name, form = asked
        arrived, word = form.get("arrived", ""), form.get("act", "")
        try:
            by = by_of(session.who, one_line(form.get("why", "")))
            room = await self._deps.configurations.get(name)
            await done(self._guests, act_of(word), room.name, number_of(arrived), by)
        except Refused as error:
            return await self._page(
                session, name, arrived, f"Nothing was changed: {error.public}", error.status
            )
        except Unavailable as error:
            return self._away(session, error)
        where = f"/rooms/{room.name}/guests?" + urlencode({"arrived": arrived, "done": word})
        return RedirectResponse(where, 303, SAFE)

    async def ask(self, request: Request) -> Response:
        """GET /rooms/{room}/guests/all: the step before all visits end."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        name = request.path_params["room"]
        demand(session.person, Role.OPERATOR, name)
        return await self._ask(session, name)

    async def revoke_all(self, request: Request) -> Response:
        """POST /rooms/{room}/guests/all: end every visit of the room."""
        asked = await self._entrance.room_form(request)
        if isinstance(asked, Response):
            return asked
        session, name, form = asked
        try:
            confirmed(form.get("confirm") == "yes")
            by = by_of(session.who, one_line(form.get("why", "")))
            room = await self._deps.configurations.get(name)
            count = await self._guests.revoke_all(room.name, by)
        except Refused as error:
            return await self._ask(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._away(session, error)
        return RedirectResponse(f"/rooms/{room.name}/guests?revoked={count}", 303, SAFE)

    async def _page(
        self, session: Session, name: str, arrived: str, notice: str = "", status: int = 200
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        demand(session.person, Role.VIEWER, name)
        guest = None
        try:
            room = await self._deps.configurations.get(name)
            evicted = [number + 1 for number in await self._guests.evicted(room.name)]
            if arrived:
                try:
                    guest = await self._guests.find(room.name, number_of(arrived))
                except Refused as error:
                    notice, status = notice or error.public, error.status if status == 200 else status
        except Unavailable as error:
            return self._away(session, error)
        now_ms = self._deps.clock.now_ms()
        return self._pages.render(
            "guests.html",
            status,
            **self._shared(session, room),
            may=session.person.may(Role.OPERATOR, name),
            arrived=arrived,
            guest=guest,
            standing=standing_of(guest) if guest else "",
            told=STANDING[standing_of(guest)] if guest else "",
            since=at(guest.turn.admitted_ms, now_ms) if guest and guest.turn else "",
            evicted=evicted[:SHOWN_MOST],
            more=max(0, len(evicted) - SHOWN_MOST),
            public=f"{self._deps.waiting_page}{room.name}/preview" if self._deps.waiting_page else "",
            notice=notice,
            refused=status != 200,
        )

    async def _ask(self, session: Session, name: str, told: str = "", status: int = 200) -> Response:
        try:
            room = await self._deps.configurations.get(name)
        except Unavailable as error:
            return self._away(session, error)
        return self._pages.render("guests_all.html", status, **self._shared(session, room), told=told)

    def _shared(self, session: Session, room: Room) -> dict[str, Any]:
        csrf = self._entrance.csrf(session)
        return {"session": session, "csrf": csrf, "room": room, "title": room.description or room.name}

    def _away(self, session: Session, error: Unavailable) -> Response:
        return self._pages.render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)
