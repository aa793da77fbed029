"""Entrance: a browser of the organiser's staff logs in at their provider, and is known by its cookie afterwards.

    GET  /staff/login       begin a login: to the provider
    GET  /staff/callback    the provider sends the browser here
    POST /staff/logout      end this session; with everywhere=yes all of this person's

The cookie (HttpOnly, SameSite=Lax, ``__Host-`` with TLS) is worth nothing to another site: a login begins on a page of
ours only, each form and each call that changes anything carries the session's own paper, and a call of the API must
come from a page of ours in any case. A login that does not count is told in one sentence, whatever was wrong with it;
the log and the list of logins say what.

Not here: what counts (``kernel.oidc``, ``people.staff_sessions``), pages (``staffroom.room``).
"""

import asyncio
import hmac
import logging
from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from checkout.metrics import Metrics
from checkout.people.logins import LOGIN_MS
from checkout.people.staff_people import StaffPeople
from checkout.people.staff_sessions import ENTERED, INVITED, StaffSession, StaffSessions, network_of
from checkout.requests import same_site
from kernel.asgi import Network, Scope, client_address, header
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused, Unavailable
from kernel.oidc import Begun, NotBelieved, Person

log = logging.getLogger(__name__)

SESSION, LOGIN = "staff", "staff-login"
HOME = "/staff"
CSRF = "staff-csrf"
"""Header in which a call carries the session's paper; a form has the field ``csrf``."""

READS = frozenset({"GET", "HEAD"})


class Identity(Protocol):
    """The provider that says who somebody is."""

    @property
    def issuer(self) -> str:
        """Name it."""

    async def login_address(self, begun: Begun, language: str) -> str:
        """Give the address at which somebody logs in. Raises ``NotBelieved``, ``Unavailable``."""

    async def person(self, code: str, begun: Begun) -> Person:
        """Tell whom a code stands for. Raises ``NotBelieved``, ``Unavailable``."""


class NotEntered(Exception):
    """Nobody is logged in; ``why`` is a word of ours for what the page says."""

    def __init__(self, why: str, status: int) -> None:
        self.why = why
        self.status = status
        super().__init__(why)


