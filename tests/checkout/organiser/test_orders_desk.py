"""What was bought, over the organiser's API: refunds, reviews, disputes, what is put aside, money, an event's end."""

import asyncio
import csv
import io
import logging

import pytest
import sqlalchemy as sa

from checkout.halls.seats import Status
from checkout.money import Money
from checkout.orders.ports import Judgement
from checkout.payments.port import Dispute, DisputeState, Payment, PaymentState
from checkout.tables import MONEY
from tests.checkout.bank import losing
from tests.checkout.order_desks import order_desk
from tests.checkout.orders.test_refunds import Suspicious
from tests.checkout.organisers import told
from tests.checkout.reservations import EVENT
from tests.checkout.tills import faults

PRICE = 8400
SEES = Suspicious(Judgement.REVIEW, Judgement.ALLOW)


async def test_money_goes_back_once_for_each_key(shop_url: str, store_url: str) -> None:
    """F1: a part; the same key the same refund; another body 422; none 400; too much 409; then the rest."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        same = await asyncio.gather(*(desk.refund(order, "k1", amount_minor=3000) for _ in range(8)))
        other = await desk.refund(order, "k1", amount_minor=3001)
        without = await desk.ask("POST", f"/orders/{order}/refunds", {"reason": "x"})
        too_much = await desk.refund(order, "k2", amount_minor=PRICE - 2999)
        rest = await desk.refund(order, "k3")
        seats = desk.shop.scene.sql_seats(0, 1)
        listed = (await desk.ask("GET", "/refunds")).json()["refunds"]
        wrong = await faults(desk.shop)

    assert {answer.status_code for answer in same} <= {200, 202}
    assert {answer.json()["refund"] for answer in same} == {"k1"}
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    assert (without.status_code, without.json()["code"]) == (400, "key-missing")
    assert (too_much.status_code, too_much.json()["code"], too_much.json()["left_minor"]) == (
        409, "refund-too-much", PRICE - 3000,
    )  # fmt: skip
    assert (rest.status_code, rest.json()["amount_minor"], rest.json()["by"]) == (200, PRICE - 3000, "ida")
    assert len(desk.shop.bank.refunds) == 2
    assert sorted(one["amount_minor"] for one in listed) == [3000, PRICE - 3000]
    assert seats == [Status.FREE] * 2
    assert wrong == []


async def test_a_refund_that_failed_is_tried_again_as_one_of_its_own(shop_url: str, store_url: str) -> None:
    """It is listed as failed; two who try again at once want the same; what has not failed is not tried again."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        desk.shop.bank.set("pay-1", captured_minor=0)
        failed = await desk.refund(order, "k1", amount_minor=1000)
        desk.shop.bank.set("pay-1", captured_minor=PRICE)
        await desk.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        listed = (await desk.ask("GET", "/refunds?state=failed")).json()["refunds"]
        path = f"/orders/{order}/refunds/k1/retry"
        again = await asyncio.gather(*(desk.ask("POST", path) for _ in range(2)))
        done = await desk.ask("POST", f"/orders/{order}/refunds/k1:1/retry")
        none = await desk.ask("POST", f"/orders/{order}/refunds/k9/retry")

    assert failed.json()["state"] == "failed"
    assert [one["refund"] for one in listed] == ["k1"]
    assert {answer.json()["refund"] for answer in again} == {"k1:1"}
    assert len(desk.shop.bank.refunds) == 1
    assert (done.status_code, done.json()["code"]) == (409, "refund-not-failed")
    assert (none.status_code, none.json()["code"]) == (404, "order-unknown")


