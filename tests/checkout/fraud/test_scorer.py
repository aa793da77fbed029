"""An external scorer, over real HTTP: what it is told, and how it may fail without stopping a sale."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from checkout.fraud.rules import Score, Why
from checkout.fraud.scorer import (
    ANSWER_MOST_BYTES,
    REASON_MOST,
    REASONS_MOST,
    Circuit,
    HttpScorer,
    question,
    read_answer,
)
from checkout.fraud.signals import Kind
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from kernel.places import Place
from tests.checkout.fraud.suspects import FRAN, LONDON, SECRET, attempt

NOW_MS = 1_800_000_000_000
PATIENT_MS = 60_000
"""Longer than any test takes: a time-out is not what is tested."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answers(body: bytes, status: int = 200) -> Handler:
    """Make a scorer that says the same to everybody."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status)

    return handle


@asynccontextmanager
async def scorer_at(
    handler: Handler, clock: ManualClock, timeout_ms: int = PATIENT_MS, circuit: Circuit | None = None
) -> AsyncIterator[HttpScorer]:
    """Run a scorer on a port of its own."""
    app = web.Application(client_max_size=1_000_000)
    app.router.add_post("/score", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    scorer = HttpScorer(f"http://{host}:{port}/score", SECRET, clock, timeout_ms=timeout_ms, circuit=circuit)
    try:
        yield scorer
    finally:
        await scorer.close()
        await runner.cleanup()


async def test_a_score_comes_back_with_its_reasons(clock: ManualClock) -> None:
    """The good case."""
    async with scorer_at(answers(b'{"score": 0.25, "reasons": ["new card"]}'), clock) as scorer:
        assert await scorer.ask({}) == Score(0.25, ("new card",))


async def test_the_scorer_can_check_who_asks_and_when(clock: ManualClock) -> None:
    """By a signature over the time and the very octets of the body."""
    seen: list[tuple[str, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["Waitroom-Signature"], await request.read()))
        return web.json_response({"score": 0})

    async with scorer_at(handle, clock) as scorer:
        assert await scorer.ask({"id": "order-1.1"}) == Score(0.0)
    [(signature, body)] = seen
    mac = hmac.new(SECRET, b"%d." % (NOW_MS // 1_000) + body, hashlib.sha256).hexdigest()
    assert signature == f"t={NOW_MS // 1_000},v1={mac}"
    assert orjson.loads(body) == {"id": "order-1.1"}


def test_what_is_told_holds_no_card_and_no_whole_address() -> None:
    """Accounts and devices by pseudonym; of the address its network."""
    names = {Kind.ACCOUNT: "A", Kind.DEVICE: "D", Kind.ADDRESS: "N", Kind.CARD: "C"}
    told = question(FRAN, names, Place("GB", "London", 1221, "Telstra"), {"card-attempts": 2})

    assert told == {
        "id": "order-1.1", "event": "summer", "account": "A", "device": "D", "device_known": True,
        "address": "81.2.69.0/24", "country": "GB", "asn": 1221, "email_domain": "example.org",
        "amount_minor": 9_000, "currency": "EUR", "seats": 2, "counts": {"card-attempts": 2},
    }  # fmt: skip
    text = orjson.dumps(told).decode()
    assert not any(secret in text for secret in (FRAN.card, FRAN.account, FRAN.device, LONDON, '"C"', '"N"'))


@pytest.mark.parametrize(
    ("address", "network", "whole"),
    [
        (LONDON, "81.2.69.0/24", LONDON),
        (f"::ffff:{LONDON}", "81.2.69.0/24", LONDON),
        ("2001:db8:1:2::3", "2001:db8:1::/48", "2001:db8:1:2::3"),
        ("local", "", ""),
    ],
)
def test_a_whole_address_is_told_only_where_that_is_set(address: str, network: str, whole: str) -> None:
    """Nothing is made up for what is no address."""
    asked = attempt(address=address, amount=None)

    assert question(asked, {}, None, None)["address"] == network
    assert question(asked, {}, None, None, with_address=True)["address"] == whole


MALFORMED = {
    "nothing": b"",
    "no JSON": b"0.5 or so",
    "no UTF-8": b'{"score": 0.5, "reasons": ["\xff"]}',
    "a number": b"0.5",
    "a list": b"[0.5]",
    "null": b"null",
    "no score": b'{"reasons": []}',
    "a score of null": b'{"score": null}',
    "a text": b'{"score": "0.5"}',
    "true": b'{"score": true}',
    "below": b'{"score": -0.001}',
    "above": b'{"score": 1.001}',
    "not a number": b'{"score": NaN}',
    "endless": b'{"score": 1e999}',
    "huge": b'{"score": 1' + b"0" * 400 + b"}",
    "reasons of another kind": b'{"score": 0.5, "reasons": "new card"}',
    "reasons of null": b'{"score": 0.5, "reasons": null}',
    "a reason that is a number": b'{"score": 0.5, "reasons": [7]}',
    "too long": b'{"score": 0.5, "reasons": ["' + b"a" * ANSWER_MOST_BYTES + b'"]}',
    "too deep": b"[" * 60_000,
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_an_answer_that_is_not_what_was_agreed_is_no_score(what: str, clock: ManualClock) -> None:
    """A scorer that errs must not decide anything by accident."""
    async with scorer_at(answers(MALFORMED[what]), clock) as scorer:
        assert await scorer.ask({}) is Why.MALFORMED


@pytest.mark.parametrize("score", [0, 1, 0.5, 1e-9])
def test_the_edges_are_scores(score: float) -> None:
    """0 and 1 included; whole numbers as well."""
    assert read_answer(orjson.dumps({"score": score, "more": 1})) == Score(float(score))


@given(st.binary(max_size=60) | st.from_regex(rb'\{"score": ?[-0-9.eE]{1,6}\}', fullmatch=True))
def test_an_answer_is_a_score_between_0_and_1_or_refused(octets: bytes) -> None:
    """Whatever comes."""
    try:
        score = read_answer(octets)
    except ValueError:
        return
    assert 0 <= score.value <= 1


def test_many_long_reasons_are_cut() -> None:
    """They end up in a queue that people read."""
    score = read_answer(orjson.dumps({"score": 1, "reasons": ["r" * 1_000] * 100}))

    assert score.reasons == ("r" * REASON_MOST,) * REASONS_MOST


@pytest.mark.parametrize("status", [201, 204, 301, 400, 404, 429, 500, 503])
async def test_any_other_status_is_a_failure(status: int, clock: ManualClock) -> None:
    """Even with a score in its body."""
    body = b"" if status == 204 else b'{"score": 0}'
    async with scorer_at(answers(body, status), clock) as scorer:
        assert await scorer.ask({}) is Why.FAILED


async def test_no_redirection_is_followed(clock: ManualClock) -> None:
    """What is told of people goes where the operator said, even if a good score waits elsewhere."""
    calls = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if "again" in request.query:
            return web.Response(body=b'{"score": 0}')
        return web.Response(status=307, headers={"location": "/score?again"})

    async with scorer_at(handle, clock) as scorer:
        assert await scorer.ask({}) is Why.FAILED
    assert calls == 1


async def test_nobody_there_is_a_failure(clock: ManualClock) -> None:
    """The port is closed."""
    async with scorer_at(answers(b'{"score": 0}'), clock) as scorer:
        assert await scorer.ask({}) == Score(0)
        gone = HttpScorer(scorer._url, SECRET, clock, timeout_ms=PATIENT_MS)
    assert await gone.ask({}) is Why.FAILED
    await gone.close()


async def test_a_connection_that_breaks_off_is_a_failure(clock: ManualClock) -> None:
    """Before the answer or within it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b'{"score": 0')
        assert request.transport is not None
        request.transport.close()
        return response

    async with scorer_at(handle, clock) as scorer:
        assert await scorer.ask({}) is Why.FAILED


