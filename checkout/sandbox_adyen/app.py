"""Sandbox of Adyen's shape, as one ASGI application with its background.

A call goes the way that it goes in ``checkout.sandbox``: key of the account, faults that come before, idempotency key,
wait, execution (nothing in it waits), notices, faults that come after, answer. A key stands for the answer of what was
done under it, for ``KEYS_KEPT_MS``; where that was an error, or got lost, it still stands for what was done. Whoever
comes while a key is being worked on hears 422 with code 704.

``/v71/…`` is the API, ``/redirect/…`` the bank's page, ``/_sandbox/…`` the control:

* ``faults``: as the sandbox has them; ``ledger``: GET tells for every order what was moved, in the sandbox's words;
* ``chargebacks``: POST takes money back (``reference``, ``value``); ``chargebacks/{psp}``: POST decides (``outcome``);
* ``webhooks``: GET tells how deliveries stand.

Nothing secret is logged. Run it in one process; a restart forgets everything.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson

from checkout.sandbox import secure_page
from checkout.sandbox.answers import Answer, ApiError, json_answer
from checkout.sandbox.app import own_address
from checkout.sandbox.deliveries import TICK_S
from checkout.sandbox.faults import REQUEST_KINDS, FaultKind, FaultPlan, read_fault
from checkout.sandbox.forms import read_form
from checkout.sandbox.records import Event
from checkout.sandbox.serving import break_off
from checkout.sandbox.words import amount, spoken
from checkout.sandbox_adyen.answers import AdyenError
from checkout.sandbox_adyen.notices import AdyenDeliveries, Writer
from checkout.sandbox_adyen.records import Payment, Status
from checkout.sandbox_adyen.rules import Rules
from kernel.asgi import Receive, Scope, Send, header, read_body, respond
from kernel.clock import Clock, SystemClock
from kernel.errors import Refused
from kernel.languages import Texts
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

API = "/v71"
PAGES = "/redirect/"
CONTROL = "/_sandbox/"
BODY_MOST_BYTES = 65_536
SLOW_MS = 3_000
KEYS_KEPT_MS = 7 * 86_400_000
KEY_MOST = 64
KINDS = frozenset({"captures", "cancels", "refunds"})
DECISIONS = frozenset({"approve", "refuse"})
SUMS = ("authorised", "held", "captured", "refunded", "disputed")

_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
Execute = Callable[[int], Answer]


class AdyenSandbox:
    """One merchant account of a provider that moves no money."""

    def __init__(
        self,
        api_key: str,
        merchant: str,
        hmac_key: str,
        *,
        webhook_url: str = "",
        webhook_user: str = "",
        webhook_password: str = "",
        clock: Clock | None = None,
        pages_url: str = "",
        slow_ms: int = SLOW_MS,
    ) -> None:
        """`pages_url`: where browsers find this, else as the API was asked. Raises ``ValueError``."""
        if not api_key or not merchant:
            raise ValueError("the sandbox needs an API key and a merchant account")
        self._api_key = api_key.encode()
        self._clock = clock or SystemClock()
        self._pages_url = pages_url.rstrip("/")
        self._rules = Rules(merchant, Writer(merchant, hmac_key), slow_ms)
        self._faults = FaultPlan()
        self._deliveries = AdyenDeliveries(
            webhook_url, webhook_user, webhook_password, self._clock, self._faults, _heard
        )
        self._saved: dict[str, tuple[Answer, int]] = {}
        self._at_work: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return "AdyenSandbox()"

    def start(self) -> None:
        """Begin the background in the running loop."""
        self._tasks = [asyncio.create_task(self._deliveries.run()), asyncio.create_task(self._ticks())]

    async def stop(self) -> None:
        """End the background."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith(PAGES):
            await self._page(scope, receive, send, path.removeprefix(PAGES))
            return
        answer: Answer | None
        try:
            self._check_key(scope)
            body = await read_body(receive, BODY_MOST_BYTES)
            if path.startswith(CONTROL):
                answer = self._controlled(scope["method"], path.removeprefix(CONTROL), body)
            else:
                answer = await self._called(scope, receive, send, path, body)
        except AdyenError as error:
            answer = error.answer()
        except Refused as error:
            answer = AdyenError(error.status, "702", error.public).answer()
        if answer is not None:
            await respond(send, answer.status, [*_HEADERS, *answer.headers], answer.body)

    def _check_key(self, scope: Scope) -> None:
        """Let pass who has the account's key. Raises ``AdyenError``."""
        if not compare_digest(header(scope, b"x-api-key") or b"", self._api_key):
            raise AdyenError(401, "000", "HTTP Status Response - Unauthorized", "security")

    async def _called(
        self, scope: Scope, receive: Receive, send: Send, path: str, body: bytes
    ) -> Answer | None:
        """Answer a call of the API; None if the connection was broken off instead."""
        struck = self._faults.strike(REQUEST_KINDS, f"{scope['method']} {path}")
        if FaultKind.DROP_REQUEST in struck:
            await break_off(scope, receive, send)
            return None
        if FaultKind.ERROR_BEFORE in struck:
            return _broken()
        if FaultKind.TOO_MANY in struck:
            return AdyenError(429, "00_429", "Too many requests", "internal").answer((b"retry-after", b"1"))
        key = (header(scope, b"idempotency-key") or b"").decode("latin-1")
        if len(key) > KEY_MOST:
            raise AdyenError(422, "703", f"An idempotency key has at most {KEY_MOST} characters")
        execute = self._call(scope, path, _plain(body))
        answer = self._known(key)
        if answer is None:
            self._at_work.add(key)
            try:
                if FaultKind.DELAY in struck:
                    await asyncio.sleep(struck[FaultKind.DELAY].delay_ms / 1000)
                answer, told = self._executed(execute, key)
            finally:
                self._at_work.discard(key)
            if FaultKind.WEBHOOK_FIRST in struck:
                await asyncio.gather(*map(self._deliveries.deliver_now, told))
            else:
                self._deliver(told)
            if FaultKind.ERROR_AFTER in struck and answer.status < 300:
                answer = _broken()
        if FaultKind.DELAY_ANSWER in struck:
            await asyncio.sleep(struck[FaultKind.DELAY_ANSWER].delay_ms / 1000)
        if FaultKind.DROP_ANSWER in struck:
            await break_off(scope, receive, send)
            return None
        return answer

    def _call(self, scope: Scope, path: str, plain: Mapping[str, Any]) -> Execute:
        """Find what an address does. Raises ``AdyenError``."""
        parts = path.removeprefix(API).strip("/").split("/")
        if scope["method"] == "POST" and path.startswith(f"{API}/"):
            match parts:
                case ["payments"]:
                    pages = self._pages_url or own_address(scope)
                    return lambda now_ms: json_answer(self._rules.pay(plain, pages, now_ms))
                case ["payments", "details"]:
                    return lambda now_ms: json_answer(self._rules.details(plain, now_ms))
                case ["payments", psp, kind] if kind in KINDS:
                    return lambda now_ms: json_answer(self._rules.modify(psp, kind, plain, now_ms), 201)
        raise AdyenError(404, "702", "There is no such address")

    def _known(self, key: str) -> Answer | None:
        """Give what was answered under a key; None for a new one. Raises ``AdyenError``."""
        if not key:
            return None
        if key in self._at_work:
            raise AdyenError(422, "704", "request already processed or in progress")
        saved, now_ms = self._saved.get(key), self._clock.now_ms()
        return saved[0] if saved is not None and now_ms - saved[1] < KEYS_KEPT_MS else None

    def _executed(self, execute: Execute, key: str = "") -> tuple[Answer, list[Event]]:
        """Do something as a whole; returns the answer and what is to be told."""
        now_ms = self._clock.now_ms()
        try:
            self._rules.pass_time(now_ms)
            answer = execute(now_ms)
        except AdyenError as error:
            answer = error.answer()
        if key:
            self._saved[key] = (answer, now_ms)
        return answer, self._rules.taken()

    # ------------------------------------------------------------------------------- the control

    def _controlled(self, method: str, what: str, body: bytes) -> Answer:
        def execute(now_ms: int) -> Answer:
            plain = _plain(body) if body else {}
            match method, what.split("/"):
                case "GET", ["faults"]:
                    return json_answer({"faults": self._faults.told()})
                case "DELETE", ["faults"]:
                    self._faults.clear()
                    return json_answer({"faults": []})
                case "POST", ["faults"]:
                    return self._add_fault(plain)
                case "GET", ["ledger"]:
                    return json_answer(self.ledger())
                case "GET", ["webhooks"]:
                    own = self._deliveries
                    return json_answer({"waiting": own.waiting, "sent": own.sent, "lost": own.lost})
                case "POST", ["chargebacks"]:
                    return self._charge_back(plain, now_ms)
                case "POST", ["chargebacks", psp]:
                    is_won = plain.get("outcome") == "won"
                    return json_answer({"psp": self._rules.close(psp, is_won=is_won, now_ms=now_ms).psp})
            raise AdyenError(404, "702", "There is no such address")

        answer, told = self._executed(execute)
        self._deliver(told)
        return answer

    def _add_fault(self, plain: Mapping[str, Any]) -> Answer:
        try:
            fault = read_fault(plain, secrets.randbelow(2**31))
            self._faults.add(fault)
        except ValueError as error:
            raise AdyenError(400, "702", f"This is no fault: {error}.") from error
        return json_answer(fault.wire())

    def _charge_back(self, plain: Mapping[str, Any], now_ms: int) -> Answer:
        found = [one for one in self._rules.by_reference(str(plain.get("reference"))) if one.captured]
        if not found:
            raise AdyenError(404, "702", "There is no such payment")
        value = plain.get("value", found[-1].captured)
        if type(value) is not int:
            raise AdyenError(422, "137", "Invalid amount specified")
        return json_answer({"psp": self._rules.charge_back(found[-1], value, now_ms).psp})

    def ledger(self) -> dict[str, Any]:
        """Tell what was moved, order by order."""
        orders: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for one in self._rules.payments.values():
            event, order, _ = one.whose
            orders.setdefault((event, order), []).append(_row(one))
        return {
            "orders": [
                {"event": event, "order": order, "sums": _sums(rows), "payments": rows}
                for (event, order), rows in orders.items()
            ]
        }

    # ---------------------------------------------------------------------------- the bank's page

    async def _page(self, scope: Scope, receive: Receive, send: Send, psp: str) -> None:
        payment = self._rules.payments.get(psp)
        headers = secure_page.headers_to(payment.return_url if payment else "")
        words = spoken(header(scope, b"accept-language"))
        if payment is None or payment.status is not Status.WAITING:
            told = secure_page.nothing_to_do("", words)
            await respond(send, 404 if payment is None else 409, headers, told)
            return
        if scope["method"] != "POST":
            await respond(send, 200, headers, _question(payment, words))
            return
        try:
            form = read_form(await read_body(receive, BODY_MOST_BYTES))
        except (ApiError, Refused):
            form = {}
        token, decision = str(form.get("token", "")), form.get("answer")
        if not compare_digest(token.encode(), payment.challenge.encode()) or decision not in DECISIONS:
            await respond(send, 403, headers, _question(payment, words))
            return
        result = self._rules.decide(payment, is_approved=decision == "approve")
        parts = urlsplit(payment.return_url)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("redirectResult", result)])
        location = urlunsplit(parts._replace(query=query)).encode()
        await respond(send, 303, [*headers, (b"location", location)], b"")

    def _deliver(self, told: list[Event]) -> None:
        for event in told:
            self._deliveries.add(event)

    async def _ticks(self) -> None:
        while not is_ending():
            _answer, told = self._executed(lambda _now_ms: json_answer({}))
            self._deliver(told)
            await asyncio.sleep(TICK_S)


def _question(payment: Payment, words: Texts) -> bytes:
    told = amount(payment.value, payment.currency.lower(), words)
    return secure_page.asking(told, "", payment.challenge, words)


def _row(one: Payment) -> dict[str, Any]:
    _, _, attempt = one.whose
    return {
        "id": one.psp, "reference": one.reference, "attempt": attempt, "status": one.status.value,
        "currency": one.currency.lower(), "amount": one.value, "charges": int(one.was_authorised),
        "authorised": one.value if one.was_authorised else 0, "held": one.held, "captured": one.captured,
        "refunded": one.done("refunds"), "disputed": one.disputed,
    }  # fmt: skip


def _sums(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        own = sums.setdefault(row["currency"], dict.fromkeys(SUMS, 0))
        for name in SUMS:
            own[name] += row[name]
    return sums


def _plain(body: bytes) -> dict[str, Any]:
    try:
        plain = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise AdyenError(400, "702", "The body is not JSON") from error
    if not isinstance(plain, dict):
        raise AdyenError(400, "702", "The body is no object")
    return plain


def _broken() -> Answer:
    return AdyenError(500, "905", "Payment details are not supported", "internal").answer()


def _heard(event: Event) -> None:
    event.is_safe = True
