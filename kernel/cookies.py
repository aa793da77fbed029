"""Cookie: a small text that the browser keeps and sends back with each request (RFC 6265bis).

Writing is strict: a value that would need quoting is an error of ours. Reading is tolerant, because the
header also holds other people's cookies, but bounded. ``__Host-`` binds a cookie to this very host, so
that a neighbouring subdomain cannot plant one; browsers allow it only with TLS, hence ``host_name``. Not
here: which cookies there are.
"""

import re
from typing import Literal

from kernel.errors import Refused

HEADER_MAX_BYTES = 16_384

SameSite = Literal["lax", "strict", "none"]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_PATH = re.compile(r"/[ -:<-~]*")


def set_cookie(
    name: str,
    value: str,
    *,
    secure: bool,
    http_only: bool = True,
    same_site: SameSite = "lax",
    max_age_s: int | None = None,
    path: str = "/",
    partitioned: bool = False,
) -> bytes:
    """Write the value of a Set-Cookie header; ``max_age_s=0`` deletes, ``None`` lives as long as the browser.

    Raises ``ValueError`` for what a browser would refuse or read differently.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be a cookie's name")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"the value of the cookie {name} needs encoding")
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"{path!r} cannot be a cookie's path")
    if not secure and (partitioned or same_site == "none" or name.startswith(("__Host-", "__Secure-"))):
        raise ValueError(f"browsers take the cookie {name} only when it is secure")
    if name.startswith("__Host-") and path != "/":
        raise ValueError(f"browsers take the cookie {name} only for the path /")
    text = f"{name}={value}; Path={path}; SameSite={same_site.capitalize()}"
    if max_age_s is not None:
        text += f"; Max-Age={max_age_s}"
    if http_only:
        text += "; HttpOnly"
    if secure:
        text += "; Secure"
    if partitioned:
        text += "; Partitioned"
    return text.encode("ascii")


def parse(header: bytes) -> dict[str, str]:
    """Read a Cookie header; of two cookies with one name the first counts (it has the longer path).

    Raises ``Refused`` above 16 kB.
    """
    if len(header) > HEADER_MAX_BYTES:
        raise Refused("cookies-too-large", "Your browser sent more cookies than we can read.", status=431)
    found: dict[str, str] = {}
    for pair in header.decode("latin-1").split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip()
        if equals and name:
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1]
            found.setdefault(name, value)
    return found


def host_name(name: str, secure: bool) -> str:
    """Return the name with ``__Host-`` where there is TLS."""
    return f"__Host-{name}" if secure else name
