"""Patience: what is asked again, when, and what is told in the end."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.payments.patient import FIRST_WAIT_MS, LONGEST_WAIT_MS, MOST_MS, TRIES, Patient
from checkout.payments.port import Charge, NotNow, Payment, Provider, Refund, Refusal, Unclear
from kernel.breaker import MOST_FAILURES, Breaker, BreakerState
from kernel.clock import ManualClock
from tests.checkout.payments.scripted import CHARGE, EUR, Scripted, resting

CALLS: dict[str, Callable[[Provider, str], Awaitable[Payment | Refund]]] = {
    "create": lambda one, key: one.create(Charge("rome", "order-7", 1, EUR, key)),
    "confirm": lambda one, key: one.confirm("p1", "pm", "https://shop.example/", key),
    "capture": lambda one, key: one.capture("p1", EUR, key),
    "void": lambda one, key: one.void("p1", key),
    "refund": lambda one, key: one.refund("p1", EUR, key),
}


class Counted:
    """Counts for the tests."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.states: list[BreakerState] = []

    def asked(self, call: str, outcome: str) -> None:
        """Count."""
        self.outcomes[call, outcome] += 1

    def stands(self, state: BreakerState) -> None:
        """Note."""
        self.states.append(state)


def patient(
    provider: Scripted, clock: ManualClock, rests: list[float] | None = None, seed: int = 1, **more: object
) -> Patient:
    """Give a patient provider that waits for nobody."""
    return Patient(
        provider, clock, random.Random(seed), rest=resting(clock, [] if rests is None else rests), **more
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("call", CALLS)
async def test_a_keyed_call_is_asked_again_under_the_same_key(call: str, clock: ManualClock) -> None:
    """Unclear twice, then not now, then an answer: one key throughout."""
    provider = Scripted(Unclear(), Unclear(), NotNow("busy"))

    await CALLS[call](patient(provider, clock), "key-1")

    assert provider.calls == [(call, "key-1")] * 4


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_without_a_key_is_never_repeated(call: str, clock: ManualClock) -> None:
    """It may have been done, and a repeat would do it again."""
    provider = Scripted(Unclear())

    with pytest.raises(Unclear):
        await CALLS[call](patient(provider, clock), "")
    assert len(provider.calls) == 1


async def test_reads_are_repeated(clock: ManualClock) -> None:
    """They change nothing."""
    provider = Scripted(Unclear(), NotNow("busy"))

    assert (await patient(provider, clock).fetch("p1")).ref == "p1"
    assert len(provider.calls) == 3


async def test_a_refusal_ends_it_at_once(clock: ManualClock) -> None:
    """It would be refused again."""
    provider = Scripted(Refusal("charge_already_refunded"))

    with pytest.raises(Refusal, match="charge_already_refunded"):
        await patient(provider, clock).refund("p1", EUR, "key-1")
    assert len(provider.calls) == 1


async def test_the_number_of_tries_is_bounded(clock: ManualClock) -> None:
    """After so many, what is known is told."""
    provider = Scripted(*[Unclear() for _ in range(50)])

    with pytest.raises(Unclear):
        await patient(provider, clock).create(CHARGE)
    assert len(provider.calls) == TRIES


async def test_the_time_is_bounded(clock: ManualClock) -> None:
    """No wait begins that would end after it."""
    provider, rests = Scripted(*[NotNow("busy", retry_s=9.0) for _ in range(50)]), list[float]()

    with pytest.raises(NotNow):
        await patient(provider, clock, rests, tries=50).create(CHARGE)
    assert sum(rests) * 1000 < MOST_MS
    assert len(rests) == 3


async def test_time_that_the_calls_take_counts(clock: ManualClock) -> None:
    """A provider that lets everybody wait is not waited for longer because of it."""

    class Slow(Scripted):
        async def fetch(self, ref: str) -> Payment:
            clock.advance(20_000)
            return await super().fetch(ref)

    provider = Slow(*[Unclear() for _ in range(9)])
    with pytest.raises(Unclear):
        await patient(provider, clock).fetch("p1")
    assert len(provider.calls) == 2


@given(seed=st.integers(0, 10_000))
async def test_waits_are_drawn_between_nothing_and_a_bound_that_doubles(seed: int) -> None:
    """Full jitter: each wait within its own bound."""
    clock, rests = ManualClock(10**12), list[float]()
    provider = Scripted(*[Unclear() for _ in range(8)])
    one = patient(provider, clock, rests, seed, tries=9, most_ms=10**9, breaker=Breaker(50))
    await one.create(CHARGE)

    bounds = [min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2**n) for n in range(8)]
    assert all(0 <= wait * 1000 <= bound for wait, bound in zip(rests, bounds, strict=True))


async def test_two_callers_do_not_come_back_together(clock: ManualClock) -> None:
    """Different chance, different waits."""
    waits = []
    for seed in (1, 2):
        rests: list[float] = []
        await patient(Scripted(Unclear(), Unclear()), clock, rests, seed).create(CHARGE)
        waits.append(rests)

    assert waits[0] != waits[1]


