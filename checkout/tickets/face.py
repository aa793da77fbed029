"""Face: what is printed on a ticket, as finished texts in one language, and the few facts that a machine reads of it.

Whoever makes a face has chosen every word already (``checkout.site.words``): the renderings below know no language.
Texts of organisers and buyers are taken as they are and made fit to print by ``plain``. A face tells no secret but its
``code``, which is the ticket itself. Not here: how a code is signed, how a ticket looks (``pdf``, ``wallet``).
"""

import re
import unicodedata
from dataclasses import dataclass

MOST_CHARS = 300
"""Of one text; what is longer ends in an ellipsis. A note may have ``MOST_NOTE_CHARS``."""

MOST_NOTE_CHARS = 1_500
LTR, RTL = "ltr", "rtl"
_SPACES = re.compile(r"\s+")
_UNSEEN = frozenset("\u202a\u202b\u202c\u202d\u202e\ufeff\ufffe\uffff")
"""Embeddings and overrides: they could turn round what stands beside them (UAX 9). Isolates and marks stay."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is told, with its label: Row, 12."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What stands above the fields of a ticket, in its language."""

    when: str
    where: str
    tier: str
    price: str
    order: str
    holder: str
    number: str
    organiser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One ticket as it is seen.

    `code` is the text of its QR (characters of a QR's alphanumeric set), `number` the short one that people type.
    `day` and `time` are the venue's, with the zone in `time`. `place` is section, row and seat, the seat last; it may
    have fewer lines. `subtitle`, `holder` and `note` may be empty. `motif` is that of the event's poster.

    For machines: `ticket_id` in hex, `event_id`, `starts_ms`.
    """

    code: str
    number: str
    title: str
    subtitle: str
    venue: str
    city: str
    day: str
    time: str
    place: tuple[Line, ...]
    tier: str
    price: str
    order: str
    holder: str
    organiser: str
    note: str
    labels: Labels
    language: str
    direction: str
    motif: str
    ticket_id: str
    event_id: str
    starts_ms: int

    @property
    def is_rtl(self) -> bool:
        """Tell whether the language runs from right to left."""
        return self.direction == RTL

    @property
    def where(self) -> str:
        """Name the house and its town."""
        return " · ".join(part for part in (self.venue, self.city) if part)

    @property
    def when(self) -> str:
        """Say day and time."""
        return " · ".join(part for part in (self.day, self.time) if part)


def plain(text: str, most: int = MOST_CHARS) -> str:
    """Give a text that can be printed: one line of composed characters, nothing unseen that turns others round."""
    kept = "".join(
        character
        for character in _SPACES.sub(" ", text)
        if character not in _UNSEEN and unicodedata.category(character) not in {"Cc", "Cs", "Co", "Cn"}
    )
    kept = unicodedata.normalize("NFC", kept).strip()
    return kept if len(kept) <= most else kept[: most - 1].rstrip() + "…"
