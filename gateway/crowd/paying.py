"""Paying: how one buyer pays an order, from the reservation to the last word; whoever plays buyers shares it.

A buyer has a *manner*. What is asked goes through a ``Cashier`` (the crowd's fans speak HTTP through the gate, others
may go to the shop directly), which asks again until an answer stands: what is no answer, 5xx and 429 never come here.
What the shop said is kept in a ``Purchase`` while it happens, so that it is there whatever ends the buyer's day.

An answer that no manner explains is an ``Odd`` one. Whether money moved as it was told is not for the buyer to know:
the checks hold purchases against the provider's books (``seats.checks_paid``). Not here: HTTP (``seats.cashier``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any, Protocol

LOOKS = 90
"""So often a buyer asks how a payment stands that is not decided, before that counts as a fault of the shop."""

LOOK_EVERY_S = 1.0
TRIES = 3
"""So many good cards are tried when a bank says no for no reason of theirs."""

EARLY_MS = 50
"""What is left to the shop's clock on each side of an end."""


class Manner(StrEnum):
    """How a buyer pays."""

    OK = "ok"  # a card that works
    OTHER_CARD = "other_card"  # the bank says no; then a card that works
    DECLINED = "declined"  # the bank says no, and the buyer gives the order up
    SECURE = "secure"  # the bank asks (3-D Secure), and the buyer approves
    SECURE_LEFT = "secure_left"  # the bank asks, and the buyer is never seen again
    PRESSES_TWICE = "presses_twice"  # the button twice at once: one key
    TWO_TABS = "two_tabs"  # two pages pay at once: two keys
    CHANGES_MIND = "changes_mind"  # makes an order and gives it up before paying
    VANISHES = "vanishes"  # never hears the answer, and does not come back


GOOD = "pm_card_visa"
ASKS = "pm_card_threeDSecure2Required"
BAD = (
    "pm_card_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedIncorrectCvc",
)
"""Named outcomes of the sandbox. There are no card numbers anywhere."""


class Last(StrEnum):
    """The last thing that a buyer was told of an order."""

    NOTHING = "nothing"
    OPEN = "open"  # it may still be paid, or is being paid
    REVIEW = "review"  # the seats are the buyer's, and a person decides whether the money is taken
    PAID = "paid"
    FREE = "free"  # over, or given up: nothing is charged


AT_ONCE = frozenset({Manner.PRESSES_TWICE, Manner.TWO_TABS})
"""Of two answers one may be heard before the other is known."""


class Odd(Exception):
    """An answer that is not as promised; the text says which."""


@dataclass(slots=True)
class Purchase:
    """What a buyer wanted to pay, and what it was told. Amounts in minor units, moments in milliseconds since 1970."""

    event: str
    reservation: str
    manner: Manner
    total_minor: int
    currency: str
    until_ms: int  # of the reservation
    fan: int = -1
    hold: str = ""
    seats: tuple[int, ...] = ()
    order: str = ""
    asked: int = 0  # requests to pay
    answered: int = 0
    approved: bool = False  # at the bank's page
    last: Last = Last.NOTHING
    phases: list[str] = field(default_factory=list)  # each once, in the order in which they were told
    declined_good: int = 0  # a good card was declined: no fault of the shop's while its provider is ill
    faults: list[str] = field(default_factory=list)  # what was told and cannot be

    @property
    def may_be_paid(self) -> bool:
        """True where the buyer has not heard what became of a try that may have succeeded."""
        if self.last is not Last.OPEN:
            return False
        phase = self.phases[-1] if self.phases else ""
        undecided = phase == "pending" or (phase == "action" and self.approved)
        return undecided or self.asked > self.answered or self.manner in AT_ONCE


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that stands."""

    status: int
    plain: Mapping[str, Any]
    retry_after_s: float | None = None

    @property
    def code(self) -> str:
        """The problem's code; '' where there is none."""
        return str(self.plain.get("code", ""))


class Cashier(Protocol):
    """The shop as one buyer reaches it. Each call asks until the answer stands, a try to pay under the same key."""

    async def order(self, reservation: str) -> Said:
        """Make the order of a reservation."""

    async def pay(self, order: str, method: str, key: str) -> Said:
        """Try to pay."""

    async def pay_and_hang_up(self, order: str, method: str, key: str) -> None:
        """Try to pay once, and never hear the answer."""

    async def look(self, order: str, *, at_provider: bool) -> Said:
        """Ask how an order stands."""

    async def give_up(self, order: str) -> Said:
        """Give an order up."""

    async def approve(self, url: str) -> bool:
        """Say yes at the bank's page; False where it has no question (any more)."""

    async def pause(self, seconds: float) -> None:
        """Let time pass."""

    def now_ms(self) -> float:
        """Tell the time by the shop's clock, as well as it is known."""