async def test_what_the_provider_names_is_waited_for_at_least(clock: ManualClock) -> None:
    """``retry_s`` and the drawn wait on top."""
    rests: list[float] = []
    await patient(Scripted(NotNow("busy", retry_s=3.0)), clock, rests).create(CHARGE)

    assert 3.0 <= rests[0] <= 3.0 + FIRST_WAIT_MS / 1000


async def test_after_an_unclear_try_nobody_is_told_that_nothing_was_done(clock: ManualClock) -> None:
    """Unclear, then not now until the end: that is unclear."""
    provider = Scripted(Unclear("lost"), *[NotNow("busy") for _ in range(20)])

    with pytest.raises(Unclear, match="lost"):
        await patient(provider, clock).capture("p1", EUR, "key-1")


async def test_nor_if_the_breaker_opens_meanwhile(clock: ManualClock) -> None:
    """The first try was sent, so it may have been done."""
    breaker = Breaker(most_failures=1)
    with pytest.raises(Unclear, match="lost"):
        await patient(Scripted(Unclear("lost")), clock, breaker=breaker).capture("p1", EUR, "key-1")
    assert breaker.state is BreakerState.OPEN


async def test_an_open_breaker_says_not_now_at_once(clock: ManualClock) -> None:
    """Nobody is asked, nobody waits, and who asks hears when to come back."""
    provider, rests, counted = Scripted(*[Unclear() for _ in range(MOST_FAILURES)]), list[float](), Counted()
    one = patient(provider, clock, rests, tries=1, watch=counted)
    for _ in range(MOST_FAILURES):
        with pytest.raises(Unclear):
            await one.create(CHARGE)

    with pytest.raises(NotNow) as told:
        await one.create(CHARGE)
    assert len(provider.calls) == MOST_FAILURES
    assert rests == []
    assert 0 < told.value.retry_s <= 2.0
    assert one.breaker_state is BreakerState.OPEN
    assert counted.outcomes == {("create", "unclear"): MOST_FAILURES, ("create", "kept-away"): 1}

    clock.advance(2_000)
    await one.create(CHARGE)
    assert counted.states == [
        BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED,
    ]  # fmt: skip


async def test_a_breaker_that_never_opens_is_noticed(clock: ManualClock) -> None:
    """The mutant of the test above: with it the provider is asked on."""
    provider = Scripted(*[Unclear() for _ in range(3 * MOST_FAILURES)])
    one = patient(provider, clock, tries=1, breaker=Breaker(10**9))
    for _ in range(2 * MOST_FAILURES):
        with pytest.raises(Unclear):
            await one.create(CHARGE)

    assert len(provider.calls) > MOST_FAILURES


@pytest.mark.parametrize("failure", [NotNow("busy"), Refusal("no")])
async def test_refusals_and_busy_answers_open_no_breaker(failure: Exception, clock: ManualClock) -> None:
    """Whoever says no is there."""
    one = patient(Scripted(*[failure] * 50), clock, tries=1)
    for _ in range(50):
        with pytest.raises(type(failure)):
            await one.create(CHARGE)

    assert one.breaker_state is BreakerState.CLOSED


@pytest.mark.parametrize("failure", [asyncio.CancelledError(), ZeroDivisionError()])
async def test_a_probe_that_breaks_off_blocks_nobody(failure: BaseException, clock: ManualClock) -> None:
    """Its caller has gone away, or has a fault; the next one asks."""
    one = patient(Scripted(Unclear(), failure), clock, breaker=Breaker(1), tries=1)
    with pytest.raises(Unclear):
        await one.create(CHARGE)
    clock.advance(2_000)
    with pytest.raises(type(failure)):
        await one.create(CHARGE)

    assert (await one.create(CHARGE)).ref == "p1"


async def test_a_list_goes_on_after_a_failure_and_tells_nothing_twice(clock: ManualClock) -> None:
    """It begins again with the newest, without those already told."""
    provider = Scripted()
    provider.listed = ["p5", "p4", Unclear(), "p3", NotNow("busy"), "p2", "p1"]

    told = [one.ref async for one in patient(provider, clock).list_since(0)]

    assert told == ["p5", "p4", "p3", "p2", "p1"]
    assert len(provider.calls) == 3


async def test_a_list_that_fails_for_good_says_so(clock: ManualClock) -> None:
    """Who reconciles must not take a part for the whole."""
    provider = Scripted()
    provider.listed = ["p5", *[Unclear() for _ in range(20)]]

    with pytest.raises(Unclear):
        [one.ref async for one in patient(provider, clock).list_since(0)]


async def test_the_rest_is_the_providers_own(clock: ManualClock) -> None:
    """Name, abilities, webhooks."""
    provider = Scripted()
    one = patient(provider, clock)

    assert (one.name, one.capabilities) == (provider.name, provider.capabilities)
    assert one.acknowledgement() == (200, b"thanks", "text/plain")
    assert one.parse_webhook(b"", {}, 0) == []
