"""Key ring: every key of an installation, in one file that only its owner may read (JSON, mode 0600).

Uses: ``admission``, ``status`` and ``receipt`` are ES256 keys whose public halves are the JWKS; ``ticket``, ``cookie``
and ``sid`` are 32-byte secrets. A use has one *active* key, which signs, and any number of *retiring* ones,
which still verify; ``prune`` drops those once nothing signed by them can be alive.

Several processes share the file (``kernel.keyfile``). ``refresh`` costs one ``stat`` and is called by every tick, so a
rotation is in force everywhere within two seconds. A file that is damaged later leaves the keys in memory in use, and
says so.

``sid`` is never rotated: a session's id must follow from its ticket for as long as the run lasts.
"""

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from admission import es256, tokens
from kernel import keyfile
from kernel.errors import Misconfigured
from kernel.signing import Signer, b64url, from_b64url

log = logging.getLogger(__name__)

PUBLIC_USES = ("admission", "status", "receipt")
SECRET_USES = ("ticket", "cookie", "sid")
USES = (*PUBLIC_USES, *SECRET_USES)
ROTATED = frozenset(USES) - {"sid"}
RECEIPT_TYP = "waitroom-receipt+jwt"
ACTIVE, RETIRING = "active", "retiring"
SECRET_BYTES = 32


@dataclass(frozen=True)
class Key:
    """One key. ``secret`` is the private half as base64url; it never shows in logs."""

    kid: str
    use: str
    state: str
    created_ms: int
    secret: str
    retired_ms: int = 0

    def __repr__(self) -> str:
        return f"Key({self.kid}, {self.use}, {self.state})"

    @cached_property
    def octets(self) -> bytes:
        """The secret of a symmetric key."""
        return from_b64url(self.secret)

    @cached_property
    def private(self) -> es256.PrivateKey:
        """The signing half."""
        return es256.read_private(self.secret)

    @cached_property
    def public(self) -> es256.PublicKey:
        """The verifying half."""
        return self.private.public_key()

    @cached_property
    def admission_head(self) -> bytes:
        """First part of every token that this key signs."""
        return tokens.jwt_head(self.kid, tokens.TYP)


def new_key(use: str, now_ms: int) -> Key:
    """Make a key for a use."""
    kid = f"{use}-{secrets.token_hex(4)}"
    secret = (
        es256.private_text(es256.generate())
        if use in PUBLIC_USES
        else b64url(secrets.token_bytes(SECRET_BYTES))
    )
    return Key(kid, use, ACTIVE, now_ms, secret)


