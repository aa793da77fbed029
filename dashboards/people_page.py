"""People page: owners invite people, give them roles and rooms, take them out, make tokens, and see who signed in.

    GET  /people         accounts and invitations, tokens, the list of logins
    POST /people/{act}   one of ``ACTS``; an invitation's link and a token are told once, in the answer

It belongs to no room, so it takes an owner of all rooms. The last owner who can sign in stays: the command line alone
can take them out.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.access_books import AccessBooks
from dashboards.account_book import NAME_MOST_CHARS, Told
from dashboards.account_tables import given_rooms
from dashboards.entrance import Entrance
from dashboards.operator_api import resource
from dashboards.page import IN_DOUBT, SAFE, Pages, one_line
from dashboards.ports import Deps
from dashboards.rights import Role
from dashboards.token_book import MOST_DAYS
from kernel.errors import Refused, Unavailable
from waitroom.configure import Actor

LOGINS_SHOWN = 60
ROOMS_SHOWN = 30
WHY_MOST_CHARS = 300
ACTS = ("invite", "change", "reset", "remove", "sign-out", "token", "token-remove")
MAKING = frozenset({"invite", "reset", "token"})
"""Acts whose answer tells something once."""

DONE = {
    "change": "The new role and rooms count from now on.",
    "remove": "The person is taken out, with their sessions and tokens.",
    "sign-out": "They are signed out everywhere.",
    "token-remove": "The token counts no more.",
}
FAULTS = {
    Told.NAME_WRONG: f"This cannot be a name: it must be one line of at most {NAME_MOST_CHARS} characters.",
    Told.NAME_TAKEN: "There is a person or a token of this name already.",
    Told.EMAIL_WRONG: "This is no mail address.",
    Told.EMAIL_TAKEN: "Somebody else has been invited by this address.",
    Told.UNKNOWN: "There is nobody of this name any more.",
    Told.OVERTAKEN: "Somebody else has changed this person meanwhile. What you see here is as it is now.",
    Told.LAST_OWNER: "This is the last owner of everything who can sign in. Make another one first.",
}


class Once(NamedTuple):
    """What is told once: what it is, and the text itself."""

    what: str
    text: str


class Fault(Exception):
    """A form cannot be followed; the page says why."""


class PeoplePage:
    """The page and its forms."""

    def __init__(self, deps: Deps, books: AccessBooks, pages: Pages, entrance: Entrance) -> None:
        """Show and change what `books` keep, for owners who came through `entrance`."""
        self._deps = deps
        self._books = books
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [resource("/people", GET=self.show), resource("/people/{act}", POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /people."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        if not session.person.may(Role.OWNER):
            return self._not_yours(session)
        return await self._page(session, DONE.get(request.query_params.get("done", ""), ""))

    async def act(self, request: Request) -> Response:
        """POST /people/{act}."""
        session, act = self._entrance.session(request), request.path_params["act"]
        if session is None:
            return self._entrance.away(request)
        if not session.person.may(Role.OWNER):
            return self._not_yours(session)
        if act not in ACTS:
            raise Refused("form-unknown", "There is no such thing to do here.", 404)
        form = await self._entrance.form(request, session)
        if form is None:
            told = "This form did not come from this page as it is now, so nothing was changed. Please try again."
            return await self._page(session, told, 403)
        try:
            once = await asyncio.to_thread(self._do, act, form, session, self._own_page(request))
        except Fault as fault:
            return await self._page(session, f"Nothing was changed. {fault}", 422)
        except Unavailable as error:
            return self._pages.away(session, error, IN_DOUBT if act in MAKING else "")
        if once is not None:
            return await self._page(session, once=once)
        return RedirectResponse("/people?" + urlencode({"done": act}), 303, SAFE)

    def _do(self, act: str, form: Mapping[str, str], session: Session, own_page: str) -> Once | None:
        """Follow a form; links begin with `own_page`. Raises ``Fault``."""
        accounts, name, told = self._books.accounts, one_line(form.get("name", "")), Told.DONE
        maker = session.who if session.account else ""
        by = Actor(session.who, one_line(form.get("why", ""))[:WHY_MOST_CHARS])
        once: Once | None = None
        match act:
            case "invite":
                email = form.get("email", "").strip()
                told, code = accounts.invite(name, _role(form), _rooms(form), by, email)
                once = _link(name, code, own_page)
            case "change":
                told = accounts.change(name, _role(form), _rooms(form), by, seen=form.get("seen", ""))
            case "reset":
                code = accounts.reset(name, by)
                told, once = Told.DONE if code else Told.UNKNOWN, _link(name, code, own_page)
            case "remove":
                if form.get("confirm") != "yes":
                    raise Fault("The box was not ticked.")
                told = accounts.remove(name, by)
            case "sign-out":
                self._books.sessions.end_all(name, by)
            case "token":
                told, token = self._books.tokens.add(name, _role(form), _rooms(form), _days(form), by, maker)
                once = Once(f"The token of {name}", token)
            case _:
                told = Told.DONE if self._books.tokens.remove(name, by) else Told.UNKNOWN
        if told is not Told.DONE:
            raise Fault(FAULTS[told])
        return once

    def _own_page(self, request: Request) -> str:
        """Give the address of these pages: that of the settings, or as this owner has typed it."""
        scheme = "https" if self._deps.secure else request.url.scheme
        return self._deps.own_page or f"{scheme}://{request.headers.get('host', '')}"

    # ---------------------------------------------------------------------------- the page

    async def _page(
        self, session: Session, told: str = "", status: int = 200, once: Once | None = None
    ) -> Response:
        try:
            context = await asyncio.to_thread(self._all)
            context["rooms"] = await self._rooms_here()
        except Unavailable as error:
            return self._pages.away(session, error, made=[(once.what, once.text)] if once else ())
        return self._pages.render(
            "people.html", status, session=session, csrf=self._entrance.csrf(session), told=told, once=once,
            refused=status != 200, roles=list(Role), by_provider=self._deps.identity is not None, **context,
        )  # fmt: skip

    async def _rooms_here(self) -> list[str]:
        """Name some rooms, as a hint; none while their store is away: people can be taken out all the same."""
        try:
            return [room.name for room in await self._deps.configurations.list()][:ROOMS_SHOWN]
        except Unavailable:
            return []

    def _all(self) -> dict[str, Any]:
        return {
            "accounts": self._books.accounts.all(),
            "tokens": self._books.tokens.all(),
            "logins": self._books.sessions.logins(most=LOGINS_SHOWN),
            "now_ms": self._deps.clock.now_ms(),
        }

    def _not_yours(self, session: Session) -> Response:
        return self._pages.render("not_yours.html", 403, session=session, csrf=self._entrance.csrf(session))


def _link(name: str, code: str, own_page: str) -> Once:
    return Once(f"The link for {name}, which counts once and for a day", invitation(own_page, code))


def invitation(own_page: str, code: str) -> str:
    """Write the link of an invitation."""
    return f"{own_page}/welcome?{urlencode({'code': code})}"


def _role(form: Mapping[str, str]) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError:
        raise Fault("Choose a role.") from None


def _rooms(form: Mapping[str, str]) -> frozenset[str] | None:
    try:
        return given_rooms(form.get("rooms", ""))
    except ValueError:
        raise Fault("Name rooms, or write all.") from None


def _days(form: Mapping[str, str]) -> int:
    text = form.get("days", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST_DAYS):
        raise Fault(f"A token counts for 1 to {MOST_DAYS} days.")
    return int(text)
