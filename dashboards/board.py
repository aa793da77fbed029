"""Board: what the sampler saw, as pages show it to one person.

Views are composed once for each round and room, and shared: fifty open consoles cost the words of one. ``parts``
renders the living parts of a page once for all who have the same rights; it knows no session, so the papers that
forms carry are left blank there, and the page's script fills in its own.

Not here: HTTP (``control``, ``events``), who asks (``entrance``).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dashboards import acts
from dashboards.numbers import Figure
from dashboards.page import Pages
from dashboards.ports import Deps
from dashboards.rights import Person, Role
from dashboards.sampling import Sampler
from dashboards.view import RoomView, change_of, in_order, overview, room_view
from kernel.errors import Unavailable
from waitroom.levers import Lever
from waitroom.schedule import wanted

ROOM_PARTS = ("rooms", "state", "told", "strip", "switch", "verdicts", "table", "levers", "record")
SEEN_PARTS = tuple(part for part in ROOM_PARTS if part not in {"switch", "levers"})
"""What is told of a room to those who may not steer it."""


NUMBERS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Anybody:
    """Who a shared page is for, as far as a template may know: rights, no name."""

    person: Person
    who: str = ""


class Board:
    """Composes what is shown."""

    def __init__(self, deps: Deps, sampler: Sampler, pages: Pages) -> None:
        """Show what `sampler` sees."""
        self.sampler = sampler
        self._deps = deps
        self._pages = pages
        self._views: dict[str, RoomView] = {}
        self._views_of = (-1, -1)
        self._number = lru_cache(NUMBERS_KEPT)(self._render_number)
        """Most numbers are what they were a second ago."""

    def names(self, person: Person) -> list[str]:
        """Name the rooms that somebody sees."""
        return [name for name in sorted(self.sampler.rooms()) if person.sees(name)]

    def view(self, name: str) -> RoomView:
        """Return a room's view, composed once a round."""
        now_ms = self._deps.clock.now_ms()
        of = self.sampler.number, now_ms // 1000
        if of != self._views_of:
            self._views, self._views_of = {}, of
        view = self._views.get(name)
        if view is None:
            sample = self.sampler.rooms()[name]
            room, figures = sample.room, sample.figures(now_ms)
            view = room_view(room, wanted(room, now_ms), figures, now_ms, sample.track)
            self._views[name] = view
        return view

    async def context(self, person: Person, name: str) -> dict[str, Any]:
        """Return what a page needs: the room `name`, the only one there is, or else all."""
        names = self.names(person)
        if name not in names:
            name = names[0] if len(names) == 1 else ""
        return await self._context(names, name)

    async def _context(self, names: Sequence[str], chosen: str) -> dict[str, Any]:
        now_ms = self._deps.clock.now_ms()
        # All that is asked of the sampler's memory is asked before the wait: a room may go meanwhile.
        views = [self.view(each) for each in names]
        view = self.view(chosen) if chosen else None
        changes = []
        if chosen:
            kept = self.sampler.rooms()[chosen].changes
            with suppress(Unavailable):
                kept = await self.sampler.changes(chosen)
            changes = [change_of(change, now_ms) for change in kept]
        return {
            "title": overview(views),
            "views": in_order(views),
            "chosen": view,
            "changes": changes,
            "acts": acts.acts_view(view.room, now_ms) if view is not None else None,
            "stop": acts.ASKS[Lever.PAUSE],
            "stop_fans": acts.fans_see(Lever.PAUSE),
        }

    async def parts(self, person: Person, name: str) -> tuple[str, dict[str, str]]:
        """Render title and living parts for everybody with the rights of `person`; the papers of forms are blank.

        Each number is a part of its own, and so is each tile of the overview: most of a page stays as it is.
        """
        context = await self._context(self.names(person), name)
        context |= {"session": Anybody(Person("", person.role, person.rooms)), "csrf": ""}
        view: RoomView | None = context["chosen"]
        if view is None:
            views: list[RoomView] = context["views"]
            tiles = {
                f"tile-{view.room.name}": self._pages.text("tile.html", {"view": view}) for view in views
            }
            return context["title"], tiles
        names = ROOM_PARTS if person.may(Role.OPERATOR, name) else SEEN_PARTS
        parts = {part: self._pages.text(f"{part}.html", context) for part in names}
        for figure in (*view.figures, *view.more):
            parts[f"n-{figure.key}"] = self._number(figure)
        return context["title"], parts

    def _render_number(self, figure: Figure) -> str:
        return self._pages.part("number.html", "value", figure)

    def point(self, name: str) -> Mapping[str, float | None]:
        """Return the newest numbers of a room, for its plots."""
        return self.sampler.rooms()[name].track.newest()
