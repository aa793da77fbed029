"""TOTP: six digits that a person's device shows for half a minute (RFC 6238 over RFC 4226, SHA-1, as devices have it).

A code counts for its own half minute and its neighbours, because clocks differ, and once: whoever accepts one says from
which half minute it was, and none of that or an earlier one counts after it. Pure. Not here: where secrets are kept and
failures counted (``checkout.people.factors``, ``dashboards.account_book``).
"""

import base64
import hmac
import struct
from urllib.parse import quote, urlencode

STEP_MS = 30_000
DIGITS = 6
SECRET_BYTES = 20
BESIDE = 1
"""Half minutes before and after this one whose codes count."""


def code_at(secret: bytes, counter: int) -> str:
    """Give the code of a half minute, counted since 1970."""
    octets = hmac.digest(secret, struct.pack(">Q", counter), "sha1")
    start = octets[-1] & 0xF
    number = struct.unpack(">I", octets[start : start + 4])[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching(secret: bytes, code: str, after: int, now_ms: int) -> int | None:
    """Tell which half minute a code is of, later than `after`; None for a code that does not count."""
    now = now_ms // STEP_MS
    given = code.encode("utf-8", "replace")
    # All are compared, so that the time tells nothing.
    fit = [
        counter
        for counter in range(now - BESIDE, now + BESIDE + 1)
        if hmac.compare_digest(code_at(secret, counter).encode(), given) and counter > after
    ]
    return fit[0] if fit else None


def address(secret: bytes, name: str, issuer: str) -> str:
    """Write what a device reads a secret from (the otpauth key format)."""
    text = base64.b32encode(secret).decode()
    query = urlencode({"secret": text, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?{query}"
