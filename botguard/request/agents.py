"""Agent: the browser that a request says it is, read from ``User-Agent`` (RFC 9110, section 10.1.5).

Only what can be held against other headers is read: the engine, its version, the system, whether it is a phone. What
is none of the large engines, or lives inside an app, is ``OTHER``: nothing is expected of it, so nothing speaks against
it. Not here: agents that declare themselves as programs (``crawlers``), what contradicts an agent (``hints``).
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

MOST_CHARS = 512
"""No browser says more of itself; the rest is not looked at."""


class Engine(StrEnum):
    """What draws the pages."""

    CHROMIUM = "chromium"
    FIREFOX = "firefox"
    SAFARI = "safari"
    OTHER = "other"


class System(StrEnum):
    """What the browser runs on."""

    WINDOWS = "windows"
    MAC = "mac"
    LINUX = "linux"
    ANDROID = "android"
    IOS = "ios"
    CHROMEOS = "chromeos"
    OTHER = "other"


class Agent(NamedTuple):
    """A browser as it describes itself; version 0 is unknown. ``is_plain``: no other brand is built on the engine."""

    engine: Engine = Engine.OTHER
    version: int = 0
    system: System = System.OTHER
    is_mobile: bool = False
    is_plain: bool = False


_CHROMIUM = re.compile(r"\)( [\w/. ]+)? (?:Headless)?Chrome/(\d{1,4})[.\d]* (?:Mobile )?Safari/[.\d]+(.*)")
_FIREFOX = re.compile(r"rv:[\d.]+\) Gecko/[\d.]+ Firefox/(\d{1,4})[.\d]*$")
_SAFARI = re.compile(r" Version/(\d{1,3})[.\d]* (?:Mobile/\w+ )?Safari/[.\d]+$")
_IN_APP = re.compile(r" Version/[.\d]+ Chrome/")
"""Android's web view, also where an app has taken ``; wv`` out; what it sends is its app's choice."""
_EDGE = re.compile(r" Edg(?:A)?/[.\d]+")

_SYSTEMS = (
    ("Windows NT", System.WINDOWS),
    ("Android", System.ANDROID),
    ("CrOS", System.CHROMEOS),
    ("iPhone", System.IOS),
    ("iPad", System.IOS),
    ("Macintosh", System.MAC),
    ("Linux", System.LINUX),
)


@lru_cache(maxsize=8192)
def read_agent(text: str) -> Agent:
    """Read a User-Agent; nothing is expected of what is not understood.

    >>> read_agent("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0").version
    133
    """
    text = text[:MOST_CHARS]
    system = next((one for word, one in _SYSTEMS if word in text), System.OTHER)
    is_mobile = "Mobile" in text
    if (found := _CHROMIUM.search(text)) is not None and "; wv)" not in text and not _IN_APP.search(text):
        is_plain = not found[1] and (not found[3] or _EDGE.fullmatch(found[3]) is not None)
        return Agent(Engine.CHROMIUM, int(found[2]), system, is_mobile, is_plain)
    if (found := _FIREFOX.search(text)) is not None:
        return Agent(Engine.FIREFOX, int(found[1]), system, is_mobile, is_plain=True)
    if (found := _SAFARI.search(text)) is not None and system in {System.MAC, System.IOS}:
        return Agent(Engine.SAFARI, int(found[1]), system, is_mobile, is_plain=True)
    return Agent(system=system, is_mobile=is_mobile)
