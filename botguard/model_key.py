"""Model key: the Ed25519 key with which an operator signs models, in a file of its own (``kernel.keyfile``).

The file is made with mode 0600, and one that others may read or write is not used: whoever has the key decides what the
bot guard thinks of people. It belongs where models are made and signed, not on the machines that serve; these are told
the public half by a setting. To replace a key: make another file, name both public halves for a while.

Not here: what is signed (``signed_model``).
"""

import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kernel import keyfile
from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url

KEY_BYTES = 32
"""Of a public key, and of the seed that a private one is made from (RFC 8032)."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 4096

PublicKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their id."""


@dataclass(frozen=True)
class ModelKey:
    """A key; ``secret``: its seed as base64url, which never shows in logs."""

    secret: str

    def __repr__(self) -> str:
        return f"ModelKey({self.id})"

    @cached_property
    def private(self) -> Ed25519PrivateKey:
        """The signing half."""
        return Ed25519PrivateKey.from_private_bytes(from_b64url(self.secret))

    @property
    def public(self) -> str:
        """The verifying half as settings name it: base64url of 32 bytes."""
        return b64url(self._octets)

    @property
    def id(self) -> str:
        """The key's name, which follows from its verifying half."""
        return key_id(self._octets)

    @property
    def _octets(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def key_id(public: bytes) -> str:
    """Return the name of a public key: the first 8 bytes of its SHA-256, in hex."""
    return sha256(public).digest()[:8].hex()


def make(path: Path) -> ModelKey:
    """Make the file unless there is one, and return its key. Raises ``Misconfigured``."""
    key = ModelKey(b64url(secrets.token_bytes(KEY_BYTES)))
    text = json.dumps({"version": 1, "id": key.id, "public": key.public, "secret": key.secret}, indent=1)
    try:
        keyfile.create(path, text + "\n")
    except OSError as error:
        raise Misconfigured([f"The key of models {path} cannot be made: {error.strerror}."]) from error
    return read(path)


def read(path: Path) -> ModelKey:
    """Read the file. Raises ``Misconfigured``; no secret is told."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            octets = file.read(_MOST_BYTES)
    except OSError as error:
        raise Misconfigured([f"The key of models {path} cannot be read: {error.strerror}."]) from error
    if mode & OTHERS:
        raise Misconfigured(
            [f"The key of models {path} may be used by others than its owner: chmod 600 {path}"]
        )
    try:
        told = json.loads(octets)
        key = ModelKey(told["secret"])
        is_whole = told["public"] == key.public
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise Misconfigured([f"The key of models {path} is damaged, or no such key."])
    return key


def public_keys(texts: Iterable[str]) -> PublicKeys:
    """Read public keys as settings name them. Raises ``Misconfigured`` with a fault for each that is none."""
    found: dict[str, Ed25519PublicKey] = {}
    faults: list[str] = []
    for text in texts:
        try:
            octets = from_b64url(text)
            found[key_id(octets)] = Ed25519PublicKey.from_public_bytes(octets)
        except ValueError:
            faults.append(f"{text!r} is no public key of models; `waitroom bots keys FILE` tells it.")
    if faults:
        raise Misconfigured(faults)
    return found
