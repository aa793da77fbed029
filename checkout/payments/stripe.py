"""Stripe: the provider behind Stripe's API, through its own package.

A payment is a payment intent of a card, created unconfirmed with ``capture_method=manual`` and confirmed from here with
the id of a payment method, which Stripe's fields in the buyer's browser have made. Its metadata are event, order and
attempt, nothing of the buyer.

What Stripe says, and what that means here:

* 402 on confirming: the bank said no, which is an answer (``DECLINED``).
* 409 (the key is being worked on, something is locked) and 429: ``NotNow``.
* 5xx, a broken connection, a timeout, an answer that cannot be read: ``Unclear``. Stripe repeats a saved 500 for the
  same key, so what counts then is ``fetch``.
* Any other 4xx: ``Refusal`` with Stripe's code; 404: ``Refusal("unknown")``.

The package's own repeats are off (``payments.patient`` does that), and so are its telemetry and its log lines, which
hold whole answers. Keys and secrets are in no ``repr`` and no message. Importing the package takes a second, so it is
imported when the first ``StripeProvider`` is made. Webhooks are checked by the package, but for their time, which is an
argument: no more than 5 minutes old, and no more than one ahead.

Not here: amounts (``stripe_amounts``), reading (``stripe_reading``).
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import aiohttp

from checkout.money import Money
from checkout.payments import stripe_reading as reading
from checkout.payments.port import (
    Capability,
    Charge,
    Forged,
    Notice,
    NotNow,
    Payment,
    Refund,
    Refusal,
    Unclear,
)
from checkout.payments.stripe_amounts import sent
from kernel.tracing import onward

if TYPE_CHECKING:
    from stripe.params import (
        PaymentIntentCancelParams,
        PaymentIntentCaptureParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        PaymentIntentRetrieveParams,
    )

log = logging.getLogger(__name__)

API = "https://api.stripe.com"
API_VERSION = "2026-10-28.endive"
"""What is sent and read here is of this version, whichever the package would take by itself."""

TIMEOUT_S = 10.0
PAGE = 100
OLD_S = 300
AHEAD_S = 60
MOST_SIGNATURE = 4_096
DESCRIPTION_MOST = 500

CAPABILITIES = frozenset({Capability.MANUAL_CAPTURE, Capability.PARTIAL_REFUND})


class Answer(Protocol):
    """Whatever the package makes of an answer."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as it came."""


