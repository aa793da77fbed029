"""Shop's process: the demo's origin, with the admission guard around it, as any backend would have it.

Apart from ``wiring``, because a backend knows neither store nor journal: what this process does not import, it need
not wait for when it starts.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp

from admission.guard import AdmissionGuard
from admission.keyring import KeyRing
from checkout.web import Shop
from gateway.http import Broadcast
from gateway.settings import Settings
from kernel.clock import SystemClock


class ShopProcess:
    """Role ``shop``: the demo's origin. The guard stands before it as it would before any backend."""

    broadcast: Broadcast | None = None
    ready = True

    def __init__(self, settings: Settings) -> None:
        """Put the guard around the shop; the keys come from the ring's file, which lies on the same disk."""
        clock = SystemClock()
        ring = KeyRing.open(settings.keyring_path, clock.now_ms())

        def keys() -> Mapping[str, object]:
            ring.refresh()
            return ring.jwks()

        self.app: ASGIApp = AdmissionGuard(
            Shop(clock.now_ms).app(),
            jwks=keys,
            issuer=settings.issuer,
            audience=f"http://127.0.0.1:{settings.shop_port}",
        )

    async def start(self) -> None:
        """Have nothing to connect to."""

    async def stop(self) -> None:
        """Have nothing to leave."""


def build(settings: Settings, role: str) -> ShopProcess:
    """Give the process its application."""
    del role
    return ShopProcess(settings)
