"""Bundle: one archive with what support needs to see, and nothing that is secret or somebody's.

Two nets, as everywhere. The first is what is taken in at all: of a log line the fields that are known to be harmless,
of an exception where it was raised and of which kind, of a room's document what is no free text, of the journal's acts
everything but their bodies, of a setting nothing that had to be redacted. The second goes over every text that is
left: secrets of this installation by their values, and what looks like a person's or a secret (``kernel.redacting``).

``manifest.json`` says what is in and what was left out, so whoever sends it can read that first. Nothing is sent from
here.
"""

import io
import json
import tarfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from re import compile as form
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.doctor.chosen import post_settings
from gateway.doctor.machine import secret_files
from gateway.logs import OWN_LOGGERS
from gateway.settings import Settings
from kernel.redacting import SECRET, Known, is_secret, redacted
from kernel.settings import describe

LEFT_OUT = "[left out]"
LEAST_LETTERS = 8
"""A secret that is shorter may be a word of any sentence."""

MODE = 0o600
LOG_FIELDS = frozenset({
    "time", "level", "logger", "trace_id", "span_id", "room", "lane", "run", "code", "status", "outcome", "act",
    "attempt", "tries", "pause_ms", "pause_s", "drain_s", "channel", "provider", "state", "task", "child", "count",
    "connections", "package", "lag_ms", "reference",
})  # fmt: skip
"""Fields of a log line whose values are numbers, or words and ids of ours."""

_PLAIN = form(r"[a-z0-9._:/*-]{1,200}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{5})?")
"""A text that is a word, an address or a time; not a sentence, and nobody's name as people write it."""

_FRAME = form(r'\s+File "(?:.*/)?([^"/]+/[^"/]+)", line (\d+), in ([\w<>]+)')
_RAISED = form(
    r"([A-Za-z_][\w.]*(?:Error|Exception|Unavailable|Refused|Interrupt|Exit|Stale|Unclear|NotNow|Refusal))\b.*"
)


@dataclass(slots=True)
class Bundle:
    """What is put into the archive. `known`: every text passes it."""

    known: Known
    files: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, what: str, content: object) -> None:
        """Put a file in: a text as it is, anything else as JSON."""
        clean = self._clean(content)
        text = clean if isinstance(clean, str) else json.dumps(clean, indent=1, ensure_ascii=False) + "\n"
        self.files[name], self.told[name] = text, what

    def add_lines(self, name: str, what: str, lines: Iterable[object]) -> None:
        """Put a file in that has one JSON document in a line; each is cleaned before it is written, not after.

        A quotation mark in a secret is written with a backslash, and would not be found any more.
        """
        self.files[name] = "".join(json.dumps(self._clean(line), ensure_ascii=False) + "\n" for line in lines)
        self.told[name] = what

    def leave_out(self, what: str) -> None:
        """Say what is not in it, and why."""
        self.left_out.append(what)

    def write(self, path: Path) -> None:
        """Write the archive; only its owner may read it. Raises ``OSError``, also where there is one already."""
        manifest = json.dumps({"in": self.told, "left_out": self.left_out}, indent=1, ensure_ascii=False)
        everything = {"manifest.json": f"{manifest}\n", **self.files}
        octets = io.BytesIO()
        with tarfile.open(fileobj=octets, mode="w:gz") as archive:
            for name, text in everything.items():
                member, content = tarfile.TarInfo(f"waitroom-support/{name}"), text.encode(errors="replace")
                member.size, member.mode = len(content), MODE
                archive.addfile(member, io.BytesIO(content))
        path.touch(MODE, exist_ok=False)
        path.write_bytes(octets.getvalue())

    def _clean(self, content: object) -> Any:
        if isinstance(content, str):
            return self.known.redacted(content)
        if isinstance(content, Mapping):
            return {self.known.redacted(str(key)): self._clean(value) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self._clean(value) for value in content]
        return content


def secrets_of(settings: Settings) -> Known:
    """Collect the secrets of an installation by their values: those set, and those in its files."""
    found: set[str] = set()
    post = post_settings(settings)
    for kind, given in ((Settings, settings), *([] if post is None else [(type(post), post)])):
        for row in describe(kind):
            value = getattr(given, row.name)
            if isinstance(value, str):
                found |= {value} if row.secret else _passwords(value)
    for path in secret_files(settings).values():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        try:
            found |= set(_strings(json.loads(text)))
        except ValueError:
            found |= {line.strip() for line in text.splitlines()}
    named = dict.fromkeys((value for value in found if len(value) >= LEAST_LETTERS), SECRET)
    return Known({**named, str(Path.home()): "~"})


def _passwords(address: str) -> set[str]:
    """Find the password in an address, as a database's has one."""
    try:
        parts = urlsplit(address)
        given = {parts.password, *(value for name, value in parse_qsl(parts.query) if is_secret(name))}
    except ValueError:
        return set()
    return {text for one in given if one for text in (one, unquote(one))}


def _strings(document: object) -> Iterable[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from _strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from _strings(value)


# ------------------------------------------------------------------------------ what is taken in


def settings_told(settings: Settings) -> dict[str, object]:
    """Tell the settings: of a secret whether it is set; nothing of what would have to be redacted."""
    told: dict[str, object] = {}
    for row in describe(Settings):
        value = getattr(settings, row.name)
        if value is None or isinstance(value, bool | int | float):
            told[row.env] = value if not row.secret else None
            continue
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        hidden = row.secret or redacted(text) != text or bool(_passwords(text))
        told[row.env] = "is set, and left out" if hidden else text
    return told


def room_told(document: object) -> object:
    """Tell a room's document without its free texts."""
    if isinstance(document, Mapping):
        return {
            str(name): LEFT_OUT if is_secret(str(name)) else room_told(value)
            for name, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [room_told(value) for value in document]
    if isinstance(document, str) and document and not _PLAIN.fullmatch(document):
        return f"[text of {len(document)} characters]"
    return document


def log_told(lines: Iterable[str], most: int) -> tuple[list[dict[str, object]], int]:
    """Tell the last lines of a log; returns them, and how many of them were no lines of ours."""
    kept: list[dict[str, object]] = []
    foreign = 0
    for line in deque(lines, most):
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            foreign += 1
            continue
        kept.append(_line_told(fields))
    return kept, foreign


def _line_told(fields: Mapping[str, object]) -> dict[str, object]:
    is_ours = str(fields.get("logger", "")).partition(".")[0] in OWN_LOGGERS
    told: dict[str, object] = {}
    for name, value in fields.items():
        if name == "message":
            told[name] = value if is_ours else LEFT_OUT
        elif name == "exception":
            told[name] = frames(str(value))
        elif isinstance(value, int | float) or value is None:
            told[name] = LEFT_OUT if is_secret(name) else value
        else:
            told[name] = value if name in LOG_FIELDS and _is_word(str(value)) else LEFT_OUT
    return told


def _is_word(text: str) -> bool:
    return len(text) <= 64 and " " not in text


def frames(exception: str) -> list[str]:
    """Tell where an exception was raised and of which kind, and nothing of what it said."""
    told = []
    for line in exception.splitlines():
        if found := _FRAME.match(line):
            told.append(f"{found[1]}:{found[2]} {found[3]}")
        elif found := _RAISED.fullmatch(line):
            told.append(found[1])
    return told


def acts_told(entries: Sequence[Any]) -> list[dict[str, object]]:
    """Tell acts of the journal without their bodies."""
    return [
        {"seq": one.seq, "at_ms": one.at_ms, "room": one.room, "run": one.run, "kind": str(one.kind)}
        for one in entries
    ]
