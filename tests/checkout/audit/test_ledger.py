"""The ledger: the provider's books as the sandbox tells them, in the shop's minor units, or a clear no."""

from collections.abc import Iterator
from io import BytesIO

import pytest

from checkout.audit.ledger import ADYEN, read_adyen_ledger, read_ledger, theirs_of
from checkout.audit.money import Theirs
from kernel.errors import Misconfigured, Unavailable
from tests.checkout.payments.adyen_running import API_KEY, MERCHANT, adyen_running
from tests.checkout.sandbox.running import KEY, Running, running

META = {"metadata[event]": "rome", "metadata[order]": "O1"}


@pytest.fixture
def box() -> Iterator[Running]:
    """Give a sandbox that runs."""
    with running() as one:
        yield one


def test_payments_come_by_event_with_what_was_taken_given_back_and_held(box: Running) -> None:
    """A payment that was taken and partly returned, one that is held, and one of another event."""
    taken = box.paid(**META)["id"]
    box.post("/v1/refunds", "", payment_intent=taken, amount=1200)
    held = box.made(**META)["id"]
    box.post(f"/v1/payment_intents/{held}/confirm", payment_method="pm_card_visa")
    other = box.paid(**{"metadata[event]": "oslo", "metadata[order]": "O2"})["id"]

    assert read_ledger(box.url, KEY) == {
        "rome": [
            Theirs("sandbox", taken, "O1", 4200, 1200, 0, is_held=False),
            Theirs("sandbox", held, "O1", 0, 0, 0, is_held=True),
        ],
        "oslo": [Theirs("sandbox", other, "O2", 4200, 0, 0, is_held=False)],
    }


def test_amounts_are_the_shops_minor_units() -> None:
    """Stripe counts krónur in hundredths, the shop whole; yen are whole in both."""
    payment = {"id": "p", "held": 0, "captured": 500, "refunded": 100, "disputed": 0}
    told = theirs_of(
        {
            "orders": [
                {"event": "e", "order": currency, "payments": [payment | {"currency": currency}]}
                for currency in ("isk", "jpy")
            ]
        }
    )

    assert [one.net_minor for one in told["e"]] == [4, 400]


def test_the_one_of_adyens_shape_names_payments_as_the_shop_does() -> None:
    """Taken and partly returned; whose key it is not is told so."""
    with adyen_running() as box:
        asks = {
            "merchantAccount": MERCHANT, "reference": "rome/O1/1", "returnUrl": "http://shop.example/",
            "amount": {"currency": "EUR", "value": 4200}, "shopperReference": "O1",
            "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "authorised"},
            "additionalData": {"manualCapture": "true"},
        }  # fmt: skip
        psp = box.client.post("/v71/payments", json=asks).json()["pspReference"]
        held = read_adyen_ledger(box.url, API_KEY)
        for kind, value in (("captures", 4200), ("refunds", 1200)):
            more = {"merchantAccount": MERCHANT, "amount": {"currency": "EUR", "value": value}}
            box.client.post(f"/v71/payments/{psp}/{kind}", json=more)

        assert held == {"rome": [Theirs("adyen", "rome/O1/1", "O1", 0, 0, 0, is_held=True)]}
        assert read_adyen_ledger(box.url, API_KEY) == {
            "rome": [Theirs("adyen", "rome/O1/1", "O1", 4200, 1200, 0, is_held=False)]
        }
        with pytest.raises(Misconfigured, match="does not tell its ledger: 401"):
            read_adyen_ledger(box.url, "of another")


def test_adyen_counts_otherwise_than_stripe() -> None:
    """Krónur in hundredths in both; rupiah whole only at Adyen."""
    payment = {"reference": "e/o/1", "held": 0, "captured": 500, "refunded": 0, "disputed": 0}
    rows = [
        {"event": "e", "order": currency, "payments": [payment | {"currency": currency}]}
        for currency in ("isk", "idr")
    ]

    assert [one.net_minor for one in theirs_of({"orders": rows}, ADYEN)["e"]] == [5, 50_000]


def test_who_has_no_key_or_no_ledger_is_told(box: Running) -> None:
    """A wrong key, an address that is none, and one where nobody answers."""
    with pytest.raises(Misconfigured, match="does not tell its ledger: 401"):
        read_ledger(box.url, "sk_test_another")
    with pytest.raises(Misconfigured, match="must begin with http"):
        read_ledger("file:///etc", KEY)
    with pytest.raises(Unavailable, match="cannot be asked"):
        read_ledger("http://127.0.0.1:1", KEY)


@pytest.mark.parametrize("text", [b"hello", b"[]", b'{"orders": [{"event": "e"}]}', b'{"orders": 3}'])
def test_an_answer_that_is_no_ledger_is_told(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program listens there, or another version."""
    monkeypatch.setattr("checkout.audit.ledger.urlopen", lambda *_args, **_more: BytesIO(text))

    with pytest.raises(Misconfigured, match="is no ledger"):
        read_ledger("http://127.0.0.1:1", KEY)
