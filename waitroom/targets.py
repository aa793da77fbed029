"""Targets: whom events are told, and what may be one.

A target has a name, a way (``webhook``: signed events for programs; ``chat``: sentences as ``{"text": …}``; ``mail``:
sentences, a minute's in one mail), an address, and what it wants to hear of: rooms (none named stands for all) and
kinds. No kind named stands for what people and the schedule do with a room, nothing of single fans; for people (chat,
mail) for what is loud of that (``event_words``).

Which addresses may be called: ``kernel.reach``. Pure. Not here: where they are kept
(``target_store``), how they are told (``target_ways``), when (``target_round``).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from kernel.errors import Misconfigured
from kernel.reach import Reach
from waitroom.field_readers import NAME
from waitroom.journal import Kind

TARGETS_MOST = 50
ADDRESS_MOST = 2048
LIST_MOST = 100
FIELDS = frozenset({"name", "way", "address", "rooms", "kinds", "after"})

_MAILBOX = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}")


class Way(StrEnum):
    """How a target is told."""

    WEBHOOK = "webhook"
    CHAT = "chat"
    MAIL = "mail"


class State(StrEnum):
    """What a target is doing."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Somebody has stopped it; it goes on where it was."""
    DEAD = "dead"
    """It did not answer for so long that nobody tries any more, until somebody resumes it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom events are told. ``cursor`` is the last ``seq`` that needs no telling any more."""

    name: str
    way: Way
    address: str
    rooms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    salt: bytes = b""
    generation: int = 1
    old_until_ms: int = 0
    made_ms: int = 0
    state: State = State.ACTIVE
    cursor: int = 0
    tries: int = 0
    next_ms: int = 0
    why: str = ""
    told_ms: int = 0

    @property
    def tag(self) -> str:
        """What it is; how far it has heard and what it is doing are not part of that."""
        return tag_of(self.name, self.way.value, self.address, self.rooms, self.kinds)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try: what was told, and what came of it. ``first_seq`` 0 is a test event."""

    at_ms: int
    first_seq: int
    last_seq: int
    outcome: str
    why: str
    took_ms: int


def address_fault(way: Way, address: str, reach: Reach, *, mails: bool) -> str:
    """Say why a target may not have this address; '' where it may. `mails`: there is a mail server."""
    if way is not Way.MAIL:
        return reach.fault(address)
    if not mails:
        return "there is no mail server (reminder_mail_host)"
    return "" if _MAILBOX.fullmatch(address) else "must be a mail address"


def tag_of(name: str, way: str, address: str, rooms: Iterable[str], kinds: Iterable[str]) -> str:
    """Name what a target is by 32 hex digits: who knows the whole address can compare it with one that is not shown."""
    said = json.dumps([name, way, address, sorted(set(rooms)), sorted(set(kinds))])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def read_target(given: Mapping[str, Any], reach: Reach | None, *, mails: bool) -> tuple[Target, int | None]:
    """Read a target that somebody wants to make, and after which ``seq`` it is told; None: from now on.

    `reach` None: whether its address may be called is not known here. Raises ``Misconfigured`` with every fault.
    """
    faults = [f"{name}: there is no such field" for name in sorted(map(str, given.keys() - FIELDS))]
    name, way, address = given.get("name"), given.get("way"), given.get("address")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults.append("name: must be 1 to 63 of a-z 0-9 - and begin with a letter or digit")
    if way not in list(Way):
        faults.append("way: must be webhook, chat or mail")
    if not isinstance(address, str) or not 0 < len(address) <= ADDRESS_MOST:
        faults.append(f"address: must be a text of 1 to {ADDRESS_MOST} characters")
    elif reach and way in list(Way) and (fault := address_fault(Way(str(way)), address, reach, mails=mails)):
        faults.append(f"address: {fault}")
    rooms, kinds = given.get("rooms", []), given.get("kinds", [])
    if not _is_list(rooms) or not all(NAME.fullmatch(room) for room in rooms):
        faults.append(f"rooms: must be a list of at most {LIST_MOST} names of rooms")
    known = [kind.value for kind in Kind]
    if not _is_list(kinds) or not all(kind in known for kind in kinds):
        faults.append(f"kinds: must be a list of: {', '.join(known)}")
    after = given.get("after")
    if after is not None and (
        not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 1 << 53
    ):
        faults.append("after: must be a whole number, or null for what comes from now on")
    if faults:
        raise Misconfigured(faults)
    return Target(str(name), Way(str(way)), str(address), tuple(rooms), tuple(kinds)), after


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= LIST_MOST and all(isinstance(one, str) for one in value)


def shown_address(target: Target) -> str:
    """Write an address for others than who set it: of a chat's address the path is its secret."""
    if target.way is Way.MAIL:
        return target.address
    parts = urlsplit(target.address)
    rest = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc}/{'…' if rest else ''}"
