"""What orders ask about buyers reaches the fraud checks, and their verdicts come back."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from checkout.database import ShopDatabase
from checkout.holds.places import OnePlace, Place
from checkout.holds.store import HoldStore
from checkout.metrics import Metrics
from checkout.money import Money
from checkout.orders.order import Attempt, Order, OrderState
from checkout.orders.ports import Judgement, Seen
from gateway.shop_judge import FraudJudge, fraud_settings
from gateway.shop_parts import ShopParts
from kernel.clock import ManualClock
from kernel.errors import Misconfigured

PRICE = Money(4200, "EUR")
ORDER = Order("O1", "summer", "ann", "R1", OrderState.OPEN, PRICE, 0, 10_000)
SEEN = Seen("192.0.2.7")


def judge_of(store: Redis, clock: ManualClock, rules: str, folder: Path) -> FraudJudge:
    """Make a judge by a file of rules."""
    path = folder / "fraud.toml"
    path.write_text(rules, encoding="utf-8")
    database = ShopDatabase(f"sqlite:///{folder}/shop.db")
    database.open()
    places = OnePlace(Place("main", database, cast("HoldStore", None)))
    parts = cast("ShopParts", SimpleNamespace(store=store, clock=clock, shards=places))
    settings = fraud_settings(path, is_sandbox=False)
    return FraudJudge(settings, parts, b"secret of thirty-two bytes or so", Metrics(CollectorRegistry()))


async def test_too_many_tries_of_an_account_are_refused(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Each number counts once, however often it is asked about; another account is another matter."""
    judge = judge_of(store, clock, 'fraud_limits = ["account-attempts=2/600/block"]', tmp_path)
    told = [await judge.before(ORDER, number, SEEN) for number in (1, 1, 2, 2, 3)]
    other = await judge.before(replace(ORDER, id="O2", buyer="bob"), 1, SEEN)
    await judge.close()

    assert told == [Judgement.ALLOW] * 4 + [Judgement.BLOCK]
    assert other is Judgement.ALLOW


async def test_a_card_that_many_pay_with_is_looked_at(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Known only once the bank has agreed."""
    judge = judge_of(store, clock, 'fraud_limits = ["card-accounts=2/600/review"]', tmp_path)
    told = []
    for at, buyer in enumerate(("ann", "bob", "cy")):
        order = replace(ORDER, id=f"O{at}", buyer=buyer)
        attempt = Attempt(order.id, 1, "summer", "bank", PRICE, 0, 0, fingerprint="fp-1")
        assert await judge.before(order, 1, SEEN) is Judgement.ALLOW
        told.append(await judge.after(order, attempt))
        await judge.declined(order, attempt)
    await judge.close()

    assert told == [Judgement.ALLOW, Judgement.ALLOW, Judgement.REVIEW]


async def test_who_stands_on_the_list_does_not_pay(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """By address; the worker that has not seen the buyer knows the account only."""
    (tmp_path / "blocked").write_text("address 192.0.2.0/24\n", encoding="utf-8")
    judge = judge_of(store, clock, f'fraud_blocklist = "{tmp_path / "blocked"}"', tmp_path)
    told = await judge.before(ORDER, 1, SEEN)
    unseen = await judge.after(ORDER, Attempt("O1", 9, "summer", "bank", PRICE, 0, 0))
    await judge.close()

    assert (told, unseen) == (Judgement.BLOCK, Judgement.ALLOW)


def test_without_a_file_the_sandbox_lets_all_share_its_cards() -> None:
    """Its cards are a handful; with a provider of money the limits are as they come."""
    assert fraud_settings(None, is_sandbox=True).fraud_limits == ("card-accounts=off", "card-attempts=off")
    assert fraud_settings(None, is_sandbox=False).fraud_limits == ()


@pytest.mark.parametrize("text", ["fraud_limits = 4", "nothing = 1", "= broken", 'fraud_limits = ["x"]'])
def test_a_file_that_cannot_be_used_is_told(text: str, tmp_path: Path) -> None:
    """Every fault in a sentence, before anything starts; a missing file, too."""
    path = tmp_path / "fraud.toml"
    path.write_text(text, encoding="utf-8")

    for one in (path, tmp_path / "missing.toml"):
        with pytest.raises(Misconfigured):
            fraud_settings(one, is_sandbox=False)
