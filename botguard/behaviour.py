"""Behaviour: what a page's rhythm speaks for, as log-odds: the model's word, plain bots' rules, and known movements.

Each adds its part, and ``verdict`` bounds them together, so that they alone make nobody slow. **Where nothing moved
there is nothing**: keyboards, switches and screen readers have no pointer, no score and no sketch, and their
behaviour is None, which weighs nothing either way. The sums are read once and not kept; of the sketch its words are,
until the day is over.

Not here: whether a page's word can be true (``telling``), what follows (``verdict``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from botguard.features import vector
from botguard.model import Model
from botguard.rules import Plain, plain
from botguard.sketch import Sketches
from botguard.telling import Told
from kernel.errors import Unavailable

PLAIN_ODDS = 1.5
"""What one broken rule adds; mouse keys of an operating system break them, too."""

REPLAY = "rhythm-replay"
REPLAY_ODDS = 2.5
"""Movement that somebody else made before on this day. How much it is a person's says nothing then: it was one's."""

CODES = frozenset({*(str(one) for one in Plain), REPLAY, "rhythm-grid", "rhythm-step", "rhythm-stroke"})
"""Every code there is, besides ``behaviour`` itself."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Log-odds of a program, None where there was nothing to see; and what speaks for one, the heaviest first."""

    odds: float | None = None
    codes: tuple[str, ...] = ()


NOTHING = Behaviour()


class Behaviours:
    """Weighs rhythms, for one worker."""

    def __init__(
        self, model: Callable[[], Model], sketches: Sketches, without: Callable[[str], None]
    ) -> None:
        """`model` gives the one in use, which may be replaced; `without` hears when sketches could not be asked."""
        self._model = model
        self._sketches = sketches
        self._without = without

    async def weigh(self, session: str, told: Told, now_ms: int) -> Behaviour:
        """Weigh what a page told; `session` names its place for the day, and its sketch is kept under it."""
        row = vector(told.sums)
        model = self._model()
        score = model.score(row)
        broken = plain(told.sums)
        try:
            replayed = await self._sketches.alike(session, told.words, now_ms) is not None
        except Unavailable:
            self._without("sketches")
            replayed = False
        if score is None and not broken and not replayed:
            return NOTHING
        own = max(0.0, score or 0.0) if replayed else score or 0.0
        odds = own + PLAIN_ODDS * len(broken) + REPLAY_ODDS * replayed
        codes = [*([REPLAY] if replayed else []), *(str(one) for one in broken)]
        if score is not None and score > 0:
            codes += model.reasons(row)
        return Behaviour(odds, tuple(codes))
