"""Revision: one accepted change of a room's settings, numbered.

Two operators may press a button in the same second. Whoever changes settings names the version that they saw;
only the first of two is accepted, the other is told the current version and looks again (compare and set).
``configure`` is the rule, ``lua/configure.lua`` the same in the store.

A removed room keeps its number: a room of that name made later goes on counting, so that a version once seen
never means other settings. Not here: what settings may be (``rooms``), who may change them (``dashboards``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from waitroom.rooms import Room, to_dict

SHORT_CHARS = 80


class Act(StrEnum):
    """What is done to the settings."""

    PUT = "put"
    REMOVE = "remove"
    RESTORE = "restore"


class Word(StrEnum):
    """How it came out."""

    CONFIGURED = "configured"
    REMOVED = "removed"
    RESTORED = "restored"
    STALE = "stale"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has under a room's name: the last version, and whether the room is gone."""

    version: int
    removed: bool = False

    @property
    def live(self) -> int:
        """The version that a writer must name; 0 where there is no room."""
        return 0 if self.removed else self.version


@dataclass(frozen=True, slots=True)
class Outcome:
    """The word, and the version that it is about (0 for absent)."""

    word: Word
    version: int = 0


def configure(kept: Kept | None, act: Act, expected: int) -> tuple[Kept | None, Outcome]:
    """Accept a change that names the current version (`expected`; 0 makes a new room), refuse any other.

    ``restore`` puts back what a store has lost: `expected` is then the version to put back.
    """
    before = kept or Kept(0)
    if act is Act.RESTORE:
        if before.version >= expected:
            return kept, Outcome(Word.STALE, before.version)
        return Kept(expected), Outcome(Word.RESTORED, expected)
    if before.live == 0 and (act is Act.REMOVE or expected != 0):
        return kept, Outcome(Word.ABSENT)
    if before.live != expected:
        return kept, Outcome(Word.STALE, before.live)
    after = Kept(before.version + 1, removed=act is Act.REMOVE)
    return after, Outcome(Word.REMOVED if after.removed else Word.CONFIGURED, after.version)


def difference(before: Room | None, after: Room | None) -> list[list[str]]:
    """List ``[field, old, new]`` for each setting that changed, in words short enough to show."""
    if before is None or after is None:
        return [["room", "–" if before is None else "there", "–" if after is None else "there"]]
    return [
        [field, shortened(was), shortened(now)]
        for field, was, now in differences(to_dict(before), to_dict(after))
    ]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List (field, old, new) for each value that differs between two documents; sales are told by their names."""
    return _differences("", _flat(old), _flat(new))


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    sales = {f"sales.{sale['name']}": sale for sale in document.get("sales") or ()}
    return {name: value for name, value in document.items() if name != "sales"} | sales


def _differences(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys((*old, *new)):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            found += _differences(f"{where}{name}.", was, now)
        else:
            found.append((f"{where}{name}", was, now))
    return found


def shortened(value: object) -> str:
    """Write a value in words short enough to show."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return "there"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= SHORT_CHARS else text[: SHORT_CHARS - 1] + "…"
