"""Letters: what an organiser sees of the outbox: dead letters of an event, and how far the messages of an order are.

Read as things are now. Nothing of a person stands in it. Not here: HTTP (``organiser``), sending again (``store``).
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from checkout.notifications.message import SendState
from checkout.tables import OUTBOX, OUTBOX_SENDS

MOST = 200

_LETTERS = (
    sa.select(
        OUTBOX.c.message_id,
        OUTBOX.c.kind,
        OUTBOX.c.subject,
        OUTBOX.c.created_ms,
        OUTBOX_SENDS.c.channel,
        OUTBOX_SENDS.c.state,
        OUTBOX_SENDS.c.tries,
        OUTBOX_SENDS.c.due_ms,
        OUTBOX_SENDS.c.sent_ms,
        OUTBOX_SENDS.c.why,
    )
    .join(OUTBOX_SENDS, OUTBOX.c.message_id == OUTBOX_SENDS.c.message_id)
    .where(OUTBOX.c.event_id == sa.bindparam("event"))
    .order_by(OUTBOX.c.created_ms.desc(), OUTBOX.c.message_id, OUTBOX_SENDS.c.channel)
    .limit(MOST)
)


def dead(connection: Connection, event: str) -> Sequence[RowMapping]:
    """Return an event's dead letters, the newest first, so many at most."""
    query = _LETTERS.where(OUTBOX_SENDS.c.state == SendState.DEAD.value)
    return connection.execute(query, {"event": event}).mappings().all()


def about(connection: Connection, event: str, subject: str) -> Sequence[RowMapping]:
    """Return the messages about an order, one row for each channel."""
    query = _LETTERS.where(OUTBOX.c.subject == sa.bindparam("of"))
    return connection.execute(query, {"event": event, "of": subject}).mappings().all()
