"""Numbers: what the console says of a room in figures, what each of them means, and which of them are alarming.

Pure. A number that nobody knows is a dash, never a zero; its note says why. The words under ``why`` are what a person
finds who points at a number, reaches it by keyboard or touches it. Not here: HTML, drawings (``drawing``), where the
numbers come from (``ports``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.words import UNKNOWN, count, real, span, whole
from waitroom.room_fields import StockState
from waitroom.rooms import Room

FAILING_RATIO = 0.05
DOWN_RATIO = 0.5
HELD_LEAST = 0.8
"""Nine waits in ten should hold; that an hour falls to eight is worth a look (ADR 0012)."""

OLD_MS = 5_000

Known = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its label; ``note`` says what it is measured against, ``why`` what it means.

    ``share`` is how much of a limit it takes, in percent; None where there is none. ``tone`` is '', 'halt' or 'alarm'.
    """

    label: str
    value: str
    note: str
    why: str = ""
    key: str = ""
    share: int | None = None
    tone: str = ""


def percent(ratio: float | None) -> str:
    """Write a share; below ten percent with a decimal, since one in a thousand is not none."""
    if ratio is None:
        return UNKNOWN
    return f"{ratio * 100:.1f} %" if 0 < ratio < 0.0995 else f"{ratio * 100:.0f} %"


def first(known: Known, room: Room) -> tuple[Figure, ...]:
    """Return the four that are read from across the room; `room` has the sale's limits merged in."""
    inside, per_minute = whole(known, "active_sessions"), whole(known, "admitted_per_minute")
    cap, rate = room.total_active_users, room.new_users_per_minute
    return (
        Figure(
            "Waiting", count(whole(known, "waiting")), _wait_note(known),
            "People who have a place in this run and have not been called yet. Numbers that nobody holds are left out; "
            "people who closed the page still count until they are called.",
            "waiting",
        ),
        Figure(
            "Called", count(whole(known, "called")), "may come in now",
            "People whose turn it is and who stand at the door: they asked to come in and wait for a free place, "
            "or hold a recall, their time having passed.",
            "called",
        ),
        Figure(
            "Inside", count(inside), f"limit {cap:,}",
            "Sessions that are running now, against the most that may run at once. At the limit somebody is let in "
            "for each who leaves.",
            "inside", share(inside, cap),
        ),
        Figure(
            "Let in", count(per_minute), f"last minute, limit {rate:,}",
            "Admissions in the last minute, against the most that the room allows. Unknown until this process has "
            "watched for ten seconds.",
            "let-in", share(per_minute, rate),
        ),
    )  # fmt: skip


def more(known: Known, room: Room) -> tuple[Figure, ...]:
    """Return the others: the line so far, waits, the site, lanes, stock."""
    fails, shows, held = (
        real(known, "origin_failure_ratio"),
        real(known, "show_ratio"),
        real(known, "wait_held"),
    )
    per_minute, p95_ms = whole(known, "origin_per_minute"), whole(known, "origin_p95_ms")
    judged = whole(known, "wait_held_of")
    called, admitted = whole(known, "called_in_all"), whole(known, "admitted")
    return (
        Figure(
            "Called so far", count(called), "in this run",
            "Everybody who was called since this run of the line began, whether they came or not.",
            "called-in-all",
        ),
        Figure(
            "Let in so far", count(admitted), "since the room was made",
            "All admissions, those of earlier runs included.",
            "admitted",
        ),
        Figure(
            "No-shows", percent(None if shows is None else 1 - shows),
            "of the last called" if shows is not None else "nobody called yet",
            "Estimated part of those called in the last minutes who do not come. The pace calls so many more. "
            "People who still have time to come are not counted as missing.",
            "no-shows",
        ),
        Figure(
            "Wait told", wait_told(known), "to whoever joins now",
            "The interval that the page shows to a newcomer, from the measured speed, the plan and who is still there. "
            "Unknown while nothing moves, in a pause and before a draw.",
            "wait",
        ),
        Figure(
            "Waits held", percent(held), f"of {judged:,} judged" if judged and held is not None else "not judged yet",
            "How many of the waits told earlier were true, counted on places that have been called since. "
            "The page promises nine in ten.",
            "held", tone="halt" if held is not None and held < HELD_LEAST else "",
        ),
        Figure(
            "Site fails", percent(fails), f"of {per_minute:,} requests a minute" if per_minute is not None else _QUIET,
            "Requests that the site behind the gate answered with an error of its own (500 and above) or not at all, "
            "in the last seconds, as all gates saw it.",
            "fails", tone=_failing(fails),
        ),
        Figure(
            "Site answers", UNKNOWN if p95_ms is None else milliseconds(p95_ms),
            "95 of 100 within" if p95_ms is not None else _QUIET,
            "The time to the first byte that 95 of 100 answers of the site kept, at the gate where it was longest.",
            "answers",
        ),
        *_lanes(known),
        _verdicts(known),
        Figure(
            "Slowed or asked", count(whole(known, "slowed")), "and not free again",
            "Places that the bot guard put into the lane suspect or asked for a check, and that have not passed one.",
            "slowed",
        ),
        Figure(
            "Left to sell", *_stock(room),
            "What the shop or an operator said is left. Sold out ends the waiting.",
            "stock", tone="halt" if room.stock_state is StockState.SOLD_OUT else "",
        ),
    )  # fmt: skip


