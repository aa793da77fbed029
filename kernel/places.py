"""Place: where an address is, as a file in MaxMind's format says (GeoLite2, GeoIP2, DB-IP and others).

The reader is the package ``maxminddb``, an extra (``waitroom[geoip]``) that is only loaded where a file is set. We ship
no data.

**Checked before it is used.** Files are broken in their records as well as in their heads, and one of another
kind has none of the fields. So the address space is walked: each network of a small file, an even sample of a large
one.

**In memory.** The file is read and not mapped: a mapped file that somebody overwrites ends the process (SIGBUS). So the
package's reader in Python is used; a look-up takes some tenths of a millisecond.

Where an address is says little about who sits behind it (VPNs, mobile networks). Not here: reading files anew
(``watched``), what follows from a place (whoever asks).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol, cast

from kernel.errors import Misconfigured

MOST_BYTES = 512 * 1024 * 1024
WHOLE_NODES = 50_000
"""A file with no more nodes is walked in full."""

PROBES = 8_192
"""Of a larger one so many places are looked at, for each of the two kinds of addresses."""

BAD = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error)
"""What a reader raises on octets that are no such file; its own exception is a ``RuntimeError``."""

_LANGUAGE = "en"
_ALIASES = 2
"""MaxMind's files show the tree of IPv4 twice more in 2000::/3: below 2001::/32 (Teredo) and 2002::/16 (6to4)."""

_SPACES = ((IPv4Address, 0, 2**32), (IPv6Address, 0x2 << 124, 0x4 << 124))
"""All of IPv4; of IPv6 what is given out, 2000::/3."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is, as far as is known: '' and 0 are not."""

    country: str = ""
    city: str = ""
    asn: int = 0
    organisation: str = ""


class Described(Protocol):
    """What a file says of itself."""

    node_count: int
    ip_version: int
    database_type: str


class Reader(Protocol):
    """The part of ``maxminddb.Reader`` that is used."""

    def metadata(self) -> Described:
        """Describe the file."""

    def get(self, ip_address: IPv4Address | IPv6Address) -> Any:
        """Return an address' record, or None."""

    def get_with_prefix_len(self, ip_address: IPv4Address | IPv6Address) -> tuple[Any, int]:
        """Return the record, and how long the prefix is that it is for."""


@dataclass(frozen=True, slots=True)
class GeoFile:
    """A file that was read and checked."""

    reader: Reader
    has_ipv6: bool

    def look(self, address: IPv4Address | IPv6Address) -> Place | None:
        """Look an address up. Raises one of ``BAD`` for a bad record."""
        if address.version == 6 and not self.has_ipv6:
            return None
        return place_of(self.reader.get(address))


def read_geo(octets: bytes) -> GeoFile:
    """Read a file and check it. Raises ``Misconfigured``, also when the package is not installed."""
    try:
        package = import_module("maxminddb")
    except ImportError as error:
        raise Misconfigured(
            "Geo-IP needs the Python package maxminddb: pip install 'waitroom[geoip]'."
        ) from error
    try:
        reader = cast("Reader", package.open_database(BytesIO(octets), package.MODE_FD))
        known = reader.metadata()
        places = sum(place is not None for place in walked(reader, known))
    except BAD as error:
        raise Misconfigured(f"this is no usable MaxMind DB file: {error}.") from error
    if not places:
        raise Misconfigured(
            f"a file of the kind {known.database_type} tells neither countries nor autonomous systems."
        )
    return GeoFile(reader, known.ip_version == 6)


def walked(reader: Reader, known: Described) -> Iterator[Place | None]:
    """Give the places of the networks, of all or of a sample. Raises one of ``BAD`` for a bad file."""
    # A tree has one leaf more than it has nodes; what has many more goes round in circles.
    left = PROBES * 2 + (known.node_count + 1) * (_ALIASES + 2)
    for kind, first, end in _SPACES[: 2 if known.ip_version == 6 else 1]:
        stride = 1 if known.node_count <= WHOLE_NODES else (end - first) // PROBES
        bits = kind(first).max_prefixlen
        at = first
        while at < end:
            record, prefix = reader.get_with_prefix_len(kind(at))
            yield place_of(record)
            left -= 1
            if left < 0:
                raise ValueError("its search tree is not a tree")
            size = 1 << (bits - prefix)
            at = max(at // size * size + size, at + stride)


def place_of(record: Any) -> Place | None:
    """Take from a record what is known there; None for nothing at all. Raises ``AttributeError`` for a bad one."""
    if not record:
        return None
    country = record.get("country") or record.get("registered_country") or {}
    city = (record.get("city") or {}).get("names") or {}
    place = Place(
        str(country.get("iso_code") or ""),
        str(city.get(_LANGUAGE) or ""),
        int(record.get("autonomous_system_number") or 0),
        str(record.get("autonomous_system_organization") or ""),
    )
    return None if place == Place() else place
