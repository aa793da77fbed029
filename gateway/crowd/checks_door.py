"""Checks of the door: its two limits, one admission for each ticket, and that it is shut to everybody else."""

from collections import defaultdict
from itertools import pairwise

from gateway.crowd.limits import fullest_window, most_at_once, segments
from gateway.crowd.observed import Observed
from gateway.crowd.verdict import State, Verdict, verdict


def admitted_once(observed: Observed) -> Verdict:
    """One session for a ticket, one ticket for a session."""
    sids: dict[tuple[str, int], set[str]] = defaultdict(set)
    tickets: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for admission in observed.admissions:
        sids[admission.run, admission.number].add(admission.sid)
        tickets[admission.sid].add((admission.run, admission.number))
    found = [
        f"number {number} got {len(held)} sessions" for (_, number), held in sids.items() if len(held) > 1
    ]
    found += [
        f"one session went to the numbers {sorted(n for _, n in held)}"
        for held in tickets.values()
        if len(held) > 1
    ]
    # A claim that a lost store forgot is made again by the same ticket, under the same sid.
    if observed.journal is not None and not _losses_ms(observed):
        times: dict[tuple[str, str], int] = defaultdict(int)
        for entry in observed.journal:
            times[entry.run, entry.sid] += 1
        found += [f"the journal admits one session {count} times" for count in times.values() if count > 1]
    return verdict(
        "admitted-once",
        "Nobody is admitted twice: one session for each ticket.",
        found,
        f"{len(sids):,} tickets admitted, {len(observed.admissions):,} times answered",
        seen=len(sids),
    )


def rate_exact(observed: Observed) -> Verdict:
    """In every window of length W at most rate·W + burst admissions; burst = max(1, one second's rate).

    Moments are known to a unit (a millisecond, or a second where a token has only ``iat``). Windows are made of
    whole units, [a, b + unit): what is counted in one happened in it, so the bound holds without any tolerance. A
    lost store may have lost the bucket: each loss allows one more burst to windows across it.
    """
    name, promise = "rate-exact", "In every window of time no more are admitted than rate × window + burst."
    per_minute = observed.limits.admissions_per_minute
    if per_minute is None:
        return Verdict(
            name, promise, State.NOT_JUDGED, "the room's rate is not known (operator's port, --limit-rate)"
        )
    moments, unit_ms, source = _admission_moments(observed)
    rate_per_ms, burst = per_minute / 60_000, max(1.0, per_minute / 60)
    worst = max(
        (
            (excess - burst * (1 + losses), count, length_ms)
            for part, losses in segments(moments, _losses_ms(observed))
            for excess, count, length_ms in [fullest_window(part, unit_ms, rate_per_ms)]
        ),
        default=(0.0, 0, 0),
    )
    over, count, length_ms = worst
    found = [f"{count} admissions within {length_ms} ms: {over:.2f} too many"] if over > 1e-6 else []
    return verdict(
        name,
        promise,
        found,
        f"{len(moments):,} admissions from {source}, at most {per_minute:g} a minute and {burst:g} at once",
        seen=len(moments),
    )


def _admission_moments(observed: Observed) -> tuple[list[int], int, str]:
    """When admissions happened, sorted, with their unit and where that is known from."""
    if observed.journal is not None:
        return sorted(entry.at_ms for entry in observed.journal), 1, "the journal"
    unit_ms = max((admission.unit_ms for admission in observed.admissions), default=1)
    moments: dict[str, int] = {}
    for admission in observed.admissions:
        moments[admission.sid] = min(admission.at_ms, moments.get(admission.sid, admission.at_ms))
    return (
        sorted(at_ms // unit_ms * unit_ms for at_ms in moments.values()),
        unit_ms,
        "the admissions' own times",
    )


def _losses_ms(observed: Observed) -> list[tuple[float, float]]:
    return [
        (observed.wall_ms + outage.since_s * 1000, observed.wall_ms + outage.until_s * 1000)
        for outage in observed.outages
        if outage.loses_store
    ]


def sessions_exact(observed: Observed) -> Verdict:
    """Never more than ``total_active_users`` sessions at once.

    A session counts from the moment its fan had the admission until the fan asked to end it or its token ran out, so
    each counted one was surely alive (the room holds its place longer: from the script call to the token's end plus
    the leeway). The operator's own count is checked at every sample. Sessions from before a lost store are
    not counted after it: what was over the limit then is bounded by the rate and told in the detail.
    """
    name, promise = "sessions-exact", "Never more sessions at once than total_active_users."
    most = observed.limits.active_users
    if most is None:
        return Verdict(
            name, promise, State.NOT_JUDGED, "the room's cap is not known (operator's port, --limit-active)"
        )
    stays = [(stay.since_s, stay.until_s) for stay in observed.stays.values()]
    peak, at_s = most_at_once(stays)
    found: list[str] = []
    detail = f"at most {peak:,} at once of {most:,}"
    losses = [outage for outage in observed.outages if outage.loses_store]
    if peak > most and losses:
        detail += ", counted across the lost store"
        edges = [0.0, *(outage.since_s for outage in losses), float("inf")]
        parts = [
            [(since, min(until, high)) for since, until in stays if low <= since < high]
            for low, high in pairwise(edges)
        ]
        peak, at_s = max(most_at_once(part) for part in parts)
    if peak > most:
        found.append(f"{peak} sessions were alive at {at_s:.1f} s, {peak - most} too many")
    found += [
        f"the room itself counted {sample.active} at {sample.at_s:.1f} s"
        for sample in observed.samples
        if sample.active > most and not (losses and sample.at_s >= losses[0].since_s)
    ]
    if observed.samples:
        detail += f"; the room's own count in {len(observed.samples)} samples: at most "
        detail += f"{max(sample.active for sample in observed.samples):,}"
    return verdict(name, promise, found, detail, seen=len(stays))


def door_shut(observed: Observed) -> Verdict:
    """Without a genuine admission nobody gets past the room."""
    promise = "Nobody reaches the origin without an admission, and no forged paper is taken."
    if any(document.bypass for _, document in observed.documents):
        return Verdict("door-shut", promise, State.NOT_JUDGED, "the operator had opened the gate (bypass)")
    found = [f"fan {fan}: {text}" for fan, text in [*observed.slipped, *observed.forged]]
    return verdict("door-shut", promise, found, f"{len(observed.fans):,} fans", seen=len(observed.fans))
