"""Funnel: how an event's sale went, step by step: held, reserved, opened, paid, given up; from SQL, equal to the log.

Each number is of what the log of sales says, at the time of its entry (``eventlog``); holds that never came so far are
told by the journal of holds. All statements see one moment, and read from the engine that may lag: nothing is decided
by it. What each number is::

    holds            each once: when its seats were reserved (the log); of others, when the journal last heard of it
    reserved         sales that began: ``reserved``
    holds_opened     how many of ``holds`` ever opened an order
    opened, paid     ``order-opened``, ``order-paid``
    opened_paid      how many of ``opened`` were ever paid
    seats_sold       seats of ``sold``
    seats_returned   seats of ``returned``: sold, and free again
    refunds          refunds that a provider has done
    money            by currency: taken, given back, taken back by buyers' banks
    abandoned        holds and orders that ended without a sale, by why

An entry tells how much of a try's money has been taken so far, not how much it was this time. So what is counted is the
difference from what the try's entries before it said: told twice is counted once. ``declined`` is an order that was
given up, or out of time, after the bank had declined its last try.

The journal keeps what is over for 30 days and has one time for each hold, that of the last thing it heard. So
``holds`` of longer ago are those that became sales. Not here: HTTP (``organiser.sales_web``), steps (``spans``).
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.eventlog.store import AT_ONCE, at_one_moment
from checkout.holds.answers import LIVE, HoldState
from checkout.holds.places import Place, Places
from checkout.orders import projection as orders
from checkout.orders.order import OrderState
from checkout.orders.refund import RefundState
from checkout.organiser.spans import Span
from checkout.sales.projection import RESERVED
from checkout.sales.reservation import SaleState
from checkout.tables import EVENT_LOG, HOLD_JOURNAL, ORDERS, RESERVATION_SEATS, RESERVATIONS

COUNTS = (
    "holds", "reserved", "opened", "paid", "seats_sold", "seats_returned", "refunds", "holds_opened", "opened_paid",
)  # fmt: skip
MOVES = ("captured_minor", "refunded_minor", "disputed_minor")
OF_HOLDS = ("given_up", "time_over")
OF_ORDERS = ("given_up", "time_over", "declined", "refused", "failed")

_LOG = EVENT_LOG.c
_ENDS = {SaleState.RELEASED.value: "given_up", SaleState.LAPSED.value: "time_over"}
_CLOSES = {
    OrderState.CANCELLED.value: "given_up",
    OrderState.LAPSED.value: "time_over",
    OrderState.REFUSED.value: "refused",
    OrderState.FAILED.value: "failed",
}
_MAY_BE_DECLINED = frozenset({OrderState.CANCELLED.value, OrderState.LAPSED.value})
_ENTRIES = {RESERVED: "reserved", orders.OPENED: "opened", orders.PAID: "paid"}
_SEATS = {SaleState.SOLD.value: "seats_sold", SaleState.RETURNED.value: "seats_returned"}
_TELLING = (orders.PAYMENT, orders.SOLD, orders.PAID, orders.REFUNDED, orders.CLOSED)
"""Kinds whose bodies tell of money, of a bank's answer, or of an order's end."""

_MINDED = (*MOVES, "decline")


@dataclass(slots=True)
class Step:
    """What happened in one step; or in all of them."""

    counts: Counter[str] = field(default_factory=Counter)
    money: dict[str, Counter[str]] = field(default_factory=dict)
    holds: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)

    def move(self, currency: str, what: str, minor: int) -> None:
        """Count money that moved."""
        self.money.setdefault(currency, Counter())[what] += minor

    def add(self, other: "Step") -> None:
        """Count what another step has."""
        self.counts += other.counts
        self.holds += other.holds
        self.orders += other.orders
        for currency, moves in other.money.items():
            for what, minor in moves.items():
                self.move(currency, what, minor)


@dataclass(slots=True)
class Series:
    """A sale, step by step. ``steps``: those in which something happened, by their number."""

    span: Span
    steps: dict[int, Step] = field(default_factory=dict)

    def at(self, number: int) -> Step:
        """Give a step to count in."""
        return self.steps.setdefault(number, Step())

    def of(self, at_ms: int) -> Step | None:
        """Give the step of a time; None for one that is not in the span."""
        span = self.span
        inside = span.from_ms <= at_ms < span.until_ms
        return self.at((at_ms - span.from_ms) // span.step_ms) if inside else None

    def total(self) -> Step:
        """Add all steps up."""
        made = Step()
        for one in self.steps.values():
            made.add(one)
        return made

    def currencies(self) -> list[str]:
        """Name the currencies in which money has moved."""
        return sorted({currency for one in self.steps.values() for currency in one.money})


class Funnel:
    """Counts sales, for organisers."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def series(self, event: str, span: Span, now_ms: int) -> Series:
        """Count an event's sale. `now_ms` tells which holds have run out."""
        return await asyncio.to_thread(_series, self._places.of(event), event, span, now_ms)


