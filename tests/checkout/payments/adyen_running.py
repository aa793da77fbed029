"""Adyen's sandbox over real HTTP, and an adapter that talks to it and keeps its books in a database of the test."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from checkout.database import ShopDatabase
from checkout.grouping import Grouping
from checkout.payments.adyen import AdyenProvider
from checkout.payments.adyen_wire import Account
from checkout.sandbox_adyen.app import AdyenSandbox
from kernel.clock import Clock
from tests.checkout.sandbox.running import Running

API_KEY = "AQE-test-key"
MERCHANT = "ShopECOM"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
USER, PASSWORD = "adyen", "notices-0123456789"
BACK_URL = "http://shop.example/hooks/adyen"


class AdyenRunning(Running):
    """One such sandbox that runs."""

    known_by: ClassVar[dict[str, str]] = {"x-api-key": API_KEY}

    def made_at(self, inbox: str, clock: Clock | None, path: Path | None, slow_ms: int) -> Any:
        """Make the sandbox; it has no file."""
        del path
        return AdyenSandbox(
            API_KEY, MERCHANT, HMAC_KEY, webhook_url=inbox, webhook_user=USER, webhook_password=PASSWORD,
            clock=clock, slow_ms=slow_ms,
        )  # fmt: skip

    @property
    def endpoint(self) -> str:
        """Give the address of its API."""
        return f"{self.url}/v71"


@contextlib.contextmanager
def adyen_running(clock: Clock | None = None, *, slow_ms: int = 3_000) -> Iterator[AdyenRunning]:
    """Serve one."""
    one = AdyenRunning(clock, None, is_breakable=True, slow_ms=slow_ms)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@dataclass(frozen=True, slots=True)
class OneDesk:
    """All payments are written down at one place."""

    own: Grouping

    def of(self, event: str) -> Grouping:
        """Return the one."""
        del event
        return self.own

    def all(self) -> tuple[Grouping, ...]:
        """Return the one."""
        return (self.own,)


def account(endpoint: str, **changes: Any) -> Account:
    """Give the account that the sandbox has."""
    own = {
        "merchant": MERCHANT, "api_key": API_KEY, "hmac_keys": (HMAC_KEY,), "webhook_user": USER,
        "webhook_password": PASSWORD, "endpoint": endpoint,
    }  # fmt: skip
    return Account(**(own | changes))


@contextlib.asynccontextmanager
async def adyen_at(
    endpoint: str, database: ShopDatabase, clock: Clock, *, timeout_s: float = 10.0, **changes: Any
) -> AsyncIterator[AdyenProvider]:
    """Give the adapter, and close it; `changes` are those of the account's fields."""
    provider = AdyenProvider(
        "adyen", account(endpoint, **changes), OneDesk(Grouping(database)), clock, back_url=BACK_URL,
        timeout_s=timeout_s,
    )  # fmt: skip
    try:
        yield provider
    finally:
        await provider.close()
