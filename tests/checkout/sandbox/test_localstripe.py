"""The sandbox beside another stand-in for Stripe: one script of calls against both, by Stripe's own package.

localstripe (1.15, GPL-3) runs as a process of its own. Where the two differ stands in ``DIFFERENCES``, with what each
says, so a difference that goes away is noticed as well as one that comes. In each of them the sandbox does what
Stripe's documentation says.
"""

import contextlib
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from tests.checkout.sandbox.running import BACK, KEY, SECRET, Running, running, until

Outcome = tuple[object, ...]

NUMBERS = {
    "good": "4242424242424242",
    "declined": "4000000000000341",
    "asks": "4000002500003155",
    "asks-declined": "4000008400001629",
}
TOKENS = {
    "good": "pm_card_visa",
    "declined": "pm_card_chargeDeclined",
    "asks": "pm_card_authenticationRequired",
    "asks-declined": "pm_card_threeDSecureRequiredChargeDeclined",
}


class Side(ABC):
    """One of the two, through the package."""

    def __init__(self, url: str) -> None:
        # It would write a file in the home folder.
        stripe.enable_telemetry = False
        self.url = url
        self._http = stripe.RequestsClient()
        self.api = stripe.StripeClient(
            KEY, base_addresses={"api": url}, max_network_retries=0, http_client=self._http
        ).v1

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    @abstractmethod
    def method(self, name: str) -> str:
        """Give a payment method with an outcome."""

    @abstractmethod
    def decide(self, intent: Any, *, is_approved: bool) -> None:
        """Decide as the buyer on the bank's page."""

    def made(self, **more: Any) -> Any:
        """Make a payment."""
        given: Any = {"amount": 4200, "currency": "eur", "capture_method": "manual", **more}
        return self.api.payment_intents.create(given)

    def confirmed(self, name: str = "good", **more: Any) -> Any:
        """Make a payment and confirm it, the way that both know."""
        made = self.made(**more)
        self.api.payment_intents.update(made.id, {"payment_method": self.method(name)})
        return self.api.payment_intents.confirm(made.id)

    def taken(self) -> Any:
        """Make a payment and take it."""
        return self.api.payment_intents.capture(self.confirmed().id)


class Ours(Side):
    """The sandbox."""

    def method(self, name: str) -> str:
        """Give a named outcome."""
        return TOKENS[name]

    def decide(self, intent: Any, *, is_approved: bool) -> None:
        """Press a button of the page."""
        page = f"{self.url}/3ds/{intent.id}"
        token = httpx.get(page).text.partition('name="token" value="')[2].partition('"')[0]
        httpx.post(page, data={"token": token, "answer": "approve" if is_approved else "refuse"})


class Theirs(Side):
    """localstripe."""

    def method(self, name: str) -> str:
        """Make one of a number that stands for the outcome."""
        card = {"number": NUMBERS[name], "exp_month": 12, "exp_year": 2040, "cvc": "123"}
        given: Any = {"type": "card", "card": card}
        return self.api.payment_methods.create(given).id

    def decide(self, intent: Any, *, is_approved: bool) -> None:
        """Ask its own call for that."""
        httpx.post(
            f"{self.url}/v1/payment_intents/{intent.id}/_authenticate",
            data={
                "key": "pk_test_x",
                "client_secret": intent.client_secret,
                "success": str(is_approved).lower(),
            },
        )


def told(intent: Any) -> Outcome:
    """Give what both must agree on."""
    return intent.object, intent.status, intent.amount, intent.currency, intent.capture_method


def charge_of(side: Side, ident: str) -> Outcome:
    """Give the charge of a payment likewise."""
    intent: Any = side.api.payment_intents.retrieve(ident, {"expand": ["latest_charge"]})
    charge = intent.latest_charge
    return (
        charge.object,
        charge.amount,
        charge.captured,
        charge.amount_refunded,
        charge.payment_intent == ident,
    )


