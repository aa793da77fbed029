"""A naive sale: the naive room with a date, a prequeue and a draw by a committed secret; and ways to break those.

Not here: everything that a line without a date has as well (``naive_room``).
"""

import base64
import hashlib
import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from tests.gateway.crowd.naive_room import Fault, NaiveRoom
from waitroom import draw, merkle

SECRET = bytes(range(32))


class SaleFault(StrEnum):
    """Which promise the sale breaks."""

    OPENS_EARLY = "the first are called before the start"
    SWAPS_SECRET = "the revealed secret is not the one that was committed to"
    SWAPS_SEED = "the seed was picked by hand"
    STUFFS = "a leaf is exchanged after the root was shown"
    REARRANGES = "places are shown by arrival, not as drawn"
    FOREIGN_LEAF = "a receipt names a leaf that did not take part"


class NaiveSale(NaiveRoom):
    """A line that gathers, freezes two seconds before its start, draws at it, and then serves."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        per_minute: int,
        starts_s: float,
        fault: Fault | None = None,
        sale_fault: SaleFault | None = None,
    ) -> None:
        super().__init__(now_s, per_minute=per_minute, fault=fault)
        self._starts_s, self._sale_fault = starts_s, sale_fault
        self._draw_id = draw.draw_id("main", self.line.run)
        self.frozen: int | None = None
        self.seed = b""
        self._shuffle: draw.Shuffle | None = None

    def leaf(self, number: int) -> bytes:
        """Give the leaf of a number."""
        return hashlib.sha256(b"%d" % number).digest()[:16]

    @property
    def root(self) -> bytes:
        """The root over all that take part."""
        return merkle.root([b"".join(self.leaf(number) for number in range(self.frozen or 0))])

    def rank(self, number: int) -> int | None:
        """Give the drawn rank; who came after the freeze keeps the number."""
        if self.frozen is not None and number >= self.frozen:
            return number
        if self._sale_fault is SaleFault.REARRANGES and self._shuffle is not None:
            return number
        return self._shuffle.rank(number) if self._shuffle is not None else None

    def _tick(self) -> None:
        now_s, line = self._now_s(), self.line
        if self.frozen is None and now_s >= self._starts_s - 2:
            self.frozen = line.issued
            line.version += 1
        if self._shuffle is None and self.frozen and now_s >= self._starts_s:
            self.seed = draw.seed(self._draw_id, self.frozen, self.root, secret=SECRET)
            if self._sale_fault is SaleFault.SWAPS_SEED:
                self.seed = hashlib.sha256(b"a better one").digest()
            self._shuffle = draw.Shuffle(self.seed, self.frozen)
            line.version += 1
        early_s = 3 if self._sale_fault is SaleFault.OPENS_EARLY else 0
        if now_s >= self._starts_s - early_s:
            super()._tick()

    def sale_members(self) -> dict[str, Any]:
        """Say when the sale starts, and what is known of the draw."""
        begun = self._now_s() >= self._starts_s
        shown = draw.commitment(self._draw_id, SECRET).hex()
        return {
            "phase": "serving" if begun else "gathering",
            "starts_ms": int(self._starts_s * 1000),
            "draw": {
                "commitment": shown,
                "rounds": 90,
                "frozen": self.frozen,
                "root": self.root.hex() if self.frozen else "",
                "seed": self.seed.hex(),
            },
        }

    def published(self, act: str) -> bytes:
        """Give the bundle, or a block of leaves."""
        if act != "draw":
            first = int(act.rpartition("/")[2]) * 1024
            swapped = 7 if self._sale_fault is SaleFault.STUFFS else -1
            last = min(first + 1024, self.frozen or 0)
            return b"".join(
                bytes(16) if number == swapped else self.leaf(number) for number in range(first, last)
            )
        secret = bytes(32) if self._sale_fault is SaleFault.SWAPS_SECRET else SECRET
        said = self.sale_members()["draw"] | {
            "draw_id": self._draw_id.decode(),
            "void": [],
            "proof": {"level": "B", "secret": secret.hex()} if self.seed else None,
        }
        return json.dumps(said).encode()

    def receipt(self, number: int) -> bytes:
        """Give a receipt, its signature left out."""
        foreign = 1 if self._sale_fault is SaleFault.FOREIGN_LEAF else 0
        said = json.dumps({"number": number, "leaf": self.leaf(number + foreign).hex()}).encode()
        return b"e30." + base64.urlsafe_b64encode(said).rstrip(b"=") + b"."
