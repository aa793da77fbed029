"""Proving: the use case of a proof: ask for one, judge it, use it up.

The question carries a **nonce** of ours, signed, with its time: a proof cannot be made before its question, so what a
script signs ahead while it may, is worth nothing a minute later; and a fan's wrong clock does no harm, because the
question tells the time. Nothing is kept for a question. A proof that counted leaves its `jti` in the store for as
long as it could be shown again; of two that show the same one in the same moment one gets through.

While the store is away no proof counts (``Unavailable``): neither does the claim. Not here: what a proof says
(``proof``).
"""

from typing import Protocol

from admission import proof
from admission.metrics import Metrics
from admission.proof import LIFE_MS, Proof, Wanted, Wrong
from kernel.errors import Refused
from kernel.signing import BadSignature, PaperSigner

KEPT_MS = 3 * LIFE_MS
"""Longer than a proof can be shown: its time may lie a minute ahead, and clocks of workers differ."""


class Spent(Protocol):
    """Remembers what was used."""

    async def spend_proof(self, room: str, key: str, jti: str, keep_ms: int) -> bool:
        """Use a proof's id up; False when it had been used before. Raises Unavailable."""
        ...


class Proving:
    """Asks for proofs and judges them."""

    def __init__(self, spent: Spent, nonces: PaperSigner, metrics: Metrics) -> None:
        """Remember in `spent`, sign questions with `nonces`."""
        self._spent = spent
        self._nonces = nonces
        self._metrics = metrics

    async def check(self, wanted: Wanted, shown: str, now_ms: int) -> None:
        """Return when `shown` proves what is wanted.

        Raises Refused with the next question in it (`nonce`, `at_s`, `key`, `act`, `run`, `number`): ``proof-needed``
        (401) for none, ``proof-wrong`` (403, with a `reason`) and ``proof-used`` (409). Raises Unavailable.
        """
        outcome = await self._outcome(wanted, shown, now_ms)
        self._metrics.proofs.labels(wanted.room, outcome).inc()
        match outcome:
            case "good":
                return
            case "needed":
                refused = Refused(
                    "proof-needed",
                    "This place is bound to the browser in which it was taken, and only there it can be used. If this "
                    "is that browser, its key is gone; the organiser can help. The place itself is not lost.",
                    status=401,
                )
            case "used":
                refused = Refused(
                    "proof-used", "This proof has been used: each is good once. Please try again.", status=409
                )
            case _:
                refused = Refused(
                    "proof-wrong",
                    "What this browser has shown does not prove that the place is its own. Please try again.",
                    status=403,
                    reason=outcome,
                )
        refused.extra |= self._question(wanted, now_ms)
        raise refused

    async def _outcome(self, wanted: Wanted, shown: str, now_ms: int) -> str:
        if not shown:
            return "needed"
        found = proof.check(shown, wanted, now_ms)
        if isinstance(found, Wrong):
            return str(found)
        if not self._is_ours(wanted, found, now_ms):
            return str(Wrong.STALE)
        fresh = await self._spent.spend_proof(wanted.room, wanted.key, found.jti, KEPT_MS)
        return "good" if fresh else "used"

    def _question(self, wanted: Wanted, now_ms: int) -> dict[str, object]:
        return {
            "nonce": self._nonces.sign(f"{wanted.room}|{now_ms}".encode()),
            "at_s": now_ms // 1000,
            "key": wanted.key,
            "act": str(wanted.act),
            "run": wanted.run,
            "number": wanted.number,
        }

    def _is_ours(self, wanted: Wanted, found: Proof, now_ms: int) -> bool:
        """Tell whether the nonce is one that we gave in this room within the last minute."""
        try:
            room, at_ms = self._nonces.open(found.nonce).decode("ascii").split("|")
            return room == wanted.room and -LIFE_MS < now_ms - int(at_ms) < LIFE_MS
        except (BadSignature, ValueError):
            return False
