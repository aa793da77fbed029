"""Checks of a dated sale: nobody gets in early, and the draw is the one that was published.

The draw is computed anew from what anybody can read (commitment, leaves, secret; docs/draw.md), and the ranks that
fans were shown are compared with it. Not here: that ranks are called in their order (``checks_line``).
"""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from gateway.crowd.observed import Bundle, Observed
from gateway.crowd.uniform import arrival_p
from gateway.crowd.verdict import State, Verdict, verdict
from waitroom import draw, merkle

UNLIKELY = 1e-6
"""Chance alone makes one honest draw in a million look so bad."""


def nobody_early(observed: Observed) -> Verdict:
    """Nobody is called or admitted before the sale starts, nor admitted before being called.

    A document that does not call a rank yet proves that it was not called until then. Documents of the line's first
    epoch only: what a lost store had called may have to be called again.
    """
    starts_ms: dict[str, int] = {}
    for _, document in observed.documents:
        if document.starts_ms is not None:
            starts_ms[document.run] = min(document.starts_ms, starts_ms.get(document.run, document.starts_ms))
    found = [
        f"document {document.order} calls up to {max(document.serving.values())}, "
        f"{starts_ms[document.run] - document.at_ms} ms before the start"
        for _, document in observed.documents
        if document.at_ms < starts_ms.get(document.run, 0) and max(document.serving.values()) > 0
    ]
    moments = _moments_ms(observed)
    for (run, sid), at_ms in moments.items():
        if at_ms < starts_ms.get(run, 0):
            found.append(f"the session {sid} was admitted {starts_ms[run] - at_ms} ms before the start")
    uncalled_ms = _Uncalled(observed)
    ranks = {file.index: (file.rank, file.lane) for file in observed.fans}
    for admission in observed.admissions:
        rank, lane = ranks[admission.fan]
        at_ms = moments.get((admission.run, admission.sid), admission.at_ms + admission.unit_ms - 1)
        if rank is not None and at_ms < (until_ms := uncalled_ms.until(admission.run, lane, rank)):
            found.append(
                f"fan {admission.fan} was admitted {until_ms - at_ms} ms before rank {rank} was called"
            )
    detail = f"{len(moments):,} admissions"
    if starts_ms:
        detail += f", the first {_first_s(moments, starts_ms):.1f} s after the start" if moments else ""
    return verdict(
        "nobody-early",
        "Nobody gets in before the start, or before being called.",
        found,
        detail,
        seen=len(moments) + len(starts_ms),
    )


def _moments_ms(observed: Observed) -> dict[tuple[str, str], int]:
    """The last millisecond in which each session can have been admitted."""
    moments: dict[tuple[str, str], int] = {}
    for admission in observed.admissions:
        key = admission.run, admission.sid
        latest_ms = admission.at_ms + admission.unit_ms - 1
        moments[key] = min(latest_ms, moments.get(key, latest_ms))
    exact: dict[tuple[str, str], int] = {}
    for entry in observed.journal or ():
        key = entry.run, entry.sid
        exact[key] = min(entry.at_ms, exact.get(key, entry.at_ms))
    return moments | exact


def _first_s(moments: Mapping[tuple[str, str], int], starts_ms: Mapping[str, int]) -> float:
    return min((at_ms - starts_ms.get(run, at_ms)) / 1000 for (run, _), at_ms in moments.items())


class _Uncalled:
    """Until when a rank was surely not called: the latest document of the first epoch that leaves it waiting."""

    def __init__(self, observed: Observed) -> None:
        seen: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        epochs: dict[str, int] = {}
        for _, document in observed.documents:
            epochs[document.run] = min(document.epoch, epochs.get(document.run, document.epoch))
        for _, document in observed.documents:
            if document.epoch == epochs[document.run]:
                for lane, serving in document.serving.items():
                    seen[document.run, lane].append((serving, document.at_ms))
        self._table = {
            key: (
                [serving for serving, _ in sorted(rows)],
                list(accumulate((at for _, at in sorted(rows)), max)),
            )
            for key, rows in seen.items()
        }

    def until(self, run: str, lane: str, rank: int) -> int:
        """Give the latest such moment, 0 when there is none."""
        servings, until_ms = self._table.get((run, lane), ([], []))
        place = bisect_right(servings, rank)
        return until_ms[place - 1] if place else 0


