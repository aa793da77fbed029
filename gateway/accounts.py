"""Accounts: joins what the operator's process needs to know people: their books, the provider, the sessions' address.

Nothing is decided here. What asks a provider over HTTP is imported only where one is set.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from admission.keyring import KeyRing
from admission.web import SessionsWeb
from dashboards.access_books import AccessBooks
from dashboards.operator_api import Whole
from dashboards.rights import Role, demand
from dashboards.token_book import PREFIX
from dashboards.wait_book import Attempts
from gateway.deriving import secret_for
from gateway.settings import Settings
from kernel.asgi import Network, client_address, header, respond
from kernel.clock import Clock
from kernel.errors import Refused
from kernel.problems import raw_problem

if TYPE_CHECKING:
    from gateway.oidc_requests import OidcRequests


def access_of(settings: Settings, ring: KeyRing, clock: Clock) -> AccessBooks:
    """Give the books of accounts. Raises ``Misconfigured``."""
    secret = secret_for(ring.active("sid").octets, "operator-accounts")
    return AccessBooks(settings.journal_address, secret, clock, logins_days=settings.operator_logins_days)


def provider_of(settings: Settings, clock: Clock) -> "OidcRequests | None":
    """Return the provider at which operators may sign in; None where there is none."""
    if settings.operator_oidc_issuer is None:
        return None
    from gateway.oidc_requests import OidcRequests  # noqa: PLC0415

    return OidcRequests(
        settings.operator_oidc_issuer,
        settings.operator_oidc_client_id or "",
        settings.operator_oidc_client_secret or "",
        f"{settings.console}/login/callback",
        clock,
    )


def session_route(
    sessions: SessionsWeb, access: AccessBooks, attempts: Attempts, networks: Sequence[Network], clock: Clock
) -> Route:
    """Give backends their address on the operator's port; a token that an owner has made counts there, too.

    Wrong tokens count among `attempts`, by address, as everywhere below ``/api``.
    """

    async def act(request: Request) -> None:
        del request

    route = Whole("/api/rooms/{room}/sessions/{sid}/{act}", act, methods=["POST"])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        params = scope["path_params"]
        path = params["room"], params["sid"], params["act"]
        kind, _, given = (header(scope, b"authorization") or b"").decode("latin-1").partition(" ")
        address, now_ms = client_address(scope, networks), clock.now_ms()
        try:
            attempts.demand(address, now_ms)
            token = given.strip() if kind.lower() == "bearer" else ""
            # Nothing is awaited over a guess, so that of a hundred at once all but some have to wait.
            is_made = token.startswith(PREFIX)
            person = await asyncio.to_thread(access.tokens.who, token) if is_made else None
            if person is not None:
                demand(person, Role.OPERATOR, params["room"])
            await sessions.act(scope, receive, send, path, is_allowed=person is not None)
        except Exception as reason:  # noqa: BLE001 - failures become problems, as on the public port
            if isinstance(reason, Refused) and reason.code == "token-wrong":
                attempts.failed(address, now_ms)
            status, headers, body = raw_problem(reason)
            await respond(send, status, headers, body)

    route.app = app
    return route
