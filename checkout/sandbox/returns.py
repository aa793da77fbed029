"""Returns: money that goes back, by refund or by dispute. It is never more than was taken.

A refund needs a charge that was taken and no dispute that is open or lost; all refunds of a charge together, with what
a partial capture let go, are at most its amount. A dispute is for at most what was taken and not given back. One that
is won gives the money back to the shop, and refunds are possible again.
"""

from checkout.sandbox.answers import ApiError, not_as_it_stands, unknown
from checkout.sandbox.book import Book, new_id
from checkout.sandbox.methods import METHODS
from checkout.sandbox.records import Charge, Dispute, Refund


class Returns:
    """The rules over a book."""

    def __init__(self, book: Book, slow_ms: int) -> None:
        """`slow_ms`: how long a refund takes that does not go at once."""
        self._book = book
        self._slow_ms = slow_ms

    def refund(
        self, charge: Charge | None, amount: int | None, reason: str, metadata: dict[str, str], now_ms: int
    ) -> Refund:
        """Give back. Raises ``ApiError``."""
        if charge is None or charge.status != "succeeded" or not charge.is_captured:
            raise not_as_it_stands("This PaymentIntent does not have a successful charge to refund.")
        if any(dispute.is_kept for dispute in self._book.disputes_of(charge.id)):
            raise not_as_it_stands(
                "This charge has been charged back; it cannot be refunded.", "charge_disputed"
            )
        rest = charge.captured - charge.given_back
        if rest == 0:
            raise not_as_it_stands(
                f"Charge {charge.id} has already been refunded.", "charge_already_refunded"
            )
        wanted = rest if amount is None else amount
        if wanted > rest:
            raise ApiError(
                400, f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({rest})",
                code="amount_too_large", param="amount", is_saved=True,
            )  # fmt: skip
        how = METHODS[charge.method].refund
        refund = Refund(
            new_id("re"), charge.intent, charge.id, wanted, charge.currency, now_ms,
            "pending" if how == "pending" else "succeeded", reason, metadata,
        )  # fmt: skip
        if how:
            refund.due_ms = now_ms + self._slow_ms
        charge.returned += wanted
        self._book.put(charge)
        self._book.put(refund)
        self._book.tell("refund.created", refund.wire(), now_ms)
        self._book.tell("charge.refunded", charge.wire(), now_ms)
        return refund

    def pass_time(self, refund: Refund, now_ms: int) -> None:
        """Do what is due: a pending refund arrives, one that seemed to have arrived comes back."""
        if not refund.due_ms or now_ms < refund.due_ms:
            return
        refund.due_ms = 0
        if refund.status == "pending":
            refund.status = "succeeded"
        else:
            refund.status = "failed"
            charge = self._book.charges.things[refund.charge]
            charge.returned -= refund.amount
            self._book.put(charge)
        self._book.put(refund)
        self._book.tell("refund.updated", refund.wire(), now_ms)
        if refund.status == "failed":
            self._book.tell("refund.failed", refund.wire(), now_ms)

    def taken(self, charge: Charge, now_ms: int) -> None:
        """Open the dispute that the method brings with it."""
        method = METHODS[charge.method]
        if method.dispute:
            self.dispute(charge, None, method.dispute, is_inquiry=method.is_inquiry, now_ms=now_ms)

    def dispute(
        self, charge: Charge | None, amount: int | None, reason: str, *, is_inquiry: bool, now_ms: int
    ) -> Dispute:
        """Let the buyer's bank want money back, or ask first. Raises ``ApiError``."""
        if charge is None or not charge.is_captured:
            raise not_as_it_stands("Nothing was taken that could be disputed.", "charge_not_captured")
        if any(one.is_kept for one in self._book.disputes_of(charge.id)):
            raise not_as_it_stands("There is a dispute of this charge already.", "charge_disputed")
        rest = charge.captured - charge.given_back
        wanted = rest if amount is None else amount
        if not 0 < wanted <= rest:
            raise not_as_it_stands(f"No more than {rest} can be disputed.", "amount_too_large")
        dispute = Dispute(
            new_id("dp"), charge.intent, charge.id, wanted, charge.currency, now_ms, reason,
            "warning_needs_response" if is_inquiry else "needs_response",
        )  # fmt: skip
        charge.is_disputed = True
        self._book.put(charge)
        self._book.put(dispute)
        self._book.tell("charge.dispute.created", dispute.wire(), now_ms)
        return dispute

    def close(self, ident: str, *, is_won: bool, now_ms: int) -> Dispute:
        """Decide a dispute. Raises ``ApiError``."""
        dispute = self._book.disputes.get(ident)
        if dispute is None:
            raise unknown("dispute", ident)
        if not dispute.is_open:
            raise not_as_it_stands(f"The dispute is {dispute.status} already.", "dispute_closed")
        if dispute.status == "warning_needs_response":
            # Asked and answered; an inquiry that is lost becomes a dispute, which would be another one.
            dispute.status = "warning_closed" if is_won else "lost"
        else:
            dispute.status = "won" if is_won else "lost"
        self._book.put(dispute)
        self._book.tell("charge.dispute.closed", dispute.wire(), now_ms)
        return dispute
