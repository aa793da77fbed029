"""Targets in a file: ``[[targets]]`` beside the rooms, what a file would change, and the file that makes what is there.

    [[targets]]
    name = "shop"
    way = "webhook"
    address_env = "SHOP_HOOK"     # or address_file = "shop.address", or address = "https://hooks.example/waitroom"
    rooms = ["main"]
    kinds = ["opened", "phase"]

Of an address the path is often the secret. So a file may name another file, or a variable of the environment, that has
the address; a plan shows an address as the API does, without its path; and an export names a variable instead. Whether
an address is what it was is told by the target's tag (``targets.tag_of``). What a target is doing (paused, dead) and
how far it has heard is no business of a file.

A file without the word ``targets`` says nothing of them; ``targets = []`` says that there are none. Pure: who reads
files and the environment is an argument. Not here: HTTP (``gateway``).
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kernel.errors import Misconfigured
from waitroom.field_readers import did_you_mean
from waitroom.rooms_plan import DOING, Act, Document, Step
from waitroom.targets import FIELDS, TARGETS_MOST, Target, Way, read_target, shown_address, tag_of

TABLE = "targets"
SOURCES = ("address", "address_file", "address_env")
_KNOWN = (FIELDS - {"after"}) | set(SOURCES)
_HIDDEN = "…"

Source = Callable[[str, str], str]
"""Gives an address by ``address_file`` or ``address_env`` and the name that stands there. Raises ``Misconfigured``."""


def targets_in(text: str, source: Source) -> list[Target] | None:
    """Read the targets of a TOML text that ``parse_toml`` takes; None where it says nothing of them.

    Raises ``Misconfigured`` with every fault.
    """
    tables = tomllib.loads(text).get(TABLE)
    if tables is None:
        return None
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise Misconfigured([f"{TABLE} must be tables such as [[{TABLE}]]"])
    faults: list[str] = []
    found: dict[str, Target] = {}
    for index, table in enumerate(tables):
        where = f"{TABLE}.{table['name']}" if isinstance(table.get("name"), str) else f"{TABLE}[{index}]"
        try:
            target = _target(table, source)
        except Misconfigured as error:
            faults += [f"{where}.{fault}" for fault in error.faults]
            continue
        if target.name in found:
            faults.append(f"{where}: there are two of this name")
        found[target.name] = target
    if len(tables) > TARGETS_MOST:
        faults.append(f"{TABLE}: there can be {TARGETS_MOST} at most, not {len(tables)}")
    if faults:
        raise Misconfigured(faults)
    return list(found.values())


def _target(table: Mapping[str, Any], source: Source) -> Target:
    faults = [f"{name} is not known{did_you_mean(name, _KNOWN)}" for name in table if name not in _KNOWN]
    given = {name: value for name, value in table.items() if name in FIELDS and name != "after"}
    named = [name for name in SOURCES if name in table]
    if len(named) != 1:
        faults.append(f"address: one of {', '.join(SOURCES)} is needed, and only one")
        given["address"] = "https://unknown.invalid/"
    elif named != ["address"]:
        given["address"] = "https://unknown.invalid/"
        try:
            given["address"] = source(named[0], str(table[named[0]]))
        except Misconfigured as error:
            faults += [f"{named[0]}: {fault}" for fault in error.faults]
    try:
        target, _ = read_target(given, None, mails=True)
    except Misconfigured as error:
        raise Misconfigured([*faults, *error.faults]) from error
    if faults:
        raise Misconfigured(faults)
    return target


def targets_planned(
    wanted: Sequence[Target], there: Iterable[Document], *, prune: bool = False
) -> list[Step]:
    """Compare a file's targets with the documents that are `there`: steps that do something first."""
    known = {str(document["name"]): document for document in there}
    steps = [_step(target, known.get(target.name)) for target in wanted]
    names = {target.name for target in wanted}
    steps += [
        Step(name, Act.REMOVE if prune else Act.LEAVE, of=TABLE, tag=str(document["tag"]))
        for name, document in known.items()
        if name not in names
    ]
    doing = [step for act in DOING for step in steps if step.act is act]
    return doing + [step for step in steps if step.act not in DOING]


def target_settled(step: Step, now: Document | None) -> bool | None:
    """Tell whether a step whose answer was lost is done, by what is there `now`; None where that cannot be told."""
    if now is None:
        return {Act.REMOVE: True, Act.MAKE: False}.get(step.act)
    body = step.body or {}
    if step.act is not Act.REMOVE and now["tag"] == _tag(step.room, body):
        return True
    return False if now["tag"] == step.tag else None


def _step(target: Target, there: Document | None) -> Step:
    body = {
        "way": target.way.value, "address": target.address, "rooms": list(target.rooms), "kinds": list(target.kinds),
    }  # fmt: skip
    shown = body | {"address": shown_address(target)}
    if there is None:
        what = tuple((name, None, value) for name, value in shown.items() if value)
        return Step(target.name, Act.MAKE, body=body, what=what, of=TABLE)
    tag = str(there["tag"])
    if tag == target.tag:
        return Step(target.name, Act.KEEP, of=TABLE, tag=tag)
    what = tuple(
        (name, there[name], value)
        for name, value in shown.items()
        if (sorted(there[name]) != sorted(value) if isinstance(value, list) else there[name] != value)
    )
    moved = _tag(target.name, {name: there[name] for name in body} | {"address": target.address}) != tag
    if moved and not any(name == "address" for name, _, _ in what):
        what = (*what, ("address", there["address"], f"{shown['address']} (another path)"))
    return Step(target.name, Act.CHANGE, body=body, what=what, of=TABLE, tag=tag)


def _tag(name: str, body: Mapping[str, Any]) -> str:
    return tag_of(name, body["way"], body["address"], body["rooms"], body["kinds"])


def variable_of(name: str) -> str:
    """Name the variable of the environment that an export names for a target's address."""
    return f"WAITROOM_TARGET_{name.upper().replace('-', '_')}"


def targets_to_toml(documents: Iterable[Document]) -> str:
    """Write targets as TOML, by name; an address whose path is not shown is a variable of the environment."""
    tables = []
    for document in sorted(documents, key=lambda one: str(one["name"])):
        address = str(document["address"])
        lines = [f"[[{TABLE}]]", f"name = {_text(document['name'])}", f"way = {_text(document['way'])}"]
        if document["way"] != Way.MAIL.value and address.endswith(_HIDDEN):
            lines.append(f"address_env = {_text(variable_of(str(document['name'])))}  # {address}")
        else:
            lines.append(f"address = {_text(address)}")
        lists = [(name, document[name]) for name in ("rooms", "kinds") if document[name]]
        lines += [f"{name} = [{', '.join(map(_text, values))}]" for name, values in lists]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def _text(value: object) -> str:
    # Names, ways, hosts and mail addresses have no character that JSON writes otherwise than TOML.
    return json.dumps(str(value), ensure_ascii=False)
