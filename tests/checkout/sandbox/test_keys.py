"""Idempotency as Stripe's version 1 has it, over HTTP and to the millisecond."""

from concurrent.futures import ThreadPoolExecutor

from kernel.clock import ManualClock
from tests.checkout.sandbox.running import Running

PI = "/v1/payment_intents"
DAY_MS = 86_400_000
EUR = {"amount": 4200, "currency": "eur", "capture_method": "manual"}


def test_the_first_answer_is_given_again(box: Running) -> None:
    """To the last octet, and marked."""
    first, again = box.post(PI, "k", **EUR), box.post(PI, "k", **EUR)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(box.get(PI).json()["data"]) == 1


def test_another_key_or_none_is_another_call(box: Running) -> None:
    """Which is why keys are needed."""
    for key in ("k1", "k2", "", ""):
        box.post(PI, key, **EUR)
    assert len(box.get(PI).json()["data"]) == 4


def test_a_decline_is_given_again_too(box: Running) -> None:
    """402, with no second try at the bank."""
    ident = box.made()["id"]
    answers = [
        box.post(f"{PI}/{ident}/confirm", "k", payment_method="pm_card_chargeDeclined") for _ in range(3)
    ]
    assert {(one.status_code, one.content) for one in answers} == {(402, answers[0].content)}
    assert box.ledger()[0]["payments"][0]["charges"] == 1


def test_so_is_a_state_that_did_not_fit(box: Running) -> None:
    """Execution had begun: the answer stays, also when it would be another one now."""
    ident = box.made()["id"]
    assert box.post(f"{PI}/{ident}/capture", "k").status_code == 400
    box.post(f"{PI}/{ident}/confirm", payment_method="pm_card_visa")
    assert box.post(f"{PI}/{ident}/capture", "k").status_code == 400
    assert box.post(f"{PI}/{ident}/capture", "k2").status_code == 200


def test_bad_input_leaves_the_key_free(box: Running) -> None:
    """It was refused before anything began: the same key may be used for the right one."""
    assert box.post(PI, "k", amount="x", currency="eur").status_code == 400
    assert box.post(f"{PI}/pi_none/capture", "k").status_code == 404
    assert box.post(PI, "k", **EUR).status_code == 200


def test_other_parameters_or_another_address_are_an_error(box: Running) -> None:
    """And change nothing."""
    ident = box.post(PI, "k", **EUR).json()["id"]
    for answer in (box.post(PI, "k", **{**EUR, "amount": 1}), box.post(f"{PI}/{ident}/cancel", "k")):
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "idempotency_error"
    assert box.get(f"{PI}/{ident}").json()["status"] == "requires_payment_method"


def test_a_key_whose_call_has_not_ended_is_in_use(box: Running) -> None:
    """409 for all but one; afterwards its answer for everybody."""
    box.fault("delay", f"POST {PI}", delay_ms=400)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: box.post(PI, "k", **EUR), range(8)))
    assert sorted(one.status_code for one in answers) == [200, *[409] * 7]
    (busy, *_) = [one for one in answers if one.status_code == 409]
    assert busy.json()["error"]["code"] == "idempotency_key_in_use"
    assert box.post(PI, "k", **EUR).status_code == 200
    assert len(box.get(PI).json()["data"]) == 1


def test_a_500_is_kept_if_it_was_executed_and_only_then(box: Running) -> None:
    """Before: the repeat is executed. After: the repeat hears 500, and the thing is there."""
    box.fault("error-before", f"POST {PI}")
    assert [box.post(PI, "k1", **EUR).status_code for _ in range(2)] == [500, 200]
    box.fault("error-after", f"POST {PI}")
    answers = [box.post(PI, "k2", **EUR) for _ in range(2)]
    assert [one.status_code for one in answers] == [500, 500]
    assert answers[0].headers["stripe-should-retry"] == "false"
    assert len(box.get(PI).json()["data"]) == 2


def test_a_key_is_forgotten_after_a_day(box: Running, clock: ManualClock) -> None:
    """To the millisecond."""
    first = box.post(PI, "k", **EUR).json()["id"]
    clock.advance(DAY_MS - 1)
    assert box.post(PI, "k", **EUR).json()["id"] == first
    clock.advance(1)
    assert box.post(PI, "k", **EUR).json()["id"] != first


def test_a_key_that_is_too_long_is_refused(box: Running) -> None:
    """255 characters are the most."""
    assert box.post(PI, "k" * 255, **EUR).status_code == 200
    assert box.post(PI, "k" * 256, **EUR).status_code == 400


def test_without_keys_that_are_kept_a_repeat_pays_twice(box: Running) -> None:
    """The mutant: keys that are forgotten at once, and the ledger shows it."""
    box.sandbox._keys.restore = lambda _saved: None  # type: ignore[method-assign]
    for _ in range(2):
        box.post(PI, "k", **EUR, confirm="true", payment_method="pm_card_visa")
    assert box.ledger()[0]["sums"]["eur"]["authorised"] == 2 * 4200
