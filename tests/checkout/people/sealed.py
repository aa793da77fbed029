"""Sealed values for tests: keys in a folder, and buyers' contacts as rows that somebody sealed."""

from pathlib import Path

import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people.columns import SEALED_CONTACTS
from checkout.people.keys import PeopleKeys
from checkout.tables import CONTACTS

EVENT = "summer"
NOW_MS = 1_000_000


def keys_in(folder: Path) -> PeopleKeys:
    """Open the keys of a folder."""
    return PeopleKeys.open_keys(folder / "people-keys.json", NOW_MS)


def put_contact(database: ShopDatabase, keys: PeopleKeys, order: str, email: str, name: str = "") -> None:
    """Write a row."""
    own = {"event_id": EVENT, "order_id": order}
    row = {
        **own,
        "email": keys.seal(email, SEALED_CONTACTS.where(own, "email")),
        "email_index": keys.index("email", email),
        "name": keys.seal(name, SEALED_CONTACTS.where(own, "name")) if name else "",
        "language": "en",
        "changed_ms": NOW_MS,
    }
    with database.writing() as connection:
        connection.execute(sa.insert(CONTACTS), row)


def envelopes(database: ShopDatabase) -> dict[str, str]:
    """Give each order's sealed address."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(CONTACTS.c.order_id, CONTACTS.c.email).order_by(CONTACTS.c.order_id)
        )
        return {row.order_id: row.email for row in rows}


def opened(database: ShopDatabase, keys: PeopleKeys) -> dict[str, str]:
    """Give each order's address."""
    return {
        order: keys.open(envelope, SEALED_CONTACTS.where({"event_id": EVENT, "order_id": order}, "email"))
        for order, envelope in envelopes(database).items()
    }
