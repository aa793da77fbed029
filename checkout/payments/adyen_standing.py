"""Adyen's standing: how a payment stands, from all that was asked of Adyen and all that Adyen has told. Pure.

Adyen has no address at which a payment can be looked at. What the shop knows of one is a set of **entries**: each thing
that was asked, with its answer once there is one, and each notice. How the payment stands is *folded* from the set
anew each time. The fold looks at what there is and never at the order in which it came, so notices may come early,
late, twice or the wrong way round; and nothing that follows from entries is stored beside them.

* Money is authorised when an answer or any notice has said so, whatever another said.
* It is captured, let go or given back when a **notice** has said so. ``received`` is an answer that says nothing: until
  the notice the payment is ``PROCESSING``, a refund ``ASKED``.
* A capture that fails after it was reported as done (``CAPTURE_FAILED``) leaves a payment captured with nothing in it.
* A payment that was let go here before any bank was asked is ``VOIDED``; should a bank agree all the same, the money is
  there, and so the payment is ``AUTHORISED`` again and can be let go of for real.

Not here: rows (``adyen_books``), Adyen's JSON (``adyen_reading``), asking (``adyen``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from checkout.money import Money
from checkout.payments.port import Card, Decline, Dispute, DisputeState, Payment, PaymentState, RefundState


class Kind(StrEnum):
    """What an entry is: something asked, or a notice."""

    PAY = "pay"
    DETAILS = "details"
    """The buyer came back from the bank's page, with something to hand on."""
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"
    NOTICE = "notice"


ASKS = frozenset(Kind) - {Kind.NOTICE}
OF_THE_BANK = frozenset({Kind.PAY, Kind.DETAILS})


