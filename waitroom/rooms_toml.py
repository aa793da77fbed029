"""Rooms in TOML: ``[rooms.main]`` with a room's settings, ``[[rooms.main.sales]]`` for each sale.

Each room carries the hash of what the file said of it (``source_hash``), not of what that came to with the
defaults: a release with another default must not look like a changed file.

All faults of the file are told at once, each with the room and the field; only a file that is not TOML at all stops at
the first, with its line. Not here: which file (``gateway``), what is done with the rooms (``configure``).
"""

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import replace

from kernel.errors import Misconfigured
from waitroom.field_readers import NAME, did_you_mean, shown
from waitroom.rooms import Room, clashes, parse

_TABLE = "rooms"


def parse_toml(text: str, beside: Collection[str] = ()) -> list[Room]:
    """Read the rooms of a TOML text; `beside` names the other tables that may stand in it.

    Raises ``Misconfigured`` with all faults.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured([f"This is not TOML: {error}."]) from error
    except RecursionError as error:
        raise Misconfigured(["This is not TOML: it is nested too deeply."]) from error
    known = {_TABLE, *beside}
    faults = [f"{name} is not known{did_you_mean(name, known)}" for name in document if name not in known]
    tables = document.get(_TABLE, {})
    if not isinstance(tables, Mapping):
        raise Misconfigured([*faults, f"{_TABLE} must be tables such as [rooms.main], not {shown(tables)}"])
    rooms = []
    for name, table in tables.items():
        room = _room(name, table, faults)
        if room is not None:
            rooms.append(room)
    faults.extend(clashes(rooms))
    if faults:
        raise Misconfigured(faults)
    return rooms


def named_in(text: str) -> dict[str, frozenset[str]]:
    """Return which settings a TOML text names, by room; the text is one that ``parse_toml`` takes."""
    return {name: frozenset(table) for name, table in tomllib.loads(text).get(_TABLE, {}).items()}


def _room(name: str, table: object, faults: list[str]) -> Room | None:
    where = f"{_TABLE}.{name}"
    if not NAME.fullmatch(name):
        faults.append(f"{where}: a room's name must be 1 to 63 of a-z 0-9 -, and not begin with -")
        name = "unnamed"
    if not isinstance(table, Mapping):
        faults.append(f"{where} must be a table, not {shown(table)}")
        return None
    if "name" in table:
        faults.append(f"{where}.name is not known: the table's own name is the room's name")
    said = json.dumps(table, sort_keys=True, default=str)
    try:
        room = parse({**table, "name": name}, f"{where}.")
        return replace(room, source_hash=hashlib.sha256(said.encode()).hexdigest()[:32])
    except Misconfigured as error:
        faults.extend(error.faults)
        return None
