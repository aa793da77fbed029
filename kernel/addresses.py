"""Address: the network address of somebody who asks, read in one way by everybody who counts or looks up by it.

Not here: whose address it is, and which proxies are believed about it (``kernel.asgi.client_address``).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one in IPv4's clothes is IPv4. None for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