class Paying:
    """One buyer at the cashier."""

    def __init__(self, cashier: Cashier, purchase: Purchase, random: Random, *, think_s: float = 0.8) -> None:
        """`purchase` is filled in on the way. `think_s`: a look at a page, on average."""
        self._cashier, self._random, self._think_s = cashier, random, think_s
        self.purchase = purchase
        self._url = ""

    async def run(self) -> bool:
        """Do it as the manner says; False where the shop takes no money at all. Raises ``Odd``."""
        purchase = self.purchase
        said = await self._cashier.order(purchase.reservation)
        if said.status == 404 and said.code == "address-unknown":
            return False
        if said.status not in {200, 201}:
            self._heard(said)
            if purchase.last is Last.FREE:
                return True
        self._paper(said.plain)
        await MANNERS[purchase.manner](self)
        return True

    # ------------------------------------------------------------------------------------- manners
    async def ok(self) -> None:
        """Pay with a card that works."""
        await self._think()
        for _ in range(TRIES):
            if await self._try(GOOD) != "declined":
                break
            self.purchase.declined_good += 1
            await self._think()
        if self.purchase.last is Last.OPEN:
            await self._give_up()

    async def other_card(self) -> None:
        """Hear a no, take another card."""
        await self._think()
        await self._declined()
        if self.purchase.last is Last.OPEN:
            await self.ok()

    async def declined(self) -> None:
        """Hear a no, give up."""
        await self._think()
        await self._declined()
        if self.purchase.last is Last.OPEN:
            await self._think()
            await self._give_up()

    async def secure(self) -> None:
        """Answer the bank's question; where a sick provider has lost it, pay with a card that has none."""
        await self._think()
        if await self._asked():
            await self._think()
            self.purchase.approved = True
            await self._cashier.approve(self._url)
            for _ in range(LOOKS):
                # The bank sends its customer back to the shop's page, which asks the provider.
                said = await self._cashier.look(self.purchase.order, at_provider=True)
                if await self._known(said) != "action":
                    break
                await self._cashier.pause(LOOK_EVERY_S)
        if self.purchase.last is Last.OPEN:
            self.purchase.declined_good += 1
            await self.ok()

    async def secure_left(self) -> None:
        """Be asked, and close the page."""
        await self._think()
        await self._asked()

    async def presses_twice(self) -> None:
        """Press twice: one order, one key, one try."""
        self._heard(await self._cashier.order(self.purchase.reservation))
        await self._think()
        key = self._key()
        first, second = await _both(self._pay(GOOD, key), self._pay(GOOD, key))
        numbers = {said.plain.get("attempt") for said in (first, second) if said.status in {200, 202}}
        if len(numbers) > 1:
            self.purchase.faults.append(f"one key became the tries {sorted(map(str, numbers))}")
        await self._agree(first, second)

    async def two_tabs(self) -> None:
        """Pay in two pages at once: two keys, and one payment."""
        await self._think()
        first, second = await _both(self._pay(GOOD, self._key()), self._pay(GOOD, self._key()))
        await self._agree(first, second)

    async def changes_mind(self) -> None:
        """Give the order up before paying."""
        await self._think()
        await self._give_up()

    async def vanishes(self) -> None:
        """Pay, and be gone."""
        await self._think()
        self.purchase.asked += 1
        await self._cashier.pay_and_hang_up(self.purchase.order, GOOD, self._key())

    # --------------------------------------------------------------------------------------- parts
    async def _agree(self, first: Said, second: Said) -> None:
        """Wait until both answers are known; who was declined twice for nothing tries again.

        Both were asked before either was answered, so an answer that was written before the last word takes nothing
        back: then the order is looked at.
        """
        phases = []
        for said in (first, second):
            is_known = self.purchase.last not in {Last.NOTHING, Last.OPEN}
            heard = await self._cashier.look(self.purchase.order, at_provider=False) if is_known else said
            phases.append(await self._known(heard))
        if self.purchase.last is Last.OPEN:
            self.purchase.declined_good += phases.count("declined")
            await self.ok()

    async def _declined(self) -> None:
        phase = await self._try(self._random.choice(BAD))
        if phase == "paid":
            self.purchase.faults.append("a card that the bank declines has paid")

    async def _asked(self) -> bool:
        """Pay with a card whose bank asks; True when it did."""
        phase = await self._try(ASKS)
        if phase == "paid":
            self.purchase.faults.append("a bank that asks was not waited for")
        return phase == "action"

    async def _try(self, method: str) -> str:
        return await self._known(await self._pay(method, self._key()))

    async def _pay(self, method: str, key: str) -> Said:
        self.purchase.asked += 1
        said = await self._cashier.pay(self.purchase.order, method, key)
        self.purchase.answered += 1
        return said

    async def _known(self, said: Said) -> str:
        """Ask how it stands until it is decided; return the phase. Raises ``Odd`` when it never is."""
        for looked in range(LOOKS):
            phase = self._heard(said)
            if phase != "pending":
                return phase
            await self._cashier.pause(said.retry_after_s or LOOK_EVERY_S)
            # The page looks at what the shop knows, and now and then has it ask.
            said = await self._cashier.look(self.purchase.order, at_provider=looked % 5 == 4)
        raise Odd(f"order {self.purchase.order} was still not decided after {LOOKS} looks")

    async def _give_up(self) -> None:
        said = await self._cashier.give_up(self.purchase.order)
        if said.status == 409 and said.code == "order-paid" and self.purchase.asked:
            # A no that a sick provider made of a yes: the order's page says what holds.
            await self._known(await self._cashier.look(self.purchase.order, at_provider=True))
            return
        if self._heard(said) != "over":
            raise Odd(f"an order that was given up is {said.plain.get('phase', said.status)}")

    def _heard(self, said: Said) -> str:
        """Take note of an answer; return the phase. Raises ``Odd`` for one that is not expected."""
        match said.status, said.code:
            case ((200 | 201 | 202), _):
                return self._paper(said.plain)
            case 402, "payment-declined":
                return self._paper(said.plain["order"])
            case 409, ("payment-under-way" | "order-paid"):
                return "pending"  # another try stands in the way: the order's page says what became of it
            case 410, "order-over":
                self._over("lapsed")
                return "over"
            case _:
                raise Odd(f"a payment was answered {said.status} {said.code}".rstrip())

    def _paper(self, plain: Mapping[str, Any]) -> str:
        """Read an order's paper. Raises ``Odd``, KeyError, TypeError or ValueError."""
        purchase = self.purchase
        order, phase = str(plain["order"]), str(plain["phase"])
        if purchase.order and order != purchase.order:
            purchase.faults.append(f"reservation {purchase.reservation} has another order: {order}")
        purchase.order = purchase.order or order
        told = (str(plain["reservation"]), int(plain["total_minor"]), str(plain["currency"]))
        meant = (purchase.reservation, purchase.total_minor, purchase.currency)
        if told != meant:
            purchase.faults.append(f"an order says {told}, its reservation {meant}")
        match phase:
            case "paid" | "refunded":
                self._phase(phase, Last.PAID if phase == "paid" else Last.FREE)
            case "over":
                self._over(str(plain["state"]))
            case "review":
                self._phase(phase, Last.REVIEW)
            case "to-pay" | "action" | "declined" | "pending":
                self._phase(phase, Last.OPEN)
            case _:
                raise Odd(f"order {order} is in phase {phase}")
        self._url = str(plain["action_url"] or "")
        return phase

    def _over(self, state: str) -> None:
        """Hear that an order is over: by its time, or given up."""
        purchase = self.purchase
        # Nobody but its buyer ends an order before its time; only a bank that cannot give what it has promised.
        if state == "lapsed" and self._cashier.now_ms() < purchase.until_ms - EARLY_MS:
            purchase.faults.append(f"order {purchase.order} was over before its end")
        self._phase("over", Last.FREE)

    def _phase(self, phase: str, last: Last) -> None:
        purchase = self.purchase
        if purchase.last in {Last.PAID, Last.FREE} and last is not purchase.last:
            purchase.faults.append(f"order {purchase.order} was {purchase.last}, and is {phase} now")
            return
        purchase.last = last
        if not purchase.phases or purchase.phases[-1] != phase:
            purchase.phases.append(phase)

    async def _think(self) -> None:
        await self._cashier.pause(self._random.expovariate(1 / max(self._think_s, 1e-3)))

    def _key(self) -> str:
        return f"{self._random.getrandbits(128):032x}"


MANNERS: Mapping[Manner, Callable[[Paying], Awaitable[None]]] = MappingProxyType(
    {
        Manner.OK: Paying.ok,
        Manner.OTHER_CARD: Paying.other_card,
        Manner.DECLINED: Paying.declined,
        Manner.SECURE: Paying.secure,
        Manner.SECURE_LEFT: Paying.secure_left,
        Manner.PRESSES_TWICE: Paying.presses_twice,
        Manner.TWO_TABS: Paying.two_tabs,
        Manner.CHANGES_MIND: Paying.changes_mind,
        Manner.VANISHES: Paying.vanishes,
    }
)


async def _both(*acts: Coroutine[Any, Any, Said]) -> list[Said]:
    """Do both at once and wait for both, whatever becomes of one; then raise the first failure."""
    results = await asyncio.gather(*acts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Said)]
