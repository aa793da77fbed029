"""A process dies at any point of a payment at the second provider: whoever comes after it resolves the order.

The points of the orders' own code are those of ``test_crashes``; the adapter's are read from its source, and each is
passed several times in a story, so a process dies there the first, the second and the third time.
"""

import ast
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from checkout.orders import driving, refunding
from checkout.orders.papers import OrderPaper
from checkout.payments import adyen
from tests.checkout.adyen_tills import AdyenShop, adyen_shop
from tests.checkout.orders.test_crashes import Dead, points
from tests.checkout.reservations import EVENT

OF_THE_ORDERS = [name for name in points() if name.split(".")[0] != "close"]
PASSED: set[str] = set()


def own_points() -> list[str]:
    """Read the adapter's crash points from its source."""
    tree = ast.parse(Path(adyen.__file__).read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [
        str(node.args[0].value)
        for node in calls
        if getattr(node.func, "id", "") == "crashpoint" and isinstance(node.args[0], ast.Constant)
    ]


@contextmanager
def dying_at(name: str, time: int = 1) -> Iterator[None]:
    """Let whoever passes a point for the n-th time die there."""
    left = [time]

    def crashpoint(passed: str) -> None:
        if passed != name or not left[0]:
            return
        left[0] -= 1
        if not left[0]:
            PASSED.add(f"{name}:{time}")
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
    own.box.fault("drop-answer", "POST /v71/payments", count=2)
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
    await own.settle(3)
    return order


async def resolved(own: AdyenShop) -> tuple[str, list[str]]:
    """Have another process find what stands still, and hear what was not acknowledged; the order's end, and faults."""
    own.worker = own.new_worker()
    await own.hear_again()
    await own.settle(rounds=24)
    await own.scene.reserving.lapse(own.scene.place)
    await own.settle(rounds=6)
    await own.reconcile()
    (order,) = await own.worker.ordering.mine(EVENT, "ann")
    return str(order["state"]), await own.faults()


ENDS = {
    "buy": {"refunded", "paid", "lapsed"},
    "give-up": {"cancelled", "lapsed", "paid"},
    # Who dies while the bank is asked leaves the time that is left to whoever comes next.
    "late": {"lapsed", "paid"},
}
STORIES = {"buy": buy_and_give_back, "give-up": give_up, "late": pay_too_late}


@pytest.mark.parametrize("time", [1, 2, 3])
@pytest.mark.parametrize("story", list(STORIES))
@pytest.mark.parametrize("point", own_points())
async def test_a_death_within_the_adapter_is_resolved(
    point: str, story: str, time: int, tmp_path: Path, store_url: str
) -> None:
    """Before it is asked, when the answer has come and is not written, when a notice is kept and not acknowledged."""
    async with adyen_shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        with dying_at(point, time), suppress(Dead):
            await STORIES[story](own)
        state, wrong = await resolved(own)

    assert wrong == []
    assert state in ENDS[story]
    assert sum(row["captured"] > 0 for row in own.payments()) <= 1


@pytest.mark.parametrize("point", OF_THE_ORDERS)
async def test_a_death_within_the_orders_is_resolved(point: str, shop_url: str, store_url: str) -> None:
    """P1 to C6, with a provider that cannot be asked how a payment stands."""
    kind = point.split(".", maxsplit=1)[0]
    is_late = kind == "refund"
    async with adyen_shop(shop_url, store_url, takes_at_once=is_late) as own:
        story = {"void": give_up, "refund": pay_too_late}.get(kind, buy_and_give_back)
        with dying_at(point), suppress(Dead):
            await story(own)
        state, wrong = await resolved(own)

    assert f"{point}:1" in PASSED, "the story does not pass this point"
    assert wrong == []
    assert state in {"refunded", "paid", "cancelled", "lapsed"}
    assert sum(row["captured"] > 0 for row in own.payments()) <= 1


def test_the_adapters_points_are_there() -> None:
    """Around each call, and after each notice."""
    assert sorted(own_points()) == ["adyen.answered", "adyen.asking", "adyen.kept"]
