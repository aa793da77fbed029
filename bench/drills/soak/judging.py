"""Judging: lets the shop of a soak come to rest, and then looks for anything that is not true.

At rest is when no order waits, no try or refund stands open, no reservation may still be paid and no hold lives; that
must come within ``REST_S`` after everything is up again (I12). Then ``checkout.audit`` puts all invariants to SQL, the
store, the log, the provider's ledger and what buyers were told, and four things more are looked at: who was told "paid"
has a paid order; the ledger alone has no order that was charged twice; the log's blocks verify; no card number is
anywhere.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import sqlalchemy as sa

from bench.drills.soak.buyers import Diary
from bench.drills.soak.stage import EVENT, Stage
from bench.figure import say
from checkout.audit.checking import check_sale, read_money
from checkout.audit.money import Theirs, money_is_right
from checkout.audit.records import Act, Operation
from checkout.audit.scanning import in_files, in_sql, in_store
from checkout.database import ShopDatabase
from checkout.eventlog.store import at_one_moment
from checkout.eventlog.verifying import verify
from checkout.tables import ORDERS, RESERVATIONS, WORK
from kernel.clock import SystemClock
from kernel.errors import Unavailable

REST_S = 600.0
"""T of the invariants."""

STILL_S = 3.0
"""So long it must be at rest without a break: the journal of holds and the sweeper follow within a second."""

OFTEN_S = 2.0
LOOKS = 15
AFTER_PAID = frozenset({"paid", "refunded"})


@dataclass(slots=True)
class Found:
    """What was looked at, and all that is not true."""

    faults: list[str] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    rest_s: float = 0.0
    money: dict[str, int] = field(default_factory=dict)


async def come_to_rest(stage: Stage, until_s: float = REST_S) -> tuple[float, dict[str, int]]:
    """Wait; returns how long it took, and what is left."""
    began_s = time.monotonic()
    since_s: float | None = None
    left: dict[str, int] = {}
    while time.monotonic() - began_s < until_s:
        try:
            left = await asyncio.to_thread(_left, stage)
        except Unavailable:
            left = {"the database does not answer": 1}
        if any(left.values()):
            since_s = None
        else:
            since_s = since_s or time.monotonic()
            if time.monotonic() - since_s >= STILL_S:
                break
        say(f"to rest: {', '.join(f'{count} {what}' for what, count in left.items() if count) or 'still'}")
        await asyncio.sleep(OFTEN_S)
    return time.monotonic() - began_s, {what: count for what, count in left.items() if count}


def _left(stage: Stage) -> dict[str, int]:
    """Count what is not at rest."""
    database = ShopDatabase(stage.database_url)
    try:
        with database.listing() as connection:

            def count(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
                return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0

            return {
                "orders": count(ORDERS, ORDERS.c.state.in_(("open", "confirmed"))),
                "tries and refunds": count(WORK),
                "reservations": count(RESERVATIONS, RESERVATIONS.c.state == "reserved"),
            }
    finally:
        database.close()


def judge(stage: Stage, diary: Diary, rest_s: float, left: dict[str, int], *, looks: int = LOOKS) -> Found:
    """Look at everything; what a moment may mend is looked at so many times."""
    found = Found(rest_s=rest_s)
    found.faults += [
        f"I12: {count} {what} are still open after {rest_s:.0f} s" for what, count in left.items()
    ]
    theirs = _ledger(stage, found)
    records = [*diary.records, *_ends(stage, diary)]
    # The reconciler looks each few seconds at what the store has not heard.
    for look in range(looks):
        verdict = check_sale(stage.database_url, stage.store_url, EVENT, records, settled=True)
        money = _money(stage, theirs or [])
        if verdict.is_right and not money:
            break
        if look + 1 < looks:
            time.sleep(OFTEN_S)
    found.looked_at = dict(verdict.looked_at)
    found.faults += [f"{one.invariant}: {one.sentence}" for one in verdict.violations]
    found.faults += money
    found.faults += _told_paid(stage, diary, found)
    found.faults += _charged_twice(theirs or [])
    found.faults += _log(stage)
    found.faults += cards(stage)
    found.faults += _unforeseen(stage, diary)
    found.money = {
        "payments": len(theirs or []),
        "captured": sum(one.captured_minor > 0 for one in theirs or []),
        "given_back": sum(0 < one.captured_minor <= one.refunded_minor for one in theirs or []),
        "disputed": sum(one.disputed_minor > 0 for one in theirs or []),
    }
    return found


def _ledger(stage: Stage, found: Found) -> list[Theirs] | None:
    try:
        return stage.ledger()
    except httpx.HTTPError as error:
        found.faults.append(f"I11: the provider's ledger cannot be read: {error}")
        return None


def _told_paid(stage: Stage, diary: Diary, found: Found) -> Iterator[str]:
    """Who was told that an order is paid has it, or has the money back."""
    states = _states(stage)
    found.states = dict(Counter(states.values()))
    for order in sorted(diary.orders - set(states)):
        yield f"I3: order {order} was told to its buyer, and is not there"
    for order in sorted(diary.paid):
        if (state := states.get(order)) not in AFTER_PAID:
            yield f"I3: order {order} was told to be paid, and is {state}"


def _money(stage: Stage, theirs: Sequence[Theirs]) -> list[str]:
    """Compare our books with the provider's, in both directions."""
    database = ShopDatabase(stage.database_url)
    try:
        with database.listing() as connection:
            books = read_money(at_one_moment(connection), EVENT)
    finally:
        database.close()
    return [f"{one.invariant}: {one.sentence}" for one in money_is_right(books, theirs, settled=True)]


