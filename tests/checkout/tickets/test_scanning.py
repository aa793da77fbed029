"""Scanning: one ticket lets one person in, whoever scans it, wherever, in whatever order we hear of it.

Rules stand beside the mutants that they must catch: without the ticket's version, the signature, the scan's name, the
rule on whom a gate has sent away. Lists and their overlap: ``test_scan_lists``.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.orders.order import order_id
from checkout.orders.refund import Refund
from checkout.tables import TICKETS
from checkout.tickets import base45, issuing, scanner_rows, scanning
from checkout.tickets import code as codes_of
from checkout.tickets.admitting import Outcome, decide
from checkout.tickets.code import HEAD, Facts
from checkout.tickets.keys import TicketKeys, new_key
from checkout.tickets.ticket import Ticket, TicketState
from kernel.errors import Unavailable
from tests.checkout.doors import HOUR_MS, Doors, Gate, doors
from tests.checkout.reservations import EVENT
from tests.checkout.tills import faults


def said_by(text: str) -> Facts:
    """Read a code and believe it."""
    found = codes_of.read(text)
    assert isinstance(found, tuple)
    return found[0]


async def conflicts_of(own: Doors) -> list[Any]:
    """Read the conflict report."""
    return list(await own.scanning.conflicts(EVENT, (), 50))


# ------------------------------------------------------------------------------------- online


async def test_a_second_scan_is_refused_and_told_where_the_first_was(shop_url: str, store_url: str) -> None:
    """Row 115: at the other gate, and at the same one later; the same phone a moment after sees the same person."""
    async with doors(shop_url, store_url) as own:
        a, b = await own.gate("Gate A"), await own.gate("Gate B")
        code = await own.code()
        first = await a.ask(code)
        again = await a.ask(code)
        (other,) = await own.scanning.take(b.scanner, [b.next("", code)])
        own.clock.advance(10_000)
        later = await a.ask(code)
        wrong = await faults(own.shop)
        counted = own.shop.scene.metrics.scans._tallies["admitted"].count

    assert (first, again, other.outcome, later) == (
        Outcome.ADMITTED,
        Outcome.AGAIN,
        Outcome.USED,
        Outcome.USED,
    )
    assert other.before is not None
    assert other.before.gate == "Gate A"
    assert other.ticket is not None
    assert other.ticket.state is TicketState.USED
    assert wrong == []
    assert counted == 1


async def test_a_scan_that_is_sent_again_hears_the_same_word(shop_url: str, store_url: str) -> None:
    """A lost answer makes nobody a stranger: repeated one after the other and at once, it is one scan."""
    async with doors(shop_url, store_url) as own:
        gate, other = await own.gate("Gate A"), own.worker()
        scan = gate.next("", await own.code())
        answers = [(await own.scanning.take(gate.scanner, [scan]))[0] for _ in range(3)]
        at_once = await asyncio.gather(
            *((own.scanning, other)[at % 2].take(gate.scanner, [scan]) for at in range(10))
        )
        kept = own.outcomes()

    assert {one.outcome for one in answers} == {Outcome.ADMITTED}
    assert {one.outcome for (one,) in at_once} == {Outcome.ADMITTED}
    assert kept == [("", "admitted")]


async def test_of_many_gates_at_many_workers_one_admits(shop_url: str, store_url: str) -> None:
    """Two workers, eight gates, one ticket, at the same moment; several times."""
    async with doors(shop_url, store_url) as own:
        workers = (own.scanning, own.worker())
        gates = [await own.gate(f"Gate {at}", workers[at % 2]) for at in range(8)]
        codes = [own.keys.code(one) for one in await own.tickets("ann", 0, 1, 2, 3)]
        for code in codes:
            words = await asyncio.gather(*(gate.ask(code) for gate in gates))
            assert sorted(words) == sorted([Outcome.ADMITTED, *[Outcome.USED] * 7])
        wrong = await faults(own.shop)

    assert wrong == []


async def test_without_the_ticket_s_version_two_are_let_in(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a change that names no version. Both have read the ticket before either writes."""

    def careless(connection: Connection, was: Ticket, now: Ticket) -> None:
        changed = {"state": now.state.value, "used_ms": now.used_ms, "version": now.version}
        connection.execute(sa.update(TICKETS).where(TICKETS.c.id == was.id).values(changed))

    async with doors(shop_url, store_url) as own:
        gates = [await own.gate(f"Gate {at}") for at in range(2)]
        (ticket,) = await own.tickets("ann", 0)
        code = own.keys.code(ticket)

        def stale(*_: Any) -> Ticket:
            return ticket

        careful = [await gate.ask(code) for gate in gates[:1]]
        monkeypatch.setattr(scanner_rows, "find_ticket", stale)
        # What was read is old: with its version nobody gets past, and the scan is given up after some tries.
        with pytest.raises(Unavailable, match="shop-away"):
            await gates[1].ask(code)
        monkeypatch.setattr(issuing, "change_ticket", careless)
        mutant = await gates[1].ask(code)
        let_in = own.admissions()

    assert (careful, mutant) == ([Outcome.ADMITTED], Outcome.ADMITTED)
    assert let_in == 2


