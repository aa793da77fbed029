"""Field: one named value of a room's configuration, and what may stand in it.

Each reader takes what JSON or TOML gave and returns the value to keep, or raises ``ValueError`` with the
rest of the sentence that begins with the field's name ("must be …, not …"). ``read`` applies a table of
readers and gathers **all** faults, because an operator who corrects ten mistakes one start at a time
has been insulted nine times.

What a reader takes is also written as JSON Schema (``schema_of``), for programs that read the API's description. A
schema says as much as JSON Schema can; the reader has the last word.

Not here: which fields a room has (``rooms``), faults between fields (``rooms``).
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

Reader = Callable[[object], Any]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PAGE_MAX_BYTES = 1_048_576
COUNT_MAX = 2_147_483_647

_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_PORT = re.compile(r":[0-9]{1,5}")
_PATH = re.compile(r"/[!-~]{0,1023}")
_WAY = re.compile(r"(https://|/)[!#-;=?-\[\]_a-z~%]{0,300}")
_SUFFIX = re.compile(r"[A-Za-z0-9_-]{0,32}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
_ANCESTOR = re.compile(r"(https?://)?(\*\.)?[A-Za-z0-9.-]{1,253}(:([0-9]{1,5}|\*))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_MAX = (datetime(9900, 1, 1, tzinfo=UTC) - _EPOCH).days
_SHOWN_CHARS = 60

_SCHEMAS: dict[Reader, Mapping[str, Any]] = {}


def described(reader: Reader, **schema: Any) -> Reader:
    """Keep what a reader takes as JSON Schema, and return the reader."""
    _SCHEMAS[reader] = schema
    return reader


def schema_of(reader: Reader) -> dict[str, Any]:
    """Return what a reader takes as JSON Schema (2020-12). Raises ``KeyError`` for one that was not ``described``."""
    if reader not in _SCHEMAS:
        name = getattr(reader, "__qualname__", reader)
        raise KeyError(f"the reader {name} needs a line such as described({name}, type='string')")
    return dict(_SCHEMAS[reader])


def shown(value: object) -> str:
    """Write a value as people typed it, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def refuse(what: str, value: object) -> ValueError:
    """Make the rest of a fault's sentence."""
    return ValueError(f"must be {what}, not {shown(value)}")


