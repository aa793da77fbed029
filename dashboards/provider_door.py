"""Provider door: people sign in at a provider of their house (OpenID Connect), if they have been invited.

    GET /login/provider   begin: to the provider
    GET /login/callback   the provider sends the browser here

What is believed of an answer ``kernel.oidc`` says; whom it is ``account_book``. A login counts once, in the browser
that began it, within ``LOGIN_MS``. Those under way are kept in this process, few of each network. What was wrong is
told in one sentence; the log and the list of logins say more. The provider looks after second factors.
"""

import asyncio
import hmac
import logging
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import same_origin
from dashboards.access_books import AccessBooks
from dashboards.account_tables import digest_of
from dashboards.entrance import Entrance
from dashboards.operator_api import resource
from dashboards.page import SAFE
from dashboards.ports import Deps, Identity
from dashboards.session_book import STRANGER, WRONG
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Unavailable
from kernel.oidc import Begun, NotBelieved

log = logging.getLogger(__name__)

COOKIE = "waitroom-operator-provider"
LOGIN_MS = 600_000
MOST, MOST_OF_NETWORK = 1000, 20
PROVIDER = "provider"
FAILED = "That did not work. Please try again, or ask whoever invited you."


class ProviderDoor:
    """Signing in at the provider."""

    def __init__(self, deps: Deps, books: AccessBooks, identity: Identity, entrance: Entrance) -> None:
        """Ask `identity` who somebody is."""
        self._deps = deps
        self._books = books
        self._identity = identity
        self._entrance = entrance
        self._under_way: dict[str, tuple[int, str, Begun]] = {}

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            resource("/login/provider", GET=self.begin),
            resource("/login/callback", GET=self.callback),
        ]

    async def begin(self, request: Request) -> Response:
        """GET /login/provider: only from our own page, so that nobody is signed in by a link."""
        if not same_origin(request):
            return RedirectResponse("/login", 303, SAFE)
        network, now_ms = self._entrance.network(request), self._deps.clock.now_ms()
        self._under_way = {key: kept for key, kept in self._under_way.items() if now_ms < kept[0] + LOGIN_MS}
        alike = sum(kept[1] == network for kept in self._under_way.values())
        if len(self._under_way) >= MOST or alike >= MOST_OF_NETWORK:
            return await self._told(request, "Too many are signing in. Please wait ten minutes.", 429)
        browser, state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        begun = Begun(browser, state, nonce, verifier, "/")
        try:
            address = await self._identity.login_address(begun, "en")
        except (NotBelieved, Unavailable) as error:
            return await self._away(request, error)
        self._under_way[digest_of(browser)] = (now_ms, network, begun)
        answer = RedirectResponse(address, 303, SAFE)
        self._give(answer, browser, LOGIN_MS // 1000)
        return answer

    async def callback(self, request: Request) -> Response:
        """GET /login/callback."""
        begun, asked = self._taken(request), request.query_params
        if begun is None:
            return await self._told(request, FAILED, 400)
        network = self._entrance.network(request)
        twice = any(len(asked.getlist(name)) > 1 for name in ("code", "state", "iss", "error"))
        if twice or asked.get("iss", self._identity.issuer) != self._identity.issuer or not asked.get("code"):
            return await self._refused(request, network, "answer", WRONG)
        try:
            person = await self._identity.person(asked["code"], begun)
        except NotBelieved as error:
            return await self._refused(request, network, error.why.value, WRONG)
        except Unavailable as error:
            return await self._away(request, error)
        account = await asyncio.to_thread(self._books.accounts.by_provider, person)
        if account is None:
            return await self._refused(request, network, "not invited", STRANGER)
        answer = RedirectResponse("/", 303, SAFE)
        self._give(answer, "", 0)
        return await self._entrance.enter(request, self._books, account.name, PROVIDER, answer)

    def _taken(self, request: Request) -> Begun | None:
        """Take a login away, so that it counts once; None if there is none of this browser and state in time."""
        cookies = parse(request.headers.get("cookie", "").encode("latin-1"))
        browser = cookies.get(host_name(COOKIE, self._deps.secure), "")
        at_ms, _, begun = self._under_way.pop(digest_of(browser), (0, "", None))
        state = request.query_params.get("state", "").encode("utf-8", "replace")
        if begun is None or self._deps.clock.now_ms() >= at_ms + LOGIN_MS:
            return None
        return begun if hmac.compare_digest(begun.state.encode(), state) else None

    async def _refused(self, request: Request, network: str, why: str, outcome: str) -> Response:
        log.warning("a login of an operator was refused", extra={"why": why})
        await asyncio.to_thread(self._books.sessions.record, "", network, PROVIDER, outcome)
        return await self._told(request, FAILED, 403)

    async def _away(self, request: Request, error: NotBelieved | Unavailable) -> Response:
        why = error.why.value if isinstance(error, NotBelieved) else error.code
        log.warning("the provider of operators cannot be asked", extra={"why": why})
        return await self._told(request, "The provider cannot be asked just now.", 503)

    async def _told(self, request: Request, told: str, status: int) -> Response:
        return await self._entrance.login_page(self._entrance.stranger(request), told, status)

    def _give(self, answer: Response, value: str, kept_s: int) -> None:
        name, secure = host_name(COOKIE, self._deps.secure), self._deps.secure
        # Lax: the provider sends the browser back, which is another site.
        cookie = set_cookie(name, value, secure=secure, max_age_s=kept_s)
        answer.raw_headers.append((b"set-cookie", cookie))
