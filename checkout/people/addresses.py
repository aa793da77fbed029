"""Address: an e-mail address as a buyer types it, read once, kept in one spelling, and shown without being told.

Read as far as can be decided here: one ``@``, a local part of dot-atoms (RFC 5321, section 4.1.2, without quotes), a
domain of two labels at least that is a name by IDNA 2008 (RFC 5891), 254 octets in all. Letters beyond ASCII are taken
in the domain only, which is kept in its ASCII form; before the ``@`` most of the world's mail servers refuse them. No
server is asked: one that does not answer today may tomorrow, and whoever asks tells it who buys here.

Not here: whether anybody reads what is sent there.
"""

import contextlib
import re
from typing import Final

import idna

MOST_OCTETS: Final = 254
LOCAL_MOST: Final = 64
NAME_MOST: Final = 120

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_HIDDEN = "•••"


def read_email(text: str) -> str:
    """Return the address in the one spelling that is kept. Raises ``ValueError`` with a word for what is wrong."""
    if _CONTROL.search(text):
        raise ValueError("control")
    text = text.strip()
    if len(text) > MOST_OCTETS:
        raise ValueError("long")
    local, at, domain = text.partition("@")
    if not at or "@" in domain:
        raise ValueError("at")
    if len(local) > LOCAL_MOST or not _LOCAL.fullmatch(local):
        raise ValueError("local")
    kept = f"{local}@{_domain(domain)}"
    if len(kept) > MOST_OCTETS:
        raise ValueError("long")
    return kept


def read_name(text: str) -> str:
    """Return a name, or nothing. Raises ``ValueError``."""
    if _CONTROL.search(text):
        raise ValueError("control")
    text = " ".join(text.split())
    if len(text) > NAME_MOST:
        raise ValueError("long")
    return text


def same_address(email: str) -> str:
    """Give the spelling by which an address is found again: people type their own in capitals, too."""
    return email.lower()


def shown(email: str) -> str:
    """Write an address so that its owner knows it again, and nobody else learns it."""
    local, _, domain = email.partition("@")
    first = local[:1] if len(local) > 1 else ""
    # Else it is shown as it is kept.
    with contextlib.suppress(idna.IDNAError):
        domain = idna.decode(domain)
    return f"{first}{_HIDDEN}@{domain}"


def _domain(text: str) -> str:
    try:
        # UTS 46 takes capitals and full-width letters, as browsers do.
        name = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise ValueError("domain") from None
    labels = name.split(".")
    if len(labels) < 2 or not all(labels) or labels[-1].isdecimal():
        raise ValueError("domain")
    return name
