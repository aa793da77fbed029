"""Adyen: the provider behind Adyen's Checkout API and its notices.

Adyen is of another shape than the port: it has no payment before a bank is asked, no address at which one can be looked
at, and no list; and to capture, to cancel and to refund are wishes that it takes on, and of which a notice tells later
whether they were granted. So the adapter keeps books of its own in SQL (``adyen_books``): what was asked, under which
key, with which answer, and every notice. How a payment stands is folded from them (``adyen_standing``). A payment's
name is ours, ``event/order/attempt``; ADR 0019 tells why so.

* ``create`` writes a payment down. ``confirm`` writes down what it asks, asks, and writes the answer down.
* **An answer that was lost is asked for again**, by the same request under the same key (Adyen keeps keys for 7 days at
  least, and answers as it did the first time), before anything else is asked of that payment, and whenever it is
  fetched. Where a notice has said it by then, nothing is asked.
* What Adyen has said that it did not do (too many calls) and was sent but once, is forgotten as if never asked.
* ``capture``, ``void`` and ``refund`` count once a notice says so; until then the payment is ``PROCESSING``, the refund
  ``ASKED``. A cancellation that has failed may be asked for again, under another key; a capture that has may not.
* A buyer comes back from the bank's page to ``returned``; what they bring is written down, and handed on by the next
  ``fetch``.

A refused payment is an answer, ``DECLINED``. Notices are checked twice: by the user and password of their address, and
by each item's signature; that an item was sent before shows its name. No key, token or body is logged. Not here: HTTP
and errors (``adyen_wire``), amounts (``adyen_amounts``), JSON (``adyen_reading``).
"""

import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection

from checkout.money import Money
from checkout.payments import adyen_books as books
from checkout.payments import adyen_reading as reading
from checkout.payments.adyen_amounts import sent
from checkout.payments.adyen_books import Desk, Desks
from checkout.payments.adyen_standing import OF_THE_BANK, Asked, Entry, Kind, Outcome, Standing
from checkout.payments.adyen_wire import TIMEOUT_S, Account, AtWork, Wire
from checkout.payments.port import (
    Capability,
    Charge,
    Forged,
    Notice,
    NotNow,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Refusal,
    Unclear,
)
from kernel.clock import Clock
from kernel.crashing import crashpoint

log = logging.getLogger(__name__)

KEYS_KEPT_MS = 6 * 86_400_000
"""So long a key is relied on; Adyen keeps it for 7 days at least."""

KEY_MOST = 64
RETURNS_MOST = 8
RETURN_MOST = 8_000
PLACES_OF_NO_BANK = frozenset({PaymentState.OPEN, PaymentState.ACTION, PaymentState.DECLINED})


