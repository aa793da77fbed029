"""A sale's course, to count: every way in which a hold, an order and a payment can end, minute by minute."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from checkout.audit.checking import KINDS
from checkout.eventlog.entries import Entry
from checkout.eventlog.store import read
from checkout.money import Money
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Seen
from checkout.organiser.spans import Span
from checkout.payments.port import Dispute, DisputeState
from checkout.tables import HOLD_JOURNAL
from tests.checkout.order_desks import OrderDesk
from tests.checkout.reservations import EVENT, Scene
from tests.checkout.waitlists import hold_id

MINUTE = 60_000
LATER = 60 * MINUTE


class Doubtful:
    """Has a person look at kim's order."""

    async def before(self, order: Order, number: int, seen: Seen) -> Judgement:
        """Judge."""
        del number, seen
        return Judgement.REVIEW if order.buyer == "kim" else Judgement.ALLOW

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Judge, the card being known."""
        del order, attempt
        return Judgement.ALLOW

    async def declined(self, order: Order, attempt: Attempt) -> None:
        """Take no note."""
        del order, attempt


async def run(desk: OrderDesk) -> dict[str, str]:
    """Let a sale go by; returns the orders by buyer."""
    shop, scene = desk.shop, desk.shop.scene
    made: dict[str, str] = {}

    def minute() -> None:
        scene.clock.advance(MINUTE)

    made["ann"] = (await shop.paid("ann", 0, 1))["order"]
    released = await scene.hold("eve", 2, 3)
    await scene.hold("fay", 4)
    assert released
    minute()
    declined = await shop.order("bob", 5)
    await shop.pay(declined, "no-funds", buyer="bob")
    made["bob"] = declined["order"]
    made["cy"] = (await shop.order("cy", 6, 7))["order"]
    await scene.holds.release(EVENT, hold_id(EVENT, "eve", "k(2, 3)"), "eve")
    minute()
    made["di"] = (await shop.order("di", 8))["order"]
    await shop.worker.ordering.give_up(EVENT, "di", made["di"])
    await desk.refund(made["ann"], "r1", amount_minor=1000)
    gus = await scene.reserved("gus", 9)
    await scene.reserving.give_back(EVENT, "gus", gus)
    minute()
    made["hal"] = (await shop.paid("hal", 20, 21, 22))["order"]
    kim = await shop.order("kim", 10)
    await shop.pay(kim, buyer="kim")
    made["kim"] = kim["order"]
    await desk.refund(made["ann"], "r2", amount_minor=500)
    await desk.refund(made["hal"], "r1")
    minute()
    await desk.ask("POST", f"/orders/{made['kim']}/refuse", {})
    dispute = Dispute("dp-1", DisputeState.OPEN, Money(6900, "EUR"), scene.clock.now_ms(), "fraudulent", 0)
    ref = next(one.ref for one in shop.bank.payments.values() if one.order == made["ann"])
    for number, (state, minor) in enumerate(((DisputeState.OPEN, 6900), (DisputeState.WON, 0))):
        again = Dispute(dispute.ref, state, dispute.amount, dispute.opened_ms, dispute.reason, 0)
        shop.bank.set(ref, disputed_minor=minor, disputes=(again,))
        # The provider tells it twice.
        for turn in range(2):
            await shop.worker.notices.hear(
                "bank", b"n%d-%d:%s" % (number, turn, ref.encode()), {"signed": "yes"}
            )
        minute()
    scene.clock.advance(LATER)
    await scene.holds.expire(EVENT)
    await shop.settle(6)
    made["ian"] = (await shop.paid("ian", 30))["order"]
    await scene.drain()
    return made


# ----------------------------------------------------------------------- counted another way


def entries_of(scene: Scene) -> list[Entry]:
    """Read all entries of the event."""
    with scene.database.reading() as connection:
        return list(read(connection, EVENT))


def counted(scene: Scene, span: Span) -> dict[int, Counter[str]]:
    """Count a sale by what each stream came to after each of its entries."""
    steps: dict[int, Counter[str]] = {}

    def at(at_ms: int) -> Counter[str]:
        inside = span.from_ms <= at_ms < span.until_ms
        number = (at_ms - span.from_ms) // span.step_ms
        return steps.setdefault(number, Counter()) if inside else Counter()

    reserved_holds = set()
    for _, own in groupby(entries_of(scene), lambda entry: entry.stream):
        entries = list(own)
        reserved_holds.add(entries[0].read()["hold"])
        _count_stream(entries, at)
    with scene.database.reading() as connection:
        rows = (
            connection.execute(sa.select(HOLD_JOURNAL).where(HOLD_JOURNAL.c.event_id == EVENT))
            .mappings()
            .all()
        )
    for row in rows:
        if row["hold_id"] not in reserved_holds:
            own_step = at(row["at_ms"])
            own_step["holds"] += 1
            own_step["holds given_up"] += row["state"] == "released"
            own_step["holds time_over"] += row["state"] == "expired"
    made = {at: Counter({name: one for name, one in own.items() if one}) for at, own in steps.items()}
    return {number: counts for number, counts in made.items() if counts}


def _count_stream(entries: Sequence[Entry], at: Any) -> None:
    kinds = [entry.kind for entry in entries]
    lines = len(entries[0].read()["lines"])
    before: Counter[str] = Counter()
    for place, entry in enumerate(entries):
        step = at(entry.at_ms)
        state = KINDS.fold(entries[: place + 1]).get("orders") or {}
        now = _sums(state)
        for name in now.keys() | before.keys():
            step[name] += now[name] - before[name]
        before = now
        match entry.kind:
            case "reserved":
                step["holds"] += 1
                step["reserved"] += 1
                step["holds_opened"] += "order-opened" in kinds
            case "order-opened":
                step["opened"] += 1
                step["opened_paid"] += "order-paid" in kinds
            case "order-paid":
                step["paid"] += 1
            case "sold":
                step["seats_sold"] += lines
            case "returned":
                step["seats_returned"] += lines
            case "released" | "lapsed" if "order-opened" not in kinds:
                step["holds given_up" if entry.kind == "released" else "holds time_over"] += 1
            case "order-closed":
                if why := _why(state):
                    step[why] += 1


def _why(state: Any) -> str:
    """Tell why an order ended without a sale; '' for one that was paid and went back."""
    order = state["order"][""]
    ends = {"lapsed": "time_over", "cancelled": "given_up", "refused": "refused", "failed": "failed"}
    if order["state"] == "refunded":
        return ""
    last = state["attempts"].get(str(order["attempt"]), {}) if "attempts" in state else {}
    is_declined = bool(last.get("decline")) and order["state"] in {"lapsed", "cancelled"}
    return "orders declined" if is_declined else f"orders {ends[order['state']]}"


def _sums(state: Any) -> Counter[str]:
    made: Counter[str] = Counter()
    for attempt in state.get("attempts", {}).values():
        for name in ("captured_minor", "refunded_minor", "disputed_minor"):
            made[f"{attempt['currency']} {name}"] += attempt[name]
    made["refunds"] = sum(one["state"] == "done" for one in state.get("refunds", {}).values())
    return made
