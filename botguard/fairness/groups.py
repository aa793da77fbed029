"""Group: people who have something in common that a bot guard could hold against them, and how they are made here.

A group is what its people send (``browsers``), where they come from, how many others act from there, whether they keep
our cookie, and which recorded rhythm they move with; '' is none: keyboard only, a screen reader, a switch, no scripts.
**Held** groups are those whom the promise of docs/bots-fairness.md covers. The others stand in the table so that nobody
has to find out what it does not cover.

Not here: what befalls them (``simulating``), what is fair (``measure``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from botguard.fairness.browsers import (
    CHROME_AGENT,
    EDGE_AGENT,
    FIREFOX_AGENT,
    IN_APP_AGENT,
    OLD_AGENT,
    PEOPLE,
    PHONE_AGENT,
    WEBVIEW_AGENT,
    Headers,
    by_form,
    chromium,
    firefox,
    old,
    safari,
    stripped,
    without,
)  # fmt: skip


class Place(StrEnum):
    """Where a group's people come from."""

    HOUSEHOLDS = "households"
    """Each from a /24 of their own."""

    CARRIER = "carrier"
    """All from one address of a mobile network."""

    RELAY = "relay"
    TOR = "tor"
    OFFICE = "office"
    """All from one address, of which no list knows anything."""

    CLOUD = "cloud"
    """From a few addresses of a cloud: a company's own exit, or a VPN."""


@dataclass(frozen=True, slots=True)
class Group:
    """People with something in common."""

    name: str
    requests: Sequence[Headers]
    rhythm: str = ""
    place: Place = Place.HOUSEHOLDS
    others: int = 0
    """Joins of others from the same addresses within the ten minutes that are counted."""

    has_cookies: bool = True
    is_held: bool = True


WINDOWS_FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
MAC_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15"
)
DESKTOPS = (chromium(), chromium(EDGE_AGENT), firefox(), safari(MAC_SAFARI))
PHONES = (PEOPLE["chrome on a phone"], safari(), PEOPLE["samsung's, which sends no hints"])
BRAVE = chromium(brand="Brave", language="en-US,en;q=0.7")
HINTS = (b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform")

_ANDROID = WEBVIEW_AGENT
_APPLE = IN_APP_AGENT.partition(" Instagram")[0]
_BUILD = _ANDROID.replace("UP1A", "AP3A.240617.008")
APPS = (
    f"{_ANDROID} [FB_IAB/FB4A;FBAV/490.0.0.50.82;IABMV/1;]",
    f"{_ANDROID} MetaIAB Facebook",
    f"{_APPLE} [FBAN/FBIOS;FBAV/490.0.0.30.108;FBDV/iPhone14,5;FBSN/iOS;FBSV/18.1;FBLC/de_DE]",
    IN_APP_AGENT,
    f"{_BUILD} Instagram 406.0.0.58.159 Android (35/15; 480dpi; 1080x2400; OPPO; CPH2557; en_MY; IABMV/1)",
    f"{_APPLE} musical_ly_37.4.0 JsSdk/2.0 NetType/WIFI Channel/App Store BytedanceWebview/d8a21c6",
    f"{_ANDROID.replace('; wv', '')} trill_370403 NetType/WIFI Channel/googleplay BytedanceWebview/d8a21c6",
    f"{_APPLE} MicroMessenger/8.0.53(0x18003531) NetType/WIFI Language/zh_CN",
    f"{_ANDROID} XWEB/1160117 MMWEBSDK/20240404 MicroMessenger/8.0.49.2600 WeChat/arm64 Weixin NetType/5G",
    f"{_APPLE} Safari Line/14.20.0",
    f"{_ANDROID} Viber/23.8",
    f"{_APPLE} WhatsApp/2.24.22",
    f"{_APPLE} Snapchat/13.13.0.39 (like Safari/8617.3.1, panda)",
    f"{_ANDROID} [Pinterest/Android]",
    f"{_APPLE} LinkedInApp [LinkedIn]/9.30.2342",
    f"{_APPLE} Twitter for iPhone/10.65",
    f"{_APPLE} KAKAOTALK/24.10.0 (INAPP)",
    f"{_APPLE} GSA/343.0.695551749 Safari/604.1",
)
"""What browsers within apps call themselves, on Android and on iOS."""

_IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 9_3_5 like Mac OS X) AppleWebKit/601.1.46 (KHTML, like Gecko) "
    "Version/9.0 Mobile/13G36 Safari/601.1"
)
OLD = (
    old(OLD_AGENT),
    chromium(CHROME_AGENT.replace("131", "109").replace("NT 10.0", "NT 6.1"), version=109),
    old(CHROME_AGENT.replace("131.0.0.0", "49.0.2623.112")),
    firefox(WINDOWS_FIREFOX.replace("128", "78")),
    old(_IPAD),
    old("Opera/9.80 (Android; Opera Mini/85.0.2254/191.303; U; en) Presto/2.12.423 Version/12.16"),
    old(CHROME_AGENT.replace("131.0.0.0", "64.0.3282.140") + " Edge/18.17763"),
    old("Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5"),
)
LANGUAGES = (
    "ar",
    "fr-FR,fr;q=0.9",
    "ja,en-US;q=0.9,en;q=0.8",
    "pt-BR,pt;q=0.9",
    "tr-TR,tr;q=0.9",
    "uk-UA",
    "zh-CN,zh;q=0.9",
)


