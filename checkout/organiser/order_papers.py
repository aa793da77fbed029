"""Order papers: orders, refunds, reviews, disputes as organisers hand in and are told. Pure.

Amounts are whole minor units. A fingerprint of a card is told to nobody; brand and last four digits are. What people
write beside an act is kept for good, so what may be a card's number is not taken in. Not here: what a buyer is told
(``orders.papers``), HTTP (``organiser.orders_web``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import RowMapping

from checkout.faults import Faults
from checkout.orders.caring import Case, Decided, NotFailed
from checkout.orders.order import Attempt, Order
from checkout.orders.refund import Refund
from checkout.orders.returning import NoRefund
from checkout.orders.review import Review
from checkout.orders.service import No
from checkout.organiser.finding import Beside
from kernel.errors import Refused

MOST_REASON = 500
MOST_MINOR = 10**15
_LONG = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
"""As long as a card's number, in one piece or in groups."""

Row = RowMapping


# ------------------------------------------------------------------------------------- handed in


def read_refund(plain: Mapping[str, Any]) -> tuple[int | None, str]:
    """Read {"amount_minor": 1000, "reason": "…"}; without an amount all that is left. Raises ``Refused``."""
    faults = Faults("refund-invalid", "The refund has faults; nothing goes back.")
    faults.add_all(
        f"{name[:63]}: it is unknown" for name in sorted(plain.keys() - {"amount_minor", "reason"})
    )
    amount = plain.get("amount_minor")
    if "amount_minor" in plain and not (type(amount) is int and 0 < amount <= MOST_MINOR):
        faults.add(f"amount_minor: it must be whole minor units from 1 to {MOST_MINOR}")
    _text(plain, "reason", faults)
    faults.refuse()
    return amount, plain["reason"]


def read_note(plain: Mapping[str, Any]) -> str:
    """Read {"note": "…"}, what is written beside a decision; it may be left out. Raises ``Refused``."""
    faults = Faults("decision-invalid", "The decision has faults; nothing was decided.")
    faults.add_all(f"{name[:63]}: it is unknown" for name in sorted(plain.keys() - {"note"}))
    if "note" in plain:
        _text(plain, "note", faults)
    faults.refuse()
    return str(plain.get("note", ""))


def _text(plain: Mapping[str, Any], name: str, faults: Faults) -> None:
    if name not in plain:
        faults.add(f"{name}: it is missing")
        return
    text = plain[name]
    if not (
        isinstance(text, str) and len(text.strip()) > 0 and len(text) <= MOST_REASON and text.isprintable()
    ):
        faults.add(f"{name}: it must be a text of 1 to {MOST_REASON} characters")
    elif any(_may_be_a_card(found[0]) for found in _LONG.finditer(text)):
        faults.add(f"{name}: it must not have a card's number in it")


def _may_be_a_card(text: str) -> bool:
    """Tell whether the last digit is right (Luhn, ISO/IEC 7812-1)."""
    digits = [int(one) for one in reversed(text) if one.isdigit()]
    doubled = [divmod(2 * one, 10) for one in digits[1::2]]
    return (sum(digits[::2]) + sum(map(sum, doubled))) % 10 == 0


# --------------------------------------------------------------------------------------- refused


def refusal_of(outcome: No | NoRefund | NotFailed | Decided, now_ms: int = 0) -> Refused:
    """Say why nothing was done."""
    match outcome:
        case NoRefund(left_minor=left):
            public = "So much cannot go back: of this order there is only what `left_minor` says."
            return Refused("refund-too-much", public, 409, left_minor=left)
        case NotFailed():
            return Refused("refund-not-failed", "Only a refund that has failed is tried again.", 409)
        case Decided(review):
            told = review_paper(review)
            if review.decision is None:
                return Refused(
                    "review-lapsed", "Nobody has decided in time.", 409, review=told, now_ms=now_ms
                )
            return Refused("review-decided", "It was decided otherwise.", 409, review=told)
        case No.OTHER_BODY:
            return Refused("key-reused", "This Idempotency-Key was used for another request.", 422)
        case No.OVER:
            return Refused("review-unknown", "Nobody has to look at this order.", 404)
        case _:
            return Refused("order-unknown", "There is no such order, or no such refund of it.", 404)


# ------------------------------------------------------------------------------------------ told


def listed_paper(row: Row) -> dict[str, object]:
    """Tell a row of the list of orders."""
    return {
        "order": row["id"],
        "buyer": row["buyer"],
        "state": row["state"],
        "currency": row["currency"],
        "total_minor": row["amount_minor"],
        "captured_minor": row["captured_minor"] or 0,
        "refunded_minor": row["refunded_minor"] or 0,
        "disputed_minor": row["disputed_minor"] or 0,
        "card": row["card"] or None,
        "attempts": row["attempt"],
        "created_ms": row["created_ms"],
        "until_ms": row["until_ms"],
    }