_QUIET = "no requests of late"


def _lanes(known: Known) -> tuple[Figure, ...]:
    issued = whole(known, "issued")
    told = {
        "verified": "Places known to be a person's: called first.",
        "standard": "Places of whom nothing speaks for or against: the ordinary line.",
        "suspect": "Places that look like a script's: called last, never sent away.",
    }
    out = []
    for lane, why in told.items():
        places = whole(known, f"lane_{lane}")
        part = None if places is None or not issued else places / issued
        note = "of this run" if part is None else f"{percent(part)} of this run"
        out.append(
            Figure(f"Lane {lane}", count(places), note, f"{why} Changes of lane included.", f"lane-{lane}")
        )
    return tuple(out)


def _verdicts(known: Known) -> Figure:
    kept, slowed, asked, passed = (
        whole(known, f"settled_{outcome}") for outcome in ("kept", "slowed", "asked", "passed")
    )
    judged = None if None in {kept, slowed, asked} else (kept or 0) + (slowed or 0) + (asked or 0)
    told = f"{count(slowed)} slowed, {count(asked)} asked, {count(passed)} passed"
    return Figure(
        "Judged", count(judged), told if judged or passed else "before their turn",
        "Places that the bot guard judged shortly before their turn, so far: those it put into the lane suspect, those "
        "it asked for a check, and how many checks were passed. All but the slowed keep their lane.",
        "judged",
    )  # fmt: skip


OUTCOMES = ("kept", "slowed", "asked", "passed")


def verdicts(known: Known) -> tuple[tuple[str, str, str], ...]:
    """Return what came of judged places, a row each: its word, and how many in the lanes verified and standard."""
    lanes = [[whole(known, f"settled_{one}_{lane}") for one in OUTCOMES] for lane in ("verified", "standard")]
    judged = [None if None in found[:3] else sum(one or 0 for one in found[:3]) for found in lanes]
    rows = [("Judged", *judged), *zip(map(str.capitalize, OUTCOMES), *lanes, strict=True)]
    return tuple((word, count(verified), count(standard)) for word, verified, standard in rows)


def _stock(room: Room) -> tuple[str, str]:
    match room.stock_state:
        case StockState.SOLD_OUT:
            return "0", "sold out"
        case StockState.LAST:
            return count(room.stock_left), "the last"
        case StockState.SELLING:
            return count(room.stock_left), "selling"
        case None:
            return count(room.stock_left), "nobody has said"


def share(value: int | None, limit: int) -> int | None:
    """Return how much of a limit is used, in percent, 100 at most."""
    return None if value is None or limit <= 0 else min(100, round(100 * value / limit))


def milliseconds(value: int) -> str:
    """Write a time of answering."""
    return f"{value} ms" if value < 1000 else f"{value / 1000:.1f} s"


def wait_told(known: Known) -> str:
    """Write the interval that a newcomer is told."""
    low_s, high_s = real(known, "wait_low_s"), real(known, "wait_high_s")
    if low_s is None or high_s is None:
        return UNKNOWN
    low, high = round(low_s / 60), -(-round(high_s) // 60)
    if high_s < 60:
        return "under 1 min"
    if high < 120:
        return f"{low}–{high} min" if low < high else f"{high} min"
    return f"{span(low * 60)} – {span(high * 60)}"


def alarms(known: Known | None, room: Room) -> tuple[tuple[str, str], ...]:
    """Return (tone, words) of what somebody should look at, the worst first. `known` None: nothing can be read."""
    found: list[tuple[str, str]] = []
    if known is None:
        found.append(("alarm", "No figures"))
    else:
        age_ms, fails = whole(known, "store_age_ms"), real(known, "origin_failure_ratio")
        held = real(known, "wait_held")
        if age_ms is not None and age_ms > OLD_MS:
            found.append(("alarm", "Store away"))
        if _failing(fails):
            found.append((_failing(fails), f"Site fails {percent(fails)}"))
        if held is not None and held < HELD_LEAST:
            found.append(("halt", f"Waits held {percent(held)}"))
    if room.stock_state is StockState.SOLD_OUT:
        found.append(("halt", "Sold out"))
    return tuple(sorted(found, key=lambda one: one[0] != "alarm"))


def _failing(ratio: float | None) -> str:
    if ratio is None or ratio < FAILING_RATIO:
        return ""
    return "alarm" if ratio >= DOWN_RATIO else "halt"


def _wait_note(known: Known) -> str:
    minutes = whole(known, "max_estimated_time_minutes")
    if minutes is None:
        return "not yet called"
    return f"the last waits about {span(minutes * 60)}" if minutes else "no wait to speak of"
