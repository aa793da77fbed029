"""Scanner rows: scanners, their scans, and what they must know, as the database has them.

Every function works inside of the caller's transaction. ``admit`` is one scan, whole: the ticket is used and the scan
kept, or neither. Not here: what a scan comes to (``tickets.admitting``), who may ask (``tickets.scanning``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.tables import ATTEMPTS, ORDERS, SCANNERS, SCANS, TICKETS
from checkout.tickets.admitting import OF_FAULT, Admission, Outcome, Scan, decide, shown_ms
from checkout.tickets.code import Facts, Fault
from checkout.tickets.issuing import use
from checkout.tickets.rows import blocked, find_ticket, numbered
from checkout.tickets.scan_list import Listed
from checkout.tickets.ticket import Ticket, TicketState, Why

_T, _S, _C, _O, _A = TICKETS.c, SCANNERS.c, SCANS.c, ORDERS.c, ATTEMPTS.c
ADMITTED = Outcome.ADMITTED.value

_NEW_SCANNER, _NEW_SCAN = sa.insert(SCANNERS), sa.insert(SCANS)
_SCANNERS = sa.select(SCANNERS).where(_S.event_id == sa.bindparam("event_")).order_by(_S.created_ms, _S.id)
_REVOKE = (
    sa.update(SCANNERS)
    .where(_S.event_id == sa.bindparam("event_"), _S.id == sa.bindparam("own"), ~_S.revoked)
    .values(revoked=True)
)
_SEEN = sa.update(SCANNERS).where(_S.id == sa.bindparam("own")).values(seen_ms=sa.bindparam("at"))
_SCAN = sa.select(_C.ticket_id, _C.outcome, _C.told).where(
    _C.scanner_id == sa.bindparam("scanner"), _C.id == sa.bindparam("own")
)
_TOLD = (
    sa.update(SCANS)
    .where(_C.scanner_id == sa.bindparam("scanner"), _C.id == sa.bindparam("own"), _C.told == "")
    .values(told=sa.bindparam("said"))
)
_ADMISSION = (
    sa.select(_C.scanner_id, _C.id, _C.at_ms, _C.came_ms, _S.name)
    .join(SCANNERS, _S.id == _C.scanner_id)
    .where(_C.ticket_id == sa.bindparam("ticket"), _C.outcome == ADMITTED)
    .order_by(_C.came_ms, _C.scanner_id, _C.id)
    .limit(1)
)
_LISTED = (
    sa.select(_T.id, _T.version, _T.seat, _T.state, _T.why, _T.used_ms, sa.func.min(_C.scanner_id))
    .outerjoin(SCANS, sa.and_(_C.ticket_id == _T.id, _C.outcome == ADMITTED))
    .where(_T.event_id == sa.bindparam("event_"), _T.changed_ms >= sa.bindparam("since"))
    .group_by(_T.id)
    .order_by(_T.id)
)
_SUM = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_T.version), 0)).where(
    _T.event_id == sa.bindparam("event_")
)
_BLOCKED = (
    sa.select(_T.id)
    .join(ORDERS, _O.id == _T.order_id)
    .join(ATTEMPTS, sa.and_(_A.order_id == _O.id, _A.number == _O.paid_by))
    .where(_T.event_id == sa.bindparam("event_"), _A.disputed_minor > 0, _T.state == TicketState.VALID.value)
    .order_by(_T.id)
)


@dataclass(frozen=True, slots=True)
class Scanner:
    """A gate's right to scan. ``revoked`` or over: its scans are taken no more."""

    id: str
    event: str
    name: str
    token_hash: str
    revoked: bool
    created_ms: int
    until_ms: int
    seen_ms: int

    def works_at(self, now_ms: int) -> bool:
        """Tell whether it may scan."""
        return not self.revoked and now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's word on a scan; ``before`` is the admission of a ticket that had been used."""

    scan: str
    outcome: Outcome
    ticket: Ticket | None = None
    before: Admission | None = None
    is_new: bool = False
    is_told: bool = False
    """We hear by it what people were told."""


