"""Geo-IP: where an address is, from an operator's file in MaxMind's format (GeoLite2, GeoIP2, DB-IP and others).

A file with countries, with or without cities, and beside it one with autonomous systems; either is enough. The reader
is the package ``maxminddb``, an extra (``waitroom[geoip]``) that is only loaded where a file is set. We ship no data.

**Checked before it is used.** Files are broken in their records as well as in their heads, and one of another
kind has none of the fields. So the address space is walked: each network of a small file, an even sample of a large
one. Should a record be bad after all, its addresses are at no known place, and that is counted.

**In memory.** The file is read and not mapped: a mapped file that somebody overwrites ends the process (SIGBUS). So the
package's reader in Python is used; a look-up takes some tenths of a millisecond, and only who pays is looked up.

Where an address is says little about who sits behind it (VPNs, mobile networks), and the address is only as true as the
list of trusted proxies. Not here: reading files anew (``watched``), what follows from a country (``rules``).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Protocol, cast

from checkout.fraud.ports import FraudMetrics
from checkout.fraud.rules import Place
from checkout.fraud.signals import parsed
from checkout.fraud.watched import Watched
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


class Geo:
    """Looks addresses up, for one worker."""

    def __init__(
        self,
        metrics: FraudMetrics,
        *,
        places: Path | None = None,
        systems: Path | None = None,
        read: Callable[[bytes], GeoFile] = read_geo,
    ) -> None:
        """Read the files: one with countries (and cities), one with autonomous systems. Raises ``Misconfigured``."""
        self._metrics = metrics
        self.files: list[Watched[GeoFile]] = []
        faults: list[str] = []
        for name, path in (("geoip", places), ("geoip-asn", systems)):
            try:
                if path is not None:
                    self.files.append(Watched(name, path, read, metrics, most_bytes=MOST_BYTES))
            except Misconfigured as error:
                faults += error.faults
        if faults:
            raise Misconfigured(faults)

    def look(self, address: str) -> Place | None:
        """Say where an address is; None where no file knows."""
        at = parsed(address)
        if at is None:
            return None
        found = [place for file in self.files if (place := self._one(file, at)) is not None]
        if not found:
            return None
        return Place(
            next((place.country for place in found if place.country), ""),
            next((place.city for place in found if place.city), ""),
            next((place.asn for place in found if place.asn), 0),
            next((place.organisation for place in found if place.organisation), ""),
        )

    def _one(self, file: Watched[GeoFile], at: IPv4Address | IPv6Address) -> Place | None:
        try:
            return file.value.look(at)
        except BAD:
            self._metrics.fraud_without.count(file.name)
            return None
