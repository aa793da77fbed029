"""A provider that does as it is told, for tests of who asks it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from checkout.money import Money
from checkout.payments.port import (
    Capability,
    Charge,
    Notice,
    Payment,
    PaymentState,
    Refund,
    RefundState,
)
from kernel.clock import ManualClock

EUR = Money(4200, "EUR")
CHARGE = Charge("rome", "order-7", 1, EUR, "order-7:1:create")

Result = TypeVar("Result")


def payment(ref: str = "p1", state: PaymentState = PaymentState.OPEN) -> Payment:
    """Give a payment."""
    return Payment(ref, state, EUR, 0, event="rome", order="order-7", attempt=1)


class Scripted:
    """Raises what is next in ``script``; None is an answer. After its end it answers."""

    name = "scripted"
    capabilities = frozenset({Capability.MANUAL_CAPTURE})

    def __init__(self, *script: BaseException | None) -> None:
        self.script = list(script)
        self.calls: list[tuple[str, str]] = []
        """Each call with its key."""
        self.listed: list[str | BaseException] = []
        self.taken_in: list[Notice] = []

    async def create(self, charge: Charge) -> Payment:
        """Make one."""
        return self._next("create", charge.key, payment())

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:  # noqa: ARG002 (it does as it is told)
        """Ask the bank."""
        return self._next("confirm", key, payment(ref, PaymentState.AUTHORISED))

    async def fetch(self, ref: str) -> Payment:
        """Tell."""
        return self._next("fetch", "", payment(ref))

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:  # noqa: ARG002 (it does as it is told)
        """Take."""
        return self._next("capture", key, payment(ref, PaymentState.CAPTURED))

    async def void(self, ref: str, key: str) -> Payment:
        """Let go."""
        return self._next("void", key, payment(ref, PaymentState.VOIDED))

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back."""
        return self._next("refund", key, Refund("r1", ref, amount, RefundState.DONE))

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:  # noqa: ARG002 (it does as it is told)
        """Read nothing."""
        return []

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Keep them in ``taken_in``."""
        self.taken_in += notices

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Send everybody on."""
        return query.get("ref")

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Say thanks."""
        return 200, b"thanks", "text/plain"

    async def list_since(self, since_ms: int) -> AsyncIterator[Payment]:  # noqa: ARG002 (it does as it is told)
        """Tell those in ``listed``; a failure there is raised once."""
        self.calls.append(("list", ""))
        for place, one in enumerate(list(self.listed)):
            if isinstance(one, BaseException):
                del self.listed[place]
                raise one
            yield payment(one)

    def _next(self, call: str, key: str, result: Result) -> Result:
        self.calls.append((call, key))
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step
        return result


def resting(clock: ManualClock, rests: list[float]) -> Callable[[float], Awaitable[object]]:
    """Give a wait that moves the clock and is written down."""

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        clock.advance(round(seconds * 1000))

    return rest
