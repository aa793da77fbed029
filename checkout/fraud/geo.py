"""Geo-IP: where an address is, from an operator's file in MaxMind's format (``kernel.places``).

A file with countries, with or without cities, and beside it one with autonomous systems; either is enough. Should a
record be bad after all checks, its addresses are at no known place, and that is counted. Only who pays is looked up.

Where an address is says little about who sits behind it (VPNs, mobile networks), and the address is only as true as the
list of trusted proxies. Not here: reading files anew (``kernel.watched``), what follows from a country (``rules``).
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from checkout.fraud.ports import FraudMetrics
from kernel.addresses import parsed
from kernel.errors import Misconfigured
from kernel.places import BAD, MOST_BYTES, GeoFile, Place, read_geo
from kernel.watched import FileCounts, Watched


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
        counts = FileCounts(metrics.fraud_reloads, metrics.fraud_stale)
        for name, path in (("geoip", places), ("geoip-asn", systems)):
            try:
                if path is not None:
                    self.files.append(Watched(name, path, read, counts, most_bytes=MOST_BYTES))
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
