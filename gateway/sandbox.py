"""Sandbox's process: the provider that moves no money, for the demo and for trying a shop out.

One process: what it knows is in its memory, and in a file in the data folder, so that a demo that is started again
finds its orders paid. Shop and sandbox agree on their secrets by deriving them from the ring of keys that both can
read. The one of Adyen's shape has no file: it begins anew each time. In a demo on one machine the logins of its staff
stand beside either of them (``demo_staff``). Not here: the providers themselves (``checkout.sandbox``,
``checkout.sandbox_adyen``), who asks them (``gateway.shop_tills``).
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from admission.keyring import KeyRing
from checkout.sandbox.app import Sandbox
from checkout.sandbox_adyen.app import AdyenSandbox
from gateway.condition import Condition
from gateway.demo_staff import LOGIN, PEOPLE, has_logins
from gateway.deriving import secret_for
from gateway.http import Broadcast
from gateway.settings import Settings, loopback
from gateway.shop_settings import ADYEN_SANDBOX
from kernel.clock import SystemClock

FILE = "sandbox.jsonl"
NAME = "sandbox"


def sandbox_secrets(settings: Settings, now_ms: int) -> tuple[str, str]:
    """Give the sandbox's secret key and the secret of its webhooks."""
    octets = KeyRing.open(settings.keyring_path, now_ms).active("sid").octets
    return f"sk_test_{secret_for(octets, 'sandbox').hex()}", f"whsec_{secret_for(octets, 'hooks').hex()}"


def publishable_key(settings: Settings, now_ms: int) -> str:
    """Give the sandbox's publishable key, which every page that pays by its card fields shows."""
    octets = KeyRing.open(settings.keyring_path, now_ms).active("sid").octets
    return f"pk_test_{secret_for(octets, 'fields').hex()}"


class Beside:
    """Sends each to the bank or to the logins."""

    def __init__(self, bank: ASGIApp, logins: ASGIApp) -> None:
        self._bank = bank
        self._logins = logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        is_login = f"{scope.get('path', '')}/".startswith(f"{LOGIN}/")
        await (self._logins if is_login else self._bank)(scope, receive, send)


class SandboxProcess:
    """Role ``sandbox``."""

    broadcast: Broadcast | None = None

    def __init__(self, settings: Settings) -> None:
        """Put it together; the file is read when it starts."""
        self._bank = self._made(settings)
        self.app: ASGIApp = self._bank
        if has_logins(settings):
            self.app = Beside(self._bank, self._logins(settings))
        self.condition = Condition()
        self.ready = False

    @staticmethod
    def _logins(settings: Settings) -> ASGIApp:
        # Nobody but a demo imports it.
        from checkout.sandbox.login_rules import Client, Somebody  # noqa: PLC0415
        from checkout.sandbox.logins import Logins  # noqa: PLC0415

        client = Client(
            settings.staff_oidc_client_id or "",
            settings.staff_oidc_client_secret or "",
            settings.staff_callback(settings.site),
        )
        people = [Somebody(one.name, one.email, one.role.value) for one in PEOPLE]
        return Logins(settings.staff_oidc_issuer or "", client, people, SystemClock())

    @staticmethod
    def _made(settings: Settings) -> "Sandbox | AdyenSandbox":
        if settings.payments == ADYEN_SANDBOX:
            from gateway.adyen import sandbox_of  # noqa: PLC0415 (one of the two)

            return sandbox_of(settings)
        clock = SystemClock()
        key, hook_secret = sandbox_secrets(settings, clock.now_ms())
        return Sandbox(
            key,
            webhook_url=f"http://{loopback(settings.shop_host)}:{settings.shop_port}/hooks/{NAME}",
            webhook_secret=hook_secret,
            clock=clock,
            path=settings.data / FILE,
            publishable_key=publishable_key(settings, clock.now_ms()),
        )

    async def start(self) -> None:
        """Read the file, and begin to deliver notices."""
        self._bank.start()
        self.ready = True

    def drain(self) -> None:
        """Nothing here is endless."""

    async def stop(self) -> None:
        """End."""
        await self._bank.stop()


def build(settings: Settings, role: str) -> SandboxProcess:
    """Give the process its application."""
    del role
    return SandboxProcess(settings)
