"""History page: what was in a room, for a sale or any stretch of time, with what operators did meanwhile.

    GET /history                  the first room that somebody sees
    GET /rooms/{room}/history     ?sale=… or ?from=…&to=…, and ?every=1m|5m|1h

Complete without JavaScript: sums, acts, the table and the exports are the server's. A small script draws the plots from
numbers that stand in the page. Not here: the exports (``history_web``), two sales (``compare_page``).
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.history import ROWS_SHOWN, STEPS, columns, totals
from dashboards.history_asking import Asked
from dashboards.history_view import SHOWN, acts_told, drawn, known_any, plots, sums, table, when
from dashboards.history_web import Histories, theirs
from dashboards.operator_api import resource
from dashboards.page import SAFE, Pages
from dashboards.ports import Deps
from kernel.errors import Refused, Unavailable
from waitroom.history_book import Act
from waitroom.minutes import MINUTE_MS, Minute

INPUT = "%Y-%m-%dT%H:%M"
HOUR_MS = 3_600_000
SPANS = (("3 hours", 3), ("a day", 24), ("a week", 168), ("30 days", 720), ("90 days", 2160))


class HistoryPage:
    """The page of one room."""

    def __init__(self, deps: Deps, histories: Histories, pages: Pages, entrance: Entrance) -> None:
        """Show `histories` to whoever came through `entrance`."""
        self._deps = deps
        self._histories = histories
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [resource("/history", GET=self.first), resource("/rooms/{room}/history", GET=self.show)]

    async def first(self, request: Request) -> Response:
        """GET /history: lead to the first room."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        try:
            rooms = await self._histories.rooms(session.person)
        except Unavailable as error:
            return self._away(session, error)
        if rooms:
            return RedirectResponse(f"/rooms/{rooms[0]}/history", 303, SAFE)
        return self._pages.render(
            "no_history.html", session=session, csrf=self._entrance.csrf(session), here="/history"
        )

    async def show(self, request: Request) -> Response:
        """GET /rooms/{room}/history."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        room = theirs(request, session.person)
        try:
            await self._histories.known(room)
            return await self._page(session, room, request)
        except Unavailable as error:
            return self._away(session, error)

    async def _page(self, session: Session, room: str, request: Request) -> Response:
        query, told, status = dict(request.query_params), "", 200
        sales = await self._histories.sales(room)
        if not query and sales:
            query = {"sale": sales[0].sale}
        try:
            what = await self._histories.ask(room, query, ROWS_SHOWN, sales)
        except Refused as error:
            told, status = error.public, error.status
            what = await self._histories.ask(room, {}, ROWS_SHOWN, sales)
        return self._pages.render(
            "history.html",
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            here="/history",
            told=told,
            room=room,
            rooms=sorted({room, *await self._histories.rooms(session.person)}),
            sales=sales,
            spans=self._spans(),
            steps=list(STEPS),
            wanted_step=query.get("every", ""),
            **await self._shown(room, what),
        )

    async def _shown(self, room: str, what: Asked) -> dict[str, Any]:
        minutes, acts = await self._histories.read(room, what)
        return await asyncio.to_thread(_laid_out, what, minutes, acts)

    def _spans(self) -> list[tuple[str, str]]:
        now_ms = -(-self._deps.clock.now_ms() // MINUTE_MS) * MINUTE_MS
        return [
            (words, urlencode({"from": now_ms - hours * HOUR_MS, "to": now_ms})) for words, hours in SPANS
        ]

    def _away(self, session: Session, error: Unavailable) -> Response:
        return self._pages.render("away.html", 503, {"retry-after": "2"}, session=session, told=error.public)


def _laid_out(what: Asked, minutes: Sequence[Minute], acts: Sequence[Act]) -> dict[str, Any]:
    """Lay a stretch out as the page shows it. Of months this takes a second: not in the event loop."""
    over = what.over
    laid = columns(minutes, over, SHOWN)
    of = plots(laid, over.step)
    starts_ms, numbered = over.starts_ms(), acts_told(acts)
    marks = [(act.at_ms / 1000, told.number) for act, told in zip(acts, numbered, strict=True)]
    since_ms, until_ms = over.since * MINUTE_MS, over.until * MINUTE_MS
    asked = {"from": since_ms, "to": until_ms, "every": what.every}
    return {
        "sale": what.sale,
        "every": what.every,
        "since": when(since_ms, INPUT),
        "until": when(until_ms, INPUT),
        "stretch": f"{when(since_ms)} – {when(until_ms)} UTC",
        "export": urlencode(asked),
        "known": known_any(laid),
        "sums": sums(totals(minutes, over.since, over.until)),
        "plots": of,
        "table": table(laid, starts_ms),
        "acts": numbered,
        "drawn": Markup(drawn([at_ms / 1000 for at_ms in starts_ms], of, marks)),  # noqa: S704 - JSON without < and &
    }