def case_paper(case: Case, beside: Beside) -> dict[str, object]:
    """Tell all of an order."""
    return {
        **order_paper(case.order),
        "attempts": [_attempt(one) for one in case.attempts],
        "refunds": [refund_paper(one) for one in case.refunds],
        "review": None if case.review is None else review_paper(case.review),
        "money": [
            {
                name: row[name]
                for name in ("kind", "attempt", "currency", "amount_minor", "provider", "ref", "at_ms")
            }
            for row in beside.money
        ],
        "fraud": [verdict_paper(row) for row in beside.verdicts],
        "disputes": [dispute_paper(row) for row in beside.disputes],
        "log": [
            {"seq": row["seq"], "at_ms": row["at_ms"], "kind": row["kind"], "told": _told(row["body"])}
            for row in beside.log
        ],
    }


def order_paper(order: Order) -> dict[str, object]:
    """Tell how an order stands."""
    return {
        "order": order.id,
        "event": order.event,
        "buyer": order.buyer,
        "reservation": order.reservation,
        "state": order.state.value,
        "currency": order.amount.currency,
        "total_minor": order.amount.amount_minor,
        "created_ms": order.created_ms,
        "until_ms": order.until_ms,
        "paid_by": order.paid_by or None,
    }


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "ref": attempt.ref or None,
        "goal": attempt.goal.value,
        "state": attempt.state.value,
        "decline": attempt.decline.value if attempt.decline else None,
        "card": attempt.card or None,
        "review": attempt.review,
        "captured_minor": attempt.captured_minor,
        "refunded_minor": attempt.refunded_minor,
        "disputed_minor": attempt.disputed_minor,
        "created_ms": attempt.created_ms,
    }


def refund_paper(refund: Refund) -> dict[str, object]:
    """Tell a refund; its key names it."""
    return {
        "refund": refund.key,
        "order": refund.order,
        "attempt": refund.attempt,
        "state": refund.state.value,
        "currency": refund.amount.currency,
        "amount_minor": refund.amount.amount_minor,
        "reason": refund.reason,
        "by": refund.by,
        "ref": refund.ref or None,
        "created_ms": refund.created_ms,
    }


def refund_row_paper(row: Row) -> dict[str, object]:
    """Tell a row of the list of refunds."""
    named = ("attempt", "state", "currency", "amount_minor", "reason", "by", "created_ms")
    return {
        "refund": row["key"],
        "order": row["order_id"],
        "ref": row["ref"] or None,
        **{name: row[name] for name in named},
    }


def review_paper(review: Review) -> dict[str, object]:
    """Tell a review and its decision."""
    return {
        "order": review.order,
        "attempt": review.attempt,
        "opened_ms": review.opened_ms,
        "lapses_ms": review.lapses_ms,
        "decision": review.decision.value if review.decision else None,
        "by": review.by or None,
        "note": review.note or None,
        "decided_ms": review.decided_ms or None,
    }


def review_papers(rows: Iterable[Row], said: Sequence[Row]) -> list[dict[str, object]]:
    """Tell open reviews, each with why somebody has to look."""
    return [
        {
            "order": row["order_id"],
            "attempt": row["attempt"],
            "buyer": row["buyer"],
            "currency": row["currency"],
            "total_minor": row["amount_minor"],
            "card": row["card"] or None,
            "opened_ms": row["opened_ms"],
            "lapses_ms": row["lapses_ms"],
            "why": [
                verdict_paper(one)
                for one in said
                if (one["order_id"], one["attempt"]) == (row["order_id"], row["attempt"])
            ],
        }
        for row in rows
    ]


def verdict_paper(row: Row) -> dict[str, object]:
    """Tell what the fraud checks said of a try; ``stage``: before the bank was asked, or after."""
    named = ("attempt", "stage", "answer", "at_ms")
    return {**{name: row[name] for name in named}, **_told(row["body"])}


def dispute_paper(row: Row) -> dict[str, object]:
    """Tell a dispute."""
    named = ("attempt", "state", "currency", "amount_minor", "provider", "ref", "opened_ms", "changed_ms")
    return {
        "order": row["order_id"],
        **{name: row[name] for name in named},
        "reason": row["reason"] or None,
        "evidence_ms": row["evidence_ms"] or None,
    }


def sum_paper(row: Row) -> dict[str, object]:
    """Tell what the disputes of one state come to in one currency."""
    named = {name: row[name] for name in ("currency", "state", "count")}
    return {**named, "total_minor": int(row["total_minor"])}


def aside_paper(row: Row) -> dict[str, object]:
    """Tell what is put aside: a notice, or a stray payment."""
    left_out = {"event_id", "order_id", "by"}
    # Names of columns are texts of a kind of their own.
    plain = {str(name): value for name, value in row.items() if name not in left_out}
    return {
        **plain,
        "event": row["event_id"] or None,
        **({"order": row["order_id"]} if "order_id" in row else {}),
        "seen_by": row["by"],
    }


def _told(body: str) -> dict[str, object]:
    plain = orjson.loads(body)
    return plain if isinstance(plain, dict) else {}
