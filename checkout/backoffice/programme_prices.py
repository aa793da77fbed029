"""Programme's prices: the table of tiers, what is typed into it, and what a change will mean. Pure.

A form has a field for each tier and currency (``p-0-EUR``); what was not changed is not sent, so a change of one
price is a change of one price, in the log too. A new currency is one more column: each tier must have a price in it
(``catalogue.event.price_faults`` says so). Whoever holds or has reserved a seat pays what it was then, so a preview
counts those that are still to be had. Not here: keeping (``catalogue.service``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checkout.backoffice.programme_fields import NotRead, amount_text, read_amount
from checkout.backoffice.programme_plan import Counts
from checkout.catalogue.event import Amounts
from checkout.money import NoSuchCurrency

Event = Mapping[str, Any]
"""An event as the API tells it (``organiser.papers.event_paper``)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A price: the name of its field, its currency, and how it is typed ('' for none yet)."""

    field: str
    currency: str
    text: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier with its seats and prices."""

    tier: int
    name: str
    counts: Counts
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One price that is to change; ``seats`` are those that will be sold at the new one if somebody buys them."""

    tier: int
    name: str
    currency: str
    old_minor: int | None
    new_minor: int
    seats: int
    kept: int
    """Seats that keep what they were held, reserved or sold at."""

    @property
    def if_all_sell_minor(self) -> int:
        """What the change comes to if each of these seats is sold; below zero where the price falls."""
        return (self.new_minor - (self.old_minor or 0)) * self.seats

    @property
    def percent(self) -> int | None:
        """By how much of a hundred it changes; None where there is nothing to compare."""
        if not self.old_minor:
            return None
        return round((self.new_minor - self.old_minor) * 100 / self.old_minor)


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with a field: its name, and a key of the words."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class ReadPrices:
    """What was typed: changed prices, or what is wrong."""

    changes: Amounts
    faults: tuple[FieldFault, ...]

    def document(self) -> dict[str, object]:
        """Write it as the API takes it."""
        return {"prices": [{"tier": tier, "prices": dict(own)} for tier, own in sorted(self.changes.items())]}


def field_of(tier: int, currency: str) -> str:
    """Name the field of a price."""
    return f"p-{tier}-{currency}"


def rows_of(event: Event, counts: Mapping[int, Counts], more: Sequence[str] = ()) -> tuple[TierRow, ...]:
    """Make the table; `more` are currencies that are to come."""
    known = event["currencies"]
    currencies = (*known, *(one for one in more if one not in known))
    return tuple(
        TierRow(
            own["tier"],
            own["name"],
            counts.get(own["tier"], Counts()),
            tuple(_cell(own, currency) for currency in currencies),
        )
        for own in event["tiers"]
    )


def read_typed(event: Event, typed: Mapping[str, str], more: Sequence[str] = ()) -> ReadPrices:
    """Read what was typed, by field; a field that is not there, or says what is so already, changes nothing."""
    changes: dict[int, dict[str, int]] = {}
    faults: list[FieldFault] = []
    for row in rows_of(event, {}, more):
        for cell in row.cells:
            text = typed.get(cell.field)
            if text is None or text.strip() == cell.text:
                continue
            try:
                amount = read_amount(text, cell.currency)
            except NotRead as wrong:
                faults.append(FieldFault(cell.field, wrong.why))
            except NoSuchCurrency:
                faults.append(FieldFault("currency", "currency"))
                break
            else:
                if amount != cell.amount_minor:
                    changes.setdefault(row.tier, {})[cell.currency] = amount
    return ReadPrices(changes, tuple(dict.fromkeys(faults)))


def preview(event: Event, counts: Mapping[int, Counts], changes: Amounts) -> tuple[PriceChange, ...]:
    """Tell what a change will mean, by tier and currency."""
    made = []
    for own in event["tiers"]:
        seats = counts.get(own["tier"], Counts())
        to_be_had = seats.free + seats.kept + seats.blocked
        for currency, new in sorted(changes.get(own["tier"], {}).items()):
            old = own["prices"].get(currency)
            made.append(
                PriceChange(own["tier"], own["name"], currency, old, new, to_be_had, seats.all - to_be_had)
            )
    return tuple(made)


def _cell(own: Mapping[str, Any], currency: str) -> Cell:
    amount = own["prices"].get(currency)
    text = "" if amount is None else amount_text(amount, currency)
    return Cell(field_of(own["tier"], currency), currency, text, amount)
