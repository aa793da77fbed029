"""Lists of scanners: whole, small, and without a gap, whenever a change is committed; scanners, tokens and figures."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.database import ShopDatabase
from checkout.tables import ATTEMPTS, SCANS, TICKETS
from checkout.tickets import scanning
from checkout.tickets.admitting import Outcome
from checkout.tickets.issuing import withdraw
from checkout.tickets.projection import ticket_row
from checkout.tickets.scan_list import OVERLAP_MS
from checkout.tickets.ticket import Ticket, ticket_id
from tests.checkout.doors import HOUR_MS, Doors, doors
from tests.checkout.reservations import EVENT

MANY = 60_000
MOST_BYTES = 1_600_000


async def late(own: Doors, ticket: Ticket, wait_ms: int, between: Callable[[], Any]) -> None:
    """Change a ticket in a transaction that commits `wait_ms` after its date; meanwhile something else happens.

    On SQLite writers take turns, but who reads does not wait for them.
    """
    database: ShopDatabase = own.shop.scene.database
    dated, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with database.writing() as connection:
            withdraw(connection, ticket, own.clock.now_ms())
            dated.set()
            assert may_commit.wait(30)

    going = asyncio.create_task(asyncio.to_thread(slow))
    await asyncio.to_thread(dated.wait, 30)
    own.clock.advance(wait_ms)
    await between()
    may_commit.set()
    await going


async def test_a_change_that_is_committed_late_comes_with_the_next_list(
    shop_url: str, store_url: str
) -> None:
    """Like N3: two slow transactions, dated before a list was made and committed after it."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        first, second = await own.tickets("ann", 0, 1)
        await gate.refresh()
        own.clock.advance(30_000)

        async def meanwhile() -> None:
            await gate.refresh()

        await late(own, first, 45_000, meanwhile)
        await late(own, second, 20_000, meanwhile)
        own.clock.advance(15_000)
        await gate.refresh()
        since = gate.told["since"]
        words = [gate.offline(own.keys.code(one), own.keys) for one in (first, second)]

    assert since > 0
    assert words == [Outcome.REVOKED] * 2
    assert gate.is_whole