def within_app(agent: str) -> Headers:
    """Give what a browser within an app sends; on Android the app may have made the request itself."""
    return safari(agent) if "Mac OS X" in agent else without(chromium(agent), *HINTS, b"sec-fetch-site")


GROUPS: Sequence[Group] = (
    Group("mouse", DESKTOPS, "mouse"),
    Group("touch on a phone", PHONES, "touch"),
    Group("touchpad", DESKTOPS, "touchpad"),
    Group("keyboard only", DESKTOPS),
    Group("screen reader", (*DESKTOPS, *PHONES)),
    Group("switch control", (*DESKTOPS, *PHONES)),
    Group("mouse keys of the system", DESKTOPS, "mouse keys"),
    Group("remote desktop", DESKTOPS, "remote desktop"),
    Group("a mouse that reports very often", DESKTOPS, "fast mouse"),
    Group("zoom of 400 %", DESKTOPS, "mouse"),
    Group("reduced motion", DESKTOPS, "mouse"),
    Group("high contrast", DESKTOPS, "mouse"),
    Group("a slow phone", PHONES, "touch"),
    Group("looks at another tab", DESKTOPS),
    Group("Private Relay", (safari(), safari(MAC_SAFARI)), "touch", Place.RELAY, others=2_000),
    Group("10,000 on one address of a carrier", PHONES, "touch", Place.CARRIER, others=10_000),
    Group("Tor", (firefox(WINDOWS_FIREFOX, "en-US,en;q=0.5"),), "mouse", Place.TOR, others=2_000),
    Group("a company's proxy that strips headers", tuple(map(stripped, DESKTOPS)), "mouse", Place.OFFICE, others=2_000),
    Group("a company's cloud, or a VPN", DESKTOPS, "mouse", Place.CLOUD, others=2_000),
    Group("Firefox that resists fingerprinting", (firefox(WINDOWS_FIREFOX, "en-US,en;q=0.5"),), "mouse"),
    Group("Brave", (BRAVE,), "mouse"),
    Group("a Chromium without client hints",
          (without(chromium(), *HINTS), without(chromium(PHONE_AGENT), *HINTS)), "mouse"),
    Group("old browsers", OLD, "mouse"),
    Group("browsers within apps", tuple(map(within_app, APPS)), "touch"),
    Group("other languages", tuple(
        headers for language in LANGUAGES
        for headers in (chromium(language=language), firefox(FIREFOX_AGENT, language))
    ), "mouse"),
    Group("no JavaScript", tuple(map(by_form, DESKTOPS))),
    Group("cookies blocked", DESKTOPS, "mouse", has_cookies=False),
    Group("not held: wears another browser's name", (
        [*firefox(), (b"sec-ch-ua", b'"Chromium";v="131"')],
        chromium(version=119), chromium(system="Linux"),
    ), "mouse", is_held=False),
    Group("not held: a cloud's proxy that strips and does not say so",
          tuple(stripped(headers, tells=False) for headers in DESKTOPS), "mouse", Place.CLOUD, others=2_000,
          is_held=False),
)  # fmt: skip
