"""Queues: what waits for a person: reviews, refunds that failed, disputes, notices put aside, stray payments.

People decide by these lists, so they are read as things are now (``database.reading``), a page at a time. A notice that
belongs to no event, and a payment that nobody knew, are looked for at every place. What a person has seen is marked and
not told again, unless it is asked for. Not here: HTTP and JSON, what follows from a decision (``orders.caring``).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping
from sqlalchemy.dialects import postgresql, sqlite

from checkout.holds.places import Place, Places
from checkout.orders.order import OrderState
from checkout.orders.refund import RefundState
from checkout.orders.store import NoticeState
from checkout.organiser.pages import Page, Wish, cut, is_name, is_word_of, merged
from checkout.payments.port import DisputeState
from checkout.tables import ATTEMPTS, DISPUTES, MARKS, NOTICES, ORDERS, REFUNDS, REVIEWS, VERDICTS

Rows = Sequence[RowMapping]
Query = sa.Select[Any]

REVIEW_PARAMETERS: dict[str, Callable[[str], bool]] = {}
REVIEW_KEY = (int, str)
REFUND_PARAMETERS = {"state": is_word_of(RefundState)}
REFUND_KEY = (int, str, str)
DISPUTE_PARAMETERS = {"state": is_word_of(DisputeState)}
DISPUTE_KEY = (int, str, str)
ASIDE_PARAMETERS = {"event": is_name, "seen": is_word_of(("yes", "no"))}
ASIDE_KEY = (int, str, str)

STRAY_FROM = 1_000
"""Attempts above it were not ours to number (``orders.strays``)."""


class Aside(StrEnum):
    """What is put aside for a person."""

    NOTICE = "notice"
    STRAY = "stray"


_NOTICES = sa.select(
    NOTICES.c.came_ms.label("at_ms"),
    NOTICES.c.provider,
    NOTICES.c.id.label("name"),
    NOTICES.c.event_id,
    NOTICES.c.topic,
    NOTICES.c.ref,
    NOTICES.c.why,
    MARKS.c.by,
    MARKS.c.at_ms.label("seen_ms"),
)
_STRAYS = sa.select(
    ATTEMPTS.c.created_ms.label("at_ms"),
    ATTEMPTS.c.provider,
    ATTEMPTS.c.ref.label("name"),
    ATTEMPTS.c.event_id,
    ATTEMPTS.c.order_id,
    ATTEMPTS.c.number,
    ATTEMPTS.c.state,
    ATTEMPTS.c.currency,
    ATTEMPTS.c.amount_minor,
    ATTEMPTS.c.captured_minor,
    ATTEMPTS.c.refunded_minor,
    MARKS.c.by,
    MARKS.c.at_ms.label("seen_ms"),
)


def _marked(kind: Aside, table: sa.Table, name: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return (MARKS.c.kind == kind.value) & (MARKS.c.provider == table.c.provider) & (MARKS.c.name == name)


_ASIDE: Mapping[Aside, tuple[Query, sa.Table, sa.Column[Any], sa.Column[Any]]] = {
    Aside.NOTICE: (
        _NOTICES.join_from(NOTICES, MARKS, _marked(Aside.NOTICE, NOTICES, NOTICES.c.id), isouter=True).where(
            NOTICES.c.state == sa.literal_column(f"'{NoticeState.QUARANTINED.value}'")
        ),
        NOTICES,
        NOTICES.c.id,
        NOTICES.c.came_ms,
    ),
    Aside.STRAY: (
        _STRAYS.join_from(
            ATTEMPTS, MARKS, _marked(Aside.STRAY, ATTEMPTS, ATTEMPTS.c.ref), isouter=True
        ).where(ATTEMPTS.c.number > sa.literal_column(str(STRAY_FROM))),
        ATTEMPTS,
        ATTEMPTS.c.ref,
        ATTEMPTS.c.created_ms,
    ),
}
"""Query, table, name and time of each kind; the literals are those of the partial indexes."""


class Queues:
    """What waits for a person."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def reviews(self, event: str, wish: Wish) -> tuple[Page[RowMapping], Rows]:
        """Find open reviews of an event, the oldest first; and what the fraud checks said of their orders."""
        return await asyncio.to_thread(_reviews, self._places.of(event), event, wish)

    async def refunds(self, event: str, wish: Wish) -> Page[RowMapping]:
        """Find refunds of an event, the newest first."""
        return await asyncio.to_thread(_refunds, self._places.of(event), event, wish)

    async def disputes(self, event: str, wish: Wish) -> tuple[Page[RowMapping], Rows]:
        """Find disputes of an event, the newest first; and what all of them come to, by currency and state."""
        return await asyncio.to_thread(_disputes, self._places.of(event), event, wish)

    async def aside(self, kind: Aside, wish: Wish) -> Page[RowMapping]:
        """Find what is put aside, of every event, the newest first."""
        parts = [await asyncio.to_thread(_put_aside, place, kind, wish) for place in self._places.all()]
        return merged(parts, wish.limit, lambda row: (row["at_ms"], row["provider"], row["name"]))

    async def mark(self, kind: Aside, provider: str, name: str, by: str, now_ms: int) -> bool:
        """Note that a person has seen it; the first who has counts. False where there is no such thing."""
        for place in self._places.all():
            if await asyncio.to_thread(_mark, place, kind, provider, name, by, now_ms):
                return True
        return False