async def test_a_refund_that_nobody_has_answered_is_on_its_way(shop_url: str, store_url: str) -> None:
    """202, and done when the provider is there again."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        desk.shop.bank.before = losing("refund")
        asked = await desk.refund(order, "k1")
        await desk.shop.settle(3)
        again = await desk.refund(order, "k1")

    assert (asked.status_code, asked.json()["state"]) == (202, "wanted")
    assert (again.status_code, again.json()["state"]) == (200, "done")


async def test_orders_are_found_a_page_at_a_time(shop_url: str, store_url: str) -> None:
    """By state, buyer, last four digits and time; each order on one page, the newest first."""
    async with order_desk(shop_url, store_url) as desk:
        made = []
        for at, buyer in enumerate(("ann", "bob", "cy", "di", "eve")):
            desk.shop.scene.clock.advance(1000)
            paper = await (desk.shop.paid(buyer, at) if at % 2 else desk.shop.order(buyer, at))
            made.append(paper["order"])
        seen: list[str] = []
        page = (await desk.ask("GET", "/orders?limit=2")).json()
        while page["next"]:
            seen += [one["order"] for one in page["orders"]]
            page = (await desk.ask("GET", f"/orders?limit=2&after={page['next']}")).json()
        seen += [one["order"] for one in page["orders"]]

        async def found(query: str) -> list[str]:
            return [one["order"] for one in (await desk.ask("GET", f"/orders?{query}")).json()["orders"]]

        from_ms = desk.shop.scene.clock.now_ms() - 1000
        queries = ("state=paid", "buyer=cy", "card=4242", "card=1111", f"from_ms={from_ms}", "until_ms=5")
        by = [await found(query) for query in queries]
        strange = await desk.ask(
            "GET", "/orders?card=42&state=odd&colour=red&limit=0&after=xyz&buyer=a&buyer=b"
        )

    assert seen == made[::-1]
    assert by == [[made[3], made[1]], [made[2]], [made[3], made[1]], [], [made[4], made[3]], []]
    assert (strange.status_code, strange.json()["code"]) == (422, "query-invalid")
    assert strange.json()["faults"] == [
        "card: it cannot be this", "state: it cannot be this", "colour: it is unknown", "buyer: it is there twice",
        "limit: it must be a whole number from 1 to 200", "after: it is no cursor of this list",
    ]  # fmt: skip


async def test_all_of_an_order_is_told(shop_url: str, store_url: str) -> None:
    """Attempts, movements, refunds, the log."""
    async with order_desk(shop_url, store_url) as desk:
        paper = await desk.shop.order()
        await desk.shop.pay(paper, "no-funds", key="k1")
        await desk.shop.pay(paper, "ok", key="k2")
        await desk.refund(paper["order"], "r1", amount_minor=400)
        plain = (await desk.ask("GET", f"/orders/{paper['order']}")).json()
        other = await desk.ask("GET", "/orders/Onone")

    assert [one["state"] for one in plain["attempts"]] == ["voided", "captured"]
    moved = [(one["kind"], one["amount_minor"]) for one in plain["money"]]
    assert moved == [("captured", PRICE), ("refunded", -400)]
    assert [one["refund"] for one in plain["refunds"]] == ["r1"]
    kinds = [one["kind"] for one in plain["log"]]
    assert {"order-opened", "order-sold", "order-paid", "refund"} <= set(kinds)
    assert [one["seq"] for one in plain["log"]] == sorted(one["seq"] for one in plain["log"])
    assert (other.status_code, other.json()["code"]) == (404, "order-unknown")


@pytest.mark.parametrize("decision", ["release", "refuse"])
async def test_who_is_to_be_looked_at_is_listed_and_decided(
    decision: str, shop_url: str, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest first; the same decision again is the same, the other one is too late; the log has who."""
    caplog.set_level(logging.INFO)
    async with order_desk(shop_url, store_url, judge=SEES) as desk:
        orders = []
        for at, buyer in enumerate(("ann", "bob")):
            paper = await desk.shop.order(buyer, at)
            orders.append(paper["order"])
            await desk.shop.pay(paper, buyer=buyer)
            desk.shop.scene.clock.advance(60_000)
        listed = (await desk.ask("GET", "/reviews")).json()
        path = f"/orders/{orders[0]}"
        done = [await desk.ask("POST", f"{path}/{decision}", {"note": "Called."}) for _ in range(2)]
        otherwise = await desk.ask("POST", f"{path}/{'refuse' if decision == 'release' else 'release'}", {})
        left = (await desk.ask("GET", "/reviews")).json()["reviews"]
        told_of = (await desk.ask("GET", path)).json()
        seats = desk.shop.scene.sql_seats(0)
        wrong = await faults(desk.shop)

    assert [one["order"] for one in listed["reviews"]] == orders
    assert all(one["opened_ms"] < listed["now_ms"] < one["lapses_ms"] for one in listed["reviews"])
    assert {answer.status_code for answer in done} == {200}
    assert done[0].json()["state"] == ("paid" if decision == "release" else "refused")
    assert done[0].json()["review"] == done[1].json()["review"] == told_of["review"]
    assert (told_of["review"]["by"], told_of["review"]["note"]) == ("ida", "Called.")
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "review-decided")
    assert [one["order"] for one in left] == orders[1:]
    assert seats == [Status.SOLD if decision == "release" else Status.FREE]
    assert [act["act"] for act in told(caplog.records)] == [f"review-{decision}"]
    assert wrong == []


async def test_a_dispute_is_told_and_nothing_goes_back_twice(shop_url: str, store_url: str) -> None:
    """F3: open, and until when evidence is taken; what the bank has taken back is not refunded, too; lost, and sums."""
    async with order_desk(shop_url, store_url) as desk:
        order = (await desk.shop.paid())["order"]
        await desk.refund(order, "r1", amount_minor=400)
        left = Money(PRICE - 400, "EUR")
        for at, state in enumerate((DisputeState.OPEN, DisputeState.LOST)):
            one = Dispute("dp-1", state, left, 5, "fraudulent", 77)
            desk.shop.bank.set("pay-1", disputed_minor=left.amount_minor, disputes=(one,))
            await desk.shop.worker.notices.hear("bank", b"n%d:pay-1" % at, {"signed": "yes"})
            if state is DisputeState.OPEN:
                opened = (await desk.ask("GET", "/disputes?state=open")).json()
                more = await desk.refund(order, "r2", amount_minor=1)
        lost = (await desk.ask("GET", "/disputes")).json()
        money = (await desk.ask("GET", "/money")).json()["money"]
        wrong = await faults(desk.shop)

    assert [(one["order"], one["state"], one["evidence_ms"]) for one in opened["disputes"]] == [
        (order, "open", 77)
    ]
    assert (more.status_code, more.json()["left_minor"]) == (409, 0)
    assert [one["state"] for one in lost["disputes"]] == ["lost"]
    assert lost["sums"] == [{"currency": "EUR", "state": "lost", "count": 1, "total_minor": PRICE - 400}]
    assert (money[0]["net_minor"], money[0]["disputed_minor"]) == (0, PRICE - 400)
    assert wrong == []