@dataclass(frozen=True, slots=True)
class Known:
    """What scanners are told: rows, which of them are blocked, and what all come to."""

    tickets: Sequence[Listed]
    blocked: Sequence[str]
    scanners: Sequence[Scanner]
    count: int
    versions: int


# ---------------------------------------------------------------------------------- scanners


def read_scanner(row: Any) -> Scanner:
    """Read a row of scanners."""
    return Scanner(
        row.id, row.event_id, row.name, row.token_hash, row.revoked, row.created_ms, row.until_ms, row.seen_ms
    )


def add_scanner(connection: Connection, scanner: Scanner) -> None:
    """Write a new scanner."""
    row = {
        "id": scanner.id, "event_id": scanner.event, "name": scanner.name, "token_hash": scanner.token_hash,
        "revoked": scanner.revoked, "created_ms": scanner.created_ms, "until_ms": scanner.until_ms,
        "seen_ms": scanner.seen_ms,
    }  # fmt: skip
    connection.execute(_NEW_SCANNER, row)


def scanners_of(connection: Connection, event: str) -> list[Scanner]:
    """Return an event's scanners, the oldest first."""
    return [read_scanner(row) for row in connection.execute(_SCANNERS, {"event_": event})]


def revoke_scanner(connection: Connection, event: str, id_: str) -> bool:
    """Let a scanner scan no more; False if it does not by now, or is none."""
    return connection.execute(_REVOKE, {"event_": event, "own": id_}).rowcount == 1


def seen(connection: Connection, scanner: str, at_ms: int) -> None:
    """Write down that a scanner was there."""
    connection.execute(_SEEN, {"own": scanner, "at": at_ms})


# ------------------------------------------------------------------------------------- scans


def admit(
    connection: Connection, scanner: Scanner, scan: Scan, read: Facts | Fault | str, now_ms: int
) -> Answer:
    """Give the word on one scan, and keep it; a scan that is known gets the word that it had.

    `read`: what the code says, or a ticket's number. Raises ``Stale`` or ``IntegrityError`` where somebody was faster.
    """
    row = connection.execute(_SCAN, {"scanner": scanner.id, "own": scan.id}).one_or_none()
    if row is not None:
        return _again(connection, scanner, scan, row)
    is_blocked = False
    ticket = _find(connection, scanner.event, read)
    before = _admission(connection, ticket)
    if ticket is not None:
        is_blocked = bool(blocked(connection, [ticket.order]))
    outcome = (
        OF_FAULT[read]
        if isinstance(read, Fault)
        else decide(ticket, before, scanner.id, scan, is_blocked=is_blocked)
    )
    if ticket is not None and outcome is Outcome.ADMITTED:
        ticket = use(connection, ticket, shown_ms(scan.at_ms, now_ms), now_ms)
    kept = {
        "scanner_id": scanner.id, "id": scan.id, "event_id": scanner.event,
        "ticket_id": "" if ticket is None else ticket.id, "outcome": outcome.value, "told": scan.told,
        "at_ms": scan.at_ms, "came_ms": now_ms,
    }  # fmt: skip
    connection.execute(_NEW_SCAN, kept)
    return Answer(scan.id, outcome, ticket, before, is_new=True, is_told=bool(scan.told))


def _again(connection: Connection, scanner: Scanner, scan: Scan, row: Any) -> Answer:
    """Repeat the word; a device that asked, heard nothing and decided by itself tells now what it has said."""
    is_told = bool(scan.told) and not row.told
    if is_told:
        connection.execute(_TOLD, {"scanner": scanner.id, "own": scan.id, "said": scan.told})
    ticket = find_ticket(connection, scanner.event, row.ticket_id) if row.ticket_id else None
    before = _admission(connection, ticket)
    return Answer(scan.id, Outcome(row.outcome), ticket, before, is_told=is_told)


