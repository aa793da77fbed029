"""Browsers: requests of real ones (``botguard.fairness.browsers``), and a reader that asks nobody."""

from ipaddress import IPv4Address, IPv6Address

from botguard.fairness.browsers import (
    CHROME_AGENT,
    EDGE_AGENT,
    FIREFOX_AGENT,
    IN_APP_AGENT,
    OLD_AGENT,
    PEOPLE,
    PHONE_AGENT,
    SAFARI_AGENT,
    WEBVIEW_AGENT,
    Headers,
    chromium,
    firefox,
    safari,
    without,
)
from botguard.request.crawlers import Crawlers
from botguard.request.facts import Asking, Facts, Reader
from botguard.request.networks import Networks, shipped
from botguard.request.own_list import NOTHING, OwnList
from botguard.request.ports import Systems
from botguard.request.search_bots import SearchBots
from botguard.request.signed import Keys

__all__ = [
    "CHROME_AGENT",
    "EDGE_AGENT",
    "FIREFOX_AGENT",
    "IN_APP_AGENT",
    "OLD_AGENT",
    "PEOPLE",
    "PHONE_AGENT",
    "SAFARI_AGENT",
    "WEBVIEW_AGENT",
    "Headers",
    "chromium",
    "firefox",
    "safari",
    "without",
]

NOW_MS = 1_800_000_000_000


def replaced(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Say something else in one header."""
    return [(key, value if key == name else old) for key, old in headers]


class NoNames:
    """A name service that nobody may ask."""

    async def name_of(self, address: str) -> str:
        """Fail."""
        raise AssertionError(address)

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Fail."""
        raise AssertionError(name)


class NoSystems:
    """Knows one autonomous system."""

    def __init__(self, known: dict[str, int] | None = None) -> None:
        self.known = known or {}

    def system_of(self, address: IPv4Address | IPv6Address) -> int:
        """Look it up."""
        return self.known.get(str(address), 0)


CRAWLERS = Crawlers()
NETWORKS: Networks = shipped()


def reader(
    own: OwnList = NOTHING,
    keys: Keys | None = None,
    systems: Systems | None = None,
    search_bots: SearchBots | None = None,
) -> Reader:
    """Make a reader of requests."""
    return Reader(
        CRAWLERS,
        NETWORKS,
        own_list=lambda: own,
        keys=lambda: keys or {},
        search_bots=search_bots or SearchBots(NoNames(), lambda _word: None),
        systems=systems,
    )


def read(headers: Headers, address: str = "203.0.113.7", here: Reader | None = None, **more: object) -> Facts:
    """Read a request that came over TLS."""
    asking = Asking(address, "POST", "/.waitroom/r/main/join", **{"is_tls": True, **more})  # type: ignore[arg-type]
    return (here or reader()).read(headers, asking, NOW_MS)
