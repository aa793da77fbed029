"""Admission: what a token says of itself, its signature unchecked; whether it is genuine is for others to ask."""

import base64
from typing import Any

import orjson

NEEDED = frozenset({"sub", "iat", "exp"})


def claims_of(token: str) -> dict[str, Any] | None:
    """Read the claims; None for what is no admission."""
    try:
        part = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        if claims.keys() >= NEEDED:
            return dict(claims)
    except (IndexError, ValueError, AttributeError):
        pass
    return None
