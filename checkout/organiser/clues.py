"""Clue: what somebody at the telephone reads out, and what it may be the name of. Pure.

One text may be several things (ten letters are a ticket's number, and perhaps a provider's name of a payment), so it is
looked for as all that it can be. A seat is named as the hall names it: section, row, number, in any letters and with
or without words like *row*; where people stand nobody has a seat's name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from checkout.faults import Faults
from checkout.halls.layout import Layout
from checkout.halls.seats import hold_id_of
from checkout.orders.order import is_order_id
from checkout.organiser.pages import is_name
from checkout.tickets.ticket import is_ticket_id, read_number

MOST_TEXT = 100
_CARD = re.compile(r"(?:([a-z][a-z -]{0,30}) )?([0-9]{4})", re.ASCII)
_WORDS = re.compile(r"\w+")
_NOISE = frozenset({"section", "block", "row", "seat", "no", "reihe", "platz", "nr"})
"""Words that people say beside a seat's name, in English and German."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What a text may be; '' where it cannot be that. ``payment``: a provider's name of one."""

    order: str = ""
    reservation: str = ""
    ticket: str = ""
    number: str = ""
    brand: str = ""
    last4: str = ""
    mail: str = ""
    payment: str = ""
    seats: tuple[int, ...] = ()


def read_find(given: Sequence[tuple[str, str]]) -> str:
    """Read ``?find=``. Raises ``Refused("query-invalid")`` with all faults."""
    faults = Faults("query-invalid", "Say what to look for: ?find= and a text.")
    texts = [text.strip() for name, text in given if name == "find"]
    faults.add_all(f"{name[:63]}: it is unknown" for name, _ in given if name != "find")
    if len(texts) != 1:
        faults.add("find: it is missing" if not texts else "find: it is there twice")
    elif not (is_name(texts[0]) and len(texts[0]) <= MOST_TEXT):
        faults.add(f"find: it must be a text of 1 to {MOST_TEXT} characters")
    faults.refuse()
    return texts[0]


def clues_of(text: str, layout: Layout) -> Clues:
    """Tell all that a text may be the name of."""
    if "@" in text:
        return Clues(mail=text)
    card = _CARD.fullmatch(text.lower())
    is_reservation = text.startswith("R") and hold_id_of(text.removeprefix("R")) is not None
    return Clues(
        order=text if is_order_id(text) else "",
        reservation=text if is_reservation else "",
        ticket=text.lower() if is_ticket_id(text.lower()) else "",
        number=read_number(text) or "",
        brand=(card[1] or "") if card else "",
        last4=card[2] if card else "",
        payment=text,
        seats=tuple(seats_named(layout, text)),
    )


def seats_named(layout: Layout, text: str) -> list[int]:
    """Find the seats that people call so; several where a hall has the same name twice."""
    wanted, found = _spoken(text), []
    if not wanted:
        return []
    for section in layout.sections:
        named = _spoken(section.name)
        if wanted[: len(named)] != named:
            continue
        for row in section.rows:
            called = [*named, *_spoken(row.name)]
            if wanted[: len(called)] != called:
                continue
            seats = range(row.first, row.first + row.count)
            found += [seat for seat in seats if [*called, *_spoken(row.number(seat))] == wanted]
    return found


def _spoken(text: str) -> list[str]:
    """Give the words of a name that tell it from others."""
    return [word for word in _WORDS.findall(text.casefold()) if word not in _NOISE]
