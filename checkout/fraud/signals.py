"""Signal: what is known of one attempt to pay, or of one hold, and under which names the store may keep it.

* **Account**: the buyer's id.
* **Device**: the first-party cookie where the browser sends one. Whoever deletes it is a new device, so it finds
  those who are careless or in a hurry, not those who take pains. Without a cookie there is only the **weak** device: a
  hash of what the browser says of itself (``traits``) together with the network. A whole family with the same
  telephones is one weak device, and who writes other headers is another. So nothing is ever refused because of a weak
  device; somebody looks, that is all (``rules``).
* **Address**: the client's. An IPv6 address counts by its /64, which is what one household has; one in IPv4's clothes
  counts as IPv4. What is no address (a peer on a unix socket that told no other) counts nobody: it would be everybody.
* **Card**: the fingerprint that the payment provider gives, '' before there is a payment.

Nothing of this stands in the store in clear: ``Pseudonyms`` are HMAC-SHA256 under a secret of ours, so whoever reads
the store learns neither addresses nor cards, and cannot try all addresses either. Pure. Not here: whose address it is
(``kernel.asgi.client_address``), the cookie itself, card numbers (the shop never sees one).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from ipaddress import IPv6Address

from checkout.money import Money
from kernel.addresses import parsed
from kernel.errors import Misconfigured
from kernel.signing import SECRET_MIN_BYTES, b64url, keyed

PURPOSE = b"shop-fraud"
PSEUDONYM_BYTES = 12
"""96 bits: two of a billion names that are alike are less likely than a wrong bit in memory."""

TRAITS = (b"user-agent", b"accept", b"accept-language", b"accept-encoding")
HOUSEHOLD_BITS = 64


class Kind(StrEnum):
    """What a signal, or a line of a list, is about."""

    ACCOUNT = "account"
    DEVICE = "device"
    ADDRESS = "address"
    CARD = "card"
    EMAIL = "email"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of one attempt to pay, or of one hold; '' is what nobody knows.

    ``id`` names it: a repeat has the same and counts once; another card is another attempt. ``traits`` is made by the
    function of that name.
    """

    id: str
    event: str
    account: str
    address: str
    device: str = ""
    traits: str = ""
    card: str = ""
    email_domain: str = ""
    amount: Money | None = None
    seats: int = 0


def traits(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Hash what a browser says of itself; '' for one that does not even name itself. Weak: see the module."""
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        said.setdefault(name.lower(), value)
    if not said.get(TRAITS[0]):
        return ""
    text = b"\n".join(said.get(name, b"") for name in TRAITS)
    return sha256(text).hexdigest()[:32]


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or a /64; '' for what is no address."""
    found = parsed(address)
    if isinstance(found, IPv6Address):
        spare = 128 - HOUSEHOLD_BITS
        return f"{IPv6Address(int(found) >> spare << spare)}/{HOUSEHOLD_BITS}"
    return "" if found is None else str(found)


def is_weak(attempt: Attempt) -> bool:
    """Tell whether the device is only a guess."""
    return not attempt.device


def subjects(attempt: Attempt) -> dict[Kind, str]:
    """Name, in clear, whom an attempt counts for. Who is not known is missing."""
    where = network(attempt.address)
    weak = f"weak:{attempt.traits}:{where}" if attempt.traits and where else ""
    found = {
        Kind.ACCOUNT: attempt.account,
        Kind.DEVICE: f"cookie:{attempt.device}" if attempt.device else weak,
        Kind.ADDRESS: where,
        Kind.CARD: attempt.card,
    }
    return {kind: name for kind, name in found.items() if name}


class Pseudonyms:
    """Makes the names under which the store knows people: the same for the same, and nobody can go back."""

    __slots__ = ("_mac",)

    def __init__(self, secret: bytes) -> None:
        """Take the secret. Raises ``Misconfigured`` for one below 16 bytes."""
        if len(secret) < SECRET_MIN_BYTES:
            raise Misconfigured(
                f"The secret of the fraud checks has {len(secret)} bytes, at least {SECRET_MIN_BYTES} are needed."
            )
        self._mac = keyed(digest(secret, PURPOSE, "sha256"))

    def of(self, kind: str, name: str) -> str:
        """Return the pseudonym of a name; the same name of another kind has another."""
        return b64url(self._mac(f"{kind}\0{name}".encode())[:PSEUDONYM_BYTES])

    def all_of(self, names: Mapping[Kind, str]) -> dict[Kind, str]:
        """Return the pseudonyms of several names."""
        return {kind: self.of(kind, name) for kind, name in names.items()}
