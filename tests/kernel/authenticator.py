"""A security key in software, for tests: it answers as the standard says, and wrong where a test asks for it.

Written by the words of Web Authentication Level 3 (sections 6.1, 6.5, 7.1, 7.2) with ``cbor2`` and ``cryptography``; a
second opinion of the library that reads it. Real ones are Chromium's (``tests/process/test_staff_page.py``).
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from kernel.signing import b64url

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One key in one browser. Its fields may be changed to lie."""

    origin: str
    flags: int = PRESENT | VERIFIED
    step: int = 1
    """So far its counter goes with each answer."""
    count: int = 0
    site: str = ""
    """The site's id that it signs, '' for the one that it is asked for."""
    client: dict[str, Any] = field(default_factory=dict)
    """What its browser says besides, or otherwise."""
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def id(self) -> str:
        """Name the key, as browsers do."""
        return b64url(self.credential)

    def make(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a key is made from."""
        numbers = self.private.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        head = self._head(options["rp"]["id"], self.flags | WITH_KEY)
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cbor2.dumps(cose)
        whole = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": head + attested})
        client = self._client("webauthn.create", options["challenge"])
        return self._written(client, {"attestationObject": b64url(whole)})

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a key is asked."""
        self.count += self.step
        head = self._head(options["rpId"], self.flags)
        client = self._client("webauthn.get", options["challenge"])
        signature = self.private.sign(head + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._written(client, {"authenticatorData": b64url(head), "signature": b64url(signature)})

    def _head(self, site: str, flags: int) -> bytes:
        return (
            hashlib.sha256((self.site or site).encode()).digest()
            + bytes([flags])
            + self.count.to_bytes(4, "big")
        )

    def _client(self, kind: str, challenge: str) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | self.client).encode()

    def _written(self, client: bytes, more: Mapping[str, str]) -> dict[str, Any]:
        response = {"clientDataJSON": b64url(client), **more}
        return {"id": self.id, "rawId": self.id, "type": "public-key", "response": response}


def trusting(**changes: Any) -> Any:
    """Give a mutant of the library's look at answers: it takes `changes` for what was expected."""
    import webauthn

    real = webauthn.verify_authentication_response

    def look(**asked: Any) -> Any:
        return real(**asked | changes)

    return look
