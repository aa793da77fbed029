"""Outbox tables: what people are to be told, and how far each channel has come with it.

``tables`` gives these names as well; whoever asks for tables asks there. No address and no person's name stands here.
"""

import sqlalchemy as sa

from checkout.columns import META, flag, large, whole, words

IS_NEW = "is_new"
IS_WAITING = "state = 'waiting'"
IS_DEAD = "state = 'dead'"

OUTBOX = sa.Table(
    "outbox",
    META,
    # The name is the key: the same thing told twice is told once, and a moved event keeps its names.
    words("message_id", key=True),
    words("event_id"),
    words("kind"),
    words("subject"),
    words("body"),
    large("created_ms"),
    flag("is_new"),
    sa.Index("outbox_new", "created_ms", sqlite_where=sa.text(IS_NEW), postgresql_where=sa.text(IS_NEW)),
    sa.Index("outbox_age", "created_ms"),
    sa.Index("outbox_subject", "event_id", "subject"),
)
OUTBOX_SENDS = sa.Table(
    "outbox_sends",
    META,
    words("message_id", key=True),
    words("channel", key=True),
    words("event_id"),
    words("state"),
    whole("tries"),
    large("due_ms"),
    large("sent_ms"),
    words("why"),
    # How often somebody has asked for it once more: what is asked for on the way is sent again afterwards.
    whole("asked", default=0),
    # By the flag of what is not sent, never by the last one that was: what is committed late is found all the same.
    sa.Index(
        "outbox_sends_due",
        "channel",
        "due_ms",
        sqlite_where=sa.text(IS_WAITING),
        postgresql_where=sa.text(IS_WAITING),
    ),
    sa.Index(
        "outbox_sends_dead",
        "event_id",
        "due_ms",
        sqlite_where=sa.text(IS_DEAD),
        postgresql_where=sa.text(IS_DEAD),
    ),
)
