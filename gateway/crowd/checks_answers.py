"""Checks of the answers: how each fan's day ended, what failed, and what the status documents are worth."""

import orjson

from gateway.crowd.law import MOST_BYTES
from gateway.crowd.observed import Observed, Outcome
from gateway.crowd.verdict import Verdict, verdict


def outcomes_allowed(observed: Observed) -> Verdict:
    """Every fan's day ended as its script says, or was cut short with the place kept."""
    matched = sum(file.matched for file in observed.fans)
    undecided = sum(file.undecided for file in observed.fans)
    found = [
        f"fan {file.index} ({file.script}) ended {file.outcome or 'nowhere'}: {'; '.join(file.faults) or 'unexpected'}"
        for file in observed.fans
        if not file.matched and not file.undecided
    ]
    waiting = sum(file.outcome is Outcome.WAITING for file in observed.fans)
    detail = f"{matched:,} of {len(observed.fans):,} fans as their script says"
    if undecided:
        detail += f", {undecided:,} sent home before the end of it ({waiting:,} still in line)"
    return verdict(
        "outcomes", "Every fan's day ends as its script allows.", found, detail, seen=len(observed.fans)
    )


def no_failures(observed: Observed) -> Verdict:
    """No 5xx and nothing unanswered, but 503 with Retry-After while the room is harmed on purpose (502: its site)."""
    expected, found = 0, []
    for failure in observed.failures:
        in_time = observed.in_outage(failure.since_s, failure.until_s)
        of_origin = observed.in_outage(failure.since_s, failure.until_s, of_origin=True)
        is_told = (failure.kind == "503" and failure.retry_told) or (failure.kind == "502" and of_origin)
        if in_time and (not failure.kind.isdigit() or is_told):
            expected += 1
        else:
            found.append(f"{failure.route}: {failure.kind} at {failure.until_s:.1f} s (fan {failure.fan})")
    requests = sum(counts.total() for counts in observed.requests.values())
    detail = f"{requests:,} requests"
    if observed.outages:
        detail += f"; {expected:,} failed during {', '.join(outage.name for outage in observed.outages)}, as announced"
    return verdict("no-failures", "No request fails unexpectedly.", found, detail, seen=requests)


def later_says_when(observed: Observed) -> Verdict:
    """Every 202, 429 and 503 carries Retry-After."""
    found = [f"{failure.route}: {failure.kind} at {failure.until_s:.1f} s" for failure in observed.hasty]
    requests = sum(counts.total() for counts in observed.requests.values())
    return verdict(
        "later-says-when",
        "Who is told to come later is told when.",
        found,
        f"{requests:,} requests",
        seen=requests,
    )


def documents_agree(observed: Observed) -> Verdict:
    """Status documents are signed, small, and the same for everybody."""
    found = list(observed.garbled)
    first: dict[tuple[str, tuple[int, int]], bytes] = {}
    for _, document in observed.documents:
        if document.signed is False:
            found.append(f"document {document.order} does not verify with the published keys")
        if len(document.raw) > MOST_BYTES:
            found.append(f"document {document.order} has {len(document.raw)} bytes")
        known = first.setdefault((document.run, document.order), document.raw)
        if known != document.raw:
            found.append(f"there are two documents {document.order}: {_difference(known, document.raw)}")
    return verdict(
        "documents-agree",
        "Status documents are signed, small and the same for everybody.",
        found,
        f"{len(observed.documents):,} distinct documents",
        seen=len(observed.documents),
    )


def _difference(first: bytes, second: bytes) -> str:
    """Name the members in which two documents differ, with their values."""
    left, right = orjson.loads(first), orjson.loads(second)
    names = [name for name in left if left[name] != right.get(name) and name != "signature"]
    return ", ".join(f"{name} {left[name]} and {right.get(name)}" for name in names) or "only the signature"
