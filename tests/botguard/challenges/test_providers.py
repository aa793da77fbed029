"""Providers: asked over a real wire; failure is refused, nothing is repeated, a fault is never a pass.

The endpoint is ``tests/botguard/provider.py``. Each guard has its mutant, the package ``hcaptcha`` as it is among them.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hcaptcha.hcaptcha import HCaptchaVerifier
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from botguard.challenges import boxed, provider
from botguard.challenges.boxed import Boxed
from botguard.challenges.metrics import Metrics
from botguard.challenges.port import Asking, Away, Outcome, Subject, Way, Weight
from botguard.challenges.provider import FAILURES_MOST, Provider
from botguard.challenges.service import Challenges
from botguard.challenges.siteverify import Asked, Site, Wire
from botguard.challenges.spent import SpentStore
from botguard.challenges.work import Work
from kernel.breaker import BreakerState
from kernel.clock import ManualClock
from tests.botguard.challenges.test_work import Memory
from tests.botguard.provider import HOST, SECRET, SITEKEY, Judge, judging

ME = Subject("main", "aa", 7, "AAAAAAAAAAAAAAAAAAAAAA")
NOW_MS = 1_800_000_000_000
REPLY = {"hostname": HOST, "action": "waitroom", "cdata": ME.tag, "score": 0.5}
FAULTS = ["slow", "endless", "not-json", "list", "odd", "redirect", "status"]
WAYS = [Way.HCAPTCHA, Way.TURNSTILE, Way.RECAPTCHA]


@asynccontextmanager
async def asked(way: Way, judge: Judge, limit_s: float = 5.0, **more: Any) -> AsyncIterator[Provider]:
    """Give a provider in front of the endpoint; `ask` makes how it is asked, if not as the product does."""
    wire = Wire(limit_s)
    async with judging(judge) as url:
        site = Site(way, SITEKEY, SECRET, url, frozenset({HOST}))
        ask: Asking = Boxed(site, wire) if way is Way.HCAPTCHA else Asked(site, wire)
        try:
            yield Provider(site, ask, more.get("spent", Memory()), more.get("clock", ManualClock(NOW_MS)))
        finally:
            judge.release.set()
            await wire.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_good_token_passes_once(way: Way) -> None:
    """The second time nobody even asks; the secret goes to the provider, the fan's address does not."""
    judge = Judge(dict(REPLY))
    async with asked(way, judge) as one:
        outcomes = [await one.verify("good:1", ME) for _ in range(2)]

    assert outcomes == [Outcome.PASSED, Outcome.SPENT]
    assert len(judge.asked) == 1
    assert judge.asked[0].pop("sitekey", SITEKEY) == SITEKEY
    assert judge.asked[0] == {"secret": SECRET, "response": "good:1"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_is_refused(way: Way) -> None:
    """What the package calls ``{'success': False}`` is no pass, and neither is another host's."""
    judge = Judge({**REPLY, "hostname": "elsewhere.example"})
    async with asked(way, judge) as one:
        outcomes = [await one.verify(token, ME) for token in ("invalid-input-response:1", "good:2")]

    assert outcomes == [Outcome.WRONG, Outcome.ELSEWHERE]


async def test_the_package_as_it_is_takes_a_failure_for_true() -> None:
    """The mutant: its documented use, ``if await verify(token)``, would let everybody pass."""
    judge = Judge(dict(REPLY))
    async with judging(judge) as url:
        package = HCaptchaVerifier(SECRET)
        package.verification_url = url
        told = await package.verify("invalid-input-response:1")

    assert told
    assert told is not True


async def test_the_box_believes_neither_the_package_nor_the_reply_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package that says True to everything passes nobody; nor does one that says nothing."""
    judge = Judge(dict(REPLY))
    async with asked(Way.HCAPTCHA, judge) as one:
        ask = one._ask
        assert isinstance(ask, Boxed)
        own = ask._verifier.verify

        async def says_true(token: str) -> object:
            await own(token)
            return {"success": True}

        async def says_odd(token: str) -> object:
            await own(token)
            return True

        async def asks_nobody(token: str) -> object:
            return {"success": True, "token": token}

        outcomes = []
        for verify, token in ((says_true, "no:1"), (says_odd, "good:2"), (asks_nobody, "good:3")):
            monkeypatch.setattr(ask._verifier, "verify", verify)
            outcomes.append(await one.verify(token, ME))

    assert outcomes == [Outcome.WRONG, Outcome.WRONG, Outcome.AWAY]


async def test_the_secret_and_the_token_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG, and not when the provider fails; the package does it as soon as it has a logger."""
    caplog.set_level(logging.DEBUG)
    judge = Judge(dict(REPLY))
    async with asked(Way.HCAPTCHA, judge, limit_s=0.2) as one:
        for fault in ("", *FAULTS):
            judge.fault = fault
            await one.verify(f"good:token-{fault}", ME)
        ours = caplog.text + str(one.site) + repr(one.site)
        caplog.clear()
        ask = one._ask
        assert isinstance(ask, Boxed)
        judge.fault = ""
        ask._verifier.logger = logging.getLogger("mutant")
        await ask("good:other")
        theirs = caplog.text

    assert SECRET not in ours
    assert "good:token" not in ours
    assert SECRET in theirs


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_provider_is_never_a_pass(way: Way, fault: str) -> None:
    """Late, without end, no JSON, another shape, another status, sent elsewhere."""
    judge = Judge(dict(REPLY), fault=fault)
    async with asked(way, judge, limit_s=0.3) as one:
        assert await one.verify("good:1", ME) is Outcome.AWAY


async def test_nobody_there_is_away_and_soon_left_alone() -> None:
    """After five failures nobody asks for two seconds; then one does, and all is well again."""
    clock, judge = ManualClock(NOW_MS), Judge(dict(REPLY), fault="status")
    async with asked(Way.TURNSTILE, judge, clock=clock) as one:
        for number in range(FAILURES_MOST):
            assert one.is_open(clock.now_ms())
            assert await one.verify(f"good:{number}", ME) is Outcome.AWAY
        shut = one.is_open(clock.now_ms()), one.state
        kept_away = await one.verify("good:kept", ME)
        asked_then = len(judge.asked)
        judge.fault = ""
        clock.advance(2_000)
        again = await one.verify("good:again", ME)

        assert shut == (False, BreakerState.OPEN)
        assert (kept_away, asked_then, again) == (Outcome.AWAY, FAILURES_MOST, Outcome.PASSED)
        assert one.state is BreakerState.CLOSED


async def test_refusals_do_not_shut_a_provider() -> None:
    """A farm of wrong tokens must not bring everybody to the work."""
    judge = Judge(dict(REPLY))
    async with asked(Way.TURNSTILE, judge) as one:
        for number in range(3 * FAILURES_MOST):
            assert await one.verify(f"no:{number}", ME) is Outcome.WRONG
        assert one.state is BreakerState.CLOSED


@pytest.mark.parametrize("token", ["", "x" * 8193, "é", "a\nb", "a\x00"])
async def test_a_token_that_is_none_is_sent_to_nobody(token: str) -> None:
    """Malformed, too large."""
    judge = Judge(dict(REPLY))
    async with asked(Way.HCAPTCHA, judge) as one:
        assert await one.verify(token, ME) is Outcome.MALFORMED
    assert judge.asked == []


async def test_of_two_that_bring_one_token_in_the_same_moment_one_passes(store: Redis) -> None:
    """Spent before it is asked about, on the store that all workers share."""
    judge = Judge(dict(REPLY))
    async with asked(Way.TURNSTILE, judge, spent=SpentStore(store)) as one:
        outcomes = await asyncio.gather(*(one.verify("good:1", ME) for _ in range(8)))
    keys = await store.keys("wr:spent:*")
    await store.aclose()

    assert sorted(outcomes) == [Outcome.PASSED] + [Outcome.SPENT] * 7
    assert len(judge.asked) == 1
    assert b"good" not in keys[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "if not await self._spent.spend(", "if await self._spent.spend(", id="a token is never spent"
        ),
        pytest.param(
            "return Outcome.AWAY\n        finally",
            "return Outcome.PASSED\n        finally",
            id="outages pass",
        ),
        pytest.param("self.site.hosts, subject.tag", "{HOST}, subject.tag", id="hosts are not ours"),
    ],
)
async def test_each_guard_taken_out_shows(old: str, new: str) -> None:
    """The mutants: what the tests above say is then not true."""
    source = inspect.getsource(provider)
    assert source.count(old) == 1
    mutated: dict[str, Any] = {"__name__": provider.__name__, "HOST": "elsewhere.example"}
    exec(compile(source.replace(old, new), "mutant", "exec"), mutated)  # noqa: S102
    told = []
    for kind in (Provider, mutated["Provider"]):
        judge = Judge({**REPLY, "hostname": "elsewhere.example"})
        async with asked(Way.TURNSTILE, judge) as one:
            made = kind(one.site, one._ask, Memory(), ManualClock(NOW_MS))
            first = await made.verify("good:1", ME)
            again = await made.verify("good:1", ME)
            judge.fault = "status"
            told.append([str(first), str(again), str(await made.verify("good:2", ME))])

    assert told[0] == ["elsewhere", "spent", "away"]
    assert told[1] != told[0]


