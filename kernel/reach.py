"""Reach: which hosts a server of ours may be told to call by somebody who is not its administrator.

It stands inside, so it may see what others do not: a cloud's metadata, an admin page without a login. So it calls over
https and public addresses only; other hosts, those at private addresses among them, must be named in the settings. What
a name stands for is asked with every connection (``connecting``), not only when the address is written down. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from kernel.addresses import is_public, parsed

UNREADABLE = "cannot be read as an address"

_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached. `hosts` are written as ``hooks.example`` or ``*.hooks.example``.

    `hosts`: no others, where any are named. `private`: hosts that may stand for private addresses, and be called
    without TLS.
    """

    hosts: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def host_fault(self, host: str) -> str:
        """Say why a host may not be called, whatever it stands for; '' where it may."""
        if _among(host, self.private):
            return ""
        if self.hosts and not _among(host, self.hosts):
            return "this host is not one of those that may be called"
        if parsed(host) is not None and not is_public(host):
            return "this address is not public, and its host not one of those that may be private"
        return ""

    def may_reach(self, host: str, address: str) -> bool:
        """Tell whether a host that stands for this address may be connected to: asked with every connection."""
        return not self.host_fault(host) and (_among(host, self.private) or is_public(address))

    def fault(self, url: str) -> str:
        """Say why an address may not be called; '' where it may."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return UNREADABLE
        if not host or port == 0 or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>'):
            return UNREADABLE
        if parts.username is not None or parts.fragment:
            return "must have no user and no fragment"
        if parts.scheme != "https" and not (parts.scheme == "http" and _among(host, self.private)):
            return "must begin with https://"
        return self.host_fault(host)


def wrong_hosts(hosts: Sequence[str]) -> list[str]:
    """Return what is no host such as ``hooks.example``, ``*.hooks.example`` or an address."""
    return [host for host in hosts if not _HOST.fullmatch(host) and parsed(host) is None]


def _among(host: str, hosts: Sequence[str]) -> bool:
    host = host.lower().rstrip(".")
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)
