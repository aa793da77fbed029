"""Programme's telling: what was wrong with a form, in words, beside its fields and above it.

A page that shows a refused form calls ``beside`` before it is shown. Faults that the page has found itself (what cannot
be read) and those of the API are told in the same way. Not here: what is wrong.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from checkout.backoffice.asking import NotDone
from checkout.backoffice.page import texts
from checkout.backoffice.programme_faults import Fault, read_fault
from checkout.backoffice.programme_prices import FieldFault
from checkout.backoffice.visit import Visit
from kernel.languages import Texts

_PRICE = re.compile(r"p-(\d{1,2})(?:-([A-Z]+))?")
_TIER = re.compile(r"t-(\d{1,2})")


def unread(faults: Sequence[FieldFault]) -> NotDone:
    """Refuse a form of which fields cannot be read."""
    return NotDone(
        422,
        "form-invalid",
        "The form has faults; nothing was done.",
        {"fields": [(one.field, one.why) for one in faults]},
    )


def beside(visit: Visit) -> Mapping[str, str]:
    """Give the faults by field, in words; what stands above the form is put into words as well."""
    fault = visit.fault
    if fault is None:
        return {}
    words = texts()[visit.tag]
    made: dict[str, list[str]] = {}
    above: list[str] = []
    for field, why in fault.more.get("fields", ()):
        said = words.text(f"wrong.{why}")
        made.setdefault(field, []).append(said)
        above.append(f"{label(words, field)}: {said}")
    for text in _listed(fault.more):
        one = read_fault(text)
        said = in_words(words, one)
        if one.field:
            made.setdefault(one.field, []).append(said)
        above.append(f"{place_of(words, one)}{said}")
    visit.fault = NotDone(fault.status, fault.code, fault.public, {**fault.more, "faults": above})
    return {field: " ".join(said) for field, said in made.items()}


def in_words(words: Texts, fault: Fault) -> str:
    """Say a fault; one that nobody has words for as the API says it."""
    if not fault.key:
        return fault.text
    # What is counted is a number, so that a language chooses its plural.
    values: dict[str, str | float] = {
        name: int(text) if name == "n" else text for name, text in fault.values.items()
    }
    return words.text(f"fault.{fault.key}", **values)


def place_of(words: Texts, fault: Fault) -> str:
    """Say where a fault is, '' where it says so itself."""
    if fault.line:
        return words.text("fault.line", line=str(fault.line)) + " "
    if fault.tier is not None:
        return words.text("field.tier-n", tier=str(fault.tier)) + ": "
    return f"{label(words, fault.field)}: " if fault.field else ""


def label(words: Texts, field: str) -> str:
    """Name a field as the form does; one without a name by its own."""
    if price := _PRICE.fullmatch(field):
        return f"{words.text('field.price-n', tier=price[1])} {price[2] or ''}".rstrip()
    if tier := _TIER.fullmatch(field):
        return words.text("field.tier-n", tier=tier[1])
    key = f"field.{field}"
    return words.text(key) if key in words.raw else field


def _listed(more: Mapping[str, Any]) -> list[str]:
    faults = more.get("faults", [])
    return [str(one) for one in faults] if isinstance(faults, list) else []
