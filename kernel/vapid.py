"""VAPID keys: P-256 keys that tell a push service who sends (RFC 8292), in a file of their own (``kernel.keyfile``).

A browser subscribes under one public key, and only that key's owner may push to it. So ``rotate`` adds a key, new
subscriptions are made under the newest, and the older ones go on signing for those that they have; ``drop`` ends all
subscriptions of a key that somebody else has got hold of. A key is named by its public half, as the browser is given
it: base64url of the 65 octets of the point.

Not here: what is pushed (``kernel.webpush``).
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel import keyfile
from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url

log = logging.getLogger(__name__)

WHAT = "The keys of push messages"
SECRET_BYTES = 32


@dataclass(frozen=True)
class VapidKey:
    """One key; ``secret`` is base64url of the private number."""

    secret: str = field(repr=False)
    from_ms: int

    @cached_property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The signing half."""
        return ec.derive_private_key(int.from_bytes(from_b64url(self.secret), "big"), ec.SECP256R1())

    @cached_property
    def public(self) -> str:
        """The verifying half, which names the key and which a browser subscribes under."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return b64url(point)


def new_key(from_ms: int) -> VapidKey:
    """Make a key."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return VapidKey(b64url(number.to_bytes(SECRET_BYTES, "big")), from_ms)


def parse(text: str) -> list[VapidKey]:
    """Read the file's text, the oldest key first. Raises ``Misconfigured``; no secret is told."""
    try:
        keys = [VapidKey(str(row["secret"]), int(row["from_ms"])) for row in json.loads(text)["keys"]]
        damaged = any(len(from_b64url(key.secret)) != SECRET_BYTES for key in keys)
        names = {key.public for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured([f"{WHAT} cannot be read: {type(error).__name__}."]) from None
    if damaged:
        raise Misconfigured([f"{WHAT}: one of them is damaged."])
    if not keys or len(names) != len(keys):
        raise Misconfigured([f"{WHAT}: there must be at least one, and none of them twice."])
    return sorted(keys, key=lambda key: key.from_ms)


def written(keys: Sequence[VapidKey]) -> str:
    """Write the file's text."""
    rows = [{"public": key.public, "from_ms": key.from_ms, "secret": key.secret} for key in keys]
    return json.dumps({"version": 1, "keys": rows}, indent=1) + "\n"


class VapidKeys:
    """The keys as this process knows them; they follow the file."""

    def __init__(self, path: Path) -> None:
        """Use ``open_keys``."""
        self._path = path
        try:
            self._mark: keyfile.Mark = keyfile.mark(path)
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured([f"{WHAT} {path} cannot be used: {error}."]) from error
        try:
            self._keys = parse(text)
        except Misconfigured as error:
            raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None

    @staticmethod
    def open_keys(path: Path, now_ms: int) -> "VapidKeys":
        """Read the file, after making it if there is none. Raises ``Misconfigured``."""
        if not path.exists():
            try:
                keyfile.create(path, written([new_key(now_ms)]))
            except OSError as error:
                raise Misconfigured([f"{WHAT} {path} cannot be made: {error}."]) from error
        return VapidKeys(path)

    @property
    def newest(self) -> VapidKey:
        """The key that browsers subscribe under now."""
        self.refresh()
        return self._keys[-1]

    @property
    def keys(self) -> tuple[VapidKey, ...]:
        """All keys, the oldest first."""
        self.refresh()
        return tuple(self._keys)

    def of(self, public: str) -> VapidKey | None:
        """Find the key that somebody has subscribed under; None: it was dropped, or never ours."""
        self.refresh()
        return next((key for key in self._keys if key.public == public), None)

    def refresh(self) -> None:
        """Take over a changed file; one that is damaged leaves the keys in memory in use, and says so."""
        try:
            seen = keyfile.mark(self._path)
            if seen == self._mark:
                return
            keys = parse(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, Misconfigured) as error:
            log.error(  # noqa: TRY400 (the fault names all there is to know)
                "the keys of push messages cannot be read; those in memory stay in use",
                extra={"error": str(error)},
            )
            return
        self._mark, self._keys = seen, keys

    def rotate(self, now_ms: int) -> VapidKey:
        """Add a key for those who subscribe from now on. Raises ``Misconfigured``."""
        made = new_key(now_ms)
        self._change(lambda keys: [*keys, VapidKey(made.secret, max(now_ms, keys[-1].from_ms + 1))])
        return made

    def drop(self, public: str) -> bool:
        """Forget a key; False when there is none of that name. Raises ``Misconfigured`` for the last one."""
        if self.of(public) is None:
            return False
        self._change(lambda keys: [key for key in keys if key.public != public])
        return True

    def _change(self, change: Callable[[list[VapidKey]], list[VapidKey]]) -> None:
        def changed(text: str) -> str:
            return written(parse(written(change(parse(text)))))

        try:
            keyfile.change(self._path, changed)
        except OSError as error:
            raise Misconfigured([f"{WHAT} {self._path} cannot be changed: {error}."]) from error
        self.refresh()
