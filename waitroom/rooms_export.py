"""Export: rooms as the TOML file that makes them: what differs from the defaults, and nothing else.

``parse_toml(to_toml(rooms))`` gives the same rooms (``tests/waitroom/test_rooms_export.py``). Times are TOML's own, in
ISO 8601 with Z. What only the store keeps (version, hash) is not written.

Not here: whose rooms (``gateway``), what is done with a file (``rooms_plan``, ``configure``).
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from waitroom.rooms import Room, Sale, sale_to_dict, to_dict

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TIMES = frozenset({"event_start_time", "event_end_time", "prequeue_start_time"})
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def sparse(room: Room) -> dict[str, Any]:
    """Write a room's document without name and without whatever has its default."""
    usual = to_dict(Room(room.name, ""))
    document = _differing(to_dict(room), usual)
    document.pop("name", None)
    if room.sales:
        document["sales"] = [_sparse_sale(sale) for sale in room.sales]
    return document


def to_toml(rooms: Iterable[Room]) -> str:
    """Write rooms as TOML, in the order of their names."""
    found = sorted(rooms, key=lambda room: room.name)
    return "\n".join("\n".join(_table(f"rooms.{room.name}", sparse(room))) + "\n" for room in found)


def _sparse_sale(sale: Sale) -> dict[str, Any]:
    usual = sale_to_dict(Sale(sale.name, sale.event_start_ms, sale.event_end_ms))
    required = {"name", "event_start_time", "event_end_time"}
    document = sale_to_dict(sale)
    return {name: value for name, value in document.items() if name in required or value != usual[name]}


def _differing(document: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        before = usual.get(name)
        if value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found[name] = _differing(value, before)
        else:
            found[name] = value
    return found


def _table(path: str, table: Mapping[str, Any], head: str = "[{}]") -> list[str]:
    """Write a table's own values, then the tables in it, then the lists of tables that sales are."""
    lines: list[str] = []
    inner: list[str] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            inner += ["", *_table(f"{path}.{_key(name)}", value)]
        elif name == "sales":
            for sale in value:
                inner += ["", *_table(f"{path}.sales", sale, "[[{}]]")]
        else:
            written = value if name in _TIMES else _value(value)
            lines.append(f"{_key(name)} = {written}")
    if inner and not lines:
        return inner[1:]  # a table of tables needs no head of its own
    return [head.format(path), *lines, *inner]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    match value:
        case str():
            return _lines(value) if "\n" in value else _text(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_key(name)} = {_value(part)}' for name, part in value.items())} }}"
        case _:
            return json.dumps(value)


def _text(value: str) -> str:
    return f'"{"".join(map(_char, value))}"'


def _lines(value: str) -> str:
    """Write a text of several lines as people do; a quote is escaped where three would end the text."""
    body = "".join(char if char in {"\n", "\t", '"'} else _char(char) for char in value)
    if body.endswith('"'):
        body = f'{body[:-1]}\\"'
    body = body.replace('"""', '""\\"')
    return f'"""\n{body}"""'


def _char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return f"\\u{ord(char):04x}" if ord(char) < 0x20 or ord(char) == 0x7F else char
