"""Keys: idempotency as version 1 of Stripe's API has it.

* The first answer of a call that had begun to be executed is kept under its key, status and body, a 500 too, and given
  to whoever asks again with the same parameters. What was refused before that is not kept.
* Other parameters, or another address, under the same key: 400 ``idempotency_error``.
* A key whose first call has not ended: 409.
* A key is forgotten after ``KEPT_MS`` (24 hours); then the same call is a new one.

Only POST knows keys. Bodies are kept packed: a sale of ten minutes has some hundred thousand of them.
"""

import zlib
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from checkout.sandbox.answers import Answer, ApiError

KEPT_MS = 86_400_000
KEY_MOST = 255

REPLAYED = (b"idempotent-replayed", b"true")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a key stands for. ``call``: the address; ``asked``: a hash of the parameters."""

    key: str
    call: str
    asked: str
    status: int
    packed: bytes
    at_ms: int

    @classmethod
    def of(cls, key: str, call: str, asked: str, status: int, body: bytes, at_ms: int) -> "Saved":
        """Keep an answer."""
        return cls(key, call, asked, status, zlib.compress(body, 1), at_ms)

    def answer(self) -> Answer:
        """Give the answer again."""
        return Answer(self.status, zlib.decompress(self.packed), (REPLAYED,))


class Keys:
    """All keys."""

    def __init__(self) -> None:
        self._saved: OrderedDict[str, Saved] = OrderedDict()
        self._at_work: dict[str, tuple[str, str]] = {}

    def take(self, key: str, call: str, body: bytes, now_ms: int) -> Answer | None:
        """Begin a call: None if it is the first with this key; else the answer of the first. Raises ``ApiError``."""
        if len(key) > KEY_MOST:
            raise ApiError(400, f"Idempotency keys have at most {KEY_MOST} characters.")
        self._forget(now_ms)
        asked = digest(body)
        saved = self._saved.get(key)
        known = (saved.call, saved.asked) if saved else self._at_work.get(key)
        if known is not None and known != (call, asked):
            what = "parameters" if known[0] == call else "endpoint"
            raise ApiError(
                400,
                f"Keys for idempotent requests can only be used for the same {what} they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if saved is not None:
            return saved.answer()
        if known is not None:
            raise ApiError(
                409,
                "There is currently another in-progress request using this Stripe API key and Idempotency Key.",
                code="idempotency_key_in_use",
            )
        self._at_work[key] = (call, asked)
        return None

    def end(self, key: str, answer: Answer | None, now_ms: int) -> Saved | None:
        """End a call; `answer`: what is kept, None if it had not begun to be executed."""
        call, asked = self._at_work.pop(key)
        if answer is None:
            return None
        saved = Saved.of(key, call, asked, answer.status, answer.body, now_ms)
        self.restore(saved)
        return saved

    def restore(self, saved: Saved) -> None:
        """Keep an answer."""
        self._saved[saved.key] = saved

    def all(self) -> list[Saved]:
        """Give everything that is kept."""
        return list(self._saved.values())

    def _forget(self, now_ms: int) -> None:
        while self._saved:
            oldest = next(iter(self._saved.values()))
            if now_ms - oldest.at_ms < KEPT_MS:
                return
            del self._saved[oldest.key]


def digest(body: bytes) -> str:
    """Tell bodies apart."""
    return sha256(body).hexdigest()
