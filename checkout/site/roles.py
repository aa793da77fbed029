"""Role: a part of the shop that a process can be: all of them in a small shop, one each where one must grow alone.

* ``catalogue``: pages, listings, layouts; reads SQL, caches well. Whatever has no other role is a page.
* ``map``: snapshots of the seat map and the streams of its changes; reads the store.
* ``holds``: holds, reservations, the waitlist, orders, tickets, and their pages; writes the store and the event's
  database.
* ``organiser``: what organisers do.
* ``background``: no address of its own; sweeps, reaps, compares, writes the journal, seals the log.

It is one code base in any case; a role says which addresses a process answers, so that what holds seats can run where
nobody's map is painted. An address of another role is answered as one that is not there. Health is everybody's, and so
is what could only be an address of the API and is none.

Not here: the answer itself (``web``), which process has which role (``gateway``).
"""

from collections.abc import Collection, Sequence
from enum import StrEnum

from kernel.errors import Misconfigured


class Role(StrEnum):
    """A part of the shop."""

    CATALOGUE = "catalogue"
    MAP = "map"
    HOLDS = "holds"
    ORGANISER = "organiser"
    BACKGROUND = "background"


EVERY = frozenset(Role)
ALL = "all"

REST = "*"
"""Stands for what is left of an address, nothing too."""

ADDRESSES: tuple[tuple[str, Role | None], ...] = (
    ("/health", None),
    ("/api/events/{event}/map", Role.MAP),
    ("/api/events/{event}/deltas", Role.MAP),
    ("/api/events/{event}/holds/*", Role.HOLDS),
    ("/api/events/{event}/reservations/*", Role.HOLDS),
    ("/api/events/{event}/orders/*", Role.HOLDS),
    ("/api/events/{event}/waitlist/*", Role.HOLDS),
    # Pages that hold and reserve for a browser without scripts.
    ("/events/{event}/hold/*", Role.HOLDS),
    ("/events/{event}/reservation/*", Role.HOLDS),
    ("/events/{event}/order/*", Role.HOLDS),
    ("/tickets/*", Role.HOLDS),
    ("/gift/*", Role.HOLDS),
    ("/hooks/*", Role.HOLDS),
    ("/scan/*", Role.HOLDS),
    ("/events/{event}/waitlist/*", Role.HOLDS),
    ("/organiser/*", Role.ORGANISER),
    ("/api/events", Role.CATALOGUE),
    ("/api/events/{event}", Role.CATALOGUE),
    ("/api/*", None),
    ("/*", Role.CATALOGUE),
)
"""Which addresses belong to a role, or to everybody; the first that fits counts. What is left are pages."""

_PATTERNS = tuple((pattern.strip("/").split("/"), role) for pattern, role in ADDRESSES)


def read_roles(words: Sequence[str]) -> frozenset[Role]:
    """Read roles by name; ``all`` is every one. Raises ``Misconfigured`` with all faults."""
    if not words:
        raise Misconfigured(["The shop's roles: name at least one, or all."])
    unknown = [word for word in words if word != ALL and word not in EVERY]
    if unknown:
        known = ", ".join(sorted(EVERY))
        raise Misconfigured(
            [f"The shop's roles: {word!r} is none; there are {known}, and all." for word in unknown]
        )
    return EVERY if ALL in words else frozenset(map(Role, words))


def role_of(path: str) -> Role | None:
    """Tell whose address a path is, decoded as ASGI gives it; None if it is everybody's."""
    parts = path.strip("/").split("/")
    return next((role for pattern, role in _PATTERNS if _fits(pattern, parts)), None)


def answers(roles: Collection[Role], path: str) -> bool:
    """Tell whether a process of these roles answers an address."""
    role = role_of(path)
    return role is None or role in roles


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if pattern[-1] == REST:
        pattern = pattern[:-1]
        parts = parts[: len(pattern)]
    return len(pattern) == len(parts) and all(
        own.startswith("{") or own == given for own, given in zip(pattern, parts, strict=True)
    )