def _ends(stage: Stage, diary: Diary) -> Iterator[Operation]:
    """Say what no buyer is told: a reservation whose order is not paid in the end has ended at some time."""
    states = _states(stage)
    for one in diary.reservations.values():
        if states.get(one.order) != "paid":
            yield Operation(Act.CANCEL, one.hold, one.sid, one.seats, one.called_us, None, None)


def _states(stage: Stage) -> dict[str, str]:
    database = ShopDatabase(stage.database_url)
    try:
        with database.listing() as connection:
            ask = sa.select(ORDERS.c.id, ORDERS.c.state).where(ORDERS.c.event_id == EVENT)
            return {row.id: row.state for row in connection.execute(ask)}
    finally:
        database.close()


def _charged_twice(theirs: Sequence[Theirs]) -> Iterator[str]:
    """The ledger alone, without a row of ours: of one order at most one payment has money."""
    having = Counter(one.order for one in theirs if one.captured_minor > one.refunded_minor)
    for order, count in having.items():
        if count > 1:
            yield f"I4: order {order} was charged {count} times, as its provider says"


def _log(stage: Stage) -> Iterator[str]:
    database = ShopDatabase(stage.database_url)
    try:
        with database.listing() as connection:
            checked = verify(at_one_moment(connection), SystemClock().now_ms())
    finally:
        database.close()
    for where, what in checked.faults:
        yield f"I6: {where}: {what}"


def _unforeseen(stage: Stage, diary: Diary) -> Iterator[str]:
    """No answer of the shop may be one that nobody foresaw, whatever is killed; the last lines of the log say why."""
    count = sum(number for answer, number in diary.answers.items() if answer.endswith(" internal"))
    if count:
        rows = [row for row in stage.log.read_text(errors="replace").splitlines() if '"exception"' in row]
        yield f"{count} answers were failures that nobody foresaw: {' / '.join(rows[-2:])[-1500:]}"


def cards(stage: Stage) -> Iterator[str]:
    """Look for card numbers in all files, in SQL and in the store."""
    # The log stands beside the folder of all data, in the folder of the whole stage.
    for one in in_files([stage.log.parent]):
        yield one.line()
    for one in in_sql(stage.database_url):
        yield one.line()
    for one in in_store(stage.store_url):
        yield one.line()