def _find(connection: Connection, event: str, read: Facts | Fault | str) -> Ticket | None:
    if isinstance(read, Fault):
        return None
    if isinstance(read, Facts):
        return find_ticket(connection, event, read.ticket)
    # Of two with one number nobody can tell which is meant: neither, until somebody scans its code.
    found = numbered(connection, event, read)
    return found[0] if len(found) == 1 else None


def _admission(connection: Connection, ticket: Ticket | None) -> Admission | None:
    if ticket is None or not ticket.used_ms:
        return None
    row = connection.execute(_ADMISSION, {"ticket": ticket.id}).one_or_none()
    return None if row is None else Admission(row.scanner_id, row.name, row.id, row.at_ms, row.came_ms)


# -------------------------------------------------------------------------------------- list


def known(connection: Connection, event: str, since_ms: int) -> Known:
    """Read what scanners must know, with the tickets that were changed at `since_ms` or later."""
    rows = connection.execute(_LISTED, {"event_": event, "since": since_ms})
    tickets = [
        Listed(id_, version, seat, TicketState(state), Why(why), used_ms, gate or "")
        for id_, version, seat, state, why, used_ms, gate in rows
    ]
    count, versions = connection.execute(_SUM, {"event_": event}).one()
    stopped = list(connection.scalars(_BLOCKED, {"event_": event}))
    return Known(tickets, stopped, scanners_of(connection, event), count, int(versions))


# ----------------------------------------------------------------------------------- figures


def figures(connection: Connection, event: str) -> Mapping[str, Any]:
    """Count an event's tickets, and its scans by gate, by outcome and by minute."""
    own = _T.event_id == event
    states: Mapping[str, int] = dict(
        connection.execute(sa.select(_T.state, sa.func.count()).where(own).group_by(_T.state)).all()
    )
    mine = _C.event_id == event
    outcomes = sa.select(_C.outcome, sa.func.count()).where(mine).group_by(_C.outcome)
    gates = (
        sa.select(_C.scanner_id, sa.func.count()).where(mine, _C.outcome == ADMITTED).group_by(_C.scanner_id)
    )
    minute = (_C.came_ms - _C.came_ms % 60_000).label("minute")
    minutes = (
        sa.select(minute, sa.func.count())
        .where(mine, _C.outcome == ADMITTED)
        .group_by(minute)
        .order_by(minute)
    )
    return {
        "states": states,
        "outcomes": dict(connection.execute(outcomes).all()),
        "gates": dict(connection.execute(gates).all()),
        "minutes": [tuple(row) for row in connection.execute(minutes)],
    }


def conflicts(connection: Connection, event: str, after: tuple[int, str, str], limit: int) -> list[Any]:
    """Return scans that let somebody in whom we would not have, the newest first: rows with both gates and times."""
    first = SCANS.alias("first_scan")
    gate, first_gate = SCANNERS.alias("gate"), SCANNERS.alias("first_gate")
    query = (
        sa.select(
            _C.scanner_id, _C.id, _C.ticket_id, _C.outcome, _C.at_ms, _C.came_ms, gate.c.name,
            first.c.at_ms.label("first_at_ms"), first.c.came_ms.label("first_came_ms"),
            first_gate.c.name.label("first_name"), _T.seat, _T.why, _T.order_id,
        )
        .join(gate, gate.c.id == _C.scanner_id)
        .outerjoin(first, sa.and_(first.c.ticket_id == _C.ticket_id, first.c.outcome == ADMITTED, _C.ticket_id != ""))
        .outerjoin(first_gate, first_gate.c.id == first.c.scanner_id)
        .outerjoin(TICKETS, _T.id == _C.ticket_id)
        .where(_C.event_id == event, _C.told == ADMITTED, _C.outcome != ADMITTED)
        .order_by(_C.came_ms.desc(), _C.scanner_id.desc(), _C.id.desc())
        .limit(limit)
    )  # fmt: skip
    if after:
        query = query.where(
            sa.tuple_(_C.came_ms, _C.scanner_id, _C.id) < sa.tuple_(*(sa.literal(part) for part in after))
        )
    return list(connection.execute(query))
