"""Plan: what a TOML file would change on a running installation, room by room, before anything is changed.

A room of the file that is missing is made, one that differs is changed, one that only the installation has is left
alone, or removed where that was asked for. Operators' switches (``SWITCHES``) that the file does not name stay as they
are, as at start-up. What an installation of another version has and this one does not know is left alone, too: a change
is a merge patch of what differs.

Steps stand in the order in which they can be done: makings, changes, removals, except that whoever frees an address
comes before whoever takes it. Each names the version that it was planned on. Pure. Not here: HTTP (``gateway``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from kernel.errors import Misconfigured
from waitroom.revision import differences
from waitroom.rooms import Room, Route, clashes, to_dict
from waitroom.rooms_export import sparse

SWITCHES = ("paused", "bypass", "draining", "message", "stock_state", "stock_left", "moved_to")
"""What operators steer a running room with; a file that does not name them leaves them as they are."""

Document = Mapping[str, Any]


class Act(StrEnum):
    """What a plan does with a room."""

    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"
    LEAVE = "leave"


DOING = (Act.MAKE, Act.CHANGE, Act.REMOVE)


@dataclass(frozen=True, slots=True)
class Step:
    """What is planned for one room, or for what else ``of`` names (``targets_plan``), which has a ``tag``.

    ``version`` is the one that it was planned on (0: there was none). ``body`` is the document of a new room, or the
    merge patch of a change. ``what`` is (field, old, new); None stands for nothing.
    """

    room: str
    act: Act
    version: int = 0
    body: Document | None = None
    what: tuple[tuple[str, Any, Any], ...] = ()
    of: str = "rooms"
    tag: str = ""

    @property
    def path(self) -> str:
        """Its address."""
        return f"/api/{self.of}/{self.room}"

    @property
    def label(self) -> str:
        """What people call it."""
        return self.room if self.of == "rooms" else f"{self.of.removesuffix('s')} {self.room}"


def planned(
    rooms: Sequence[Room],
    named: Mapping[str, frozenset[str]],
    there: Iterable[Document],
    *,
    prune: bool = False,
) -> list[Step]:
    """Compare a file's `rooms` with the documents that are `there` (as the API shows them, with their versions).

    `named` is which settings the file names, by room. Steps that do something come first, in their order; then
    what stays as it is. Raises ``Misconfigured`` where two rooms would stand before one address in the end, and where
    addresses change hands in a circle.
    """
    known = {str(document["name"]): document for document in there}
    wanted = {room.name: room for room in rooms}
    steps = [_step(room, named.get(room.name, frozenset()), known.get(room.name)) for room in rooms]
    beyond = [name for name in known if name not in wanted]
    act = Act.REMOVE if prune else Act.LEAVE
    steps += [Step(name, act, int(known[name]["version"])) for name in beyond]
    after = [_stand(room.name, to_dict(room)) for room in rooms]
    after += [] if prune else [_stand(name, known[name]) for name in beyond]
    if faults := clashes(after):
        raise Misconfigured(faults)
    return _ordered(steps, wanted, known) + [step for step in steps if step.act not in DOING]


def settled(step: Step, now: Document | None) -> bool | None:
    """Tell whether a step whose answer was lost is done, by what is there `now`; None where that cannot be told."""
    if step.act is Act.REMOVE:
        return True if now is None else False if now["version"] == step.version else None
    if now is None:
        return False if step.act is Act.MAKE else None
    if step.act is Act.CHANGE and now["version"] == step.version:
        return False
    return True if _holds(now, step.body or {}) else None


def _holds(now: Any, asked: Any) -> bool:
    """Tell whether everything that was asked for is there; null was asked for where nothing is."""
    if isinstance(asked, Mapping) and isinstance(now, Mapping):
        return all(_holds(now.get(name), value) for name, value in asked.items())
    if isinstance(asked, list) and isinstance(now, list):
        return len(asked) == len(now) and all(map(_holds, now, asked))
    return bool(now == asked)


def _step(room: Room, named: frozenset[str], there: Document | None) -> Step:
    if there is None:
        body = {"name": room.name, **sparse(room)}
        return Step(room.name, Act.MAKE, body=body, what=_what({"name": room.name}, body))
    wanted = to_dict(room)
    for name in SWITCHES:
        if name not in named and name in there:
            wanted[name] = there[name]
    patch = _patch(there, wanted)
    version = int(there["version"])
    if not patch:
        return Step(room.name, Act.KEEP, version)
    return Step(
        room.name, Act.CHANGE, version, patch, _what({name: there.get(name) for name in wanted}, wanted)
    )


def _what(old: Document, new: Document) -> tuple[tuple[str, Any, Any], ...]:
    return tuple(differences(old, new))


def _patch(old: Document, new: Document) -> dict[str, Any]:
    """Write the merge patch (RFC 7396) that makes `new` of `old`; members that `new` does not know stay."""
    patch: dict[str, Any] = {}
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            gone = {part: None for part in before if part not in value}
            patch[name] = gone | _patch(before, value)
        else:
            patch[name] = value
    return patch


def _stand(name: str, document: Document) -> Room:
    """Make a room of which only the addresses count; those of a newer installation may have more beside."""
    routes = tuple(
        Route(str(route["host"]), str(route["path"])) for route in document.get("additional_routes", ())
    )
    host, path = str(document.get("host", "*")), str(document.get("path", "/"))
    return Room(name, "", host=host, path=path, additional_routes=routes)


def _ordered(steps: Sequence[Step], wanted: Mapping[str, Room], known: Mapping[str, Document]) -> list[Step]:
    now = {name: _stand(name, document) for name, document in known.items()}
    pending = [step for act in DOING for step in steps if step.act is act]
    found: list[Step] = []
    while pending:
        for step in pending:
            after = {name: room for name, room in now.items() if name != step.room}
            if step.act is not Act.REMOVE:
                after[step.room] = replace(wanted[step.room], origin="")
            if not clashes(list(after.values())):
                break
        else:
            names = ", ".join(step.room for step in pending)
            raise Misconfigured(
                [
                    f"The rooms {names} exchange addresses: give one of them another address first, then plan again"
                ]
            )
        now = after
        pending.remove(step)
        found.append(step)
    return found