def parse(text: str) -> tuple[Key, ...]:
    """Read a key ring's text. Raises Misconfigured with all faults; no secret is told."""
    try:
        document = json.loads(text)
        rows = document["keys"]
        keys = tuple(
            Key(
                kid=row["kid"],
                use=row["use"],
                state=row["state"],
                created_ms=int(row["created_ms"]),
                secret=row["secret"],
                retired_ms=int(row.get("retired_ms", 0)),
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured([f"The key ring cannot be read: {type(error).__name__}."]) from None
    faults = [f"The key ring has no active key for {use}." for use in USES if not _count(keys, use)]
    faults += [
        f"The key ring has {_count(keys, use)} active keys for {use}."
        for use in USES
        if _count(keys, use) > 1
    ]
    faults += [
        f"The key ring's key {key.kid!r} has an unknown use or state."
        for key in keys
        if key.use not in USES or key.state not in (ACTIVE, RETIRING)
    ]
    faults += [f"The key ring's key {key.kid!r} is damaged." for key in keys if not _is_sound(key)]
    if len({key.kid for key in keys}) != len(keys):
        faults.append("Two keys of the key ring have the same id.")
    if faults:
        raise Misconfigured(faults)
    return keys


def write_text(keys: Sequence[Key]) -> str:
    """Write a key ring's text."""
    rows = [
        {
            "kid": key.kid, "use": key.use, "alg": tokens.ALGORITHM if key.use in PUBLIC_USES else "HS256",
            "state": key.state, "created_ms": key.created_ms, "retired_ms": key.retired_ms, "secret": key.secret,
        }
        for key in keys
    ]  # fmt: skip
    return json.dumps({"version": 1, "keys": rows}, indent=1) + "\n"


class KeyRing:
    """The keys as this process knows them."""

    def __init__(self, keys: Sequence[Key], path: Path | None = None) -> None:
        """Use `keys`; with a `path` they follow the file."""
        self._path = path
        self._seen: keyfile.Mark | None = None
        self.generation = 0
        self._use(tuple(keys))

    @classmethod
    def open(cls, path: Path, now_ms: int) -> "KeyRing":
        """Read the file, after making it if there is none. Raises Misconfigured."""
        try:
            if not path.exists():
                keyfile.create(path, write_text([new_key(use, now_ms) for use in USES]))
            mark = keyfile.mark(path)
            ring = cls(parse(path.read_text(encoding="utf-8")), path)
            ring._seen = mark
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured([f"The key ring {path} cannot be used: {error}."]) from error
        except Misconfigured as error:
            raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None
        return ring

    @classmethod
    def from_text(cls, text: str) -> "KeyRing":
        """Use keys that were handed in (a secret of the platform); they never change."""
        return cls(parse(text))

    @classmethod
    def fresh(cls, now_ms: int) -> "KeyRing":
        """Make keys that live in memory only: for tests and rehearsals."""
        return cls([new_key(use, now_ms) for use in USES])

    def refresh(self) -> bool:
        """Take over a changed file; True if the keys are new ones. Costs one ``stat`` otherwise."""
        if self._path is None:
            return False
        try:
            mark = keyfile.mark(self._path)
            if mark == self._seen:
                return False
            keys = parse(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, Misconfigured) as error:
            log.error(  # noqa: TRY400 (the fault names all there is to know)
                "the key ring cannot be read; the keys in memory stay in use", extra={"error": str(error)}
            )
            return False
        self._seen = mark
        if keys != self._keys:
            self._use(keys)
            log.info("the key ring changed", extra={"generation": self.generation})
        return True

    def active(self, use: str) -> Key:
        """Return the key that signs now."""
        return self._active[use]

    def secrets(self, use: str) -> list[tuple[str, bytes]]:
        """Return (kid, secret) of a symmetric use, the active one first."""
        return [(key.kid, key.octets) for key in self._of(use)]

    def public(self, use: str) -> Mapping[str, es256.PublicKey]:
        """Return the keys that verify, by kid."""
        return self._public[use]

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys."""
        return self._keys

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517); ``purpose`` names what a key is for."""
        return {
            "keys": [
                {
                    **es256.public_jwk(key.public), "kid": key.kid, "alg": tokens.ALGORITHM, "use": "sig",
                    "purpose": key.use,
                }
                for use in PUBLIC_USES
                for key in self._of(use)
            ]
        }  # fmt: skip

    def documents(self) -> "Documents":
        """Return the signer of public documents."""
        return Documents(self, "status")

    def receipt(self, claims: Mapping[str, object]) -> str:
        """Sign a receipt."""
        key = self.active("receipt")
        return tokens.write(key.private, tokens.jwt_head(key.kid, RECEIPT_TYP), claims)

    def signer(self, use: str, purpose: str | None = None) -> "RingSigner":
        """Return a signer of papers that follows rotations."""
        return RingSigner(self, use, purpose or use)

    def rotate(self, use: str, now_ms: int) -> Key:
        """Make a new active key for `use`; the one before goes on verifying. Raises Misconfigured."""
        if use not in ROTATED:
            raise Misconfigured(
                [f"The key for {use!r} is not rotated; rotated are {', '.join(sorted(ROTATED))}."]
            )
        made = new_key(use, now_ms)

        def change(keys: tuple[Key, ...]) -> list[Key]:
            aged = [
                replace(key, state=RETIRING, retired_ms=now_ms)
                if key.use == use and key.state == ACTIVE
                else key
                for key in keys
            ]
            return [made, *aged]

        self._change(change)
        return made

    def prune(self, retired_before_ms: int) -> list[str]:
        """Drop keys that retired before that time; return their ids."""
        dropped: list[str] = []

        def change(keys: tuple[Key, ...]) -> list[Key]:
            dropped.extend(k.kid for k in keys if k.state == RETIRING and k.retired_ms < retired_before_ms)
            return [key for key in keys if key.kid not in dropped]

        self._change(change)
        return dropped

    def _change(self, change: Callable[[tuple[Key, ...]], list[Key]]) -> None:
        if self._path is None:
            self._use(tuple(change(self._keys)))
            return
        try:
            keyfile.change(self._path, lambda text: write_text(change(parse(text))))
        except OSError as error:
            raise Misconfigured([f"The key ring {self._path} cannot be changed: {error}."]) from error
        self.refresh()

    def _use(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys
        self._active = {key.use: key for key in keys if key.state == ACTIVE}
        self._public = {use: {key.kid: key.public for key in self._of(use)} for use in PUBLIC_USES}
        self.generation += 1

    def _of(self, use: str) -> list[Key]:
        return sorted((key for key in self._keys if key.use == use), key=lambda key: key.state != ACTIVE)


class Documents:
    """Signs and checks public documents with the ring's present keys."""

    __slots__ = ("_ring", "_use")

    def __init__(self, ring: KeyRing, use: str) -> None:
        """Sign with the keys of one use."""
        self._ring = ring
        self._use = use

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._ring.active(self._use).kid

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return the key's id and 64 bytes, r and s."""
        key = self._ring.active(self._use)
        return key.kid, es256.sign_raw(key.private, message)

    def verify(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Tell whether one of our keys made this signature."""
        key = self._ring.public(self._use).get(kid)
        return key is not None and es256.verify_raw(key, message, signature)


class RingSigner:
    """A ``kernel.signing.Signer`` that follows the ring."""

    __slots__ = ("_generation", "_purpose", "_ring", "_signer", "_use")

    def __init__(self, ring: KeyRing, use: str, purpose: str) -> None:
        """Sign papers of one purpose with the secrets of one use."""
        self._ring = ring
        self._use = use
        self._purpose = purpose
        self._generation = ring.generation
        self._signer = Signer(ring.secrets(use), purpose)

    def sign(self, payload: bytes) -> str:
        """Sign with the active secret."""
        return self._current().sign(payload)

    def open(self, text: str, max_length: int = 4096) -> bytes:
        """Open a paper that any secret of the ring signed; raises BadSignature."""
        return self._current().open(text, max_length)

    def _current(self) -> Signer:
        if self._generation != self._ring.generation:
            self._generation = self._ring.generation
            self._signer = Signer(self._ring.secrets(self._use), self._purpose)
        return self._signer


def _count(keys: Sequence[Key], use: str) -> int:
    return sum(key.use == use and key.state == ACTIVE for key in keys)


def _is_sound(key: Key) -> bool:
    try:
        if key.use in PUBLIC_USES:
            return key.public is not None
        return len(key.octets) == SECRET_BYTES
    except (ValueError, TypeError):
        return False
