"""Welcome: whoever was invited chooses a password and makes a device, once, and is told their recovery codes.

    GET  /welcome?code=...   the form; the code is of one invitation, counts once, and for a day
    POST /welcome            use the invitation up; the answer shows the recovery codes and signs in

The page works without scripts. A code that does not count (any more) is told the same way, whatever was wrong.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.account_tables import digest_of
from dashboards.enrolling import Enrolling
from dashboards.entrance import PASSWORD, Entrance
from dashboards.operator_api import resource
from dashboards.page import Pages
from dashboards.passwords import LEAST_CHARS, fault
from dashboards.ports import Deps

GONE = "This invitation does not count, or no more. Whoever sent it can send another one."


class Welcome:
    """The page for whoever was invited."""

    def __init__(self, deps: Deps, books: AccessBooks, pages: Pages, entrance: Entrance) -> None:
        """Let in by `entrance` whom `books` know."""
        self._books = books
        self._pages = pages
        self._entrance = entrance
        self._enrolling = Enrolling(deps.signer, deps.clock)
        self._by_provider = deps.identity is not None

    def routes(self) -> list[Route]:
        """Return the address."""
        return [resource("/welcome", GET=self.show, POST=self.accept)]

    async def show(self, request: Request) -> Response:
        """GET /welcome."""
        return await self._page(request, request.query_params.get("code", ""))

    async def accept(self, request: Request) -> Response:
        """POST /welcome."""
        session = self._entrance.stranger(request)
        form = None if session is None else await self._entrance.form(request, session)
        if form is None:
            return await self._page(request, "", "This form was too old. Please open the link again.", 403)
        code, password = form.get("code", ""), form.get("password", "")
        account = await asyncio.to_thread(self._books.accounts.invited, code)
        if account is None:
            return await self._page(request, "", GONE, 403)
        secret = self._enrolling.read(digest_of(code), form.get("device", ""))
        wrong = fault(password, account.name)
        if secret is None or wrong:
            return await self._page(
                request, code, wrong or "Please read the picture again.", 422, form.get("device", "")
            )
        digits = "".join(form.get("digits", "").split())
        told, recovery = await self._entrance.at_work(
            self._books.accounts.accept, code, password, secret, digits
        )
        match told:
            case Told.DONE:
                answer = self._pages.render("codes.html", session=None, codes=recovery, name=account.name)
                return await self._entrance.enter(request, self._books, account.name, PASSWORD, answer)
            case Told.CODE_WRONG:
                wrong = "These are not the digits that your device shows now."
                return await self._page(request, code, wrong, 422, form.get("device", ""))
            case _:
                return await self._page(request, "", GONE, 403)

    async def _page(
        self, request: Request, code: str, told: str = "", status: int = 200, paper: str = ""
    ) -> Response:
        account = await asyncio.to_thread(self._books.accounts.invited, code) if code else None
        if account is None:
            status = status if told else 403
            return self._entrance.stranger_page(
                "welcome.html", self._entrance.stranger(request), status, account=None, told=told or GONE
            )
        device = self._enrolling.offer(digest_of(code), account.name, paper)
        return self._entrance.stranger_page(
            "welcome.html", self._entrance.stranger(request), status, account=account, told=told, code=code,
            device=device, least=LEAST_CHARS, by_provider=self._by_provider,
        )  # fmt: skip
