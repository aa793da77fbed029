"""Provider door: people sign in at a provider of their house (OpenID Connect), if they have been invited.

    GET /login/provider   begin: to the provider
    GET /login/callback   the provider sends the browser here

What is believed of an answer ``kernel.oidc`` says; whom it is ``account_book``. A login counts once, in the browser
that began it, within ``LOGIN_MS``. What it began with stands in a signed cookie of that browser and nowhere else: to
begin costs us nothing, so strangers who begin many keep nobody out. Whoever comes back and is not let in counts as a
failure of their address, which has to wait after some. What was wrong is told in one sentence; the log and the list of
logins say more. The provider looks after second factors.
"""

import asyncio
import hmac
import json
import logging
import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import by_address, same_origin
from dashboards.access_books import AccessBooks
from dashboards.entrance import Entrance, waits
from dashboards.operator_api import resource
from dashboards.page import SAFE
from dashboards.ports import Deps, Identity
from dashboards.session_book import STRANGER, WRONG
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Unavailable
from kernel.oidc import Begun, NotBelieved
from kernel.signing import BadSignature

log = logging.getLogger(__name__)

COOKIE = "waitroom-operator-provider"
LOGIN_MS = 600_000
USED_MOST = 10_000
"""Logins that came back, kept until they are too old. Beyond that the oldest goes: the provider's codes count once."""
PAPER = b"login at the provider\0"
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
        self._used: dict[str, int] = {}

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
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        begun = Begun("", state, nonce, verifier, "/")
        try:
            address = await self._identity.login_address(begun, "en")
        except (NotBelieved, Unavailable) as error:
            return await self._away(request, error)
        paper = json.dumps([self._deps.clock.now_ms() + LOGIN_MS, state, nonce, verifier])
        answer = RedirectResponse(address, 303, SAFE)
        self._give(answer, self._deps.signer.sign(PAPER + paper.encode()), LOGIN_MS // 1000)
        return answer

    async def callback(self, request: Request) -> Response:
        """GET /login/callback."""
        found, asked = self._opened(request), request.query_params
        if found is None:
            return await self._told(request, FAILED, 400)
        # Counted before the provider is asked, so that a hundred at once are no more than a hundred after each other.
        guesser = by_address(self._entrance.address(request))
        may, wait_ms = await self._entrance.may_try(guesser)
        if not may:
            return await self._told(request, waits(wait_ms), 429, {"retry-after": str(-(-wait_ms // 1000))})
        begun, until_ms = found
        if not self._take(begun.state, until_ms):
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
        await self._entrance.proved(guesser)
        answer = RedirectResponse("/", 303, SAFE)
        self._give(answer, "", 0)
        return await self._entrance.enter(request, self._books, account.name, PROVIDER, answer)

    def _opened(self, request: Request) -> tuple[Begun, int] | None:
        """Return the login that this browser began, and its end; None for none of this state, and for an old one."""
        cookies = parse(request.headers.get("cookie", "").encode("latin-1"))
        try:
            opened = self._deps.signer.open(
                cookies.get(host_name(COOKIE, self._deps.secure), ""), max_length=1024
            )
        except BadSignature:
            return None
        if not opened.startswith(PAPER):
            return None
        until_ms, state, nonce, verifier = json.loads(opened.removeprefix(PAPER))
        given = request.query_params.get("state", "").encode("utf-8", "replace")
        is_own = hmac.compare_digest(state.encode(), given) and self._deps.clock.now_ms() < until_ms
        return (Begun("", state, nonce, verifier, "/"), until_ms) if is_own else None

    def _take(self, state: str, until_ms: int) -> bool:
        """Use a login up; False if it was used before."""
        if state in self._used:
            return False
        now_ms = self._deps.clock.now_ms()
        while self._used and (len(self._used) >= USED_MOST or next(iter(self._used.values())) <= now_ms):
            del self._used[next(iter(self._used))]
        self._used[state] = until_ms
        return True

    async def _refused(self, request: Request, network: str, why: str, outcome: str) -> Response:
        log.warning("a login of an operator was refused", extra={"why": why})
        await asyncio.to_thread(self._books.sessions.record, "", network, PROVIDER, outcome)
        return await self._told(request, FAILED, 403)

    async def _away(self, request: Request, error: NotBelieved | Unavailable) -> Response:
        why = error.why.value if isinstance(error, NotBelieved) else error.code
        log.warning("the provider of operators cannot be asked", extra={"why": why})
        return await self._told(request, "The provider cannot be asked just now.", 503)

    async def _told(
        self, request: Request, told: str, status: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        return await self._entrance.login_page(self._entrance.stranger(request), told, status, headers)

    def _give(self, answer: Response, value: str, kept_s: int) -> None:
        name, secure = host_name(COOKIE, self._deps.secure), self._deps.secure
        # Lax: the provider sends the browser back, which is another site.
        cookie = set_cookie(name, value, secure=secure, max_age_s=kept_s)
        answer.raw_headers.append((b"set-cookie", cookie))
