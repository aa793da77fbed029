"""Entrance: how a person comes to the operator's pages, and how a page knows who asks.

A page asks ``session`` (who is there), ``away`` (what to answer whoever is not signed in) and, before it changes
anything, ``form``: the fields of a form that came from our own page as it was shown to this session. ``Recognising``
has looked the session up before the page is asked.

Two ways in stand here: an account's name, password and code, looked at together; and the operator token with a name
that is typed, as long as no owner can sign in with an account (ADR 0039). In place of the token a demo on this machine
has a link that counts once (ADR 0049). Not here: invitations (``welcome``), the provider (``provider_door``), what
somebody may do (``rights``), how a session is written (``access``).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.access import (
    Session,
    Sessions,
    by_account,
    by_address,
    digest_of,
    network_of,
    same_origin,
    same_token,
)
from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.account_tables import key_of
from dashboards.bounds import LookUps
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages, one_line, read_form
from dashboards.ports import Deps, OneTimeLink
from dashboards.rights import Role, demand
from dashboards.session_book import IN, WRONG
from dashboards.wait_book import Guesser, Try, WaitsHere
from kernel.asgi import client_address
from kernel.errors import Refused, Unavailable

WHO_MAX_CHARS = 40
STRANGERS_MOST = 20
"""So many tries from networks that nobody is known to come from may wait for their turn: some ten seconds of work."""
BUSY_MS = 10_000
GRACE_MS = 600_000
"""So long a session goes on that was looked up before its book went away."""
SEEN_MOST = 1000
PASSWORD, TOKEN, LINK = "password", "operator token", "link"
USED = "This link was used, or is too old. The operator token signs in, too: the demo has printed where it stands."

Result = TypeVar("Result")

_FOUND = "waitroom.session"
_WITHOUT = ("/api/", "/static/", "/health/", "/metrics")


class RoomForm(NamedTuple):
    """What somebody who may steer a room has sent."""

    session: Session
    room: str
    form: dict[str, str]


class Recognising:
    """Looks up who asks, before a page is asked: the book of sessions is a database."""

    def __init__(self, app: ASGIApp, entrance: "Entrance") -> None:
        """Stand before `app`."""
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write down who asks, or why that cannot be told now, and hand on."""
        if scope["type"] == "http" and not scope["path"].startswith(_WITHOUT):
            try:
                scope[_FOUND] = await self._entrance.recognise(Request(scope))
            except Unavailable as error:
                scope[_FOUND] = error
        await self._app(scope, receive, send)


