"""Outbox: messages in SQL, written together with what they tell of, and taken from there to be sent.

* **Put** is one INSERT inside of the caller's transaction: what is rolled back is told to nobody, and what is committed
  is told at least once, whatever dies afterwards. The message's name is the key, so the same again changes nothing.
* **Spread**: whoever sends gives each new message a row for each channel that there is, so channels fail and end each
  for itself, and whoever puts knows of none.
* **Take** leases what is due to one sender, by its flag (``state = 'waiting'``) and time, never by "newer than the last
  one": transactions commit in another order than they begin, and what commits late would be lost. In PostgreSQL rows
  that another sender has locked are passed by; on SQLite senders take turns. A sender that dies lets its lease run out.
* **Mark** writes what came of it. "Sent" counts from whoever says so; any other word only from who has the lease.
* **Afresh**: somebody asks for it once more, because there is a new address, say. What is on its way at that moment may
  have gone to the old one, so each wish is counted: where the count is not what it was when the message was taken,
  nothing that would be an end is one, and it waits again.

Names of channels are the operator's. Every function takes a connection in the caller's transaction and may be run again
(``grouping``). Not here: sending (``relay``), who is told (``ports``).
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.dialects import postgresql, sqlite

from checkout.notifications.message import Kind, Message, Send, SendState
from checkout.tables import ORDER_TRACES, OUTBOX, OUTBOX_SENDS

AFRESH_MS = 60_000
"""So long lies between two times that the same is sent because somebody asks for it."""

_DIALECTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_PUT = {
    name: insert(OUTBOX).on_conflict_do_nothing().returning(OUTBOX.c.message_id)
    for name, insert in _DIALECTS.items()
}
_SPREAD = {name: insert(OUTBOX_SENDS).on_conflict_do_nothing() for name, insert in _DIALECTS.items()}
_NEW = (
    sa.select(OUTBOX.c.message_id, OUTBOX.c.event_id)
    .where(OUTBOX.c.is_new)
    .order_by(OUTBOX.c.created_ms, OUTBOX.c.message_id)
    .with_for_update(skip_locked=True)
)
_WAITS = OUTBOX_SENDS.c.state == SendState.WAITING.value
_TRACE = (
    sa.select(ORDER_TRACES.c.trace)
    .where(ORDER_TRACES.c.order_id == OUTBOX.c.subject, ORDER_TRACES.c.event_id == OUTBOX.c.event_id)
    .scalar_subquery()
    .label("trace")
)
_DUE = (
    sa.select(OUTBOX, OUTBOX_SENDS.c.tries, OUTBOX_SENDS.c.asked, _TRACE)
    .join(OUTBOX_SENDS, OUTBOX.c.message_id == OUTBOX_SENDS.c.message_id)
    .where(OUTBOX_SENDS.c.channel == sa.bindparam("of_channel"), _WAITS)
    .where(OUTBOX_SENDS.c.due_ms <= sa.bindparam("now"))
    .order_by(OUTBOX_SENDS.c.due_ms, OUTBOX.c.created_ms, OUTBOX.c.message_id)
    .with_for_update(skip_locked=True, of=OUTBOX_SENDS)
)
_OWN = (OUTBOX_SENDS.c.message_id == sa.bindparam("of_message")) & (
    OUTBOX_SENDS.c.channel == sa.bindparam("of_channel")
)
_IS_ASKED_AGAIN = OUTBOX_SENDS.c.asked != sa.bindparam("asked_then")
_IS_MINE = OUTBOX_SENDS.c.due_ms == sa.bindparam("claim")
_RESULT: dict[str, Any] = {
    "state": sa.bindparam("to_state"),
    "tries": sa.bindparam("to_tries"),
    "due_ms": sa.bindparam("to_due"),
    "why": sa.bindparam("to_why"),
}
_LEASE = sa.update(OUTBOX_SENDS).where(_OWN, _WAITS).values(due_ms=sa.bindparam("until"))
_SENT = (
    sa.update(OUTBOX_SENDS)
    .where(_OWN, OUTBOX_SENDS.c.state != SendState.SENT.value)
    .values(
        state=sa.case((_IS_ASKED_AGAIN, SendState.WAITING.value), else_=SendState.SENT.value),
        tries=sa.case((_IS_ASKED_AGAIN, 0), else_=sa.bindparam("to_tries")),
        due_ms=sa.case((_IS_ASKED_AGAIN, sa.bindparam("at") + AFRESH_MS), else_=OUTBOX_SENDS.c.due_ms),
        sent_ms=sa.bindparam("at"),
        why="",
    )
)
_NOT_SENT = sa.update(OUTBOX_SENDS).where(_OWN, _WAITS, _IS_MINE).values(_RESULT)
_ENDED_NOT_SENT = (
    sa.update(OUTBOX_SENDS)
    .where(_OWN, _WAITS, _IS_MINE)
    .values(
        state=sa.case((_IS_ASKED_AGAIN, SendState.WAITING.value), else_=sa.bindparam("to_state")),
        tries=sa.case((_IS_ASKED_AGAIN, 0), else_=sa.bindparam("to_tries")),
        due_ms=sa.bindparam("to_due"),
        why=sa.bindparam("to_why"),
    )
)
_AGAIN = (
    sa.update(OUTBOX_SENDS)
    .where(
        _OWN,
        OUTBOX_SENDS.c.event_id == sa.bindparam("of_event"),
        OUTBOX_SENDS.c.state == SendState.DEAD.value,
    )
    .values(state=SendState.WAITING.value, tries=0, due_ms=sa.bindparam("at"))
)
_AFRESH = (
    sa.update(OUTBOX_SENDS)
    .where(
        _OWN,
        OUTBOX_SENDS.c.event_id == sa.bindparam("of_event"),
    )
    .values(
        state=SendState.WAITING.value,
        asked=OUTBOX_SENDS.c.asked + 1,
        tries=sa.case((_WAITS, OUTBOX_SENDS.c.tries), else_=0),
        due_ms=sa.case(
            # What waits may be on its way: its time is the lease of whoever has it.
            (_WAITS, OUTBOX_SENDS.c.due_ms),
            (OUTBOX_SENDS.c.sent_ms > sa.bindparam("before"), OUTBOX_SENDS.c.sent_ms + AFRESH_MS),
            else_=sa.bindparam("at"),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a sender has leased, and events whose messages it left alone because they are elsewhere by now."""

    sends: list[Send]
    elsewhere: frozenset[str]