def draw_kept(observed: Observed) -> Verdict:
    """Everybody's rank is the one that follows from what was published, and the arrival says nothing about it."""
    name, promise = "draw-kept", "The order is the one that the published draw gives, and chance made it."
    bundle = observed.draw
    if bundle is None or not bundle.said.get("seed"):
        why = "this line has no draw" if bundle is None else "the draw was still to come"
        return Verdict(name, promise, State.NOT_JUDGED, why)
    said = bundle.said
    ranks = _ranks(said)
    found = [*_unproven(bundle), *_otherwise_shown(observed, said), *_other_ranks(observed, said, ranks)]
    found += [
        f"fan {receipt.fan}'s receipt names another leaf than the draw has for number {receipt.number}"
        for receipt in observed.receipts
        if receipt.number < len(ranks) and _leaf(bundle, receipt.number) != receipt.leaf
    ]
    likely = arrival_p(ranks)
    if likely is not None and likely < UNLIKELY:
        found.append(f"ranks follow from the arrival: chance explains them with p = {likely:.1g}")
    detail = f"{len(ranks):,} drawn at level {(said.get('proof') or {}).get('level', '?')}"
    detail += f", {len(observed.receipts):,} receipts compared"
    if likely is not None:
        detail += f", rank and arrival are strangers (p = {likely:.2g})"
    return verdict(name, promise, found, detail, seen=len(ranks))


def _ranks(said: Mapping[str, Any]) -> "array[int]":
    frozen = int(said["frozen"])
    return draw.Shuffle(bytes.fromhex(said["seed"]), frozen).ranks() if frozen else array("q")


def _leaf(bundle: Bundle, number: int) -> str:
    return bundle.leaves[number * draw.LEAF_BYTES : (number + 1) * draw.LEAF_BYTES].hex()


def _unproven(bundle: Bundle) -> Iterator[str]:
    """The draw does not follow from what was published before it."""
    said = bundle.said
    draw_id, frozen = str(said["draw_id"]).encode(), int(said["frozen"])
    root = merkle.root([bundle.leaves])
    secret = bytes.fromhex((said.get("proof") or {}).get("secret", ""))
    if len(bundle.leaves) != frozen * draw.LEAF_BYTES:
        yield f"{len(bundle.leaves) // draw.LEAF_BYTES} leaves are published of {frozen}"
    if root.hex() != said["root"]:
        yield "the published leaves do not give the root"
    if len(secret) != draw.SECRET_BYTES or draw.commitment(draw_id, secret).hex() != said["commitment"]:
        yield "the revealed secret is not the one that was committed to"
    elif draw.seed(draw_id, frozen, root, secret=secret).hex() != said["seed"]:
        yield "the seed does not follow from the secret and the root"


def _otherwise_shown(observed: Observed, said: Mapping[str, Any]) -> Iterator[str]:
    """A status document of this draw's run said something else before."""
    run = str(said["draw_id"]).rpartition(":")[2]
    for _, document in observed.documents:
        shown = document.draw
        if document.run != run:
            continue
        if shown.commitment != said["commitment"]:
            yield f"document {document.order} shows another commitment"
        if shown.frozen not in {None, said["frozen"]} or shown.root not in {"", said["root"]}:
            yield f"document {document.order} shows another frozen list"
        if shown.seed not in {"", said["seed"]}:
            yield f"document {document.order} shows another seed"


def _other_ranks(observed: Observed, said: Mapping[str, Any], ranks: "array[int]") -> Iterator[str]:
    """A fan was shown a rank that the draw does not give."""
    run = str(said["draw_id"]).rpartition(":")[2]
    void = [(int(low), int(high)) for low, high in said["void"]]
    for place in observed.places:
        if place.run != run or place.rank is None or any(low <= place.number < high for low, high in void):
            continue
        drawn = ranks[place.number] if place.number < len(ranks) else place.number
        if place.rank != drawn:
            yield f"fan {place.fan} was shown rank {place.rank} ({place.by}); number {place.number} drew {drawn}"