def _reviews(place: Place, event: str, wish: Wish) -> tuple[Page[RowMapping], Rows]:
    query = (
        sa.select(
            REVIEWS.c.order_id, REVIEWS.c.attempt, REVIEWS.c.opened_ms, REVIEWS.c.lapses_ms, ORDERS.c.buyer,
            ORDERS.c.currency, ORDERS.c.amount_minor, ATTEMPTS.c.card,
        )
        .join_from(ORDERS, REVIEWS, REVIEWS.c.order_id == ORDERS.c.id)
        .join(ATTEMPTS, (ATTEMPTS.c.order_id == ORDERS.c.id) & (ATTEMPTS.c.number == REVIEWS.c.attempt))
        .where(ORDERS.c.event_id == event, ORDERS.c.state == OrderState.REVIEW.value)
    )  # fmt: skip
    if wish.after:
        query = query.where(sa.tuple_(REVIEWS.c.opened_ms, REVIEWS.c.order_id) > sa.tuple_(*wish.after))
    query = query.order_by(REVIEWS.c.opened_ms, REVIEWS.c.order_id).limit(wish.limit + 1)
    with place.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
        page: Page[RowMapping] = cut(rows, wish.limit, lambda row: (row["opened_ms"], row["order_id"]))
        of_these = VERDICTS.c.order_id.in_([row["order_id"] for row in page.rows])
        said = sa.select(VERDICTS).where(of_these).order_by(VERDICTS.c.at_ms)
        return page, connection.execute(said).mappings().all()


def _refunds(place: Place, event: str, wish: Wish) -> Page[RowMapping]:
    columns = REFUNDS.c
    query = sa.select(REFUNDS).where(columns.event_id == event)
    if "state" in wish.words:
        query = query.where(columns.state == wish.words["state"])
    order = (columns.created_ms, columns.order_id, columns.key)
    with place.database.reading() as connection:
        rows = connection.execute(_backwards(query, order, wish)).mappings().all()
    return cut(rows, wish.limit, lambda row: (row["created_ms"], row["order_id"], row["key"]))


def _disputes(place: Place, event: str, wish: Wish) -> tuple[Page[RowMapping], Rows]:
    columns = DISPUTES.c
    query = sa.select(DISPUTES).where(columns.event_id == event)
    if "state" in wish.words:
        query = query.where(columns.state == wish.words["state"])
    order = (columns.opened_ms, columns.provider, columns.ref)
    total = sa.func.sum(columns.amount_minor).label("total_minor")
    sums = (
        sa.select(
            columns.currency,
            columns.state,
            sa.func.count().label("count"),
            total,
        )
        .where(columns.event_id == event)
        .group_by(columns.currency, columns.state)
        .order_by(columns.currency, columns.state)
    )
    with place.database.reading() as connection:
        rows = connection.execute(_backwards(query, order, wish)).mappings().all()
        page: Page[RowMapping] = cut(
            rows, wish.limit, lambda row: (row["opened_ms"], row["provider"], row["ref"])
        )
        return page, connection.execute(sums).mappings().all()


def _put_aside(place: Place, kind: Aside, wish: Wish) -> Rows:
    query, table, name, at_ms = _ASIDE[kind]
    if "event" in wish.words:
        query = query.where(table.c.event_id == wish.words["event"])
    query = query.where(
        MARKS.c.at_ms.is_not(None) if wish.words.get("seen") == "yes" else MARKS.c.at_ms.is_(None)
    )
    with place.database.reading() as connection:
        return connection.execute(_backwards(query, (at_ms, table.c.provider, name), wish)).mappings().all()


def _backwards(query: Query, order: Sequence[sa.Column[Any]], wish: Wish) -> Query:
    """Read a page from the end of an order of columns."""
    if wish.after:
        query = query.where(sa.tuple_(*order) < sa.tuple_(*wish.after))
    return query.order_by(*(column.desc() for column in order)).limit(wish.limit + 1)


def _mark(place: Place, kind: Aside, provider: str, name: str, by: str, now_ms: int) -> bool:
    query, table, column, _ = _ASIDE[kind]
    with place.database.writing() as connection:
        found = connection.execute(query.where(table.c.provider == provider, column == name).limit(1)).first()
        if found is None:
            return False
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        row = {"kind": kind.value, "provider": provider, "name": name, "event_id": found.event_id}
        connection.execute(insert(MARKS).values(**row, by=by, at_ms=now_ms).on_conflict_do_nothing())
        return True
