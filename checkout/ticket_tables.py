"""Ticket tables: tickets, what of them is being given to somebody else, and who was let in with them.

``tables`` gives all of these names as well; whoever asks for tables asks there.
"""

import sqlalchemy as sa

from checkout.columns import META, flag, large, whole, words

COUNTS = "state <> 'revoked'"
TICKETS = sa.Table(
    "tickets",
    META,
    words("id", key=True),
    words("event_id"),
    words("order_id"),
    words("reservation_id"),
    whole("seat"),
    whole("issue"),
    words("holder"),
    words("state"),
    words("why"),
    large("created_ms"),
    large("used_ms"),
    large("changed_ms"),
    whole("version"),
    # A line of an order has one ticket for each issue, and a seat has one that counts.
    sa.UniqueConstraint("order_id", "seat", "issue", name="tickets_line"),
    sa.Index(
        "tickets_seat",
        "event_id",
        "seat",
        unique=True,
        sqlite_where=sa.text(COUNTS),
        postgresql_where=sa.text(COUNTS),
    ),
    sa.Index("tickets_reservation", "reservation_id"),
    # A scanner asks what has changed since.
    sa.Index("tickets_changed", "event_id", "changed_ms"),
)
TRANSFERS = sa.Table(
    "ticket_transfers",
    META,
    words("ticket_id", key=True),
    words("event_id"),
    words("state"),
    words("became"),
    large("created_ms"),
    large("until_ms"),
    large("changed_ms"),
    sa.Index("ticket_transfers_event", "event_id"),
)
SCANNERS = sa.Table(
    "scanners",
    META,
    words("id", key=True),
    words("event_id"),
    words("name"),
    words("token_hash"),
    flag("revoked"),
    large("created_ms"),
    large("until_ms"),
    large("seen_ms"),
    sa.Index("scanners_event", "event_id"),
)
SCANS = sa.Table(
    "ticket_scans",
    META,
    # The scanner names each scan, so sending it twice is sending it once.
    words("scanner_id", key=True),
    words("id", key=True),
    words("event_id"),
    words("ticket_id"),
    words("outcome"),
    words("told"),
    large("at_ms"),
    large("came_ms"),
    sa.Index("ticket_scans_ticket", "ticket_id"),
    sa.Index("ticket_scans_event", "event_id", "came_ms"),
)
