"""View: what the console shows of a room, in words, numbers and one drawing.

Pure: settings, schedule, figures and the time in; texts out. The drawing is the line itself: people inside on the left,
the door, who is called, who waits. Not here: the numbers' own words (``numbers``), HTML (``pages``), figures
(``ports``), HTTP (``control``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dashboards.numbers import Figure, alarms, first, more, verdicts, wait_told
from dashboards.track import Track
from dashboards.words import ago, at, count, span, whole
from waitroom.rooms import Method, Room, merged
from waitroom.schedule import Phase, Wanted

INSIDE_MARKS = 20
OUTSIDE_MARKS = 36
STEP_PX = 12
SPARK_POINTS = 60
SPARK_WIDE, SPARK_TALL = 120, 28
ROW_MS = 180_000

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
class Change:
    """An accepted change of settings."""

    when: str
    who: str
    why: str
    what: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table that stands beside the plots: a time of the day, and the numbers of that moment."""

    clock: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomView:
    """Everything that the page needs to know of one room. ``spark`` is the waiting of the last half hour, as points."""

    room: Room
    title: str
    pills: tuple[tuple[str, str], ...]
    sentence: str
    strip: Strip | None
    figures: tuple[Figure, ...]
    more: tuple[Figure, ...]
    verdicts: tuple[tuple[str, str, str], ...]
    alarms: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    rate: int
    cap: int
    limits_of: str
    waiting: str
    wait: str
    trouble: str
    spark: str = ""
    rows: tuple[Row, ...] = ()


def room_view(
    room: Room, plan: Wanted, figures: Mapping[str, object] | None, now_ms: int, track: Track | None = None
) -> RoomView:
    """Compose a room's view; `figures` is None where they cannot be had, `track` where nothing was kept."""
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
        figures=first(known, view),
        more=more(known, view),
        verdicts=verdicts(known),
        alarms=alarms(figures, view),
        facts=_facts(view),
        rate=view.new_users_per_minute,
        cap=view.total_active_users,
        limits_of=plan.sale.name if plan.sale is not None and own_limits else "",
        waiting=count(waiting),
        wait=wait_told(known),
        trouble=_trouble(figures),
        spark="" if track is None else spark(track, now_ms),
        rows=() if track is None else rows(track, now_ms),
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
    return f"{paused} paused · Waitroom console" if paused else "Waitroom console"


def in_order(rooms: Sequence[RoomView]) -> list[RoomView]:
    """Put what alarms first, then what is halted, then the others by name."""

    def worst(view: RoomView) -> int:
        tones = {tone for tone, _ in view.alarms} | {tone for _, tone in view.pills}
        return 0 if "alarm" in tones else 1 if "halt" in tones else 2

    return sorted(rooms, key=lambda view: (worst(view), view.title.casefold(), view.room.name))


def spark(track: Track, now_ms: int) -> str:
    """Draw how many waited over the last half hour, as the points of a polyline; '' where less than two are known."""
    seen = track.series(30_000, now_ms=now_ms, names=("waiting",))
    known = [
        (at_s, value) for at_s, value in zip(seen["t"], seen["waiting"], strict=True) if value is not None
    ]
    if len(known) < 2:
        return ""
    most = max(value for _, value in known) or 1
    start_s, end_s = (now_ms - 1_800_000) / 1000, now_ms / 1000
    points = []
    for at_s, value in known:
        x = SPARK_WIDE * ((at_s or 0) - start_s) / (end_s - start_s)
        points.append(f"{x:.1f},{SPARK_TALL - 2 - (SPARK_TALL - 4) * value / most:.1f}")
    return " ".join(points)


def rows(track: Track, now_ms: int) -> tuple[Row, ...]:
    """Give what the plots show in numbers, the newest first: the end of each whole three minutes."""
    seen = track.series(ROW_MS, now_ms=now_ms)
    out = []
    # The three minutes that run have no end yet; they are told where there is nothing else.
    for index in reversed(range(max(1, len(seen["t"]) - 1) if seen["t"] else 0)):
        now = {name: values[index] for name, values in seen.items()}
        clock = datetime.fromtimestamp(now["t"] or 0, UTC).strftime("%H:%M:%S")
        cells = (
            *(
                count(whole(now, name))
                for name in ("waiting", "called", "admitted_per_minute", "active_sessions")
            ),
            wait_told(now),
        )
        out.append(Row(clock, cells))
    return tuple(out)
