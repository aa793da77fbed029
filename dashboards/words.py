"""Words: numbers, times and spans as people read them. What nobody knows is a dash, never a zero.

Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from waitroom.canned import called, spoken
from waitroom.words import SOURCE, languages

UNKNOWN = "–"


def real(known: Mapping[str, object], name: str) -> float | None:
    """Read a number; None where it is unknown."""
    value = known.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(figures: Mapping[str, object], name: str) -> int | None:
    """Read a whole number from figures; None where it is unknown."""
    value = figures.get(name)
    return round(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(number: int | None) -> str:
    """Write a number for people."""
    return UNKNOWN if number is None else f"{number:,}"


def value_told(value: str) -> tuple[str, str]:
    """Say what a setting holds: a ready message by its name, with its words in English, anything else as it is."""
    name = called(value)
    return (name, spoken(value, languages()[SOURCE].text)) if name else (value, "")


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
