"""Schemas: the shop's tables on PostgreSQL, lent to one test after the other.

Making and dropping a hundred and more relations takes a quarter of a second of two processors, so what a test leaves
behind is taken away instead. The next one finds what it would find in a schema of its own: the same tables, empty,
sequences at their start, and nobody else connected. Whoever is still connected (as ``application_name`` tells) is hung
up on, and a schema whose laws are not what they were (a test drops an index, renames a table, leaves a trigger off) is
dropped; see test_schemas.py. Tests of the tables themselves begin with ``empty_shop_url``, which is never lent twice.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.checkout.templates import Templates

_HANG_UP = """
SELECT pg_terminate_backend(pid, 15000) FROM pg_stat_activity
WHERE application_name = %(schema)s AND pid <> pg_backend_pid()
"""

# By value where a value can come back (a trigger that was off is on again), by id where only a new one could take its
# place.
_LAWS = """
SELECT md5(string_agg(law, chr(10) ORDER BY law)) FROM (
    SELECT concat_ws(' ', 'relation', oid, relname, relkind, relpersistence, reloptions, relacl, relrowsecurity) AS law
    FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'column', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attidentity)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'default', d.oid, pg_get_expr(adbin, adrelid))
    FROM pg_attrdef d JOIN pg_class ON pg_class.oid = adrelid WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'constraint', oid, conname, convalidated)
    FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'index', indexrelid, indisunique, indisvalid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'trigger', t.oid, tgname, tgenabled)
    FROM pg_trigger t JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'function', oid, proname, prosrc)
    FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
) AS laws
"""

_TABLES = """
SELECT relname, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal)
FROM pg_class WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
"""

_FROM_THE_START = """
SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
WHERE relnamespace = %(schema)s::regnamespace
"""


class Schemas:
    """Schemas of one server: those that wait for a test."""

    def __init__(self, server: str, templates: Templates) -> None:
        """Make none yet. Not more of them than are lent at once are ever made."""
        self._server = server
        self._templates = templates
        self._free: list[_Schema] = []
        self._kept: psycopg.Connection | None = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Give the address of a schema with the shop's tables and nothing in them."""
        one = self._free.pop() if self._free else self._new()
        yield one.url
        if one.is_as_new(self._connection):
            self._free.append(one)
        else:
            one.drop(self._connection)

    def close(self) -> None:
        """Drop all that wait."""
        while self._free:
            self._free.pop().drop(self._connection)
        if self._kept is not None:
            self._kept.close()

    @property
    def _connection(self) -> psycopg.Connection:
        """Keep one that knows the tables already; a new one would first have to read of them all."""
        if self._kept is None or self._kept.closed:
            self._kept = psycopg.connect(self._server, autocommit=True)
        return self._kept

    def _new(self) -> "_Schema":
        name = f"shop_{secrets.token_hex(6)}"
        query = {"options": f"-csearch_path={name}", "application_name": name}
        url = make_url(self._server).update_query_dict(query).render_as_string(hide_password=False)
        self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        self._templates.fill(url)
        return _Schema(url, name, self._connection)


class _Schema:
    def __init__(self, url: str, name: str, connection: psycopg.Connection) -> None:
        """Look at one that is as it should be."""
        self.url = url
        self._name = name
        self._laws = self._read_laws(connection)
        found = connection.execute(_TABLES, self._named).fetchall()
        self._is_guarded = {str(table): bool(is_guarded) for table, is_guarded in found}
        self._began_with: dict[str, list[str]] = {}
        self._began_with = {table: self._rows(connection, table) for table in self._left(connection)}

    def is_as_new(self, connection: psycopg.Connection) -> bool:
        """Take away what a test left; says no where more than rows has changed."""
        connection.execute(_HANG_UP, self._named)
        if self._read_laws(connection) != self._laws:
            return False
        self._empty(connection, self._left(connection))
        return all(self._rows(connection, table) == rows for table, rows in self._began_with.items())

    def drop(self, connection: psycopg.Connection) -> None:
        """Take all of it away."""
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(self._name)))

    @property
    def _named(self) -> dict[str, str]:
        return {"schema": self._name}

    def _read_laws(self, connection: psycopg.Connection) -> str:
        row = connection.execute(_LAWS, self._named).fetchone()
        assert row is not None
        return str(row[0])

    def _left(self, connection: psycopg.Connection) -> list[str]:
        """Name the tables that hold rows and did not from the start."""
        asked = [
            sql.SQL("(SELECT {} FROM {} LIMIT 1)").format(sql.Literal(table), self._table(table))
            for table in self._is_guarded
            if table not in self._began_with
        ]
        return [str(row[0]) for row in connection.execute(sql.SQL(" UNION ALL ").join(asked))]

    def _empty(self, connection: psycopg.Connection, left: list[str]) -> None:
        # A log refuses to be emptied, as it should.
        guarded = [self._table(table) for table in left if self._is_guarded[table]]
        with connection.transaction():
            for table in guarded:
                connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
            if left:
                tables = sql.SQL(", ").join(self._table(table) for table in left)
                connection.execute(sql.SQL("TRUNCATE {}").format(tables))
            for table in guarded:
                connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(table))
            connection.execute(_FROM_THE_START, self._named)

    def _rows(self, connection: psycopg.Connection, table: str) -> list[str]:
        found = connection.execute(
            sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(self._table(table))
        )
        return [str(row[0]) for row in found]

    def _table(self, table: str) -> sql.Identifier:
        return sql.Identifier(self._name, table)
