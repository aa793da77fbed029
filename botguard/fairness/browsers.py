"""Browsers: the headers that real ones send when a waiting page joins, in their order, over TLS.

Written down from what the browsers themselves send and from their public lists of agents; a Chromium is held against it
in a test. Not here: who uses them (``groups``).
"""

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
    agent: str = CHROME_AGENT,
    version: int = 131,
    system: str = "Windows",
    *,
    mobile: bool = False,
    language: str = "de-DE,de;q=0.9",
    brand: str = "Not_A Brand",
) -> Headers:
    """Give what Chromium sends with a fetch."""
    return [
        (b"host", b"tickets.example"),
        (b"connection", b"keep-alive"),
        (b"content-length", b"2"),
        (b"sec-ch-ua-platform", f'"{system}"'.encode()),
        (b"user-agent", agent.encode()),
        (b"sec-ch-ua", f'"Chromium";v="{version}", "{brand}";v="24"'.encode()),
        (b"content-type", b"application/json"),
        (b"sec-ch-ua-mobile", b"?1" if mobile else b"?0"),
        (b"accept", b"*/*"),
        (b"origin", b"https://tickets.example"),
        (b"sec-fetch-site", b"same-origin"),
        (b"sec-fetch-mode", b"cors"),
        (b"sec-fetch-dest", b"empty"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", language.encode()),
    ]


def firefox(agent: str = FIREFOX_AGENT, language: str = "de,en-US;q=0.7,en;q=0.3") -> Headers:
    """Give what Firefox sends."""
    return [
        (b"host", b"tickets.example"),
        (b"user-agent", agent.encode()),
        (b"accept", b"*/*"),
        (b"accept-language", language.encode()),
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


def old(agent: str) -> Headers:
    """Give what a browser of years ago sends: neither hints nor fetch metadata."""
    return [
        (b"host", b"tickets.example"),
        (b"user-agent", agent.encode()),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
        (b"accept-language", b"de"),
    ]


def by_form(headers: Headers) -> Headers:
    """Give what the same browser sends with a form, by a page without scripts."""
    changed = {
        b"accept": b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        b"content-type": b"application/x-www-form-urlencoded",
        b"sec-fetch-mode": b"navigate",
        b"sec-fetch-dest": b"document",
    }
    return [
        *((name, changed.get(name, value)) for name, value in headers),
        (b"sec-fetch-user", b"?1"),
        (b"upgrade-insecure-requests", b"1"),
    ]


def stripped(headers: Headers, *, tells: bool = True) -> Headers:
    """Give what a proxy leaves over that knows only old headers; `tells`: it says that it is there (RFC 9110)."""
    kept = sorted(row for row in headers if not row[0].startswith(b"sec-"))
    return [*kept, (b"via", b"1.1 proxy.company.example")] if tells else kept


def without(headers: Headers, *names: bytes) -> Headers:
    """Leave headers out."""
    return [row for row in headers if row[0] not in names]


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
    "an old browser": old(OLD_AGENT),
}
"""Real people's; nothing may speak against any of them."""
