"""The report of what was paid: rows for the table and for the page, and plain values for JSON."""

from dataclasses import asdict
from typing import Any

from checkout.money import exponent
from gateway.crowd.observed import Observed
from gateway.crowd.paying import Last
from gateway.crowd.seats.figures_paid import PaidFigures, paid_figures

Rows = list[list[str]]


def order_rows(shown: PaidFigures) -> Rows:
    """What was paid, and what was not."""
    money = " and ".join(amount(minor, code) for code, minor in sorted(shown.money_minor.items()))
    rows = [
        ["Payments", "number", ""],
        ["orders", f"{shown.orders:,}", f"{shown.asked:,} requests to pay"],
        ["paid", f"{shown.paid:,}", f"{shown.seats_paid:,} seats for {money or 'nothing'}"],
        ["looked at", f"{shown.reviewed:,}", "their money is authorised, and a person decides"],
        ["told not paid", f"{shown.not_paid:,}", "given up, or over"],
        ["left open", f"{shown.left:,}", "vanished, or closed the bank's page; the shop settles these alone"],
        ["banks said no", f"{shown.declines:,}", "orders, some of them paid with another card"],
        ["banks asked", f"{shown.challenges:,}", "orders with 3-D Secure"],
    ]
    if shown.sold is not None:
        full = ": sold out" if shown.sold >= shown.capacity else ""
        rows.append(["seats sold", f"{shown.sold:,}", f"of {shown.capacity:,}{full}"])
    return rows


def manner_rows(shown: PaidFigures) -> Rows:
    """What each way to pay came to."""
    rows = [["Ways to pay", "orders", *[_WORDS[last] for last in Last]]]
    for manner, counts in shown.manners.items():
        told = [f"{counts[last]:,}" if counts.get(last) else "" for last in Last]
        rows.append([str(manner).replace("_", " "), f"{sum(counts.values()):,}", *told])
    return rows


_WORDS = {
    Last.NOTHING: "no order",
    Last.OPEN: "left open",
    Last.REVIEW: "looked at",
    Last.PAID: "told paid",
    Last.FREE: "told not",
}


def amount(minor: int, currency: str) -> str:
    """Write an amount for people."""
    decimals = exponent(currency)
    whole, rest = divmod(minor, 10**decimals)
    return f"{whole:,}{f'.{rest:0{decimals}d}' if decimals else ''} {currency}"


def paid_as_dict(observed: Observed) -> dict[str, Any] | None:
    """Give everything as plain values; None where no money was taken."""
    shown = paid_figures(observed)
    if shown is None:
        return None
    plain = asdict(shown)
    plain["manners"] = {
        str(manner): {str(last): count for last, count in counts.items()}
        for manner, counts in shown.manners.items()
    }
    return plain
