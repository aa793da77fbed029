"""Newcomer: what was found of somebody who joins, in the line's own words.

Pure. Not here: who finds it (``ports.Newcomers``), and how a lane is left again (``line.climb``).
"""

from typing import NamedTuple

from waitroom.lanes import Lane, is_better


class Newcomer(NamedTuple):
    """The lane in which somebody begins, why it is not a better one, and headers that their answer carries."""

    lane: Lane = Lane.STANDARD
    reasons: tuple[str, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def begins(self, first: Lane) -> Lane:
        """Return the lane to begin in, where the room has all others begin in `first`: never a better one."""
        return first if self.lane is first or is_better(self.lane, first) else self.lane


ANYBODY = Newcomer()
"""Nothing was found."""