async def test_without_the_overlap_a_late_change_is_lost_and_noticed(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: lists that begin where the last one was made. The sums tell, and the whole list puts it right."""
    monkeypatch.setattr(scanning, "OVERLAP_MS", 0)
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        await gate.refresh()
        own.clock.advance(30_000)
        await late(own, ticket, 45_000, gate.refresh)
        own.clock.advance(15_000)
        await gate.refresh()
        lost, is_whole = gate.rows[ticket.id[:16]], gate.is_whole
        gate.at = 0
        own.clock.advance(5_000)
        await gate.refresh()

    assert (lost, is_whole) == ((1, 0), False)
    assert (gate.rows[ticket.id[:16]], gate.is_whole) == ((2, 5), True)


async def test_a_change_later_than_any_overlap_is_noticed(shop_url: str, store_url: str) -> None:
    """Committed ten minutes after its date: the sums differ, so the page asks for everything."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        await gate.refresh()
        own.clock.advance(30_000)
        await late(own, ticket, 5 * OVERLAP_MS, gate.refresh)
        own.clock.advance(15_000)
        await gate.refresh()

    assert not gate.is_whole


async def test_a_list_of_changes_has_what_has_changed(shop_url: str, store_url: str) -> None:
    """The rest is not sent again; who came in is told with gate and time."""
    async with doors(shop_url, store_url) as own:
        gate, other = await own.gate("Gate A"), await own.gate("Gate B")
        tickets = await own.tickets("ann", 0, 1, 2)
        own.clock.advance(2 * OVERLAP_MS)
        await gate.refresh()
        own.clock.advance(60_000)
        await other.ask(own.keys.code(tickets[1]))
        own.clock.advance(5_000)
        changes = json.loads((await own.scanning.list(EVENT, gate.at)).octets)
        whole = await own.scanning.list(EVENT, 0)

    assert [len(base64.b64decode(told["tickets"])) for told in (json.loads(whole.octets), changes)] == [
        57,
        19,
    ]
    assert (changes["count"], changes["versions"]) == (3, 4)
    assert changes["gates"] == {str(int(one.scanner.id[:2], 16)): one.scanner.name for one in (gate, other)}
    assert base64.b64decode(changes["tickets"])[-1] == int(other.scanner.id[:2], 16)
    assert gzip.decompress(whole.packed) == whole.octets


async def test_sixty_thousand_tickets_are_small(store_url: str, shop_url: str) -> None:
    """Below 1.6 MB, and packed below 0.9."""
    async with doors(shop_url, store_url) as own:
        (ticket,) = await own.tickets("ann", 0)
        row = ticket_row(ticket)
        rows = [
            {**row, "id": ticket_id("O9", seat, 1), "seat": seat, "order_id": "O9"} for seat in range(1, MANY)
        ]
        with own.shop.scene.database.writing() as connection:
            connection.execute(sa.insert(TICKETS), rows)
        whole = await own.scanning.list(EVENT, 0)

    assert json.loads(whole.octets)["count"] == MANY
    assert len(whole.octets) < MOST_BYTES
    assert len(whole.packed) < 900_000


async def test_many_who_ask_at_once_are_one_reading(
    store_url: str, shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty phones after a network that was away."""
    read: list[int] = []
    known = scanning.scanner_rows.known

    def counted(connection: Connection, event: str, since_ms: int) -> Any:
        read.append(since_ms)
        return known(connection, event, since_ms)

    monkeypatch.setattr(scanning.scanner_rows, "known", counted)
    async with doors(shop_url, store_url) as own:
        await own.tickets("ann", 0)
        at = own.clock.now_ms()
        await asyncio.gather(*(own.scanning.list(EVENT, 0) for _ in range(50)))
        await asyncio.gather(*(own.scanning.list(EVENT, at + nth) for nth in range(50)))

    assert len(read) <= 3


# ---------------------------------------------------------------------------------- scanners


async def test_a_scanner_is_known_by_its_token_for_its_event_and_time(shop_url: str, store_url: str) -> None:
    """Told once, kept as a hash; another event's, an old one and a revoked one are nobody's."""
    async with doors(shop_url, store_url) as own:
        made = await own.scanning.make(EVENT, "Gate A", own.clock.now_ms() + HOUR_MS)
        assert made is not None
        known = await own.scanning.known_by(EVENT, made.token.lower())
        others = [
            await own.scanning.known_by(*pair)
            for pair in (("winter", made.token), (EVENT, "A" * 25), (EVENT, ""))
        ]
        (kept,) = await own.scanning.scanners(EVENT)
        own.clock.advance(HOUR_MS - 1)
        last = await own.scanning.known_by(EVENT, made.token)
        own.clock.advance(1)
        over = await own.scanning.known_by(EVENT, made.token)
        again = await own.scanning.make(EVENT, "Gate B", own.clock.now_ms() + HOUR_MS)
        assert again is not None
        revoked = [await own.scanning.revoke(EVENT, again.scanner.id) for _ in range(2)]
        elsewhere = await own.scanning.revoke("winter", made.scanner.id)
        gone = await own.scanning.known_by(EVENT, again.token)

    assert known is not None
    assert known.name == "Gate A"
    assert others == [None] * 3
    assert made.token.replace("-", "") not in str(kept)
    assert kept.seen_ms > 0
    assert last is not None
    assert (over, revoked, elsewhere, gone) == (None, [True, False], False, None)


async def test_figures_are_what_sql_says(shop_url: str, store_url: str) -> None:
    """Sold, let in, by gate, refused by reason, by minute."""
    async with doors(shop_url, store_url) as own:
        a, b = await own.gate("Gate A"), await own.gate("Gate B")
        codes = [own.keys.code(one) for one in await own.tickets("ann", 0, 1, 2, 3)]
        for gate, code in ((a, codes[0]), (a, codes[1]), (b, codes[2]), (b, codes[0]), (a, codes[1])):
            await gate.ask(code)
            own.clock.advance(1_000)
        own.clock.advance(60_000)
        await b.ask("HELLO")
        await own.shop.paid("bob", 5)
        now = await own.scanning.figures(EVENT)
        with own.shop.scene.database.reading() as connection:
            times = list(connection.scalars(sa.select(SCANS.c.came_ms).where(SCANS.c.outcome == "admitted")))
            paid = connection.scalar(sa.select(sa.func.count()).select_from(ATTEMPTS))

    assert (now.sold, now.entered, paid) == (5, 3, 2)
    assert now.gates == {a.scanner.id: 2, b.scanner.id: 1}
    assert now.refused == {"used": 1, "unknown": 1}
    assert dict(now.minutes) == {ms - ms % 60_000: 3 for ms in times[:1]}


async def test_of_two_tickets_with_one_number_neither_is_meant(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chance of one in a hundred thousand for a stadium; the code tells them apart."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        first, second = await own.tickets("ann", 0, 1)
        monkeypatch.setattr(scanning.scanner_rows, "numbered", lambda *_: [first, second])
        typed = await gate.type(first.number)
        scanned = await gate.ask(own.keys.code(first))

    assert (typed, scanned) == (Outcome.UNKNOWN, Outcome.ADMITTED)
