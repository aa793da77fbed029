"""Browsers: the headers that real ones send when a waiting page joins, in their order, over TLS."""

from ipaddress import IPv4Address, IPv6Address

from botguard.request.crawlers import Crawlers
from botguard.request.facts import Asking, Facts, Reader
from botguard.request.networks import Networks, shipped
from botguard.request.own_list import NOTHING, OwnList
from botguard.request.ports import Systems
from botguard.request.search_bots import SearchBots
from botguard.request.signed import Keys

NOW_MS = 1_800_000_000_000
Headers = list[tuple[bytes, bytes]]

CHROME_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
PHONE_AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Mobile Safari/537.36"
)
FIREFOX_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
SAFARI_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
EDGE_AGENT = f"{CHROME_AGENT} Edg/131.0.0.0"
SAMSUNG_AGENT = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 "
    "Mobile Safari/537.36"
)
IN_APP_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "Instagram 361.0.0.35.82 (iPhone14,5; iOS 18_1; de_DE; de; scale=3.00; 1170x2532; 674117118)"
)
WEBVIEW_AGENT = (
    "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/131.0.6778.81 Mobile Safari/537.36"
)
OLD_AGENT = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"


def chromium(
    agent: str = CHROME_AGENT, version: int = 131, system: str = "Windows", *, mobile: bool = False
) -> Headers:
    """Give what Chromium sends with a fetch."""
    return [
        (b"host", b"tickets.example"),
        (b"connection", b"keep-alive"),
        (b"content-length", b"2"),
        (b"sec-ch-ua-platform", f'"{system}"'.encode()),
        (b"user-agent", agent.encode()),
        (b"sec-ch-ua", f'"Chromium";v="{version}", "Not_A Brand";v="24"'.encode()),
        (b"content-type", b"application/json"),
        (b"sec-ch-ua-mobile", b"?1" if mobile else b"?0"),
        (b"accept", b"*/*"),
        (b"origin", b"https://tickets.example"),
        (b"sec-fetch-site", b"same-origin"),
        (b"sec-fetch-mode", b"cors"),
        (b"sec-fetch-dest", b"empty"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", b"de-DE,de;q=0.9"),
    ]


def firefox() -> Headers:
    """Give what Firefox sends."""
    return [
        (b"host", b"tickets.example"),
        (b"user-agent", FIREFOX_AGENT.encode()),
        (b"accept", b"*/*"),
        (b"accept-language", b"de,en-US;q=0.7,en;q=0.3"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"sec-fetch-dest", b"empty"),
        (b"sec-fetch-mode", b"cors"),
        (b"sec-fetch-site", b"same-origin"),
    ]


def safari(agent: str = SAFARI_AGENT) -> Headers:
    """Give what Safari sends."""
    return [
        (b"host", b"tickets.example"),
        (b"accept", b"*/*"),
        (b"sec-fetch-site", b"same-origin"),
        (b"accept-language", b"de-DE,de;q=0.9"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"sec-fetch-mode", b"cors"),
        (b"user-agent", agent.encode()),
        (b"sec-fetch-dest", b"empty"),
    ]


PEOPLE: dict[str, Headers] = {
    "chrome": chromium(),
    "chrome on a phone": chromium(PHONE_AGENT, system="Android", mobile=True),
    "the desktop's site on a phone": chromium(
        CHROME_AGENT.replace("Windows NT 10.0; Win64; x64", "X11; Linux x86_64"), system="Android"
    ),
    "edge": chromium(EDGE_AGENT),
    "samsung's, which sends no hints": [
        row for row in chromium(SAMSUNG_AGENT) if not row[0].startswith(b"sec-ch")
    ],
    "firefox": firefox(),
    "safari": safari(),
    "a browser within an app": safari(IN_APP_AGENT),
    "a web view": [row for row in chromium(WEBVIEW_AGENT) if not row[0].startswith(b"sec-")],
    "an old browser": [
        (b"host", b"tickets.example"),
        (b"user-agent", OLD_AGENT.encode()),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
        (b"accept-language", b"de"),
    ],
}
"""Real people's; nothing may speak against any of them."""


def without(headers: Headers, *names: bytes) -> Headers:
    """Leave headers out."""
    return [row for row in headers if row[0] not in names]


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
