"""Asking: which stretch of a room's history somebody wants, in which steps, and what of it. Pure.

``from`` and ``to`` are RFC 3339 (without an offset: UTC) or milliseconds since 1970; ``sale`` stands for both. Without
any of them: the last three hours. ``every`` is 1m, 5m or 1h, by itself the finest that fits. ``fields`` are names of
``history.FIELDS``, by itself all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboards.history import FIELDS, ROWS_MOST, STEPS, Window, step_for, window
from kernel.errors import Refused
from waitroom.history_book import Recorded
from waitroom.minutes import MINUTE_MS

LATELY_MS = 3 * 3600 * 1000
LAST_MS = 253_402_300_800_000
"""The year 10000."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A stretch of time, in steps."""

    over: Window
    every: str
    names: Sequence[str] = FIELDS
    sale: str = ""


def asked(query: Mapping[str, str], sales: Sequence[Recorded], now_ms: int, shown: int = ROWS_MOST) -> Asked:
    """Read a query; the step that it leaves open gives at most `shown` rows. Raises ``Refused``."""
    sale = query.get("sale", "")
    if sale:
        since_ms, until_ms = _of_sale(sale, sales)
    else:
        until_ms = moment_ms(query["to"], "to") if query.get("to") else now_ms
        since_ms = moment_ms(query["from"], "from") if query.get("from") else max(0, until_ms - LATELY_MS)
    if until_ms <= since_ms:
        raise _wrong("to must be later than from")
    every = query.get("every") or step_for(since_ms, until_ms, shown)
    if every not in STEPS:
        raise _wrong(f"every must be one of {', '.join(STEPS)}")
    over = window(since_ms, until_ms, STEPS[every])
    if len(over) > ROWS_MOST:
        raise Refused(
            "history-too-long", f"These are {len(over):,} rows; there are {ROWS_MOST:,} at most at once.", 422
        )
    names = tuple(dict.fromkeys(filter(None, query.get("fields", "").split(","))))
    if unknown := [name for name in names if name not in FIELDS]:
        raise _wrong(f"fields does not know {unknown[0][:40]!r}; it knows {', '.join(FIELDS)}")
    return Asked(over, every, names or FIELDS, sale)


def moment_ms(text: str, name: str) -> int:
    """Read a time. Raises ``Refused``."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        at_ms = int(text)
    else:
        try:
            # A plus that nobody encoded comes as a blank.
            moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            raise _wrong(f"{name} must be a time such as 2027-01-15T08:00:00Z") from error
    if not 0 <= at_ms < LAST_MS:
        raise _wrong(f"{name} must be a time after 1970 and before 10000")
    return at_ms


def _of_sale(name: str, sales: Sequence[Recorded]) -> tuple[int, int]:
    for each in sales:
        if each.sale == name:
            return each.first * MINUTE_MS, (each.last + 1) * MINUTE_MS
    raise Refused("history-sale-unknown", "There is no history of a sale of that name in this room.", 404)


def _wrong(what: str) -> Refused:
    return Refused("history-asked-wrong", f"The history cannot be read like that: {what}.", 422)
