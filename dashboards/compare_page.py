"""Compare page: two sales side by side, of one room or of two, aligned at their starts.

    GET /compare?a=ROOM/SALE&b=ROOM/SALE

Only sales of which there are minutes can be chosen, and only those of rooms that the person sees; another room's is
answered like one that is not there. Complete without JavaScript, as the history page is.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.history import ROWS_SHOWN, STEPS, side_by_side, start_of, step_for, totals
from dashboards.history_view import COMPARED, compared_plots, compared_table, drawn, sums, when
from dashboards.history_web import Histories
from dashboards.operator_api import resource
from dashboards.page import Pages
from kernel.errors import Unavailable
from waitroom.history_book import Recorded
from waitroom.minutes import MINUTE_MS, Minute


class ComparePage:
    """The page of two sales."""

    def __init__(self, histories: Histories, pages: Pages, entrance: Entrance) -> None:
        """Show `histories` to whoever came through `entrance`."""
        self._histories = histories
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the address."""
        return [resource("/compare", GET=self.show)]

    async def show(self, request: Request) -> Response:
        """GET /compare."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        try:
            return await self._page(session, request)
        except Unavailable as error:
            return self._pages.render(
                "away.html", 503, {"retry-after": "2"}, session=session, told=error.public
            )

    async def _page(self, session: Session, request: Request) -> Response:
        sales = {
            f"{room}/{sale.sale}": sale
            for room in await self._histories.rooms(session.person)
            for sale in await self._histories.sales(room)
        }
        asked = {side: request.query_params.get(side, "") for side in "ab"}
        chosen = [sales.get(name) for name in asked.values()]
        told, shown = "", {}
        status = 200
        if any(asked.values()):
            if chosen[0] is None or chosen[1] is None:
                told, status = "Please choose two sales of which there is a history.", 404
            else:
                shown = await self._shown(chosen[0], chosen[1])
        newest = [*sales, "", ""]
        return self._pages.render(
            "compare.html",
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            here="/compare",
            told=told,
            sales={
                name: f"{sale.sale} · {sale.room} · {when(sale.first * MINUTE_MS)}"
                for name, sale in sales.items()
            },
            a=asked["a"] if chosen[0] else newest[0],
            b=asked["b"] if chosen[1] else newest[1] or newest[0],
            shown=shown,
        )

    async def _shown(self, one: Recorded, other: Recorded) -> dict[str, Any]:
        rows = [
            await self._histories.minutes(sale.room, sale.first - 1, sale.last + 1) for sale in (one, other)
        ]
        return await asyncio.to_thread(_laid_out, (one, other), rows)


def _laid_out(sales: tuple[Recorded, Recorded], minutes: Sequence[Sequence[Minute]]) -> dict[str, Any]:
    """Lay two sales out as the page shows them. Of months this takes a second: not in the event loop."""
    rows: list[list[Minute]] = []
    told = []
    for sale, found in zip(sales, minutes, strict=True):
        before = [each for each in found if each.minute < sale.first]
        rows.append([each for each in found if each.minute >= sale.first])
        start = start_of(rows[-1])
        of = totals([*before, *rows[-1]], sale.first, sale.last + 1)
        told.append((sale, when(start * MINUTE_MS), sums(of)))
    longest = max(len(found) and found[-1].minute - found[0].minute + 1 for found in rows)
    step = STEPS[step_for(0, longest * MINUTE_MS, ROWS_SHOWN)]
    mine, theirs = side_by_side(rows[0], rows[1], step, COMPARED)
    times = mine["t"]
    of_both = compared_plots(mine, theirs, step)
    return {
        "sides": [
            {
                "name": sale.sale,
                "room": sale.room,
                "start": start,
                "query": urlencode({"sale": sale.sale}),
            }
            for sale, start, _ in told
        ],
        "sums": [
            (label, value, other_value, note)
            for (label, value, note), (_, other_value, _) in zip(told[0][2], told[1][2], strict=True)
        ],
        "plots": of_both,
        "table": compared_table(times, mine, theirs),
        "drawn": Markup(  # noqa: S704 - JSON without < and &
            drawn([float(at) for at in times if at is not None], of_both, relative=True)
        ),
    }
