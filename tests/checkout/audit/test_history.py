"""The history of a seat: what one register explains is accepted, every kind of lie is found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.audit import history
from checkout.audit.history import unexplained
from checkout.audit.records import Act, Answer, Loss, Operation
from checkout.halls.seats import Status

TTL_MS = 100
HELD, KEPT = int(Status.HELD), int(Status.KEPT)


def op(
    act: str,
    hold: str,
    called_ms: float,
    returned_ms: float | None,
    answer: str | None = "done",
    until_ms: int | None = None,
    seats: tuple[int, ...] = (0,),
    taken: tuple[tuple[int, int], ...] = (),
) -> Operation:
    """Write an operation in milliseconds."""
    return Operation(
        act=Act(act),
        hold=hold,
        buyer=f"buyer-{hold}",
        seats=seats,
        called_us=round(called_ms * 1000),
        returned_us=None if returned_ms is None else round(returned_ms * 1000),
        answer=None if answer is None else Answer(answer),
        until_ms=until_ms,
        taken=taken,
    )


def refused(hold: str, called_ms: float, returned_ms: float, status: int = HELD) -> Operation:
    """Write a hold that was refused because of seat 0."""
    return op("hold", hold, called_ms, returned_ms, "taken", taken=((0, status),))


A = op("hold", "a", 0, 2, until_ms=101)

GOOD = {
    "a hold, and the next after its release": [
        A,
        op("release", "a", 5, 6),
        op("hold", "b", 7, 8, until_ms=107),
    ],
    "a hold, and the next after its end": [A, op("hold", "b", 100.5, 101.5, until_ms=201)],
    "two that overlap, one refused": [A, refused("b", 0, 3)],
    "the one that was refused asked first": [op("hold", "a", 1, 9, until_ms=105), refused("b", 0, 20)],
    "free because it is over, refused because it was prolonged": [
        A,
        op("extend", "a", 50, 60, until_ms=201),
        refused("b", 150, 151),
        op("hold", "c", 201, 202, until_ms=301),
    ],
    "an extension whose answer came after the old end": [
        A,
        op("extend", "a", 99, 150, until_ms=201),
        refused("b", 120, 121),
    ],
    "an extension without an answer happened": [A, op("extend", "a", 50, None, None), refused("b", 150, 151)],
    "an extension without an answer did not happen": [
        A,
        op("extend", "a", 50, None, None),
        op("hold", "b", 150, 151, until_ms=251),
    ],
    "a hold without an answer happened": [
        op("hold", "a", 0, None, None),
        refused("b", 50, 51),
        op("hold", "c", 500, 501, until_ms=601),
    ],
    "a hold without an answer did not happen": [
        op("hold", "a", 0, None, None),
        op("hold", "b", 5, 6, until_ms=105),
    ],
    "a release without an answer happens later": [
        A,
        op("release", "a", 3, None, None),
        refused("b", 5, 6),
        op("hold", "c", 7, 8, until_ms=107),
    ],
    "a repeat of a hold is told the same end": [A, op("hold", "a", 10, 11, until_ms=101), refused("b", 5, 6)],
    "a repeat finds what the lost request did": [
        op("hold", "a", 0, None, None, until_ms=100),
        op("hold", "a", 20, 21, until_ms=105),
        refused("b", 104, 104.5),
    ],
    "an end is told to whoever comes too late": [
        A,
        op("extend", "a", 101, 102, "gone"),
        op("release", "a", 103, 104, "gone"),
    ],
    "a reservation outlives its hold": [
        A,
        op("reserve", "a", 90, 95, until_ms=300),
        refused("b", 200, 201, int(Status.RESERVED)),
        op("cancel", "a", 210, 211),
        op("hold", "c", 212, 213, until_ms=312),
    ],
    "a reservation lapses": [
        A,
        op("reserve", "a", 90, 95, until_ms=300),
        op("hold", "b", 300, 301, until_ms=400),
    ],
    "a reservation that failed gives the seat back": [
        A,
        op("reserve", "a", 50, None, None),
        op("hold", "b", 60, 61, until_ms=160),
    ],
    "a kept seat is nobody's and not to be had": [
        A,
        op("release", "a", 3, 4),
        refused("b", 5, 6, KEPT),
    ],
    "seats of one wish, one of them taken": [
        replace(A, seats=(1,)),
        op("hold", "b", 5, 6, "taken", seats=(0, 1), taken=((1, HELD),)),
        op("hold", "c", 7, 8, until_ms=107),
    ],
    "a refusal that says nothing": [A, op("hold", "b", 5, 6, "refused"), op("extend", "a", 7, 8, "refused")],
}

BAD = {
    "seat 0: hold b was granted": [A, op("hold", "b", 3, 4, until_ms=103)],
    "but hold a was live until 101 ms": [A, op("hold", "b", 3, 100.9, until_ms=200)],
    "two holds with one end": [A, op("hold", "b", 3, 4, until_ms=101)],
    "a double hold of four": [
        replace(A, seats=(0, 1, 2, 3)),
        op("hold", "b", 5, 6, until_ms=105, seats=(3, 4, 5, 6)),
    ],
    "somebody had the seat": [refused("b", 0, 1)],
    "refused because of a hold that is over": [A, refused("b", 102, 103)],
    "refused although this seat was told to be nobody's": [
        replace(A, seats=(0, 1)),
        op("hold", "b", 5, 6, "taken", seats=(0, 1), taken=((1, HELD),)),
    ],
    "kept, but held": [A, refused("b", 5, 6, KEPT)],
    "to extend hold a was answered that it is over": [A, op("extend", "a", 5, 6, "gone")],
    "released twice": [A, op("release", "a", 5, 6), op("release", "a", 7, 8)],
    "extended after its end": [A, op("extend", "a", 102, 103, until_ms=201)],
    "shortened": [A, op("extend", "a", 5, 6, until_ms=50), op("hold", "b", 60, 61, until_ms=161)],
    "extended after its release": [A, op("release", "a", 3, 4), op("extend", "a", 5, 6, until_ms=201)],
    "granted while prolonged": [
        A,
        op("extend", "a", 50, 60, until_ms=201),
        op("hold", "b", 150, 151, until_ms=251),
    ],
    "a repeat that moves the end": [A, op("hold", "a", 50, 51, until_ms=150)],
    "a hold that comes to life again": [A, op("release", "a", 3, 4), op("hold", "a", 5, 6, until_ms=105)],
    "seat 0: hold b was granted until 260 ms (asked at 160.000 ms and answered at 161.000 ms), "
    "but hold a was reserved until 300 ms": [
        A,
        op("reserve", "a", 90, 95, until_ms=300),
        op("hold", "b", 160, 161, until_ms=260),
    ],
    "reserved by one who lost it": [A, op("reserve", "a", 102, 103, until_ms=300)],
    "released by another": [A, op("release", "b", 5, 6)],
    "an answer before the question": [
        op("hold", "a", 0, None, None),
        refused("b", 5, 6),
        op("release", "a", 7, 8),
        refused("c", 9, 10),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_one_register_can_have_said_is_accepted(name: str) -> None:
    """Each of these has an order in which a seat with one hold at a time gives these answers."""
    assert unexplained(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_what_no_register_can_have_said_is_found(name: str) -> None:
    """Each of these has none; the sentence names the seat, the answer and who had the seat."""
    found = unexplained(BAD[name])

    assert len(found) == 1
    assert found[0].operations
    assert found[0].sentence.startswith(f"seat {found[0].seat}: ")
    assert " but " in found[0].sentence


def test_the_sentence_says_what_was_told_and_how_it_stood() -> None:
    """Evidence is exact: which answer, when, and what made it impossible."""
    (fault,) = unexplained([A, op("hold", "b", 3, 4, until_ms=103)])

    assert fault.sentence == (
        "seat 0: hold b was granted until 103 ms (asked at 3.000 ms and answered at 4.000 ms), "
        "but hold a was live until 101 ms"
    )


def test_a_seat_that_was_taken_before_the_record_began_may_come_back() -> None:
    """Who had it before may have given it back at any time, and nobody else had it."""
    seen = [refused("b", 0, 1), op("hold", "c", 5, 6, until_ms=105)]

    assert unexplained(seen, before={0: "stranger"}) == []
    assert (
        len(unexplained([*seen, refused("d", 1, 2), op("hold", "e", 7, 8, until_ms=107)], (), {0: "x"})) == 1
    )


# ------------------------------------------------------------------------------------ loss

LOSS = Loss(10_000, 20_000)


@pytest.mark.parametrize(
    "after",
    [
        [op("extend", "a", 21, 22, "gone"), op("hold", "b", 23, 24, until_ms=123)],
        [refused("b", 21, 22), op("extend", "a", 23, 24, until_ms=201)],
        [op("hold", "b", 15, 25, until_ms=120)],
    ],
    ids=["lost", "rebuilt", "lost meanwhile"],
)
def test_a_loss_of_the_store_may_take_a_hold_away_or_leave_it(after: list[Operation]) -> None:
    """What SQL did not know yet is gone; the client hears so."""
    assert unexplained([A, *after], [LOSS]) == []


def test_a_loss_may_bring_back_what_was_just_released() -> None:
    """The journal had not told SQL of the end; the seat is taken until the hold's time is over, and nobody's twice."""
    seen = [
        A,
        op("release", "a", 5, 6),
        op("hold", "b", 7, 8, until_ms=107),
        op("extend", "b", 30, 31, "gone"),
    ]

    assert unexplained([*seen, refused("c", 30, 31)], [LOSS]) == []
    assert len(unexplained([*seen, refused("c", 30, 31)])) == 1


def test_a_loss_does_not_take_a_reservation_away() -> None:
    """SQL has it, so the rebuilt map has it."""
    seen = [A, op("reserve", "a", 5, 6, until_ms=300), op("hold", "b", 30, 31, until_ms=130)]

    assert len(unexplained(seen, [LOSS])) == 1


def test_a_loss_does_not_excuse_what_happened_long_before_or_after() -> None:
    """Two live holds before the loss stay a fault, and two after it as well."""
    second = op("hold", "b", 3, 4, until_ms=103)
    late = [op("hold", "c", 30, 31, until_ms=130), op("hold", "d", 32, 33, until_ms=132)]

    assert len(unexplained([A, second], [LOSS])) == 1
    assert len(unexplained([A, *late], [LOSS])) == 1


# ----------------------------------------------------------------- random histories, the good


@dataclass(slots=True)
class Model:
    """A sequential shop: each act happens at one moment; the interval around it is the client's."""

    seats: dict[int, tuple[str, float, bool]]
    made: dict[str, tuple[int, ...]]
    extended: set[str]

    def live(self, seat: int, now_ms: float) -> str | None:
        """Return who has a seat."""
        found = self.seats.get(seat)
        return found[0] if found and now_ms < found[1] else None

    def own(self, hold: str, now_ms: float) -> list[int]:
        """Return the seats that a hold has."""
        return [seat for seat in self.made.get(hold, ()) if self.live(seat, now_ms) == hold]

    def act(self, act: str, hold: str, seats: tuple[int, ...], now_ms: int) -> Operation:
        """Do it and answer as the shop would; called and returned are this one moment."""
        if act == "hold" and hold not in self.made:
            taken = tuple(
                (seat, int(Status.RESERVED if self.seats[seat][2] else Status.HELD))
                for seat in seats
                if self.live(seat, now_ms)
            )
            if taken:
                return op(act, hold, now_ms, now_ms, "taken", None, seats, taken)
            self.made[hold] = seats
            self._put(hold, now_ms + TTL_MS, durable=False)
            return op(act, hold, now_ms, now_ms, "done", now_ms + TTL_MS, seats)
        own = self.own(hold, now_ms)
        seats = self.made.get(hold, seats)
        if not own:
            return op(act, hold, now_ms, now_ms, "gone", None, seats)
        _, until_ms, durable = self.seats[own[0]]
        if act in {"release", "cancel"}:
            if (act == "cancel") != durable:
                return op(act, hold, now_ms, now_ms, "refused", None, seats)
            for seat in own:
                del self.seats[seat]
            return op(act, hold, now_ms, now_ms, "done", None, seats)
        if act == "extend" and not durable and hold not in self.extended:
            self.extended.add(hold)
            until_ms += TTL_MS
        if act == "reserve" and not durable:
            until_ms, durable = until_ms + TTL_MS // 2, True
        self._put(hold, until_ms, durable=durable)
        return op(act, hold, now_ms, now_ms, "done", round(until_ms), seats)

    def _put(self, hold: str, until_ms: float, *, durable: bool) -> None:
        for seat in self.made[hold]:
            self.seats[seat] = (hold, until_ms, durable)


