"""Deriving: secrets of their own for each purpose, all from one key of the ring that is never rotated."""

import hmac


def secret_for(secret: bytes, purpose: str) -> bytes:
    """Derive a secret of its own for each purpose from one key of the ring."""
    return hmac.digest(secret, b"waitroom:" + purpose.encode(), "sha256")
