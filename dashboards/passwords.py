"""Password: what may be one, and what is kept of it.

scrypt (RFC 7914) with N = 2^15, r = 8, p = 3: 32 MiB and about a quarter of a second for each try, one of the settings
that the OWASP Password Storage Cheat Sheet calls equal in strength. What is kept names its own cost, so that a later
cost does not shut anybody out. A password has a least length and no rule of composition (NIST SP 800-63B, 3.1.1.2); it
is compared in the form NFKC, because keyboards differ in how they write the same letter.

Pure but for chance. Not here: whose password it is (``account_book``), how often somebody may try (``access``).
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from typing import NamedTuple

LEAST_CHARS = 12
MOST_CHARS = 256
SALT_BYTES = 16
DIGEST_BYTES = 32


class Cost(NamedTuple):
    """What a try costs: N as a power of two, r, p."""

    log2_n: int = 15
    r: int = 8
    p: int = 3

    @property
    def most_bytes(self) -> int:
        """Memory that a try may take: twice what it needs."""
        return 2 * 128 * self.r * ((1 << self.log2_n) + self.p + 2)


USUAL = Cost()


def fault(password: str, name: str) -> str:
    """Say what is wrong with a password; '' for one that may be used."""
    text = _form(password)
    if len(text) < LEAST_CHARS:
        return f"The password must have at least {LEAST_CHARS} characters."
    if len(text) > MOST_CHARS:
        return f"The password must have at most {MOST_CHARS} characters."
    if len(set(text)) < 4 or (len(name) > 3 and text.casefold().replace(name.casefold(), "").strip() == ""):
        return "This password is the first that anybody would try."
    return ""


def kept_of(password: str, cost: Cost = USUAL) -> str:
    """Give what is kept of a password: cost, salt and hash."""
    salt = secrets.token_bytes(SALT_BYTES)
    return "$".join(("scrypt", *map(str, cost), _text(salt), _text(_digest(password, salt, cost))))


def is_right(password: str, kept: str, cost: Cost = USUAL) -> bool:
    """Tell whether a password is the one that `kept` is of. Without one ('') it takes as long, and is wrong."""
    if not kept:
        _digest(password, bytes(SALT_BYTES), cost)
        return False
    _, log2_n, r, p, salt, digest = kept.split("$")
    own = Cost(int(log2_n), int(r), int(p))
    return hmac.compare_digest(_digest(password, base64.b64decode(salt), own), base64.b64decode(digest))


def _digest(password: str, salt: bytes, cost: Cost) -> bytes:
    # What is too long to be one is cut, so that nobody makes us work on megabytes; it is wrong in any case.
    octets = _form(password)[: MOST_CHARS + 1].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        octets, salt=salt, n=1 << cost.log2_n, r=cost.r, p=cost.p, maxmem=cost.most_bytes, dklen=DIGEST_BYTES
    )


def _form(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
