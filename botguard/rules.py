"""Rules: bots so plain that no model is needed; boosted trees do not know what lies beyond all they learned from.

A rule says what was seen, it does not judge: each is one more piece of evidence, and none blocks anybody. Where too
little was seen no rule speaks. People with switches, keyboards and screen readers move no pointer, and none is for
them; remote desktops and touch report seldom, so no rule looks at rates or at coalesced moves. The mouse keys of an
operating system go evenly straight, as scripts do: whoever uses them breaks these rules, one more reason why none
may block.
"""

from collections.abc import Mapping
from enum import StrEnum

FEWEST_STEPS = 40
STEADY_CHANGE = 0.02
"""Speed and direction change by less than a fiftieth from one twentieth of a second to the next."""
STRAIGHT_RATIO = 0.97
"""This share of the turns between steps is below three degrees."""
EVEN_RATIO = 0.95
WHOLE_RATIO = 0.5
LEVEL_RATIO = 0.02
"""From this share of steps along an axis on it may be mouse keys."""


class Plain(StrEnum):
    """What a plain bot does."""

    UNTRUSTED = "rhythm-untrusted"
    STEADY = "rhythm-steady"
    STRAIGHT = "rhythm-straight"
    SAME_STEPS = "rhythm-same-steps"


def plain(summary: Mapping[str, float]) -> list[Plain]:
    """Return which rules a summary breaks."""
    found = []
    if summary["untrusted"]:
        found.append(Plain.UNTRUSTED)
    moved = summary["steps"] - summary["still"]
    if moved < FEWEST_STEPS or summary["level"] >= LEVEL_RATIO * moved:
        return found
    pairs = summary["g50_pairs"]
    if pairs >= FEWEST_STEPS / 2 and summary["g50_change"] / pairs < STEADY_CHANGE:
        found.append(Plain.STEADY)
    turns = sum(summary[f"turn_{at}"] for at in range(6))
    is_straight = turns >= FEWEST_STEPS and summary["turn_0"] >= STRAIGHT_RATIO * turns
    if summary["same"] >= EVEN_RATIO * summary["steps"]:
        found.append(Plain.SAME_STEPS)
    # On whole pixels, at a pace that changes, straight is also who steers by keys along the diagonals alone.
    is_whole = summary["whole"] >= WHOLE_RATIO * summary["moves"]
    if is_straight and (found or not is_whole):
        found.append(Plain.STRAIGHT)
    return found
