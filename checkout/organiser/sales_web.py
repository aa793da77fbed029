"""Sales' web: an event's sale step by step, below ``/organiser/api/events/{id}``. Decides nothing.

    GET  /sales?from_ms=&until_ms=&step=minute|hour|day     as JSON: a step for each, also where nothing happened
    GET  /sales.csv?…                                       the same as a table

What each number is says ``funnel``; how a time is cut says ``spans``. Not here: what an event has come to in the end
(``takings``), its seats now (``reporting``).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.organiser.funnel import COUNTS, MOVES, OF_HOLDS, OF_ORDERS, Funnel, Series, Step
from checkout.organiser.sheets import Cell, amount, moment, piece
from checkout.organiser.spans import read_span
from checkout.organiser.talking import PREFIX, answer, event_of, resource, table
from kernel.clock import Clock

_EMPTY = Step()
_SAID = COUNTS[:-2]
"""What is counted in a step; the last two are of those who began in it (``came_of``)."""


class SalesDesk:
    """The addresses of a sale's course."""

    def __init__(self, catalogue: CatalogueReader, funnel: Funnel, clock: Clock) -> None:
        self._catalogue = catalogue
        self._funnel = funnel
        self._clock = clock
        event = f"{PREFIX}/events/{{event}}"
        self.routes: Sequence[Route] = [
            resource(f"{event}/sales", GET=self.sales),
            resource(f"{event}/sales.csv", GET=self.sheet),
        ]

    async def sales(self, request: Request) -> Response:
        """GET /sales."""
        event, series = await self._asked(request)
        return answer(await asyncio.to_thread(series_paper, event, series))

    async def sheet(self, request: Request) -> Response:
        """GET /sales.csv."""
        event, series = await self._asked(request)
        return table(await asyncio.to_thread(series_sheet, series), f"{event}-sales.csv")

    async def _asked(self, request: Request) -> tuple[str, Series]:
        """Count what is asked for. Raises ``Refused``."""
        event = (await self._catalogue.known(event_of(request), drafts=True)).event.id
        span = read_span(request.query_params.multi_items())
        return event, await self._funnel.series(event, span, self._clock.now_ms())


def series_paper(event: str, series: Series) -> dict[str, object]:
    """Tell a series, with its totals; nothing is left out that is 0, so that whoever draws it needs no rule."""
    total, currencies = series.total(), series.currencies()
    return {
        "event": event,
        "from_ms": series.span.from_ms,
        "until_ms": series.span.until_ms,
        "step": series.span.step,
        "total": {
            **_paper(total, currencies),
            "conversion": {
                "opened_of_holds": _ratio(total.counts["holds_opened"], total.counts["holds"]),
                "paid_of_opened": _ratio(total.counts["opened_paid"], total.counts["opened"]),
            },
        },
        "steps": [
            {"from_ms": from_ms, **_paper(series.steps.get(number, _EMPTY), currencies)}
            for number, from_ms in enumerate(series.span.begins())
        ],
    }


def _paper(step: Step, currencies: Sequence[str]) -> dict[str, object]:
    nothing: Counter[str] = Counter()
    return {
        **{name: step.counts[name] for name in _SAID},
        "came_of": {name: step.counts[name] for name in COUNTS[-2:]},
        "money": {
            currency: {name: step.money.get(currency, nothing)[name] for name in MOVES}
            for currency in currencies
        },
        "abandoned": {
            "holds": {name: step.holds[name] for name in OF_HOLDS},
            "orders": {name: step.orders[name] for name in OF_ORDERS},
        },
    }


def _ratio(part: int, whole: int) -> float | None:
    """Divide, to four decimals; None where there is nothing to divide by."""
    return round(part / whole, 4) if whole else None


def series_sheet(series: Series) -> bytes:
    """Write a series as CSV: a line for each step, and columns for each currency in which money has moved."""
    currencies = series.currencies()
    header: list[Cell] = ["from_ms", "from", *COUNTS]
    header += [f"abandoned_holds_{name}" for name in OF_HOLDS]
    header += [f"abandoned_orders_{name}" for name in OF_ORDERS]
    for currency in currencies:
        for name in MOVES:
            header += [f"{currency}_{name}", f"{currency}_{name.removesuffix('_minor')}"]
    rows: list[Sequence[Cell]] = [header]
    nothing: Counter[str] = Counter()
    for number, from_ms in enumerate(series.span.begins()):
        step = series.steps.get(number, _EMPTY)
        row: list[Cell] = [from_ms, moment(from_ms), *(step.counts[name] for name in COUNTS)]
        row += [step.holds[name] for name in OF_HOLDS]
        row += [step.orders[name] for name in OF_ORDERS]
        for currency in currencies:
            for name in MOVES:
                row += amount(step.money.get(currency, nothing)[name], currency)
        rows.append(row)
    return piece(rows)
