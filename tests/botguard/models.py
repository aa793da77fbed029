"""Models for tests: the shipped one with another word at its end, so that the two can be told apart."""

import json
from importlib.resources import files

from botguard.model_key import ModelKey, PublicKeys, public_keys
from kernel.signing import b64url

SHIPPED = files("botguard").joinpath("models/rhythm.json").read_bytes()
KEY, OTHER = ModelKey(b64url(b"k" * 32)), ModelKey(b64url(b"o" * 32))
KEYS: PublicKeys = public_keys([KEY.public])


def own(shift: float = 9.0, **changes: object) -> bytes:
    """Return a model whose every word is moved by `shift`, as a file of ``train``."""
    told = {**json.loads(SHIPPED), "shift": shift, **changes}
    return (json.dumps(told, separators=(",", ":")) + "\n").encode()
