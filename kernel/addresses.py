"""Address: the network address of somebody who asks, read in one way by everybody who counts or looks up by it.

Not here: whose address it is, and which proxies are believed about it (``kernel.asgi.client_address``).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NETWORK_BITS = {4: 24, 6: 48}
"""Of an address, what is told where the whole of it is not: /24 of IPv4, /48 of IPv6."""


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one in IPv4's clothes is IPv4. None for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network_of(address: IPv4Address | IPv6Address) -> str:
    """Name the network that an address is in.

    >>> network_of(IPv4Address("203.0.113.77")), network_of(IPv6Address("2001:db8:1:2::3"))
    ('203.0.113.0/24', '2001:db8:1::/48')
    """
    return str(ip_network((address, NETWORK_BITS[address.version]), strict=False))


_TUNNELS = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))
"""IPv6 that leads to some address of IPv4, which may be any (NAT64, 6to4, Teredo, compatible)."""


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open network; what cannot be read is not.

    >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    found = parsed(address)
    if found is None or not found.is_global or found.is_multicast:
        return False
    return not any(found.version == net.version and found in net for net in _TUNNELS)
