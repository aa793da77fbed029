"""Checks of the line: its numbers, its order, and that no place is lost.

"Before" is always certain: an answer counts as told when its last byte was read, a question as asked just before its
first byte was written.
"""

from collections import defaultdict

from gateway.crowd.observed import Observed, Placed, Told
from gateway.crowd.verdict import Verdict, verdict


def nobody_overtaken(observed: Observed) -> Verdict:
    """If A had the number before B asked, A's number is the lower one.

    One sweep over the moments in order: a question remembers the highest number answered strictly before it.
    """
    moments: list[tuple[float, int, int]] = []
    for index, join in enumerate(observed.joins):
        moments += [(join.asked_s, 0, index), (join.answered_s, 1, index)]
    highest: dict[str, int] = {}  # run -> index of the join with the highest number answered so far
    overtaken: list[str] = []
    # A question sorts before an answer of the same moment: only strictly earlier answers count.
    for _, is_answer, index in sorted(moments):
        join = observed.joins[index]
        known = highest.get(join.run)
        if is_answer:
            if known is None or observed.joins[known].number < join.number:
                highest[join.run] = index
        elif known is not None and observed.joins[known].number > join.number:
            first = observed.joins[known]
            overtaken.append(
                f"fan {first.fan} had number {first.number} at {first.answered_s:.3f} s; "
                f"fan {join.fan} asked at {join.asked_s:.3f} s and got {join.number}"
            )
    return verdict(
        "nobody-overtaken",
        "Who had a number before another asked for one stands before the other.",
        overtaken,
        f"{len(observed.joins):,} joins compared",
        seen=len(observed.joins),
    )


def numbers_unique(observed: Observed) -> Verdict:
    """A number belongs to one fan, and a fan has one number."""
    fans: dict[tuple[str, int], set[int]] = defaultdict(set)
    numbers: dict[tuple[str, int], set[int]] = defaultdict(set)
    for join in observed.joins:
        fans[join.run, join.number].add(join.fan)
        numbers[join.run, join.fan].add(join.number)
    found = [
        f"number {number} went to the fans {sorted(held)}"
        for (_, number), held in fans.items()
        if len(held) > 1
    ]
    found += [
        f"fan {fan} got the numbers {sorted(held)}" for (_, fan), held in numbers.items() if len(held) > 1
    ]
    return verdict(
        "numbers-unique",
        "Every number belongs to one fan, and every fan has one number.",
        found,
        f"{len(fans):,} numbers",
        seen=len(fans),
    )


def called_in_order(observed: Observed) -> Verdict:
    """A lower rank of the same lane is never left waiting when a higher one is called.

    By the documents: a ticket view that names an (epoch, version) says the same as that document. By time: a
    claim is answered from the store, so once anybody was told "called", a claim of a lower rank asked after that
    is not answered "waiting" (times that touch a lost store apart).
    """
    serving = {(document.run, document.order): document.serving for _, document in observed.documents}
    found: list[str] = []
    by_version: dict[tuple[str, str, tuple[int, int]], tuple[int, int]] = {}
    for told in observed.told:
        if told.order is None:
            continue
        document = serving.get((told.run, told.order))
        if document is not None and (told.rank < document[told.lane]) != told.called:
            found.append(
                f"rank {told.rank} was told {_word(told)} by {told.order}, whose threshold says otherwise"
            )
        key = (told.run, told.lane, told.order)
        highest, lowest = by_version.get(key, (-1, 1 << 62))
        highest, lowest = (
            (max(highest, told.rank), lowest) if told.called else (highest, min(lowest, told.rank))
        )
        by_version[key] = (highest, lowest)
    found += [
        f"rank {lowest} was left waiting while {highest} was called, by {order} in lane {lane}"
        for (_, lane, order), (highest, lowest) in by_version.items()
        if lowest < highest
    ]
    found += _left_waiting(observed)
    return verdict(
        "called-in-order",
        "In a lane nobody is called before a lower rank.",
        found,
        f"{len(observed.told):,} answers compared",
        seen=len(observed.told) + len(observed.admissions),
    )


def _left_waiting(observed: Observed) -> list[str]:
    """The sweep of ``nobody_overtaken``, over calls told and claims left waiting."""
    called = [(told.answered_s, told.run, told.lane, told.rank) for told in observed.told if told.called]
    files = {file.index: file for file in observed.fans}
    for admission in observed.admissions:
        file = files.get(admission.fan)
        if file is not None and file.rank is not None:
            called.append((admission.answered_s, admission.run, file.lane, file.rank))
    called.sort()
    waiting = sorted(
        (told for told in observed.told if not told.called and told.order is None),
        key=lambda told: told.asked_s,
    )
    found: list[str] = []
    highest: dict[tuple[str, str], int] = {}
    position = 0
    for told in waiting:
        while position < len(called) and called[position][0] < told.asked_s:
            _, run, lane, rank = called[position]
            highest[run, lane] = max(highest.get((run, lane), -1), rank)
            position += 1
        top = highest.get((told.run, told.lane), -1)
        if told.rank < top and not observed.in_outage(told.asked_s, told.answered_s):
            found.append(f"a claim of rank {told.rank} was left waiting after rank {top} was called")
    return found


def _word(told: Told) -> str:
    return "called" if told.called else "waiting"


def no_place_lost(observed: Observed) -> Verdict:
    """A ticket once given is taken until it is used, left or its line ends; its place never gets worse."""
    found = [
        f"fan {turn.fan}'s ticket was refused at {turn.route} with {turn.status} {turn.code}"
        for turn in observed.turned
    ]
    joined = {join.fan: join for join in observed.joins}
    last: dict[int, Placed] = {}
    for place in sorted(observed.places, key=lambda place: place.order):
        join = joined.get(place.fan)
        if join is not None and (place.run, place.number) != (join.run, join.number):
            found.append(f"fan {place.fan} joined with number {join.number} and was shown {place.number}")
        before = last.get(place.fan)
        if (
            before is not None
            and before.rank is not None
            and (place.rank is None or place.rank > before.rank)
        ):
            found.append(f"fan {place.fan} was shown rank {before.rank} and later {place.rank} ({place.by})")
            continue
        last[place.fan] = place
    found += _calls_taken_back(observed)
    unanswered = observed.roll_called - observed.roll_answered
    if unanswered:
        found.append(f"{unanswered} of {observed.roll_called} fans got no answer when the roll was called")
    detail = f"{len(joined):,} places; the roll was called for {observed.roll_called:,} at the end"
    return verdict(
        "no-place-lost",
        "A ticket once given stays good, and its place never gets worse.",
        found,
        detail,
        seen=len(joined),
    )


def _calls_taken_back(observed: Observed) -> list[str]:
    """Thresholds never go back within an epoch, and after a loss they come up again to what was shown."""
    found: list[str] = []
    by_run: dict[str, dict[tuple[int, int], dict[str, int]]] = defaultdict(dict)
    for _, document in observed.documents:
        by_run[document.run][document.order] = dict(document.serving)
    for documents in by_run.values():
        shown: dict[str, int] = {}
        in_order = sorted(documents)
        for order, following in zip(in_order, [*in_order[1:], None], strict=True):
            for lane, serving in documents[order].items():
                is_last = following is None
                taken_back = serving < shown.get(lane, 0) and (is_last or order[0] == in_order[0][0])
                if taken_back:
                    found.append(
                        f"document {order} calls up to {serving} in lane {lane}, after {shown[lane]}"
                    )
                shown[lane] = max(shown.get(lane, 0), serving)
    return found
