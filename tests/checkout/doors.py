"""Doors to test: a sale with money (``tills``), keys of tickets, workers that take scans, and gates as phones are.

A ``Gate`` is what the scanner's page does, written once more and short: it keeps a list, decides by itself when it is
offline, and sends later what it has told people, in any order.
"""

import base64
import json
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from checkout.holds.places import OnePlace
from checkout.tables import SCANS
from checkout.tickets.admitting import Outcome, Scan
from checkout.tickets.code import verify
from checkout.tickets.keys import TicketKeys, new_key
from checkout.tickets.rows import find_ticket, tickets_of
from checkout.tickets.scanner_rows import Answer, Scanner
from checkout.tickets.scanning import Scanning
from checkout.tickets.ticket import Ticket
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

HOUR_MS = 3_600_000
_ROW = struct.Struct(">8sH3sBIB")
REVOKED = 2


@dataclass
class Gate:
    """A phone at a gate. ``skew_ms``: how wrong its clock is."""

    scanning: Scanning
    scanner: Scanner
    clock: Any
    device: str
    skew_ms: int = 0
    at: int = 0
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By prefix: version, and what it is worth."""
    blocked: frozenset[str] = frozenset()
    told: dict[str, Any] = field(default_factory=dict)
    queue: list[Scan] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)
    count: int = 0

    def next(self, told: str, code: str) -> Scan:
        """Make the next scan."""
        self.count += 1
        return Scan(f"{self.device}-{self.count}", self.clock.now_ms() + self.skew_ms, told, code=code)

    async def refresh(self) -> None:
        """Fetch what has changed."""
        found = await self.scanning.list(EVENT, self.at)
        self.told = json.loads(found.octets)
        if self.told["since"] == 0:
            self.rows = {}
        packed = base64.b64decode(self.told["tickets"])
        for prefix, version, _seat, worth, _used, _gate in _ROW.iter_unpack(packed):
            self.rows[prefix.hex()] = (version, worth)
        self.at, self.blocked = self.told["at"], frozenset(self.told["blocked"])

    @property
    def is_whole(self) -> bool:
        """Tell whether the list is what the server has."""
        sums = (len(self.rows), sum(version for version, _ in self.rows.values()))
        return sums == (self.told["count"], self.told["versions"])

    async def type(self, number: str) -> Outcome:
        """Type a number in."""
        scan = replace(self.next("", ""), number=number)
        (answer,) = await self.scanning.take(self.scanner, [scan])
        return answer.outcome

    async def ask(self, code: str) -> Outcome:
        """Scan with a network."""
        (answer,) = await self.scanning.take(self.scanner, [self.next("", code)])
        return answer.outcome

    def offline(self, code: str, keys: TicketKeys) -> Outcome:
        """Scan without one: decide, tell people, and keep it to be sent."""
        facts = verify(code, EVENT, keys.public)
        assert not isinstance(facts, str), facts
        prefix = facts.ticket[:16]
        _, worth = self.rows.get(prefix, (0, 0))
        word = Outcome.ADMITTED
        if worth == 1 or prefix in self.entered:
            word = Outcome.USED
        elif worth >= REVOKED:
            word = Outcome.REVOKED
        elif prefix in self.blocked:
            word = Outcome.BLOCKED
        if word is Outcome.ADMITTED:
            self.entered.add(prefix)
        self.queue.append(self.next(word.value, code))
        return word

    async def sync(self, chance: random.Random | None = None, *, keep: bool = False) -> list[Answer]:
        """Send what waits, shuffled where there is a `chance`; with `keep` all of it waits on."""
        scans = list(self.queue)
        if chance is not None:
            chance.shuffle(scans)
        answers = await self.scanning.take(self.scanner, scans)
        if not keep:
            self.queue.clear()
        return answers


@dataclass
class Doors:
    """An event whose tickets are sold, and its doors."""

    shop: Shop
    keys: TicketKeys
    scanning: Scanning

    @property
    def clock(self) -> Any:
        """The server's clock."""
        return self.shop.scene.clock

    def worker(self) -> Scanning:
        """Make another worker."""
        return Scanning(OnePlace(self.shop.scene.place), self.keys, self.clock, self.shop.scene.metrics)

    async def gate(self, name: str, scanning: Scanning | None = None, skew_ms: int = 0) -> Gate:
        """Make a scanner, and open its page on a phone."""
        made = await self.scanning.make(EVENT, name, self.clock.now_ms() + 24 * HOUR_MS)
        assert made is not None
        device = made.scanner.id
        return Gate(scanning or self.scanning, made.scanner, self.clock, device, skew_ms)

    async def tickets(self, buyer: str = "ann", *seats: int) -> list[Ticket]:
        """Sell seats; returns their tickets."""
        order = await self.shop.paid(buyer, *seats)
        with self.shop.scene.database.reading() as connection:
            return tickets_of(connection, order["order"])

    async def code(self, buyer: str = "ann", *seats: int) -> str:
        """Sell a seat; returns its ticket's code."""
        return self.keys.code((await self.tickets(buyer, *(seats or (0,))))[0])

    def now(self, ticket: Ticket) -> Ticket:
        """Read a ticket."""
        with self.shop.scene.database.reading() as connection:
            found = find_ticket(connection, EVENT, ticket.id)
        assert found is not None
        return found

    def outcomes(self) -> list[tuple[str, str]]:
        """Return (told, outcome) of every scan that is kept."""
        with self.shop.scene.database.reading() as connection:
            rows = connection.execute(
                sa.select(SCANS.c.told, SCANS.c.outcome).order_by(SCANS.c.outcome, SCANS.c.told)
            )
            return [(told, outcome) for told, outcome in rows]

    def admissions(self) -> int:
        """Count scans that let somebody in."""
        return sum(outcome == Outcome.ADMITTED for _, outcome in self.outcomes())


@asynccontextmanager
async def doors(url: str, store_url: str) -> AsyncIterator[Doors]:
    """Open a sale and its doors."""
    async with shop(url, store_url) as own:
        keys = TicketKeys([new_key(0)])
        scanning = Scanning(OnePlace(own.scene.place), keys, own.scene.clock, own.scene.metrics)
        yield Doors(own, keys, scanning)
