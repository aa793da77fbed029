"""Telling: the table of groups as text, and whether thresholds are ones that a room may have."""

from collections.abc import Iterator

from botguard.fairness.measure import Table
from botguard.verdict import LEAST, Thresholds, Verdict
from kernel.errors import Misconfigured

FEWEST = 100
COLUMNS = {
    Verdict.ALLOW: "let through",
    Verdict.PROVE: "background",
    Verdict.STEP_UP: "check",
    Verdict.SLOW: "suspect",
    Verdict.DENY: "refused",
}


def chosen(prove: float, step_up: float, slow: float, people: int) -> Thresholds:
    """Return thresholds. Raises ``Misconfigured`` for those that no room may have."""
    found = Thresholds(prove, step_up, slow)
    faults = [
        f"{name} is {value}; it must be from {least} to 1."
        for name, value, least in zip(found._fields, found, LEAST, strict=True)
        if not least <= value <= 1
    ]
    if not prove <= step_up <= slow:
        faults.append("The thresholds must not fall from prove to step_up to slow.")
    if people < FEWEST:
        faults.append(
            f"{people} people of each group are too few; {FEWEST} at least tell of one in a hundred."
        )
    if faults:
        raise Misconfigured(faults)
    return found


def lines(told: Table) -> Iterator[str]:
    """Tell the table, as Markdown."""
    yield f"| group | {' | '.join(COLUMNS.values())} |"
    yield f"|---|{'--:|' * len(COLUMNS)}"
    for row in told.rows:
        yield f"| {row.group.name} | {' | '.join(_share(row.shares[verdict]) for verdict in COLUMNS)} |"
    yield ""
    yield (
        f"prove {told.thresholds.prove}, step_up {told.thresholds.step_up}, slow {told.thresholds.slow}; "
        f"checked in the mean of the held groups: {told.average:.2%}; fair is at most {told.most:.2%}."
    )


def _share(share: float) -> str:
    return f"{share:.1%}" if share else "–"