class AdyenProvider:
    """Adyen, for one merchant account. Belongs to the event loop of its first call."""

    def __init__(
        self,
        name: str,
        account: Account,
        desks: Desks,
        clock: Clock,
        *,
        back_url: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`back_url`: where ``returned`` is reached by a browser. Raises ``ValueError`` for a key that is none."""
        self._name = name
        self._account = account
        self._keys = [reading.hex_key(key) for key in account.hmac_keys if key.strip()]
        pair = f"{account.webhook_user}:{account.webhook_password}".encode()
        self._sender = b"Basic " + b64encode(pair)
        if not self._keys or not account.webhook_user or not account.webhook_password:
            raise ValueError("notices need a signing key, and a user and a password of their address")
        self._desks = desks
        self._clock = clock
        self._back_url = back_url
        self._wire = Wire(account.endpoint, account.api_key, timeout_s)

    def __repr__(self) -> str:
        return f"AdyenProvider({self._name!r})"

    @property
    def name(self) -> str:
        """Name it."""
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what it can do."""
        own = {Capability.PARTIAL_REFUND}
        return frozenset(own if self._account.takes_at_once else own | {Capability.MANUAL_CAPTURE})

    async def close(self) -> None:
        """Close its connections; nothing may be asked after that."""
        await self._wire.close()

    # ----------------------------------------------------------------------------- the payment

    async def create(self, charge: Charge) -> Payment:
        """Write a payment down."""
        _sent(charge.amount)
        try:
            ref = reading.reference(charge.event, charge.order, charge.attempt)
        except ValueError as error:
            raise Refusal("reference-too-long", str(error)) from error
        asked = Asked(ref, charge.event, charge.order, charge.attempt, charge.amount, self._clock.now_ms())

        def work(connection: Connection) -> Standing:
            books.add_payment(connection, asked)
            return self._standing(*(books.find(connection, ref) or (asked, [])))

        return (await self._desks.of(charge.event).write(work)).payment()

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:
        """Ask the bank."""
        await self._settled(ref)
        name = _key(key)

        def wish(standing: Standing) -> Entry | None:
            if _is_known(standing, name):
                return None
            if standing.state() is not PaymentState.OPEN:
                raise Refusal("unexpected-state", f"the payment is {standing.state()}")
            return self._entry(name, Kind.PAY, "/payments", self._bank_body(standing.asked, method))

        await self._wish(ref, wish, return_url=return_url)
        return (await self._read(ref)).payment()

    async def fetch(self, ref: str) -> Payment:
        """Tell how a payment stands, after asking again for every answer that was lost."""
        return (await self._settled(ref)).payment()

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:
        """Ask to take what was authorised; a notice tells whether it was."""
        await self._settled(ref)
        name, units = _key(key), _sent(amount)

        def wish(standing: Standing) -> Entry | None:
            state = standing.state()
            if _is_known(standing, name) and not standing.failed(Kind.CAPTURE):
                return None
            if state is not PaymentState.AUTHORISED:
                raise Refusal("unexpected-state", f"the payment is {state}")
            if standing.failed(Kind.CAPTURE):
                raise Refusal("capture-failed")
            body = self._body(ref) | {"amount": {"currency": amount.currency, "value": units}}
            path = f"/payments/{_path(standing.psp)}/captures"
            return self._entry(name, Kind.CAPTURE, path, body, amount.amount_minor)

        await self._wish(ref, wish)
        return (await self._read(ref)).payment()

    async def void(self, ref: str, key: str) -> Payment:
        """Let go: here, where no bank has agreed; else ask Adyen to, and a notice tells whether it did."""
        await self._settled(ref)

        def wish(standing: Standing) -> Entry | None:
            state = standing.state()
            failed = len(standing.failed(Kind.CANCEL)) + len(standing.rejected(Kind.CANCEL))
            name = _key(f"{key}:{failed}" if failed else key)
            if state is PaymentState.VOIDED or state in PLACES_OF_NO_BANK or _is_known(standing, name):
                return None
            if state is not PaymentState.AUTHORISED:
                raise Refusal("unexpected-state", f"the payment is {state}")
            path = f"/payments/{_path(standing.psp)}/cancels"
            return self._entry(name, Kind.CANCEL, path, self._body(ref))

        await self._wish(ref, wish, lets_go=True)
        return (await self._read(ref)).payment()

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Ask to give back; a notice tells whether it was."""
        await self._settled(ref)
        name, units = _key(key), _sent(amount)

        def wish(standing: Standing) -> Entry | None:
            if _is_known(standing, name):
                return None
            left = standing.captured_minor() - standing.refunded_minor() - standing.refunding_minor()
            if not 0 < amount.amount_minor <= left or amount.currency != standing.asked.amount.currency:
                raise Refusal("amount-too-large", f"{left} are left")
            body = self._body(ref) | {"amount": {"currency": amount.currency, "value": units}}
            path = f"/payments/{_path(standing.psp)}/refunds"
            return self._entry(name, Kind.REFUND, path, body, amount.amount_minor)

        await self._wish(ref, wish)
        standing = await self._read(ref)
        entry = standing.named(name)
        made = replace(amount, amount_minor=entry.amount_minor) if entry else amount
        state = standing.refund_state(name) if entry and entry.psp else RefundState.ASKED
        return Refund(entry.psp if entry else "", ref, made, state)

    async def list_since(self, since_ms: int) -> AsyncIterator[Payment]:
        """Tell all payments that are written down here; Adyen has no list that could be asked for."""
        found: list[tuple[int, str, Desk]] = []
        for desk in self._desks.all():
            last = None
            while page := await desk.read(partial(books.since, since_ms=since_ms, after=last)):
                found += [(one.created_ms, one.ref, desk) for one in page]
                last = (page[-1].created_ms, page[-1].ref)
        for _, ref, desk in sorted(found, key=lambda one: one[:2], reverse=True):
            there = await desk.read(partial(books.find, ref=ref))
            if there is not None:
                yield self._standing(*there).payment()

    # ------------------------------------------------------------------------------ what is told

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:
        """Read the items of a notice, all of which must be signed."""
        del now_ms
        if not compare_digest(headers.get("authorization", "").encode(), self._sender):
            raise Forged("the sender does not know user and password")
        is_live, found = reading.items(body)
        try:
            for item in found:
                self._verify(item)
            notices = [reading.notice(item, self._account.merchant, is_live=is_live) for item in found]
        except reading.UNREADABLE as error:
            raise ValueError("this is no notice of Adyen") from error
        if is_live is not self._account.is_live:
            # A person has to look at what is told of the other kind of money; it is nothing to keep.
            notices = [replace(one, told={}) for one in notices]
        return notices

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Write down what notices say of payments; of one that is not known, too."""
        for notice in notices:
            if notice.told:
                keep = partial(_keep, notice=notice, now_ms=self._clock.now_ms())
                await self._desks.of(notice.event).write(keep)
                crashpoint("adyen.kept")

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Write down what a buyer brings back, for the next look to hand on; tells where the buyer goes on to."""
        ref, result = query.get("ref", ""), query.get("redirectResult", "")
        if reading.whose(ref) is None:
            return None
        name = _key(f"details:{sha256(f'{ref}:{result}'.encode()).hexdigest()[:48]}")

        def wish(standing: Standing) -> Entry | None:
            before = [one for one in standing.entries if one.kind is Kind.DETAILS]
            is_of_use = 0 < len(result) <= RETURN_MOST and len(before) < RETURNS_MOST
            if not is_of_use or standing.state() is not PaymentState.ACTION or standing.named(name):
                return None
            return self._entry(
                name, Kind.DETAILS, "/payments/details", {"details": {"redirectResult": result}}
            )

        try:
            standing, _ = await self._written(ref, wish)
        except Refusal:
            return None
        return standing.asked.return_url or None

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Adyen wants to hear this word."""
        return 200, b"[accepted]", "text/plain"

    # --------------------------------------------------------------------------------- the parts

    def _standing(self, asked: Asked, entries: Sequence[Entry]) -> Standing:
        return Standing(asked, entries, is_taken_at_once=self._account.takes_at_once)

    async def _read(self, ref: str) -> Standing:
        own = reading.whose(ref)
        there = await self._desks.of(own.event).read(partial(books.find, ref=ref)) if own else None
        if there is None:
            raise Refusal("unknown", "there is no such payment")
        return self._standing(*there)

    async def _settled(self, ref: str) -> Standing:
        """Ask again for every answer that was lost. Raises ``Unclear`` or ``NotNow`` while there is none."""
        standing = await self._read(ref)
        lost = standing.unanswered()
        for entry in lost:
            if self._clock.now_ms() - entry.at_ms >= KEYS_KEPT_MS:
                log.error(
                    "an answer of the provider was lost for good", extra={"payment": ref, "kind": entry.kind}
                )
                continue
            try:
                await self._ask(standing.asked, entry, is_first=False)
            except Refusal as refusal:
                log.warning("what was asked is refused", extra={"payment": ref, "code": refusal.code})
        return await self._read(ref) if lost else standing

    async def _wish(
        self,
        ref: str,
        wish: Callable[[Standing], Entry | None],
        *,
        return_url: str | None = None,
        lets_go: bool = False,
    ) -> None:
        """Write down what is wished for, if anything is, and ask for it. Raises what `wish` does."""
        standing, entry = await self._written(ref, wish, return_url=return_url, lets_go=lets_go)
        if entry is not None:
            await self._ask(standing.asked, entry, is_first=True)

    async def _written(
        self,
        ref: str,
        wish: Callable[[Standing], Entry | None],
        *,
        return_url: str | None = None,
        lets_go: bool = False,
    ) -> tuple[Standing, Entry | None]:
        own = reading.whose(ref)
        if own is None:
            raise Refusal("unknown", "there is no such payment")

        def work(connection: Connection) -> tuple[Standing, Entry | None]:
            there = books.find(connection, ref, lock=True)
            if there is None:
                raise Refusal("unknown", "there is no such payment")
            standing = self._standing(*there)
            entry = wish(standing)
            if entry is not None:
                books.add_entry(connection, standing.asked, entry)
                if return_url is not None:
                    books.change_payment(connection, ref, return_url=return_url)
            elif lets_go and standing.state() in PLACES_OF_NO_BANK:
                books.change_payment(connection, ref, let_go=True)
            return standing, entry

        return await self._desks.of(own.event).write(work)

    async def _ask(self, asked: Asked, entry: Entry, *, is_first: bool) -> None:
        """Ask what is written down, and write the answer down."""
        desk, ref = self._desks.of(asked.event), asked.ref
        if not is_first:
            await desk.write(partial(books.again, ref=ref, name=entry.name))
        wanted = json.loads(entry.asks)
        try:
            crashpoint("adyen.asking")
            plain = await self._wire.post(wanted["path"], wanted["body"], entry.name)
            crashpoint("adyen.answered")
            answer = reading.answer(plain) if entry.kind in OF_THE_BANK else reading.taken_on(plain)
        except Refusal as refusal:
            rejected = replace(entry, outcome=Outcome.REJECTED, code=refusal.code)
            await desk.write(partial(books.answered, ref=ref, entry=rejected))
            raise
        except NotNow as error:
            if is_first and not isinstance(error, AtWork):
                await desk.write(partial(books.take_back, ref=ref, name=entry.name))
            raise
        except reading.UNREADABLE as error:
            raise Unclear("the answer cannot be read") from error
        told = replace(
            entry, outcome=answer.outcome, psp=answer.psp, url=answer.url, decline=answer.decline, card=answer.card
        )  # fmt: skip
        await desk.write(partial(books.answered, ref=ref, entry=told))

    def _verify(self, item: Mapping[str, Any]) -> None:
        """Raise ``Forged`` unless one of the keys has signed an item."""
        given = str((item.get("additionalData") or {}).get("hmacSignature") or "").encode()
        if not any(compare_digest(reading.signature(item, key).encode(), given) for key in self._keys):
            raise Forged("no key of ours has signed this")

    def _body(self, ref: str) -> dict[str, Any]:
        """Begin what is sent; the reference comes back with every notice."""
        return {"merchantAccount": self._account.merchant, "reference": ref}

    def _bank_body(self, asked: Asked, method: str) -> dict[str, Any]:
        kind, _, token = method.partition(":")
        body = self._body(asked.ref) | {
            "amount": {"currency": asked.amount.currency, "value": _sent(asked.amount)},
            "paymentMethod": {"type": kind} | ({"storedPaymentMethodId": token} if token else {}),
            "returnUrl": f"{self._back_url}?ref={quote(asked.ref, safe='')}",
            "channel": "Web",
            "shopperInteraction": "Ecommerce",
            "additionalData": {"manualCapture": "false" if self._account.takes_at_once else "true"},
        }
        if token:
            # A token belongs to the shopper for whom it was made: for us that is the order.
            body |= {"shopperReference": asked.order, "recurringProcessingModel": "CardOnFile"}
        return body

    def _entry(
        self, name: str, kind: Kind, path: str, body: Mapping[str, Any], amount_minor: int = 0
    ) -> Entry:
        asks = json.dumps({"path": path, "body": body}, separators=(",", ":"))
        return Entry(name, kind, self._clock.now_ms(), amount_minor=amount_minor, asks=asks)


def _keep(connection: Connection, notice: Notice, now_ms: int) -> None:
    """Write a notice down, and the payment that it is of where that is not known."""
    amount = notice.told["amount"]
    if not isinstance(amount, Money):
        raise TypeError("a notice without an amount")
    books.add_payment(
        connection, Asked(notice.ref, notice.event, notice.order, notice.attempt, amount, now_ms)
    )
    there = books.find(connection, notice.ref, lock=True)
    if there is None:
        return
    asked, before = there
    entry = reading.entry(notice, asked.amount.amount_minor, asked.amount.currency)
    books.add_entry(connection, asked, entry)
    if len(Standing(asked, [*before, entry], is_taken_at_once=False).psps()) > 1:
        log.error("a payment was authorised twice", extra={"payment": asked.ref})
    if entry.code == "AUTHORISATION" and entry.outcome is not Outcome.OTHER_AMOUNT:
        books.told(connection, asked.ref)


def _is_known(standing: Standing, name: str) -> bool:
    """Tell whether something was asked before. Raises ``Refusal`` if Adyen would not do it then."""
    entry = standing.named(name)
    if entry is not None and entry.outcome is Outcome.REJECTED:
        raise Refusal(entry.code)
    return entry is not None


def _sent(amount: Money) -> int:
    try:
        return sent(amount)
    except ValueError as error:
        raise Refusal("amount-not-payable", str(error)) from error


def _key(key: str) -> str:
    """Give a key that Adyen takes; one that is too long stands for itself by its hash."""
    return key if len(key) <= KEY_MOST and key.isascii() else sha256(key.encode()).hexdigest()


def _path(psp: str) -> str:
    """Write Adyen's name of a payment as a part of an address."""
    return quote(psp, safe="")
