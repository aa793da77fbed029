"""ES256: ECDSA on P-256 with SHA-256, the one signature that backends and browsers check (RFC 7518, 3.4).

A signature is 64 bytes, r and s big-endian. Signing is deterministic (RFC 6979), so every worker gives the same
bytes for the same message: a status document can be cached, a repeated claim gives the same token. Keys
travel as JWK (RFC 7517). One signature costs about 50 µs, a check 115 µs.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from kernel.signing import b64url, from_b64url

PrivateKey = EllipticCurvePrivateKey
PublicKey = EllipticCurvePublicKey

SIGNATURE_BYTES = 64
_HALF = 32
_SIGN = ECDSA(SHA256(), deterministic_signing=True)
_VERIFY = ECDSA(SHA256())


def generate() -> PrivateKey:
    """Make a new key."""
    return generate_private_key(SECP256R1())


def sign_raw(key: PrivateKey, message: bytes) -> bytes:
    """Sign a message; the same key and message give the same 64 bytes."""
    # DER: 30 length 02 length r 02 length s; both have as many bytes as they need, and one more if they look negative.
    der = key.sign(message, _SIGN)
    middle = 4 + der[3]
    return der[4:middle][-_HALF:].rjust(_HALF, b"\0") + der[middle + 2 :][-_HALF:].rjust(_HALF, b"\0")


def verify_raw(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (64 bytes) was made over `message` by this key's owner."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), message, _VERIFY)
    except InvalidSignature:
        return False
    return True


def public_jwk(key: PublicKey) -> dict[str, str]:
    """Write a public key."""
    point = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _coordinate(point.x), "y": _coordinate(point.y)}


def read_public(jwk: Mapping[str, object]) -> PublicKey:
    """Read a public key; raises ValueError for anything that is not a point of P-256."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise ValueError("not a P-256 key")
    x, y = (int.from_bytes(from_b64url(str(jwk.get(name, ""))), "big") for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def private_text(key: PrivateKey) -> str:
    """Write the secret half of a key: the JWK member ``d``."""
    return _coordinate(key.private_numbers().private_value)


def read_private(text: str) -> PrivateKey:
    """Read what ``private_text`` wrote; raises ValueError."""
    return derive_private_key(int.from_bytes(from_b64url(text), "big"), SECP256R1())


def _coordinate(value: int) -> str:
    return b64url(value.to_bytes(_HALF, "big"))
