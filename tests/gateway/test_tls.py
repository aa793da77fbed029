"""TLS: a browser that came by it once comes by it only, and real money is taken in no other way."""

from typing import Any

import httpx
import pytest

from checkout.payments.adyen_wire import LIVE_HOSTS
from gateway.condition import Condition
from gateway.server import Process, Strict
from gateway.settings import load
from gateway.shop_settings import ADYEN_LIVE_HOSTS
from kernel.errors import Misconfigured

KEYS = {"STRIPE_WEBHOOK_SECRET": "whsec_1", "PAYMENTS": "stripe"}
LIVE = KEYS | {"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_PUBLISHABLE_KEY": "pk_live_1"}
PLAY = KEYS | {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_PUBLISHABLE_KEY": "pk_test_1"}
ADYEN = {
    "PAYMENTS": "adyen", "ADYEN_API_KEY": "key", "ADYEN_MERCHANT": "Hall", "ADYEN_HMAC_KEY": "0" * 64,
    "ADYEN_WEBHOOK_USER": "adyen", "ADYEN_WEBHOOK_PASSWORD": "secret",
    "ADYEN_ENDPOINT": "https://abc-hall-checkout-live.adyenpayments.com/checkout/v71",
}  # fmt: skip
FAULT = "real money is taken over TLS only"


def loaded(changes: dict[str, str]) -> Any:
    """Read settings."""
    return load({f"WAITROOM_{name}": text for name, text in changes.items()})


@pytest.mark.parametrize("account", [LIVE, LIVE | {"STRIPE_SECRET_KEY": "rk_live_1"}, ADYEN])
def test_real_money_is_taken_over_tls_only(account: dict[str, str]) -> None:
    """Neither without an address nor with one that is not https; an account for tests may do as it likes."""
    for address in ({}, {"PUBLIC_URL": "http://tickets.example"}):
        with pytest.raises(Misconfigured, match=FAULT):
            loaded(account | address)
    with pytest.raises(Misconfigured, match=FAULT):
        loaded(account | {"PUBLIC_URL": "https://tickets.example", "SECURE_COOKIES": "no"})

    assert loaded(account | {"PUBLIC_URL": "https://tickets.example"}).takes_real_money
    assert not loaded(PLAY).takes_real_money


def test_both_know_where_real_money_is() -> None:
    """The settings and the adapter judge alike."""
    assert ADYEN_LIVE_HOSTS == LIVE_HOSTS


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([], ["max-age=600"]),
        ([(b"Strict-Transport-Security", b"max-age=1; includeSubDomains")], ["max-age=1; includeSubDomains"]),
    ],
)
async def test_a_browser_is_told_to_come_by_tls(own: list[tuple[bytes, bytes]], told: list[str]) -> None:
    """Once; what the site itself says is left as it is, because a browser believes the first."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"here"})

    transport = httpx.ASGITransport(Strict(app, 600))
    async with httpx.AsyncClient(transport=transport, base_url="https://tickets.example") as fan:
        answer = await fan.get("/")

    assert answer.text == "here"
    assert answer.headers.get_list("strict-transport-security") == told


class Nothing:
    """An application that has nothing to do."""

    broadcast, ready, condition = None, True, Condition()

    async def app(self, _scope: Any, _receive: Any, _send: Any) -> None:
        """Answer nothing."""


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"PUBLIC_URL": "https://tickets.example"}, True),
        ({"SECURE_COOKIES": "yes"}, True),
        ({"PUBLIC_URL": "https://tickets.example", "HSTS_S": "0"}, False),
        ({"PUBLIC_URL": "http://tickets.example"}, False),
    ],
)
@pytest.mark.parametrize("role", ["gate", "shop"])
def test_each_role_tells_so_where_the_site_has_tls(
    role: str, changes: dict[str, str], *, is_told: bool
) -> None:
    """And a demo without it says nothing that a browser would hold against it later."""
    wired: Any = Nothing()

    process = Process(role, loaded(changes), wired, [])

    assert isinstance(process._server.config.app, Strict) is is_told
