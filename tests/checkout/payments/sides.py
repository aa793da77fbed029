"""Two providers of two shapes, each adapter with its counterpart over real HTTP, for tests that ask both the same."""

import asyncio
import contextlib
import inspect
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import Adyen.util
import httpx
import pytest
import stripe

from checkout.database import ShopDatabase
from checkout.payments.port import Payment, Provider
from checkout.payments.stripe import StripeProvider
from kernel.clock import Clock, ManualClock
from tests.checkout.payments.adyen_running import HMAC_KEY, PASSWORD, USER, adyen_at, adyen_running
from tests.checkout.sandbox.running import KEY, SECRET, Running, running, until

Webhook = tuple[bytes, dict[str, str]]
Change = Callable[[dict[str, Any]], None]


@dataclass
class Side:
    """An adapter and its counterpart. ``methods``: tokens by what they do; ``calls``: addresses for faults, by call."""

    name: str
    box: Running
    provider: Provider
    methods: Mapping[str, str]
    calls: Mapping[str, str]
    _heard: int = field(default=0)

    async def hear(self) -> int:
        """Take in all notices that have come since, as the shop does; gives how many those were."""
        until(lambda: self._waiting() == 0)
        come = self.box.inbox.received[self._heard :]
        self._heard += len(come)
        for body, headers in come:
            notices = self.provider.parse_webhook(body, headers, self.box.sandbox._clock.now_ms())
            await self.provider.take_in(notices)
        return len(come)

    async def told(self, ref: str) -> Payment:
        """Hear, and fetch."""
        await self.hear()
        return await self.provider.fetch(ref)

    async def answer(self, url: str, decision: str) -> None:
        """Answer as the buyer on the bank's page, and go back to the shop."""
        page = await asyncio.to_thread(httpx.get, url)
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        assert token is not None
        form = {"token": token[1], "answer": decision}
        back = await asyncio.to_thread(httpx.post, url, data=form)
        assert back.status_code == 303, back.text
        await self.provider.returned(dict(parse_qsl(urlsplit(back.headers["location"]).query)))

    def row(self) -> dict[str, Any]:
        """Give what the counterpart has of the one order there is."""
        (order,) = self.box.ledger()
        (sums,) = order["sums"].values()
        return {**sums, "payments": len([one for one in order["payments"] if one["charges"]])}

    def dispute(self, payment: Payment) -> Callable[[str], None]:
        """Let the buyer's bank take the money back; gives a function that decides (``won``, ``lost``)."""
        if self.name == "stripe":
            wanted, path, ident = {"payment_intent": payment.ref}, "/_sandbox/disputes", "id"
        else:
            wanted, path, ident = {"reference": payment.ref}, "/_sandbox/chargebacks", "psp"
        made = self.box.client.post(path, json=wanted).json()[ident]
        return lambda how: _ok(self.box.client.post(f"{path}/{made}", json={"outcome": how}))

    def signed(self, webhook: Webhook, change: Change) -> Webhook:
        """Sign a changed notice as the provider would."""
        plain, headers = json.loads(webhook[0]), dict(webhook[1])
        change(plain)
        if self.name == "stripe":
            body = json.dumps(plain).encode()
            at_s = self.box.sandbox._clock.now_ms() // 1000
            made: Any = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, at_s)
            return body, headers | {"stripe-signature": made}
        item = plain["notificationItems"][0]["NotificationRequestItem"]
        signature = Adyen.util.generate_notification_sig(item, HMAC_KEY).decode()
        item["additionalData"] = {**item.get("additionalData", {}), "hmacSignature": signature}
        sender = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return json.dumps(plain).encode(), headers | {"authorization": f"Basic {sender}"}

    def _waiting(self) -> int:
        told: int = self.box.client.get("/_sandbox/webhooks").json()["waiting"]
        return told


def _ok(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


STRIPE_METHODS = {
    "pays": "pm_card_visa", "asks": "pm_card_threeDSecure2Required", "slow": "pm_sandbox_processing",
    "no-funds": "pm_card_chargeDeclinedInsufficientFunds", "expired": "pm_card_chargeDeclinedExpiredCard",
    "code": "pm_card_chargeDeclinedIncorrectCvc", "number": "pm_sandbox_incorrectNumber",
    "blocked": "pm_card_visa_chargeDeclinedLostCard", "declined": "pm_card_chargeDeclined",
    "technical": "pm_card_chargeDeclinedProcessingError", "fraud": "pm_card_radarBlock",
    "currency": "pm_sandbox_currencyNotSupported", "limit": "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
    "unknown": "pm_card_nobody",
}  # fmt: skip
ADYEN_METHODS = {
    "pays": "scheme:authorised", "asks": "scheme:asks", "slow": "scheme:pending",
    "no-funds": "scheme:not-enough-balance", "expired": "scheme:expired-card", "code": "scheme:cvc-declined",
    "number": "scheme:invalid-card-number", "blocked": "scheme:blocked-card", "declined": "scheme:refused",
    "technical": "scheme:acquirer-error", "fraud": "scheme:fraud", "currency": "scheme:not-supported",
    "limit": "scheme:withdrawal-amount-exceeded", "unknown": "scheme:nobody",
}  # fmt: skip
STRIPE_CALLS = {
    "confirm": "POST /v1/payment_intents/*/confirm", "capture": "POST /v1/payment_intents/*/capture",
    "void": "POST /v1/payment_intents/*/cancel", "refund": "POST /v1/refunds",
}  # fmt: skip
ADYEN_CALLS = {
    "confirm": "POST /v71/payments", "capture": "POST /v71/payments/*/captures",
    "void": "POST /v71/payments/*/cancels", "refund": "POST /v71/payments/*/refunds",
}  # fmt: skip


@contextlib.asynccontextmanager
async def side_of(name: str, clock: Clock, folder: Path, timeout_s: float = 10.0) -> AsyncIterator[Side]:
    """Open one of the two."""
    if name == "stripe":
        with running(clock) as box:
            own = StripeProvider("stripe", KEY, [SECRET], api_base=box.url, timeout_s=timeout_s)
            try:
                yield Side("stripe", box, own, STRIPE_METHODS, STRIPE_CALLS)
            finally:
                await own.close()
        return
    database = ShopDatabase(f"sqlite:///{folder}/shop.db")
    database.open()
    try:
        with adyen_running(clock) as box:
            async with adyen_at(box.endpoint, database, clock, timeout_s=timeout_s) as adyen:
                yield Side("adyen", box, adyen, ADYEN_METHODS, ADYEN_CALLS)
    finally:
        database.close()


def of_both(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Ask the same of each of the two: a test with a ``side`` becomes two."""
    wanted = inspect.signature(test).parameters

    async def asked(side_name: str, clock: ManualClock, tmp_path: Path, **more: Any) -> None:
        async with side_of(side_name, clock, tmp_path) as side:
            given = {"side": side, "clock": clock, "tmp_path": tmp_path, **more}
            await test(**{name: given[name] for name in wanted})

    names = ["side_name", "clock", "tmp_path", *(name for name in wanted if name not in KNOWN)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    asked.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    asked.__name__, asked.__doc__, asked.__module__ = test.__name__, test.__doc__, test.__module__
    return pytest.mark.parametrize("side_name", ["stripe", "adyen"])(asked)


KNOWN = frozenset({"side", "clock", "tmp_path"})
