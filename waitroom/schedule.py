"""Schedule: which opening of a room is on now, and in which phase it should be.

``wanted`` is a pure function of the settings and the time; whoever ticks a room compares it with the line
and turns the phase. All edges are half-open: a sale is on while ``starts <= now < ends``.

An *opening* is one use of the line: ``always``, or the name of a sale. A new opening begins a new run, in which
earlier tickets are worth nothing, so openings change as rarely as can be:

* A sale has a line of its own when people gather for it (a prequeue, a draw) or when there is no line outside
  sales. A sale that merely changes limits, session or page of an always-on line leaves that line alone.
* A sale that lets all pass or turns all away (passthrough, reject) rests the line, phase ``idle``, with every place
  kept; so does ``suspended``. What the gate does follows from the method and the flag, not from the phase.
* Between sales the coming sale's opening is wanted already, ``idle``, so that the draw's notice can be read before
  anybody joins.
* After the end the line drains: nobody joins, whoever was called may still claim. The next sale's opening cuts
  that short.

An ended line is never reopened: who finds it ended and another phase wanted begins a new run.
An operator's ``draining`` switch lets a line that would serve drain, and serve again when it is taken back.
Not here: pause and bypass (they change no phase), when a draw's seed exists (the line waits in ``gathering`` for it).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from waitroom.rooms import ALWAYS, Method, Room, Sale, draws, method


class Phase(StrEnum):
    """The stage that an opening is in."""

    IDLE = "idle"
    GATHERING = "gathering"
    SERVING = "serving"
    DRAINING = "draining"
    ENDED = "ended"


CHANGES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.IDLE: frozenset({Phase.GATHERING, Phase.SERVING, Phase.DRAINING, Phase.ENDED}),
        Phase.GATHERING: frozenset({Phase.SERVING, Phase.DRAINING, Phase.ENDED, Phase.IDLE}),
        Phase.SERVING: frozenset({Phase.DRAINING, Phase.ENDED, Phase.IDLE}),
        Phase.DRAINING: frozenset({Phase.SERVING, Phase.ENDED, Phase.IDLE}),
        Phase.ENDED: frozenset(),
    }
)
"""Allowed changes within one run. Stages may be jumped (everything was down meanwhile), a sale may be prolonged
while it drains, and any stage may rest; nobody who was served gathers again."""

UNDER_WAY = frozenset({Phase.GATHERING, Phase.SERVING, Phase.DRAINING})

_WITHOUT_LINE = frozenset({Method.PASSTHROUGH, Method.REJECT})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the line should be now. ``sale`` is the sale in force, whose settings count; the times are the opening's.

    ``closes_ms`` is when the draw is frozen; None where there is none. While ``idle`` the times are those of the
    coming sale. The always-on line has no times.
    """

    opening: str
    phase: Phase
    sale: Sale | None = None
    opens_ms: int | None = None
    starts_ms: int | None = None
    ends_ms: int | None = None
    closes_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A sale's stretch of time, from its opening to where it has drained."""

    sale: Sale
    has_line: bool
    closes_ms: int | None
    drained_ms: int


def windows(room: Room) -> Iterator[Window]:
    """Lay out the sales that are not suspended, in the order of time."""
    sales = sorted((sale for sale in room.sales if not sale.suspended), key=lambda sale: sale.opens_ms)
    for index, sale in enumerate(sales):
        has_line = _has_line(room, sale)
        drained_ms = sale.event_end_ms + (room.drain_s * 1000 if has_line else 0)
        if index + 1 < len(sales):
            drained_ms = min(drained_ms, sales[index + 1].opens_ms)
        closes_ms = sale.event_start_ms - room.draw_lead_s * 1000 if has_line and draws(room, sale) else None
        yield Window(sale, has_line, closes_ms, drained_ms)


def _has_line(room: Room, sale: Sale) -> bool:
    if method(room, sale) in _WITHOUT_LINE:
        return False
    return room.queueing_method is not Method.FIFO or sale.prequeue_start_ms is not None or draws(room, sale)


