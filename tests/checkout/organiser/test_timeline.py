"""The story of a sale: every entry of the log in words, in order, nobody's data, and seen when it was changed."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.audit.checking import KINDS
from checkout.eventlog.entries import canonical
from checkout.organiser import support
from checkout.organiser import timeline as stories
from checkout.organiser.timeline import UNKNOWN, UNREADABLE, WORDS
from checkout.tables import EVENT_LOG, ORDERS
from checkout.tickets.giving import offer, take
from checkout.tickets.issuing import reissue, withdraw
from checkout.tickets.rows import find_ticket
from checkout.tickets.ticket import Why, ticket_id
from tests.checkout.logs import tampering
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.organiser.test_orders_desk_inputs import NOBODY, problem
from tests.checkout.organiser.test_orders_desk_inputs import UNKNOWN as NO_ORDER
from tests.checkout.reservations import EVENT
from tests.checkout.sale_courses import Doubtful, entries_of, run


async def story(desk: OrderDesk, order: str) -> Any:
    """Ask for a story."""
    answer = await desk.ask("GET", f"/orders/{order}/timeline")
    assert answer.status_code == 200, answer.text
    return answer.json()


def kinds() -> set[str]:
    """Name every kind of entry that a projection reads."""
    return {kind for projection in KINDS.projections for kind in projection.steps}


def test_each_kind_of_the_log_has_its_sentence() -> None:
    """None is missing, none is of a kind that there is not; each is a sentence."""
    assert set(WORDS) == kinds()
    assert all(re.fullmatch(r"[A-Z][^.]+\.", words) for words in WORDS.values())
    assert len(set(WORDS.values())) == len(WORDS)


def test_a_kind_without_a_sentence_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: one sentence is gone."""
    monkeypatch.setattr(stories, "WORDS", {kind: words for kind, words in WORDS.items() if kind != "refund"})

    assert set(stories.WORDS) != kinds()


async def test_the_story_has_every_entry_in_order(shop_url: str, store_url: str) -> None:
    """Every order of a sale in which everything happens: what the log has, no more and no less."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        made = await run(desk)
        for order in made.values():
            told = await story(desk, order)
            written = [one for one in entries_of(desk.shop.scene) if one.stream == f"R{order[1:]}"]
            assert [(one["seq"], one["at_ms"], one["kind"]) for one in told["timeline"]] == [
                (one.seq, one.at_ms, one.kind) for one in written
            ]
            assert (told["is_right"], told["faults"]) == (True, [])
            assert all(one["words"].startswith(WORDS[one["kind"]]) for one in told["timeline"])
            assert UNREADABLE not in str(told)


async def test_what_happened_is_said_in_words(shop_url: str, store_url: str) -> None:
    """Money that moved, each time once; a dispute opened and won; who was declined, refused, out of time."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        made = await run(desk)
        said = {
            buyer: " ".join(one["words"] for one in (await story(desk, order))["timeline"])
            for buyer, order in made.items()
        }

    for sentence in (
        "2 seats for €84.00.", "It comes to €84.00.", "Try 1 is authorised.", "€84.00 was taken.",
        "2 tickets were made.",
        "€10.00 is to go back.", "€10.00 went back to the buyer.", "€10.00 is back.", "€5.00 went back to the buyer.",
        "The buyer's bank took €69.00 back: a dispute.", "The buyer's bank gave €69.00 again: a dispute won.",
    ):  # fmt: skip
        assert said["ann"].count(sentence) == 1, (sentence, said["ann"])
    assert "Try 1 was declined (insufficient-funds)." in said["bob"]
    assert "It was not paid in time." in said["bob"]
    assert "It was given up, or its event was cancelled." in said["di"]
    assert "All of its money went back. 3 tickets were revoked." in said["hal"]
    assert "A person is to look at it first." in said["kim"]
    assert "A person did not let it through." in said["kim"]
    assert "It was refused." in said["kim"]


