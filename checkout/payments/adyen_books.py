"""Adyen's books: the rows behind ``adyen_standing``, one payment with its entries at a time. SQL only.

Whoever decides on what is there locks the payment's row first, so what is decided is written on what it was decided on:
no two processes ask a bank for one payment under two keys, and none lets go of what another is asking for.

A row's ``asks`` may hold a token to pay with, for as long as nobody knows what came of it, as it is what would have to
be sent again; it is emptied together with the answer. Not here: what is decided (``adyen``).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from checkout.money import Money
from checkout.payments.adyen_standing import OF_THE_BANK, Asked, Entry, Kind, Outcome
from checkout.tables import ADYEN_ENTRIES as ENTRIES
from checkout.tables import ADYEN_PAYMENTS as PAYMENTS

PAGE = 500
_FIELDS = tuple(
    "name kind at_ms code outcome psp amount_minor asks url decline card tries".split()  # noqa: SIM905 (as a row reads)
)

Result = TypeVar("Result")


class Desk(Protocol):
    """A database, as whoever writes to it shares its commits (``checkout.grouping``)."""

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do a piece of work in a transaction, and wait for its commit."""

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Read what is committed."""


class Desks(Protocol):
    """Where the payments of events are written down."""

    def of(self, event: str) -> Desk:
        """Return the desk of an event."""

    def all(self) -> Iterable[Desk]:
        """Return every desk."""


def find(connection: Connection, ref: str, *, lock: bool = False) -> tuple[Asked, list[Entry]] | None:
    """Read a payment and its entries; `lock`: nobody else decides on it before this transaction ends."""
    query = sa.select(PAYMENTS).where(PAYMENTS.c.ref == ref)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    rows = connection.execute(sa.select(ENTRIES).where(ENTRIES.c.ref == ref))
    return _asked(row), [_entry(one) for one in rows]


def since(connection: Connection, since_ms: int, after: tuple[int, str] | None) -> list[Asked]:
    """Read a page of payments that were made since then, the newest first; `after`: the last of the page before."""
    query = sa.select(PAYMENTS).where(PAYMENTS.c.created_ms >= since_ms)
    key = (PAYMENTS.c.created_ms, PAYMENTS.c.ref)
    if after is not None:
        query = query.where(sa.tuple_(*key) < sa.tuple_(*map(sa.literal, after)))
    rows = connection.execute(query.order_by(*(one.desc() for one in key)).limit(PAGE))
    return [_asked(row) for row in rows]


def entries_of(connection: Connection, refs: Sequence[str]) -> dict[str, list[Entry]]:
    """Read the entries of some payments."""
    found: dict[str, list[Entry]] = {ref: [] for ref in refs}
    for row in connection.execute(sa.select(ENTRIES).where(ENTRIES.c.ref.in_(refs))):
        found[row.ref].append(_entry(row))
    return found


def add_payment(connection: Connection, asked: Asked) -> None:
    """Write a payment down; one that is there stays as it is."""
    values = {
        "ref": asked.ref, "event_id": asked.event, "order_id": asked.order, "attempt": asked.attempt,
        "currency": asked.amount.currency, "amount_minor": asked.amount.amount_minor,
        "created_ms": asked.created_ms, "return_url": asked.return_url, "let_go": asked.is_let_go,
    }  # fmt: skip
    connection.execute(_or_nothing(connection, PAYMENTS), values)


def change_payment(
    connection: Connection, ref: str, *, return_url: str | None = None, let_go: bool = False
) -> None:
    """Write where a buyer comes from, or that a payment is let go."""
    values: dict[str, Any] = {"let_go": True} if let_go else {}
    if return_url is not None:
        values["return_url"] = return_url
    connection.execute(sa.update(PAYMENTS).where(PAYMENTS.c.ref == ref).values(**values))


def add_entry(connection: Connection, asked: Asked, entry: Entry) -> None:
    """Write an entry down; one that is there stays as it is, so whatever comes twice counts once."""
    values = {name: getattr(entry, name) for name in _FIELDS}
    values |= {"ref": asked.ref, "event_id": asked.event}
    values |= {"kind": entry.kind.value, "outcome": entry.outcome.value}
    connection.execute(_or_nothing(connection, ENTRIES), values)


def answered(connection: Connection, ref: str, entry: Entry) -> None:
    """Write what came of something asked; what has been answered since stays as it is."""
    own = _own(ref, entry.name) & (ENTRIES.c.outcome.in_((Outcome.WAITING.value, Outcome.TOLD.value)))
    values = {name: getattr(entry, name) for name in ("psp", "code", "url", "decline", "card")}
    connection.execute(sa.update(ENTRIES).where(own).values(outcome=entry.outcome.value, asks="", **values))


def told(connection: Connection, ref: str) -> None:
    """Write that a notice has said what came of asking a bank, whose answer has not come; it is not sent again."""
    kinds = [kind.value for kind in OF_THE_BANK]
    own = (ENTRIES.c.ref == ref) & ENTRIES.c.kind.in_(kinds) & (ENTRIES.c.outcome == Outcome.WAITING.value)
    connection.execute(sa.update(ENTRIES).where(own).values(outcome=Outcome.TOLD.value, asks=""))


def again(connection: Connection, ref: str, name: str) -> None:
    """Write that something is sent once more, before it is."""
    connection.execute(sa.update(ENTRIES).where(_own(ref, name)).values(tries=ENTRIES.c.tries + 1))


def take_back(connection: Connection, ref: str, name: str) -> None:
    """Forget something of which Adyen has said that it was not done, unless it was sent more than once."""
    is_first = (ENTRIES.c.tries == 1) & (ENTRIES.c.outcome == Outcome.WAITING.value)
    connection.execute(sa.delete(ENTRIES).where(_own(ref, name) & is_first))


def _own(ref: str, name: str) -> sa.ColumnElement[bool]:
    return (ENTRIES.c.ref == ref) & (ENTRIES.c.name == name)


def _or_nothing(connection: Connection, table: sa.Table) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def _asked(row: Any) -> Asked:
    return Asked(
        ref=row.ref,
        event=row.event_id,
        order=row.order_id,
        attempt=row.attempt,
        amount=Money(row.amount_minor, row.currency),
        created_ms=row.created_ms,
        return_url=row.return_url,
        is_let_go=row.let_go,
    )


def _entry(row: Any) -> Entry:
    plain = {name: getattr(row, name) for name in _FIELDS}
    return replace(Entry(**plain), kind=Kind(row.kind), outcome=Outcome(row.outcome))