@pytest.mark.parametrize("begins", [False, True])
async def test_a_scorer_that_does_not_answer_in_time_is_left(begins: bool, clock: ManualClock) -> None:
    """Whether it says nothing at all, or begins and never ends; without a time-out the sale would hang there."""
    arrived, release = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if begins:
            await response.prepare(request)
            await response.write(b'{"score": ')
        arrived.set()
        await release.wait()
        if not begins:
            return web.Response(body=b'{"score": 0}')
        await response.write(b"0}")
        return response

    async with scorer_at(handle, clock, timeout_ms=100) as scorer:
        patient = HttpScorer(scorer._url, SECRET, clock, timeout_ms=PATIENT_MS)
        assert await scorer.ask({}) is Why.TIMEOUT
        # The same question with all the time in the world does hang, until the scorer answers.
        arrived.clear()
        hanging = asyncio.create_task(patient.ask({}))
        await arrived.wait()
        assert not hanging.done()
        release.set()
        assert await hanging == Score(0)
        await patient.close()


async def test_after_some_failures_the_scorer_is_left_alone_and_tried_again(clock: ManualClock) -> None:
    """One attempt tries it after the rest; when that works all do again."""
    calls, status = 0, 500

    async def handle(_request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return web.Response(body=b'{"score": 0}', status=status)

    async with scorer_at(handle, clock, circuit=Circuit(most=2, rest_ms=1_000)) as scorer:
        assert [await scorer.ask({}) for _ in range(4)] == [Why.FAILED, Why.FAILED, Why.SKIPPED, Why.SKIPPED]
        assert calls == 2
        clock.advance(999)
        assert await scorer.ask({}) is Why.SKIPPED
        clock.advance(1)
        assert [await scorer.ask({}) for _ in range(2)] == [Why.FAILED, Why.SKIPPED]
        status = 200
        clock.advance(1_000)
        assert [await scorer.ask({}) for _ in range(3)] == [Score(0)] * 3
    assert calls == 6


def test_failures_count_only_in_a_row() -> None:
    """One that works begins anew."""
    circuit = Circuit(most=2, rest_ms=1_000)
    for _ in range(5):
        circuit.failed(NOW_MS)
        circuit.worked()

    assert circuit.may_ask(NOW_MS)


def test_after_a_rest_one_tries_and_the_others_wait() -> None:
    """Else all sales would wait for a scorer that is still away; who tried and went leaves the turn to the next."""
    circuit = Circuit(most=1, rest_ms=1_000)
    circuit.failed(NOW_MS)

    assert [circuit.may_ask(NOW_MS + wait) for wait in (0, 999, 1_000, 1_000, 1_999, 2_000)] == [
        False, False, True, False, False, True,
    ]  # fmt: skip


def test_a_clock_that_is_set_back_makes_no_rest_longer() -> None:
    """An hour back would be an hour without scores."""
    circuit = Circuit(most=1, rest_ms=1_000)
    circuit.failed(NOW_MS)

    assert circuit.may_ask(NOW_MS - 3_600_000)


@pytest.mark.parametrize(
    ("url", "secret", "faults"),
    [
        ("ftp://scorer.example", SECRET, 1),
        ("scorer.example/score", SECRET, 1),
        ("https://", SECRET, 1),
        ("https://scorer.example", b"short", 1),
        ("", b"", 2),
    ],
)
def test_a_scorer_that_cannot_be_asked_is_an_operators_fault(url: str, secret: bytes, faults: int) -> None:
    """Both faults at once."""
    with pytest.raises(Misconfigured) as caught:
        HttpScorer(url, secret, ManualClock(NOW_MS))
    assert len(caught.value.faults) == faults
