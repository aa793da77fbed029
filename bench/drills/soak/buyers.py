"""Buyers: people who want seats and pay in every way that people do, and write down what they were told.

Each errand is drawn from the seed: pay, be declined, take a second card, answer the bank's question or walk away from
it, pay twice at once, give up, claim the money back at the bank. Seats are wanted near one place of the hall that moves
on as they sell, so that many want the same. Whoever gets no answer asks again under the same key, and then goes away
without knowing. Not here: what must be true of what they were told (``judging``).
"""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.drills.soak.stage import EVENT, HOLD_S, Stage
from checkout.audit.records import Act, Answer, Operation, Record

API = f"/api/events/{EVENT}"
PATIENCE_S = 20.0
NEAR = 24
"""So many groups of seats are wanted at a time."""

PAYS, NO_FUNDS, DECLINED = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclined",
)
ASKS, ASKS_DECLINED = "pm_card_threeDSecure2Required", "pm_card_threeDSecureRequiredChargeDeclined"
DISPUTED, RETURNS_LATE = "pm_card_createDispute", "pm_card_pendingRefund"
OVER = frozenset({"expired", "released", "unknown"})
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer. ``status`` 0: none came, or one that says that the shop does not know."""

    status: int
    paper: dict[str, Any]

    @property
    def is_lost(self) -> bool:
        """True where the act may or may not have happened."""
        return self.status == 0 or self.status >= 500

    @property
    def code(self) -> str:
        """Name the problem."""
        return str(self.paper.get("code", self.status))


@dataclass(slots=True)
class Reserved:
    """A hold that is, or may be, reserved, and its order as far as the buyer was told of one."""

    hold: str
    sid: str
    seats: tuple[int, ...]
    called_us: int
    order: str = ""


@dataclass(slots=True)
class Diary:
    """What all buyers together were told."""

    records: list[Record] = field(default_factory=list)
    errands: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    paid: set[str] = field(default_factory=set)
    """Orders of which somebody was told that they are paid."""
    orders: set[str] = field(default_factory=set)
    reservations: dict[str, Reserved] = field(default_factory=dict)
    """By hold."""
    claimed: set[str] = field(default_factory=set)
    """Orders whose money was asked back at the provider."""


class Buyers:
    """A population."""

    def __init__(self, stage: Stage, seed: int, diary: Diary) -> None:
        self._stage = stage
        self._dice = random.Random(f"buyers-{seed}")
        self._diary = diary
        self._near = 0
        self._count = 0
        self.is_over = False

    async def run(self, at_once: int) -> None:
        """Send buyers, so many at a time, until it is over."""
        limits = httpx.Limits(max_connections=4 * at_once, max_keepalive_connections=at_once)
        async with httpx.AsyncClient(
            base_url=self._stage.url, timeout=PATIENCE_S, limits=limits, trust_env=False
        ) as client:
            await asyncio.gather(*(self._line(client) for _ in range(at_once)))

    async def _line(self, client: httpx.AsyncClient) -> None:
        while not self.is_over and self._near < len(self._stage.wanted) - NEAR:
            self._count += 1
            dice = random.Random(self._dice.random())
            name, errand = dice.choices(ERRANDS, weights=WEIGHTS)[0]
            self._diary.errands[name] += 1
            seats = self._seats(dice)
            await errand(Buyer(self._stage, client, dice, self._diary, f"fan{self._count:019d}"), seats)
            await asyncio.sleep(dice.expovariate(4.0))

    def _seats(self, dice: random.Random) -> tuple[int, ...]:
        """Choose one to four seats near where everybody chooses."""
        if dice.random() < 0.7:
            self._near += 1
        group = self._stage.wanted[self._near + dice.randrange(NEAR)]
        count = dice.randint(1, len(group))
        first = dice.randint(0, len(group) - count)
        return group[first : first + count]


class Buyer:
    """One browser with an admission."""

    def __init__(
        self, stage: Stage, client: httpx.AsyncClient, dice: random.Random, diary: Diary, sid: str
    ) -> None:
        self.stage, self.client, self.dice, self.diary, self.sid = stage, client, dice, diary, sid
        self.lost = 0
        """So many questions of the last act had no answer."""
        self._auth = {
            "Authorization": f"Bearer {stage.admission(sid)}", "Origin": stage.url, "Sec-Fetch-Site": "same-origin",
        }  # fmt: skip

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> Heard:
        """Send one request and wait for its answer."""
        headers = self._auth | ({"Idempotency-Key": key} if key else {})
        try:
            said = await self.client.request(method, API + path, headers=headers, json=body)
            paper = said.json() if said.content else {}
        except (httpx.HTTPError, ValueError):
            heard = Heard(0, {})
        else:
            heard = Heard(said.status_code, paper if isinstance(paper, dict) else {})
        self._listen(path, heard)
        return heard

    def _listen(self, path: str, heard: Heard) -> None:
        what = "pay" if path.endswith("/pay") else path.split("/")[1].split("?", maxsplit=1)[0]
        self.diary.answers[f"{what} {heard.code if heard.status != 402 else heard.paper.get('decline')}"] += 1
        order = heard.paper.get("order") if heard.status < 300 else None
        if isinstance(order, str):
            self.diary.orders.add(order)
            if heard.paper.get("phase") == "paid":
                self.diary.paid.add(order)

    async def insist(self, method: str, path: str, body: object = None, key: str = "") -> Heard:
        """Ask, and where no answer comes ask the same again, three times in all."""
        heard, self.lost = await self.ask(method, path, body, key), 0
        for _ in range(2):
            if not heard.is_lost:
                break
            self.lost += 1
            await asyncio.sleep(self.dice.uniform(0.5, 3.0))
            heard = await self.ask(method, path, body, key)
        return heard

    # ------------------------------------------------------------------------- to an order

    async def hold(self, seats: tuple[int, ...]) -> str | None:
        """Hold seats; returns the hold."""
        key, lost, began_us = f"{self.sid}-h", [], _now_us()
        for turn in range(3):
            began_us = _now_us()
            heard = await self.ask("POST", "/holds", {"seats": seats}, key)
            if not heard.is_lost:
                break
            lost.append(began_us)
            await asyncio.sleep(self.dice.uniform(0.3, 2.0) * (turn + 1))
        hold = str(heard.paper.get("hold", "")) if heard.status == 201 else ""
        for at_us in lost:
            self._note(Act.HOLD, hold or f"key {key}", seats, at_us, None, until_ms=self._earliest_ms(at_us))
        if heard.status == 201:
            state, until_ms = heard.paper["state"], int(heard.paper["until_ms"])
            answer = Answer.DONE if state == "held" else Answer.GONE if state in OVER else Answer.REFUSED
            self._note(Act.HOLD, hold, seats, began_us, answer, until_ms=until_ms)
            return hold if state == "held" else None
        if heard.code == "seats-taken":
            taken = tuple((int(one["seat"]), int(one["status"])) for one in heard.paper["taken"])
            self._note(Act.HOLD, f"refused {key}", seats, began_us, Answer.TAKEN, taken=taken)
        return None

    async def release(self, hold: str, seats: tuple[int, ...]) -> None:
        """Give a hold back: one act, however often it is asked for."""
        began_us = _now_us()
        heard = await self.insist("DELETE", f"/holds/{hold}")
        answer = _ended(heard)
        self._note(
            Act.RELEASE, hold, seats, began_us, None if self.lost and answer is Answer.GONE else answer
        )

    async def reserve(self, hold: str, seats: tuple[int, ...]) -> str | None:
        """Take a hold to pay; returns the reservation."""
        began_us = _now_us()
        heard = await self.insist("POST", f"/holds/{hold}/reserve")
        if heard.status == 201:
            self._note(Act.RESERVE, hold, seats, began_us, Answer.DONE)
            self.diary.reservations[hold] = Reserved(hold, self.sid, seats, began_us)
            return str(heard.paper["reservation"])
        # Where the first question may have been heard, the reservation may have come and gone before the second one.
        gone = heard.status == 404 or (heard.status == 410 and heard.paper.get("state") in OVER)
        gone = gone and not self.lost
        self._note(Act.RESERVE, hold, seats, began_us, Answer.GONE if gone else None)
        if not gone:
            self.diary.reservations[hold] = Reserved(hold, self.sid, seats, began_us)
        return None

    async def order(self, seats: tuple[int, ...]) -> str | None:
        """Go the way to an order; returns it."""
        hold = await self.hold(seats)
        if hold is None:
            return None
        reservation = await self.reserve(hold, seats)
        if reservation is None:
            return None
        heard = await self.insist("POST", f"/reservations/{reservation}/order")
        if heard.status not in {200, 201}:
            return None
        order = str(heard.paper["order"])
        self.diary.reservations[hold].order = order
        return order

    # ------------------------------------------------------------------------------- to pay

    async def pay(self, order: str, method: str, key: str) -> Heard:
        """Try to pay, and look again where it is not decided."""
        heard = await self.insist("POST", f"/orders/{order}/pay", {"method": method}, f"{self.sid}-{key}")
        if heard.status == 202:
            await asyncio.sleep(2)
            heard = await self.ask("GET", f"/orders/{order}")
        return heard

    async def answer_bank(self, heard: Heard, answer: str) -> bool:
        """Go to the bank's page and answer there; tells whether the bank has heard it."""
        address = heard.paper.get("action_url")
        if not isinstance(address, str):
            return False
        for _ in range(3):
            try:
                page = await self.client.get(address)
                token = TOKEN.search(page.text)
                if token is None:
                    return page.status_code < 500
                form = {"token": token[1], "answer": answer}
                said = await self.client.post(address, data=form, follow_redirects=False)
                if said.status_code < 500:
                    return True
            except httpx.HTTPError:
                pass
            await asyncio.sleep(1)
        return False

    async def look(self, order: str) -> Heard:
        """Come back from the bank's page."""
        return await self.ask("GET", f"/orders/{order}?look=1")

    async def claim(self, order: str) -> None:
        """Have the provider give the money of an order back, as an organiser does on its pages."""
        own = self.stage
        try:
            told = await asyncio.to_thread(
                own.ask_sandbox, "GET", f"/_sandbox/ledger?event={EVENT}&order={order}"
            )
            for row in told["orders"]:
                for one in row["payments"]:
                    if one["captured"] > one["refunded"]:
                        await asyncio.to_thread(
                            own.ask_sandbox, "POST", "/v1/refunds", data={"payment_intent": one["id"]}
                        )
                        self.diary.claimed.add(order)
        except httpx.HTTPError:
            self.diary.answers["claim lost"] += 1

    def _earliest_ms(self, at_us: int) -> int:
        return at_us // 1000 + HOLD_S * 1000

    def _note(
        self, act: Act, hold: str, seats: tuple[int, ...], called_us: int, answer: Answer | None, *,
        until_ms: int | None = None, taken: tuple[tuple[int, int], ...] = (),
    ) -> None:  # fmt: skip
        returned_us = _now_us() if answer is not None else None
        self.diary.records.append(
            Operation(act, hold, self.sid, seats, called_us, returned_us, answer, until_ms, taken)
        )


