"""Office: the back office's pages as an application: who looks, whether they may, what was pressed, what went wrong.

    GET   /staff/office/…          a page; without a session the browser is sent to log in, without the right it says so
    POST  /staff/office/…          a form of a page: from our own page, with the session's paper and a request key
    GET   /staff/office/go         ?event=&to=: the page of another event
    GET   /staff/office/static/…   files

Whether somebody may see a page is asked of the API's own table (``organiser.rights``), before the API is asked
anything. Not here: what a page asks and shows (``…_pages``), how it asks (``asking``).
"""

import logging
from collections.abc import Sequence

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from checkout.backoffice import home_page, money_pages, order_pages, programme, sales_pages, support_pages
from checkout.backoffice.asking import Asking, NotDone, not_done
from checkout.backoffice.navigation import OFFICE, allowed
from checkout.backoffice.page import POLICY, TYPES, assets, environment, texts, version
from checkout.backoffice.presses import Presses, press_name
from checkout.backoffice.visit import Page, Visit
from checkout.people.staff_sessions import StaffSession
from checkout.requests import read_key, same_site
from checkout.site.forms import html
from checkout.staffroom.entrance import HOME, Entrance, check_paper, to
from kernel.asgi import Receive, Scope, Send, respond
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.languages import negotiate
from kernel.problems import raw_problem

log = logging.getLogger(__name__)

PAGES: Sequence[Page] = (
    *home_page.PAGES,
    *sales_pages.PAGES,
    *order_pages.PAGES,
    *support_pages.PAGES,
    *money_pages.PAGES,
    *programme.PAGES,
)


class Office:
    """The pages; ``routes`` are their addresses."""

    def __init__(self, entrance: Entrance, api: ASGIApp, clock: Clock, pages: Sequence[Page] = PAGES) -> None:
        """`api` is the organiser's, in whose name nothing is done that it does not do itself."""
        self._entrance = entrance
        self._asking = Asking(api)
        self._clock = clock
        self._presses = Presses()
        self.pages = pages
        self.routes = [Route(f"{OFFICE}/static/{{version}}/{{name}}", self.file, methods=["GET"])]
        self.routes += [
            Route(OFFICE + page.path, self._endpoint(page), methods=[page.method]) for page in pages
        ]
        self._router = Router(self.routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        try:
            await self._router({**scope, "app": self}, receive, send)
        except HTTPException as error:
            session = await self._entrance.who(scope)
            status, headers, body = raw_problem(error)
            if session is None or status == 405:
                await respond(send, status, headers, body)
                return
            visit = self._visit(request, session)
            fault = NotDone(status, "not-found", "There is no such page.")
            await (await self._wrong(visit, fault))(scope, receive, send)

    async def file(self, request: Request) -> Response:
        """Give a file of the pages."""
        name, made = request.path_params["name"], request.path_params["version"]
        if made != version() or name not in assets():
            raise HTTPException(404)
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        return Response(assets()[name], headers=headers, media_type=TYPES[name[name.rfind(".") :]])

    # ------------------------------------------------------------------------------------- one request

    def _endpoint(self, page: Page) -> "Endpoint":
        return Endpoint(self, page)

    async def answer(self, page: Page, request: Request) -> Response:
        """Answer a page's request, whatever comes of it."""
        try:
            session = await self._entrance.who(request.scope)
        except Unavailable as error:
            return self._bare(request, error.status, error.public)
        if session is None:
            if page.method == "GET":
                return to(HOME)
            return self._bare(request, 401, texts()[_tag(request)].text("problem.staff-login-missing"))
        visit = self._visit(request, session)
        try:
            return await self._answered(page, visit)
        except Exception as error:  # noqa: BLE001 - people are told in words, the log has the rest
            return await self._wrong(visit, told_of(error))

    async def _answered(self, page: Page, visit: Visit) -> Response:
        self._see_right(page, visit)
        if page.method == "GET":
            return await page.handler(visit)
        same_site(visit.request.scope)
        if page.is_form:
            visit.form = await page.reader(visit.request.scope, visit.request.receive)
            check_paper(visit.session, visit.field("csrf"))
        if not (page.is_form and page.is_once):
            return await self._done(page, visit)
        read_key([visit.key.encode()] if visit.key else [])
        name = press_name(visit.session.digest, visit.request.url.path, visit.form)
        return await self._presses.once(name, lambda: self._done(page, visit))

    async def _done(self, page: Page, visit: Visit) -> Response:
        """Do what a form asks for; what is refused is told on the page that it came from."""
        try:
            return await page.handler(visit)
        except (NotDone, Refused) as error:
            if page.again is None:
                raise
            visit.fault = told_of(error)
            return await page.again(visit)

    def _see_right(self, page: Page, visit: Visit) -> None:
        """Refuse whoever may not ask what the page asks. Raises ``NotDone``."""
        role = visit.session.role
        for need in page.needs:
            if not allowed(role, need):
                told = {
                    "who": visit.session.name,
                    "role": role.value,
                    "method": page.method,
                    "address": page.path,
                }
                log.warning("staff were refused a page", extra=told)
                raise NotDone(403, "role-refused", f"A {role.value} may not do this.")

    def _visit(self, request: Request, session: StaffSession) -> Visit:
        secret = self._entrance.secret(request.scope)
        return Visit(request, session, secret, self._asking, self._clock.now_ms(), _tag(request))

    async def _wrong(self, visit: Visit, fault: NotDone) -> Response:
        """Say in words what went wrong."""
        visit.fault = fault
        visit.event = None
        visit.request.scope["path_params"] = {}
        return await visit.show("wrong.html", status=fault.status)

    def _bare(self, request: Request, status: int, text: str) -> Response:
        """Say something to nobody in particular."""
        words = texts()[_tag(request)]
        page = environment().get_template("bare.html").render(t=words.text, words=words, text=text)
        return html(request.scope, page, status=status, policy=POLICY)


class Endpoint:
    """A page's place in the router; an object of its own, so that a test can read what the page is."""

    def __init__(self, office: Office, page: Page) -> None:
        self.office = office
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = await self.office.answer(self.page, Request(scope, receive))
        await answer(scope, receive, send)


def told_of(error: Exception) -> NotDone:
    """Tell a failure as the API would."""
    if isinstance(error, NotDone):
        return error
    status, _headers, body = raw_problem(error)
    return not_done(status, orjson.loads(body))


def _tag(request: Request) -> str:
    return negotiate(
        texts(), request.headers.get("accept-language", ""), request.query_params.get("lang", "")
    )
