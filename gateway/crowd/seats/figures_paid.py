"""Figures of what was paid: orders and what became of them, money, and each way to pay. Pure arithmetic.

Amounts are whole minor units by currency; currencies are never added up.
"""

from collections import Counter
from dataclasses import dataclass

from gateway.crowd.observed import Observed
from gateway.crowd.paying import Last, Manner


@dataclass(frozen=True, slots=True)
class PaidFigures:
    """What is shown of a shop that takes money."""

    orders: int
    asked: int  # requests to pay
    paid: int
    seats_paid: int
    reviewed: int
    not_paid: int
    left: int
    declines: int  # orders whose bank said no at least once
    challenges: int  # orders whose bank asked
    money_minor: dict[str, int]  # told paid, by currency
    manners: dict[Manner, dict[Last, int]]
    sold: int | None  # seats of the events that are sold in the end, to whomever; None without books
    capacity: int


def paid_figures(observed: Observed) -> PaidFigures | None:
    """Work everything out; None where no money was taken."""
    shop = observed.shop
    if not shop.takes_money:
        return None
    money: Counter[str] = Counter()
    manners: dict[Manner, Counter[Last]] = {manner: Counter() for manner in Manner}
    for one in shop.purchases:
        manners[one.manner][one.last] += 1
        if one.last is Last.PAID:
            money[one.currency] += one.total_minor
    lasts = Counter(one.last for one in shop.purchases)
    return PaidFigures(
        orders=sum(bool(one.order) for one in shop.purchases),
        asked=sum(one.asked for one in shop.purchases),
        paid=lasts[Last.PAID],
        seats_paid=sum(len(one.seats) for one in shop.purchases if one.last is Last.PAID),
        reviewed=lasts[Last.REVIEW],
        not_paid=lasts[Last.FREE],
        left=lasts[Last.OPEN] + lasts[Last.NOTHING],
        declines=sum("declined" in one.phases for one in shop.purchases),
        challenges=sum("action" in one.phases for one in shop.purchases),
        money_minor=dict(money),
        manners={manner: dict(counts) for manner, counts in manners.items() if counts},
        sold=None if shop.booked is None else sum(map(len, shop.booked.owned.values())),
        capacity=sum(shop.halls[event].seats for event in {one.event for one in shop.purchases}),
    )
