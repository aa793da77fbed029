"""Account pages: where a fan logs in, sees their orders of all events, and says what they want; without any script.

    GET  /account                 who is logged in and their orders, or how to log in
    GET  /account/login?back=     begin a login: to the provider; `back` is a page of ours, from a list
    GET  /account/callback        the provider sends the browser here
    POST /account/logout          end this session
    POST /account/preferences     language, wants
    GET  /account/personal        everything that is kept of the account, as JSON
    POST /account/erase           forget the account (confirm=yes)

and, behind the admission, POST /events/{event}/order/{order}/keep: the order becomes the account's, if it is the
buyer's.

They need no admission, and have a session of their own, in a cookie that scripts cannot read (``__Host-`` with TLS). A
login that does not count is told in one sentence, whatever was wrong with it; the log says what. Every form must come
from a page of ours. Not here: what counts (``kernel.oidc``, ``people.accounts``), requests to the provider
(``gateway.oidc_requests``).
"""

import logging
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import orjson
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from checkout.catalogue.reading import CatalogueReader
from checkout.metrics import Metrics
from checkout.people.accounts import Account, Accounts
from checkout.people.contacts import Contacts, Want
from checkout.requests import same_site
from checkout.site.choices import choice_of, link, remembering
from checkout.site.forms import html, one, read_form
from checkout.site.render import Pages, ShownAccount, ShownOrder, Visit
from checkout.site.words import languages, negotiate
from kernel.asgi import Receive, Scope, Send
from kernel.clock import Clock
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused, Unavailable
from kernel.oidc import Begun, NotBelieved, Person
from kernel.problems import raw_problem

log = logging.getLogger(__name__)

SESSION, LOGIN = "account", "account-login"
LOGIN_S = 600
HOME = "/account"
_BACK = re.compile(r"/(?:account|events/[A-Za-z0-9_-]{1,64}(?:/order/[A-Za-z0-9_-]{1,64})?)?")


class Identity(Protocol):
    """The provider that says who somebody is."""

    @property
    def issuer(self) -> str:
        """Name it."""

    async def login_address(self, begun: Begun, language: str) -> str:
        """Give the address at which somebody logs in. Raises ``NotBelieved``, ``Unavailable``."""

    async def person(self, code: str, begun: Begun) -> Person:
        """Tell whom a code stands for. Raises ``NotBelieved``, ``Unavailable``."""


class Elsewhere(Protocol):
    """What is kept of accounts beside them: where those who wait are written to."""

    async def told(self, account: str) -> Sequence[object]:
        """Tell it, as JSON."""

    async def forget(self, account: str) -> int:
        """Erase it; returns how much there was."""


