"""Sealed columns: which columns of which tables hold envelopes, and how the row is named that an envelope belongs to.

Whoever adds a sealed column adds it here, and it is rotated with the others; a test holds the list against the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from checkout.tables import ACCOUNTS, CONTACTS, PUSH_DEVICES, STAFF_FACTORS, WAITLIST_CONTACTS
from kernel.sealing import Where


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns. An empty column holds no envelope: ''."""

    table: sa.Table
    columns: Sequence[str]

    @property
    def key(self) -> Sequence[sa.Column[Any]]:
        """The columns that name a row."""
        return list(self.table.primary_key.columns)

    def where(self, row: Mapping[str, Any] | RowMapping, column: str) -> Where:
        """Name the place of a value."""
        return Where(self.table.name, "/".join(str(row[one.name]) for one in self.key), column)


SEALED_CONTACTS = SealedTable(CONTACTS, ("email", "name"))
SEALED_ACCOUNTS = SealedTable(ACCOUNTS, ("email", "name"))
SEALED_FACTORS = SealedTable(STAFF_FACTORS, ("secret",))
SEALED_WAITERS = SealedTable(WAITLIST_CONTACTS, ("email",))
SEALED_DEVICES = SealedTable(PUSH_DEVICES, ("subscription",))
SEALED_TABLES = (SEALED_CONTACTS, SEALED_WAITERS, SEALED_ACCOUNTS, SEALED_FACTORS, SEALED_DEVICES)
