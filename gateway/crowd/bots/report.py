"""The report of bots: one row for each kind, the shares in words, and all of it for JSON."""

from dataclasses import asdict
from typing import Any

from gateway.crowd.bots.kinds import CORE_USD_PER_HOUR, KINDS, Kind
from gateway.crowd.bots.shares import Group, Shares


def named(kind: Kind | None) -> str:
    """Name a kind for people."""
    return "people" if kind is None else str(kind).replace("_", " ")


def share_rows(shown: Shares) -> list[list[str]]:
    """Who came and who got in."""
    rows = [
        [
            "Bots and people",
            "came",
            "got a place",
            "began suspect",
            "climbed",
            "put off",
            "slowed",
            "asked",
            "admitted",
            "share",
            "wait",
        ]
    ]
    for one in shown.groups:
        counts = (
            one.came,
            one.placed,
            one.was_suspect,
            one.lifted,
            one.put_off,
            one.slowed,
            one.asked,
            one.admitted,
        )
        wait = f"{one.wait_s:.0f} s" if one.admitted else ""
        rows.append([named(one.kind), *[f"{count:,}" for count in counts], f"{one.share:.1%}", wait])
    return rows


def cost_rows(shown: Shares) -> list[list[str]]:
    """What checks cost, and what came of them."""
    head = ["Checks", "answers", "processor", "for a place", "dollars", "for a place"]
    rows = [_cost_row(one) for one in shown.groups if one.outcomes]
    return [head, *rows] if rows else []


def _cost_row(group: Group) -> list[str]:
    answers = ", ".join(f"{count:,} {word}" for word, count in sorted(group.outcomes.items()))
    core, dollars = "", ""
    if group.admitted:
        core, dollars = f"{group.cpu_s_per_place * 1000:.1f} ms", f"{group.usd_per_place:.5f}"
    return [named(group.kind), answers, f"{group.cpu_s:.2f} s", core, f"{group.usd:.4f}", dollars]


def told(shown: Shares) -> str:
    """The shares in two sentences."""
    passing = ", ".join(
        f"{named(group.kind)} {group.share:.1%}"
        for group in shown.groups
        if group.kind is not None and KINDS[group.kind].passes
    )
    people = [one for one in shown.groups if one.kind is None]
    policy = f" ({shown.policy})" if shown.policy else ""
    return (
        f"Scripted bots got {shown.scripted:.1%} of {shown.admitted:,} admissions{policy}; "
        f"those that pass checks: {passing or 'none came'}. "
        f"Of the people {sum(one.slowed for one in people):,} were slowed, {sum(one.asked for one in people):,} asked "
        f"for a check before the turn, {len(shown.blocked):,} kept out."
    )


def bots_as_dict(shown: Shares | None) -> dict[str, Any] | None:
    """Everything as plain values; None without bots."""
    if shown is None:
        return None
    return {
        "policy": shown.policy,
        "admitted": shown.admitted,
        "scripted_share": round(shown.scripted, 4),
        "bots_share": round(shown.bots, 4),
        "people_blocked": list(shown.blocked),
        "core_usd_per_hour": CORE_USD_PER_HOUR,
        "groups": [_as_dict(group) for group in shown.groups],
    }


def _as_dict(group: Group) -> dict[str, Any]:
    about = {} if group.kind is None else {"does": KINDS[group.kind].does, "costs": KINDS[group.kind].costs}
    rounded = {
        name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(group).items()
    }
    return rounded | {
        "kind": None if group.kind is None else str(group.kind),
        "cpu_s_per_place": round(group.cpu_s_per_place, 5),
        "usd_per_place": round(group.usd_per_place, 6),
        **about,
    }