def wanted(room: Room, now_ms: int) -> Wanted:
    """Tell which opening of `room` is on at `now_ms`, and its phase."""
    layout = list(windows(room))
    now = next((window for window in layout if window.sale.opens_ms <= now_ms < window.drained_ms), None)
    if now is not None and now.has_line:
        result = _dated(now, _phase(now, now_ms))
    else:
        result = replace(_base(room, layout, now_ms), sale=now.sale if now else None)
    no_line = now is not None and method(room, now.sale) in _WITHOUT_LINE
    if (room.suspended or no_line) and result.phase is not Phase.ENDED:
        result = replace(result, phase=Phase.IDLE)
    if room.draining and result.phase is Phase.SERVING:
        result = replace(result, phase=Phase.DRAINING)
    return result


def _phase(window: Window, now_ms: int) -> Phase:
    if now_ms < window.sale.event_start_ms:
        return Phase.GATHERING
    return Phase.SERVING if now_ms < window.sale.event_end_ms else Phase.DRAINING


def _base(room: Room, layout: list[Window], now_ms: int) -> Wanted:
    """Tell what is wanted outside sales that have a line of their own."""
    if room.queueing_method is Method.FIFO:
        return Wanted(ALWAYS, Phase.SERVING)
    lines = [window for window in layout if window.has_line]
    coming = next((window for window in lines if now_ms < window.sale.opens_ms), None)
    if coming is not None:
        return replace(_dated(coming, Phase.IDLE), sale=None)
    if lines:
        return replace(_dated(lines[-1], Phase.ENDED), sale=None)
    return Wanted(ALWAYS, Phase.IDLE)


def _dated(window: Window, phase: Phase) -> Wanted:
    sale = window.sale
    return Wanted(
        opening=sale.name,
        phase=phase,
        sale=sale,
        opens_ms=sale.opens_ms,
        starts_ms=sale.event_start_ms,
        ends_ms=sale.event_end_ms,
        closes_ms=window.closes_ms,
    )


def next_change_ms(room: Room, now_ms: int) -> int | None:
    """Return the next moment after `now_ms` at which the schedule may want something else."""
    edges = [
        edge
        for window in windows(room)
        for edge in (
            window.sale.opens_ms,
            window.closes_ms,
            window.sale.event_start_ms,
            window.sale.event_end_ms,
            window.drained_ms,
        )
        if edge is not None and edge > now_ms
    ]
    return min(edges, default=None)


def next_comes(phase: str, plan: Wanted, now_ms: int) -> bool:
    """Tell whether a line in this phase is over and another one has a date; the page says the same (``rules.js``)."""
    return phase == Phase.ENDED and plan.opens_ms is not None and plan.opens_ms > now_ms


def obstacle(before: Room, after: Room, now_ms: int) -> str:
    """Tell why a change of settings would cost people their places who joined a sale; '' when it would not.

    Asked before a change is kept. A sale under way keeps its name, its draw and its direction: it may end now, be
    prolonged or get other limits, before its start also be put off; but not vanish, and not begin again.
    """
    old = wanted(replace(before, suspended=False), now_ms)
    new = wanted(replace(after, suspended=False), now_ms)
    if old.opening == ALWAYS or old.phase not in UNDER_WAY:
        return ""
    if new.opening != old.opening:
        return (
            f"The sale {old.opening} is {old.phase}: people hold places in it. "
            "End it by setting its event_end_time to now; what remains to be claimed drains first."
        )
    allowed = {old.phase, *CHANGES[old.phase]} - ({Phase.IDLE} if old.phase is not Phase.GATHERING else set())
    if new.phase not in allowed:
        return f"The sale {old.opening} is {old.phase} and cannot go back to {new.phase}."
    if (new.closes_ms is None) != (old.closes_ms is None):
        return f"The sale {old.opening} is {old.phase}: whether it has a draw was settled when people could join."
    return ""


def by_way_of_draw(wanted: Phase, shuffled: bool) -> Phase:
    """Let a line that has a draw gather first, however late it opens: a rank comes of the draw alone."""
    return Phase.GATHERING if shuffled and wanted is Phase.SERVING else wanted
