"""Navigation: what there is in the office, in the order in which it is shown; who sees what says ``organiser.rights``.

Pure. ``{event}`` in an address is the event that was chosen; lines without it are always there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from checkout.organiser.rights import may
from checkout.organiser.talking import PREFIX
from checkout.people.staff import StaffRole

OFFICE = "/staff/office"

Need = tuple[str, str]
"""A method and an address of the API, as in ``organiser.rights``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line. ``name``: its key in the words, ``nav.{name}``, and what a page of it calls itself."""

    name: str
    path: str
    need: Need


PROGRAMME = (
    Entry("venues", "/venues", ("GET", "/organisers")),
    Entry("people", "/people", ("POST", "/people/find")),
    Entry("team", "/team", ("GET", "/staff")),
    Entry("about", "/events/{event}/about", ("GET", "/events/{event}")),
    Entry("hall", "/events/{event}/hall", ("GET", "/events/{event}/hall")),
    Entry("prices", "/events/{event}/prices", ("GET", "/events/{event}/hall")),
    Entry("blocks", "/events/{event}/blocks", ("GET", "/events/{event}/hall")),
    Entry("doors", "/events/{event}/doors", ("GET", "/events/{event}/entry")),
    Entry("exports", "/events/{event}/exports", ("GET", "/events/{event}/seats.csv")),
)
ENTRIES = (
    Entry("home", "", ("GET", "/events")),
    Entry("money-all", "/money", ("GET", "/money")),
    Entry("sales", "/events/{event}/sales", ("GET", "/events/{event}/report")),
    Entry("orders", "/events/{event}/orders", ("GET", "/events/{event}/orders")),
    Entry("support", "/events/{event}/support", ("GET", "/events/{event}/support")),
    Entry("waiting", "/events/{event}/waiting", ("GET", "/events/{event}/reviews")),
    Entry("money", "/events/{event}/money", ("GET", "/events/{event}/money")),
    *PROGRAMME,
)


def allowed(role: StaffRole, need: Need) -> bool:
    """Tell whether a role may ask something of the API."""
    return may(role, need[0], PREFIX + need[1])


def lines(role: StaffRole, event: str = "") -> Iterator[tuple[str, str]]:
    """Give names and addresses of what a role sees; what belongs to an event only where one was chosen."""
    for entry in ENTRIES:
        if ("{event}" in entry.path) == bool(event) and allowed(role, entry.need):
            yield entry.name, OFFICE + entry.path.replace("{event}", event)
