"""Configurations: how the settings of all rooms are read and changed, by people and by the TOML file.

Every change names who and why, is journaled in the same step of the store, and is in force wherever ``refresh`` is
called (each worker does so every second). A change that names a version is refused when that version is no longer
current; one that names none (a pause must not wait for a reload) is decided anew on whatever is current.

TOML and API side by side: a room keeps the hash of the TOML text that it was last made from. While that text stays
the same, a restart changes nothing, also not a room that was removed by API. When the text changes it wins,
except over operators' switches (pause, bypass, drain, message, stock, moved_to) that it does not name.

Not here: HTTP (``dashboards``), what a setting may be (``rooms``).
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from kernel.clock import Clock
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.lua import Script
from kernel.store import Store
from waitroom.configure_store import CHANGES_KEPT, ConfigureStore, head_of
from waitroom.field_readers import NAME
from waitroom.levers import REASONED, Lever, turned
from waitroom.revision import Act, Kept, Outcome, Word, difference
from waitroom.rooms import (
    Room,
    Sale,
    clashes,
    merge_patch,
    page_faults,
    parse,
    read_kept,
    sale_to_dict,
    to_dict,
)
from waitroom.rooms_plan import SWITCHES
from waitroom.schedule import obstacle
from waitroom.view import custom_page_faults, theme_faults

__all__ = [
    "Actor", "Applied", "Configurations", "Gone", "Lever", "Refreshed", "Saved", "Stale", "unknown_room",
]  # fmt: skip

log = logging.getLogger(__name__)

ATTEMPTS = 8
"""How often a change without a version looks again; each failure means that somebody else succeeded."""

WHO_CHARS = 80
WHY_CHARS = 300


@dataclass(frozen=True, slots=True)
class Saved:
    """The change is accepted; this is the room now."""

    room: Room


@dataclass(frozen=True, slots=True)
class Gone:
    """The room is removed; this was its last version."""

    version: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody else was faster, or the version was never right. `current` is None where there is no room.

    `changes` are those since the version that was named, newest first, as far as they are kept.
    """

    current: Room | None
    changes: Sequence[Mapping[str, object]] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The rooms as they are now; `lost` are those that a worker remembers and the store has forgotten."""

    rooms: dict[str, Room]
    lost: frozenset[str]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and why: both go into the journal."""

    who: str
    why: str = ""


class Applied(StrEnum):
    """What became of a room in the TOML file."""

    CREATED = "created"
    CHANGED = "changed"
    KEPT = "kept"
    REFUSED = "refused"


