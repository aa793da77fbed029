"""Event: what people come for; here the four evenings of the demo's concert hall, always some weeks ahead.

Pure: the programme is a function of the time, so that it never lies in the past.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Event:
    """One evening. ``motif`` names its poster."""

    slug: str
    title: str
    line: str
    about: str
    motif: str
    weeks_ahead: int
    price_eur: int


EVENTS = (
    Event(
        "northern-lights",
        "Northern Lights",
        "Ida Sund & the Long Night",
        "Nine musicians, two drum kits, one piano with the lid off. Songs about the months in which the sun "
        "does not bother to get up, played so warmly that nobody minds.",
        "aurora",
        3,
        42,
    ),
    Event(
        "paper-lanterns",
        "Paper Lanterns",
        "Chamber music by candlelight",
        "A string quartet in the middle of the hall and the audience all around it. Come early, take a cushion, "
        "leave the phone in your coat.",
        "lanterns",
        5,
        28,
    ),
    Event(
        "late-trains",
        "Late Trains",
        "Marlow Reed, solo",
        "One guitar, a loop station and the timetable of a line that closed in 1974. Quiet for an hour, then not.",
        "trains",
        6,
        24,
    ),
    Event(
        "small-hours",
        "Small Hours",
        "The midnight choir",
        "Forty voices that begin at eleven and end when everybody has hummed along. Tea is included.",
        "moon",
        8,
        19,
    ),
)


def evening(event: Event, now_ms: int) -> datetime:
    """Give the time of an event: a Saturday at eight, its weeks ahead of now."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).replace(hour=20, minute=0, second=0, microsecond=0)
    saturday = today + timedelta(days=(5 - today.weekday()) % 7)
    return saturday + timedelta(weeks=event.weeks_ahead)
