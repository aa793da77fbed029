"""A process dies at any point of a payment at the second provider: whoever comes after it resolves the order.

The points are read from the sources. The orders' own are those of ``test_crashes``, once more with a provider that
cannot be asked how a payment stands; the adapter's are passed several times in a story, and a process dies there each
time. What an order must come to is told for each death by itself.
"""

import ast
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkout.orders import driving, refunding
from checkout.orders.papers import OrderPaper
from checkout.payments import adyen, adyen_reading
from checkout.payments.adyen_standing import Outcome, Standing
from checkout.payments.adyen_wire import Wire
from checkout.payments.port import Notice
from tests.checkout.adyen_tills import AdyenShop, adyen_shop
from tests.checkout.orders.test_crashes import Dead, points
from tests.checkout.reservations import EVENT
from tests.checkout.sandbox.running import until

CONFIRM = "POST /v71/payments"
PASSED: set[tuple[str, int]] = set()


def own_points() -> list[str]:
    """Read the adapter's crash points from its sources."""
    found = []
    for source in sorted(Path(adyen.__file__).parent.glob("adyen*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint":
                assert isinstance(node.args[0], ast.Constant)
                found.append(str(node.args[0].value))
    return found


@contextmanager
def dying_at(name: str, time: int = 1) -> Iterator[None]:
    """Let whoever passes a point for the n-th time die there."""
    left = [time]
    PASSED.discard((name, time))

    def crashpoint(passed: str) -> None:
        if passed != name or not left[0]:
            return
        left[0] -= 1
        if not left[0]:
            PASSED.add((name, time))
            raise Dead(name)

    with pytest.MonkeyPatch.context() as patched:
        for module in (driving, refunding, adyen):
            patched.setattr(module, "crashpoint", crashpoint)
        yield


async def buy_and_give_back(own: AdyenShop) -> OrderPaper:
    """Pay an order, hear of it, and refund it."""
    order = await own.order()
    await own.pay(order)
    await own.hear()
    await own.worker.caring.refund(EVENT, order["order"], None, "r1", by="ann")
    await own.hear()
    return order


async def give_up(own: AdyenShop) -> OrderPaper:
    """Have money authorised whose answer is lost, and give the order up."""
    order = await own.order()
    own.box.fault("drop-answer", CONFIRM, count=2)
    await own.pay(order)
    await own.worker.ordering.give_up(EVENT, "ann", order["order"])
    await own.settle(2)
    return order


async def pay_too_late(own: AdyenShop) -> OrderPaper:
    """Have a bank agree, of an order whose time is over."""
    order = await own.order()
    await own.pay(order, "pending")
    own.scene.clock.set(order["until_ms"])
    await own.scene.reserving.lapse(own.scene.place)
    until(lambda: own.payments()[0]["authorised"])
    await own.settle(4)
    return order


async def lose_the_money(own: AdyenShop) -> OrderPaper:
    """Have a capture taken on that is not done in the end."""
    order = await own.order()
    await own.pay(order, "capture-refused")
    await own.settle(6)
    return order


async def resolved(own: AdyenShop) -> tuple[str, list[str]]:
    """Have another process find what stands still, and hear what was not acknowledged; the order's end, and faults."""
    own.worker = own.new_worker()
    await own.hear_again()
    await own.settle(rounds=8, step_ms=90_000)
    await own.scene.reserving.lapse(own.scene.place)
    await own.settle(rounds=2, step_ms=90_000)
    await own.reconcile()
    (order,) = await own.worker.ordering.mine(EVENT, "ann")
    return str(order["state"]), await own.faults()


# --------------------------------------------------------------------------- within the adapter

STORIES = {"buy": buy_and_give_back, "give-up": give_up, "late": pay_too_late}
ENDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    # What is asked: to pay, to capture, to give back. Who dies before the wish to give back was written never had it.
    ("buy", "adyen.asking"): ("paid", "paid", "refunded"),
    ("buy", "adyen.answered"): ("paid", "paid", "refunded"),
    ("buy", "adyen.kept"): ("paid", "paid", "refunded"),
    # Twice to pay, as the answers are lost; the second time by who gives up, and looks first: dead before anything is
    # given up, the order is paid as its buyer had asked. Then the same once more, and to cancel.
    ("give-up", "adyen.asking"): ("paid", "paid", "cancelled", "cancelled"),
    ("give-up", "adyen.answered"): ("cancelled", "cancelled"),
    ("give-up", "adyen.kept"): ("cancelled", "cancelled"),
    # To pay: whoever dies then leaves the order its time, and it is paid within it. After that time nothing is.
    ("late", "adyen.asking"): ("paid", "lapsed"),
    ("late", "adyen.answered"): ("paid", "lapsed"),
    ("late", "adyen.kept"): ("lapsed", "lapsed"),
}
"""By story and point: what the order comes to when a process dies there the first time, the second, and so on."""

DEATHS = [
    (story, point, time, end) for (story, point), ends in ENDS.items() for time, end in enumerate(ends, 1)
]


@pytest.mark.parametrize(("story", "point", "time", "end"), DEATHS)
async def test_a_death_within_the_adapter_is_resolved(
    story: str, point: str, time: int, end: str, shop_url: str, store_url: str
) -> None:
    """Before it is asked, when the answer has come and is not written, when a notice is kept and not acknowledged."""
    async with adyen_shop(shop_url, store_url) as own:
        with dying_at(point, time), suppress(Dead):
            await STORIES[story](own)
        state, wrong = await resolved(own)

    assert (point, time) in PASSED, "the story does not pass this point so often"
    assert wrong == []
    assert state == end
    assert len(own.payments()) == 1
    assert sum(row["captured"] > 0 for row in own.payments()) == (end in {"paid", "refunded"})


@pytest.mark.parametrize(("story", "point"), list(ENDS))
async def test_the_deaths_are_all_there_are(story: str, point: str, tmp_path: Path, store_url: str) -> None:
    """A story passes the point as often as is told, and not once more."""
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        with dying_at(point, len(ENDS[story, point]) + 1):
            await STORIES[story](own)


def test_the_adapters_points_are_there() -> None:
    """Around each call, and after each notice; a death is told of each, in every story."""
    assert sorted(own_points()) == ["adyen.answered", "adyen.asking", "adyen.kept"]
    assert set(ENDS) == {(story, point) for story in STORIES for point in own_points()}


# --------------------------------------------------------------------------- within the orders

OF_THE_ORDERS = {
    "create": (buy_and_give_back, "paid"), "confirm": (buy_and_give_back, "paid"),
    "sell": (buy_and_give_back, "paid"), "capture": (buy_and_give_back, "paid"),
    "settle": (buy_and_give_back, "paid"), "notice": (buy_and_give_back, "paid"),
    "give-back": (buy_and_give_back, "refunded"), "void": (give_up, "cancelled"), "refund": (pay_too_late, "lapsed"),
    "close": (lose_the_money, "failed"),
}  # fmt: skip
"""By the first word of a point: the story that passes it, and what the order comes to."""


@pytest.mark.parametrize("point", points())
async def test_a_death_within_the_orders_is_resolved(point: str, shop_url: str, store_url: str) -> None:
    """P1 to C6, with a provider that cannot be asked how a payment stands."""
    kind = point.split(".", maxsplit=1)[0]
    story, end = OF_THE_ORDERS[kind]
    # Only who takes the money at once has to refund what was not wanted.
    async with adyen_shop(shop_url, store_url, takes_at_once=kind == "refund") as own:
        with dying_at(point), suppress(Dead):
            await story(own)
        state, wrong = await resolved(own)

    assert (point, 1) in PASSED, "the story does not pass this point"
    assert wrong == []
    assert state == end
    assert len(own.payments()) == 1


# ------------------------------------------------------------------------------------- mutants


async def lose_an_answer(own: AdyenShop) -> None:
    """Have the bank's answer lost on the way, and its buyer look again before any notice has come."""
    order = await own.order()
    own.box.fault("drop-answer", CONFIRM)
    await own.pay(order)
    await own.worker.ordering.find(EVENT, "ann", order["order"], look=True)


async def test_an_answer_that_was_lost_is_asked_for_again(tmp_path: Path, store_url: str) -> None:
    """Under the same key: one payment."""
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        await lose_an_answer(own)
        state, wrong = await resolved(own)

        assert (state, wrong, len(own.payments())) == ("paid", [], 1)


async def test_a_key_for_each_try_charges_twice_and_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a repeat has a new key, so the bank is asked a second time for the same payment."""
    post = Wire.post

    async def anew(self: Wire, path: str, body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        del key
        return await post(self, path, body, secrets.token_hex(16))

    monkeypatch.setattr(Wire, "post", anew)
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        await lose_an_answer(own)
        _, wrong = await resolved(own)
        asked = own.payments()

    assert len(asked) == 2
    assert any(one.startswith("I4") and "2 times" in one for one in wrong), wrong


async def taken_of_what_is_sold(own: AdyenShop) -> tuple[str, int]:
    """Die when the money was asked for; returns how the order stands then, and how often money was taken."""
    with dying_at("capture.after"), suppress(Dead):
        await buy_and_give_back(own)
    (order,) = await own.worker.ordering.mine(EVENT, "ann")
    return str(order["state"]), own.captures(order["order"])


async def test_money_is_taken_of_what_is_sold(tmp_path: Path, store_url: str) -> None:
    """The seats are the buyer's before the money is ours."""
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        assert await taken_of_what_is_sold(own) == ("confirmed", 1)


async def test_taking_the_money_before_the_seats_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: capture before SQL has sold; whoever is too late has paid for nothing."""
    from checkout.orders.order import AttemptState, Goal
    from checkout.orders.rule import ACTS, Act
    from checkout.orders.rule import Standing as Where

    eager = dict(ACTS)
    eager[Goal.PAY, AttemptState.AUTHORISED] = {Where.OPEN: Act.CAPTURE, Where.OURS: Act.CAPTURE}
    monkeypatch.setattr("checkout.orders.rule.ACTS", eager)
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        assert await taken_of_what_is_sold(own) == ("open", 1)


async def test_forgetting_what_was_asked_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: an answer that was lost is not asked for again, so nobody ever knows."""
    monkeypatch.setattr(Standing, "unanswered", lambda _self: [])
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        with dying_at("adyen.asking"), suppress(Dead):
            await buy_and_give_back(own)
        _, wrong = await resolved(own)

    assert any(one.startswith("I12") for one in wrong), wrong


def counts_each(self: Standing, code: str) -> int:
    """Count what each notice tells, as if none ever came twice."""
    return sum(one.amount_minor for one in self._told(code, Outcome.YES))


async def test_counting_each_delivery_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a notice that comes again is another one, and adds up: more has gone back than there was."""
    read = adyen_reading.notice

    def another(*given: Any, **more: Any) -> Notice:
        told = read(*given, **more)
        return replace(told, id=f"{told.id}:{secrets.token_hex(4)}")

    monkeypatch.setattr(adyen_reading, "notice", another)
    monkeypatch.setattr(Standing, "_sum", counts_each)
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        order = await own.paid()
        await own.worker.caring.refund(EVENT, order["order"], 1000, "r1", by="ann")
        await own.settle(3)
        before = await own.faults()
        await own.hear_again()
        wrong = await own.faults()

    assert before == []
    assert any(one.startswith("I11") for one in wrong), wrong
