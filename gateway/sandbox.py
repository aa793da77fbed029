"""Sandbox's process: the provider that moves no money, for the demo and for trying a shop out.

One process: what it knows is in its memory, and in a file in the data folder, so that a demo that is started again
finds its orders paid. Shop and sandbox agree on their secrets by deriving them from the ring of keys that both can
read. Not here: the provider itself (``checkout.sandbox``), who asks it (``gateway.shop_tills``).
"""

from admission.keyring import KeyRing
from checkout.sandbox.app import Sandbox
from gateway.deriving import secret_for
from gateway.http import Broadcast
from gateway.settings import Settings, loopback
from kernel.clock import SystemClock

FILE = "sandbox.jsonl"
NAME = "sandbox"


def sandbox_secrets(settings: Settings, now_ms: int) -> tuple[str, str]:
    """Give the sandbox's secret key and the secret of its webhooks."""
    octets = KeyRing.open(settings.keyring_path, now_ms).active("sid").octets
    return f"sk_test_{secret_for(octets, 'sandbox').hex()}", f"whsec_{secret_for(octets, 'hooks').hex()}"


class SandboxProcess:
    """Role ``sandbox``."""

    broadcast: Broadcast | None = None

    def __init__(self, settings: Settings) -> None:
        """Put it together; the file is read when it starts."""
        clock = SystemClock()
        key, hook_secret = sandbox_secrets(settings, clock.now_ms())
        self.app = Sandbox(
            key,
            webhook_url=f"http://{loopback(settings.shop_host)}:{settings.shop_port}/hooks/{NAME}",
            webhook_secret=hook_secret,
            clock=clock,
            path=settings.data / FILE,
        )
        self.ready = False

    async def start(self) -> None:
        """Read the file, and begin to deliver notices."""
        self.app.start()
        self.ready = True

    def drain(self) -> None:
        """Nothing here is endless."""

    async def stop(self) -> None:
        """End."""
        await self.app.stop()


def build(settings: Settings, role: str) -> SandboxProcess:
    """Give the process its application."""
    del role
    return SandboxProcess(settings)