class AccountPages:
    """The pages, as an application of their own."""

    def __init__(
        self,
        accounts: Accounts,
        contacts: Contacts,
        identity: Identity,
        catalogue: CatalogueReader,
        buyer_of: Callable[[Scope], str],
        clock: Clock,
        metrics: Metrics,
        *,
        days: int,
        secure: bool,
        is_demo: bool,
        tickets_of: Callable[[str, str], str] = lambda *_: "",
        waiting: Elsewhere | None = None,
    ) -> None:
        """`days`: so long a session lasts at most; `secure`: the site has TLS.

        `tickets_of` gives the address of an order's tickets, by event and order; `waiting` knows where an account
        stands on waitlists.
        """
        self._waiting = waiting
        self._tickets_of = tickets_of
        self._accounts = accounts
        self._contacts = contacts
        self._identity = identity
        self._catalogue = catalogue
        self._buyer_of = buyer_of
        self._clock = clock
        self._metrics = metrics
        self._kept_s = days * 86_400
        self._secure = secure
        self._pages = Pages(is_demo=is_demo)
        routes = [
            Route(HOME, self.home, methods=["GET"]),
            Route(f"{HOME}/login", self.login, methods=["GET"]),
            Route(f"{HOME}/callback", self.callback, methods=["GET"]),
            Route(f"{HOME}/logout", self.logout, methods=["POST"]),
            Route(f"{HOME}/preferences", self.prefer, methods=["POST"]),
            Route(f"{HOME}/personal", self.tell, methods=["GET"]),
            Route(f"{HOME}/erase", self.erase, methods=["POST"]),
        ]
        self.routes = routes
        router = Router(routes, redirect_slashes=False)
        self._app = ExceptionMiddleware(router, {HTTPException: self._missing, Exception: _problem})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page of the account."""
        choice = choice_of(scope, secure=self._secure)
        send = remembering(choice, send, secure=self._secure)
        await self._app({**scope, "app": self, "choice": choice}, receive, send)

    # ------------------------------------------------------------------------------------ logging in

    async def login(self, request: Request) -> Response:
        """Begin a login."""
        begun = await self._accounts.begin(read_back(request.query_params.get("back", "")))
        if begun is None:
            self._metrics.logins.count("too-many")
            raise Unavailable("login-away", "Nobody can log in just now. You can buy without.", 30)
        try:
            address = await self._identity.login_address(begun, self._visit(request).language)
        except NotBelieved as error:
            return self._failed(request, error.why.value)
        self._metrics.logins.count("begun")
        answer = _to(address)
        self._give(answer, LOGIN, begun.browser, LOGIN_S)
        return answer

    async def callback(self, request: Request) -> Response:
        """Let in whom the provider names, if this browser began this login."""
        asked, cookies = request.query_params, self._cookies(request)
        given = {name: asked.getlist(name) for name in ("code", "state", "iss", "error")}
        if any(len(values) > 1 for values in given.values()):
            return self._failed(request, "twice")
        begun = await self._accounts.take(cookies.get(self._name(LOGIN), ""), asked.get("state", ""))
        if begun is None:
            return self._failed(request, "state")
        if asked.get("iss", self._identity.issuer) != self._identity.issuer:
            return self._failed(request, "issuer")
        if not asked.get("code") or asked.get("error"):
            return self._failed(request, "declined")
        try:
            person = await self._identity.person(asked["code"], begun)
        except NotBelieved as error:
            return self._failed(request, error.why.value)
        before = cookies.get(self._name(SESSION), "")
        secret = await self._accounts.enter(person, self._visit(request).language, before)
        self._metrics.logins.count("entered")
        answer = _to(begun.back)
        self._give(answer, SESSION, secret, self._kept_s)
        self._give(answer, LOGIN, "", 0)
        return answer

    async def logout(self, request: Request) -> Response:
        """End this session."""
        same_site(request.scope)
        await self._accounts.leave(self._session(request))
        return self._gone()

    # ----------------------------------------------------------------------------------- the account

    async def home(self, request: Request) -> Response:
        """Show who is logged in, or how to log in."""
        account = await self._accounts.who(self._session(request))
        visit = self._visit(request)
        shown = [] if account is None else await self._orders(account)
        return html(request.scope, self._pages.account(visit, account, shown))

    async def prefer(self, request: Request) -> Response:
        """Keep what somebody prefers."""
        same_site(request.scope)
        account = await self._own(request)
        form = await read_form(request.scope, request.receive)
        language = one(form, "language")
        if language not in languages():
            raise Refused("language-unknown", "There is no such language.")
        wants = {Want.ORDER.value} | ({Want.REMINDER.value} if one(form, "reminder") == "yes" else set())
        await self._accounts.change(account.id, language, frozenset(wants))
        return _to(HOME)

    async def tell(self, request: Request) -> Response:
        """Tell everything that is kept of the account."""
        account = await self._own(request)
        orders = await self._accounts.bought(account.id)
        plain = {
            "account": account.id, "email": account.email, "name": account.name, "language": account.language,
            "wants": sorted(account.wants),
            "orders": [
                {
                    "event": own.event, "order": own.order, "state": own.state, "currency": own.currency,
                    "amount_minor": own.amount_minor, "created_ms": own.created_ms,
                }
                for own in orders
            ],
            "waitlist": [] if self._waiting is None else await self._waiting.told(account.id),
        }  # fmt: skip
        headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="account.json"'}
        return Response(orjson.dumps(plain), headers=headers, media_type="application/json")

    async def erase(self, request: Request) -> Response:
        """Forget the account."""
        same_site(request.scope)
        account = await self._own(request)
        form = await read_form(request.scope, request.receive)
        if one(form, "confirm") != "yes":
            return _to(HOME)
        if self._waiting is not None:
            await self._waiting.forget(account.id)
        await self._accounts.erase(account.id)
        log.info("an account was erased", extra={"account": account.id})
        return self._gone()

    # ---------------------------------------------------------------------------- on other pages

    async def who(self, scope: Scope) -> Account | None:
        """Tell who is logged in. Raises ``Unavailable``."""
        return await self._accounts.who(self._session(Request(scope)))

    async def shown(self, scope: Scope, event: str, order: str) -> ShownAccount:
        """Say what an order's page shows; an account that cannot be read shows as nobody."""
        try:
            account = await self._accounts.who(self._session(Request(scope)))
            owner = await self._accounts.owner(event, order)
        except Unavailable:
            return ShownAccount.AWAY
        if account is None:
            return ShownAccount.OUT
        return (
            ShownAccount.IN
            if owner is None
            else ShownAccount.KEPT
            if owner == account.id
            else ShownAccount.AWAY
        )

    async def keep(self, request: Request) -> Response:
        """POST /events/{event}/order/{order}/keep."""
        same_site(request.scope)
        event, order = request.path_params["event"], request.path_params["order"]
        if not await self._contacts.owns(event, self._buyer_of(request.scope), order):
            raise HTTPException(404)
        account = await self._accounts.who(self._session(request))
        if account is not None:
            await self._accounts.tie(account.id, event, order)
        return _to(f"/events/{event}/order/{order}")

    async def bought(self, scope: Scope, event: str, order: str) -> None:
        """Make an order that was just made the account's of whoever is logged in; no order waits for it."""
        session = self._session(Request(scope))
        try:
            account = await self._accounts.who(session)
            if account is not None:
                await self._accounts.tie(account.id, event, order)
        except Unavailable as error:
            log.warning("an order was not tied to its account", extra={"order": order, "code": error.code})

    # --------------------------------------------------------------------------------- small parts

    async def _orders(self, account: Account) -> list[ShownOrder]:
        found = []
        for own in await self._accounts.bought(account.id):
            try:
                title = (await self._catalogue.known(own.event)).event.title
            except Refused:
                title = own.event
            tickets = self._tickets_of(own.event, own.order) if own.state == "paid" else ""
            found.append(
                ShownOrder(own.event, title, own.order, own.state, own.currency, own.amount_minor, tickets)
            )
        return found

    async def _own(self, request: Request) -> Account:
        account = await self._accounts.who(self._session(request))
        if account is None:
            raise Refused("login-missing", "Log in first.", 401)
        return account

    def _failed(self, request: Request, why: str) -> Response:
        self._metrics.logins.count(why)
        log.warning("a login was refused", extra={"why": why})
        answer = html(request.scope, self._pages.account_failed(self._visit(request)), status=400)
        self._give(answer, LOGIN, "", 0)
        return answer

    def _gone(self) -> Response:
        answer = _to(HOME)
        self._give(answer, SESSION, "", 0)
        return answer

    def _visit(self, request: Request) -> Visit:
        tag = negotiate(request.headers.get("accept-language", ""), request.scope["choice"].language)
        return Visit(tag, self._clock.now_ms(), link=partial(link, request.scope))

    def _missing(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return html(request.scope, self._pages.missing(self._visit(request)), status=status)

    def _name(self, name: str) -> str:
        return host_name(name, self._secure)

    def _cookies(self, request: Request) -> dict[str, str]:
        return parse(b"; ".join(value for name, value in request.scope["headers"] if name == b"cookie"))

    def _session(self, request: Request) -> str:
        return self._cookies(request).get(self._name(SESSION), "")

    def _give(self, answer: Response, name: str, value: str, kept_s: int) -> None:
        cookie = set_cookie(self._name(name), value, secure=self._secure, max_age_s=kept_s)
        answer.raw_headers.append((b"set-cookie", cookie))


def read_back(text: str) -> str:
    """Return a page of ours to go back to; the account's own for whatever is none."""
    return text if text and _BACK.fullmatch(text) else HOME


def _to(address: str) -> Response:
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(address, 303, headers)


def _problem(_request: Request, error: Exception) -> Response:
    status, headers, body = raw_problem(error)
    answer = Response(body, status)
    answer.raw_headers += headers
    return answer