# ------------------------------------------------------------------------------------ offline


@pytest.mark.parametrize("seed", range(4))
async def test_two_gates_that_were_offline_come_to_one_admission_and_a_conflict(
    shop_url: str, store_url: str, seed: int
) -> None:
    """T4: the same codes at both gates without a network; sent in any order, again and again, by wrong clocks."""
    chance = random.Random(seed)
    async with doors(shop_url, store_url) as own:
        a = await own.gate("Gate A", skew_ms=chance.randint(-HOUR_MS, HOUR_MS))
        b = await own.gate("Gate B", own.worker(), skew_ms=chance.randint(-HOUR_MS, HOUR_MS))
        codes = [own.keys.code(one) for one in await own.tickets("ann", 0, 1, 2)]
        gates = [a, b]
        for gate in gates:
            await gate.refresh()
        own.clock.advance(60_000)
        words = [gate.offline(code, own.keys) for code in codes for gate in chance.sample(gates, 2)]
        twice = a.offline(codes[0], own.keys)
        for _ in range(3):
            for gate in chance.sample(gates, 2):
                await gate.sync(chance, keep=True)
        await asyncio.gather(*(gate.sync(chance) for gate in gates))
        report = await conflicts_of(own)
        figures = await own.scanning.figures(EVENT)
        kept = own.outcomes()
        wrong = await faults(own.shop)

    assert words == [Outcome.ADMITTED] * 6
    assert twice is Outcome.USED
    assert [told for told, outcome in kept if outcome == "admitted"] == ["admitted"] * 3
    assert len({row.ticket_id for row in report}) == len(report) == 3
    assert all({row.name, row.first_name} == {"Gate A", "Gate B"} for row in report)
    assert all(row.first_came_ms for row in report)
    assert len(kept) == 7
    assert (figures.sold, figures.entered, sum(figures.gates.values())) == (3, 3, 3)
    assert wrong == []


async def test_the_first_to_come_is_the_admission_whatever_a_clock_says(
    shop_url: str, store_url: str
) -> None:
    """Gate B was first by every clock; Gate A's scan came first. Nobody's admission is taken back."""
    async with doors(shop_url, store_url) as own:
        a, b = await own.gate("Gate A", skew_ms=HOUR_MS), await own.gate("Gate B", skew_ms=-HOUR_MS)
        code = await own.code()
        b.offline(code, own.keys)
        own.clock.advance(60_000)
        a.offline(code, own.keys)
        (first,) = await a.sync()
        (second,) = await b.sync()
        (row,) = await conflicts_of(own)

    assert (first.outcome, second.outcome) == (Outcome.ADMITTED, Outcome.USED)
    assert (row.name, row.first_name) == ("Gate B", "Gate A")
    assert row.at_ms < row.first_at_ms


