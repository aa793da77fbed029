"""The report in words: a table for the terminal, and everything as JSON.

Not here: the page (``report_page``), the arithmetic (``figures``).
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from gateway.crowd.bots.report import bots_as_dict, cost_rows, share_rows
from gateway.crowd.bots.report import told as bots_told
from gateway.crowd.bots.shares import shares
from gateway.crowd.crowd import Result
from gateway.crowd.figures import Figures, figures, rounded
from gateway.crowd.observed import Observed, Outcome, Route
from gateway.crowd.seats.figures import seat_figures
from gateway.crowd.seats.figures_paid import paid_figures
from gateway.crowd.seats.report import errand_rows, hold_rows, seats_as_dict, time_rows
from gateway.crowd.seats.report_paid import manner_rows, order_rows, paid_as_dict
from gateway.crowd.verdict import State

LAG_REMARK_MS = 250.0
"""Above this the crowd itself was late; then its machine, not the room, was the bottleneck."""

_COLOURS = {State.GREEN: "\x1b[32m", State.RED: "\x1b[31m", State.NOT_JUDGED: "\x1b[33m"}
_MARKS = {State.GREEN: "✔", State.RED: "✘", State.NOT_JUDGED: "–"}


def table(result: Result, *, colour: bool) -> str:
    """The whole report as text, some ninety columns wide."""
    shown = figures(result.observed)
    parts = [
        _head(result, shown),
        _checks(result, colour=colour),
        _fans(shown),
        _waits(shown),
        _bots(result),
        _seats(result.observed),
        _paid(result.observed),
        _requests(shown),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(result: Result) -> str:
    """One sentence on how it went."""
    red = [verdict.name for verdict in result.verdicts if verdict.state is State.RED]
    unjudged = sum(verdict.state is State.NOT_JUDGED for verdict in result.verdicts)
    if red:
        return f"{len(red)} of {len(result.verdicts)} checks are red: {', '.join(red)}."
    extra = f" {unjudged} could not be judged." if unjudged else ""
    return f"All {len(result.verdicts) - unjudged} checks are green.{extra}"


def remarks(result: Result, shown: Figures) -> list[str]:
    """What a reader should know before trusting the figures."""
    found = []
    if shown.lag_ms.p99 > LAG_REMARK_MS:
        found.append(
            f"The crowd itself was late: its process woke up {shown.lag_ms.p99:,.0f} ms after its time (p99). "
            "Latencies and the shape of the load are those of this machine; the checks hold."
        )
    if shown.queue_ms.p99 > LAG_REMARK_MS:
        found.append(
            f"All {result.plan.connections:,} connections were busy at times: requests waited up to "
            f"{shown.queue_ms.p99:,.0f} ms for one (p99). That wait is in the latencies."
        )
    if result.observed.shop.why_not:
        found.append(f"No seats were asked for: {result.observed.shop.why_not}.")
    undecided = sum(file.undecided for file in result.observed.fans)
    if undecided:
        found.append(
            f"{undecided:,} fans were sent home before their script was through; a longer --linger helps."
        )
    return found


def as_dict(result: Result) -> dict[str, Any]:
    """Everything but the records, as plain values for JSON."""
    shown = figures(result.observed)
    plan = {name.name: getattr(result.plan, name.name) for name in fields(result.plan)}
    plan |= {
        "mix": {str(script): share for script, share in result.plan.mix.items()},
        "errands": {str(errand): share for errand, share in result.plan.errands.items()},
        "manners": {str(manner): share for manner, share in result.plan.manners.items()},
        "kinds": {str(kind): share for kind, share in result.plan.kinds.items()},
        "limits": asdict(result.plan.limits),
    }
    del plan["operator_token"]
    series = {
        "arrivals_per_s": shown.arrivals_per_s,
        "admissions_per_s": shown.admissions_per_s,
        "polls_per_s": shown.polls_per_s,
        "waiting": [[round(at_s, 3), count] for at_s, count in shown.waiting],
    }
    return {
        "summary": summary(result),
        "green": result.is_green,
        "matched": result.matched,
        "places_lost": result.places_lost,
        "fans": shown.fans,
        "seconds": round(shown.ended_s, 3),
        "requests": shown.requests,
        "requests_per_s": round(shown.requests_per_s, 1),
        "checks": [asdict(verdict) for verdict in result.verdicts],
        "outcomes": {
            str(script): {str(outcome): count for outcome, count in counts.items()}
            for script, counts in shown.outcomes.items()
        },
        "waits_s": rounded(shown.waits_s),
        "waits_s_by_script": {
            str(script): rounded(spread) for script, spread in shown.waits_by_script.items()
        },
        "routes": {
            str(route): {
                "total": pace.total,
                "per_s": round(pace.per_s, 1),
                "peak_per_s": pace.peak_per_s,
                "latency_ms": rounded(pace.latency_ms),
            }
            for route, pace in shown.paces.items()
        },
        "queue_ms": rounded(shown.queue_ms),
        "lag_ms": rounded(shown.lag_ms),
        "cpu_s": round(shown.cpu_s, 3),
        "limits": asdict(result.observed.limits),
        "seats": seats_as_dict(result.observed),
        "paid": paid_as_dict(result.observed),
        "bots": bots_as_dict(shares(result.observed, result.plan.places)),
        "outages": [outage._asdict() for outage in result.observed.outages],
        "remarks": remarks(result, shown),
        "series": series,
        "plan": plan,
    }


def duration(seconds: float) -> str:
    """A time for people: 3.2 s, 4 min 10 s."""
    if seconds < 100:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\N{NO-BREAK SPACE}min\N{NO-BREAK SPACE}{rest:02d}\N{NO-BREAK SPACE}s"


def _head(result: Result, shown: Figures) -> str:
    plan = result.plan
    lines = [
        f"{shown.fans:,} fans at {plan.url}, room {plan.room}: {plan.shape} over {plan.duration_s:g} s, "
        f"seed {plan.seed}, done after {duration(shown.ended_s)}",
        summary(result),
        *remarks(result, shown),
    ]
    return "\n".join(lines)


def _checks(result: Result, *, colour: bool) -> str:
    lines = ["Checks"]
    for verdict in result.verdicts:
        mark = _MARKS[verdict.state]
        if colour:
            mark = f"{_COLOURS[verdict.state]}{mark}\x1b[0m"
        lines.append(f"  {mark} {verdict.promise}")
        state = "" if verdict.state is State.GREEN else f"{verdict.state}: "
        lines.append(f"      {verdict.name}: {state}{verdict.detail}")
        lines += [f"      · {example}" for example in verdict.examples]
    return "\n".join(lines)


def _fans(shown: Figures) -> str:
    used = [outcome for outcome in Outcome if any(counts.get(outcome) for counts in shown.outcomes.values())]
    rows = [["Fans", "came", "as the script says", *[str(outcome) for outcome in used]]]
    for script, counts in shown.outcomes.items():
        told = [f"{counts[outcome]:,}" if counts.get(outcome) else "" for outcome in used]
        rows.append([words(script), f"{sum(counts.values()):,}", f"{shown.matched[script]:,}", *told])
    return columns(rows)


def _waits(shown: Figures) -> str:
    rows = [["From join to admission", "fans", "p50", "p90", "p99", "longest"]]
    for label, spread in [
        ("everybody", shown.waits_s),
        *[(words(script), spread) for script, spread in shown.waits_by_script.items()],
    ]:
        if spread.count:
            times = [duration(value) for value in (spread.p50, spread.p90, spread.p99, spread.most)]
            rows.append([label, f"{spread.count:,}", *times])
    return columns(rows) if len(rows) > 1 else ""


def _bots(result: Result) -> str:
    shown = shares(result.observed, result.plan.places)
    if shown is None:
        return ""
    costs = cost_rows(shown)
    parts = [bots_told(shown), columns(share_rows(shown)), *([columns(costs)] if costs else [])]
    return "\n\n".join(parts)


def _seats(observed: Observed) -> str:
    shown = seat_figures(observed)
    if shown is None:
        return ""
    parts = [_explained(hold_rows(shown)), columns(time_rows(shown, duration)), columns(errand_rows(shown))]
    return "\n\n".join(parts)


def _paid(observed: Observed) -> str:
    shown = paid_figures(observed)
    return "" if shown is None else f"{_explained(order_rows(shown))}\n\n{columns(manner_rows(shown))}"


def _explained(rows: Sequence[Sequence[str]]) -> str:
    """Align rows whose third part explains the number before it, and is not aligned itself."""
    lines = columns([row[:2] for row in rows]).splitlines()
    return "\n".join(f"{line}  {row[2]}".rstrip() for line, row in zip(lines, rows, strict=True))


def _requests(shown: Figures) -> str:
    rows = [["Requests", "number", "a second", "peak second", "p50", "p99", "longest"]]
    for route in Route:
        pace = shown.paces.get(route)
        if pace is None:
            continue
        spread = pace.latency_ms
        times = [f"{value:,.1f} ms" for value in (spread.p50, spread.p99, spread.most)]
        rows.append([str(route), f"{pace.total:,}", f"{pace.per_s:,.0f}", f"{pace.peak_per_s:,}", *times])
    rows.append(["all", f"{shown.requests:,}", f"{shown.requests_per_s:,.0f}", "", "", "", ""])
    return f"{columns(rows)}\n{cost(shown)}"


def cost(shown: Figures) -> str:
    """What the crowd itself took, in one sentence."""
    each_us = shown.cpu_s / max(1, shown.requests) * 1e6
    return f"The crowd's own process took {shown.cpu_s:,.1f} s of CPU, {each_us:,.0f} µs a request."


def words(name: str) -> str:
    """A name for people."""
    return name.replace("_", " ")


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows, the first column left and the others right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)],
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