def whole(minimum: int, maximum: int = COUNT_MAX) -> Reader:
    """Read a whole number from `minimum` to `maximum`."""

    def read_whole(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise refuse(f"a whole number from {minimum} to {maximum}", value)
        return value

    return described(read_whole, type="integer", minimum=minimum, maximum=maximum)


def ratio(minimum: float, maximum: float) -> Reader:
    """Read a number from `minimum` to `maximum`."""

    def read_ratio(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise refuse(f"a number from {minimum:g} to {maximum:g}", value)
        return float(value)

    return described(read_ratio, type="number", minimum=minimum, maximum=maximum)


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise refuse("true or false", value)
    return value


def text(maximum: int, *, lines: bool = False) -> Reader:
    """Read a text of at most `maximum` characters, free of control characters (line ends where `lines`)."""

    def read_text(value: object) -> str:
        if not isinstance(value, str):
            raise refuse("a text", value)
        if len(value) > maximum:
            raise ValueError(f"must have at most {maximum} characters, not {len(value)}")
        if any(not char.isprintable() and not (lines and char == "\n") for char in value):
            raise refuse("a text without control characters", value)
        return value

    return described(read_text, type="string", maxLength=maximum)


def one_of(*choices: Any) -> Reader:
    """Read one of a few words or numbers, and return the choice itself (a ``StrEnum`` member stays one)."""
    kind = str if isinstance(choices[0], str) else int

    def read_choice(value: object) -> Any:
        if isinstance(value, kind) and not isinstance(value, bool):
            for choice in choices:
                if choice == value:
                    return choice
        raise refuse(f"one of {', '.join(str(choice) for choice in choices)}", value)

    words = [str(choice) if kind is str else choice for choice in choices]
    return described(read_choice, type="string" if kind is str else "integer", enum=words)


def optional(reader: Reader) -> Reader:
    """Let null through, which means: none, or inherit."""

    def read_optional(value: object) -> Any:
        return None if value is None else reader(value)

    return described(read_optional, anyOf=[schema_of(reader), {"type": "null"}])


def many(reader: Reader, maximum: int) -> Reader:
    """Read a list of at most `maximum` values into a tuple."""

    def read_many(value: object) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise refuse("a list", value)
        if len(value) > maximum:
            raise ValueError(f"must have at most {maximum} entries, not {len(value)}")
        return tuple(reader(item) for item in value)

    return described(read_many, type="array", items=schema_of(reader), maxItems=maximum)


def name(value: object) -> str:
    """Read the name of a room or a sale: it stands in addresses, cookies and keys of the store."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refuse("1 to 63 of a-z 0-9 -, and not begin with -", value)
    return value


def host(value: object) -> str:
    """Read a host name without scheme and port, or ``*`` for any; an IPv6 address stands in brackets."""
    if value == "*":
        return "*"
    lower = value.lower().rstrip(".") if isinstance(value, str) else ""
    if not _HOST.fullmatch(lower) and not _is_ipv6(lower):
        raise refuse('a host name such as shop.example.com, or "*" for any', value)
    return lower


def host_and_port(value: object) -> str:
    """Read a host name, with a port or without."""
    lower = value.lower() if isinstance(value, str) else ""
    port = _PORT.search(lower[lower.rfind("]") + 1 :])
    bare = lower[: -len(port[0])] if port and lower.endswith(port[0]) else lower
    if bare == "*" or (not _HOST.fullmatch(bare) and not _is_ipv6(bare)):
        raise refuse("a host name, with a port or without", value)
    return lower


def _is_ipv6(value: str) -> bool:
    return bool(re.fullmatch(r"\[[0-9a-f:.]{2,45}\]", value))


def path(value: object) -> str:
    """Read a path that begins with a slash; it covers everything below it."""
    folded = isinstance(value, str) and ("//" in value or "/../" in value + "/" or "/./" in value + "/")
    if not isinstance(value, str) or folded or not _PATH.fullmatch(value) or set(value) & set("?#\\;"):
        raise refuse("a path such as /tickets, without .., //, query and fragment", value)
    return value


def url(value: object) -> str:
    """Read the address of a site: scheme and host, a port where it is not the usual one."""
    try:
        parts = (
            urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
        )
        good = (
            parts is not None
            and parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and parts.username is None
            and parts.path in {"", "/"}
            and not parts.query
            and not parts.fragment
        )
        if good and parts is not None:
            host_and_port(parts.netloc)
            return f"{parts.scheme}://{parts.netloc.lower()}"
    except ValueError:
        pass
    raise refuse("an address such as https://shop.example.com, with nothing after the host", value)


def way(value: object) -> str:
    """Read where people are sent on to: a path of this site, or an https address; both as they stand in a link."""
    if isinstance(value, str) and _WAY.fullmatch(value) and not value.startswith("//"):
        try:
            parts = urlsplit(value)
            if parts.username is None and (value[0] == "/" or (parts.hostname and parts.port != 0)):
                return value
        except ValueError:
            pass
    raise refuse("a path such as /tickets, or an address such as https://www.example.com/tickets", value)


def leads_to(way: str, hosts: Collection[str]) -> bool:
    """Tell whether `way` stays on this site or goes to one of `hosts`, named with their port where it is not 443."""
    if way.startswith("/"):
        return True
    parts = urlsplit(way)
    host = (parts.hostname or "").rstrip(".")
    return f"{host}:{parts.port or 443}" in hosts or (parts.port in {None, 443} and host in hosts)


def cookie_suffix(value: object) -> str:
    """Read what is added to the names of the room's cookies."""
    if not isinstance(value, str) or not _SUFFIX.fullmatch(value):
        raise refuse("at most 32 of A-Z a-z 0-9 _ -", value)
    return value


def language(value: object) -> str:
    """Read a language tag (BCP 47: language, script, region)."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise refuse("a language such as en-US or zh-Hant-TW", value)
    return value


def frame_ancestor(value: object) -> str:
    """Read one source of the ``frame-ancestors`` directive; it is copied into a header."""
    if value == "'self'":
        return "'self'"
    if not isinstance(value, str) or not _ANCESTOR.fullmatch(value):
        raise refuse("'self' or a source such as https://www.example.com", value)
    return value


def page(value: object) -> str:
    """Read a page's HTML, at most 1 MiB of UTF-8."""
    if not isinstance(value, str):
        raise refuse("a text", value)
    size = len(value.encode("utf-8", "surrogatepass"))
    if size > PAGE_MAX_BYTES:
        raise ValueError(f"must have at most {PAGE_MAX_BYTES} bytes, not {size}")
    return value


def moment(value: object) -> int:
    """Read a time with its zone (ISO 8601, or TOML's own) into milliseconds since 1970."""
    at = value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
    if not isinstance(at, datetime):
        raise refuse("a time such as 2026-06-01T10:00:00+02:00", value)
    if at.tzinfo is None:
        raise ValueError(f"needs a zone, such as 2026-06-01T10:00:00+02:00 or …Z; {shown(value)} has none")
    since = at - _EPOCH
    if not 0 <= since.days < _DAYS_MAX:
        raise refuse("a time between the years 1970 and 9900", value)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def moment_text(at_ms: int) -> str:
    """Write a time in ISO 8601 with Z; milliseconds only where there are some."""
    seconds, ms = divmod(at_ms, 1000)
    text_s = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text_s}.{ms:03d}Z" if ms else f"{text_s}Z"


described(flag, type="boolean")
described(name, type="string", pattern=f"^{NAME.pattern}$")
described(host, type="string", minLength=1, maxLength=254)
described(host_and_port, type="string", minLength=1, maxLength=260)
described(path, type="string", pattern="^/", maxLength=1024)
described(url, type="string", pattern="^[Hh][Tt][Tt][Pp][Ss]?://")
described(way, type="string", pattern="^(https://|/)", maxLength=308)
described(cookie_suffix, type="string", pattern=f"^{_SUFFIX.pattern}$")
described(language, type="string", pattern=f"^{_LANGUAGE.pattern}$")
described(frame_ancestor, type="string", minLength=1, maxLength=280)
described(page, type="string", maxLength=PAGE_MAX_BYTES)
described(moment, type="string", format="date-time")


def read(
    table: Mapping[str, Reader],
    required: Collection[str],
    given: Mapping[str, object],
    where: str,
    faults: list[str],
) -> dict[str, Any]:
    """Read the values that `given` has, and add a sentence to `faults` for each that is wrong.

    `where` stands before each field's name in a fault ('' or ``sales.spring.``).
    """
    values: dict[str, Any] = {}
    for field, value in given.items():
        reader = table.get(field)
        if reader is None:
            faults.append(f"{where}{field} is not known{did_you_mean(field, table)}")
            continue
        try:
            values[field] = reader(value)
        except ValueError as fault:
            faults.append(f"{where}{field} {fault}")
    faults.extend(f"{where}{field} is missing" for field in required if field not in given)
    return values


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return ``; did you mean …?`` where a known name is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
