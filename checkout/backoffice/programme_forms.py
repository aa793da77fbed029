"""Programme's forms: an event as it is typed, as the API takes it, and back; and which field a fault belongs to. Pure.

Whoever changes an event sends what they have changed and nothing else: a field that still says what the event says is
left out, so a sale that begins at a second's half does not move because its minute was shown. What cannot be read is
a fault of its field; what can be read and may not be is the API's to say, in sentences that begin with a field's name
(``starts_ms: …``), which are put beside the field of that name.

Not here: what an event may be (``catalogue.event``).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from checkout.backoffice.programme_fields import NotRead, moment_text, read_amount, read_moment, read_whole
from checkout.backoffice.programme_prices import FieldFault
from checkout.money import NoSuchCurrency

TEXTS = ("title", "subtitle", "about", "motif", "room")
NAMES = ("organiser_id", "venue_id")
MOMENTS = ("starts_ms", "sale_from_ms", "sale_until_ms")
NUMBERS = ("max_per_buyer", "hold_s", "grace_s")
FIELDS = (*TEXTS, *NAMES, *MOMENTS, "currency", *NUMBERS)
"""In the API's own words, in which the form names them too."""

MOST_TIERS = 16
_PLACE = re.compile(r"([a-z_]+)(?:\[(\d+)\])?: ")
_RUN = re.compile(r"(\d{1,6})x(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, as the API takes it; or what is wrong."""

    document: Mapping[str, Any]
    faults: tuple[FieldFault, ...]


def fields_of(event: Mapping[str, Any], zone: str) -> dict[str, str]:
    """Write an event into the form's fields."""
    made = {name: str(event[name]) for name in (*TEXTS, *NAMES, "currency", *NUMBERS)}
    return made | {name: moment_text(event[name], zone) for name in MOMENTS}


def read_change(event: Mapping[str, Any], typed: Mapping[str, str], zone: str) -> Typed:
    """Read what was changed of an event; `zone` is that of the venue as it was when the form was made."""
    before = fields_of(event, zone)
    wanted = {
        name: text
        for name, text in typed.items()
        if name in before and plain_text(name, text) != plain_text(name, before[name])
    }
    faults: list[FieldFault] = []
    return Typed(_read(wanted, zone, faults), tuple(faults))


def read_new(typed: Mapping[str, str], zone: str, sections: int) -> Typed:
    """Read a new event: fields, tiers (``t-0``, ``p-0``), and the tier of each section (``s-0``) or seat (``runs``)."""
    faults: list[FieldFault] = []
    made = _read({name: typed.get(name, "") for name in FIELDS}, zone, faults)
    made["id"], made["layout_id"] = typed.get("id", "").strip(), typed.get("layout_id", "")
    made["currency"] = currency = typed.get("currency", "").strip().upper()
    made["tiers"] = _tiers(typed, currency, faults)
    runs = read_tier_runs(typed.get("runs", ""))
    if runs:
        made["seat_tiers"] = runs
    else:
        made["section_tiers"] = {
            str(section): _or_fault(f"s-{section}", typed.get(f"s-{section}", "0"), read_whole, faults)
            for section in range(sections)
        }
    return Typed(made, tuple(faults))


def plain_text(name: str, text: str) -> str:
    """Take away what a browser makes of a text: ends of lines, and spaces around it."""
    plain = text.replace("\r\n", "\n")
    return plain if name == "about" else plain.strip()


def tier_runs_text(runs: Sequence[Sequence[int]]) -> str:
    """Write the tiers of a hall for a hidden field, as an import told them: ``20x0,25x1``."""
    return ",".join(f"{count}x{tier}" for _, count, tier in runs)


def read_tier_runs(text: str) -> list[list[int]]:
    """Read such a field as the API takes it: ``[first, count, tier]``; nothing for what is none of ours."""
    made: list[list[int]] = []
    first = 0
    for part in text.split(",") if text else ():
        found = _RUN.fullmatch(part)
        if found is None:
            return []
        made.append([first, int(found[1]), int(found[2])])
        first += int(found[1])
    return made


def by_field(faults: Sequence[str], known: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Put the API's faults beside the fields that they begin with; the rest is told above the form."""
    beside: dict[str, list[str]] = {}
    others: list[str] = []
    for fault in faults:
        place = _PLACE.match(fault)
        name = place[1] if place else ""
        if name in known:
            beside.setdefault(name, []).append(fault)
        else:
            others.append(fault)
    return beside, others


def lines_named(faults: Sequence[str]) -> list[int]:
    """Name the lines of a file that faults are about, in order, each once."""
    found = [re.match(r"line (\d{1,9}): ", fault) for fault in faults]
    return sorted({int(one[1]) for one in found if one})


def slug_of(text: str) -> str:
    """Suggest an event's id for a title: what is left of it in lower-case letters, digits and hyphens."""
    plain = text.casefold()
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        plain = plain.replace(letter, written)
    plain = normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].strip("-")


# ----------------------------------------------------------------------------------- small parts


def _read(typed: Mapping[str, str], zone: str, faults: list[FieldFault]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, text in typed.items():
        plain = plain_text(name, text)
        if name in MOMENTS:
            made[name] = _or_fault(name, plain, lambda text: read_moment(text, zone), faults)
        elif name in NUMBERS:
            made[name] = _or_fault(name, plain, read_whole, faults)
        else:
            made[name] = plain
    return made


def _tiers(typed: Mapping[str, str], currency: str, faults: list[FieldFault]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for tier in range(MOST_TIERS):
        name, price = typed.get(f"t-{tier}", "").strip(), typed.get(f"p-{tier}", "").strip()
        if not name and not price:
            continue
        try:
            amount = read_amount(price, currency)
        except NotRead as wrong:
            faults.append(FieldFault(f"p-{tier}", wrong.why))
        except NoSuchCurrency:
            faults.append(FieldFault("currency", "currency"))
            return made
        else:
            made.append({"tier": tier, "name": name, "prices": {currency: amount}})
        if not name:
            faults.append(FieldFault(f"t-{tier}", "tier-name"))
    if not made and not faults:
        faults.append(FieldFault("t-0", "tiers"))
    return made


def _or_fault(name: str, text: str, read: Callable[[str], int], faults: list[FieldFault]) -> int:
    try:
        return read(text)
    except NotRead as wrong:
        faults.append(FieldFault(name, wrong.why))
        return 0