STEP = st.tuples(
    st.sampled_from(["hold", "hold", "hold", "extend", "release", "reserve", "cancel"]),
    st.integers(0, 5),
    st.sampled_from([(0,), (1,), (0, 1), (1, 2), (0, 1, 2, 3)]),
    st.sampled_from([0, 1, 2, 30, TTL_MS - 1, TTL_MS, TTL_MS + 1]),
    st.sampled_from([0.0, 0.5, 5.0, 40.0]),
    st.sampled_from([0.0, 0.5, 5.0, 40.0, 400.0]),
    st.sampled_from([False, False, False, True]),
)
STEPS = st.lists(STEP, min_size=1, max_size=25)


def played(steps: Sequence[tuple[str, int, tuple[int, ...], int, float, float, bool]]) -> list[Operation]:
    """Play the steps one after the other, and widen each into the time that its client saw."""
    model, now_ms, seen = Model({}, {}, set()), 1000, []
    for act, number, seats, wait_ms, before_ms, after_ms, is_lost in steps:
        now_ms += wait_ms
        told = model.act(act, f"h{number}", seats, now_ms)
        called_us, returned_us = (
            told.called_us - round(before_ms * 1000),
            told.called_us + round(after_ms * 1000),
        )
        if is_lost:
            told = replace(told, called_us=called_us, returned_us=None, answer=None, until_ms=None, taken=())
        seen.append(told if is_lost else replace(told, called_us=called_us, returned_us=returned_us))
    return seen


