"""Catalogue reading: what people look at, from the memory of this worker.

All events (without their seats) are in memory. Twice a second at most, and only if somebody asks, one reader asks
SQL what has changed since; everybody else who comes in the meantime waits for the same answer. So the number of
statements does not depend on the number of readers. An older state never replaces a newer one, so a replica that
lags behind cannot take a change back. If SQL is away, what was known stays readable for ``STALE_MS``.

Not here: changes (``catalogue.service``), HTTP.
"""

import asyncio
import gzip
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from checkout.catalogue import searching, telling
from checkout.catalogue.event import Known, Prices
from checkout.catalogue.searching import Page, Programme, Query
from checkout.catalogue.selling import State
from checkout.catalogue.store import CatalogueStore
from checkout.halls.layout import Layout, read
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)

CHECK_MS = 500
AGAIN_MS = 1_000
"""So long SQL is left alone after it did not answer."""

STALE_MS = 60_000
PATIENCE_S = 0.5
"""So long a reader waits for a check while there is something older to show."""

MOST_BODIES = 512
MOST_LAYOUTS = 64


@dataclass(frozen=True, slots=True)
class Body:
    """A ready answer: JSON, its entity tag, and for what is large and immutable a copy packed with gzip."""

    octets: bytes
    etag: str
    packed: bytes | None = None