def test_the_copy_of_the_package_is_our_own() -> None:
    """What is changed in it changes nothing for others that use the package."""
    import hcaptcha.hcaptcha as package

    Boxed(Site(Way.HCAPTCHA, SITEKEY, SECRET, "http://127.0.0.1:1", frozenset()), Wire(1.0))

    assert package.aiohttp.__name__ == "aiohttp"
    assert boxed._copy() is not package


# ------------------------------------------------------------------------------- which way is open
async def test_the_work_stands_in_where_the_provider_is_away() -> None:
    """The page is told so before it asks; and nobody is sent to one that is not set up."""
    registry, clock = CollectorRegistry(), ManualClock(NOW_MS)
    judge = Judge(dict(REPLY), fault="status")
    async with asked(Way.HCAPTCHA, judge, clock=clock) as one:
        checks = Challenges(Work(Memory(), b"s" * 32), {Way.HCAPTCHA: one}, Metrics(registry))
        before = checks.widget(Way.HCAPTCHA, NOW_MS)
        asked_for = await checks.issue(Way.HCAPTCHA, Way.HCAPTCHA, ME, Weight(), NOW_MS)
        for number in range(FAILURES_MOST):
            assert (
                await checks.verify(Way.HCAPTCHA, Way.HCAPTCHA, f"good:{number}", ME, NOW_MS) is Outcome.AWAY
            )
        after = checks.widget(Way.HCAPTCHA, NOW_MS)
        instead = await checks.issue(Way.HCAPTCHA, Way.HCAPTCHA, ME, Weight(), NOW_MS)
        unset = await checks.issue(Way.TURNSTILE, Way.TURNSTILE, ME, Weight(), NOW_MS)
        await checks.close()

    assert (before.way, before.sitekey, after.way) == (Way.HCAPTCHA, SITEKEY, Way.WORK)
    assert "https://js.hcaptcha.com/" in before.script
    assert asked_for == {"way": "hcaptcha", "tag": ME.tag}
    assert [made["way"] for made in (instead, unset) if not isinstance(made, str)] == ["work", "work"]
    counted = {
        reason: registry.get_sample_value("waitroom_challenges_work_instead_total", {"reason": reason})
        for reason in ("away", "unset")
    }
    assert counted == {"away": 1, "unset": 1}
    told = {"way": "hcaptcha", "outcome": "away"}
    assert registry.get_sample_value("waitroom_challenges_answered_total", told) == FAILURES_MOST


