"""Record: what a client of the shop asked, was told and saw, with the times; a line of JSON each.

A load driver writes them, the checker reads them (``history``, ``audit.invariants``). Three kinds and a note:

* ``operation``: a client's request that wants to change something. ``called_us`` is taken before the request is sent,
  ``returned_us`` when the whole answer is there; no answer (a cut connection, a 5xx) is ``null`` for both answer and
  return: the act may or may not have happened, then or later.
* ``snapshot``: a seat map that somebody fetched, or the store's own (with ``counts`` per status, 0 to 5).
* ``delta``: what a viewer's stream said; ``changed`` is the text on the wire, or ``reset``.
* ``loss``: the store was emptied or set back in this time. The driver that did it says so.

Times of clients are microseconds since 1970 by one clock, because two operations within a millisecond still have an
order; ``until_ms`` is what the shop told. Not here: what is right (``history``, ``audit.invariants``).
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import orjson

LINE_MAX_BYTES = 1_000_000
MAP_MAX_BYTES = 4_000_000
US_PER_MS = 1000


class Act(StrEnum):
    """What a client may want of a hold; ``cancel`` ends the reservation that came of it."""

    HOLD = "hold"
    EXTEND = "extend"
    RELEASE = "release"
    RESERVE = "reserve"
    CANCEL = "cancel"


class Answer(StrEnum):
    """What the client was told.

    ``gone`` is for a hold that is over (released, expired, lost, never made), not for one that is being paid for or
    sold. ``refused`` stands for every answer that says nothing of a seat or of the hold's end.
    """

    DONE = "done"
    TAKEN = "taken"
    GONE = "gone"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Operation:
    """A request and its answer.

    ``seats`` are those of the hold (of the wish, where it was refused); ``taken`` the pairs (seat, status) that a
    refusal listed. ``until_ms`` is the end that the answer told; an unanswered one may carry the earliest end that it
    can have had.
    """

    act: Act
    hold: str
    buyer: str
    seats: tuple[int, ...]
    called_us: int
    returned_us: int | None
    answer: Answer | None
    until_ms: int | None = None
    taken: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Loss:
    """The store lost something at one moment between these two times, and was rebuilt."""

    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A map as it was read; ``viewer`` is '' where no stream follows."""

    viewer: str
    at_us: int
    version: str
    map: bytes
    counts: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A message of a viewer's stream."""

    viewer: str
    at_us: int
    version: str
    changed: str


Record = Operation | Loss | Snapshot | Delta

_KINDS: dict[str, type[Record]] = {
    "operation": Operation,
    "loss": Loss,
    "snapshot": Snapshot,
    "delta": Delta,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def write(record: Record) -> bytes:
    """Return the record as a line."""
    row: dict[str, Any] = {"what": _NAMES[type(record)], **asdict(record)}
    if isinstance(record, Snapshot):
        row["map"] = base64.b64encode(zlib.compress(record.map, 1)).decode()
    return orjson.dumps(row) + b"\n"


def read(lines: Iterable[bytes]) -> Iterator[Record]:
    """Read lines; empty ones are passed over.

    Raises ``ValueError`` that names the line, at the first that is no record.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _record(line)
        except (ValueError, TypeError, KeyError, zlib.error, binascii.Error) as error:
            raise ValueError(f"line {number} is no record: {error}") from error


def _record(line: bytes) -> Record:
    if len(line) > LINE_MAX_BYTES:
        raise ValueError("it is too long")
    row = orjson.loads(line)
    kind = _KINDS.get(str(row.pop("what", ""))) if isinstance(row, dict) else None
    if kind is None:
        raise ValueError("`what` must be one of operation, loss, snapshot, delta")
    if kind is Operation:
        return _operation(row)
    if kind is Snapshot:
        row["map"] = _inflated(row["map"])
        row["counts"] = None if row.get("counts") is None else tuple(map(_whole, row["counts"]))
    _wholes(row, ("at_us", "from_us", "until_us"))
    _texts(row, ("viewer", "version", "changed"))
    return kind(**row)


def _operation(row: dict[str, Any]) -> Operation:
    row["act"] = Act(row["act"])
    row["answer"] = None if row["answer"] is None else Answer(row["answer"])
    row["seats"] = tuple(map(_whole, row["seats"]))
    row["taken"] = tuple((_whole(seat), _whole(status)) for seat, status in row.get("taken", ()))
    _wholes(row, ("called_us",))
    _texts(row, ("hold", "buyer"))
    for name in ("returned_us", "until_ms"):
        if row.get(name) is not None:
            _whole(row[name])
    operation = Operation(**row)
    if (operation.answer is None) != (operation.returned_us is None):
        raise ValueError("`answer` and `returned_us` are there together or not at all")
    if operation.returned_us is not None and operation.returned_us < operation.called_us:
        raise ValueError("it returned before it was called")
    return operation


def _inflated(text: str) -> bytes:
    inflate = zlib.decompressobj()
    octets = inflate.decompress(base64.b64decode(text, validate=True), MAP_MAX_BYTES)
    if inflate.unconsumed_tail or not inflate.eof:
        raise ValueError("the map is too long, or cut")
    return octets


def _wholes(row: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in row:
            _whole(row[name])


def _texts(row: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in row and not isinstance(row[name], str):
            raise ValueError(f"`{name}` is no text")


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value