class Entrance:
    """Signing in and out."""

    def __init__(self, deps: Deps, pages: Pages) -> None:
        """Know the token, and the books where there are any."""
        self._deps = deps
        self._pages = pages
        self._token = digest_of(deps.operator_token)
        self._waits_here = WaitsHere()
        self._look_ups = LookUps()
        self._seen: dict[str, tuple[int, Session | None]] = {}
        # Each password takes 32 MiB and a while. One at a time for strangers, and one for whoever is known, so that no
        # crowd of strangers stands in the way of who comes from where they always come from.
        self._known_turn, self._strangers_turn = asyncio.Lock(), asyncio.Lock()
        self._strangers = 0
        self._sessions = Sessions(deps.signer, deps.operator_token, deps.clock, secure=deps.secure)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            resource("/login", GET=self.show_login, POST=self.login),
            resource("/logout", POST=self.logout),
        ]

    # ---------------------------------------------------------------------------- for pages

    async def recognise(self, request: Request) -> Session | None:
        """Look up who asks. Raises ``Unavailable``."""
        session = self._sessions.read(request)
        if session is None:
            return None
        try:
            return (await self._looked_up([session])).get(session.sid)
        except Unavailable:
            if not self._lately(session):
                raise
            return self._seen[session.sid][1]

    async def standing(self, sessions: Collection[Session]) -> dict[str, Session]:
        """Return which of these still hold, by id, with what each may do now: the book is asked once for them all.

        For answers that go on while people sign out or their rights change. Of a book that is away: as ``recognise``.
        """
        lasting = [session for session in sessions if self._sessions.lasts(session)]
        try:
            return await self._looked_up(lasting)
        except Unavailable:
            known = {session.sid: self._seen[session.sid][1] for session in lasting if self._lately(session)}
            return {sid: found for sid, found in known.items() if found is not None}

    async def _looked_up(self, sessions: Collection[Session]) -> dict[str, Session]:
        books, found = self._deps.access, {}
        by_token = [session for session in sessions if not session.account]
        if by_token and await self._token_opens():
            found = {session.sid: session for session in by_token}
        by_account = {session.sid: session for session in sessions if session.account}
        if by_account and books is not None:
            for sid, person in (await self._look_ups.ask(books.sessions.whose, by_account)).items():
                until_ms = by_account[sid].until_ms
                found[sid] = Session(sid, person.name, until_ms, person.role, person.rooms, account=True)
        for session in sessions:
            self._seen.pop(session.sid, None)
            self._seen[session.sid] = self._deps.clock.now_ms(), found.get(session.sid)
        while len(self._seen) > SEEN_MOST:
            self._seen.pop(next(iter(self._seen)))
        return found

    def _lately(self, session: Session) -> bool:
        """Tell whether a session was looked up a short time ago: a pause must not wait for a database."""
        seen = self._seen.get(session.sid)
        return seen is not None and self._deps.clock.now_ms() - seen[0] < GRACE_MS

    def session(self, request: Request) -> Session | None:
        """Return the session of a person who signed in; None for none. Raises ``Unavailable``."""
        found = request.scope.get(_FOUND)
        if isinstance(found, Unavailable):
            raise found
        return found if isinstance(found, Session) else None

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

    async def room_form(self, request: Request) -> "Response | RoomForm":
        """Read a form of the room that the address names; for whoever is not signed in, the answer.

        Raises ``Refused`` for who may not steer the room, and for a form that is not from our own page.
        """
        session, room = self.session(request), request.path_params["room"]
        if session is None:
            return self.away(request)
        demand(session.person, Role.OPERATOR, room)
        form = await self.form(request, session)
        if form is None:
            raise Refused("form-foreign", "This form did not come from this page as it is now.", 403)
        return RoomForm(session, room, form)

    # ----------------------------------------------------------------- for other ways to come in

    def stranger(self, request: Request) -> Session | None:
        """Return the session that a form for signing in is bound to; None before there is one."""
        return self._sessions.read_form(request)

    def stranger_page(
        self,
        template: str,
        session: Session | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """Render a page for somebody who is not signed in, with a form bound to their browser."""
        bound = session or self._sessions.new()
        response = self._pages.render(
            template, status, headers, csrf=self._sessions.csrf(bound), session=None, **context
        )
        if session is None:
            response.raw_headers.append((b"set-cookie", self._sessions.cookie(bound)))
        return response

    def network(self, request: Request) -> str:
        """Give the network that a request comes from, as the list of logins keeps it."""
        return network_of(client_address(request.scope, self._deps.trusted_proxies))

    async def enter(
        self, request: Request, books: AccessBooks, name: str, how: str, answer: Response
    ) -> Response:
        """Begin the session of somebody with an account, and give its cookie with `answer`."""
        session = self._sessions.new(name, account=True)
        await asyncio.to_thread(
            books.sessions.begin, name, session.sid, session.until_ms, self.network(request), how
        )
        answer.raw_headers.append((b"set-cookie", self._sessions.cookie(session)))
        return answer

    async def at_work(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do what works on a password, one after the other, for whoever is known. Raises ``Unavailable``."""
        async with self._known_turn:
            return await asyncio.to_thread(work, *given)

    async def _for_stranger(self, work: Callable[..., Result], *given: Any) -> Result:
        async with self._strangers_turn:
            return await asyncio.to_thread(work, *given)

    async def may_try(self, *whose: Guesser) -> Try:
        """Count a try as failed, if it may be made. Raises ``Unavailable``."""
        books, now_ms = self._deps.access, self._deps.clock.now_ms()
        if books is None:
            return self._waits_here.begin(whose, now_ms)
        return await asyncio.to_thread(books.waits.begin, whose, now_ms)

    async def proved(self, *whose: Guesser) -> None:
        """Forget the failures of whoever was right. Raises ``Unavailable``."""
        if self._deps.access is None:
            self._waits_here.over(whose)
        else:
            await asyncio.to_thread(self._deps.access.waits.over, whose)

    @contextmanager
    def _crowded(self, known: str) -> Iterator[None]:
        """Be one of the strangers whose passwords are looked at or wait for it."""
        self._strangers += not known
        try:
            yield
        finally:
            self._strangers -= not known

    async def doubt(self, request: Request, session: Session, password: str) -> str:
        """Look at the password of somebody who is signed in; '' if it is theirs, else what they are told."""
        books = self._deps.access
        if books is None or not session.account:
            return "You have signed in without an account."
        known, work = f"session {digest_of(session.sid).hex()}", books.accounts.knows_password
        return await self._guess(request, session.who, known, work, session.who, password)

    async def _guess(
        self, request: Request, name: str, known: str, work: Callable[..., object], *given: str
    ) -> str:
        """Let somebody try, unless they have to wait; '' if they were right, else what they are told.

        `known` is what they are known by already; without it their network may be.
        """
        books = self._deps.access
        if books is None:
            return "There are no accounts here."
        network, key = self.network(request), key_of(name)
        if not known and await asyncio.to_thread(books.sessions.is_known, name, network):
            known = network
        if not known and self._strangers >= STRANGERS_MOST:
            return waits(BUSY_MS)
        whose = by_address(self.address(request)), by_account(key, known)
        with self._crowded(known):
            may, wait_ms = await self.may_try(*whose)
            if not may:
                return waits(wait_ms)
            at_work = self.at_work if known else self._for_stranger
            is_right = await at_work(work, *given) in {True, Told.DONE}
        if not is_right:
            await asyncio.to_thread(books.sessions.record, name, network, PASSWORD, WRONG)
            return waits(wait_ms) if wait_ms else "This did not fit together. Nothing was changed."
        await self.proved(*whose)
        return ""

    # ------------------------------------------------------------------------- signing in

    async def show_login(self, request: Request) -> Response:
        """GET /login."""
        if self.session(request) is not None:
            return RedirectResponse("/", 303, SAFE)
        code, link = request.query_params.get("link", ""), self._link(request)
        if not code or link is None:
            return await self.login_page(self.stranger(request))
        if not await asyncio.to_thread(link.holds, code):
            return await self.login_page(self.stranger(request), USED, 403)
        return await self.login_page(self.stranger(request), link=code)

    async def login(self, request: Request) -> Response:
        """POST /login: the token or a password once, a session from then on."""
        session, form = self.stranger(request), await read_form(request)
        if (
            session is None
            or not same_origin(request)
            or not self._sessions.csrf_holds(session, form.get("csrf", ""))
        ):
            return await self.login_page(session, "This form was too old. Please try again.", 403)
        if "token" in form or "link" in form:
            return await self._by_token(request, session, form)
        return await self._by_account(request, session, form)

    async def _by_account(self, request: Request, session: Session, form: Mapping[str, str]) -> Response:
        books, name = self._deps.access, one_line(form.get("name", ""))[:WHO_MAX_CHARS]
        if books is None:
            return await self.login_page(session, "There are no accounts here.", 403)
        told = await self._guess(
            request, name, "", books.accounts.check, name, form.get("password", ""), form.get("code", "")
        )
        if told.startswith(WAIT):
            return await self._wait_page(session, told)
        if told:
            told = "Name, password and code do not fit together. A code counts once; wait for the next one."
            return await self.login_page(session, told, 403, name=name)
        account = await asyncio.to_thread(books.accounts.find, name)
        if account is None:
            return await self.login_page(session, "This account was removed just now.", 403)
        return await self.enter(request, books, account.name, PASSWORD, RedirectResponse("/", 303, SAFE))

    async def _by_token(self, request: Request, session: Session, form: Mapping[str, str]) -> Response:
        if not await self._token_opens():
            told = "The operator token is for programs: people sign in with their accounts."
            return await self.login_page(session, told, 403)
        address, books = self.address(request), self._deps.access
        may, wait_ms = await self.may_try(by_address(address))
        if not may:
            return await self._wait_page(session, waits(wait_ms))
        who, code = one_line(form.get("who", ""))[:WHO_MAX_CHARS], form.get("link", "")
        link, how = self._link(request), LINK if code else TOKEN
        is_right = same_token(form.get("token", "").strip(), self._token)
        if code:
            is_right = link is not None and await asyncio.to_thread(link.holds, code)
        if not is_right:
            if books is not None:
                await asyncio.to_thread(books.sessions.record, "", network_of(address), how, WRONG)
            if wait_ms:
                return await self._wait_page(session, waits(wait_ms))
            told = USED if code else "This is not the operator token."
            return await self.login_page(session, told, 403, who=who)
        await self.proved(by_address(address))
        if not who:
            told = "Please say who you are: it goes into the journal."
            return await self.login_page(session, told, 422, link=code)
        if books is not None and not await asyncio.to_thread(books.accounts.is_free, who):
            told = "Somebody else goes by this name. Please sign in with your account, or under another name."
            return await self.login_page(session, told, 422, link=code)
        if code and not (link is not None and await asyncio.to_thread(link.take, code)):
            return await self.login_page(session, USED, 403, who=who)
        if books is not None:
            await asyncio.to_thread(books.sessions.record, "", network_of(address), how, IN)
        response = RedirectResponse("/", 303, SAFE)
        response.raw_headers.append((b"set-cookie", self._sessions.cookie(self._sessions.new(who))))
        return response

    async def logout(self, request: Request) -> Response:
        """POST /logout: end the session, also for a copy of its cookie."""
        session, form = self._sessions.read(request), await read_form(request)
        response = RedirectResponse("/login", 303, SAFE)
        if session is not None and self._sessions.csrf_holds(session, form.get("csrf", "")):
            response.raw_headers.append((b"set-cookie", self._sessions.end(session)))
            if session.account and self._deps.access is not None:
                await asyncio.to_thread(self._deps.access.sessions.end, session.sid)
        return response

    async def _token_opens(self) -> bool:
        """Tell whether the operator token signs in at the page: until there is an owner with an account."""
        books = self._deps.access
        if books is None or self._deps.token_login:
            return True
        return not await self._look_ups.ask(books.accounts.has_owner)

    def _link(self, request: Request) -> OneTimeLink | None:
        """Return the link that may sign in this browser: it is on this machine."""
        return self._deps.link if self.address(request) in ("127.0.0.1", "::1") else None

    def address(self, request: Request) -> str:
        """Give the address that a request comes from."""
        return client_address(request.scope, self._deps.trusted_proxies)

    async def _wait_page(self, session: Session, told: str) -> Response:
        wait_s = "".join(filter(str.isdigit, told))
        return await self.login_page(session, told, 429, {"retry-after": wait_s})

    async def login_page(
        self,
        session: Session | None,
        told: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        who: str = "",
        name: str = "",
        link: str = "",
    ) -> Response:
        """Show the ways in that are open now."""
        books = self._deps.access
        by_token = await self._token_opens()
        accounts = [] if books is None else await asyncio.to_thread(books.accounts.all)
        return self.stranger_page(
            "login.html", session, status, headers, told=told, who=who, name=name, link=link, by_token=by_token,
            by_account=any(one.has_password for one in accounts), by_provider=self._deps.identity is not None,
        )  # fmt: skip


WAIT = "Too many tries."


def waits(wait_ms: int) -> str:
    """Tell somebody that they have to wait."""
    return f"{WAIT} Please wait {-(-wait_ms // 1000)} seconds."
