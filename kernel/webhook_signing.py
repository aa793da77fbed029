"""Webhook's signature: what says that a body came from us, as Standard Webhooks (standardwebhooks.com) asks for.

``webhook-id`` is the message's name, by which the receiver knows a repeat; ``webhook-timestamp`` the seconds since 1970
at which it was sent; ``webhook-signature`` is ``v1,`` and the base64 of ``HMAC-SHA256(secret, id "." timestamp "."
body)``, one for each secret that holds, with a blank between. A receiver compares in constant time and refuses a
timestamp that is older than some minutes; each try has a new one. Not here: the way of a body (``webhook``).
"""

import base64
import binascii
from collections.abc import Sequence
from hmac import digest

WHSEC = "whsec_"


def secret_of(text: str) -> bytes:
    """Read a secret of Standard Webhooks; what cannot be one is nothing."""
    if not text.startswith(WHSEC):
        return b""
    try:
        return base64.b64decode(text.removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        return b""


def secret_text(secret: bytes) -> str:
    """Write a secret as Standard Webhooks does."""
    return WHSEC + base64.b64encode(secret).decode()


def signature(secret: bytes, id_: str, now_s: int, body: bytes) -> str:
    """Sign a body with its name and the time."""
    mac = digest(secret, f"{id_}.{now_s}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(mac).decode()}"


def signed(secrets: Sequence[bytes], id_: str, now_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body under every secret that holds."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(signature(secret, id_, now_s, body) for secret in secrets),
    }
