"""From a reservation to a paid order, on both kinds of database: buyer, bank and SQL agree on what happened."""

import asyncio

import pytest
from sqlalchemy import Connection

from checkout.halls.seats import Status
from checkout.orders import service
from checkout.orders.driving import Driving
from checkout.orders.order import AttemptState, Goal, OrderState
from checkout.orders.papers import Phase
from checkout.orders.service import No
from checkout.orders.store import NoAttempt
from checkout.payments.port import Capability, PaymentState
from tests.checkout.bank import busy, losing
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, shop

PRICE = 8400


async def test_an_order_is_paid(shop_url: str, store_url: str) -> None:
    """The five steps in their order: created, asked, sold, taken, settled; the seats are sold everywhere."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        paper = await own.pay(order)
        _, attempts = await own.rows(order)
        seats = (await own.scene.seats(0, 1), own.scene.sql_seats(0, 1))

    assert order["phase"] == Phase.TO_PAY
    assert (paper["state"], paper["phase"], paper["total_minor"], paper["card"]) == (
        "paid", Phase.PAID, PRICE, "visa 4242",
    )  # fmt: skip
    assert [name for name, _ in own.bank.calls] == ["create", "confirm", "capture"]
    assert (own.bank.net_minor(order["order"]), own.bank.captures(order["order"])) == (PRICE, 1)
    assert [(one.state, one.goal, one.method) for one in attempts] == [(AttemptState.CAPTURED, Goal.PAY, "")]
    assert seats == ([Status.SOLD] * 2, [Status.SOLD] * 2)


async def test_one_key_fifty_times_is_one_order_and_one_payment(shop_url: str, store_url: str) -> None:
    """At two workers at once: identical papers, one charge. Another method under the key is another wish."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        workers = (own.worker, own.new_worker())
        papers = await asyncio.gather(*(own.pay(order, worker=workers[at % 2]) for at in range(50)))
        await own.settle()
        last = [await own.pay(order, worker=workers[at % 2]) for at in range(2)]
        other = await own.pay(order, "no-funds")

    assert {paper["order"] for paper in papers} == {order["order"]}
    assert {paper["attempt"] for paper in papers} == {1}
    assert last[0] == last[1]
    assert last[0]["state"] == "paid"
    assert other is No.OTHER_BODY
    assert (own.bank.captures(order["order"]), len(own.bank.payments)) == (1, 1)


