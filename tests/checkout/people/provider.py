"""A provider's keys and tokens for tests: made by PyJWT, each as right or as wrong as a test asks for."""

import json
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, CLIENT = "https://id.example", "the-shop"
NOW_MS = 1_800_000_000_000
NOW_S = NOW_MS // 1000
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
WEAK_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 (as an attacker would like it)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
BIG_EC_KEY = ec.generate_private_key(ec.SECP384R1())


def public(key: Any, kid: str = "k1", **more: str) -> dict[str, Any]:
    """Write a public key as a JWK."""
    maker = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(maker.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


@dataclass
class Token:
    """A token, right unless it is changed."""

    key: Any = RSA_KEY
    algorithm: str = "RS256"
    head: dict[str, Any] = field(default_factory=lambda: {"kid": "k1"})
    claims: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def text(self) -> str:
        """Sign it."""
        claims = {
            "iss": ISSUER, "aud": CLIENT, "sub": "ann", "nonce": "the-nonce", "iat": NOW_S, "exp": NOW_S + 300,
            "email": "ann@example.org", "email_verified": True, "name": "Ann B", **self.claims,
        }  # fmt: skip
        for name in self.without:
            claims.pop(name)
        return jwt.encode(claims, self.key, self.algorithm, headers=self.head)
