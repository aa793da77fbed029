"""The report of the seats: rows for the table and for the page, and plain values for JSON."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway.crowd.figures import rounded
from gateway.crowd.observed import Observed
from gateway.crowd.seats.figures import SeatFigures, seat_figures
from gateway.crowd.seats.noted import Ending

Rows = list[list[str]]


def hold_rows(shown: SeatFigures) -> Rows:
    """What was wished for, and what became of the holds."""
    refused = sum(shown.refused.values())
    return [
        ["Seats", "number", ""],
        [
            "wishes",
            f"{shown.wishes:,}",
            f"at {shown.events:,} events" if shown.events > 1 else "at one event",
        ],
        [
            "holds won",
            f"{shown.won:,}",
            f"{shown.seats_won:,} seats, {shown.offered:,} offered by the waitlist",
        ],
        [
            "wishes refused",
            f"{refused:,}",
            ", ".join(f"{code} {count:,}" for code, count in shown.refused.items()),
        ],
        ["conflict rate", f"{shown.conflict_rate:.1%}", "of the answered wishes met somebody else's seat"],
        ["reserved", f"{shown.reserved:,}", f"{shown.cancelled:,} of them given back"],
        ["released", f"{shown.released:,}", ""],
        ["extended", f"{shown.extended:,}", ""],
        ["expired", f"{shown.expired:,}", f"{shown.held:,} were still held at the end"],
    ]


def time_rows(shown: SeatFigures, duration: Callable[[float], str]) -> Rows:
    """How long it took from the first wish to a hold, the lost races in between included."""
    spread = shown.time_to_hold_s
    times = [duration(value) for value in (spread.p50, spread.p90, spread.p99, spread.most)]
    before = shown.conflicts_before_hold
    lost = [f"{value:,.0f}" for value in (before.p50, before.p90, before.p99, before.most)]
    return [
        ["From the first wish to a hold", "fans", "p50", "p90", "p99", "longest"],
        ["time", f"{spread.count:,}", *times],
        ["refusals before it", f"{before.count:,}", *lost],
    ]


def errand_rows(shown: SeatFigures) -> Rows:
    """How each errand ended."""
    used = [ending for ending in Ending if any(counts.get(ending) for counts in shown.errands.values())]
    rows = [["Errands", "ran", "as it says", *[str(ending).replace("-", " ") for ending in used]]]
    for errand, counts in shown.errands.items():
        told = [f"{counts[ending]:,}" if counts.get(ending) else "" for ending in used]
        ran = f"{sum(counts.values()):,}"
        rows.append([str(errand).replace("_", " "), ran, f"{shown.as_it_says[errand]:,}", *told])
    return rows


def seats_as_dict(observed: Observed) -> dict[str, Any] | None:
    """Give everything as plain values; None where no seats were sold."""
    shown = seat_figures(observed)
    if shown is None:
        return None
    plain = asdict(shown)
    plain["conflict_rate"] = round(shown.conflict_rate, 4)
    plain["time_to_hold_s"] = rounded(shown.time_to_hold_s)
    plain["conflicts_before_hold"] = rounded(shown.conflicts_before_hold)
    plain["errands"] = {
        str(errand): {str(ending): count for ending, count in counts.items()}
        for errand, counts in shown.errands.items()
    }
    plain["as_it_says"] = {str(errand): count for errand, count in shown.as_it_says.items() if count}
    return plain
