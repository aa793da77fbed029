"""Ledger: the provider's own books, asked over HTTP, in the shop's minor units.

The sandbox tells them at ``/_sandbox/ledger`` to whoever has its secret key. What is read here shares no line with what
the shop itself asks a provider. Not here: what must be true of it (``audit.money``), Stripe's own books, which its
reports tell.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson

from checkout.audit.money import Theirs
from checkout.payments.stripe_amounts import received
from kernel.errors import Misconfigured, Unavailable

TIMEOUT_S = 30.0
MOST_BYTES = 500_000_000
SANDBOX = "sandbox"


def read_ledger(url: str, key: str) -> dict[str, list[Theirs]]:
    """Give every payment at the sandbox at `url`, by event.

    Raises ``Unavailable`` when nobody answers, ``Misconfigured`` for a wrong key or what is no ledger.
    """
    address = f"{url.rstrip('/')}/_sandbox/ledger"
    if not address.startswith(("http://", "https://")):
        raise Misconfigured([f"The sandbox's address {url!r} must begin with http:// or https://."])
    request = Request(address, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 (checked above)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (checked above)
            return theirs_of(orjson.loads(answer.read(MOST_BYTES)))
    except HTTPError as error:
        error.close()
        raise Misconfigured([f"The sandbox at {url} does not tell its ledger: {error.code}."]) from error
    except OSError as error:
        raise Unavailable("provider-away", f"The sandbox at {url} cannot be asked: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured([f"What {url} told is no ledger: {error!r}."]) from error


def theirs_of(plain: Mapping[str, Any]) -> dict[str, list[Theirs]]:
    """Read a ledger. Raises KeyError, TypeError or ValueError."""
    found: dict[str, list[Theirs]] = defaultdict(list)
    for row in plain["orders"]:
        found[str(row["event"])] += _payments(str(row["order"]), row["payments"])
    return dict(found)


def _payments(order: str, payments: Sequence[Mapping[str, Any]]) -> list[Theirs]:
    return [
        Theirs(
            provider=SANDBOX,
            ref=str(one["id"]),
            order=order,
            captured_minor=_minor(one, "captured"),
            refunded_minor=_minor(one, "refunded"),
            disputed_minor=_minor(one, "disputed"),
            is_held=int(one["held"]) > 0,
        )
        for one in payments
    ]


def _minor(payment: Mapping[str, Any], name: str) -> int:
    return received(int(payment[name]), str(payment["currency"])).amount_minor