def _series(place: Place, event: str, span: Span, now_ms: int) -> Series:
    series = Series(span)
    with place.database.listing() as connection, at_one_moment(connection).begin():
        _entries(connection, event, series)
        _seats(connection, event, series)
        _cohorts(connection, event, series)
        _holds(connection, event, series, now_ms)
        _told(connection, event, series)
    return series


# ------------------------------------------------------------------------------------ entries


def _number(column: sa.ColumnElement[int], span: Span) -> sa.Label[int]:
    """Tell the number of the step in which a row is."""
    return ((column - span.from_ms) // span.step_ms).label("step")


def _within(column: sa.ColumnElement[int], span: Span) -> sa.ColumnElement[bool]:
    return (column >= span.from_ms) & (column < span.until_ms)


def _of(event: str, span: Span, kinds: Iterable[str]) -> sa.ColumnElement[bool]:
    return (_LOG.event_id == event) & _within(_LOG.at_ms, span) & _LOG.kind.in_(list(kinds))


def _streams(event: str, kind: str) -> sa.Select[tuple[str]]:
    """Name the sales to which something has ever happened."""
    own = EVENT_LOG.alias()
    return sa.select(own.c.stream).where(own.c.event_id == event, own.c.kind == kind)


def _entries(connection: Connection, event: str, series: Series) -> None:
    query = sa.select(_number(_LOG.at_ms, series.span), _LOG.kind, sa.func.count())
    query = query.where(_of(event, series.span, _ENTRIES)).group_by(sa.text("step"), _LOG.kind)
    for number, kind, count in connection.execute(query):
        series.at(number).counts[_ENTRIES[kind]] += count


def _seats(connection: Connection, event: str, series: Series) -> None:
    """Count the seats of sales, also of those that do not have them any more."""
    query = (
        sa.select(_number(_LOG.at_ms, series.span), _LOG.kind, sa.func.count())
        .join_from(EVENT_LOG, RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == _LOG.stream)
        .where(_of(event, series.span, _SEATS))
        .group_by(sa.text("step"), _LOG.kind)
    )
    for number, kind, count in connection.execute(query):
        series.at(number).counts[_SEATS[kind]] += count


def _cohorts(connection: Connection, event: str, series: Series) -> None:
    """Count what came of those who began in a step, whenever it came."""
    for kind, then, name in (
        (RESERVED, orders.OPENED, "holds_opened"),
        (orders.OPENED, orders.PAID, "opened_paid"),
    ):
        query = sa.select(_number(_LOG.at_ms, series.span), sa.func.count())
        query = query.where(_of(event, series.span, [kind]), _LOG.stream.in_(_streams(event, then)))
        for number, count in connection.execute(query.group_by(sa.text("step"))):
            series.at(number).counts[name] += count


# -------------------------------------------------------------------------------------- holds


def _holds(connection: Connection, event: str, series: Series, now_ms: int) -> None:
    for one in series.steps.values():
        one.counts["holds"] += one.counts["reserved"]
    columns, span = HOLD_JOURNAL.c, series.span
    became = sa.exists().where(RESERVATIONS.c.event_id == event, RESERVATIONS.c.hold_id == columns.hold_id)
    is_live = columns.state.in_(sorted(LIVE)) & (columns.until_ms > now_ms)
    why_over = sa.case(
        (is_live, ""),
        (columns.state == HoldState.RELEASED.value, "given_up"),
        else_="time_over",
    ).label("why")
    alone = sa.select(_number(columns.at_ms, span), why_over, sa.func.count()).where(
        columns.event_id == event, _within(columns.at_ms, span), ~became
    )
    for number, why, count in connection.execute(alone.group_by(sa.text("step, why"))):
        step = series.at(number)
        step.counts["holds"] += count
        if why:
            step.holds[why] += count
    # Those that were reserved and never became an order have ended in the log.
    ended = sa.select(_number(_LOG.at_ms, span), _LOG.kind, sa.func.count()).where(
        _of(event, span, _ENDS), _LOG.stream.not_in(_streams(event, orders.OPENED))
    )
    for number, kind, count in connection.execute(ended.group_by(sa.text("step"), _LOG.kind)):
        series.at(number).holds[_ENDS[kind]] += count


# ---------------------------------------------------------------------------- money, and ends


@dataclass(slots=True)
class _Sale:
    """One stream, as far as it was read. ``sums``: what was told last of each try's money."""

    stream: str = ""
    sums: dict[tuple[str, str], int] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    declined: set[str] = field(default_factory=set)


def _told(connection: Connection, event: str, series: Series) -> None:
    """Read the bodies of entries that tell of money or of an end, stream by stream, in order."""
    minded = sa.or_(*(_LOG.body.contains(f'"{name}"') for name in _MINDED))
    telling = (_LOG.event_id == event) & _LOG.kind.in_(_TELLING)
    telling &= minded | _LOG.kind.in_((orders.CLOSED, orders.REFUNDED))
    own = EVENT_LOG.alias("inside")
    inside = sa.select(own.c.stream).where(
        own.c.event_id == event, _within(own.c.at_ms, series.span), own.c.kind.in_(_TELLING)
    )
    query = (
        sa.select(_LOG.stream, _LOG.at_ms, _LOG.kind, _LOG.body, ORDERS.c.currency, ORDERS.c.attempt)
        .join_from(EVENT_LOG, ORDERS, ORDERS.c.reservation_id == _LOG.stream)
        .where(telling, _LOG.at_ms < series.span.until_ms, _LOG.stream.in_(inside))
        .order_by(_LOG.stream, _LOG.seq)
    )
    sale = _Sale()
    with connection.execute(query, execution_options={"yield_per": AT_ONCE}) as rows:
        for stream, at_ms, kind, text, currency, last in rows:
            if stream != sale.stream:
                sale = _Sale(stream)
            body, step = orjson.loads(text), series.of(at_ms)
            for number, fields in body.get("attempts", {}).items():
                _moved(sale, step, number, fields, currency)
            if step is None:
                continue
            if kind == orders.CLOSED:
                _closed(sale, step, body, str(last))
            states = [one.get("state") for one in body.get("refunds", {}).values()]
            if done := states.count(RefundState.DONE.value):
                step.counts["refunds"] += done


def _moved(sale: _Sale, step: Step | None, number: str, fields: Mapping[str, Any], usual: str) -> None:
    if fields.get("decline"):
        sale.declined.add(number)
    # A payment that we did not ask for tells its own.
    currency = sale.currencies.setdefault(number, fields.get("currency", usual))
    for name in MOVES:
        if name in fields:
            minor = difference(sale.sums, (number, name), fields[name])
            if step is not None and minor:
                step.move(currency, name, minor)


def difference(sums: dict[tuple[str, str], int], key: tuple[str, str], now: int) -> int:
    """Tell by how much a sum has grown since it was told last, and keep it."""
    was = sums.get(key, 0)
    sums[key] = now
    return now - was


def _closed(sale: _Sale, step: Step, body: Mapping[str, Any], last: str) -> None:
    for fields in body.get("order", {}).values():
        state = fields.get("state")
        if state in _MAY_BE_DECLINED and last in sale.declined:
            step.orders["declined"] += 1
        elif state in _CLOSES:
            step.orders[_CLOSES[state]] += 1