class Entrance:
    """Logs in, knows again, logs out."""

    def __init__(
        self,
        sessions: StaffSessions,
        people: StaffPeople,
        identity: Identity,
        metrics: Metrics,
        *,
        networks: Sequence[Network],
        secure: bool,
        kept_s: int,
    ) -> None:
        """`networks` are proxies that are believed; `secure`: the site has TLS; `kept_s`: so long a session lasts."""
        self._sessions = sessions
        self._people = people
        self._identity = identity
        self._metrics = metrics
        self._networks = networks
        self._secure = secure
        self._kept_s = kept_s

    # ------------------------------------------------------------------------------------ knowing again

    async def who(self, scope: Scope) -> StaffSession | None:
        """Tell who is logged in. Raises ``Unavailable``."""
        return await self._sessions.who(self.secret(scope))

    async def session(self, scope: Scope) -> StaffSession | None:
        """Tell in whose name a call of the API is made by its cookie. Raises ``Refused`` for what it alone may not."""
        found = await self.who(scope)
        if found is None:
            return None
        same_site(scope)
        if scope["method"] not in READS:
            given = (header(scope, CSRF.encode()) or b"").decode("latin-1")
            check_paper(found, given)
        return found

    def secret(self, scope: Scope) -> str:
        """Read the session's cookie."""
        return _cookies(scope).get(host_name(SESSION, self._secure), "")

    # ---------------------------------------------------------------------------------------- logging in

    async def login(self, request: Request, language: str) -> Response:
        """Begin a login. Raises ``NotEntered``."""
        try:
            same_site(request.scope)
        except Refused:
            # A link from elsewhere shows our page, where a person may press the button.
            return to(HOME)
        begun = await self._sessions.begin(HOME, self._network(request.scope))
        if begun is None:
            self._metrics.staff_logins.count("too-many")
            raise NotEntered("locked", 429)
        try:
            address = await self._identity.login_address(begun, language)
        except (NotBelieved, Unavailable) as error:
            raise self._away(error) from error
        self._metrics.staff_logins.count("begun")
        answer = to(address)
        self._give(answer, LOGIN, begun.browser, LOGIN_MS // 1000)
        return answer

    async def callback(self, request: Request) -> Response:
        """Let in whom the provider names, if they are of the staff and this browser began this login.

        Raises ``NotEntered``.
        """
        scope, asked = request.scope, request.query_params
        network, cookies = self._network(scope), _cookies(scope)
        browser = cookies.get(host_name(LOGIN, self._secure), "")
        begun = await self._sessions.take(browser, asked.get("state", ""))
        if begun is None:
            # Not counted against the network: any page can send a browser here.
            self._metrics.staff_logins.count("state")
            raise NotEntered("failed", 400)
        if await self._sessions.is_locked(network):
            self._metrics.staff_logins.count("locked")
            raise NotEntered("locked", 429)
        why = self._wrong(request)
        if why:
            raise await self._failed(why, network)
        try:
            person = await self._identity.person(asked["code"], begun)
        except NotBelieved as error:
            raise await self._failed(error.why.value, network) from error
        except Unavailable as error:
            raise self._away(error) from error
        came = await self._sessions.enter(person, network, self.secret(scope))
        self._metrics.staff_logins.count(came.outcome)
        if came.outcome not in {ENTERED, INVITED}:
            log.warning("a login of staff was refused", extra={"who": came.name, "why": came.outcome})
            raise NotEntered("stranger", 403)
        log.info("staff logged in", extra={"who": came.name, "how": came.outcome})
        answer = to(begun.back)
        self._give(answer, SESSION, came.secret, self._kept_s)
        self._give(answer, LOGIN, "", 0)
        return answer

    async def logout(self, request: Request, *, everywhere: bool) -> Response:
        """End this session, or all of this person's."""
        found = await self.who(request.scope)
        if found is not None and everywhere:
            await asyncio.to_thread(self._people.end_sessions, found.name)
        await self._sessions.leave(self.secret(request.scope))
        answer = to(HOME)
        self._give(answer, SESSION, "", 0)
        return answer

    def _wrong(self, request: Request) -> str:
        asked = request.query_params
        if any(len(asked.getlist(name)) > 1 for name in ("code", "state", "iss", "error")):
            return "twice"
        if asked.get("iss", self._identity.issuer) != self._identity.issuer:
            return "issuer"
        return "declined" if not asked.get("code") or asked.get("error") else ""

    async def _failed(self, why: str, network: str) -> NotEntered:
        self._metrics.staff_logins.count(why)
        log.warning("a login of staff was refused", extra={"who": "", "why": why})
        await self._sessions.failed(why, network)
        return NotEntered("failed", 400)

    def _away(self, error: NotBelieved | Unavailable) -> NotEntered:
        why = error.why.value if isinstance(error, NotBelieved) else error.code
        self._metrics.staff_logins.count("away")
        log.warning("the provider of staff cannot be asked", extra={"why": why})
        return NotEntered("away", 503)

    def _network(self, scope: Scope) -> str:
        return network_of(client_address(scope, self._networks))

    def _give(self, answer: Response, name: str, value: str, kept_s: int) -> None:
        cookie = set_cookie(host_name(name, self._secure), value, secure=self._secure, max_age_s=kept_s)
        answer.raw_headers.append((b"set-cookie", cookie))


def check_paper(session: StaffSession, given: str) -> None:
    """See that a form or a call carries the session's paper. Raises ``Refused``."""
    if not hmac.compare_digest(session.csrf.encode(), given.encode("utf-8", "replace")):
        raise Refused("paper-missing", "This did not come from our own page. Load it again.", 403)


def to(address: str) -> Response:
    """Send a browser elsewhere."""
    return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _cookies(scope: Scope) -> dict[str, str]:
    return parse(b"; ".join(value for name, value in scope["headers"] if name == b"cookie"))
