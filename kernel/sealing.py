"""Seal: an envelope around one personal value (AES-256-GCM), which opens in its own row and column and nowhere else.

    v1.<key id>.<base64url of 16 random octets, the sealed text, and 16 octets that show any change>

* **A key of its own for each value**: HMAC-SHA-512 of the master key over the 16 random octets gives the AES key (32
  octets) and the nonce (the next 12). So no nonce is ever used twice under a key, however many values one master key
  seals, and nothing beside the master key has to be kept (ADR 0021).
* **Bound to its place**: version, key id, table, row and column are authenticated with the text. An envelope that is
  moved to another row, or into another column, does not open.
* **Found without being opened**: ``Vault.index`` gives an HMAC of a value under a key of its own. It tells whether two
  values are the same, and no more, to whoever does not have that key.

What is derived from a master key names the shop's people, for whom this was first made: envelopes that were sealed
then must go on opening. Not here: where keys are kept, how they are replaced, what is sealed.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.signing import b64url, from_b64url

VERSION = "v1"
KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16

_DERIVE = b"waitroom:people:seal:v1"
_INDEX = b"waitroom:people:index:v1"


@dataclass(frozen=True, slots=True)
class Where:
    """The one place that an envelope opens in."""

    table: str
    row: str
    column: str


class Why(StrEnum):
    """Why an envelope does not open."""

    MALFORMED = "malformed"
    """It is no envelope: cut off, or something else."""
    VERSION = "version"
    """It was written by a newer version of the product."""
    KEY = "key"
    """Its key is not among those that are there."""
    CHANGED = "changed"
    """It was changed, or it belongs to another row or column, or the key of this id is another one."""


class CannotOpen(Exception):
    """An envelope does not open; nothing of what is in it is told."""

    def __init__(self, why: Why, where: Where) -> None:
        self.why = why
        self.where = where
        super().__init__(f"{where.table}.{where.column} of {where.row}: {why.value}")


@dataclass(frozen=True, slots=True)
class Vault:
    """The keys of one moment: one that seals, all that open, and the one of the index."""

    active: str
    keys: Mapping[str, bytes] = field(repr=False)
    index_key: bytes = field(repr=False)

    def seal(self, text: str, where: Where) -> str:
        """Put a text into an envelope."""
        salt = secrets.token_bytes(SALT_BYTES)
        key, nonce = _derived(self.keys[self.active], salt)
        sealed = AESGCM(key).encrypt(nonce, text.encode(), _bound(self.active, where))
        return f"{prefix(self.active)}{b64url(salt + sealed)}"

    def open(self, envelope: str, where: Where) -> str:
        """Take a text out of its envelope. Raises ``CannotOpen``."""
        version, _, rest = envelope.partition(".")
        name, dot, body = rest.partition(".")
        if version != VERSION:
            raise CannotOpen(Why.VERSION if _is_version(version) and dot else Why.MALFORMED, where)
        master = self.keys.get(name)
        if not dot or not name:
            raise CannotOpen(Why.MALFORMED, where)
        if master is None:
            raise CannotOpen(Why.KEY, where)
        try:
            octets = from_b64url(body)
        except ValueError:
            raise CannotOpen(Why.MALFORMED, where) from None
        if len(octets) < SALT_BYTES + TAG_BYTES:
            raise CannotOpen(Why.MALFORMED, where)
        key, nonce = _derived(master, octets[:SALT_BYTES])
        try:
            return AESGCM(key).decrypt(nonce, octets[SALT_BYTES:], _bound(name, where)).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise CannotOpen(Why.CHANGED, where) from None

    def is_current(self, envelope: str) -> bool:
        """Tell whether an envelope is of the key that seals now."""
        return envelope.startswith(prefix(self.active))

    def index(self, kind: str, text: str) -> str:
        """Give what a value is found by; `kind` keeps values of different kinds apart."""
        return hmac.digest(self.index_key, _packed(_INDEX, kind.encode(), text.encode()), "sha256").hex()


def prefix(name: str) -> str:
    """Give the beginning of every envelope that a key has sealed."""
    return f"{VERSION}.{name}."


def _is_version(word: str) -> bool:
    return word.startswith("v") and word[1:].isdecimal()


def _derived(master: bytes, salt: bytes) -> tuple[bytes, bytes]:
    octets = hmac.digest(master, _DERIVE + salt, "sha512")
    return octets[:KEY_BYTES], octets[KEY_BYTES : KEY_BYTES + NONCE_BYTES]


def _bound(name: str, where: Where) -> bytes:
    parts = (VERSION, name, where.table, where.row, where.column)
    return _packed(*(part.encode() for part in parts))


def _packed(*parts: bytes) -> bytes:
    """Join parts so that no two lists of parts come to the same octets."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
