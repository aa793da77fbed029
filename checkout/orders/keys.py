"""Keys: which request of an organiser a key belongs to, so that a repeat is the same wish and another body is refused.

Written in the transaction of what the key began. Inside of the caller's transaction. Not here: how a key comes
(``checkout.requests``), a buyer's keys (``orders.service``).
"""

import hashlib

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.tables import IDEMPOTENCY

_NEW = sa.insert(IDEMPOTENCY)
_OF = sa.select(IDEMPOTENCY.c.body_hash).where(
    IDEMPOTENCY.c.scope == sa.bindparam("of_scope"), IDEMPOTENCY.c.key == sa.bindparam("of_key")
)


class OtherBody(Exception):
    """The key belongs to another request; nothing was changed."""


def once_for(connection: Connection, scope: str, key: str, body: bytes, now_ms: int) -> None:
    """Bind a key to a body, or see that it is bound to this one. Raises ``OtherBody``, ``IntegrityError``."""
    given = hashlib.sha256(body).hexdigest()
    known = connection.scalar(_OF, {"of_scope": scope, "of_key": key})
    if known is None:
        row = {"scope": scope, "key": key, "body_hash": given, "state": "bound", "created_ms": now_ms}
        connection.execute(_NEW, row)
    elif known != given:
        raise OtherBody
