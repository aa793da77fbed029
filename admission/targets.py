r"""Target: where an admitted fan goes on to. Never anywhere that a stranger's link could choose.

Allowed are a path on this host, and an https address whose host is on the room's list. Browsers read ``\`` as
``/``, drop tabs and line breaks, and take ``//host`` as another site, so all of these are refused rather than
mended (RFC 3986, WHATWG URL). Not here: the redirect itself.
"""

import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit

from kernel.errors import Refused

MAX_CHARS = 2048
HTTPS_PORT = 443
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_SAFE = "/?:@!$&'()*+,;=-._~%#[]"
_CLEAN = re.compile(f"[A-Za-z0-9{re.escape(_SAFE)}]*")


def checked(target: str, hosts: Collection[str]) -> str:
    """Return the target as it may stand in a Location header.

    Raises ``Refused`` (target-not-allowed, 400).
    """
    if target and len(target) <= MAX_CHARS and not _FORBIDDEN.search(target):
        if target.startswith("/") and not target.startswith("//"):
            return _quoted(target)
        if target.startswith("https://") and _is_listed(target, hosts):
            return _quoted(target)
    raise Refused("target-not-allowed", "The page to go on to is not part of this site.", status=400)


def _quoted(target: str) -> str:
    return target if _CLEAN.fullmatch(target) else quote(target, safe=_SAFE)


def _is_listed(target: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(target)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if "@" in parts.netloc or not host or not parts.netloc.isascii():
        return False
    return (port in (None, HTTPS_PORT) and host in hosts) or f"{host}:{port}" in hosts
