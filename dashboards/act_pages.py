"""Act pages: the step before a lever that touches everybody, and a message as fans will see it.

Both are whole pages that work without a script. The preview is the waiting page itself, rendered by the same code
with made-up figures, in a frame: it asks the line nothing. Free text reaches it only from the signed-in person's own
form, and never from the public side.

Not here: the levers (``control``), their words (``acts``).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.acts import ASKS, fans_see, in_all_languages, message_of
from dashboards.entrance import Entrance
from dashboards.operator_api import lever_of, resource
from dashboards.page import SAFE, Pages
from dashboards.ports import Deps
from dashboards.rights import Role, demand
from kernel.errors import Misconfigured, Refused, Unavailable
from waitroom import shells
from waitroom.canned import read_message, situation_of, spoken
from waitroom.reading import Reading
from waitroom.rooms import Room, merged
from waitroom.schedule import wanted
from waitroom.words import SOURCE, languages

PREFIX = "/preview"
THEMES = ("light", "dark")
FRAMED = {"content-security-policy": SAFE["content-security-policy"] + "; frame-src 'self'"}


def judged(form: Mapping[str, str]) -> tuple[str, str]:
    """Return the message that a form asks for, and what is wrong with it ('' for nothing)."""
    try:
        message = read_message(message_of(form))
    except Misconfigured as error:
        return "", f"Please {error.faults[0]}."
    except ValueError as fault:
        return "", f"The message {fault}."
    return message, "" if message else "There is no message to show yet: choose one, or write one."


class ActPages:
    """The pages and the preview in the frame."""

    def __init__(self, deps: Deps, pages: Pages, entrance: Entrance) -> None:
        """Show the rooms of `deps` to whoever came through `entrance`."""
        self._deps = deps
        self._pages = pages
        self._entrance = entrance
        self._waiting = shells.Pages(PREFIX)

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [
            resource("/rooms/{room}/confirm/{lever}", GET=self.confirm),
            resource("/rooms/{room}/preview", GET=self.frame, POST=self.message),
            resource(PREFIX + "/static/{name}", GET=self.asset),
        ]

    async def confirm(self, request: Request) -> Response:
        """GET /rooms/{room}/confirm/{lever}: what will happen, what fans see, and one button."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        lever = lever_of(request)
        if lever not in ASKS:
            raise Refused("lever-unknown", "There is no such lever.", 404)
        name = request.path_params["room"]
        demand(session.person, Role.OPERATOR, name)
        try:
            room = await self._deps.configurations.get(name)
        except Unavailable as error:
            return self._away(session, error)
        return self._pages.render(
            "confirm.html", **self._shared(session, room), ask=ASKS[lever], lever=lever, fans=fans_see(lever)
        )

    async def message(self, request: Request) -> Response:
        """POST /rooms/{room}/preview: a message in all languages, before anybody else sees it."""
        asked = await self._entrance.room_form(request)
        if isinstance(asked, Response):
            return asked
        session, name, form = asked
        try:
            room = await self._deps.configurations.get(name)
        except Unavailable as error:
            return self._away(session, error)
        message, told = judged(form)
        tag = form.get("lang", SOURCE)
        tag = tag if tag in languages() else SOURCE
        theme = form.get("theme", "")
        theme = theme if theme in THEMES else ""
        shown = {"message": message, "lang": tag} | ({"theme": theme} if theme else {})
        return self._pages.render(
            "message.html",
            422 if told else 200,
            FRAMED,
            **self._shared(session, room),
            told=told,
            tongues=[] if told else in_all_languages(message),
            chosen=tag,
            theme=theme,
            source=f"/rooms/{room.name}/preview?{urlencode(shown)}",
            situation=situation_of(message),
            value="" if situation_of(message) else message,
            seen=form.get("version", ""),
        )

    async def frame(self, request: Request) -> Response:
        """GET /rooms/{room}/preview: the waiting page with a message; ``lang``, and ``js=0`` for how it is without."""
        session = self._entrance.session(request)
        if session is None:
            return Response(status_code=401, headers=SAFE)
        name = request.path_params["room"]
        demand(session.person, Role.VIEWER, name)
        room = await self._deps.configurations.get(name)
        query = request.query_params
        tag, message = query.get("lang", SOURCE), query.get("message", "")
        if tag not in languages():
            raise Refused("language-unknown", "The waiting page does not speak this language.", 404)
        try:
            read_message(message)
        except ValueError as fault:
            raise Refused("message-invalid", f"The message {fault}.", 422) from fault
        page = self._waiting.preview(
            self._reading(room),
            "waiting",
            tag,
            still=query.get("js") == "0",
            said=self._said(room, message, tag),
        )
        response = Response(page.body)
        response.raw_headers = [*page.headers, (b"cache-control", b"no-store")]
        response.headers["content-length"] = str(len(page.body))
        return response

    async def asset(self, request: Request) -> Response:
        """GET /preview/static/{name}: a file of the waiting page; its address changes with it."""
        page = self._waiting.asset(request.path_params["name"])
        response = Response(page.body)
        response.raw_headers = [*page.headers]
        response.headers["content-length"] = str(len(page.body))
        return response

    def _said(self, room: Room, message: str, tag: str) -> str:
        words = self._waiting.look(self._reading(room), tag).words
        return spoken(message, words.text)

    def _reading(self, room: Room) -> Reading:
        """Read a room for its look alone; who may frame it elsewhere is not who may frame it here."""
        now_ms = self._deps.clock.now_ms()
        plan = wanted(room, now_ms)
        view = merged(room, plan.sale)
        return Reading(
            replace(room, frame_ancestors=()), replace(view, frame_ancestors=()), plan, read_ms=now_ms
        )

    def _shared(self, session: Session, room: Room) -> dict[str, Any]:
        return {
            "session": session,
            "csrf": self._entrance.csrf(session),
            "room": room,
            "title": room.description or room.name,
        }

    def _away(self, session: Session, error: Unavailable) -> Response:
        return self._pages.render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)
