"""Rights: what whoever works at the operator's side may do.

Three roles, each with all of the one before: a *viewer* looks, an *operator* steers rooms, an *owner* also decides who
may do so and how the installation is set up. A person may be limited to some rooms; what belongs to no room (people,
tokens, webhooks) is then out of reach, too.

Pure. Not here: how somebody shows who they are (``access``, ``entrance``).
"""

from dataclasses import dataclass
from enum import StrEnum

from kernel.errors import Refused


class Role(StrEnum):
    """What a person may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"


_ORDER = tuple(Role)


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: the name goes into the journal. ``rooms`` None stands for all, those to come included."""

    name: str
    role: Role
    rooms: frozenset[str] | None = None

    def may(self, role: Role, room: str | None = None) -> bool:
        """Tell whether they may do what takes `role`, in `room`; None is what belongs to no room."""
        if _ORDER.index(self.role) < _ORDER.index(role):
            return False
        return self.rooms is None or (room is not None and room in self.rooms)

    def within(self, other: "Person") -> "Person":
        """Return who has this name and may do what both may."""
        role = min(self.role, other.role, key=_ORDER.index)
        if self.rooms is None or other.rooms is None:
            return Person(self.name, role, other.rooms if self.rooms is None else self.rooms)
        return Person(self.name, role, self.rooms & other.rooms)

    def sees(self, room: str) -> bool:
        """Tell whether a room is theirs to look at."""
        return self.may(Role.VIEWER, room)


def demand(person: Person, role: Role, room: str | None = None) -> None:
    """Raise ``Refused`` (403) where `person` may not do what takes `role` in `room`."""
    if not person.may(role, room):
        of = f" in the room {room}" if room is not None else ""
        raise Refused(
            "not-allowed", f"This takes the role {role}{of}. Somebody with that role can do it.", 403
        )
