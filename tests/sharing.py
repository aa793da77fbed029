"""What each application and each client of a process makes anew, made once for all tests of the process.

* The roots of trust that ``httpx`` reads for each client: 20 ms of CPU for each, and most clients never speak TLS.
* Templates: an application compiles its own, 5 to 12 ms for each page, and there are as many as there are tests.

Both are the same whoever made them: a context of certificates is for any number of connections, and what a template
compiles to hangs on its text and on the settings that are part of the key here. (In production each process has
one of each.)

* And each commit to SQLite waits for the disk, 4 ms and more of a busy one. What a process wrote is there when the
  process is killed; no test pulls the plug of the machine. (PostgreSQL does not wait in tests either.)
"""

import sqlite3
import ssl
from types import CodeType
from typing import Any

import httpx._transports.default as transports
import jinja2
from sqlalchemy.pool import ConnectionPoolEntry

from kernel import database

_create_ssl_context = transports.create_ssl_context
_compile = jinja2.Environment.compile
REAL_SETTINGS = database._sqlite_settings
"""What each connection to SQLite is told in production."""

_usual: list[ssl.SSLContext] = []
_compiled: dict[tuple[Any, ...], CodeType | str] = {}


def share() -> None:
    """Begin to share."""
    transports.create_ssl_context = _context  # type: ignore[attr-defined]
    jinja2.Environment.compile = _code  # type: ignore[method-assign, assignment]
    database._sqlite_settings = _without_waiting


def _without_waiting(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    REAL_SETTINGS(connection, record)
    connection.execute("PRAGMA synchronous = OFF")


def _context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None or not trust_env:
        return _create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
    if not _usual:
        _usual.append(_create_ssl_context())
    return _usual[0]


def _code(
    own: jinja2.Environment,
    source: Any,
    name: str | None = None,
    filename: str | None = None,
    raw: bool = False,
    defer_init: bool = False,
) -> CodeType | str:
    if not isinstance(source, str):
        return _compile(own, source, name, filename, raw, defer_init)  # type: ignore[call-overload, no-any-return]
    key = (
        source, name, filename, raw, defer_init, own.autoescape, own.trim_blocks, own.lstrip_blocks,
        own.keep_trailing_newline, own.is_async, own.undefined, tuple(own.filters.items()), tuple(own.tests.items()),
        tuple(own.extensions),
    )  # fmt: skip
    if key not in _compiled:
        _compiled[key] = _compile(own, source, name, filename, raw, defer_init)  # type: ignore[call-overload]
    return _compiled[key]