@given(STEPS)
@settings(max_examples=300)
def test_whatever_a_sequential_shop_says_is_accepted(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Any order of acts, with any overlap and any lost answers, is explained."""
    assert unexplained(played(steps)) == []


# ------------------------------------------------------------------ random histories, the bad


@given(STEPS, st.integers(0, 3), st.data())
@settings(max_examples=200)
def test_a_second_grant_within_a_sure_time_of_a_hold_is_found(
    steps: list[tuple],  # type: ignore[type-arg]
    pick: int,
    data: st.DataObject,
) -> None:
    """Corruption: another hold is granted while one is surely live."""
    seen = played(steps)
    sure = _sure(seen)
    if not sure:
        return
    victim, from_us, until_us = sure[pick % len(sure)]
    at_us = data.draw(st.integers(from_us + 1, until_us - 2))
    second = Operation(Act.HOLD, "thief", "thief", victim.seats[-1:], at_us, at_us + 1, Answer.DONE, 10**6)

    assert [fault.seat for fault in unexplained([*seen, second])] == [victim.seats[-1]]


@given(STEPS, st.integers(0, 3), st.sampled_from(["gone", "free", "kept"]))
@settings(max_examples=200)
def test_a_live_hold_that_is_denied_is_found(steps: list[tuple], pick: int, lie: str) -> None:  # type: ignore[type-arg]
    """Corruption: its owner is told that it is over, or another that the seat was nobody's."""
    seen = played(steps)
    sure = _sure(seen)
    if not sure:
        return
    victim, from_us, _ = sure[pick % len(sure)]
    seat = victim.seats[0]
    taken = {"gone": (), "free": ((99, HELD),), "kept": ((seat, KEPT),)}[lie]
    false = Operation(
        Act.EXTEND if lie == "gone" else Act.HOLD,
        victim.hold if lie == "gone" else "other",
        "x",
        (seat,),
        from_us + 1,
        from_us + 2,
        Answer.GONE if lie == "gone" else Answer.TAKEN,
        None,
        taken,
    )

    assert [fault.seat for fault in unexplained([*seen, false])] == [seat]


@given(STEPS, st.sampled_from(["extend", "release", "reserve", "cancel"]), st.integers(0, 5))
@settings(max_examples=200)
def test_an_act_on_a_hold_that_was_never_granted_is_found(
    steps: list[tuple],  # type: ignore[type-arg]
    act: str,
    seat: int,
) -> None:
    """Corruption: somebody is told that an act on a hold which nobody asked for was done."""
    false = op(act, "phantom", 1200, 1201, "done", None if act in {"release", "cancel"} else 9999, (seat,))

    assert [fault.seat for fault in unexplained([*played(steps), false])] == [seat]


def _sure(seen: list[Operation]) -> list[tuple[Operation, int, int]]:
    """Return holds with a time in which they were live in any order: from the grant's answer until the first doubt."""
    found = []
    for grant in seen:
        if grant.act is not Act.HOLD or grant.answer is not Answer.DONE:
            continue
        own = [other for other in seen if other.hold == grant.hold and other is not grant]
        assert grant.until_ms is not None
        assert grant.returned_us is not None
        until_us = min([grant.until_ms * 1000, *(other.called_us for other in own)])
        if until_us - grant.returned_us > 3:
            found.append((grant, grant.returned_us, until_us))
    return found


# ------------------------------------------------------------------- against the plain search


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hold", "extend", "release"]),
            st.sampled_from("ab"),
            st.integers(0, 12),
            st.sampled_from([0, 1, 3, 9, None]),
            st.sampled_from(["done", "done", "gone", "taken", "kept"]),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=400)