class StripeProvider:
    """Stripe, for one account. Belongs to the event loop of its first call."""

    def __init__(
        self,
        name: str,
        secret_key: str,
        webhook_secrets: Sequence[str],
        *,
        api_base: str = API,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`webhook_secrets`: those of all endpoints whose notices count; two while one is being replaced."""
        import stripe  # noqa: PLC0415 (large: only who pays with it waits for it)
        from stripe import AIOHTTPClient  # noqa: PLC0415 (the same)

        # Both are settings of the package as a whole. Telemetry would also write a file in the home folder.
        stripe.enable_telemetry = False
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._name = name
        self._webhook_secrets = tuple(secret for secret in webhook_secrets if secret.strip())

        class Http(AIOHTTPClient):
            """Tells which trace a question belongs to."""

            async def request_stream_async(
                self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
            ) -> Any:
                return await super().request_stream_async(method, url, {**headers, **onward()}, post_data)

        self._http = Http(timeout=aiohttp.ClientTimeout(total=timeout_s))
        self._errors = stripe.StripeError
        self._declined = stripe.CardError
        self._signature = stripe.WebhookSignature
        self._forged = stripe.SignatureVerificationError
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=self._http,
        )
        self._api = self._client.v1

    def __repr__(self) -> str:
        return f"StripeProvider({self._name!r})"

    @property
    def name(self) -> str:
        """Name it."""
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what it can do."""
        return CAPABILITIES

    async def close(self) -> None:
        """Close its connections; nothing may be asked after that."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def create(self, charge: Charge) -> Payment:
        """Make a payment intent."""
        wanted: PaymentIntentCreateParams = {
            "amount": _sent(charge.amount),
            "currency": charge.amount.currency.lower(),
            "capture_method": "manual",
            "allowed_payment_method_types": ["card"],
            "metadata": {"event": charge.event, "order": charge.order, "attempt": str(charge.attempt)},
            "description": charge.description[:DESCRIPTION_MOST] or charge.order,
        }
        return await self._payment("post", "", wanted, charge.key)

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:
        """Ask the bank."""
        wanted: PaymentIntentConfirmParams = {
            "payment_method": method,
            "return_url": return_url,
            "expand": ["latest_charge"],
        }
        try:
            return await self._payment("post", f"/{_path(ref)}/confirm", wanted, key)
        except Refusal as refusal:
            error = refusal.__cause__
            if not isinstance(error, self._declined):
                raise
            declined = _error(error).get("payment_intent")
            return _read(declined) if isinstance(declined, dict) else await self.fetch(ref)

    async def fetch(self, ref: str) -> Payment:
        """Tell how a payment intent stands."""
        wanted: PaymentIntentRetrieveParams = {"expand": ["latest_charge"]}
        return await self._payment("get", f"/{_path(ref)}", wanted)

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:
        """Take what was authorised."""
        wanted: PaymentIntentCaptureParams = {"amount_to_capture": _sent(amount), "expand": ["latest_charge"]}
        return await self._payment("post", f"/{_path(ref)}/capture", wanted, key)

    async def void(self, ref: str, key: str) -> Payment:
        """Cancel a payment intent."""
        wanted: PaymentIntentCancelParams = {"expand": ["latest_charge"]}
        return await self._payment("post", f"/{_path(ref)}/cancel", wanted, key)

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back."""
        units = _sent(amount)
        made = await self._answer(
            self._api.refunds.create_async({"payment_intent": ref, "amount": units}, {"idempotency_key": key})
        )
        try:
            return reading.refund(made)
        except reading.UNREADABLE as error:
            raise Unclear("the answer cannot be read") from error

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:
        """Read the one event that a webhook of Stripe brings."""
        self._verify(body, headers.get("stripe-signature", ""), now_ms)
        event = json.loads(body)
        try:
            return [reading.notice(event)]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is no event of Stripe") from error

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Keep nothing: Stripe can be asked."""

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Know of nobody: buyers come straight back to the shop's page."""
        del query
        return None

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Stripe wants any answer with 2xx."""
        return 200, b"", "text/plain"

    async def list_since(self, since_ms: int) -> AsyncIterator[Payment]:
        """Tell all payment intents since then. One that cannot be read is no payment of this shop: it is left out."""
        wanted: dict[str, Any] = {
            "created": {"gte": since_ms // 1000},
            "limit": PAGE,
            "expand": ["data.latest_charge"],
        }
        unreadable, is_more = 0, True
        while is_more:
            page = await self._raw("get", "/v1/payment_intents", wanted)
            try:
                intents, is_more = [dict(one) for one in page["data"]], bool(page["has_more"])
                if is_more:
                    wanted["starting_after"] = str(intents[-1]["id"])
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise Unclear("the answer cannot be read") from error
            for intent in intents:
                try:
                    reading.payment(intent)
                except reading.UNREADABLE:
                    unreadable += 1
                    continue
                yield await self._with_disputes(intent)
        if unreadable:
            log.warning(
                "payments: some payments of the provider cannot be read",
                extra={"provider": self._name, "count": unreadable},
            )

    async def _payment(self, method: str, path: str, wanted: Mapping[str, Any], key: str = "") -> Payment:
        """Ask for a payment intent."""
        return await self._with_disputes(await self._raw(method, f"/v1/payment_intents{path}", wanted, key))

    async def _raw(self, method: str, path: str, wanted: Mapping[str, Any], key: str = "") -> dict[str, Any]:
        """Ask; the package's objects are left out, which cost as much as all the rest, or ten times that in a list."""
        options = {"idempotency_key": key} if key else {}
        answer = await self._caught(self._client.raw_request_async(method, path, **wanted, **options))
        if not isinstance(answer.data, dict):
            raise Unclear("the answer cannot be read")
        return answer.data

    async def _with_disputes(self, intent: Mapping[str, Any]) -> Payment:
        if not reading.is_disputed(intent):
            return _read(intent)
        disputes = await self._answer(
            self._api.disputes.list_async({"payment_intent": intent["id"], "limit": PAGE})
        )
        return _read(intent, disputes["data"])

    async def _answer(self, call: Awaitable[Answer]) -> dict[str, Any]:
        answer: Answer = await self._caught(call)
        return answer.to_dict()

    async def _caught(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except self._errors as error:
            raise _failure(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The package reads the body outside of what it catches itself.
            raise Unclear(f"no answer: {type(error).__name__}") from error

    def _verify(self, body: bytes, signature: str, now_ms: int) -> None:
        """Raise ``Forged`` unless one of the secrets has signed the body, not long ago."""
        if not signature or len(signature) > MOST_SIGNATURE or not signature.isascii():
            raise Forged("there is no signature of Stripe")
        for secret in self._webhook_secrets:
            try:
                self._signature.verify_header(body, signature, secret)
            except self._forged:
                continue
            except UnicodeDecodeError as error:
                raise Forged("Stripe signs nothing but text") from error
            at_s = int(next(part[2:] for part in signature.split(",") if part.startswith("t=")))
            if not -AHEAD_S <= now_ms // 1000 - at_s <= OLD_S:
                raise Forged("the signature is too old, or of the future")
            return
        raise Forged("no secret of ours has signed this")


def _path(ref: str) -> str:
    """Write a payment intent's name as a part of an address."""
    return quote(ref, safe="")


def _sent(amount: Money) -> int:
    try:
        return sent(amount)
    except ValueError as error:
        raise Refusal("amount-not-payable", str(error)) from error


def _read(intent: Mapping[str, Any], disputes: Sequence[Mapping[str, Any]] = ()) -> Payment:
    try:
        return reading.payment(intent, reading.disputed_minor(disputes), reading.disputes(disputes))
    except reading.UNREADABLE as error:
        raise Unclear("the answer cannot be read") from error


class Failure(Protocol):
    """What the package raises, as far as it is read here."""

    http_status: int | None
    json_body: object | None
    headers: Any


def _error(failure: Failure) -> Mapping[str, Any]:
    """Give the error as it stands in the answer."""
    body = failure.json_body
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _failure(failure: Failure) -> Exception:
    """Say what an error of Stripe means."""
    status = failure.http_status or 0
    error = _error(failure)
    code = str(error.get("code") or error.get("type") or f"http-{status}")
    if status in {409, 429} or code == "rate_limit":
        return NotNow(f"not now: {code}", _retry_s(failure.headers))
    if not 400 <= status < 500:
        return Unclear(f"no answer to go by: {code}")
    # What Stripe says of a wrong key shows parts of it.
    message = "" if status in {401, 403} else str(error.get("message") or "")
    return Refusal("unknown" if status == 404 else code, message)


def _retry_s(headers: Any) -> float:
    given = (headers or {}).get("retry-after") or ""
    return float(given) if given.isascii() and given.isdecimal() and len(given) <= 5 else 0.0
