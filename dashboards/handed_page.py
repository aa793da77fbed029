"""Handed page: what the pages of bypass tokens and of priority codes have in common.

On either an operator makes something that is handed to others, is told it once, and revokes it later. Complete without
a script. What was made is shown on the answer to the form that made it: no address leads there, so it is in no
history. It is shown whatever comes after: the list of all is read later, and may be away by then. Whoever may only look
sees the list, and no form. Not here: what is made (``bypass_page``, ``codes_page``).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from admission.guests import By
from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.guest_api import by_of
from dashboards.operator_api import resource
from dashboards.page import IN_DOUBT, SAFE, Pages, one_line
from dashboards.ports import Deps
from dashboards.rights import Role, demand
from kernel.errors import Refused, Unavailable
from waitroom.rooms import Room

SHOWN_MOST = 100


class HandedPage(ABC):
    """A page and its forms."""

    path: ClassVar[str]
    """Its address, below the room's."""
    template: ClassVar[str]
    field: ClassVar[str]
    """The field of a form that revokes: it names what."""
    public: ClassVar[str]
    """Where the holder enters it, below the room's public address."""
    gone: ClassVar[str]
    """What is told after a revoking."""
    once: ClassVar[str]
    """What a text is that is told once."""

    def __init__(self, deps: Deps, pages: Pages, entrance: Entrance) -> None:
        """Serve the rooms of `deps` to whoever came through `entrance`."""
        self._deps = deps
        self._pages = pages
        self._entrance = entrance

    @abstractmethod
    async def make(self, room: Room, form: Mapping[str, str], by: By) -> tuple[str, str | Sequence[str]]:
        """Make what a form asks for; return what to say and what to show once. Raises Refused and Unavailable."""

    @abstractmethod
    async def revoke(self, room: Room, given: str, by: By) -> None:
        """Let it count no more. Raises Refused and Unavailable."""

    @abstractmethod
    async def listed(self, room: Room, now_ms: int) -> list[dict[str, Any]]:
        """List what was made, the newest first, as the template shows it. Raises Refused and Unavailable."""

    def routes(self) -> list[Route]:
        """Return the page's routes; they come before the levers', whose address is like theirs."""
        return [resource(f"/rooms/{{room}}/{self.path}", GET=self.show, POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /rooms/{room}/{path}."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        notice = self.gone if request.query_params.get("done") == "revoke" else ""
        return await self._page(session, request.path_params["room"], notice)

    async def act(self, request: Request) -> Response:
        """POST /rooms/{room}/{path}: make, or (with the field that names one) revoke."""
        asked = await self._entrance.room_form(request)
        if isinstance(asked, Response):
            return asked
        session, name, form = asked
        is_making = self.field not in form
        try:
            by = by_of(session.who, one_line(form.get("why", "")))
            room = await self._deps.configurations.get(name)
            if not is_making:
                await self.revoke(room, form[self.field], by)
                return RedirectResponse(f"/rooms/{room.name}/{self.path}?done=revoke", 303, SAFE)
            notice, made = await self.make(room, form, by)
        except Refused as error:
            return await self._page(session, name, f"Nothing was changed: {error.public}", error.status)
        except Unavailable as error:
            return self._pages.away(session, error, IN_DOUBT if is_making else "")
        return await self._page(session, name, notice, made=made)

    async def _page(
        self, session: Session, name: str, notice: str = "", status: int = 200, made: str | Sequence[str] = ""
    ) -> Response:
        """Render the page; `notice` is good news with status 200 and a refusal otherwise."""
        demand(session.person, Role.VIEWER, name)
        try:
            room = await self._deps.configurations.get(name)
            listed = await self.listed(room, self._deps.clock.now_ms())
        except (Refused, Unavailable) as error:
            if not made:
                if isinstance(error, Refused):
                    raise
                return self._pages.away(session, error)
            text = made if isinstance(made, str) else "\n".join(made)
            return self._pages.away(session, error, made=[(self.once, text)])
        where = self._deps.waiting_page
        return self._pages.render(
            self.template,
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            room=room,
            title=room.description or room.name,
            may=session.person.may(Role.OPERATOR, name),
            listed=listed[:SHOWN_MOST],
            made=made,
            public=f"{where}{room.name}/{self.public}" if where else "",
            notice=notice,
            refused=status != 200,
        )


def whole(text: str) -> int | None:
    """Read a whole number as a form brings it; None for anything else."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
