"""Ports: what is asked of others to know more of a request."""

from ipaddress import IPv4Address, IPv6Address
from typing import Protocol


class Resolver(Protocol):
    """The name service."""

    async def name_of(self, address: str) -> str:
        """Return the name of an address, '' for none. Raises ``OSError`` where nobody answers."""

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Return the addresses of a name. Raises ``OSError`` where nobody answers."""


class Systems(Protocol):
    """Knows autonomous systems."""

    def system_of(self, address: IPv4Address | IPv6Address) -> int:
        """Return the number of the system that an address is in, 0 for none known."""
