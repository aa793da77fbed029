"""Caching: whether whoever asks has it already, and whether they take it packed.

Source: RFC 9110, sections 12.5.3 (Accept-Encoding) and 13.1.2 (If-None-Match). Not here: what may be kept, and how long
(each web file says so).
"""

from kernel.asgi import Scope, header


def is_known(scope: Scope, etag: bytes) -> bool:
    """Tell whether whoever asks has this already (If-None-Match; RFC 9110, section 13.1.2)."""
    named = header(scope, b"if-none-match")
    if named is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in named.split(b",")]
    return b"*" in tags or etag in tags


def takes_gzip(scope: Scope) -> bool:
    """Tell whether whoever asks takes gzip."""
    for coding in (header(scope, b"accept-encoding") or b"").split(b","):
        name, _, weight = coding.partition(b";")
        if name.strip().lower() in {b"gzip", b"*"}:
            return weight.replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return False