class Configurations:
    """The settings of all rooms."""

    def __init__(self, client: Store, clock: Clock, script: Script | None = None) -> None:
        """Keep settings in the store of `client`; `script` replaces the shipped one (mutants in tests)."""
        self._store = ConfigureStore(client, script)
        self._clock = clock

    # --------------------------------------------------------------------------------- read

    async def list(self) -> list[Room]:
        """Return all rooms by name."""
        found = await self.refresh({})
        return [found.rooms[name] for name in sorted(found.rooms)]

    async def get(self, name: str) -> Room:
        """Return one room. Raises ``Refused`` where there is none."""
        room, _ = await self._read(name)
        if room is None:
            raise unknown_room(name)
        return room

    async def changes(self, name: str, count: int = 20) -> Sequence[Mapping[str, object]]:
        """Return the last changes, newest first: version, at_ms, who, why, what ([field, old, new])."""
        return await self._store.changes(name, count)

    async def refresh(self, known: Mapping[str, Room]) -> Refreshed:
        """Bring `known` up to date; only what changed is read in full.

        A room that the store has forgotten (or has in an older version) stays as it is known, and is named in
        ``lost``: ``restore`` puts it back.
        """
        heads = await self._store.heads({*await self._store.names(), *known})
        rooms: dict[str, Room] = {}
        lost: set[str] = set()
        for name, kept in heads.items():
            before = known.get(name)
            if before is not None and (kept is None or kept.version < before.version):
                lost.add(name)
                rooms[name] = before
            elif before is not None and kept is not None and kept.live == before.version:
                rooms[name] = before
            elif kept is not None and not kept.removed:
                try:
                    room, _ = await self._read(name)
                except Unavailable as error:
                    if error.code != "settings-unreadable":
                        raise
                    room = before
                if room is not None:
                    rooms[name] = room
        return Refreshed(rooms, frozenset(lost))

    async def restore(self, room: Room) -> bool:
        """Put back what the store has lost, under its old version; False when it has that or a newer one."""
        outcome = await self._store.configure(
            room.name, Act.RESTORE, room.version, _body(room), who="", why="", what="{}"
        )
        return outcome.word is Word.RESTORED

    async def _read(self, name: str) -> tuple[Room | None, Kept | None]:
        if not NAME.fullmatch(name):
            return None, None
        text = await self._store.text(name)
        kept = head_of(text)
        try:
            return read_kept(text), kept
        except Misconfigured as error:
            log.exception("a room's settings in the store cannot be read", extra={"room": name})
            raise Unavailable(
                "settings-unreadable", f"The settings of the room {name} cannot be read."
            ) from error

    # ------------------------------------------------------------------------------- rooms

    async def create(self, document: Mapping[str, Any], actor: Actor) -> Saved | Stale:
        """Make a room from its document; ``Stale`` with the present one where the name is taken.

        Raises ``Misconfigured`` with all faults of the document.
        """
        room = parse(document)
        current, kept = await self._read(room.name)
        if current is not None:
            return Stale(current)
        return await self._keep(None, kept, room, actor)

    async def put(
        self, name: str, document: Mapping[str, Any], expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Replace a room's document; what it leaves out gets its default."""
        return await self._change(name, lambda _: parse(_named(document, name)), expected, actor)

    async def patch(
        self, name: str, patch: Mapping[str, Any], expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Change some of a room's settings (JSON merge patch: null brings the default back)."""

        def edit(room: Room) -> Room:
            return parse(_named(merge_patch(to_dict(room), patch), name))

        return await self._change(name, edit, expected, actor)

    async def delete(self, name: str, expected: int | None, actor: Actor) -> Gone | Stale:
        """Remove a room. Raises ``Refused`` while people hold places in one of its sales."""
        for _ in range(ATTEMPTS):
            current, _kept = await self._read(name)
            if current is None:
                raise unknown_room(name)
            if expected is not None and current.version != expected:
                return await self._since(name, expected, current)
            self._refuse_obstacle(current, replace(current, sales=()))
            body = json.dumps({"_source_hash": current.source_hash})
            outcome = await self._configure(name, Act.REMOVE, current.version, body, current, None, actor)
            if outcome.word is Word.REMOVED:
                return Gone(outcome.version)
        return Stale((await self._read(name))[0])

    # ------------------------------------------------------------------------------- sales

    async def sale(self, name: str, sale_name: str) -> tuple[Room, Sale]:
        """Return a sale and its room. Raises ``Refused`` where there is none."""
        room = await self.get(name)
        return room, _known_sale(room, sale_name)

    async def add_sale(self, name: str, document: Mapping[str, Any], actor: Actor) -> Saved | Stale:
        """Add a sale to a room. Raises ``Refused`` where its name is taken."""

        def edit(room: Room) -> Room:
            sale_name = document.get("name")
            if isinstance(sale_name, str) and room.sale(sale_name) is not None:
                raise Refused("sale-exists", f"The room {name} already has a sale {sale_name}.", 409)
            return _with_sales(room, [*map(sale_to_dict, room.sales), document])

        return await self._change(name, edit, None, actor)

    async def put_sale(
        self, name: str, sale_name: str, document: Mapping[str, Any], expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Replace a sale's document; what it leaves out is inherited."""
        return await self._edit_sale(name, sale_name, lambda _: _named(document, sale_name), expected, actor)

    async def patch_sale(
        self, name: str, sale_name: str, patch: Mapping[str, Any], expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Change some of a sale's settings; null inherits again."""
        return await self._edit_sale(
            name, sale_name, lambda old: _named(merge_patch(old, patch), sale_name), expected, actor
        )

    async def delete_sale(
        self, name: str, sale_name: str, expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Remove a sale. Raises ``Refused`` while people hold places in it."""
        return await self._edit_sale(name, sale_name, lambda _: None, expected, actor)

    async def _edit_sale(
        self,
        name: str,
        sale_name: str,
        edit: Callable[[dict[str, Any]], Mapping[str, Any] | None],
        expected: int | None,
        actor: Actor,
    ) -> Saved | Stale:
        def edit_room(room: Room) -> Room:
            _known_sale(room, sale_name)
            documents = [
                edit(sale_to_dict(sale)) if sale.name == sale_name else sale_to_dict(sale)
                for sale in room.sales
            ]
            return _with_sales(room, [document for document in documents if document is not None])

        return await self._change(name, edit_room, expected, actor)

    # ----------------------------------------------------------------------------- steering

    async def act(
        self, name: str, lever: Lever, value: object, expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Pull a lever; `value` as ``levers.turned`` takes it.

        Raises ``Refused`` where it takes a reason and there is none, or is not possible now; ``Misconfigured`` for a
        value that cannot be.
        """
        if lever in REASONED and not actor.why.strip():
            raise Refused("reason-missing", "Please say why: it goes into the journal.", 422)
        return await self._change(
            name, lambda room: turned(room, lever, value, self._clock.now_ms()), expected, actor
        )

    # --------------------------------------------------------------------------------- TOML

    async def apply_toml(self, rooms: Sequence[Room], who: str = "toml") -> dict[str, Applied]:
        """Make rooms that are missing, and bring in those whose text changed since it was last applied.

        A change that would cost people their places is refused and logged; a later start tries again.
        Raises ``Misconfigured`` with the faults of all custom pages before anything is changed.
        """
        faults = [
            fault
            for room in rooms
            for fault in page_faults(room, custom_page_faults, theme_faults, where=f"rooms.{room.name}.")
        ]
        if faults:
            raise Misconfigured(faults)
        return {room.name: await self._apply(room, Actor(who, "configuration file")) for room in rooms}

    async def _apply(self, room: Room, actor: Actor) -> Applied:
        for _ in range(ATTEMPTS):
            current, kept = await self._read(room.name)
            if kept is not None and await self._applied_hash(room.name, current) == room.source_hash:
                return Applied.KEPT
            after = room
            if current is not None:
                usual = Room(room.name, "")
                unsaid = [name for name in SWITCHES if getattr(room, name) == getattr(usual, name)]
                after = replace(room, **{name: getattr(current, name) for name in unsaid})
            try:
                result = await self._keep(current, kept, after, actor)
            except Refused as error:
                log.warning("the configuration file waits", extra={"room": room.name, "why": error.public})
                return Applied.REFUSED
            if isinstance(result, Saved):
                return Applied.CREATED if current is None else Applied.CHANGED
        raise Unavailable("settings-contended", "The settings keep changing; please try again.")

    async def _applied_hash(self, name: str, current: Room | None) -> str:
        if current is not None:
            return current.source_hash
        return str(json.loads(await self._store.text(name)).get("_source_hash", ""))

    # ------------------------------------------------------------------------------- inside

    async def _change(
        self, name: str, edit: Callable[[Room], Room], expected: int | None, actor: Actor
    ) -> Saved | Stale:
        """Read, edit, compare and set; without an expected version again until nobody was faster."""
        for _ in range(ATTEMPTS):
            current, kept = await self._read(name)
            if current is None:
                raise unknown_room(name)
            if expected is not None and current.version != expected:
                return await self._since(name, expected, current)
            result = await self._keep(current, kept, edit(current), actor, source_hash=current.source_hash)
            if isinstance(result, Stale) and expected is not None:
                return await self._since(name, expected, result.current)
            if isinstance(result, Saved):
                return result
        raise Unavailable("settings-contended", "The settings keep changing; please try again.")

    async def _since(self, name: str, expected: int, current: Room | None) -> Stale:
        """Tell what became of a room since the version that somebody named."""
        kept = await self._store.changes(name, CHANGES_KEPT)
        return Stale(current, [change for change in kept if int(str(change["version"])) > expected])

    async def _keep(
        self,
        current: Room | None,
        kept: Kept | None,
        after: Room,
        actor: Actor,
        source_hash: str | None = None,
    ) -> Saved | Stale:
        after = replace(after, source_hash=after.source_hash if source_hash is None else source_hash)
        if current is not None:
            self._refuse_obstacle(current, after)
        if faults := page_faults(after, custom_page_faults, theme_faults, current):
            raise Misconfigured(faults)
        if current is None or current.routes != after.routes:
            others = [room for room in await self.list() if room.name != after.name]
            if faults := clashes([*others, after]):
                raise Misconfigured(faults)
        expected = kept.live if kept is not None else 0
        outcome = await self._configure(after.name, Act.PUT, expected, _body(after), current, after, actor)
        if outcome.word is Word.CONFIGURED:
            return Saved(replace(after, version=outcome.version))
        return Stale((await self._read(after.name))[0])

    async def _configure(
        self,
        name: str,
        act: Act,
        expected: int,
        body: str,
        before: Room | None,
        after: Room | None,
        actor: Actor,
    ) -> Outcome:
        who, why = actor.who[:WHO_CHARS], actor.why[:WHY_CHARS]
        what = json.dumps({"who": who, "why": why, "what": difference(before, after)})
        outcome = await self._store.configure(name, act, expected, body, who, why, what)
        if outcome.word in {Word.CONFIGURED, Word.REMOVED}:
            log.info(
                "a room's settings changed",
                extra={"room": name, "act": str(act), "version": outcome.version, "who": who},
            )
        return outcome

    def _refuse_obstacle(self, before: Room, after: Room) -> None:
        if text := obstacle(before, after, self._clock.now_ms()):
            raise Refused("sale-under-way", text, 409)


def unknown_room(name: str) -> Refused:
    """Make the answer for a room that does not exist."""
    return Refused("room-unknown", f"There is no room {name}.", 404)


def _known_sale(room: Room, sale_name: str) -> Sale:
    sale = room.sale(sale_name)
    if sale is None:
        raise Refused("sale-unknown", f"The room {room.name} has no sale {sale_name}.", 404)
    return sale


def _named(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Fill in the name that the address gives; another one is a fault."""
    if document.get("name", name) != name:
        raise Misconfigured(["name cannot be changed: it stands in addresses, tickets and cookies"])
    return {**document, "name": name}


def _with_sales(room: Room, documents: Sequence[Mapping[str, Any]]) -> Room:
    return parse(to_dict(room) | {"sales": documents})


def _body(room: Room) -> str:
    """Write settings as the store keeps them, without the version, which the script puts in front."""
    return json.dumps({"_source_hash": room.source_hash} | to_dict(room), separators=(",", ":"))
