"""The checks together, on a real store: who is let through, who waits for a person, who is refused."""

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from checkout.fraud import service
from checkout.fraud.geo import Geo
from checkout.fraud.lists import Lists
from checkout.fraud.ports import Scorer, Windows
from checkout.fraud.rules import Policy, Score, Verdict, Why
from checkout.fraud.service import Fraud
from checkout.fraud.signals import Kind, Pseudonyms
from checkout.fraud.windows import DEFAULTS, Answer, Limit, Window
from kernel.clock import ManualClock
from kernel.store import connect
from tests.checkout.fraud.suspects import (
    CITY,
    FRAN,
    LONDON,
    SECRET,
    SYSTEMS,
    Away,
    Metrics,
    OwnTime,
    Said,
    attempt,
)

POLICY = Policy(DEFAULTS)
WORLD = Policy(DEFAULTS, served=frozenset({"GB"}))


def fraud(
    windows: Windows,
    metrics: Metrics | None = None,
    policy: Policy = POLICY,
    scorer: Scorer | None = None,
    **more: Any,
) -> Fraud:
    """Make the checks of one worker; a busy machine is not a store that is away."""
    more.setdefault("store_ms", 15_000)
    return Fraud(windows, Pseudonyms(SECRET), policy, metrics or Metrics(), scorer=scorer, **more)


def words(verdict: Verdict) -> set[str]:
    """Name the reasons."""
    return {reason.word for reason in verdict.reasons}


async def test_one_honest_purchase_is_allowed_however_often_it_is_repeated(
    store: Redis, clock: ManualClock
) -> None:
    """The same attempt counts once: before and after the card is known, and with every retry."""
    checks = fraud(OwnTime(store, clock))

    for _ in range(30):
        assert (await checks.judge(attempt(card=""))).answer is Answer.ALLOW
        assert (await checks.judge(attempt())).answer is Answer.ALLOW
        clock.advance(1)


async def test_five_accounts_on_one_device_that_pick_seats_are_looked_at(
    store: Redis, clock: ManualClock
) -> None:
    """Flagged with the fifth pick, and then the payment of every one of them; another device is not."""
    metrics = Metrics()
    checks = fraud(OwnTime(store, clock), metrics)
    picks = []
    for number in range(5):
        picks.append(
            await checks.held(
                attempt(id=f"hold-{number}", account=f"account-{number}", address=f"10.0.0.{number}")
            )
        )
        clock.advance(100)

    assert [pick.answer for pick in picks] == [Answer.ALLOW] * 4 + [Answer.REVIEW]
    for number in range(5):
        paid = await checks.judge(
            attempt(id=f"order-{number}", account=f"account-{number}", card=f"card-{number}")
        )
        assert (paid.answer, paid.code, words(paid)) == (Answer.REVIEW, "under-review", {"device-accounts"})
    other = await checks.judge(attempt(id="other", device="cookie-2", account="account-0", card=""))
    assert other.answer is Answer.ALLOW
    assert metrics.value("fraud_verdicts_total", verdict="review") == 5
    assert metrics.value("fraud_reasons_total", reason="device-accounts") == 6


async def test_the_same_without_a_cookie_is_found_by_headers_and_network(
    store: Redis, clock: ManualClock
) -> None:
    """A guess: so it never refuses, whatever is set."""
    strict = Policy({"device-accounts": Limit(4, 600_000, Answer.BLOCK)})
    checks = fraud(OwnTime(store, clock), policy=strict)
    verdicts = [
        await checks.held(attempt(id=f"hold-{number}", account=f"account-{number}", device=""))
        for number in range(6)
    ]

    assert [verdict.answer for verdict in verdicts] == [Answer.ALLOW] * 4 + [Answer.REVIEW] * 2
    elsewhere = await checks.held(attempt(id="x", account="account-x", device="", address="10.1.1.1"))
    assert elsewhere.answer is Answer.ALLOW


