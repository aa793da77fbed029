"""Console: one page on which a person steers the rooms, from the first day and from a phone.

Rendered on the server, complete without JavaScript; a small module then follows ``events`` and replaces what changed,
or fetches the same parts every two seconds where that stream does not come through. Whoever presses a button says which
version they saw, except for the pause: an emergency must not wait for a reload. Every form carries a CSRF paper.

Not here: who may (``entrance``, ``rights``), the words on the page (``view``, ``acts``), the steps before a lever
(``act_pages``), what a lever does (``waitroom.levers``).
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards import acts
from dashboards.access import Session
from dashboards.board import Board
from dashboards.entrance import Entrance
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line
from dashboards.ports import Deps
from dashboards.rights import Role
from kernel.errors import Misconfigured, Refused, Unavailable
from waitroom.configure import Actor, Lever, Saved, Stale
from waitroom.rooms import Room


class ControlPage:
    """The page and its forms."""

    def __init__(self, deps: Deps, pages: Pages, entrance: Entrance, board: Board) -> None:
        """Show the rooms of `deps`, as they stand on `board`, to whoever came through `entrance`."""
        self._deps = deps
        self._rooms = deps.configurations
        self._pages = pages
        self._entrance = entrance
        self._board = board

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            resource("/", GET=self.show),
            resource("/live", GET=self.live),
            resource("/rooms/{room}/{lever}", POST=self.pull),
        ]

    # ---------------------------------------------------------------------------- the page

    async def show(self, request: Request) -> Response:
        """GET /: the page, or the way to sign in."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        done = request.query_params.get("done", "")
        notice = acts.DONE[Lever(done)] if done in list(Lever) else ""
        return await self._page(session, request.query_params.get("room", ""), notice)

    async def live(self, request: Request) -> Response:
        """GET /live: the changing parts of the page, for its script."""
        session = self._entrance.session(request)
        if session is None:
            return Response(status_code=401, headers=SAFE)
        name = request.query_params.get("room", "")
        page = await self._page(session, name, template="live.html")
        if name and page.status_code == 200 and name not in self._board.names(session.person):
            raise Refused("room-unknown", "There is no such room.", 404)
        return page

    async def _page(
        self, session: Session, name: str, notice: str = "", status: int = 200, template: str = "control.html"
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        try:
            await self._board.sampler.fresh()
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )
        return self._pages.render(
            template,
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            notice=notice,
            refused=status != 200,
            **await self._board.context(session.person, name),
        )

    # -------------------------------------------------------------------------- the levers

    async def pull(self, request: Request) -> Response:
        """POST /rooms/{room}/{lever}: pull a lever, then show the page again."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        name, word = request.path_params["room"], request.path_params["lever"]
        if word not in list(Lever):
            raise Refused("lever-unknown", "There is no such lever.", 404)
        if not session.person.may(Role.OPERATOR, name):
            return await self._page(
                session, name, "Nothing was changed: you may look at this room only.", 403
            )
        form = await self._entrance.form(request, session)
        if form is None:
            notice = "This form did not come from this page as it is now, so nothing was changed. Please try again."
            return await self._page(session, name, notice, 403)
        lever = Lever(word)
        if not acts.confirmed(lever, form):
            return await self._page(
                session, name, "Nothing was changed: the step before it was not confirmed.", 422
            )
        actor = Actor(session.who, one_line(form.get("why", "")))
        try:
            value = acts.value_of(lever, form)
            result = await self._rooms.act(name, lever, value, acts.seen_version(lever, form), actor)
        except Misconfigured as error:
            return await self._page(
                session, name, "Nothing was changed: " + "; ".join(error.faults) + ".", 422
            )
        except Refused as error:
            return await self._page(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )
        match result:
            case Saved(room):
                await self._board.sampler.look_at(room.name)
                return RedirectResponse("/?" + urlencode({"room": room.name, "done": lever}), 303, SAFE)
            case Stale(current, changes):
                await self._board.sampler.look_at(name)
                return await self._conflict(session, current, changes, lever, form)

    async def _conflict(
        self,
        session: Session,
        room: Room | None,
        changes: Sequence[Mapping[str, object]],
        lever: Lever,
        form: Mapping[str, str],
    ) -> Response:
        """Show what changed meanwhile beside what was wanted."""
        if room is None:
            return await self._page(session, "", "Nothing was changed: this room has been removed.", 404)
        now_ms = self._deps.clock.now_ms()
        return self._pages.render(
            "conflict.html",
            409,
            session=session,
            csrf=self._entrance.csrf(session),
            room=room,
            title=room.description or room.name,
            lever=lever,
            fields=acts.kept_fields(form),
            found=acts.conflict(room, lever, acts.value_of(lever, form), changes, now_ms),
        )