async def test_whom_a_gate_sent_away_uses_nothing_up(shop_url: str, store_url: str) -> None:
    """The scan that refused comes before the one that let in: the ticket is the second one's."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        code = await own.code()
        gate.offline(code, own.keys)
        refused = gate.offline(code, own.keys)
        gate.queue.reverse()
        answers = await gate.sync()
        report = await conflicts_of(own)

    assert refused is Outcome.USED
    assert [one.outcome for one in answers] == [Outcome.USED, Outcome.ADMITTED]
    assert report == []


async def test_without_that_rule_the_person_who_came_in_is_a_conflict(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a decision that does not look at what people were told."""

    def careless(found: Any, before: Any, scanner: str, scan: Any, *, is_blocked: bool) -> Outcome:
        return decide(found, before, scanner, replace(scan, told=""), is_blocked=is_blocked)

    monkeypatch.setattr(scanner_rows, "decide", careless)
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        code = await own.code()
        gate.offline(code, own.keys)
        gate.offline(code, own.keys)
        gate.queue.reverse()
        await gate.sync()
        report = await conflicts_of(own)

    assert len(report) == 1


async def test_without_names_a_scan_that_is_sent_again_is_a_conflict(shop_url: str, store_url: str) -> None:
    """The mutant: a device that gives its scan another name each time it sends it. One person came in."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        gate.offline(await own.code(), own.keys)
        await gate.sync(keep=True)
        named = await gate.sync(keep=True), await conflicts_of(own)
        gate.queue = [replace(scan, id=f"{gate.device}-77") for scan in gate.queue]
        await gate.sync()
        report = await conflicts_of(own)

    assert ([one.outcome for one in named[0]], named[1]) == ([Outcome.ADMITTED], [])
    assert len(report) == 1


async def test_a_gate_that_asked_and_heard_nothing_tells_what_it_did(
    shop_url: str, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The question came through, "used" got lost, the gate decided by itself: a conflict, told in the log once."""
    async with doors(shop_url, store_url) as own:
        a, b = await own.gate("Gate A"), await own.gate("Gate B")
        code = await own.code()
        await a.ask(code)
        asked = b.next("", code)
        await own.scanning.take(b.scanner, [asked])
        before = await conflicts_of(own)
        told = replace(asked, told="admitted")
        (answer,) = await own.scanning.take(b.scanner, [told])
        await own.scanning.take(b.scanner, [replace(asked, told="used")])
        (row,) = await conflicts_of(own)

    assert before == []
    assert [one.message for one in caplog.records] == ["somebody was let in who should not have been"]
    assert answer.outcome is Outcome.USED
    assert (row.name, row.first_name, row.outcome) == ("Gate B", "Gate A", "used")


async def test_two_phones_with_one_link_are_two_devices(shop_url: str, store_url: str) -> None:
    """The scanner is the same, the person need not be: not "again", and a conflict if both have let in."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        other = Gate(own.scanning, gate.scanner, own.clock, "f" * 16)
        code = await own.code()
        gate.offline(code, own.keys)
        other.offline(code, own.keys)
        words = [(await one.sync())[0].outcome for one in (gate, other)]
        report = await conflicts_of(own)

    assert words == [Outcome.ADMITTED, Outcome.USED]
    assert len(report) == 1


# --------------------------------------------------------------------- money, keys and forgers


async def test_a_refund_and_then_a_scan_is_a_revoked_ticket(shop_url: str, store_url: str) -> None:
    """F2: online at once, at an offline gate as soon as its list has it; who was let in before that is a conflict."""
    async with doors(shop_url, store_url) as own:
        gate, late = await own.gate("Gate A"), await own.gate("Gate B")
        code = await own.code()
        await gate.refresh()
        await late.refresh()
        order = order_id(own.shop.scene.sale_of("ann").id)
        own.clock.advance(1_000)
        done = await own.shop.worker.caring.refund(EVENT, order, None, "r1", by="ida")
        own.clock.advance(1_000)
        online = await gate.ask(code)
        await gate.refresh()
        offline = gate.offline(code, own.keys)
        unknowing = late.offline(code, own.keys)
        (answer,) = await late.sync()
        (row,) = await conflicts_of(own)

    assert isinstance(done, Refund)
    assert (online, offline, unknowing) == (Outcome.REVOKED, Outcome.REVOKED, Outcome.ADMITTED)
    assert answer.outcome is Outcome.REVOKED
    assert (row.outcome, row.why, row.first_name) == ("revoked", "returned", None)


async def test_a_disputed_payment_blocks_and_a_won_one_does_not(shop_url: str, store_url: str) -> None:
    """F3: no row of a ticket changes; scanners hear of it with their next list, offline too, and of its end."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        code = own.keys.code(ticket)
        await gate.refresh()
        own.shop.bank.set("pay-1", disputed_minor=4200)
        await own.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        own.clock.advance(15_000)
        disputed = await gate.ask(code)
        await gate.refresh()
        offline, changed = gate.offline(code, own.keys), own.now(ticket)
        gate.queue.clear()
        own.shop.bank.set("pay-1", disputed_minor=0)
        await own.shop.worker.notices.hear("bank", b"n2:pay-1", {"signed": "yes"})
        own.clock.advance(15_000)
        await gate.refresh()
        lifted, won = gate.blocked, await gate.ask(code)

    assert (disputed, offline, won) == (Outcome.BLOCKED, Outcome.BLOCKED, Outcome.ADMITTED)
    assert (changed, lifted) == (ticket, frozenset())


