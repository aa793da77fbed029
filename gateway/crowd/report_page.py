"""The report as one HTML page: verdict, checks, plots, tables; nothing is loaded from elsewhere.

Light, dark and paper by the reader's own setting. The plots share one time axis, so that arrivals, the line, the door
and the polls can be read under each other.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from gateway.crowd.bots.report import cost_rows, share_rows
from gateway.crowd.bots.report import told as bots_told
from gateway.crowd.bots.shares import shares
from gateway.crowd.crowd import Result
from gateway.crowd.figures import Figures, figures
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.plots import Band, Frame, bars, bars_and_limit, binned, dots, headroom, steps, thinned
from gateway.crowd.report import cost, duration, remarks, summary, words
from gateway.crowd.seats.figures import seat_figures
from gateway.crowd.seats.figures_paid import paid_figures
from gateway.crowd.seats.report import errand_rows, hold_rows, time_rows
from gateway.crowd.seats.report_paid import manner_rows, order_rows
from gateway.crowd.verdict import State

STYLE = Path(__file__).parent / "pages" / "report.css"
_MARKS = {State.GREEN: "✓", State.RED: "✗", State.NOT_JUDGED: "–"}


def page(result: Result) -> str:
    """Write the page."""
    shown = figures(result.observed)
    colour = "green" if result.is_green else "red"
    plan = result.plan
    told = (
        f"{shown.fans:,} fans came to room <b>{escape(plan.room)}</b> at {escape(plan.url)}: "
        f"{escape(plan.shape)} over {duration(plan.duration_s)}, seed {plan.seed}, "
        f"done after {duration(shown.ended_s)}."
    )
    notes = "".join(f'<p class="remark">{escape(text)}</p>' for text in remarks(result, shown))
    body = (
        f'<header><p class="kicker">Waitroom · crowd</p><h1 class="{colour}">{escape(summary(result))}</h1>'
        f"<p>{told}</p>{notes}</header>{_tiles(result, shown)}"
        f"<section><h2>Checks</h2>{_checks(result)}</section>"
        f"<section><h2>The sale, second by second</h2>{_plots(result, shown)}</section>"
        f"<section><h2>What fans saw</h2>{_waits(shown)}{_outcomes(shown)}</section>"
        f"{_bots(result)}{_seats(result, shown)}{_paid(result)}"
        f"<section><h2>Requests</h2>{_requests(shown)}</section>"
        f"<footer>{_footer(result)}</footer>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Crowd: {escape(summary(result))}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _tiles(result: Result, shown: Figures) -> str:
    observed = result.observed
    admitted = sum(file.admitted_s is not None for file in observed.fans)
    matched = sum(file.matched for file in observed.fans)
    peak = max((count for _, count in shown.waiting), default=0)
    tiles = [
        ("as their script says", f"{matched:,}", f"of {shown.fans:,} fans"),
        ("admitted", f"{admitted:,}", f"{max(shown.admissions_per_s, default=0):,} in the fullest second"),
        ("median wait", duration(shown.waits_s.p50), f"99 % below {duration(shown.waits_s.p99)}"),
        ("longest line", f"{peak:,}", "fans waiting at once"),
        ("places lost", f"{result.places_lost:,}", f"roll called for {observed.roll_called:,}"),
        ("requests", f"{shown.requests:,}", f"{shown.requests_per_s:,.0f} a second on average"),
    ]
    cells = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd><b>{escape(value)}</b><span>{escape(more)}</span></dd></div>'
        for name, value, more in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _checks(result: Result) -> str:
    rows = []
    for verdict in result.verdicts:
        state = str(verdict.state).replace(" ", "-")
        detail = verdict.detail if verdict.state is not State.NOT_JUDGED else f"Not judged: {verdict.detail}"
        examples = "".join(f"<li>{escape(example)}</li>" for example in verdict.examples)
        rows.append(
            f'<li class="{state}"><span class="mark" role="img" aria-label="{verdict.state}">'
            f"{_MARKS[verdict.state]}</span><div><p>{escape(verdict.promise)}</p>"
            f'<p class="detail"><code>{verdict.name}</code> {escape(detail)}</p>'
            f"{f'<ul>{examples}</ul>' if examples else ''}</div></li>"
        )
    return f'<ol class="checks">{"".join(rows)}</ol>'


def _plots(result: Result, shown: Figures) -> str:
    observed, last_s = result.observed, max(shown.ended_s, 1.0)
    bands = _bands(result, last_s)
    rate = observed.limits.admissions_per_minute
    per_s = rate / 60 if rate is not None else None

    admissions = "Admissions a second"
    if per_s is not None:
        admissions += f"; dashed: the limit, {per_s:,.1f} and as many at once".replace(".0 ", " ")
    line = [(at_s, float(count)) for at_s, count in shown.waiting]
    waiting = Frame("Fans in line", last_s, headroom(count for _, count in line), bands=bands)
    return (
        _per_second("Arrivals a second", shown.arrivals_per_s, last_s, "fans", bands)
        + _figure("Fans in line", steps(waiting, thinned(line)))
        + _per_second(admissions, shown.admissions_per_s, last_s, "fans", bands, per_s)
        + _per_second("Polls a second", shown.polls_per_s, last_s, "polls", bands)
    )


def _bands(result: Result, last_s: float) -> list[Band]:
    outages = result.observed.outages
    return [Band(outage.name, outage.since_s, min(outage.until_s, last_s)) for outage in outages]


def _waits(shown: Figures) -> str:
    waits = sorted(wait for _, wait, _ in shown.places)
    if not waits:
        return "<p>Nobody was admitted.</p>"
    count = 40
    width = max(waits[-1] / count, 0.1)
    heights = [0.0] * count
    for wait in waits:
        heights[min(int(wait / width), count - 1)] += 1
    frame = Frame("Waits", width * count, headroom(heights), x_label="seconds from join to admission")

    def describe(at: float, value: float) -> str:
        return f"{value:,.0f} fans waited {at:,.1f} to {at + width:,.1f} s"

    places = sorted(shown.places)
    field = Frame(
        "Number and wait",
        max(number for number, _, _ in places) + 1,
        headroom(wait for _, wait, _ in places),
        height=230,
        x_label="number in line",
    )
    points = [
        (
            float(number),
            wait,
            str(script).replace("_", "-"),
            f"number {number:,}, {words(script)}: {duration(wait)}",
        )
        for number, wait, script in places
    ]
    rows = [["", "fans", "half below", "90 % below", "99 % below", "longest"]]
    for label, spread in [
        ("everybody", shown.waits_s),
        *[(words(s), w) for s, w in shown.waits_by_script.items()],
    ]:
        if spread.count:
            times = [duration(value) for value in (spread.p50, spread.p90, spread.p99, spread.most)]
            rows.append([label, f"{spread.count:,}", *times])
    return (
        _figure("How long fans waited", bars(frame, heights, width, describe))
        + _figure("Wait by number in line; those who were away on purpose stand out", dots(field, points))
        + _table("Waits from join to admission", rows)
    )


def _outcomes(shown: Figures) -> str:
    used = [outcome for outcome in Outcome if any(counts.get(outcome) for counts in shown.outcomes.values())]
    rows = [["script", "came", "as it says", *[str(outcome) for outcome in used]]]
    for script, counts in shown.outcomes.items():
        told = [f"{counts[outcome]:,}" if counts.get(outcome) else "" for outcome in used]
        rows.append([words(script), f"{sum(counts.values()):,}", f"{shown.matched[script]:,}", *told])
    return _table("How each fan's day ended", rows)


def _bots(result: Result) -> str:
    shown = shares(result.observed, result.plan.places)
    if shown is None:
        return ""
    costs = cost_rows(shown)
    return (
        f"<section><h2>Bots</h2><p>{escape(bots_told(shown))}</p>"
        + _table("Who came, and who got in", share_rows(shown))
        + (_table("What came of checks, and what they cost", costs) if costs else "")
        + "</section>"
    )


def _seats(result: Result, shown: Figures) -> str:
    seats = seat_figures(result.observed)
    if seats is None:
        return ""
    last_s = max(shown.ended_s, 1.0)
    bands = _bands(result, last_s)
    met = "Wishes a second that met somebody else's seat"
    return (
        "<section><h2>Seats</h2>"
        + _per_second("Holds won a second", seats.won_per_s, last_s, "holds", bands)
        + _per_second(met, seats.refused_per_s, last_s, "wishes", bands)
        + _table("What was wished for, and what became of the holds", hold_rows(seats))
        + _table("From the first wish to a hold", time_rows(seats, duration))
        + _table("How each errand ended", errand_rows(seats))
        + "</section>"
    )


def _paid(result: Result) -> str:
    paid = paid_figures(result.observed)
    if paid is None:
        return ""
    return (
        "<section><h2>Payments</h2>"
        + _table("What was paid, and what was not", order_rows(paid))
        + _table("What each way to pay came to", manner_rows(paid))
        + "</section>"
    )


def _per_second(
    title: str,
    values: Sequence[int],
    last_s: float,
    what: str,
    bands: Sequence[Band] = (),
    limit: float | None = None,
) -> str:
    means, width = binned(values)
    frame = Frame(title, last_s, headroom(means, limit), bands=bands)

    def describe(at: float, value: float) -> str:
        return f"{value:,.1f} {what} a second from {at:,.0f} s on".replace(".0 ", " ")

    every = f", mean of {width} s" if width > 1 else ""
    return _figure(f"{title}{every}", bars_and_limit(frame, means, width, describe, limit))


def _requests(shown: Figures) -> str:
    rows = [["", "number", "a second", "peak second", "half below", "99 % below", "longest"]]
    for route in Route:
        pace = shown.paces.get(route)
        if pace is not None:
            spread = pace.latency_ms
            times = [f"{value:,.1f} ms" for value in (spread.p50, spread.p99, spread.most)]
            rows.append([str(route), f"{pace.total:,}", f"{pace.per_s:,.0f}", f"{pace.peak_per_s:,}", *times])
    return f"{_table('Every request of every fan, from wanting to ask to the whole answer', rows)}<p>{cost(shown)}</p>"


def _footer(result: Result) -> str:
    plan = result.plan
    mix = ", ".join(f"{words(script)} {share:g}" for script, share in plan.mix.items())
    return (
        f"Mix: {escape(mix)}. At most {plan.connections:,} connections. "
        "Arrivals are drawn up front and never wait for an answer (open loop). "
        "A red check is proof of a broken promise; a green one says that none was seen."
    )


def _figure(title: str, picture: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{picture}</figure>"


def _table(title: str, rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows[1:]
    )
    return (
        f'<div class="table"><table><caption>{escape(title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