async def test_a_stolen_card_is_refused_before_the_provider_is_asked(
    store: Redis, clock: ManualClock
) -> None:
    """Six attempts with it, from six accounts, devices and addresses; free again when they have left the window."""
    checks = fraud(OwnTime(store, clock))
    limit = DEFAULTS["card-attempts"]

    async def use(number: int) -> Verdict:
        return await checks.judge(
            attempt(
                id=f"order-{number}",
                account=f"a{number % 2}",
                device=f"d{number}",
                address=f"10.0.0.{number}",
            )
        )

    for number in range(limit.most):
        assert (await use(number)).answer is Answer.ALLOW
    refused = await use(limit.most)
    assert (refused.answer, refused.code) == (Answer.BLOCK, "too-many-attempts")
    clock.advance(limit.window_ms - 1)
    assert (await use(limit.most)).answer is Answer.BLOCK
    clock.advance(1)
    assert (await use(limit.most)).answer is Answer.ALLOW
    assert LONDON not in refused.public


async def test_the_edge_of_a_window_is_exact(store: Redis, clock: ManualClock) -> None:
    """Two in a second may be: the first one leaves the window after exactly a second."""
    policy = Policy({"account-attempts": Limit(2, 1_000, Answer.BLOCK)})
    for wait_ms, answer in ((999, Answer.BLOCK), (1_000, Answer.ALLOW)):
        await store.flushall()
        checks = fraud(OwnTime(store, clock), policy=policy)
        for name in "ab":
            assert (await checks.judge(attempt(id=name))).answer is Answer.ALLOW
        clock.advance(wait_ms)
        assert (await checks.judge(attempt(id="c"))).answer is answer


async def test_dropped_holds_and_declines_speak_against_the_next_attempt(
    store: Redis, clock: ManualClock
) -> None:
    """They are noted when they happen, and count when it is paid."""
    checks = fraud(OwnTime(store, clock))
    for number in range(DEFAULTS["account-drops"].most + 1):
        await checks.dropped(attempt(id=f"hold-{number}"))
    assert words(await checks.judge(FRAN)) == {"account-drops"}

    for number in range(DEFAULTS["account-declines"].most + 1):
        last = await checks.declined(attempt(id=f"order-{number}"))
    assert words(last) == {"account-declines"}
    paid = await checks.judge(FRAN)
    assert (paid.answer, words(paid)) == (Answer.BLOCK, {"account-drops", "account-declines"})


async def test_attempts_at_the_same_moment_are_counted_one_by_one(store: Redis, clock: ManualClock) -> None:
    """Of twenty that arrive together exactly as many pass as the limit allows."""
    checks = fraud(OwnTime(store, clock), policy=Policy({"card-attempts": Limit(5, 60_000, Answer.BLOCK)}))
    verdicts = await asyncio.gather(*(checks.judge(attempt(id=f"order-{n}")) for n in range(20)))

    assert [verdict.answer for verdict in verdicts].count(Answer.ALLOW) == 5


@pytest.mark.parametrize("answer", [Answer.ALLOW, Answer.REVIEW])
async def test_a_sale_goes_on_without_the_store(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """As it is set; counted each time, logged when it begins and when it is over."""
    metrics, windows = Metrics(), Away()
    checks = fraud(windows, metrics, Policy(DEFAULTS, store_away=answer))

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await checks.judge(FRAN)).answer is answer
            assert (await checks.held(FRAN)).answer is Answer.ALLOW
        windows.works = True
        for _ in range(2):
            assert (await checks.judge(FRAN)).answer is Answer.ALLOW
    assert metrics.value("fraud_without_total", missing="store") == 6
    assert [record.message for record in caplog.records] == [
        "fraud checks go on without the store", "fraud checks count again",
    ]  # fmt: skip


async def test_a_store_that_hangs_is_away() -> None:
    """No sale waits for it for ever."""
    metrics = Metrics()

    assert words(await fraud(Away(hangs=True), metrics, store_ms=10).judge(FRAN)) == {"store-away"}
    assert metrics.value("fraud_without_total", missing="store") == 1