async def test_what_becomes_of_tickets_is_told(shop_url: str, store_url: str) -> None:
    """Given, made anew, withdrawn: each in its words, and who has it now is not told."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid("ann", 0, 1, 2))["order"]
        now_ms = desk.shop.scene.clock.now_ms()
        with desk.shop.scene.database.writing() as connection:
            tickets = [find_ticket(connection, EVENT, ticket_id(order, seat, 1)) for seat in (0, 1, 2)]
            assert all(tickets)
            offer(connection, tickets[0], now_ms, now_ms + 1000)  # type: ignore[arg-type]
            take(connection, EVENT, tickets[0].id, "grandmother", now_ms)  # type: ignore[union-attr]
            reissue(connection, tickets[1], now_ms, why=Why.REISSUED)  # type: ignore[arg-type]
            withdraw(connection, tickets[2], now_ms)  # type: ignore[arg-type]
        told = await story(desk, order)

    assert [one["kind"] for one in told["timeline"]][-3:] == [
        "ticket-given",
        "ticket-reissued",
        "ticket-withdrawn",
    ]
    assert "grandmother" not in str(told)
    assert told["is_right"]


async def test_nobody_s_data_is_in_it(shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the buyer, a card, a reason, a note; the mutant tells all that an entry has."""
    secrets = (
        "ann-with-a-name",
        "fp-1",
        "4242",
        "a reason that names somebody",
        "a note that names somebody",
        "ida",
    )
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        order = (await desk.shop.paid("ann-with-a-name", 0))["order"]
        await desk.refund(order, "r1", amount_minor=5, reason="a reason that names somebody")
        kim = await desk.shop.order("kim", 5)
        await desk.shop.pay(kim, buyer="kim")
        await desk.ask("POST", f"/orders/{kim['order']}/release", {"note": "a note that names somebody"})
        told = [str(await story(desk, one)) for one in (order, kim["order"])]
        monkeypatch.setattr(stories, "_shown", lambda _what, fields: dict(fields))
        mutant = "".join([str(await story(desk, one)) for one in (order, kim["order"])])

    assert [secret for secret in secrets for one in told if secret in one] == []
    assert all(secret in mutant for secret in secrets)


# ------------------------------------------------------------------------------------ tampering


async def _tampered(desk: OrderDesk, order: str, change: Any) -> Any:
    with tampering(desk.shop.scene.database) as connection:
        connection.execute(change)
    return await story(desk, order)


def _entry(order: str, kind: str) -> Any:
    return (EVENT_LOG.c.stream == f"R{order[1:]}") & (EVENT_LOG.c.kind == kind)


ODD = canonical({"attempts": [], "order": {"": {"state": 7, "version": "x"}}})
HASH = "its hash is not"
CHANGES: list[tuple[str, str, dict[str, object] | None, str]] = [
    # name, kind of the entry, its new values (None: it is gone), what is told
    ("a body", "order-paid", {"body": '{"attempts":{}}'}, HASH),
    ("no JSON", "order-paid", {"body": "{"}, HASH),
    ("no object", "order-paid", {"body": "[]"}, HASH),
    ("odd parts", "order-paid", {"body": ODD}, HASH),
    ("a kind", "order-paid", {"kind": "gift"}, HASH),
    ("a time", "order-opened", {"at_ms": 5}, "before that of the entry"),
    ("an event", "order-opened", {"event_id": "other"}, "it is of event"),
    ("one is gone", "order-opened", None, "it comes after entry 1"),
    ("the end is gone", "order-paid", None, "by the log the order is confirmed, by its row paid"),
    ("a turn is gone", "sold", None, "sale ends in version 1, and its row is in version 2"),
    ("the beginning is gone", "reserved", None, "it is the first that is there"),
]


