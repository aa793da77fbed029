"""Open paths: what an origin says must be reached without an admission, held against what this gate lets through.

A shop publishes them at ``/.well-known/waitroom-open-paths``; most sites have no such address, and nothing is said of
them. What is missing at the gate is told, with the line that puts it right, and never opened by itself: an origin
decides what it needs, and the operator what is open. Not here: letting through (``decision.is_open_path``).
"""

import http.client
import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence

from checkout.tickets.links import PUBLISHED
from gateway.decision import covers
from kernel.settings import env, is_site

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
MOST_BYTES = 8_192
MOST_PATHS = 32
_JSON = {"Accept": "application/json"}
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,100}")


class Silent(Exception):
    """An origin does not answer, or cannot be asked."""


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Go nowhere."""


def published(origin: str) -> tuple[str, ...] | None:
    """Ask an origin; None for one that publishes nothing. Raises ``Silent`` for one that does not answer."""
    if not is_site(origin):
        raise Silent(f"{origin} is not an address such as http://shop.internal:8082.")
    # It is http or https, as the line above has seen.
    request = urllib.request.Request(origin.rstrip("/") + PUBLISHED, headers=_JSON)  # noqa: S310
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=PATIENCE_S) as answer:
            octets = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Silent(f"{origin} does not answer.") from error
    return read(octets)


def read(octets: bytes) -> tuple[str, ...] | None:
    """Read what was published; None for what is nothing of the kind."""
    try:
        plain = json.loads(octets) if len(octets) <= MOST_BYTES else None
    except ValueError:
        return None
    paths = plain.get("open_paths") if isinstance(plain, dict) else None
    if not isinstance(paths, list) or len(paths) > MOST_PATHS:
        return None
    if not all(isinstance(path, str) and _PATH.fullmatch(path) for path in paths):
        return None
    return tuple(paths)


def missing(wanted: Iterable[str], own: Sequence[str]) -> tuple[str, ...]:
    """Name those that no own path covers.

    >>> missing(["/tickets/", "/scan/"], ["/tickets"])
    ('/scan/',)
    """
    return tuple(path for path in wanted if not any(covers(one, path) for one in own))


def line(own: Sequence[str], more: Sequence[str]) -> str:
    """Write the setting with which nothing is missing."""
    return f"{env('open_paths')}={','.join((*own, *more))}"


def warn(origins: Iterable[str], own: Sequence[str]) -> int:
    """Tell in the log what is missing before each origin; returns how many origins that were. Changes nothing."""
    found = 0
    for origin in sorted(set(origins)):
        try:
            more = missing(published(origin) or (), own)
        except Silent:
            continue
        if more:
            found += 1
            log.warning(
                "an origin has addresses that need no admission, and this gate keeps them shut",
                extra={"origin": origin, "missing": list(more), "set": line(own, more)},
            )
    return found
