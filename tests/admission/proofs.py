"""Proofs as a browser makes them, by a hand of its own: not the code under test."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(raw: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(value: object) -> str:
    """Write one part of a JWS."""
    return b64(json.dumps(value).encode())


class BrowserKey:
    """A key that a browser keeps; `seed` makes the same one again."""

    def __init__(self, seed: int = 7) -> None:
        self.private = ec.derive_private_key(seed, ec.SECP256R1())
        point = self.private.public_key().public_numbers()
        self.jwk = {
            "kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big")),
        }  # fmt: skip
        text = f'{{"crv":"P-256","kty":"EC","x":"{self.jwk["x"]}","y":"{self.jwk["y"]}"}}'
        self.thumbprint = b64(hashlib.sha256(text.encode()).digest())

    def sign(self, text: str) -> str:
        """Sign as WebCrypto does: r and s, 32 bytes each."""
        r, s = decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def proof(self, claims: dict[str, Any], **head: Any) -> str:
        """Make a proof of these claims; `head` overrules the header's members."""
        header = {"alg": "ES256", "typ": "waitroom-proof+jwt", "jwk": self.jwk} | head
        signed = f"{part(header)}.{part(claims)}"
        return f"{signed}.{self.sign(signed)}"

    def answer(self, room: str, asked: dict[str, Any], /, jti: str = "j" * 22, **other: Any) -> str:
        """Answer a question as the page does; `other` overrules what is signed."""
        claims = {name: asked[name] for name in ("act", "run", "number", "nonce")}
        return self.proof(claims | {"room": room, "iat": asked["at_s"], "jti": jti} | other)