async def test_a_key_that_was_used_since_it_was_looked_for_is_no_other_wish(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat looks for its key, the first one commits, the repeat reads the order: it must not hear "under way"."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        first = await own.pay(order, "slow")
        known, looks = service._known_key, []

        def blind(connection: Connection, scope: str, key: str) -> object:
            looks.append(key)
            return None if len(looks) <= 2 else known(connection, scope, key)

        monkeypatch.setattr(service, "_known_key", blind)
        repeat = await own.pay(order, "slow")

    assert (first["order"], first["attempt"]) == (repeat["order"], repeat["attempt"])
    assert len(looks) == 3


async def test_an_order_is_made_once_for_a_reservation(shop_url: str, store_url: str) -> None:
    """Twenty at once make one; nobody else's reservation can be ordered."""
    async with shop(shop_url, store_url) as own:
        reservation = await own.scene.reserved("ann", 0, 1)
        told = await asyncio.gather(*(own.worker.ordering.open(EVENT, "ann", reservation) for _ in range(20)))
        stranger = await own.worker.ordering.open(EVENT, "bob", reservation)

    assert len({one.paper["order"] for one in told}) == 1  # type: ignore[union-attr]
    assert sum(one.is_new for one in told) == 1  # type: ignore[union-attr]
    assert stranger is No.UNKNOWN


async def test_a_decline_keeps_the_seats_and_a_second_card_pays(shop_url: str, store_url: str) -> None:
    """Row 54: same order, same seats, the next number; what was declined is let go."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        declined = await own.pay(order, "no-funds")
        paper = await own.pay(order, "ok", key="k2")
        seats = own.scene.sql_seats(0, 1)

    assert (declined["phase"], declined["decline"], declined["state"]) == (
        Phase.DECLINED, "insufficient-funds", "open",
    )  # fmt: skip
    assert (paper["state"], paper["attempt"]) == ("paid", 2)
    assert seats == [Status.SOLD] * 2
    assert [one.state for one in own.bank.payments.values()] == [PaymentState.VOIDED, PaymentState.CAPTURED]


async def test_a_bank_that_asks_is_answered_and_the_order_is_paid(shop_url: str, store_url: str) -> None:
    """3-D Secure: the buyer is sent to the bank's page, comes back, and the order goes on."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        asked = await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        told = await own.worker.ordering.find(EVENT, "ann", order["order"], look=True)

    assert (asked["phase"], asked["state"]) == (Phase.ACTION, "open")
    assert str(asked["action_url"]).startswith("https://bank/pay-1?https://shop.example/orders/summer/O")
    assert told is not None
    assert (told.paper["state"], told.paper["action_url"]) == ("paid", None)


async def test_a_page_that_is_loaded_over_and_over_asks_the_bank_now_and_then(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few times at once, then once in two seconds for each order; and a worker does not remember orders for ever."""
    monkeypatch.setattr(service, "LOOKED_MOST", 3)
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        ordering, before = own.worker.ordering, len(own.bank.calls)

        async def looks(times: int) -> int:
            for _ in range(times):
                await ordering.find(EVENT, "ann", order["order"], look=True)
            return len(own.bank.calls) - before

        asked = [await looks(20)]
        own.scene.clock.advance(2_000)
        asked.append(await looks(20))
        for other in ("O1", "O2", "O3", "O4"):
            assert ordering._may_look(other)
            own.scene.clock.advance(20_000)

    assert asked == [5, 6]
    assert len(ordering._looked_us) <= 3


async def test_whoever_never_comes_back_from_the_bank_loses_the_seats_and_pays_nothing(
    shop_url: str, store_url: str
) -> None:
    """P7: at the end of the time the payment is let go, and the seats are free everywhere."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        await own.settle(rounds=40)
        paper = await own.look(order)
        seats = (await own.scene.seats(0, 1), own.scene.sql_seats(0, 1))

    assert (paper["state"], paper["phase"]) == ("lapsed", Phase.OVER)
    assert own.bank.payments["pay-1"].state is PaymentState.VOIDED
    assert seats == ([Status.FREE] * 2, [Status.FREE] * 2)


@pytest.mark.parametrize("first", ["bank", "time"])
async def test_a_bank_that_agrees_as_the_time_ends(first: str, shop_url: str, store_url: str) -> None:
    """P8, both ways round: while the seats are still reserved the bank has won, and after that the time."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.scene.clock.set(order["until_ms"])
        if first == "time":
            await own.scene.reserving.lapse(own.scene.place)
        own.bank.authorise("pay-1")
        await own.worker.ordering.find(EVENT, "ann", order["order"], look=True)
        await own.settle()
        paper = await own.look(order)
        seats = own.scene.sql_seats(0, 1)

    has_won = first == "bank"
    assert paper["state"] == ("paid" if has_won else "lapsed")
    assert own.bank.net_minor(order["order"]) == (PRICE if has_won else 0)
    assert own.bank.open_refs == []
    assert seats == [Status.SOLD if has_won else Status.FREE] * 2


async def test_a_second_try_lets_go_of_one_that_waits_for_its_buyer(shop_url: str, store_url: str) -> None:
    """P15: the first bank agrees late; one is taken, the other is let go."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        paper = await own.pay(order, "ok", key="k2")
        await own.settle()

    assert paper["state"] == "paid"
    assert own.bank.captures(order["order"]) == 1
    assert {one.state for one in own.bank.payments.values()} == {PaymentState.CAPTURED, PaymentState.VOIDED}


async def test_while_a_bank_decides_nobody_asks_another(shop_url: str, store_url: str) -> None:
    """P16: the second tab is told to wait, and the first one's answer is everybody's."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        pending = await own.pay(order, "slow")
        second = await own.pay(order, "ok", key="k2")
        own.bank.authorise("pay-1")
        await own.settle(2)
        paper = await own.look(order)

    assert pending["phase"] == Phase.PENDING
    assert second is NoAttempt.UNDER_WAY
    assert (paper["state"], own.bank.captures(order["order"])) == ("paid", 1)


async def test_two_tabs_that_pay_at_once_pay_once(shop_url: str, store_url: str) -> None:
    """P16: at two workers, with two keys and two cards."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        other = own.new_worker()
        papers = await asyncio.gather(own.pay(order, key="k1"), own.pay(order, key="k2", worker=other))
        await own.settle()
        paper = await own.look(order)

    assert paper["state"] == "paid"
    assert own.bank.captures(order["order"]) == 1
    assert any(isinstance(one, NoAttempt) or one["state"] == "paid" for one in papers)


@pytest.mark.parametrize("call", ["create", "confirm", "capture"])
@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_lost_call_charges_nobody_twice(call: str, lost: str, shop_url: str, store_url: str) -> None:
    """P2 to P4, C6: whichever call, whichever way; the order is paid once, at once or a moment later."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        setattr(own.bank, "before" if lost == "question" else "after", losing(call))
        await own.pay(order)
        await own.settle(3)
        paper = await own.look(order)

    assert paper["state"] == "paid"
    assert (own.bank.captures(order["order"]), own.bank.net_minor(order["order"])) == (1, PRICE)
    assert own.bank.open_refs == []


@pytest.mark.parametrize("call", ["create", "confirm", "capture"])
async def test_a_provider_that_cannot_now_is_asked_later(call: str, shop_url: str, store_url: str) -> None:
    """P6: the try waits, and goes on under the same key."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.before = busy(call)
        pending = await own.pay(order)
        await own.settle(2)
        paper = await own.look(order)

    assert pending["phase"] == Phase.PENDING
    assert (paper["state"], own.bank.captures(order["order"])) == ("paid", 1)


async def test_a_provider_without_manual_capture_is_refunded_where_others_are_voided(
    shop_url: str, store_url: str
) -> None:
    """The money is there at once; what was not wanted goes back."""
    async with shop(shop_url, store_url) as own:
        own.bank.capabilities = frozenset({Capability.PARTIAL_REFUND})
        first = await own.paid("ann", 0, 1)
        late = await own.order("bob", 2)
        await own.pay(late, "asks", buyer="bob")
        await own.settle(rounds=40)
        own.bank.set("pay-2", state=PaymentState.CAPTURED, captured_minor=4200)
        await own.worker.recovering.look_for_strays()
        await own.settle(2)

    assert own.bank.net_minor(first["order"]) == PRICE
    assert (own.bank.captures(late["order"]), own.bank.net_minor(late["order"])) == (1, 0)


async def test_authorised_money_that_cannot_be_taken_frees_the_seats(shop_url: str, store_url: str) -> None:
    """C5: the authorisation has lapsed between sale and capture: no money, no seats, no open end."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.before = losing("capture", 3)
        await own.pay(order)
        own.bank.set("pay-1", state=PaymentState.VOIDED)
        await own.settle()
        paper = await own.look(order)
        seats = (await own.scene.seats(0, 1), own.scene.sql_seats(0, 1))

    assert paper["state"] == "failed"
    assert own.bank.net_minor(order["order"]) == 0
    assert seats == ([Status.FREE] * 2, [Status.FREE] * 2)


async def test_an_order_that_is_given_up_lets_go_of_everything(shop_url: str, store_url: str) -> None:
    """Seats and authorised money; a repeat says the same; what is paid cannot be given up."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        told = [await own.worker.ordering.give_up(EVENT, "ann", order["order"]) for _ in range(2)]
        paid = await own.paid("bob", 4)
        refused = await own.worker.ordering.give_up(EVENT, "bob", paid["order"])
        seats = own.scene.sql_seats(0, 1)

    assert [one.paper["state"] for one in told] == ["cancelled"] * 2  # type: ignore[union-attr]
    assert own.bank.payments["pay-1"].state is PaymentState.VOIDED
    assert refused is No.OVER
    assert seats == [Status.FREE] * 2


async def test_a_lost_key_is_not_relied_on(shop_url: str, store_url: str) -> None:
    """P17: a day later the provider has forgotten the key; what it has made is found by its order, not made again."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.after = losing("create", 9)
        await own.pay(order)
        own.bank.after = None
        own.bank.forget_keys()
        own.scene.clock.advance(24 * 3_600_000)
        await own.settle()
        paper = await own.look(order)

    assert paper["state"] == "lapsed"
    assert len(own.bank.payments) == 1
    assert own.bank.open_refs == []


async def test_a_failure_that_is_kept_under_the_key_hides_no_payment(shop_url: str, store_url: str) -> None:
    """P4: the provider has made the payment and answers each repeat with the same failure: it is found by its order."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.after = losing("create", 1_000)
        pending = await own.pay(order)
        await own.settle(3)
        paper = await own.look(order)

    assert pending["phase"] == Phase.PENDING
    assert paper["state"] == "paid"
    assert (len(own.bank.payments), own.bank.captures(order["order"])) == (1, 1)


async def test_a_provider_that_is_well_again_is_not_asked_for_all_its_payments(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an hour's outage thousands repeat: each under its key, and nobody reads the whole list."""
    looked: list[object] = []

    async def looks(_driving: Driving, drive: object) -> bool:
        looked.append(drive)
        return False

    monkeypatch.setattr(Driving, "_find", looks)
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.before = busy("create", 2)
        await own.pay(order)
        await own.settle(4)
        paper = await own.look(order)

    assert paper["state"] == "paid"
    assert looked == []


async def test_a_shop_that_only_repeats_never_hears_of_it(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: without looking for it the same try stays as it is, whoever waits for it."""

    async def finds_nothing(_driving: Driving, _drive: object) -> bool:
        return False

    monkeypatch.setattr(Driving, "_find", finds_nothing)
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.after = losing("create", 1_000)
        await own.pay(order)
        await own.settle(3)
        paper = await own.look(order)

    assert paper["phase"] == Phase.PENDING


async def test_while_the_money_is_being_taken_nobody_is_told_that_it_is_paid(
    shop_url: str, store_url: str
) -> None:
    """A second tab at that moment is to wait; what becomes of the first is everybody's answer."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        own.bank.before = busy("capture")
        pending = await own.pay(order)
        second = await own.pay(order, key="k2")
        await own.settle(2)
        third = await own.pay(order, key="k3")

    assert (pending["state"], pending["phase"]) == ("confirmed", Phase.PENDING)
    assert second is NoAttempt.UNDER_WAY
    assert third is NoAttempt.PAID


async def test_a_paid_order_stays_paid(shop_url: str, store_url: str) -> None:
    """Whoever looks, and however often: nothing more is asked of the bank."""
    async with shop(shop_url, store_url) as own:
        order = await own.paid()
        calls = len(own.bank.calls)
        await own.settle()
        again: Shop = own
        paper = await again.look(order)

    assert (paper["state"], OrderState(paper["state"])) == ("paid", OrderState.PAID)
    assert len(own.bank.calls) == calls
