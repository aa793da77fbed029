"""Seed by a committed secret: level B of a draw's assurance.

The secret of a draw follows from a key of the ring and the draw's id, so there is nothing to store and
nothing to lose. Its commitment is published when the room opens, the secret itself with the seed. This
binds the operator after the commitment; it does not keep an operator from trying many secrets before, or
from choosing the moment of the freeze: that needs a public beacon (level A, to come behind the same port).
"""

import hmac
from dataclasses import dataclass

from waitroom.draw import commitment, seed


@dataclass(frozen=True, slots=True)
class SecretRevealed:
    """A seed with its proof."""

    seed: bytes
    proof: dict[str, object]


class CommittedSecret:
    """A `ports.SeedSource` without a network."""

    level = "B"

    def __init__(self, key: bytes) -> None:
        """Derive all secrets from `key` (32 bytes)."""
        self._key = key

    def commitment(self, draw: bytes) -> bytes:
        """Return what binds us to the secret."""
        return commitment(draw, self._secret(draw))

    def reveal(self, draw: bytes, count: int, root: bytes) -> SecretRevealed:
        """Return the seed; a secret exists at any time."""
        secret = self._secret(draw)
        return SecretRevealed(
            seed(draw, count, root, secret=secret),
            {"level": "B", "secret": secret.hex(), "count": count, "root": root.hex()},
        )

    def _secret(self, draw: bytes) -> bytes:
        return hmac.digest(self._key, b"waitroom-draw-secret-v1" + draw, "sha256")
