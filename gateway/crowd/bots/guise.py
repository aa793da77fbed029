"""Guise: what a fan or a bot shows of itself: its browser's headers, its address, what its device can do.

Worn only in a crowd that has bots; other crowds say plainly what they are. People come as people do: on telephones more
than at desks, with browsers that send hints and with such that do not, three behind a household's address, 64 behind
one of a mobile network, many behind Private Relay and some behind a company's cloud. The shares are assumptions, told
in ``docs/bots-crowd.md``; headers are those that real browsers send (``tests/botguard/request/browsers.py``).

Addresses are of 198.18.0.0/15, set aside for load tests (RFC 2544), but for those whose network is the point: a cloud
and Private Relay, as the lists in ``botguard/request/networks`` know them.

Pure: one seed, one wardrobe. Not here: which kind somebody is (``kinds``).
"""

from dataclasses import dataclass, replace
from random import Random

from gateway.crowd.bots.kinds import RING, Kind

PLAIN_RATIO = 0.02
"""People whose browser runs no scripts: they cannot do a check."""
HASHES_PER_S = (60_000.0, 600_000.0)
"""What browsers calculate, the slowest and the fastest (ADR-0026)."""
_CHROME = "131"


@dataclass(frozen=True, slots=True)
class Guise:
    """What is shown. `head` goes with every request, `act` besides with those that have a body; whole lines."""

    head: bytes
    act: bytes
    has_scripts: bool = True
    hashes_per_s: float = HASHES_PER_S[1]

    @property
    def is_phone(self) -> bool:
        """Tell whether fingers move what is moved."""
        return b"Mobile" in self.head


@dataclass(frozen=True, slots=True)
class _Browser:
    """A browser: its agent, the rows that only Chromium sends, its languages."""

    share: float
    agent: str
    hints: str = ""
    fetches: bool = True
    relayed: bool = False
    codings: str = "gzip, deflate, br, zstd"

    def lines(self, language: str) -> str:
        """Give the lines of every request."""
        return f"{self.hints}user-agent: {self.agent}\r\naccept-language: {language}\r\n"

    def acts(self, origin: str) -> str:
        """Give the lines of a fetch that sends something."""
        site = "sec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n"
        return f"origin: {origin}\r\naccept-encoding: {self.codings}\r\n{site if self.fetches else ''}"


def _hints(system: str, *, mobile: bool = False, brand: str = "Google Chrome") -> str:
    return (
        f'sec-ch-ua-platform: "{system}"\r\n'
        f'sec-ch-ua: "Chromium";v="{_CHROME}", "{brand}";v="{_CHROME}", "Not_A Brand";v="24"\r\n'
        f"sec-ch-ua-mobile: ?{int(mobile)}\r\n"
    )


def _chrome(inside: str, more: str = "", mobile: str = "") -> str:
    return (
        f"Mozilla/5.0 ({inside}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{_CHROME}.0.0.0 {mobile}Safari/537.36{more}"
    )


_WINDOWS, _PHONE = "Windows NT 10.0; Win64; x64", "Linux; Android 10; K"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
CHROME = _Browser(0.18, _chrome(_WINDOWS), _hints("Windows"))
BROWSERS = (
    CHROME,
    _Browser(0.30, _chrome(_PHONE, mobile="Mobile "), _hints("Android", mobile=True)),
    _Browser(
        0.27, f"{_IPHONE}Version/18.1 Mobile/15E148 Safari/604.1", relayed=True, codings="gzip, deflate, br"
    ),
    _Browser(
        0.06,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.1 Safari/605.1.15",
        relayed=True,
        codings="gzip, deflate, br",
    ),
    _Browser(0.06, _chrome(_WINDOWS, " Edg/131.0.0.0"), _hints("Windows", brand="Microsoft Edge")),
    _Browser(0.04, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"),
    _Browser(
        0.05,
        f"Mozilla/5.0 ({_PHONE}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 "
        "Mobile Safari/537.36",
    ),
    _Browser(
        0.03,
        f"{_IPHONE}Mobile/15E148 Instagram 361.0.0.35.82 (iPhone14,5; iOS 18_1; de_DE; de; scale=3.00; "
        "1170x2532; 674117118)",
        codings="gzip, deflate, br",
    ),
    _Browser(
        0.01,
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        fetches=False,
        codings="gzip",
    ),
)
"""People's, with how many of a hundred have which."""

LANGUAGES = (
    "de-DE,de;q=0.9",
    "en-GB,en;q=0.9",
    "de-DE,de;q=0.9,en;q=0.8",
    "fr-FR,fr;q=0.9",
    "tr-TR,tr;q=0.9",
)
LIBRARIES = (
    "python-requests/2.32.3",
    "curl/8.9.1",
    "Go-http-client/1.1",
    "python-httpx/0.28.1",
    "okhttp/4.12.0",
)
HOUSEHOLD, MOBILE, RELAYED, OFFICE = 3, 64, 25, 10
"""People behind one address."""
_CLOUD, _ONE_NETWORK = "3.5.140", "3.5.142"


def dress(kind: Kind | None, nth: int, index: int, origin: str, random: Random) -> Guise:
    """Dress the `nth` of a kind (None: people), the crowd's `index`-th, for a site at `origin`."""
    if kind is None:
        return _person(nth, origin, random)
    if kind is Kind.LIBRARY:
        agent = LIBRARIES[nth % len(LIBRARIES)]
        return Guise(f"user-agent: {agent}\r\n{_from(f'{_CLOUD}.{1 + nth % 200}')}".encode(), b"")
    match kind:
        case Kind.MANY_JOIN:
            address = f"198.19.{nth // RING % 250}.250"
        case Kind.MIMIC_ONE_NETWORK:
            address = f"{_ONE_NETWORK}.{1 + nth % 250}"
        case _:
            address = f"198.19.{index % 250}.{index // 250 % 250}"
    return _as(CHROME, LANGUAGES[index % 2], address, origin)


def _person(nth: int, origin: str, random: Random) -> Guise:
    browser = random.choices(BROWSERS, [one.share for one in BROWSERS])[0]
    where, many = random.random(), max(1, nth)
    if browser.relayed and where < 0.30:
        address = f"104.28.28.{1 + many // (RELAYED * 10) % 250}"  # one of ten people comes by it
    elif 0.30 <= where < 0.60:
        address = f"198.19.250.{1 + many // (MOBILE * 3) % 250}"  # three of ten
    elif 0.60 <= where < 0.64:
        address = f"{_CLOUD}.{201 + many // (OFFICE * 25) % 50}"
    else:
        home = nth // HOUSEHOLD
        address = f"198.18.{home % 250}.{home // 250 % 250}"
    slow, fast = HASHES_PER_S
    worn = _as(browser, random.choice(LANGUAGES), address, origin)
    return replace(
        worn,
        has_scripts=random.random() >= PLAIN_RATIO,
        hashes_per_s=slow * (fast / slow) ** random.random(),
    )


def _as(browser: _Browser, language: str, address: str, origin: str) -> Guise:
    head = browser.lines(language) + _from(address)
    return Guise(head.encode(), browser.acts(origin).encode())


def _from(address: str) -> str:
    """Come over TLS from an address, as a proxy before the room tells it."""
    return f"x-forwarded-for: {address}\r\nx-forwarded-proto: https\r\n"
