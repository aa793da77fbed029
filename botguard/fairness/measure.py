"""Measure: what share of a group is checked, and which shares are no fair play.

**Checked** is whoever is not simply let through: work in the background, a check that a person passes, the lane
suspect, a refusal. The **average** is over all people of the held groups, each group with as many people, so that a
small group counts as much as a large one. Fair is:

* nobody of a held group is refused, nobody begins in or falls into the lane suspect, nobody is asked for a check;
* no held group works in the background more often than ``MOST_RATIO`` times the average, or than ``MOST_SHARE`` where
  the average is lower than what one can tell of so few people.

Pure. Not here: who they are (``groups``).
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from botguard.fairness.groups import Group
from botguard.fairness.simulating import Seen
from botguard.verdict import LEAST, Thresholds, Verdict

MOST_RATIO = 1.25
MOST_SHARE = 0.02
"""Two of a hundred, and only for work in the background."""

HARD = (Verdict.STEP_UP, Verdict.SLOW, Verdict.DENY)

SETTINGS: Sequence[Thresholds] = tuple(
    Thresholds(prove, step_up, slow)
    for prove, step_up, slow in product(
        (LEAST.prove, 0.25, 0.3, 0.4, 0.6, 1.0), (LEAST.step_up, 0.7, 0.9, 1.0), (LEAST.slow, 0.98, 1.0)
    )
    if prove <= step_up <= slow
)
"""Thresholds that a room may have, the hardest among them."""


class Row(NamedTuple):
    """One group: the share of its people to whom each verdict came."""

    group: Group
    many: int
    shares: Mapping[Verdict, float]

    @property
    def checked(self) -> float:
        """Return the share of those who are not simply let through."""
        return sum(share for verdict, share in self.shares.items() if verdict is not Verdict.ALLOW)


class Table(NamedTuple):
    """All groups under some thresholds."""

    thresholds: Thresholds
    rows: Sequence[Row]

    @property
    def average(self) -> float:
        """Return the mean share of those checked, over the held groups."""
        held = [row.checked for row in self.rows if row.group.is_held]
        return sum(held) / len(held)

    @property
    def most(self) -> float:
        """Return the largest share that is fair."""
        return max(MOST_RATIO * self.average, MOST_SHARE)


def table(groups: Sequence[Group], seen: Mapping[str, Sequence[Seen]], thresholds: Thresholds) -> Table:
    """Count what befell each group."""
    rows = []
    for group in groups:
        people = seen[group.name]
        outcomes = [one.outcome(thresholds) for one in people]
        rows.append(
            Row(group, len(people), {verdict: outcomes.count(verdict) / len(people) for verdict in Verdict})
        )
    return Table(thresholds, rows)


def faults(told: Table) -> list[str]:
    """Say in sentences which held groups are treated worse than is fair."""
    found = []
    for row in told.rows:
        if not row.group.is_held:
            continue
        found += [
            f"{row.group.name}: {verdict} for {row.shares[verdict]:.1%}, and should be for nobody."
            for verdict in HARD
            if row.shares[verdict]
        ]
        if row.checked > told.most:
            found.append(
                f"{row.group.name}: {row.checked:.1%} are checked; the average is {told.average:.1%}, "
                f"fair is at most {told.most:.1%}."
            )
    return found