async def test_who_chooses_the_work_pays_one_level_more_and_another_rooms_way_counts_for_nothing() -> None:
    """Only work and what the room wants."""
    judge = Judge(dict(REPLY))
    async with asked(Way.TURNSTILE, judge) as one:
        checks = Challenges(Work(Memory(), b"s" * 32), {Way.TURNSTILE: one}, Metrics(CollectorRegistry()))
        chosen = await checks.issue(Way.TURNSTILE, Way.WORK, ME, Weight(), NOW_MS)
        wanted = await checks.issue(Way.WORK, Way.WORK, ME, Weight(), NOW_MS)
        foreign = await checks.verify(Way.WORK, Way.TURNSTILE, "good:1", ME, NOW_MS)
        unset = await checks.verify(Way.HCAPTCHA, Way.HCAPTCHA, "good:1", ME, NOW_MS)
        await checks.close()

    assert not isinstance(chosen, Outcome)
    assert not isinstance(wanted, Outcome)
    assert (chosen["tries_most"], wanted["tries_most"]) == (32_768, 16_384)
    assert (foreign, unset) == (Outcome.FOREIGN, Outcome.AWAY)
    assert judge.asked == []


async def test_a_wire_that_breaks_is_away() -> None:
    """Nobody listens at the address."""
    wire = Wire(1.0)
    with pytest.raises(Away):
        await wire.ask("http://127.0.0.1:1/", {})
    await wire.close()