def put(connection: Connection, message: Message) -> bool:
    """Have something told, in the caller's transaction; False when it is told already."""
    row = {
        "message_id": message.id,
        "event_id": message.event,
        "kind": message.kind.value,
        "subject": message.subject,
        "body": json.dumps(message.facts, separators=(",", ":"), sort_keys=True),
        "created_ms": message.created_ms,
        "is_new": True,
    }
    return connection.scalar(_PUT[connection.dialect.name], row) is not None


def spread(
    connection: Connection,
    channels: Sequence[str],
    now_ms: int,
    most: int,
    is_here: Callable[[str], bool],
    without: Collection[str] = (),
) -> tuple[int, frozenset[str]]:
    """Give new messages a row for each channel; returns how many messages that were, and the events left alone."""
    query = _NEW.where(OUTBOX.c.event_id.not_in(list(without))) if without else _NEW
    rows = connection.execute(query.limit(most)).all()
    elsewhere = frozenset(event for event in {event for _, event in rows} if not is_here(event))
    found = [(id_, event) for id_, event in rows if event not in elsewhere]
    if not found:
        return 0, elsewhere
    sends = [
        {
            "message_id": id_, "event_id": event, "channel": channel, "state": SendState.WAITING.value,
            "tries": 0, "due_ms": now_ms, "sent_ms": 0, "why": "", "asked": 0,
        }
        for id_, event in found for channel in channels
    ]  # fmt: skip
    if sends:
        connection.execute(_SPREAD[connection.dialect.name], sends)
    told = sa.update(OUTBOX).where(OUTBOX.c.message_id.in_([id_ for id_, _ in found]))
    connection.execute(told.values(is_new=False))
    return len(found), elsewhere


