"""Proof: that a browser holds the key of a place, said in the moment of an act and good for it alone.

A place may be bound to a key that the browser made and cannot give away (WebCrypto, not extractable). The paper of such
a place names the key by its thumbprint (RFC 7638). Who acts with the paper signs a JWS with the key::

    header   {"alg": "ES256", "typ": "waitroom-proof+jwt", "jwk": {"kty": "EC", "crv": "P-256", "x", "y"}}
    claims   act     claim, leave, carry, visit  room, run, number   the place
             nonce   ours, told with the question    jti   16 to 64 of A-Z a-z 0-9 _ -, chosen anew each time
             iat     when it was signed, in seconds

Made after DPoP (RFC 9449): `act` and `room` stand where `htm` and `htu` do, because what a proxy shows of an address
differs. The algorithm is fixed, the key in the header is believed only if its thumbprint is the paper's, every
member is needed and no other may be in the header. Pure. Not here: whose nonce it is, whether the jti is new
(``proving``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from admission import es256
from kernel.signing import b64url, from_b64url

TYP = "waitroom-proof+jwt"
ALGORITHM = "ES256"
MAX_CHARS = 2048
LIFE_MS = 60_000
"""A proof is good for so long after it was signed, and so long before, for a clock that runs ahead."""

_JTI = re.compile(r"[A-Za-z0-9_-]{16,64}")
_JWK = ("crv", "kty", "x", "y")
_COORDINATE_BYTES = 32
_SIGNATURE_CHARS = 86


class Act(StrEnum):
    """What a proof may be for."""

    CLAIM = "claim"
    LEAVE = "leave"
    CARRY = "carry"
    VISIT = "visit"
    """To the site behind, which asks for it by itself and names no number (``guard.proven``)."""


class Wrong(StrEnum):
    """Why a proof does not count."""

    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_TYPE = "wrong-type"
    OTHER_KEY = "other-key"
    FORGED = "forged"
    OTHER_ACT = "other-act"
    OTHER_ROOM = "other-room"
    OTHER_PLACE = "other-place"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be proven: that the key of this thumbprint does this act for this place; `number` None: for any."""

    key: str
    act: Act
    room: str
    run: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good proof leaves to judge: its nonce and its id."""

    nonce: str
    jti: str


def thumbprint(jwk: Mapping[str, object]) -> str:
    """Name a P-256 key: the SHA-256 of its members in their order (RFC 7638, 3), 43 letters of base64url."""
    members = {name: jwk[name] for name in _JWK}
    return b64url(sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def check(text: str, wanted: Wanted, now_ms: int) -> Proof | Wrong:
    """Judge a proof by itself."""
    parts = text.split(".")
    if len(text) > MAX_CHARS or not text.isascii() or len(parts) != 3:
        return Wrong.MALFORMED
    head, claims = _object(parts[0]), _object(parts[1])
    if head is None or claims is None:
        return Wrong.MALFORMED
    key = _key_of(head, wanted.key)
    if isinstance(key, Wrong):
        return key
    if not _is_signed(key, f"{parts[0]}.{parts[1]}", parts[2]):
        return Wrong.FORGED
    return _judged(claims, wanted, now_ms)


def _key_of(head: Mapping[str, object], thumb: str) -> es256.PublicKey | Wrong:
    """Return the header's key if it is the one that the paper names."""
    if head.get("alg") != ALGORITHM:
        return Wrong.WRONG_ALGORITHM
    if head.get("typ") != TYP:
        return Wrong.WRONG_TYPE
    jwk = head.get("jwk")
    if head.keys() != {"alg", "typ", "jwk"} or not isinstance(jwk, dict) or sorted(jwk) != list(_JWK):
        return Wrong.MALFORMED
    if not all(isinstance(part, str) for part in jwk.values()):
        return Wrong.MALFORMED
    if not compare_digest(thumbprint(jwk), thumb):
        return Wrong.OTHER_KEY
    try:
        if any(len(from_b64url(jwk[axis])) != _COORDINATE_BYTES for axis in ("x", "y")):
            return Wrong.MALFORMED
        return es256.read_public(jwk)
    except ValueError:
        return Wrong.MALFORMED


def _is_signed(key: es256.PublicKey, signed: str, signature: str) -> bool:
    if len(signature) != _SIGNATURE_CHARS:
        return False
    try:
        return es256.verify_raw(key, signed.encode(), from_b64url(signature))
    except ValueError:
        return False


def _judged(claims: Mapping[str, object], wanted: Wanted, now_ms: int) -> Proof | Wrong:
    """Compare what was signed with what is wanted."""
    nonce, jti, iat = claims.get("nonce"), claims.get("jti"), claims.get("iat")
    if not isinstance(nonce, str) or not isinstance(jti, str) or _JTI.fullmatch(jti) is None:
        return Wrong.MALFORMED
    if type(iat) is not int:
        return Wrong.MALFORMED
    if claims.get("act") != wanted.act:
        return Wrong.OTHER_ACT
    if claims.get("room") != wanted.room:
        return Wrong.OTHER_ROOM
    number = claims.get("number")
    if claims.get("run") != wanted.run:
        return Wrong.OTHER_PLACE
    if wanted.number is not None and (type(number) is not int or number != wanted.number):
        return Wrong.OTHER_PLACE
    if not -LIFE_MS < now_ms - iat * 1000 < LIFE_MS:
        return Wrong.STALE
    return Proof(nonce, jti)


def _object(part: str) -> dict[str, object] | None:
    """Read a part of a JWS: a JSON object, or None."""
    try:
        found = json.loads(from_b64url(part))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