@pytest.mark.parametrize(
    ("kind", "values", "told"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
async def test_a_log_that_was_changed_is_told_as_such(
    kind: str, values: dict[str, object] | None, told: str, shop_url: str, store_url: str
) -> None:
    """Whatever was changed: the answer says what is not as it was written, and what can be read is told."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        own = _entry(order, kind)
        change = (
            sa.delete(EVENT_LOG).where(own)
            if values is None
            else sa.update(EVENT_LOG).where(own).values(values)
        )
        before = await story(desk, order)
        after = await _tampered(desk, order, change)

    assert before["is_right"]
    assert not after["is_right"]
    assert any(told in fault["what"] for fault in after["faults"]), after["faults"]
    assert all(fault["where"].startswith(f"stream R{order[1:]}") for fault in after["faults"])


async def test_an_end_that_was_cut_off_is_told(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No chain is broken: a refund that is done, a ticket that was withdrawn; the mutant looks at no versions."""
    async with order_desk(shop_url, store_url) as desk:
        told: list[list[str]] = []
        for seat, kind in enumerate(("refund", "ticket-withdrawn")):
            order = (await desk.shop.paid(f"b{seat}", seat))["order"]
            await desk.refund(order, "r1", amount_minor=5)
            if kind == "ticket-withdrawn":
                with desk.shop.scene.database.writing() as connection:
                    ticket = find_ticket(connection, EVENT, ticket_id(order, seat, 1))
                    assert ticket is not None
                    withdraw(connection, ticket, desk.shop.scene.clock.now_ms())
            assert (await story(desk, order))["is_right"]
            after = await _tampered(desk, order, sa.delete(EVENT_LOG).where(_entry(order, kind)))
            told.append([fault["what"].split(" ends")[0] for fault in after["faults"]])
        monkeypatch.setattr(stories, "_VERSIONED", ("order",))
        monkeypatch.setattr(
            support, "_versions", lambda _connection, own: [("order", "", own.version), ("sale", "", 2)]
        )
        mutant = await story(desk, order)

    assert told == [["attempts 1", "refunds r1"], [f"tickets {ticket_id(order, 1, 1)}"]]
    assert mutant["is_right"]


async def test_a_row_that_the_log_does_not_come_to_is_told(shop_url: str, store_url: str) -> None:
    """An order that somebody has changed beside the log, and one of which the log has nothing."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        other = await _tampered(desk, order, sa.update(ORDERS).values(state="refunded"))
        gone = await _tampered(desk, order, sa.delete(EVENT_LOG))

    assert other["faults"][0]["what"] == "by the log the order is paid, by its row refunded"
    assert gone["timeline"] == []
    assert gone["faults"] == [{"where": f"stream R{order[1:]}", "what": "the log has nothing of this sale"}]


async def test_an_entry_that_cannot_be_read_is_said_to_be_one(shop_url: str, store_url: str) -> None:
    """Of a kind that nobody knows, or no JSON: words of their own, and no changes."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        own = _entry(order, "order-opened")
        odd = await _tampered(desk, order, sa.update(EVENT_LOG).where(own).values(body="{"))
        strange = await _tampered(desk, order, sa.update(EVENT_LOG).where(own).values(body="{}", kind="gift"))

    assert (odd["timeline"][1]["words"], odd["timeline"][1]["changes"]) == (UNREADABLE, {})
    assert (strange["timeline"][1]["words"], strange["timeline"][1]["changes"]) == (UNKNOWN, {})


async def test_a_story_that_believes_every_row_would_be_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nothing is looked at, so a changed amount is told as if it had been so."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        monkeypatch.setattr(stories, "chained", lambda entries, _checked: iter(entries))
        change = sa.update(EVENT_LOG).where(_entry(order, "order-opened"))
        with desk.shop.scene.database.reading() as connection:
            body = connection.scalar(sa.select(EVENT_LOG.c.body).where(_entry(order, "order-opened")))
        told = await _tampered(desk, order, change.values(body=str(body).replace("8400", "8401")))

    assert told["is_right"]
    assert "€84.01" in str(told)


# -------------------------------------------------------------------------------------- inputs


async def test_a_story_of_nobody_s_order_is_told_so(shop_url: str, store_url: str) -> None:
    """Names that are none, orders of another event, parameters, methods, no token."""
    async with order_desk(shop_url, store_url) as desk, desk.stranger() as stranger:
        order = (await desk.shop.paid())["order"]
        await desk.other_event("autumn")
        for name in (NOBODY, "Onone", "x", "R00000000000", "%00", "O" + "A" * 300, "%ED%A0%80", "'--"):
            assert problem(await desk.ask("GET", f"/orders/{name}/timeline")) == NO_ORDER, name
        for event in ("none", "%00", "x" * 300):
            answer = await desk.everywhere("GET", f"/events/{event}/orders/{order}/timeline")
            assert problem(answer) == (404, "event-unknown", [])
        assert problem(await desk.everywhere("GET", f"/events/autumn/orders/{order}/timeline")) == NO_ORDER
        asked = await desk.ask("GET", f"/orders/{order}/timeline?x=1")
        assert problem(asked) == (422, "query-invalid", [])
        assert problem(await desk.ask("POST", f"/orders/{order}/timeline", {})) == (
            405,
            "method-not-allowed",
            [],
        )
        answer = await stranger.get(f"/organiser/api/events/{EVENT}/orders/{order}/timeline")
        assert problem(answer)[:2] == (401, "token-missing")
