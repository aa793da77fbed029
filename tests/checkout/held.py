"""What the tests of holds read from an answer."""

from typing import Any

from checkout.holds.wishes import (
    HoldOutcome,
    Told,
)

BEST = {"best": {"count": 2, "tier": None, "section": None}}


def paper_of(outcome: HoldOutcome) -> dict[str, Any]:
    """Return the paper of what was told."""
    assert isinstance(outcome, Told), outcome
    return dict(outcome.paper)


def seats_of(outcome: HoldOutcome) -> list[int]:
    """Return the seats that were told."""
    return [line["seat"] for line in paper_of(outcome)["seats"]]