async def test_after_a_rotation_both_keys_tickets_are_good_and_a_dropped_key_s_are_not(
    shop_url: str, store_url: str
) -> None:
    """T3: old tickets verify offline with the list's keys; a dropped key's codes are forgeries from then on."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (old,) = await own.tickets("ann", 0)
        before = own.keys.code(old)
        first = own.keys.keys[0]
        own.keys.rotate(own.clock.now_ms())
        own.clock.advance(61_000)
        (new,) = await own.tickets("bob", 1)
        after = own.keys.code(new)
        await gate.refresh()
        known = [row["id"] for row in gate.told["keys"]]
        words = [gate.offline(code, own.keys) for code in (before, after)]
        gate.queue.clear()
        own.keys.drop(first.id)
        own.clock.advance(5_000)
        (dead, good) = [await gate.ask(code) for code in (before, after)]
        sent_anew = await gate.ask(own.keys.code(old))
        await gate.refresh()

    assert known == [one.id for one in own.keys.keys]
    assert words == [Outcome.ADMITTED] * 2
    assert (dead, good, sent_anew) == (Outcome.FORGED, Outcome.ADMITTED, Outcome.ADMITTED)
    assert [row["id"] for row in gate.told["keys"]] == known[1:]


async def test_forgeries_let_nobody_in_and_are_counted(shop_url: str, store_url: str) -> None:
    """Altered, of a key of somebody's own, of another event, no code; and a number that is none."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        code = own.keys.code(ticket)
        stranger = TicketKeys([new_key(0)]).code(ticket)
        elsewhere = own.keys.code(replace(ticket, event="winter"))
        altered = code[:-3] + ("000" if code[-3:] != "000" else "100")
        octets = base45.decode(code.removeprefix(HEAD))
        other_seat = HEAD + base45.encode(octets[:32] + b"\1" + octets[33:])
        unknown = own.keys.code(replace(ticket, id="0" * 32))
        words = [
            await gate.ask(one)
            for one in (altered, other_seat, stranger, elsewhere, "HELLO", code[:-1], unknown)
        ]
        typed = [await gate.type(number) for number in ("00000-00000", "nonsense")]
        refused = (await own.scanning.figures(EVENT)).refused
        state = own.now(ticket).state

    assert words == [
        *[Outcome.FORGED] * 3,
        Outcome.OTHER_EVENT,
        *[Outcome.UNKNOWN] * 3,
    ]
    assert typed == [Outcome.UNKNOWN] * 2
    assert refused == {"forged": 3, "other-event": 1, "unknown": 5}
    assert state is TicketState.VALID


async def test_without_the_signature_anybody_makes_tickets(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: codes that are read and not verified."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        forged = TicketKeys([new_key(0)]).code(ticket)
        careful = await gate.ask(forged)
        monkeypatch.setattr(scanning, "verify", lambda text, *_: said_by(text))
        mutant = await gate.ask(forged)

    assert (careful, mutant) == (Outcome.FORGED, Outcome.ADMITTED)


async def test_a_number_that_is_typed_in_is_its_ticket(shop_url: str, store_url: str) -> None:
    """As people type it; used up like its code."""
    async with doors(shop_url, store_url) as own:
        gate = await own.gate("Gate A")
        (ticket,) = await own.tickets("ann", 0)
        typed = await gate.type(ticket.number.lower().replace("-", " "))
        own.clock.advance(60_000)
        again = await gate.ask(own.keys.code(ticket))

    assert (typed, again) == (Outcome.ADMITTED, Outcome.USED)
