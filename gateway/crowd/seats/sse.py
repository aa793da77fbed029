"""Server-sent events: a stream of text, read as a browser's EventSource does (HTML standard, section 9.2.6).

Pieces may be cut anywhere, also within a character's bytes; lines end with LF, CRLF or CR.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class Message(NamedTuple):
    """One event; ``id`` is the last that was told, ``name`` is 'message' unless told otherwise."""

    name: str
    id: str
    text: str


@dataclass(slots=True)
class Reader:
    """Puts pieces together."""

    last_id: str = ""
    _rest: bytes = b""
    _name: str = ""
    _texts: list[str] = field(default_factory=list)

    def feed(self, piece: bytes) -> list[Message]:
        """Take a piece; give the events that it completes."""
        text = (self._rest + piece).replace(b"\r\n", b"\n")
        # A CR at the very end may be half of a CRLF.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, self._rest = text.removesuffix(b"\r").replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        found = []
        for line in lines:
            if line:
                self._line(line.decode("utf-8", "replace"))
            elif message := self._whole():
                found.append(message)
        return found

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._texts.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self.last_id = value
            case _:  # a comment, the time to wait before connecting again, or nothing that we know
                pass

    def _whole(self) -> Message | None:
        name, texts = self._name or "message", self._texts
        self._name, self._texts = "", []
        return Message(name, self.last_id, "\n".join(texts)) if texts else None
