"""Log: what an operator acts on, one line each on stderr, as JSON (default) or as text for people.

Use the standard library: ``log = logging.getLogger(__name__)`` and ``log.info("room opened",
extra={"room": room})``. The message is constant, what varies stands in fields. A field whose name holds
a secret's word never reaches the output, and what looks like a person's or a secret is taken out of every
value (``kernel.redacting``, which says what becomes of network addresses); this is the second net, the first is not to
log such things. Times are UTC with milliseconds, taken when the line was made.

A line that belongs to a request, or to what came of one, names its trace: ``trace_id`` and ``span_id``
(``kernel.tracing``).
"""

import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from kernel.redacting import is_secret, redacted
from kernel.tracing import current

REDACTED = "[redacted]"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

_CAUSES, _FRAMES = 4, 8

_OURS = frozenset({"trace_id", "span_id"})


def configure(level: str, *, text: bool = False, ours: Sequence[str] = ()) -> None:
    """Send all loggers to stderr in one form; a second call replaces the first.

    `level` is that of the loggers below `ours`. Packages of others speak from warnings on: what they tell of their work
    (headers, frames, whole addresses) is somebody's. Raises ``ValueError`` for an unknown level.
    """
    wanted = level.upper()
    root = logging.getLogger()
    root.setLevel(wanted)
    root.setLevel(max(root.level, logging.WARNING))
    for name in ours:
        logging.getLogger(name).setLevel(wanted)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if text else JsonLines())
    for earlier in list(root.handlers):
        if isinstance(earlier.formatter, JsonLines | TextLines):
            root.removeHandler(earlier)
    root.addHandler(handler)


def described(error: BaseException) -> str:
    """Say what an error is and where it came from, and nothing in its own words.

    For work with secrets that have no form, such as the address of a chat: an error quotes what it fell over.
    """
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) < _CAUSES:
        frames = traceback.extract_tb(cause.__traceback__)[-_FRAMES:]
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[::-1])
        parts.append(f"{type(cause).__name__} at {places or 'no place'}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(parts)


class JsonLines(logging.Formatter):
    """One JSON object in a line: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        line.update((name, value) for name, value in _fields(self, record) if name not in line)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Time, level and message, then ``name=value``; a line break in a value cannot fake a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        message = redacted(record.getMessage()).replace("\r", "\\r").replace("\n", "\\n")
        exception = ""
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {message}"
        for name, value in _fields(self, record):
            if name == "exception":
                exception = f"\n{value}"
            else:
                line += f" {name}={json.dumps(value, default=str, ensure_ascii=False)}"
        return line + exception


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    if (here := current()) is not None:
        yield "trace_id", here.trace_id
        yield "span_id", here.span_id
    for name, value in vars(record).items():
        if name not in _STANDARD and name not in _OURS:
            yield name, _redacted(name, value)
    if record.exc_info:
        yield "exception", redacted(formatter.formatException(record.exc_info))


def _redacted(name: object, value: object) -> object:
    if isinstance(name, str) and is_secret(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _redacted(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return redacted(str(value))
