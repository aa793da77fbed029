"""Ledger: the provider's own books, asked over HTTP, in the shop's minor units.

The sandbox tells them at ``/_sandbox/ledger`` to whoever has its secret key, and so does the one of Adyen's shape:
there a payment's name is the reference that the shop has given it. What is read here shares no line with what the shop
itself asks a provider. Not here: what must be true of it (``audit.money``), Stripe's and Adyen's own books, which their
reports tell.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson

from checkout.audit.money import Theirs
from checkout.money import Money
from checkout.payments import adyen_amounts, stripe_amounts
from kernel.errors import Misconfigured, Unavailable

TIMEOUT_S = 30.0
MOST_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How a ledger is written. ``ref``: where a payment's name stands; ``received``: reads its units."""

    provider: str
    ref: str
    received: Callable[[int, str], Money]

    def minor(self, payment: Mapping[str, Any], name: str) -> int:
        """Give a sum in the shop's minor units."""
        return self.received(int(payment[name]), str(payment["currency"]).upper()).amount_minor


STRIPE = Shape("sandbox", "id", stripe_amounts.received)
ADYEN = Shape("adyen", "reference", adyen_amounts.received)


def read_ledger(url: str, key: str) -> dict[str, list[Theirs]]:
    """Give every payment at the sandbox at `url`, by event.

    Raises ``Unavailable`` when nobody answers, ``Misconfigured`` for a wrong key or what is no ledger.
    """
    return theirs_of(_asked(url, {"Authorization": f"Bearer {key}"}))


def read_adyen_ledger(url: str, api_key: str) -> dict[str, list[Theirs]]:
    """Give every payment at the sandbox of Adyen's shape, by event. Raises as ``read_ledger`` does."""
    return theirs_of(_asked(url, {"X-API-Key": api_key}), ADYEN)


def theirs_of(plain: Any, shape: Shape = STRIPE) -> dict[str, list[Theirs]]:
    """Read a ledger. Raises ``Misconfigured`` for what is none."""
    found: dict[str, list[Theirs]] = defaultdict(list)
    try:
        for row in plain["orders"]:
            found[str(row["event"])] += _payments(str(row["order"]), row["payments"], shape)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured([f"What the sandbox told is no ledger: {error!r}."]) from error
    return dict(found)


def _asked(url: str, known_by: Mapping[str, str]) -> Any:
    address = f"{url.rstrip('/')}/_sandbox/ledger"
    if not address.startswith(("http://", "https://")):
        raise Misconfigured([f"The sandbox's address {url!r} must begin with http:// or https://."])
    request = Request(address, headers=dict(known_by))  # noqa: S310 (checked above)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (checked above)
            return orjson.loads(answer.read(MOST_BYTES))
    except HTTPError as error:
        error.close()
        raise Misconfigured([f"The sandbox at {url} does not tell its ledger: {error.code}."]) from error
    except OSError as error:
        raise Unavailable("provider-away", f"The sandbox at {url} cannot be asked: {error}") from error
    except ValueError as error:
        raise Misconfigured([f"What {url} told is no ledger: {error!r}."]) from error


def _payments(order: str, payments: Sequence[Mapping[str, Any]], shape: Shape) -> list[Theirs]:
    return [
        Theirs(
            provider=shape.provider,
            ref=str(one[shape.ref]),
            order=order,
            captured_minor=shape.minor(one, "captured"),
            refunded_minor=shape.minor(one, "refunded"),
            disputed_minor=shape.minor(one, "disputed"),
            is_held=int(one["held"]) > 0,
        )
        for one in payments
    ]
