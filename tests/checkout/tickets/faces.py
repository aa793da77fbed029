"""Faces for tests: one ticket in each language of the pages (``faces.json``)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from checkout.tickets.face import Face, Labels, Line

CODE = ("WR1:" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:" * 4)[:150]
ORDER = "e5k7m2qa9xw0c4tz"

_WORDS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
LANGUAGES = tuple(sorted(_WORDS))


def face(language: str = "en", **changes: Any) -> Face:
    """Make a ticket in a language."""
    words = dict(_WORDS[language])
    labels = dict(words.pop("labels"))
    place = (
        Line(labels.pop("section"), words.pop("section")),
        Line(labels.pop("row"), "12"),
        Line(labels.pop("seat"), "27"),
    )
    made = Face(
        **words,
        labels=Labels(**labels),
        place=place,
        code=CODE,
        number="K7QM-4T2P",
        order=ORDER,
        holder="Zoë Müller",
        organiser="Łukasz & Ñuñez Konzerte",
        language=language,
        direction="rtl" if language == "ar" else "ltr",
        motif="aurora",
        ticket_id="0123456789abcdef0123456789abcdef",
        event_id="night-of-lights",
        starts_ms=1_796_497_200_000,
    )
    return replace(made, **changes)