class Stalls:
    """A store that answers at once, in a worker that then stands still for longer than it waits for any store."""

    async def count(self, windows: Sequence[Window]) -> Mapping[str, int]:
        """Answer; the loop hears of it when it runs again."""
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        there, here = socket.socketpair()
        with there, here:
            here.setblocking(False)
            there.send(b"1")
            loop.add_reader(here, lambda: answered.done() or answered.set_result(None))
            loop.call_soon(time.sleep, 0.4)
            try:
                await answered
            finally:
                loop.remove_reader(here)
        for _ in range(3):
            # A client takes a few steps from the octets to the answer.
            await asyncio.sleep(0)
        return {window.name: 1 for window in windows}


async def test_a_worker_that_stood_still_takes_no_store_for_slow() -> None:
    """A busy machine makes nobody a suspect: the answer was there, only nobody had looked."""
    metrics = Metrics()

    assert words(await fraud(Stalls(), metrics, store_ms=200).judge(FRAN)) == set()
    assert metrics.value("fraud_without_total", missing="store") == 0


async def test_in_one_wait_the_store_would_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: all the time in one piece."""
    monkeypatch.setattr(service, "PARTS", 1)

    assert words(await fraud(Stalls(), store_ms=200).judge(FRAN)) == {"store-away"}


async def test_as_it_comes_nobody_is_looked_at_because_a_store_was_slow() -> None:
    """It is a reason that is written down, and no review: nothing speaks against who was not counted."""
    verdict = await fraud(Away()).judge(FRAN)

    assert (verdict.answer, words(verdict)) == (Answer.ALLOW, {"store-away"})


async def test_a_store_that_is_not_there_is_away(tmp_path: Path) -> None:
    """The real client, nobody behind it."""
    client = connect(f"unix://{tmp_path}/nobody.sock")
    try:
        checks = fraud(OwnTime(client, ManualClock(0)))
        assert words(await checks.judge(FRAN)) == {"store-away"}
    finally:
        await client.aclose()


async def test_where_one_is_decides_where_countries_are_set() -> None:
    """Without a restart, by the real test file."""
    checks = fraud(Away(works=True), policy=WORLD, geo=Geo(Metrics(), places=CITY))

    assert (await checks.judge(attempt(address=LONDON))).answer is Answer.ALLOW
    assert (await checks.judge(attempt(address="89.160.20.112"))).code == "country-not-served"
    assert (await checks.judge(attempt(address="2001:218::1"))).code == "country-not-served"
    assert words(await checks.judge(attempt(address="127.0.0.1"))) == {"country-unknown"}
    assert (await checks.held(attempt(address="89.160.20.112"))).answer is Answer.ALLOW


BLOCK = {
    "account fran": Kind.ACCOUNT, "address 81.2.69.0/24": Kind.ADDRESS, "device cookie-1": Kind.DEVICE,
    "card card-1": Kind.CARD, "email example.org": Kind.EMAIL, "country GB": Kind.COUNTRY,
    f"card {Pseudonyms(SECRET).of(Kind.CARD, 'card-1')}": Kind.CARD,
    f"device {Pseudonyms(SECRET).of(Kind.DEVICE, 'cookie:cookie-1')}": Kind.DEVICE,
}  # fmt: skip


@pytest.mark.parametrize("line", BLOCK)
async def test_who_stands_on_the_blocklist_is_refused_at_once(line: str, tmp_path: Path) -> None:
    """By each kind, in clear or by pseudonym; the scorer hears nothing, and a new file counts without a restart."""
    path = tmp_path / "block.txt"
    path.write_text("# nobody yet\n")
    metrics = Metrics()
    scorer = Said(Score(0))
    lists, places = Lists(metrics, block=path), Geo(metrics, places=CITY)
    checks = fraud(Away(works=True), metrics, scorer=scorer, lists=lists, geo=places)
    assert (await checks.judge(FRAN)).answer is Answer.ALLOW

    path.write_text(f"{line}\n")
    await checks.refresh()
    verdict = await checks.judge(FRAN)
    assert (verdict.answer, words(verdict)) == (Answer.BLOCK, {f"listed-{BLOCK[line]}"})
    assert verdict.reasons[0].detail == "blocklist, line 1"
    assert len(scorer.asked) == 1
    held = await checks.held(FRAN)
    assert held.answer is (Answer.ALLOW if BLOCK[line] is Kind.COUNTRY else Answer.BLOCK)
    stranger = attempt(
        account="gil", address="10.0.0.1", device="", card="card-2", email_domain="example.com"
    )
    scorer.answers.append(Score(0))
    assert (await checks.judge(stranger)).answer is Answer.ALLOW


async def test_a_broken_list_changes_nothing(tmp_path: Path) -> None:
    """The old one stays, and the metric says so; a task that looks does not end by it."""
    path = tmp_path / "block.txt"
    path.write_text("account fran\n")
    metrics = Metrics()
    checks = fraud(Away(works=True), metrics, lists=Lists(metrics, block=path))

    path.write_text("account fran\naccount\n")
    await checks.refresh()
    assert (await checks.judge(FRAN)).answer is Answer.BLOCK
    assert metrics.value("fraud_stale_files", file="blocklist") == 1


async def test_looking_after_files_goes_on_until_it_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in one look."""
    path = tmp_path / "block.txt"
    path.write_text("account gil\n")
    metrics = Metrics()
    lists = Lists(metrics, block=path)
    checks = fraud(Away(works=True), metrics, lists=lists)
    refresh, looks, taken = lists.files[0].refresh, 0, asyncio.Event()

    async def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("a fault of ours")
        is_new = await refresh()
        if is_new:
            taken.set()
        return is_new

    monkeypatch.setattr(lists.files[0], "refresh", look)
    path.write_text("account fran\n")
    running = asyncio.create_task(checks.run(every_s=0))
    await taken.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await checks.judge(FRAN)).answer is Answer.BLOCK
    assert metrics.value("fraud_reloads_total", outcome="failed") == 1


