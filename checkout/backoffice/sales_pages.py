"""Sales page: an event's sale: its seats now, what was sold, who came how far, what was taken, step by step.

Every number is one that the API tells (``organiser.sales_web``, ``organiser.web`` for the seats); added up here is only
what stands beside each other there. Times of the page are those at the hall. Not here: drawing (``chart``).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.chart import bars
from checkout.backoffice.page import texts
from checkout.backoffice.visit import Page, Visit

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SPANS: Mapping[str, tuple[int, str]] = {
    "hour": (HOUR, "minute"),
    "day": (DAY, "hour"),
    "week": (7 * DAY, "hour"),
    "all": (0, ""),
}
"""What may be chosen: how long it is, and how long its steps; ``all`` is from the first day of the sale on."""

USUAL = "hour"
STEPS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
DRAWN_MOST = 480
"""Steps of which a picture shows each."""

SALES = ("GET", "/events/{event}/sales")
REPORT = ("GET", "/events/{event}/report")


async def sales(visit: Visit) -> Response:
    """GET /events/{event}/sales: ?span=, or ?from=&until=&step= as clocks at the hall show them."""
    event = await visit.choose_event()
    shown: dict[str, Any] = {"report": (await visit.ask(*REPORT)).plain, "told": None, "asked": None}
    if visit.may(*SALES):
        asked = read_span(visit, event)
        query = {name: asked[name] for name in ("from_ms", "until_ms", "step")}
        shown |= {"asked": asked, "query": urlencode(query)}
        try:
            told = (await visit.ask(*SALES, query=query)).plain
        except NotDone as fault:
            if fault.code != "query-invalid":
                raise
            visit.fault = fault
        else:
            shown |= {"told": told, "chart": drawn(visit, told)}
            shown["happened"] = [one for one in told["steps"] if has_something(one)]
    return await visit.show("sales.html", here="sales", spans=list(SPANS), steps=list(STEPS), **shown)


def read_span(visit: Visit, event: Mapping[str, Any]) -> dict[str, str]:
    """Read which time is asked for; what is none is handed on as it is, and the API refuses it."""
    given = visit.request.query_params
    word = given.get("span", "")
    if word not in SPANS and ("from" in given or "until" in given):
        times = {name: visit.writing.read_field(given.get(name, "")) for name in ("from", "until")}
        asked = {f"{name}_ms": given.get(name, "") if ms is None else str(ms) for name, ms in times.items()}
        from_ms, until_ms = times["from"], times["until"]
        fits = "minute" if from_ms is None or until_ms is None else fitting(until_ms - from_ms)
        return {"span": "", "step": given.get("step") or fits, **asked}
    word = word if word in SPANS else USUAL
    # The minute that is running is shown as well.
    until_ms = (visit.now_ms // MINUTE + 1) * MINUTE
    long_ms, usual = SPANS[word]
    from_ms = (
        until_ms - long_ms if long_ms else min(event["sale_from_ms"] // MINUTE * MINUTE, until_ms - HOUR)
    )
    step = usual or fitting(until_ms - from_ms)
    return {"span": word, "from_ms": str(from_ms), "until_ms": str(until_ms), "step": step}


def fitting(long_ms: int) -> str:
    """Choose steps of which a picture can show each."""
    return next((name for name, ms in STEPS.items() if long_ms <= ms * DRAWN_MOST), "day")


def has_something(step: Mapping[str, Any]) -> bool:
    """Tell whether anything happened in a step."""
    counts = [value for name, value in step.items() if name != "from_ms" and isinstance(value, int)]
    parts = [
        *step["came_of"].values(),
        *step["abandoned"]["holds"].values(),
        *step["abandoned"]["orders"].values(),
    ]
    return any(counts) or any(parts) or any(any(moves.values()) for moves in step["money"].values())


def drawn(visit: Visit, told: Mapping[str, Any]) -> object:
    """Draw the seats that were sold in each step; None where there are too many steps."""
    steps = told["steps"]
    if len(steps) > DRAWN_MOST:
        return None
    text = texts()[visit.tag].text
    numbers = [one["seats_sold"] for one in steps]
    how = (
        "d MMM"
        if told["step"] == "day"
        else "HH:mm"
        if len(steps) * STEPS[told["step"]] <= DAY
        else "d MMM, HH:mm"
    )
    axis = [visit.writing.moment(one["from_ms"], how) for one in steps]
    names = [
        text("sales.bar", when=visit.writing.moment(one["from_ms"]), n=one["seats_sold"]) for one in steps
    ]
    return bars(numbers, names, axis, text("sales.picture", n=sum(numbers)))


PAGES: Sequence[Page] = (Page("GET", "/events/{event}/sales", sales, (REPORT,)),)
