"""A process dies at any point of a payment: whoever comes after it resolves the order, and nobody is charged twice.

The points are read from the sources; each must be hit by a story below, or the last test fails.
"""

import ast
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import checkout.orders
from checkout.orders import driving, notices, refunding
from checkout.orders.papers import OrderPaper
from checkout.payments.port import PaymentState
from tests.checkout.bank import losing
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

SOURCES = Path(checkout.orders.__file__).parent
MODULES = (driving, refunding)


def points() -> list[str]:
    """Read the names of all crash points from the sources."""
    found = []
    for source in sorted(SOURCES.glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint":
                assert isinstance(node.args[0], ast.Constant)
                found.append(str(node.args[0].value))
    return found


class Dead(BaseException):
    """The process is no more."""


HIT: set[str] = set()


@contextmanager
def dying_at(name: str, times: int = 1) -> Iterator[None]:
    """Let whoever passes a point die there, the first so many times."""
    left = [times]

    def crashpoint(passed: str) -> None:
        if passed == name and left[0]:
            left[0] -= 1
            HIT.add(name)
            raise Dead(name)

    with pytest.MonkeyPatch.context() as patched:
        for module in MODULES:
            patched.setattr(module, "crashpoint", crashpoint)
        yield


async def buy(own: Shop) -> OrderPaper:
    """Pay an order."""
    order = await own.order()
    await own.pay(order)
    return order


async def give_up(own: Shop) -> OrderPaper:
    """Leave the bank's page, and give the order up."""
    order = await own.order()
    await own.pay(order, "asks")
    await own.worker.ordering.give_up(EVENT, "ann", order["order"])
    return order


async def lose_the_money(own: Shop) -> OrderPaper:
    """Have an authorisation end between sale and capture."""
    order = await own.order()
    own.bank.before = losing("capture", 3)
    await own.pay(order)
    own.bank.set("pay-1", state=PaymentState.VOIDED)
    await own.settle(4)
    return order


async def pay_too_late(own: Shop) -> OrderPaper:
    """Have a bank take the money at once, of an order whose time is over."""
    own.bank.capabilities = frozenset()
    order = await own.order()
    await own.pay(order, "asks")
    own.scene.clock.set(order["until_ms"])
    await own.scene.reserving.lapse(own.scene.place)
    own.bank.authorise("pay-1")
    await own.settle(4)
    return order


async def give_back(own: Shop) -> OrderPaper:
    """Refund a paid order."""
    order = await own.order()
    await own.pay(order)
    await own.worker.caring.refund(EVENT, order["order"], None, "r1", by="ann")
    return order


async def be_told(own: Shop) -> OrderPaper:
    """Hear from the provider before the buyer is back."""
    order = await own.order()
    await own.pay(order, "asks")
    own.bank.authorise("pay-1")
    await own.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
    return order


STORIES = {
    "create": buy, "confirm": buy, "sell": buy, "capture": buy, "settle": buy, "void": give_up,
    "close": lose_the_money, "refund": pay_too_late, "give-back": give_back, "notice": be_told,
}  # fmt: skip
ENDS = {
    "create": {"lapsed", "paid"}, "confirm": {"paid"}, "sell": {"paid"}, "capture": {"paid"}, "settle": {"paid"},
    "void": {"cancelled"}, "close": {"failed"}, "refund": {"lapsed"}, "give-back": {"refunded"}, "notice": {"paid"},
}  # fmt: skip


@pytest.mark.parametrize("point", points())
async def test_a_death_at_any_point_is_resolved(point: str, shop_url: str, store_url: str) -> None:
    """P1 to C6: a new process finds what stands still; SQL, store and bank agree, and the order has its one end."""
    story = point.split(".", maxsplit=1)[0]
    async with shop(shop_url, store_url) as own:
        with dying_at(point), suppress(Dead):
            await STORIES[story](own)
        died = point in HIT
        own.bank.before = None
        later = own.new_worker()
        own.worker = later
        if story == "notice":
            # What was not acknowledged is sent again.
            await later.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        await own.settle(rounds=10, step_ms=90_000)
        await own.scene.reserving.lapse(own.scene.place)
        await own.reconcile()
        (order,) = await later.ordering.mine(EVENT, "ann")
        wrong = await faults(own)

    assert died, "the story does not pass this point"
    assert wrong == []
    assert order["state"] in ENDS[story]
    assert own.bank.captures(order["order"]) <= 1


def test_the_points_are_named_once() -> None:
    """A name says where; there are points around every call of a provider."""
    names = points()

    assert len(names) == len(set(names))
    assert {name.split(".")[0] for name in names} == set(STORIES)
    assert notices.log is not None


# ------------------------------------------------------------------------------------ mutants


async def crash_everywhere(url: str, store_url: str) -> list[str]:
    """Die at each point of a purchase, resolve it, and tell what is wrong."""
    wrong: list[str] = []
    for point in (name for name in points() if STORIES[name.split(".")[0]] is buy):
        async with shop(url, store_url) as own:
            with dying_at(point), suppress(Dead):
                await buy(own)
            own.worker = own.new_worker()
            await own.settle(rounds=10, step_ms=90_000)
            await own.scene.reserving.lapse(own.scene.place)
            wrong += await faults(own)
    return wrong


async def test_a_key_for_each_try_charges_twice_and_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a repeat has a new key, so a lost answer makes a second payment that nobody knows."""
    from checkout.orders.order import Attempt

    numbers = iter(range(10_000))
    monkeypatch.setattr(Attempt, "key", lambda self, step: f"{self.order}:{step}:{next(numbers)}")

    wrong = await crash_everywhere(f"sqlite:///{tmp_path}/shop.db", store_url)

    assert any("we do not know payment" in one for one in wrong)


async def test_taking_the_money_before_the_seats_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: capture before SQL has sold. Whoever is too late has paid, or the order stands open."""
    from checkout.orders.order import AttemptState, Goal
    from checkout.orders.rule import ACTS, Act, Standing

    eager = dict(ACTS)
    eager[Goal.PAY, AttemptState.AUTHORISED] = {Standing.OPEN: Act.CAPTURE, Standing.OURS: Act.CAPTURE}
    monkeypatch.setattr("checkout.orders.rule.ACTS", eager)
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        with dying_at("capture.after"), suppress(Dead):
            await buy(own)

        wrong = await faults(own, settled=True)

    assert any(one.startswith("I11") for one in wrong)


async def test_forgetting_what_stands_still_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: nobody looks."""
    monkeypatch.setattr("checkout.orders.recovering.lease", lambda *_a, **_k: [])

    wrong = await crash_everywhere(f"sqlite:///{tmp_path}/shop.db", store_url)

    assert any(one.startswith("I12") for one in wrong)