def take(
    connection: Connection,
    channel: str,
    now_ms: int,
    until_ms: int,
    most: int,
    is_here: Callable[[str], bool],
    without: Collection[str] = (),
) -> Taken:
    """Lease what is due in a channel, so that no other sender takes it until then.

    An event that is being moved is not here: its rows are left as they are, so that the copy is what they are.
    """
    query = _DUE.where(OUTBOX.c.event_id.not_in(list(without))) if without else _DUE
    rows = connection.execute(query.limit(most), {"of_channel": channel, "now": now_ms}).mappings().all()
    elsewhere = frozenset(event for event in {row["event_id"] for row in rows} if not is_here(event))
    mine = [row for row in rows if row["event_id"] not in elsewhere]
    if mine:
        connection.execute(
            _LEASE,
            [{"of_message": row["message_id"], "of_channel": channel, "until": until_ms} for row in mine],
        )
    return Taken(
        [Send(_message(row), channel, row["tries"], until_ms, row["asked"]) for row in mine], elsewhere
    )


def mark_sent(connection: Connection, sends: Sequence[Send], at_ms: int) -> int:
    """Write down that messages were taken; returns of how many it was not known."""
    rows = [
        {
            "of_message": one.message.id, "of_channel": one.channel, "to_tries": one.tries + 1, "at": at_ms,
            "asked_then": one.asked,
        }
        for one in sends
    ]  # fmt: skip
    return connection.execute(_SENT, rows).rowcount


def mark(connection: Connection, send: Send, state: SendState, tries: int, due_ms: int, why: str) -> bool:
    """Write down what came of a try that sent nothing; False when somebody else has the message by now."""
    own = {"of_message": send.message.id, "of_channel": send.channel, "claim": send.claim_ms}
    now = {"to_state": state.value, "to_tries": tries, "to_due": due_ms, "to_why": why}
    if state is SendState.WAITING:
        return connection.execute(_NOT_SENT, {**own, **now}).rowcount == 1
    return connection.execute(_ENDED_NOT_SENT, {**own, **now, "asked_then": send.asked}).rowcount == 1


def again(connection: Connection, event: str, message: str, channel: str, now_ms: int) -> bool:
    """Have a dead letter tried again from the beginning; False when it is none."""
    own = {"of_message": message, "of_channel": channel, "of_event": event, "at": now_ms}
    return connection.execute(_AGAIN, own).rowcount == 1


def afresh(connection: Connection, event: str, message: str, channel: str, now_ms: int) -> bool:
    """Have a message sent once more, however it ended or will end: somebody asks for it. False when there is none.

    Whoever asks again and again fills nobody's mailbox: a minute lies between two of the same.
    """
    own = {
        "of_message": message, "of_channel": channel, "of_event": event, "at": now_ms,
        "before": now_ms - AFRESH_MS,
    }  # fmt: skip
    return connection.execute(_AFRESH, own).rowcount == 1


def purge(connection: Connection, before_ms: int, most: int) -> int:
    """Forget old messages of which nothing waits any more; returns how many."""
    waiting = sa.exists().where(OUTBOX_SENDS.c.message_id == OUTBOX.c.message_id, _WAITS)
    old = (
        sa.select(OUTBOX.c.message_id)
        .where(OUTBOX.c.created_ms < before_ms, ~OUTBOX.c.is_new, ~waiting)
        .order_by(OUTBOX.c.created_ms)
        .limit(most)
    )
    ids = list(connection.scalars(old))
    if ids:
        connection.execute(sa.delete(OUTBOX_SENDS).where(OUTBOX_SENDS.c.message_id.in_(ids)))
        connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.message_id.in_(ids)))
    return len(ids)


def waiting(connection: Connection) -> list[tuple[str, int, int]]:
    """Count what waits by channel, with the time at which the oldest of it was written; new messages are ''."""
    sends = (
        sa.select(OUTBOX_SENDS.c.channel, sa.func.count(), sa.func.min(OUTBOX.c.created_ms))
        .join(OUTBOX, OUTBOX.c.message_id == OUTBOX_SENDS.c.message_id)
        .where(_WAITS)
        .group_by(OUTBOX_SENDS.c.channel)
    )
    new = sa.select(sa.func.count(), sa.func.min(OUTBOX.c.created_ms)).where(OUTBOX.c.is_new)
    found = [(channel, count, oldest) for channel, count, oldest in connection.execute(sends)]
    count, oldest = connection.execute(new).one()
    return [*found, ("", count, oldest)] if count else found


def _message(row: RowMapping) -> Message:
    return Message(
        id=row["message_id"],
        event=row["event_id"],
        kind=Kind(row["kind"]),
        subject=row["subject"],
        created_ms=row["created_ms"],
        facts=json.loads(row["body"]),
        trace=row["trace"] or "",
    )