def _ended(heard: Heard) -> Answer | None:
    if heard.is_lost:
        return None
    if heard.status < 300:
        return Answer.DONE
    gone = heard.status == 404 or (heard.status == 410 and heard.paper.get("state") in OVER)
    return Answer.GONE if gone else Answer.REFUSED


def _now_us() -> int:
    return time.time_ns() // 1000


# --------------------------------------------------------------------------------- errands


async def pays(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Pay."""
    if order := await buyer.order(seats):
        await buyer.pay(order, PAYS, "1")


async def second_card(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Be declined, and pay with another card."""
    if order := await buyer.order(seats):
        await buyer.pay(order, buyer.dice.choice((NO_FUNDS, DECLINED)), "1")
        await buyer.pay(order, PAYS, "2")


async def declined(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Be declined, and leave; some give the seats back."""
    if order := await buyer.order(seats):
        await buyer.pay(order, NO_FUNDS, "1")
        if buyer.dice.random() < 0.5:
            await buyer.insist("DELETE", f"/orders/{order}")


async def answers(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Agree on the bank's page; every other never comes back to the shop."""
    if order := await buyer.order(seats):
        heard = await buyer.pay(order, ASKS, "1")
        await buyer.answer_bank(heard, "approve")
        if buyer.dice.random() < 0.5:
            await buyer.look(order)


async def refuses(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Refuse on the bank's page, or be declined after it, and pay otherwise."""
    if order := await buyer.order(seats):
        if buyer.dice.random() < 0.5:
            await buyer.answer_bank(await buyer.pay(order, ASKS, "1"), "refuse")
        else:
            await buyer.answer_bank(await buyer.pay(order, ASKS_DECLINED, "1"), "approve")
        await buyer.look(order)
        await buyer.pay(order, PAYS, "2")


async def vanishes(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Close the tab on the bank's page; some agree there when the time is just over."""
    if order := await buyer.order(seats):
        heard = await buyer.pay(order, ASKS, "1")
        if buyer.dice.random() < 0.5 and (until_ms := heard.paper.get("until_ms")):
            late_s = int(until_ms) / 1000 - time.time() + buyer.dice.uniform(-1.0, 1.5)
            await asyncio.sleep(max(0.0, late_s))
            await buyer.answer_bank(heard, "approve")


async def pays_twice(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Press the button in two tabs at once: the same form twice, and another card beside it."""
    if order := await buyer.order(seats):
        keys = ("1", "1", "2") if buyer.dice.random() < 0.5 else ("1", "1")
        await asyncio.gather(*(buyer.pay(order, PAYS, key) for key in keys))


async def changes_cards_at_the_bank(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Take a second card while the first one's bank has a question, and agree there all the same."""
    if order := await buyer.order(seats):
        heard = await buyer.pay(order, ASKS, "1")
        await asyncio.gather(buyer.pay(order, PAYS, "2"), buyer.answer_bank(heard, "approve"))


async def gives_up(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Give the order up, some while it is being paid."""
    if order := await buyer.order(seats):
        if buyer.dice.random() < 0.5:
            await asyncio.gather(buyer.pay(order, PAYS, "1"), buyer.insist("DELETE", f"/orders/{order}"))
        else:
            await buyer.insist("DELETE", f"/orders/{order}")


async def releases(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Hold, and let go; some just leave."""
    hold = await buyer.hold(seats)
    if hold is not None and buyer.dice.random() < 0.6:
        await buyer.release(hold, seats)


async def wants_money_back(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Pay, and have the money given back at the provider."""
    if order := await buyer.order(seats):
        heard = await buyer.pay(order, buyer.dice.choice((PAYS, RETURNS_LATE)), "1")
        if heard.paper.get("phase") == "paid":
            await buyer.claim(order)


async def disputes(buyer: Buyer, seats: tuple[int, ...]) -> None:
    """Pay with a card whose owner knows nothing of it."""
    if order := await buyer.order(seats):
        await buyer.pay(order, DISPUTED, "1")


Errand = Callable[[Buyer, tuple[int, ...]], Awaitable[None]]
_SHARES: dict[Errand, int] = {
    pays: 30, second_card: 10, declined: 6, answers: 12, refuses: 6, vanishes: 6, pays_twice: 10,
    changes_cards_at_the_bank: 5, gives_up: 6, releases: 5, wants_money_back: 3, disputes: 1,
}  # fmt: skip
ERRANDS = [(errand.__name__.replace("_", "-"), errand) for errand in _SHARES]
WEIGHTS = list(_SHARES.values())