def asked(side: Side, name: str, *, is_approved: bool) -> Outcome:
    """Let the buyer decide."""
    made = side.made()
    given: Any = {"payment_method": side.method(name)}
    side.api.payment_intents.update(made.id, given)
    if isinstance(side, Ours):
        side.api.payment_intents.confirm(made.id, {"return_url": BACK})
    else:
        side.api.payment_intents.confirm(made.id)
    waiting = side.api.payment_intents.retrieve(made.id)
    side.decide(waiting, is_approved=is_approved)
    after: Any = side.api.payment_intents.retrieve(made.id)
    error = after.last_payment_error
    return waiting.status, after.status, error.code if error else None


def same_key(side: Side, second: int) -> Outcome:
    """Make twice under one key."""
    refs = []
    for amount in (4200, second):
        given: Any = {"amount": amount, "currency": "eur"}
        refs.append(side.api.payment_intents.create(given, {"idempotency_key": f"k-{second}"}).id)
    return ("the same" if refs[0] == refs[1] else "two payments",)


def pages(side: Side) -> Outcome:
    """Make three and list all by twos; what is of the same second has no order there."""
    refs = {side.made().id for _ in range(3)}
    first = side.api.payment_intents.list({"limit": 2})
    listed = [one.id for one in first.auto_paging_iter()]
    return len(first.data), first.has_more, refs <= set(listed), len(listed) == len(set(listed))


SCRIPT: dict[str, Callable[[Side], Outcome]] = {
    "create": lambda side: told(side.made()),
    "create, amount is no number": lambda side: told(side.made(amount="x")),
    "create, amount is 0": lambda side: told(side.made(amount=0)),
    "create, no currency": lambda side: told(side.made(currency=None)),
    "create, odd capture method": lambda side: told(side.made(capture_method="later")),
    "create, metadata": lambda side: (side.made(metadata={"order": "o1"}).metadata.to_dict(),),
    "create, description": lambda side: (side.made(description="Two seats").description,),
    "retrieve, unknown": lambda side: told(side.api.payment_intents.retrieve("pi_none")),
    "choose a method": lambda side: told(
        side.api.payment_intents.update(side.made().id, {"payment_method": side.method("good")})
    ),
    "confirm without a method": lambda side: told(side.api.payment_intents.confirm(side.made().id)),
    "confirm": lambda side: told(side.confirmed()),
    "confirm with a method": lambda side: told(
        side.api.payment_intents.confirm(side.made().id, {"payment_method": side.method("good")})
    ),
    "confirm twice": lambda side: told(side.api.payment_intents.confirm(side.confirmed().id)),
    "confirm, taken at once": lambda side: told(side.confirmed(capture_method="automatic")),
    "confirm, declined": lambda side: told(side.confirmed("declined")),
    "charge of what is held": lambda side: charge_of(side, side.confirmed().id),
    "capture": lambda side: told(side.taken()),
    "capture twice": lambda side: told(side.api.payment_intents.capture(side.taken().id)),
    "capture a part": lambda side: told(
        side.api.payment_intents.capture(side.confirmed().id, {"amount_to_capture": 3000})
    ),
    "charge of what is taken": lambda side: charge_of(side, side.taken().id),
    "charge of a part": lambda side: charge_of(
        side, side.api.payment_intents.capture(side.confirmed().id, {"amount_to_capture": 3000}).id
    ),
    "cancel what is new": lambda side: told(side.api.payment_intents.cancel(side.made().id)),
    "cancel what is held": lambda side: told(side.api.payment_intents.cancel(side.confirmed().id)),
    "cancel what is taken": lambda side: told(side.api.payment_intents.cancel(side.taken().id)),
    "cancel with a reason": lambda side: told(
        side.api.payment_intents.cancel(side.made().id, {"cancellation_reason": "abandoned"})
    ),
    "refund": lambda side: (
        (made := side.api.refunds.create({"payment_intent": side.taken().id})).status, made.amount,
    ),
    "refund a part": lambda side: (
        side.api.refunds.create({"payment_intent": side.taken().id, "amount": 100}).status,
    ),
    "refund too much": lambda side: (
        side.api.refunds.create({"payment_intent": side.taken().id, "amount": 999_999}).status,
    ),
    "refund what is only held": lambda side: (
        side.api.refunds.create({"payment_intent": side.confirmed().id}).status,
    ),
    "refund with a reason": lambda side: (
        side.api.refunds.create({"payment_intent": side.taken().id, "reason": "duplicate"}).status,
    ),
    "the buyer approves": lambda side: asked(side, "asks", is_approved=True),
    "the buyer refuses": lambda side: asked(side, "asks", is_approved=False),
    "the buyer approves, the bank does not": lambda side: asked(side, "asks-declined", is_approved=True),
    "the same key": lambda side: same_key(side, 4200),
    "the same key, other parameters": lambda side: same_key(side, 4300),
    "pages": pages,
    "disputes": lambda side: (len(side.api.disputes.list().data),),
}  # fmt: skip

