"""View: what the control page shows of a room, in words, numbers and one drawing.

Pure: settings, schedule, figures and the time in; texts out. The drawing is the line itself: people inside on the left,
the door, who is called, who waits. Not here: HTML (``pages``), figures (``ports``), HTTP (``control``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dashboards.operator_api import whole
from waitroom.rooms import Method, Room, merged
from waitroom.schedule import Phase, Wanted

INSIDE_MARKS = 20
OUTSIDE_MARKS = 36
STEP_PX = 12
UNKNOWN = "–"

PHASE_WORDS = {
    Phase.IDLE: "Resting",
    Phase.GATHERING: "Gathering",
    Phase.SERVING: "Serving",
    Phase.DRAINING: "Draining",
    Phase.ENDED: "Over",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One figure of the drawing: where, how tall, of which kind."""

    x_px: int
    top_px: int
    kind: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The drawing; a mark outside stands for ``unit`` people."""

    marks: tuple[Mark, ...]
    unit: int
    full_percent: int
    told: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its label; ``note`` says what it is measured against."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted change of settings."""

    when: str
    who: str
    why: str
    what: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class RoomView:
    """Everything that the page needs to know of one room."""

    room: Room
    title: str
    pills: tuple[tuple[str, str], ...]
    sentence: str
    strip: Strip | None
    figures: tuple[Figure, ...]
    facts: tuple[tuple[str, str], ...]
    rate: int
    cap: int
    limits_of: str
    waiting: str
    trouble: str


def room_view(room: Room, plan: Wanted, figures: Mapping[str, object] | None, now_ms: int) -> RoomView:
    """Compose a room's view; `figures` is None where they cannot be had."""
    known = figures or {}
    view = merged(room, plan.sale)
    waiting, called = whole(known, "waiting"), whole(known, "called")
    inside = whole(known, "active_sessions")
    own_limits = plan.sale is not None and plan.sale.total_active_users is not None
    return RoomView(
        room=room,
        title=room.description or room.name,
        pills=pills(room, phase_of(known, plan)),
        sentence=sentence(view, plan, now_ms),
        strip=None
        if None in (waiting, inside)
        else strip(inside or 0, view.total_active_users, called or 0, waiting or 0),
        figures=(
            Figure("Waiting", count(waiting), _wait_note(known)),
            Figure("Called", count(called), "may come in now"),
            Figure("Inside", count(inside), f"limit {view.total_active_users:,}"),
            Figure(
                "Let in",
                count(whole(known, "admitted_per_minute")),
                f"last minute, limit {view.new_users_per_minute:,}",
            ),
        ),
        facts=_facts(view),
        rate=view.new_users_per_minute,
        cap=view.total_active_users,
        limits_of=plan.sale.name if plan.sale is not None and own_limits else "",
        waiting=count(waiting),
        trouble=_trouble(figures),
    )


def phase_of(figures: Mapping[str, object], plan: Wanted) -> Phase:
    """Return the line's own phase, or what the schedule wants where nobody knows."""
    try:
        return Phase(str(figures["phase"]))
    except (KeyError, ValueError):
        return plan.phase


def pills(room: Room, phase: Phase) -> tuple[tuple[str, str], ...]:
    """Return (word, tone) for what a room is doing; the most urgent first."""
    found = []
    if room.bypass:
        found.append(("Gate open to all", "alarm"))
    if room.suspended:
        found.append(("Suspended", "alarm"))
    if room.paused:
        found.append(("Paused", "halt"))
    found.append((PHASE_WORDS[phase], "calm" if phase in {Phase.IDLE, Phase.ENDED} else "live"))
    return tuple(found)


def sentence(room: Room, plan: Wanted, now_ms: int) -> str:
    """Say in one sentence what the schedule has for the room."""
    match plan.phase:
        case Phase.GATHERING:
            draw = "" if plan.closes_ms is None else _draw_closes(plan.closes_ms, now_ms)
            return f"People gather for the sale {plan.opening}. It starts {at(plan.starts_ms, now_ms)}.{draw}"
        case Phase.SERVING if plan.ends_ms is not None:
            return f"The sale {plan.opening} is on. It ends {at(plan.ends_ms, now_ms)}."
        case Phase.DRAINING if room.draining and (plan.ends_ms is None or now_ms < plan.ends_ms):
            return (
                "The line drains: nobody joins, nobody more is called. Whoever was called may still come in."
            )
        case Phase.DRAINING:
            return f"The sale {plan.opening} has ended. Whoever was called may still come in."
        case Phase.ENDED:
            return f"The sale {plan.opening} is over."
        case Phase.IDLE if plan.opens_ms is not None and plan.opens_ms > now_ms:
            return f"The sale {plan.opening} opens {at(plan.opens_ms, now_ms)}."
    if room.queueing_method is Method.PASSTHROUGH:
        return "Everybody passes: the method is passthrough."
    if room.queueing_method is Method.REJECT:
        return "Nobody passes: the method is reject."
    if plan.sale is not None:
        return f"Always open, under the limits of the sale {plan.sale.name} until {at(plan.sale.event_end_ms, now_ms)}."
    return "Always open."


