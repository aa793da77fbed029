"""What an operator sets: defaults that work, all faults at once, and everything joined as it is set."""

from dataclasses import fields
from pathlib import Path

import pytest
from redis.asyncio import Redis

from checkout.fraud.review import Decision, Terms
from checkout.fraud.rules import Policy
from checkout.fraud.settings import FraudSettings, fraud_of, policy_of, terms_of
from checkout.fraud.windows import DEFAULTS, Answer, Limit
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from kernel.settings import describe, read
from tests.checkout.fraud.suspects import BROKEN, CITY, FRAN, SECRET, Metrics, attempt


def given(**environ: str) -> FraudSettings:
    """Read settings from an environment."""
    return read(FraudSettings, {f"WAITROOM_FRAUD_{name.upper()}": text for name, text in environ.items()})


def test_without_any_setting_there_are_limits_and_nothing_else() -> None:
    """No file, no country, no scorer; a review that nobody decides is refused."""
    assert policy_of(given()) == Policy(DEFAULTS)
    assert terms_of(given()) == Terms(900_000, Decision.REFUSE)


def test_every_setting_says_what_it_is_and_begins_alike() -> None:
    """As the page of settings shows them."""
    rows = describe(FraudSettings)

    assert len(rows) == len(fields(FraudSettings))
    assert all(row.env.startswith("WAITROOM_FRAUD_") and row.help for row in rows)
    assert [row.env for row in rows if row.secret] == ["WAITROOM_FRAUD_SCORER_SECRET"]


def test_what_is_set_stands_in_the_policy() -> None:
    """Each in its place."""
    settings = given(
        limits="card-attempts=2/60/review, device-picks=off", geoip=str(CITY), countries="GB,IE",
        elsewhere="review", nowhere="allow", review_ratio="0.5", block_ratio="0.9", scorer_away="allow",
        store_away="review", lapse="release", margin_s="60",
    )  # fmt: skip
    limits = {**DEFAULTS, "card-attempts": Limit(2, 60_000, Answer.REVIEW)}
    del limits["device-picks"]

    assert policy_of(settings) == Policy(
        limits, frozenset({"GB", "IE"}), Answer.REVIEW, Answer.ALLOW, 0.5, 0.9, Answer.ALLOW, Answer.REVIEW
    )
    assert terms_of(settings) == Terms(60_000, Decision.RELEASE)


def test_all_faults_of_settings_are_told_at_once() -> None:
    """What does not fit together, too."""
    with pytest.raises(Misconfigured) as caught:
        given(
            limits="cards=1/1/block", countries="gb", scorer_url="https://scorer.example", block_ratio="0.5",
        )  # fmt: skip
    assert [fault.split(" ")[:3] for fault in caught.value.faults] == [
        ["The", "limit", "'cards'"], ["The", "country", "'gb'"], ["Countries", "are", "set,"],
        ["The", "scorer's", "address"], ["A", "score", "is"],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["scorer_away", "store_away"])
def test_a_failure_around_us_can_never_be_set_to_refuse_sales(name: str) -> None:
    """A sale must not depend on a check that is away."""
    with pytest.raises(Misconfigured, match="must be one of allow, review"):
        given(**{name: "block"})


async def test_everything_is_joined_as_it_is_set(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Lists, places, limits and a scorer that nobody reaches."""
    block, allow = tmp_path / "block.txt", tmp_path / "allow.txt"
    block.write_text("account fran\n")
    allow.write_text("address 10.0.0.1\n")
    settings = given(
        geoip=str(CITY), countries="GB", blocklist=str(block), allowlist=str(allow), store_ms="5000",
        scorer_url="http://127.0.0.1:9/score", scorer_secret="a secret of the scorer",
        limits="card-attempts=1/60/block",
    )  # fmt: skip
    metrics = Metrics()
    checks = fraud_of(settings, store, SECRET, clock, metrics)
    try:
        assert (await checks.judge(FRAN)).code == "blocked"
        gil = attempt(id="order-2.1", account="gil", card="card-2")
        assert {reason.word for reason in (await checks.judge(gil)).reasons} == {"scorer-away"}
        again = await checks.judge(attempt(id="order-2.2", account="gil", card="card-2"))
        assert again.code == "too-many-attempts"
        abroad = attempt(id="order-3.1", account="hal", card="card-3", address="10.0.0.1")
        assert {reason.word for reason in (await checks.judge(abroad)).reasons} == {"scorer-away"}
    finally:
        await checks.close()


async def test_with_nothing_set_there_is_nothing_but_the_limits(store: Redis, clock: ManualClock) -> None:
    """No files to look after, nobody to ask."""
    checks = fraud_of(given(store_ms="5000"), store, SECRET, clock, Metrics())

    await checks.refresh()
    verdict = await checks.judge(FRAN)
    assert (verdict.answer, verdict.reasons) == (Answer.ALLOW, ())
    await checks.close()


def test_the_faults_of_all_files_are_told_at_once(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Of the places, of the lists, and of the scorer."""
    block = tmp_path / "block.txt"
    block.write_text("nonsense\n")
    settings = given(
        geoip=str(BROKEN), blocklist=str(block), scorer_url="ftp://scorer.example", scorer_secret="short"
    )

    with pytest.raises(Misconfigured) as caught:
        fraud_of(settings, store, SECRET, clock, Metrics())
    assert len(caught.value.faults) == 4
