"""Signature: proof that a text was made by us and by nobody else, for papers that visitors keep.

Wire form: ``kid.b64url(payload).b64url(mac)``, base64url without padding (RFC 4648, section 5), with
``mac = HMAC-SHA256(k, kid "." b64url(payload))`` in full and ``k = HMAC-SHA256(secret, purpose)``: a
paper made for one purpose is worth nothing for another. The first key signs, all keys verify, so a
rotation is: put the new key first, later drop the old one.

The mac is compared as text, hence a paper has exactly one valid spelling. Signing stands on the path of
every join: 200 bytes cost less than 4 µs. Not here: signatures that others check (ES256, ``admission``).
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Literal, Protocol

from kernel.errors import Misconfigured

SECRET_MIN_BYTES = 16
MAC_LENGTH = 43

Reason = Literal["malformed", "unknown-key", "forged"]

_KID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URL = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def keyed(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA256 under a key, with both pads hashed once (RFC 2104, section 4).

    A third of what ``hmac.digest`` takes, which sets both up anew for each text.
    """
    if len(key) > 64:
        key = sha256(key).digest()
    block = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in block))
    outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(text: bytes) -> bytes:
        first = inner.copy()
        first.update(text)
        second = outer.copy()
        second.update(first.digest())
        return second.digest()

    return mac


def b64url(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return b2a_base64(raw, newline=False).translate(_URL, b"=").decode()


def _decoded(text: str) -> bytes:
    return a2b_base64(text.encode().translate(_STANDARD) + b"=" * (-len(text) % 4))


def from_b64url(text: str) -> bytes:
    """Read base64url without padding.

    Raises ``ValueError`` for anything that ``b64url`` would not have written.
    """
    if _ALPHABET.fullmatch(text) is None:
        raise ValueError("not base64url")
    try:
        raw = _decoded(text)
    except Base64Error as error:
        raise ValueError("not base64url") from error
    if b64url(raw) != text:
        raise ValueError("not base64url as it is written")
    return raw


class BadSignature(Exception):
    """The text is not one of ours; ``reason`` is for logs and counters, visitors need not know it."""

    def __init__(self, reason: Reason) -> None:
        """Keep which check failed."""
        self.reason: Reason = reason
        super().__init__(reason)


class PaperSigner(Protocol):
    """Whatever signs and opens papers as a ``Signer`` does, for instance one whose keys rotate by themselves."""

    def sign(self, payload: bytes) -> str:
        """Return the signed paper."""
        ...

    def open(self, text: str, max_length: int = 4096) -> bytes:
        """Return the payload. Raises ``BadSignature``."""
        ...


class Signer:
    """Signs and opens papers of one purpose."""

    __slots__ = ("_head", "_mac", "_macs")

    def __init__(self, keys: Sequence[tuple[str, bytes]], purpose: str) -> None:
        """Take ``(kid, secret)`` pairs, newest first.

        Raises ``Misconfigured`` for no key, a bad or repeated ``kid``, or a secret below 16 bytes.
        """
        faults = [
            f"The key id {kid!r} must be 1 to 32 of A-Z a-z 0-9 _ -."
            for kid, _ in keys
            if not _KID.fullmatch(kid)
        ]
        faults += [
            f"The secret of the key {kid!r} has {len(secret)} bytes, at least {SECRET_MIN_BYTES} are needed."
            for kid, secret in keys
            if len(secret) < SECRET_MIN_BYTES
        ]
        if not keys:
            faults.append("There is no signing key.")
        if len({kid for kid, _ in keys}) != len(keys):
            faults.append("Two signing keys have the same id.")
        if faults:
            raise Misconfigured(faults)
        self._macs = {kid: keyed(digest(secret, purpose.encode(), "sha256")) for kid, secret in keys}
        self._head = keys[0][0].encode() + b"."
        self._mac = self._macs[keys[0][0]]

    def sign(self, payload: bytes) -> str:
        """Return the signed paper with ``payload`` in it; it is readable by anybody."""
        text = self._head + b2a_base64(payload, newline=False).translate(_URL, b"=")
        mac = b2a_base64(self._mac(text), newline=False).translate(_URL, b"=")
        return (text + b"." + mac).decode()

    def open(self, text: str, max_length: int = 4096) -> bytes:
        """Return the payload of a paper that we signed.

        Raises ``BadSignature``.
        """
        if len(text) > max_length or not text.isascii():
            raise BadSignature("malformed")
        signed, _, mac = text.rpartition(".")
        kid, dot, payload = signed.partition(".")
        if not dot or "." in payload or len(mac) != MAC_LENGTH:
            raise BadSignature("malformed")
        keyed = self._macs.get(kid)
        if keyed is None:
            raise BadSignature("unknown-key")
        expected = b2a_base64(keyed(signed.encode()), newline=False).translate(_URL, b"=")
        if not compare_digest(expected, mac.encode()):
            raise BadSignature("forged")
        try:
            return _decoded(payload)
        except Base64Error as error:
            raise BadSignature("malformed") from error
