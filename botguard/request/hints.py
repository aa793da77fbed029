"""Hint: what a browser's headers say against the agent that it gives, each as a sign of its own.

Only what a browser always does is held against one that does not:

* Client hints (``Sec-CH-UA``, W3C UA Client Hints) come from Chromium, over TLS; their version, system and form must be
  those of the agent. Firefox and Safari send none.
* Fetch metadata (``Sec-Fetch-Site``) comes from every browser of the last years, over TLS.
* ``Accept-Language`` is sent by browsers always.
* Chromium and Firefox write ``User-Agent``, ``Accept``, ``Accept-Language``, ``Accept-Encoding`` in one order each. A
  proxy may change it, so the order counts only where nobody stands in between.
* JA4 (FoxIO, BSD 3-clause) as a proxy of ours passes it: every browser names the host (SNI) and a protocol (ALPN), and
  speaks TLS 1.3.

A proxy between the browser and the site says so (``Via``, RFC 9110, section 7.6.3). It may strip headers, put them in
another order and speak TLS in its own way, so behind one nothing of that is held against anybody. Whoever puts ``Via``
on could as well put on what is missing. A CDN that puts it on for everybody hides those signs from its site.

Whoever asks for the desktop's site on a telephone, wears another agent or sits behind a company's proxy may show one of
these as well; so none is a proof. What is not there to be seen (no TLS, no JA4) is missing, not a sign. Pure.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from botguard.request.agents import Agent, Engine, System

Header = tuple[bytes, bytes]


class Sign(StrEnum):
    """One thing that speaks against the agent."""

    AGENT_MISSING = "agent-missing"
    HINTS_MISSING = "hints-missing"
    HINTS_UNEXPECTED = "hints-unexpected"
    HINTS_VERSION = "hints-version"
    HINTS_SYSTEM = "hints-system"
    HINTS_MOBILE = "hints-mobile"
    FETCH_MISSING = "fetch-missing"
    LANGUAGE_MISSING = "language-missing"
    ORDER = "header-order"
    TLS = "tls-unlike-browser"


CHROMIUM_HINTS_SINCE = 90
FETCH_SINCE: Mapping[Engine, int] = {Engine.CHROMIUM: 80, Engine.FIREFOX: 90, Engine.SAFARI: 17}
ORDERS: Mapping[Engine, Sequence[bytes]] = {
    Engine.CHROMIUM: (b"user-agent", b"accept", b"accept-encoding", b"accept-language"),
    Engine.FIREFOX: (b"user-agent", b"accept", b"accept-language", b"accept-encoding"),
}

_VERSION = re.compile(rb'"Chromium";v="(\d{1,4})')
_JA4 = re.compile(r"([tqd])(\d\d|s[1-3])([di])(\d\d)(\d\d)([0-9a-zA-Z]{2})_[0-9a-f]{12}_[0-9a-f]{12}")
_ALIKE = (
    frozenset({System.LINUX, System.ANDROID, System.CHROMEOS}),
    frozenset({System.MAC, System.IOS}),
)
"""Systems of one kin: the desktop's site on a telephone names one and is the other."""

_HINTED = {
    b'"Windows"': System.WINDOWS,
    b'"macOS"': System.MAC,
    b'"Linux"': System.LINUX,
    b'"Android"': System.ANDROID,
    b'"iOS"': System.IOS,
    b'"Chrome OS"': System.CHROMEOS,
    b'"Chromium OS"': System.CHROMEOS,
}


def signs(
    agent: Agent,
    headers: Mapping[bytes, bytes],
    names: Iterable[bytes],
    *,
    is_tls: bool,
    is_direct: bool,
    ja4: str = "",
) -> list[Sign]:
    """List what speaks against an agent; ``names`` are the headers in the order in which they came."""
    if not headers.get(b"user-agent"):
        return [Sign.AGENT_MISSING]
    if agent.engine is Engine.OTHER:
        return []
    is_passed_on = b"via" in headers
    found = _of_hints(agent, headers, is_tls=is_tls and not is_passed_on)
    if is_passed_on:
        return found
    since = FETCH_SINCE[agent.engine]
    if is_tls and agent.version >= since and b"sec-fetch-site" not in headers:
        found.append(Sign.FETCH_MISSING)
    if b"accept-language" not in headers:
        found.append(Sign.LANGUAGE_MISSING)
    if is_direct and not _is_ordered(ORDERS.get(agent.engine, ()), names):
        found.append(Sign.ORDER)
    if (tls := _JA4.fullmatch(ja4)) is not None and agent.version >= since and not _is_browsers(tls):
        found.append(Sign.TLS)
    return found


def _of_hints(agent: Agent, headers: Mapping[bytes, bytes], *, is_tls: bool) -> list[Sign]:
    brands = headers.get(b"sec-ch-ua")
    if agent.engine is not Engine.CHROMIUM:
        return [] if brands is None else [Sign.HINTS_UNEXPECTED]
    if brands is None:
        missing = is_tls and agent.is_plain and agent.version >= CHROMIUM_HINTS_SINCE
        return [Sign.HINTS_MISSING] if missing else []
    found: list[Sign] = []
    version = _VERSION.search(brands)
    if version is not None and int(version[1]) != agent.version:
        found.append(Sign.HINTS_VERSION)
    system = _HINTED.get(headers.get(b"sec-ch-ua-platform", b""))
    if system is not None and agent.system is not System.OTHER and not _alike(system, agent.system):
        found.append(Sign.HINTS_SYSTEM)
    if headers.get(b"sec-ch-ua-mobile") == b"?1" and not agent.is_mobile:
        found.append(Sign.HINTS_MOBILE)
    return found


def _alike(left: System, right: System) -> bool:
    return left is right or any(left in kin and right in kin for kin in _ALIKE)


def _is_ordered(order: Sequence[bytes], names: Iterable[bytes]) -> bool:
    """Tell whether those names of the order that are there stand in it."""
    places = [order.index(name) for name in names if name in order]
    return places == sorted(places)


def _is_browsers(tls: re.Match[str]) -> bool:
    return tls[2] == "13" and tls[3] == "d" and tls[6] != "00"
