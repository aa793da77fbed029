"""Sites: what the doctor sees of the sites behind the gate, and of certificates that are soon over.

A site is asked for a connection and, where it has TLS, for its certificate; nothing is sent to it. Not here: whether it
answers well (``gateway.origins`` counts that all day).
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.doctor.finding import Finding, fail, ok, skip, warn
from gateway.settings import Settings
from kernel.settings import env
from waitroom.rooms import Room

PATIENCE_S = 3.0
AT_ONCE = 8
SITES_MOST = 200
DAY_S = 86_400
SOON_DAYS, NOW_DAYS = 14, 3


class Site(NamedTuple):
    """Where somebody listens."""

    host: str
    port: int
    has_tls: bool


def site_of(url: str) -> Site:
    """Read an address; its port follows from its scheme."""
    parts = urlsplit(url)
    has_tls = parts.scheme == "https"
    return Site(parts.hostname or "", parts.port or (443 if has_tls else 80), has_tls)


def look_at_origins(rooms: Iterable[Room]) -> Iterator[Finding]:
    """Whether somebody listens at the origin of each room."""
    origins = {room.name: site_of(room.origin) for room in rooms}
    if not origins:
        yield skip("origins", "No room is known, so there is no site to look at.")
        return
    asked = sorted(set(origins.values()))[:SITES_MOST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        why = dict(zip(asked, pool.map(why_away, asked), strict=True))
    away = {name: why[site] for name, site in origins.items() if why.get(site)}
    for name, reason in away.items():
        yield fail(
            f"origins.{name}",
            f"Nobody answers at the site of this room ({reason}).",
            "Start the site, or set the room's `origin` to where it is: whoever is let in sees that it is away.",
        )
    if not away:
        yield ok("origins", "Somebody listens at the site of each room.")


def why_away(site: Site) -> str:
    """Connect; return '' where somebody listens, else why not in a word."""
    try:
        socket.create_connection((site.host, site.port), PATIENCE_S).close()
    except OSError as error:
        return type(error).__name__
    return ""


def look_at_certificates(
    settings: Settings,
    rooms: Iterable[Room],
    context: ssl.SSLContext | None = None,
    now_s: float | None = None,
) -> Iterator[Finding]:
    """Whether certificates are good, and for how long: of the addresses that people type, and of origins with TLS."""
    named = [(env(name), getattr(settings, name)) for name in ("public_url", "operator_url")]
    named += [(f"the site of room {room.name}", room.origin) for room in rooms]
    sites: dict[Site, str] = {}
    for whose, url in named:
        if url is not None and (site := site_of(url)).has_tls:
            sites.setdefault(site, whose)
    if not sites:
        yield skip("tls", "Nothing that is set has TLS: whoever ends it in front watches its certificate.")
        return
    own = context or ssl.create_default_context()
    asked = list(sites)[:SITES_MOST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        until = pool.map(lambda site: ends_s(site, own), asked)
        yield from _judged(
            [(sites[site], end) for site, end in zip(asked, until, strict=True)], now_s or time.time()
        )


def _judged(found: Sequence[tuple[str, float | str]], now_s: float) -> Iterator[Finding]:
    for whose, end in found:
        if isinstance(end, str):
            yield warn("tls", f"The certificate of {whose} could not be looked at ({end}).", REACH)
            continue
        days = int((end - now_s) // DAY_S)
        if days < 0:
            yield fail("tls", f"The certificate of {whose} is not accepted, or over.", RENEW)
        elif days < SOON_DAYS:
            word = fail if days < NOW_DAYS else warn
            yield word("tls", f"The certificate of {whose} is over in {days} days.", RENEW)
        else:
            yield ok("tls", f"The certificate of {whose} is good for {days} days.")


RENEW = "Renew it, and see that whoever ends TLS reads the new one; browsers and the gate refuse one that is over."
REACH = "Look at it from outside: from here its address cannot be reached, or does not speak TLS."


def ends_s(site: Site, context: ssl.SSLContext) -> float | str:
    """Tell when a certificate is over, in seconds since 1970; 0 for one that is not accepted; else why in a word."""
    try:
        with (
            socket.create_connection((site.host, site.port), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=site.host) as wrapped,
        ):
            told = wrapped.getpeercert()
    except ssl.SSLCertVerificationError:
        return 0.0
    except OSError as error:
        return type(error).__name__
    return float(ssl.cert_time_to_seconds(str(told["notAfter"]))) if told else 0.0
