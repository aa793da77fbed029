"""A bank for tests: a provider in memory, with a ledger, keys as Stripe keeps them, and faults that a test asks for.

Methods name what happens: ``ok``, ``no-funds``, ``asks`` (the buyer must answer), ``slow`` (decided later).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from checkout.money import Money
from checkout.payments.port import (
    Capability,
    Card,
    Charge,
    Decline,
    Forged,
    Notice,
    NotNow,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Refusal,
    Topic,
    Unclear,
)
from kernel.clock import Clock

CARD = Card("fp-1", "visa", "4242", "GB")
NOTHING_MAY_BE_VOIDED = frozenset({PaymentState.CAPTURED, PaymentState.VOIDED})


@dataclass
class Bank:
    """Moves money that is not there."""

    clock: Clock
    name: str = "bank"
    capabilities: frozenset[Capability] = frozenset({Capability.MANUAL_CAPTURE, Capability.PARTIAL_REFUND})
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str], Awaitable[None]] | None = None
    """Called with the name of a call before anything is done; may raise."""
    after: Callable[[str], Awaitable[None]] | None = None
    """The same when it is done: what it raises is an answer that got lost."""
    _kept: dict[str, Payment | Refund] = field(default_factory=dict)

    async def _asked(self, name: str, key: str) -> None:
        self.calls.append((name, key))
        if self.before is not None:
            await self.before(name)

    async def _done(self, name: str) -> None:
        if self.after is not None:
            await self.after(name)

    # ------------------------------------------------------------------------------ the port

    async def create(self, charge: Charge) -> Payment:
        """Make a payment."""
        await self._asked("create", charge.key)
        made = self._kept.get(charge.key)
        if made is None:
            ref = f"pay-{len(self.payments) + 1}"
            made = self._kept[charge.key] = self.payments[ref] = Payment(
                ref, PaymentState.OPEN, charge.amount, self.clock.now_ms(),
                event=charge.event, order=charge.order, attempt=charge.attempt,
            )  # fmt: skip
        await self._done("create")
        assert isinstance(made, Payment)
        return made

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:
        """Ask the bank."""
        await self._asked("confirm", key)
        if key not in self._kept:
            payment = self._of(ref)
            if payment.state not in {PaymentState.OPEN, PaymentState.DECLINED}:
                raise Refusal("unexpected-state")
            match method:
                case "ok":
                    self.authorise(ref)
                case "no-funds":
                    self._set(ref, state=PaymentState.DECLINED, decline=Decline.FUNDS)
                case "asks":
                    self._set(ref, state=PaymentState.ACTION, action_url=f"https://bank/{ref}?{return_url}")
                case "slow":
                    self._set(ref, state=PaymentState.PROCESSING)
                case _:
                    raise Refusal("no-such-method")
            self._kept[key] = self._of(ref)
        await self._done("confirm")
        kept = self._kept[key]
        assert isinstance(kept, Payment)
        return kept

    async def fetch(self, ref: str) -> Payment:
        """Tell."""
        await self._asked("fetch", ref)
        found = self._of(ref)
        await self._done("fetch")
        return found

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:
        """Take."""
        await self._asked("capture", key)
        if key not in self._kept:
            if self._of(ref).state is not PaymentState.AUTHORISED:
                raise Refusal("unexpected-state")
            self._set(ref, state=PaymentState.CAPTURED, captured_minor=amount.amount_minor)
            self._kept[key] = self._of(ref)
        await self._done("capture")
        return self._of(ref)

    async def void(self, ref: str, key: str) -> Payment:
        """Let go."""
        await self._asked("void", key)
        if self._of(ref).state in NOTHING_MAY_BE_VOIDED:
            raise Refusal("unexpected-state")
        self._set(ref, state=PaymentState.VOIDED)
        await self._done("void")
        return self._of(ref)

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back."""
        await self._asked("refund", key)
        if key not in self._kept:
            payment = self._of(ref)
            if amount.amount_minor > payment.captured_minor - payment.refunded_minor:
                raise Refusal("too-much")
            self._set(ref, refunded_minor=payment.refunded_minor + amount.amount_minor)
            made = Refund(f"re-{len(self.refunds) + 1}", ref, amount, RefundState.DONE)
            self._kept[key] = self.refunds[made.ref] = made
        await self._done("refund")
        made_before = self._kept[key]
        assert isinstance(made_before, Refund)
        return made_before

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:
        """Read ``id:ref``; a header ``signed`` says that it is ours."""
        if headers.get("signed") != "yes":
            raise Forged
        id_, _, ref = body.decode().partition(":")
        if not ref:
            raise ValueError("no payment")
        payment = self.payments.get(ref)
        if payment is None:
            return [Notice(id_, Topic.PAYMENT, ref, now_ms)]
        return [
            Notice(
                id_, Topic.PAYMENT, ref, now_ms, payment.event, payment.order, payment.attempt, payment.amount,
            )
        ]  # fmt: skip

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Keep nothing: this bank can be asked."""

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Know of nobody."""
        del query
        return None

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Say what is expected."""
        return 200, b"heard", "text/plain"

    async def list_since(self, since_ms: int) -> AsyncIterator[Payment]:
        """Tell all."""
        await self._asked("list", str(since_ms))
        for payment in list(reversed(self.payments.values())):
            if payment.created_ms >= since_ms:
                yield payment

    # ------------------------------------------------------------------------------- the world

    def authorise(self, ref: str) -> None:
        """Have a payment succeed."""
        if Capability.MANUAL_CAPTURE in self.capabilities:
            self._set(ref, state=PaymentState.AUTHORISED, card=CARD, action_url="")
        else:
            amount = self._of(ref).amount.amount_minor
            self._set(ref, state=PaymentState.CAPTURED, captured_minor=amount, card=CARD, action_url="")

    def set(self, ref: str, **fields: object) -> None:
        """Have something happen to a payment that nobody asked for."""
        self._set(ref, **fields)

    def forget_keys(self) -> None:
        """Let a day go by."""
        self._kept.clear()

    def net_minor(self, order: str) -> int:
        """Count the money of an order that is here."""
        own = [one for one in self.payments.values() if one.order == order]
        return sum(one.captured_minor - one.refunded_minor - one.disputed_minor for one in own)

    def captures(self, order: str) -> int:
        """Count the payments of an order that were taken."""
        return sum(one.captured_minor > 0 for one in self.payments.values() if one.order == order)

    @property
    def open_refs(self) -> list[str]:
        """Name the payments that still have, or may get, somebody's money without having taken it."""
        ended = {PaymentState.CAPTURED, PaymentState.VOIDED}
        return [ref for ref, one in self.payments.items() if one.state not in ended]

    def _of(self, ref: str) -> Payment:
        try:
            return self.payments[ref]
        except KeyError:
            raise Refusal("unknown") from None

    def _set(self, ref: str, **fields: object) -> None:
        self.payments[ref] = replace(self._of(ref), **fields)  # type: ignore[arg-type]


def losing(name: str, times: int = 1) -> Callable[[str], Awaitable[None]]:
    """Lose a call of this name, or its answer, so many times."""
    left = [times]

    async def lose(called: str) -> None:
        if called == name and left[0]:
            left[0] -= 1
            raise Unclear(f"{name} got lost")

    return lose


def busy(name: str, times: int = 1) -> Callable[[str], Awaitable[None]]:
    """Have the provider say that it cannot now."""
    left = [times]

    async def not_now(called: str) -> None:
        if called == name and left[0]:
            left[0] -= 1
            raise NotNow(f"{name}: too many calls", 1.0)

    return not_now