def test_the_quick_search_says_what_the_plain_one_says(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    """Doing looks at once and remembering what was tried changes no verdict."""
    seen = []
    for act, hold, called_ms, lasts_ms, word in rows:
        if word in ({"gone"} if act == "hold" else {"taken", "kept"}):
            continue
        answer = None if lasts_ms is None else "taken" if word == "kept" else word
        until_ms = called_ms + (6 if act == "hold" else 10) if answer == "done" and act != "release" else None
        taken = ((0, KEPT if word == "kept" else HELD),) if answer == "taken" else ()
        returned_ms = None if lasts_ms is None else called_ms + lasts_ms
        seen.append(op(act, hold, called_ms, returned_ms, answer, until_ms, (0,), taken))

    assert (unexplained(seen) == []) == _plainly(seen, None, frozenset())


def _plainly(  # noqa: C901, PLR0912 (all rules at one place, so that they can be read against the quick search)
    left: list[Operation], live: tuple[str, float, float] | None, over: frozenset[str]
) -> bool:
    """Try every order, one operation after the other, with nothing clever."""
    if all(op.answer is None for op in left):
        return True
    first_us = min(op.returned_us for op in left if op.returned_us is not None)
    if live is not None and live[1] <= first_us and _plainly(left, None, over | {live[0]}):
        return True
    for one in left:
        if one.called_us > first_us:
            continue
        rest = [other for other in left if other is not one]
        own = live is not None and live[0] == one.hold
        in_time = live is not None and one.called_us < live[2]
        until_us = None if one.until_ms is None else one.until_ms * 1000
        then: list[tuple[str, float, float] | None] = []
        ended = over
        if one.answer is Answer.TAKEN:
            is_right = live is None if one.taken[0][1] == KEPT else live is not None and not own and in_time
            then = [live] if is_right else []
        elif one.answer is Answer.GONE:
            then = [] if own else [live]
        elif one.act is Act.HOLD and live is None and one.hold not in over:
            then = [(one.hold, until_us or 0, until_us or inf)]
        elif one.act is Act.HOLD and live is not None and own and in_time and until_us is not None:
            then = [(live[0], until_us, until_us)] if live[1] <= until_us <= live[2] else []
        elif one.act is Act.EXTEND and live is not None and own and in_time:
            if until_us is None:
                then = [(live[0], live[1], inf)]
            elif until_us >= live[1]:
                then = [(live[0], until_us, until_us)]
        elif one.act is Act.RELEASE and own and in_time:
            then, ended = [None], over | {one.hold}
        if any(_plainly(rest, after, ended) for after in then):
            return True
    return False


# ----------------------------------------------------------------------------------- the cost


@pytest.mark.slow
def test_a_hundred_thousand_operations_over_sixty_thousand_seats_take_seconds() -> None:
    """A whole sale is checked within half a minute on a busy machine, its hottest seat included."""
    seen = []
    for number in range(22_000):
        start, now = number * 4 % 59_000, number * 0.9
        seats = tuple(start + more for more in range(4))
        seen.append(op("hold", f"h{number}", now, now + 5, until_ms=round(now + 10_000), seats=seats))
        seen.append(op("extend", f"h{number}", now + 6, now + 9, until_ms=round(now + 20_000), seats=seats))
        seen.append(op("release", f"h{number}", now + 10, now + 12, seats=seats))
        seen.append(op("release", f"h{number}", now + 13, now + 14, "gone", seats=seats))
    hot = op("hold", "first", 0, 900, until_ms=90_000, seats=(59_999,))
    lost = [
        op("hold", f"l{n}", 0.2, 880 + n % 9, "taken", None, (59_999,), ((59_999, HELD),))
        for n in range(12_000)
    ]
    begun = time.process_time()

    found = unexplained([*seen, hot, *lost])

    assert found == []
    assert time.process_time() - begun < 30


def test_a_search_that_would_not_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be decided is a finding, never silence."""
    monkeypatch.setattr(history, "STEPS_MOST", 500)
    seen = [op("hold", f"u{number}", 0, None, None) for number in range(30)]
    seen += [refused("x", 5, 6), op("release", "x", 7, 8)]

    (found,) = unexplained(seen)

    assert found.sentence == "seat 0: no order was found within 500 tries"


# ----------------------------------------------------------------------------------- mutants


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("_looks", "live is None or live.hold != move.hold", "True"),
        ("_after_hold", "if live.hold != move.hold or", "if"),
        ("_after_hold", "if move.hold in state.over:", "if False:"),
        ("_looks", "and move.called_us < live.latest_us", ""),
    ],
)
def test_a_weaker_register_would_pass_something_bad(
    name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: with any rule of the register taken out, one of the bad histories above is accepted."""
    import inspect

    source = inspect.getsource(getattr(history, name))
    assert old in source
    scope = dict(vars(history))
    exec(source.replace(old, new), scope)  # noqa: S102 (the mutant is our own source with one rule less)
    monkeypatch.setattr(history, name, scope[name])

    assert any(unexplained(seen) == [] for seen in BAD.values())
