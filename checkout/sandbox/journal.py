"""Journal: an append-only file with all that the sandbox knows, so that a demo outlives its restart.

One line of JSON for each call or passing of time, with everything that it changed, so a call is in it as a whole or not
at all. It is handed to the operating system before the answer goes out: an end of the process, even by force, loses
nothing; a loss of power may lose the last seconds, as nothing waits for the disk. A last line that is cut off is left
out. On opening the file is written anew with what is still known.

Without a file all of it is gone with the process. Not here: faults and deliveries under way; events that were not
delivered are sent again after a restart.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from checkout.sandbox.book import Book, Record
from checkout.sandbox.keys import Keys, Saved
from checkout.sandbox.records import Charge, Dispute, Event, Intent, Refund
from kernel.errors import Misconfigured

_KINDS: Mapping[str, type[Record]] = {"in": Intent, "ch": Charge, "re": Refund, "di": Dispute}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Journal:
    """The file; without a path, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def open(self, book: Book, keys: Keys) -> None:
        """Read what is there, write it anew, and go on from there. Raises ``Misconfigured``."""
        if self._path is None:
            return
        try:
            self._read(book, keys)
            book.taken()
            fresh = self._path.with_suffix(self._path.suffix + ".new")
            with fresh.open("wb") as file:
                for shelf in (book.intents, book.charges, book.refunds, book.disputes):
                    for thing in shelf.things.values():
                        file.write(_line([thing], [], None))
                for event in book.events.values():
                    file.write(_line([], [event], None))
                for saved in keys.all():
                    file.write(_line([], [], saved))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise Misconfigured(
                [f"The sandbox's file {self._path} cannot be used: {error.strerror}."]
            ) from error

    def write(self, changed: Iterable[Record], told: Iterable[Event], saved: Saved | None) -> None:
        """Write what has changed."""
        self._append(_line(changed, told, saved))

    def delivered(self, event: str) -> None:
        """Note that the receiver has an event."""
        self._append(orjson.dumps({"ok": event}) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        """Add a line, or nothing of it. Raises ``OSError``, as for a disk that is full."""
        if self._file is None:
            return
        size = self._file.tell()
        if self._file.write(line) != len(line):
            self._file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _read(self, book: Book, keys: Keys) -> None:
        if self._path is None or not self._path.exists():
            return
        lines = self._path.read_bytes().split(b"\n")
        # The last one has no end: it is empty, or was cut off.
        for number, line in enumerate(lines[:-1], 1):
            try:
                _restore(orjson.loads(line), book, keys)
            except (ValueError, TypeError, KeyError) as error:
                raise Misconfigured(
                    [f"Line {number} of the sandbox's file {self._path} is damaged."]
                ) from error


def _line(changed: Iterable[Record], told: Iterable[Event], saved: Saved | None) -> bytes:
    line: dict[str, Any] = {"things": [[_NAMES[type(thing)], thing] for thing in changed]}
    events = list(told)
    if events:
        line["events"] = events
    if saved is not None:
        body = saved.answer().body.decode()
        line["key"] = [saved.key, saved.call, saved.asked, saved.status, body, saved.at_ms]
    return orjson.dumps(line) + b"\n"


def _restore(line: Mapping[str, Any], book: Book, keys: Keys) -> None:
    if "ok" in line:
        event = book.events.get(line["ok"])
        if event is not None:
            event.is_safe = True
        return
    for name, fields in line["things"]:
        book.put(_KINDS[name](**fields))
    for fields in line.get("events", ()):
        book.keep_event(Event(**fields))
    if "key" in line:
        key, call, asked, status, body, at_ms = line["key"]
        keys.restore(Saved.of(key, call, asked, status, body.encode(), at_ms))