async def test_what_is_put_aside_is_told_until_somebody_has_seen_it(shop_url: str, store_url: str) -> None:
    """A notice of nobody's payment, and a payment that we did not know."""
    async with order_desk(shop_url, store_url) as desk:
        await desk.shop.worker.notices.hear("bank", b"n1:pay-none", {"signed": "yes"})
        paper = await desk.shop.paid()
        now_ms = desk.shop.scene.clock.now_ms()
        desk.shop.bank.payments["pay-9"] = Payment(
            "pay-9", PaymentState.CAPTURED, Money(500, "EUR"), now_ms, 500, event=EVENT, order=paper["order"],
            attempt=7,
        )  # fmt: skip
        desk.shop.scene.clock.advance(120_000)
        await desk.shop.worker.recovering.look_for_strays()
        kinds = ("notices", "strays")
        found = [(await desk.everywhere("GET", f"/{kind}")).json()[kind] for kind in kinds]
        paths = ("notices/bank/n1", "notices/bank/n1", "strays/bank/pay-9", "strays/bank/x")
        marked = [(await desk.everywhere("POST", f"/{path}/seen")) for path in paths]
        left = [(await desk.everywhere("GET", f"/{kind}")).json()[kind] for kind in kinds]
        seen = (await desk.everywhere("GET", "/notices?seen=yes")).json()["notices"]

    assert [(one["name"], one["why"]) for one in found[0]] == [("n1", "no such payment")]
    assert [(one["name"], one["captured_minor"]) for one in found[1]] == [("pay-9", 500)]
    assert [answer.status_code for answer in marked] == [204, 204, 204, 404]
    assert left == [[], []]
    assert [(one["name"], one["seen_by"]) for one in seen] == [("n1", "ida")]


async def test_money_is_what_sql_adds_up(shop_url: str, store_url: str) -> None:
    """Captured, refunded, net and open, also as a table; the sums are those of the movements."""
    async with order_desk(shop_url, store_url) as desk:
        for at, buyer in enumerate(("ann", "bob", "cy")):
            order = (await desk.shop.paid(buyer, at))["order"]
        await desk.refund(order, "r1", amount_minor=200)
        one = (await desk.ask("GET", "/money")).json()["money"]
        everything = (await desk.everywhere("GET", "/money")).json()["money"]
        rows = list(csv.DictReader(io.StringIO((await desk.everywhere("GET", "/money.csv")).text)))
        with desk.shop.scene.database.reading() as connection:
            net = int(connection.scalar(sa.select(sa.func.sum(MONEY.c.amount_minor))) or 0)

    assert one == everything
    assert one == [
        {
            "event": EVENT, "currency": "EUR", "captured_minor": 12_600, "refunded_minor": 200, "disputed_minor": 0,
            "net_minor": net, "open_minor": 0, "refunds_wanted_minor": 0,
        }
    ]  # fmt: skip
    assert [row["net_minor"] for row in rows] == [str(net)]


async def test_the_end_of_an_event_is_followed(shop_url: str, store_url: str) -> None:
    """E3: confirmed, then what is paid goes back; how far that has come is told; one that fails holds up nobody."""
    async with order_desk(shop_url, store_url) as desk:
        for at, buyer in enumerate(("ann", "bob", "cy")):
            await desk.shop.paid(buyer, at)
        waiting = await desk.shop.order("di", 5)
        desk.shop.bank.set("pay-2", captured_minor=0)
        unsure = await desk.ask("POST", "/cancel", {"confirm": "winter"})
        await desk.ask("POST", "/cancel", {"confirm": EVENT})
        before = (await desk.ask("GET", "/cancellation")).json()
        desk.shop.scene.clock.advance(5_000)
        await desk.shop.worker.recovering.end_cancelled()
        again = await desk.shop.worker.recovering.end_cancelled()
        after = (await desk.ask("GET", "/cancellation")).json()
        state = (await desk.shop.look(waiting))["state"]

    assert (unsure.status_code, unsure.json()["code"]) == (422, "confirmation-missing")
    assert (before["left"], before["is_done"]) == (4, False)
    assert after["refunds"] == {"done": 2, "failed": 1}
    assert (after["left"], after["is_done"]) == (0, True)
    assert again == 0
    assert state == "cancelled"
