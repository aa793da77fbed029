"""Request: what the shop reads of one before it does anything in a buyer's name.

* **Same site.** A page of another site may not act for a buyer, although the browser would send the cookie along:
  ``Sec-Fetch-Site`` counts where there is one, else ``Origin``.
* **Idempotency key.** Names one wish of a buyer, so that a repeat after a lost answer is the same request and not a
  second one (IETF draft-ietf-httpapi-idempotency-key-header-07). The draft wants a quoted string (RFC 9651, section
  3.3.3); most clients send the bare text, so both are read, and mean the same. 1 to 128 visible ASCII characters. No
  colon: with one the shop names its own wishes (``waiting.offer_key``), and nobody outside may name the same.
* **Body.** One JSON object, of a known kind and bounded size.

Everything here is on the path of each hold: no framework, one walk over the headers for each question.
Not here: what a body must say (each web file), who the buyer is (handed in from outside).
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from kernel.asgi import Receive, Scope, header, read_body
from kernel.errors import Refused

BODY_MOST_BYTES = 8_192
"""A wish for 100 seats, each with six digits, is under one kilobyte."""

KEY_MOST = 128

_JSON = b"application/json"
_OWN_SITES = frozenset((b"same-origin", b"none"))
_BARE = re.compile(rb"[!-9;-~]{1,128}")
_QUOTED = re.compile(rb'"((?:[!#-9;-\[\]-~]|\\["\\])+)"')
_ESCAPED = re.compile(rb'\\(["\\])')


def same_site(scope: Scope) -> None:
    """Let pass what no page, or a page of the shop itself, has sent. Raises ``Refused("cross-site")``."""
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        if site in _OWN_SITES:
            return
    else:
        origin = header(scope, b"origin") or b""
        if origin in {b"", b"null"} or origin.partition(b"://")[2] == header(scope, b"host"):
            return
    raise Refused("cross-site", "This request came from another site.", status=403)


def idempotency_key(scope: Scope) -> str:
    """Return the request's key, without quotes. Raises ``Refused``: ``key-missing``, ``key-malformed``."""
    return read_key([value for name, value in scope["headers"] if name == b"idempotency-key"])


def read_key(given: Sequence[bytes]) -> str:
    """Read a key as it came, in a header or in a form, which must be once. Raises as ``idempotency_key`` does."""
    if not given:
        raise Refused(
            "key-missing",
            "Send an Idempotency-Key with this request: a new one for each new wish, the same to repeat.",
        )
    key = _key(given[0]) if len(given) == 1 else None
    if key is None:
        raise Refused(
            "key-malformed",
            f"The Idempotency-Key must be there once, with 1 to {KEY_MOST} visible ASCII characters and no colon.",
        )
    return key


async def read_object(
    scope: Scope, receive: Receive, most_bytes: int = BODY_MOST_BYTES
) -> tuple[bytes, dict[str, Any]]:
    """Return the body as it came, and the JSON object that it is.

    Raises ``Refused``: ``content-type-unknown`` (415), ``body-too-large`` (413), ``body-not-json``,
    ``body-not-object``.
    """
    kind = header(scope, b"content-type") or b""
    if kind != _JSON and kind.partition(b";")[0].strip().lower() != _JSON:
        raise Refused("content-type-unknown", "Send application/json.", status=415)
    octets = await read_body(receive, most_bytes)
    try:
        plain = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        raise Refused("body-not-json", "The body is not JSON.") from error
    if not isinstance(plain, dict):
        raise Refused("body-not-object", "The body must be a JSON object.")
    return octets, plain


def _key(given: bytes) -> str | None:
    if given.startswith(b'"'):
        found = _QUOTED.fullmatch(given)
        if found is None:
            return None
        given = _ESCAPED.sub(rb"\1", found[1])
    return given.decode("ascii") if _BARE.fullmatch(given) else None