HELD: Outcome = ("payment_intent", "requires_capture", 4200, "eur", "manual")
VOIDED: Outcome = ("payment_intent", "canceled", 4200, "eur", "manual")

DIFFERENCES: dict[str, tuple[Outcome, Outcome]] = {
    # Parameters that Stripe has and localstripe does not know.
    "create, description": (("Two seats",), ("refused", 400)),
    "confirm with a method": (HELD, ("refused", 500)),
    "cancel with a reason": (VOIDED, ("refused", 400)),
    "refund with a reason": (("succeeded",), ("refused", 400)),
    # No bound on what goes back.
    "refund too much": (("refused", 400), ("succeeded",)),
    "refund what is only held": (("refused", 400), ("succeeded",)),
    # No idempotency.
    "the same key": (("the same",), ("two payments",)),
    "the same key, other parameters": (("refused", 400), ("two payments",)),
    # No disputes.
    "disputes": ((0,), ("refused", 404)),
}
"""Of a step: what the sandbox says, and what localstripe does."""


def outcome(side: Side, step: Callable[[Side], Outcome]) -> Outcome:
    """Give what comes of a step: an answer, or the kind of refusal."""
    try:
        return step(side)
    except stripe.CardError as error:
        return "declined", error.http_status, error.code
    except stripe.StripeError as error:
        return "refused", error.http_status


@contextlib.contextmanager
def localstripe(folder: Path) -> Iterator[str]:
    """Run it, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(port)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_there() -> bool:
        assert process.poll() is None, "localstripe has ended; is it installed?"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(
                f"{url}/v1/payment_intents", headers={"authorization": f"Bearer {KEY}"}
            ).is_success
        return False

    try:
        until(is_there)
        yield url
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ours, Theirs, Running]]:
    """Give both."""
    with running() as box, localstripe(tmp_path_factory.mktemp("localstripe")) as url:
        ours, theirs = Ours(box.url), Theirs(url)
        yield ours, theirs, box
        ours.close()
        theirs.close()


@pytest.mark.process
@pytest.mark.parametrize("name", SCRIPT)
def test_both_say_the_same_but_for_what_is_known(name: str, sides: tuple[Ours, Theirs, Running]) -> None:
    """Step by step; a difference is one that stands in the table, exactly as it stands there."""
    ours, theirs, _box = sides
    told_by_both = outcome(ours, SCRIPT[name]), outcome(theirs, SCRIPT[name])
    if name in DIFFERENCES:
        assert told_by_both == DIFFERENCES[name]
    else:
        assert told_by_both[0] == told_by_both[1]


def test_the_table_names_steps_of_the_script() -> None:
    """And in each the two really differ."""
    assert set(DIFFERENCES) <= set(SCRIPT)
    assert all(ours != theirs for ours, theirs in DIFFERENCES.values())


@pytest.mark.process
def test_the_webhooks_of_both_are_believed_by_the_package(sides: tuple[Ours, Theirs, Running]) -> None:
    """Signed with the same secret, for the same thing."""
    ours, theirs, box = sides
    receiver = box.sandbox._deliveries._url
    answer = httpx.post(f"{theirs.url}/_config/webhooks/shop", json={"url": receiver, "secret": SECRET})
    assert answer.is_success
    wanted = {ours.taken().id, theirs.taken().id}

    def believed() -> set[str]:
        events = [
            stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
            for body, headers in list(box.inbox.received)
        ]
        return {one.data.object["id"] for one in events if one.type == "payment_intent.succeeded"}

    until(lambda: wanted <= believed())
