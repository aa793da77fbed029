"""Sheet: rows as CSV (RFC 4180) that a spreadsheet opens without running anything in it. Pure.

UTF-8, a header, lines that end in CR LF. A text that begins with ``= + - @``, a tab, CR or LF may be taken for a
formula (CWE-1236), and a name or a reason is somebody else's text: it gets an apostrophe in front. Numbers are ours and
stay as they are. What is unknown is empty.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def sheet(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write a whole sheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def cell(value: object) -> str:
    """Write one cell."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return "" if value is None else str(value)


def moment(at_ms: int) -> str:
    """Write a time: UTC, RFC 3339, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
