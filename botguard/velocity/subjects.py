"""Subject: whose acts are counted, under names that nobody can trace back to an address, a browser or a person.

* **Prefix**: the /24 or /48 that an address is in. Behind one of a mobile network there are thousands of people, so its
  count never has anybody refused. Single addresses are not kept: an IPv4 address' limit is in each worker's memory
  (``admission.buckets``), and a million fans shall not cost the store a million records.
* **Device**: the random id in a signed cookie of ours. Whoever deletes it is a new device; whoever keeps it and takes
  place after place is one and the same, that is certain.
* **Identity**: the tag under which a room knows somebody, where it asks who they are.

Names are HMAC-SHA256 under a secret of ours and a **salt of the day** that is random, kept by the store alone and gone
after two days: from then on nobody can tell whose a name was, we included. At midnight (UTC) everybody's windows begin
anew. Pure. Not here: the cookie (``gateway``), where the salt is kept (``store``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from botguard.velocity.windows import Plan, Row
from kernel.addresses import NETWORK_BITS
from kernel.gcra import MINUTE_US, Rate
from kernel.signing import b64url, keyed

DAY_MS = 86_400_000
NAME_BYTES = 12
_MINUTE_MS = 60_000


class Subject(StrEnum):
    """Whose acts."""

    PREFIX = "prefix"
    DEVICE = "device"
    IDENTITY = "identity"


PLANS: Mapping[Subject, Plan] = MappingProxyType(
    {
        Subject.PREFIX: Plan(Rate(MINUTE_US // 600, 600), _MINUTE_MS, 10),
        Subject.DEVICE: Plan(Rate(MINUTE_US // 6, 20), _MINUTE_MS, 10),
        Subject.IDENTITY: Plan(Rate(MINUTE_US // 6, 20), _MINUTE_MS, 10),
    }
)
"""Twenty places at once and six a minute are no person's with one browser; for a network no number is too many."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as far as it is known; '' is unknown."""

    address: IPv4Address | IPv6Address | None = None
    device: str = ""
    identity: str = ""


def prefix(address: IPv4Address | IPv6Address) -> str:
    """Name the network of an address, in clear.

    >>> prefix(IPv4Address("203.0.113.77"))
    '4:cb0071'
    """
    spare = address.max_prefixlen - NETWORK_BITS[address.version]
    return f"{address.version}:{int(address) >> spare:x}"


class Names:
    """Makes the names of one day."""

    __slots__ = ("_mac", "day")

    def __init__(self, secret: bytes, salt: bytes, day: int) -> None:
        """Take the secret and the day's salt."""
        self.day = day
        self._mac = keyed(digest(secret, b"velocity" + sha256(salt).digest(), "sha256"))

    def of(self, subject: Subject, name: str) -> str:
        """Return the name under which a subject is counted."""
        return b64url(self._mac(f"{subject}\0{name}".encode())[:NAME_BYTES])

    def rows(self, actor: Actor, *, acts: bool) -> dict[Subject, Row]:
        """Name the rows of an act; who is not known has none."""
        known = {
            Subject.PREFIX: "" if actor.address is None else prefix(actor.address),
            Subject.DEVICE: actor.device,
            Subject.IDENTITY: actor.identity,
        }
        return {
            subject: Row(f"{subject}:{self.of(subject, name)}", PLANS[subject], acts)
            for subject, name in known.items()
            if name
        }
