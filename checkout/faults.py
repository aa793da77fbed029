"""Faults: everything that is wrong with what somebody handed in, told at once.

Whoever repairs a file of 60,000 rows wants the list, not the first find; whoever sends nothing but rubbish does not
get all of it back. Each fault is a short sentence that begins with the place ("line 4711: …", "tier 3: …").
Not here: faults of the set-up (``kernel.errors.Misconfigured``).
"""

from collections.abc import Iterable

from kernel.errors import Refused

MOST = 100
"""So many are told in words, the rest as a number."""


class Faults:
    """A list of faults that becomes one refusal, with the faults as member ``faults`` of the problem."""

    def __init__(self, code: str, public: str, status: int = 422) -> None:
        """Take the refusal's code, its sentence for people, and its status."""
        self.code = code
        self.public = public
        self.status = status
        self._told: list[str] = []
        self._count = 0

    def __len__(self) -> int:
        """Count all of them, the untold ones too."""
        return self._count

    def add(self, fault: str) -> None:
        """Note a fault."""
        self._count += 1
        if len(self._told) < MOST:
            self._told.append(fault)

    def add_all(self, faults: Iterable[str]) -> None:
        """Note several."""
        for fault in faults:
            self.add(fault)

    def told(self) -> list[str]:
        """Give up to ``MOST`` faults and, if there are more, how many."""
        more = self._count - len(self._told)
        return [*self._told, *([f"and {more} more"] if more else [])]

    def refuse(self) -> None:
        """Raise ``Refused`` if there is a fault."""
        if self._count:
            raise self.refusal()

    def refusal(self) -> Refused:
        """Give the refusal with what was noted so far."""
        return Refused(self.code, self.public, status=self.status, faults=self.told())
