"""Systems: the autonomous system of an address, from an operator's file in MaxMind's format (``kernel.places``).

The reader in Python takes some tenths of a millisecond, so answers are kept: by /24 and /48, below which no system is
announced. A bad record is no known system. Not here: reading the file anew (``kernel.watched``).
"""

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address

from kernel.places import BAD, GeoFile
from kernel.watched import Watched

KEPT = 50_000


class SystemsFile:
    """``botguard.request.ports.Systems`` over a watched file."""

    def __init__(self, file: Watched[GeoFile]) -> None:
        """Keep nothing yet."""
        self._file = file
        self._kept: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._of = file.value

    def system_of(self, address: IPv4Address | IPv6Address) -> int:
        """Return the number of the system that an address is in, 0 for none known."""
        if self._of is not self._file.value:
            self._kept.clear()
            self._of = self._file.value
        key = address.version, int(address) >> (8 if address.version == 4 else 80)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._look(address)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def _look(self, address: IPv4Address | IPv6Address) -> int:
        try:
            place = self._file.value.look(address)
        except BAD:
            return 0
        return 0 if place is None else place.asn