class Outcome(StrEnum):
    """What came of something asked, or what a notice says."""

    WAITING = ""
    """Nobody knows: no answer has come, or none could be read."""
    TOLD = "told"
    """No answer has come, but a notice has said all that there is to say."""
    REJECTED = "rejected"
    """Adyen would not do it as it was asked: nothing was done."""
    AUTHORISED = "authorised"
    ACTION = "action"
    PENDING = "pending"
    REFUSED = "refused"
    RECEIVED = "received"
    """Taken on; a notice tells what came of it."""
    YES = "yes"
    NO = "no"
    OTHER_AMOUNT = "other-amount"
    """A notice of money that was not asked for: it counts for nothing here, and a person has to look."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing asked, under its key as ``name``, or one notice, under its id.

    ``code``: of a notice its event code; of an ask Adyen's word for what went wrong. ``psp``: Adyen's name of this very
    thing. ``asks``: the JSON to send again, '' once that is of no use. ``tries``: how often it was sent.
    """

    name: str
    kind: Kind
    at_ms: int
    code: str = ""
    outcome: Outcome = Outcome.WAITING
    psp: str = ""
    amount_minor: int = 0
    asks: str = ""
    url: str = ""
    decline: str = ""
    card: str = ""
    """Fingerprint, brand, last four digits and country, with ``|`` between them."""
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A payment as the shop wants it. ``is_let_go``: no bank is to be asked for it any more."""

    ref: str
    event: str
    order: str
    attempt: int
    amount: Money
    created_ms: int
    return_url: str = ""
    is_let_go: bool = False


GONE = frozenset({"CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE"})
"""Notices that nothing is authorised any more."""
REFUND_BACK = frozenset({"REFUND_FAILED", "REFUNDED_REVERSED"})
EITHER = "CANCEL_OR_REFUND"
LOST = frozenset({"SECOND_CHARGEBACK", "PREARBITRATION_LOST"})
WON = frozenset({"CHARGEBACK_REVERSED", "PREARBITRATION_WON"})
OPENED = frozenset({"NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "DISPUTE_OPENED_WITH_CHARGEBACK"})
DISPUTES = LOST | WON | OPENED


class Standing:
    """How one payment stands."""

    def __init__(self, asked: Asked, entries: Iterable[Entry], *, is_taken_at_once: bool) -> None:
        """`is_taken_at_once`: the account captures by itself what is authorised, and no notice tells of that."""
        self.asked = asked
        # By name, so that nothing depends on the order in which they came.
        self.entries = tuple(sorted(entries, key=lambda one: one.name))
        self._is_taken_at_once = is_taken_at_once
        self._notices = [one for one in self.entries if one.kind is Kind.NOTICE]

    # ------------------------------------------------------------------------------ questions

    def named(self, name: str) -> Entry | None:
        """Give an entry."""
        return next((one for one in self.entries if one.name == name), None)

    def unanswered(self) -> list[Entry]:
        """Give what was asked and not answered, the oldest first."""
        waiting = [one for one in self.entries if one.kind in ASKS and one.outcome is Outcome.WAITING]
        return sorted(waiting, key=lambda one: (one.at_ms, one.name))

    @property
    def is_authorised(self) -> bool:
        """Tell whether a bank has ever agreed."""
        return bool(self.psp)

    @property
    def psp(self) -> str:
        """Give Adyen's name of the payment that a bank agreed to; '' if none did."""
        return next(iter(self.psps()), "")

    def psps(self) -> list[str]:
        """Give Adyen's names of all that banks agreed to; more than one is a mistake that a person has to undo."""
        said = [one.psp for one in self._told("AUTHORISATION", Outcome.YES)]
        answered = [one.psp for one in self._of_the_bank() if one.outcome is Outcome.AUTHORISED]
        return list(dict.fromkeys(psp for psp in (*said, *answered) if psp))

    def failed(self, kind: Kind) -> list[Entry]:
        """Give the captures, cancellations or refunds that Adyen has taken on and then told to have failed."""
        code = {Kind.CAPTURE: "CAPTURE", Kind.CANCEL: "CANCELLATION", Kind.REFUND: "REFUND"}[kind]
        failed = {one.psp for one in self._told(code, Outcome.NO)}
        return [one for one in self._asked(kind) if one.psp in failed]

    def rejected(self, kind: Kind) -> list[Entry]:
        """Give what Adyen would not take on."""
        return [one for one in self._asked(kind) if one.outcome is Outcome.REJECTED]

    def refund_state(self, name: str) -> RefundState:
        """Tell how a refund stands that Adyen has taken on."""
        entry = self.named(name)
        psp = entry.psp if entry else ""
        if any(one.psp == psp for code in REFUND_BACK for one in self._told(code, Outcome.YES)):
            return RefundState.FAILED
        if any(one.psp == psp for one in self._told("REFUND", Outcome.NO)):
            return RefundState.FAILED
        is_done = any(one.psp == psp for one in self._told("REFUND", Outcome.YES))
        return RefundState.DONE if is_done else RefundState.ASKED

    def refunding_minor(self) -> int:
        """Count what is on its way back, or may be: asked for, and neither done nor failed."""
        return sum(
            one.amount_minor
            for one in self._asked(Kind.REFUND)
            if one.outcome is Outcome.WAITING
            or (one.outcome is Outcome.RECEIVED and self.refund_state(one.name) is RefundState.ASKED)
        )

    def captured_minor(self) -> int:
        """Count what was taken."""
        if self._is_taken_at_once:
            taken = self.asked.amount.amount_minor if self.is_authorised else 0
        else:
            taken = self._sum("CAPTURE")
        return max(0, taken - self._sum("CAPTURE_FAILED"))

    def refunded_minor(self) -> int:
        """Count what has gone back; never more than was taken."""
        captured = self.captured_minor()
        back = sum(self._sum(code) for code in REFUND_BACK)
        either = self._sum(EITHER) if captured else 0
        return min(captured, max(0, self._sum("REFUND") + either - back))

    def disputed_minor(self) -> int:
        """Count what the buyer's bank has taken back or wants to, each dispute by the last that can be said of it."""
        return sum(one.amount.amount_minor for one in self.disputes() if one.state is not DisputeState.WON)

    def disputes(self) -> tuple[Dispute, ...]:
        """Tell each dispute, by the last that can be said of it."""
        named: dict[str, list[Entry]] = {}
        for one in self._notices:
            if one.code in DISPUTES:
                named.setdefault(one.psp, []).append(one)
        found = []
        for name, told in named.items():
            codes = {one.code for one in told}
            state = DisputeState.WON if codes & WON else DisputeState.OPEN
            amount = Money(max(one.amount_minor for one in told), self.asked.amount.currency)
            opened_ms = min(one.at_ms for one in told)
            found.append(Dispute(name, DisputeState.LOST if codes & LOST else state, amount, opened_ms))
        return tuple(found)

    def state(self) -> PaymentState:
        """Tell where it stands."""
        if self.is_authorised:
            has_taken = self._is_taken_at_once or bool(self._told("CAPTURE", Outcome.YES))
            if has_taken:
                return PaymentState.CAPTURED
            if self._is_gone():
                return PaymentState.VOIDED
            is_moving = self._under_way(Kind.CAPTURE, "CAPTURE") or self._under_way(
                Kind.CANCEL, "CANCELLATION"
            )
            return PaymentState.PROCESSING if is_moving else PaymentState.AUTHORISED
        if self.asked.is_let_go or self._is_gone():
            return PaymentState.VOIDED
        return self._bank_state()

    def payment(self) -> Payment:
        """Tell all of it as the port does."""
        state, asked = self.state(), self.asked
        last = self._last()
        return Payment(
            ref=asked.ref,
            state=state,
            amount=asked.amount,
            created_ms=asked.created_ms,
            captured_minor=self.captured_minor(),
            refunded_minor=self.refunded_minor(),
            disputed_minor=self.disputed_minor(),
            event=asked.event,
            order=asked.order,
            attempt=asked.attempt,
            decline=self._decline() if state is PaymentState.DECLINED else None,
            action_url=last.url if state is PaymentState.ACTION and last else "",
            card=self._card(),
            disputes=self.disputes(),
        )

    # --------------------------------------------------------------------------------- the parts

    def _asked(self, kind: Kind) -> list[Entry]:
        return [one for one in self.entries if one.kind is kind]

    def _of_the_bank(self) -> list[Entry]:
        found = [
            one for one in self.entries if one.kind in OF_THE_BANK and one.outcome is not Outcome.REJECTED
        ]
        return sorted(found, key=lambda one: (one.at_ms, one.kind is Kind.DETAILS, one.name))

    def _last(self) -> Entry | None:
        """Give the last question to a bank that was not rejected."""
        asks = self._of_the_bank()
        return asks[-1] if asks else None

    def _told(self, code: str, outcome: Outcome) -> list[Entry]:
        return [one for one in self._notices if one.code == code and one.outcome is outcome]

    def _sum(self, code: str) -> int:
        by_psp = {one.psp: one.amount_minor for one in self._told(code, Outcome.YES)}
        return sum(by_psp.values())

    def _is_gone(self) -> bool:
        either = not self.captured_minor() and bool(self._told(EITHER, Outcome.YES))
        return either or any(self._told(code, Outcome.YES) for code in GONE)

    def _under_way(self, kind: Kind, code: str) -> bool:
        """Tell whether something was taken on of which no notice has come."""
        heard = {one.psp for one in self._notices if one.code in {code, f"{code}_FAILED"}}
        return any(
            one.outcome is Outcome.WAITING or (one.outcome is Outcome.RECEIVED and one.psp not in heard)
            for one in self._asked(kind)
        )

    def _bank_state(self) -> PaymentState:
        last = self._last()
        if last is None:
            return PaymentState.DECLINED if self._told("AUTHORISATION", Outcome.NO) else PaymentState.OPEN
        match last.outcome:
            case Outcome.ACTION:
                state = PaymentState.ACTION
            case Outcome.REFUSED:
                return PaymentState.DECLINED
            case _:
                state = PaymentState.PROCESSING
        return PaymentState.DECLINED if self._told("AUTHORISATION", Outcome.NO) else state

    def _decline(self) -> Decline:
        asks = [one.decline for one in self._of_the_bank() if one.decline]
        notices = [one.decline for one in self._told("AUTHORISATION", Outcome.NO) if one.decline]
        said = [*notices, *asks]
        return Decline(said[-1]) if said else Decline.GENERIC

    def _card(self) -> Card | None:
        said = [one.card for one in (*self._notices, *self._of_the_bank()) if one.card]
        return Card(*said[-1].split("|")) if said else None