def _draw_closes(closes_ms: int, now_ms: int) -> str:
    return f" The draw closes {at(closes_ms, now_ms)}." if now_ms < closes_ms else " The draw is closed."


def strip(inside: int, cap: int, called: int, waiting: int) -> Strip:
    """Draw the line: inside to the left of the door, then the called, then the waiting."""
    unit = unit_of(called + waiting)
    full = min(INSIDE_MARKS, -(-inside * INSIDE_MARKS // cap))
    kinds = ["inside" if index >= INSIDE_MARKS - full else "free" for index in range(INSIDE_MARKS)]
    called_marks = min(OUTSIDE_MARKS, -(-called // unit))
    waiting_marks = min(OUTSIDE_MARKS - called_marks, -(-waiting // unit))
    rest = OUTSIDE_MARKS - called_marks - waiting_marks
    kinds += ["called"] * called_marks + ["waiting"] * waiting_marks + ["empty"] * rest
    marks = []
    for index, kind in enumerate(kinds):
        x_px = 8 + STEP_PX * index + (24 if index >= INSIDE_MARKS else 0)
        marks.append(Mark(x_px, 8 + (29 * index * index + 73 * index) % 13, kind))
    told = f"{inside:,} of {cap:,} inside, {called:,} called, {waiting:,} waiting"
    return Strip(tuple(marks), unit, round(100 * inside / cap), told)


def unit_of(people: int) -> int:
    """Return how many people a mark outside stands for: 1, 2, 5, 10, 20, … so that all have room."""
    unit, factors = 1, (2, 5, 10)
    power = 1
    while -(-people // unit) > OUTSIDE_MARKS - 1:
        unit = power * factors[0]
        factors = (*factors[1:], factors[0])
        if factors[0] == 2:
            power *= 10
    return unit


CHANGE_WORDS = {
    ("paused", "true"): "Paused",
    ("paused", "false"): "Resumed",
    ("bypass", "true"): "Opened the gate to all",
    ("bypass", "false"): "Closed the gate again",
    ("draining", "true"): "Drained the line",
    ("draining", "false"): "Reopened the line",
    ("room", "there"): "Made the room",
    ("message", ""): "Took the message down",
}
SETTING_WORDS = {
    "new_users_per_minute": "Let in per minute",
    "total_active_users": "Inside at once",
    "message": "Message",
}


def change_of(kept: Mapping[str, Any], now_ms: int) -> Change:
    """Read a kept change for showing: (setting, old, new), or a sentence and two blanks."""
    what = []
    for name, old, new in kept.get("what", ()):
        said = CHANGE_WORDS.get((name, new))
        what.append((said, "", "") if said else (SETTING_WORDS.get(name, name), old, new))
    return Change(
        ago(int(kept["at_ms"]), now_ms), str(kept.get("who", "")), str(kept.get("why", "")), tuple(what)
    )


def count(number: int | None) -> str:
    """Write a number for people."""
    return UNKNOWN if number is None else f"{number:,}"


def ago(at_ms: int, now_ms: int) -> str:
    """Write how long ago something was."""
    passed_s = (now_ms - at_ms) // 1000
    return "just now" if passed_s < 60 else f"{span(passed_s)} ago"


def at(at_ms: int | None, now_ms: int) -> str:
    """Write a moment to come: how long until then, and the time."""
    if at_ms is None:
        return UNKNOWN
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    same_day = moment.date() == datetime.fromtimestamp(now_ms / 1000, UTC).date()
    clock = moment.strftime("%H:%M UTC" if same_day else "%Y-%m-%d %H:%M UTC")
    left_s = -((now_ms - at_ms) // 1000)
    return f"in {span(left_s)} ({clock})" if left_s > 0 else f"now ({clock})"


def span(seconds: int) -> str:
    """Write a length of time in its two largest units."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def _wait_note(figures: Mapping[str, object]) -> str:
    minutes = whole(figures, "max_estimated_time_minutes")
    if minutes is None:
        return "not yet called"
    return f"the last waits about {span(minutes * 60)}" if minutes else "no wait to speak of"


def _facts(room: Room) -> tuple[tuple[str, str], ...]:
    most = "no limit" if room.max_waiting is None else f"{room.max_waiting:,}"
    closed = "nobody new passes" if room.failure_stance == "fail_closed" else "everybody passes"
    return (
        ("Method", str(room.queueing_method)),
        (
            "A stay lasts",
            span(room.session_duration * 60) + (", fixed" if room.disable_session_renewal else ", renewed"),
        ),
        ("A call holds", span(room.claim_window_s)),
        ("Waiting at most", most),
        ("Store away", closed),
        ("Site", room.origin),
    )


def _trouble(figures: Mapping[str, object] | None) -> str:
    if figures is None:
        return "The figures cannot be read at the moment."
    age_ms = whole(figures, "store_age_ms")
    if age_ms is not None and age_ms > 5000:
        return f"The store is away; these figures are {span(age_ms // 1000)} old."
    return ""


def overview(rooms: Sequence[RoomView]) -> str:
    """Say in a few words what all rooms do: the page's title."""
    paused = sum(view.room.paused for view in rooms)
    return f"{paused} paused · Waitroom control" if paused else "Waitroom control"