@pytest.mark.parametrize(
    ("said", "answer", "outcome", "value"),
    [
        (Score(0.1), Answer.ALLOW, "scored", 0.1),
        (Score(0.7, ("new card",)), Answer.REVIEW, "scored", 0.7),
        (Score(0.99), Answer.REVIEW, "scored", 0.99),
        (Why.TIMEOUT, Answer.REVIEW, "timeout", None),
        (Why.FAILED, Answer.REVIEW, "failed", None),
        (Why.MALFORMED, Answer.REVIEW, "malformed", None),
        (Why.SKIPPED, Answer.REVIEW, "skipped", None),
    ],
)
async def test_a_score_is_weighed_and_without_one_the_sale_goes_on(
    said: Score | Why, answer: Answer, outcome: str, value: float | None
) -> None:
    """The order proceeds and is looked at after it was authorised."""
    metrics, scorer = Metrics(), Said(said)
    checks = fraud(Away(works=True), metrics, scorer=scorer, geo=Geo(Metrics(), places=CITY, systems=SYSTEMS))
    verdict = await checks.judge(FRAN)

    assert (verdict.answer, verdict.score) == (answer, value)
    assert metrics.value("fraud_scores_total", outcome=outcome) == 1
    [asked] = scorer.asked
    assert (asked["country"], asked["address"], asked["id"]) == ("GB", "81.2.69.0/24", FRAN.id)
    assert asked["account"] == Pseudonyms(SECRET).of(Kind.ACCOUNT, "fran")
    await checks.close()
    assert scorer.is_closed


async def test_the_scorer_gets_a_whole_address_only_where_that_is_set() -> None:
    """And hears nothing of counts that nobody has."""
    scorer = Said(Score(0))
    await fraud(Away(), scorer=scorer, with_address=True).judge(FRAN)

    assert (scorer.asked[0]["address"], scorer.asked[0]["counts"]) == (LONDON, {})


async def test_a_late_word_of_the_scorer_holds_an_order_that_was_authorised() -> None:
    """Asked again when the card is known, it may say another thing: then the order waits for a person."""
    checks = fraud(Away(works=True), scorer=Said(Score(0.1), Score(0.9, ("card on a list",))))

    assert (await checks.judge(attempt(card=""))).answer is Answer.ALLOW
    after = await checks.judge(attempt())
    assert (after.answer, after.score) == (Answer.REVIEW, 0.9)
    assert "card on a list" in after.reasons[0].detail