class CatalogueReader:
    """One worker's catalogue, to look at."""

    def __init__(self, store: CatalogueStore, clock: Clock, check_ms: int = CHECK_MS) -> None:
        self._store = store
        self._clock = clock
        self._check_ms = check_ms
        self._events: dict[str, Known] = {}
        self._programme: Programme | None = None
        self._since_ms = -1
        self._checked_ms: int | None = None
        self._again_ms = 0
        self._checking: asyncio.Task[None] | None = None
        self._bodies: OrderedDict[object, tuple[int, Body]] = OrderedDict()
        self._layouts: OrderedDict[str, tuple[Layout, Body]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[tuple[Layout, Body]]] = {}
        self._prices: OrderedDict[tuple[str, int], Prices] = OrderedDict()

    # ------------------------------------------------------------------------------ looking

    async def known(self, event_id: str, *, drafts: bool = False) -> Known:
        """Give all facts of an event, at most half a second old. Raises ``Refused("event-unknown")``."""
        await self._fresh()
        found = self._events.get(event_id)
        if found is None or (found.event.state is State.DRAFT and not drafts):
            raise Refused("event-unknown", "There is no such event.", status=404)
        return found

    async def page(self, query: Query) -> Page:
        """Find a page of events."""
        await self._fresh()
        return searching.page(self._programme_now(), query, self._clock.now_ms())

    async def cities(self, now_ms: int) -> tuple[str, ...]:
        """Name the towns in which something is to come."""
        await self._fresh()
        found = {known.venue.city for known in self._programme_now().events if known.event.starts_ms > now_ms}
        return tuple(sorted(found, key=searching.folded))

    async def all(self) -> tuple[Known, ...]:
        """Give all events, drafts too, in order of their ids (for organisers and for what runs over all)."""
        await self._fresh()
        return tuple(self._events[event_id] for event_id in sorted(self._events))

    async def listing_json(self, query: Query) -> Body:
        """Give the answer of ``GET /api/events``."""
        await self._fresh()
        now_ms = self._clock.now_ms()
        body = self._body(query, now_ms)
        if body is None:
            page = await self.page(query)
            body = self._keep(query, telling.listing(page, now_ms), page.events, now_ms)
        return body

    async def detail_json(self, event_id: str) -> Body:
        """Give the answer of ``GET /api/events/{event}``. Raises ``Refused("event-unknown")``."""
        known = await self.known(event_id)
        now_ms = self._clock.now_ms()
        body = self._body(event_id, now_ms)
        if body is None:
            layout = await self.layout(known.event.layout_id)
            # A change may have come while the layout was read; an event keeps its layout.
            known = self._events[event_id]
            body = self._keep(event_id, telling.detail(known, layout, now_ms), [known], now_ms)
        return body

    async def layout(self, layout: str) -> Layout:
        """Give a layout. Raises ``Refused("layout-unknown")``."""
        return (await self._layout(layout))[0]

    async def layout_json(self, layout: str) -> Body:
        """Give the answer of ``GET /layouts/{layout}.json``; it never changes. Raises ``Refused("layout-unknown")``."""
        return (await self._layout(layout))[1]

    async def prices(self, event_id: str, version: int) -> Prices:
        """Give one version of the prices, as the holds made at that time count it. Raises ``Refused``."""
        known = self._events.get(event_id)
        if known is not None and known.prices.version == version:
            return known.prices
        found = self._prices.get((event_id, version))
        if found is None:
            found = await asyncio.to_thread(self._store.prices, event_id, version)
            if found is None:
                raise Refused("prices-unknown", "There are no such prices.", status=404)
            self._prices[event_id, version] = found
            _bound(self._prices, MOST_BODIES)
        return found

    # ------------------------------------------------------------------------------- memory

    async def _fresh(self) -> None:
        now_ms = self._clock.now_ms()
        age_ms = now_ms - self._checked_ms if self._checked_ms is not None else None
        may_be_stale = age_ms is not None and age_ms <= STALE_MS
        if (age_ms is not None and 0 <= age_ms < self._check_ms) or (
            may_be_stale and now_ms < self._again_ms
        ):
            return
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check(now_ms))
        # Waited for and not awaited: whoever goes away must not take the answer from the others.
        done, _ = await asyncio.wait([self._checking], timeout=PATIENCE_S if may_be_stale else None)
        for checking in done:
            checking.result()

    async def _check(self, now_ms: int) -> None:
        try:
            found = await asyncio.to_thread(self._store.changed_since, self._since_ms)
        except Unavailable:
            self._again_ms = now_ms + AGAIN_MS
            if self._checked_ms is None or now_ms - self._checked_ms > STALE_MS:
                raise
            log.warning("the catalogue cannot be checked", extra={"age_ms": now_ms - self._checked_ms})
            return
        for known in found:
            self._take(known)
            self._since_ms = max(self._since_ms, known.event.changed_ms)
        self._checked_ms = now_ms

    async def _renew(self, event_ids: Sequence[str]) -> None:
        """Write through: read what was just committed, before the caller hears of it."""
        for event_id in event_ids:
            known = await asyncio.to_thread(self._store.event, event_id)
            if known is not None:
                self._take(known)

    def _take(self, known: Known) -> None:
        old = self._events.get(known.event.id)
        if old is None or old.event.changed_ms < known.event.changed_ms:
            self._events[known.event.id] = known
            self._programme = None
            self._bodies.clear()

    def _programme_now(self) -> Programme:
        if self._programme is None:
            self._programme = searching.programme(self._events.values())
        return self._programme

    def _body(self, key: object, now_ms: int) -> Body | None:
        until_ms, body = self._bodies.get(key, (0, None))
        return body if now_ms < until_ms else None

    def _keep(self, key: object, plain: object, events: Sequence[Known], now_ms: int) -> Body:
        body = _body_of(orjson.dumps(plain))
        self._bodies[key] = (telling.true_until_ms(events, now_ms, self._check_ms), body)
        self._bodies.move_to_end(key)
        _bound(self._bodies, MOST_BODIES)
        return body

    async def _layout(self, layout: str) -> tuple[Layout, Body]:
        found = self._layouts.get(layout)
        if found is not None:
            self._layouts.move_to_end(layout)
            return found
        loading = self._loading.get(layout)
        if loading is None:
            loading = self._loading[layout] = asyncio.create_task(self._load_layout(layout))
            loading.add_done_callback(lambda _done: self._loading.pop(layout, None))
        return await asyncio.shield(loading)

    async def _load_layout(self, layout: str) -> tuple[Layout, Body]:
        kept = await asyncio.to_thread(self._store.layout, layout)
        if kept is None:
            raise Refused("layout-unknown", "There is no such layout.", status=404)
        made = await asyncio.to_thread(_read_layout, kept.document)
        self._layouts[layout] = made
        _bound(self._layouts, MOST_LAYOUTS)
        return made


def _read_layout(text: str) -> tuple[Layout, Body]:
    octets = text.encode()
    body = _body_of(octets)
    return read(text), Body(octets, body.etag, gzip.compress(octets, 9, mtime=0))


def _body_of(octets: bytes) -> Body:
    return Body(octets, f'"{hashlib.sha256(octets).hexdigest()[:16]}"')


def _bound(kept: OrderedDict[Any, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
