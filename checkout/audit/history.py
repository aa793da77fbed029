"""History: whether each seat, asked by many at once, can have given exactly the answers that were told.

A seat is a register that holds at most one live hold (I2). The shop is right for a seat when its operations can be put
into one order that respects real time (who had the answer before another asked comes first) and in which a plain
register gives every answer that was told: linearizable, after Herlihy and Wing (1990). The search is that of Wing and
Gong (1993) with the memory of Lowe (2017): a set of operations that are done, with the state they led to, is tried
once. A request for four seats is seen at each of its seats; that it is all or nothing shows because a grant counts at
all four.

Three things are more than a register:

* **Expiry** is an event that nobody asks for. It may happen at any moment from the hold's end on, and the answers
  decide whether it did. A hold that is over is never alive again: no extension, no release, and nobody is refused
  because of it (lazy expiry).
* **Without an answer** an operation may have happened at any time after the call, or never; a reservation that failed
  may also have given the seats back.
* **Loss** of the store may take a hold away that SQL does not know yet, and may bring back one whose end SQL did not
  know yet; a reservation that was told stays.

What only looks is done as early as it can be: that never spoils an order, so it is no choice and costs no search.
Not here: where records come from (``records``), what is true of the whole sale (``audit.invariants``).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from checkout.audit.records import US_PER_MS, Act, Answer, Loss, Operation
from checkout.halls.seats import Status

LAG_US = 2_000_000
"""How far SQL may be behind the store when the store is lost: the journal's quarter second, and much patience."""

STEPS_MOST = 50_000
"""Configurations that are tried for one seat before the search gives up and says so."""

_LIVE = frozenset({Status.HELD, Status.RESERVED, Status.SOLD})


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A seat whose answers no order explains; ``operations`` are those that were left when the best order ended."""

    seat: int
    sentence: str
    operations: tuple[Operation, ...]


class _Live(NamedTuple):
    """The hold that a seat is in: it may end from ``earliest_us`` on, and from ``latest_us`` on it has ended."""

    hold: str
    earliest_us: float
    latest_us: float
    is_durable: bool


class _State(NamedTuple):
    """A seat, and which holds that may be asked for again are over."""

    live: _Live | None
    over: frozenset[str]


class _Move(NamedTuple):
    """An operation as one seat sees it. ``looks``: it changes nothing; ``may_be_void``: it need not have happened."""

    called_us: float
    returned_us: float
    act: str
    hold: str
    answer: str
    until_us: float | None
    operation: Operation | None


_LOSS = "loss"
_SAW_LIVE, _SAW_NONE, _UNKNOWN = "saw-live", "saw-none", "unknown"
_FREE = _State(None, frozenset())


def unexplained(
    operations: Iterable[Operation], losses: Sequence[Loss] = (), before: Mapping[int, str] | None = None
) -> list[Unexplained]:
    """Return the seats that were not linearizable; empty means that I2 holds.

    `before` names the holder of each seat that was taken when the record begins; it may end at any time.
    """
    seen = _by_seat(operations)
    lost = [_Move(loss.from_us, loss.until_us, _LOSS, "", "", None, None) for loss in losses]
    found = []
    for seat, moves in sorted(seen.items()):
        holder = (before or {}).get(seat)
        start = _FREE if holder is None else _State(_Live(holder, 0, inf, is_durable=False), frozenset())
        fault = _Search(seat, [*moves, *lost], start).run()
        if fault is not None:
            found.append(fault)
    return found


def _by_seat(operations: Iterable[Operation]) -> dict[int, list[_Move]]:
    seen: dict[int, list[_Move]] = defaultdict(list)
    for op in operations:
        if op.answer is Answer.REFUSED:
            continue
        returned_us = inf if op.returned_us is None else op.returned_us
        until_us = None if op.until_ms is None else op.until_ms * US_PER_MS
        act = "release" if op.act is Act.CANCEL else str(op.act)
        listed = dict(op.taken)
        for seat in op.seats:
            answer = _UNKNOWN if op.answer is None else str(op.answer)
            if op.answer is Answer.TAKEN:
                answer = _SAW_LIVE if listed.get(seat) in _LIVE else _SAW_NONE
            seen[seat].append(_Move(op.called_us, returned_us, act, op.hold, answer, until_us, op))
    return seen


class _Search:
    """The search for an order at one seat."""

    def __init__(self, seat: int, moves: list[_Move], start: _State) -> None:
        self.seat = seat
        self.moves = sorted(moves, key=lambda move: (move.called_us, move.returned_us))
        self.start = start
        self.asked_twice = _asked_twice(self.moves)
        self.must = sum(1 << place for place, move in enumerate(self.moves) if move.returned_us != inf)
        self.best: tuple[int, int, _State] = (-1, 0, start)

    def run(self) -> Unexplained | None:
        """Return None when there is an order."""
        stack = [(0, 0, self.start)]
        tried: set[tuple[int, _State]] = set()
        while stack:
            done, low, state = stack.pop()
            done, low, window, first_return_us = self._look(done, low, state)
            if done & self.must == self.must:
                return None
            if (done, state) in tried:
                continue
            tried.add((done, state))
            if len(tried) > STEPS_MOST:
                sentence = f"seat {self.seat}: no order was found within {STEPS_MOST:,} tries"
                return Unexplained(self.seat, sentence, self._left(done))
            self._remember(done, state)
            # The last that is pushed is tried first: what surely happened, then an end by itself, then what may have.
            for place in reversed(window):
                move = self.moves[place]
                if move.returned_us == inf:
                    stack.extend((done | 1 << place, low, then) for then in self._after(move, state, done))
            if state.live is not None and state.live.earliest_us <= first_return_us:
                stack.append((done, low, self._ended(state, state.live.hold)))
            for place in reversed(window):
                move = self.moves[place]
                if move.returned_us != inf:
                    stack.extend((done | 1 << place, low, then) for then in self._after(move, state, done))
        return self._fault()

    def _look(self, done: int, low: int, state: _State) -> tuple[int, int, list[int], float]:
        """Do everything that only looks and may come next; return what else may come next, and the first return."""
        moves = self.moves
        while True:
            while low < len(moves) and done >> low & 1:
                low += 1
            window: list[int] = []
            first_return_us = inf
            has_looked = False
            for place in range(low, len(moves)):
                move = moves[place]
                if move.called_us > first_return_us:
                    break
                if done >> place & 1:
                    continue
                if _looks(move, state):
                    done |= 1 << place
                    has_looked = True
                    continue
                first_return_us = min(first_return_us, move.returned_us)
                window.append(place)
            if not has_looked:
                return done, low, window, first_return_us

    def _after(self, move: _Move, state: _State, done: int) -> list[_State]:
        """Return the states that the move may lead to; none where it cannot come now."""
        live = state.live
        if move.act == _LOSS:
            return self._after_loss(move, state, done)
        if move.answer not in {Answer.DONE, _UNKNOWN}:
            return []
        if move.act == Act.HOLD:
            return _after_hold(move, state)
        if live is None or live.hold != move.hold or move.called_us >= live.latest_us:
            return []
        if move.act == Act.RELEASE:
            return [self._ended(state, live.hold)]
        if move.act == Act.RESERVE:
            earliest_us = live.earliest_us if move.until_us is None else move.until_us
            told = move.answer == Answer.DONE
            pinned = state._replace(live=_Live(live.hold, earliest_us, inf, told or live.is_durable))
            # One that failed may have given the seats back.
            return [pinned] if told else [self._ended(state, live.hold), pinned]
        if move.until_us is None:
            return [state._replace(live=live._replace(latest_us=inf))]
        if move.until_us < live.earliest_us:
            return []
        return [state._replace(live=live._replace(earliest_us=move.until_us, latest_us=move.until_us))]

    def _after_loss(self, loss: _Move, state: _State, done: int) -> list[_State]:
        after = [state]
        if state.live is not None and state.live.is_durable:
            return after
        if state.live is not None:
            after.append(state._replace(live=None))
        ghosts = {
            move.hold
            for place, move in enumerate(self.moves)
            if done >> place & 1 and move.act != _LOSS and move.returned_us >= loss.called_us - LAG_US
        } - {state.live.hold if state.live else ""}
        after.extend(
            _State(_Live(hold, 0, inf, is_durable=False), state.over - {hold}) for hold in sorted(ghosts)
        )
        return after

    def _ended(self, state: _State, hold: str) -> _State:
        return _State(None, state.over | {hold} if hold in self.asked_twice else state.over)

    def _remember(self, done: int, state: _State) -> None:
        count = (done & self.must).bit_count()
        if count > self.best[0]:
            self.best = (count, done, state)

    def _left(self, done: int) -> tuple[Operation, ...]:
        left = [move for place, move in enumerate(self.moves) if not done >> place & 1]
        return tuple(move.operation for move in left if move.operation is not None)[:8]

    def _fault(self) -> Unexplained:
        _, done, state = self.best
        stuck = [
            move
            for place, move in enumerate(self.moves)
            if self.must >> place & 1 and not done >> place & 1 and move.act != _LOSS
        ]
        first = min(stuck, key=lambda move: move.returned_us)
        return Unexplained(
            self.seat, f"seat {self.seat}: {_told(first)}, but {_stood(state)}", self._left(done)
        )


def _looks(move: _Move, state: _State) -> bool:
    """Tell whether the move changes nothing and gets the answer that it was given, in this state."""
    live = state.live
    if move.answer == _SAW_NONE:
        return live is None
    if move.answer == _SAW_LIVE:
        return live is not None and live.hold != move.hold and move.called_us < live.latest_us
    if move.answer == Answer.GONE:
        return live is None or live.hold != move.hold
    # A repeat that was told the end that it was told before.
    return (
        move.answer == Answer.DONE
        and move.act == Act.HOLD
        and live is not None
        and live.hold == move.hold
        and live.earliest_us == live.latest_us == move.until_us
        and move.called_us < live.latest_us
    )


def _after_hold(move: _Move, state: _State) -> list[_State]:
    live, told_us = state.live, move.until_us
    if live is None:
        if move.hold in state.over:
            return []
        latest_us = inf if told_us is None or move.answer == _UNKNOWN else told_us
        return [state._replace(live=_Live(move.hold, told_us or 0, latest_us, is_durable=False))]
    if live.hold != move.hold or move.answer == _UNKNOWN or move.called_us >= live.latest_us:
        return []
    if told_us is None:
        return [state]
    if not live.earliest_us <= told_us <= live.latest_us:
        return []
    if live.is_durable:
        return [state]
    return [state._replace(live=live._replace(earliest_us=told_us, latest_us=told_us))]


def _asked_twice(moves: Iterable[_Move]) -> frozenset[str]:
    once: set[str] = set()
    twice: set[str] = set()
    for move in moves:
        if move.act == Act.HOLD:
            (twice if move.hold in once else once).add(move.hold)
    return frozenset(twice)


def _told(move: _Move) -> str:
    returned = f"{move.returned_us / US_PER_MS:.3f}"
    between = f"asked at {move.called_us / US_PER_MS:.3f} ms and answered at {returned} ms"
    what = {
        _SAW_LIVE: f"hold {move.hold} was refused because somebody had the seat",
        _SAW_NONE: f"hold {move.hold} was refused although this seat was told to be nobody's",
        Answer.GONE: f"to {move.act} hold {move.hold} was answered that it is over",
    }.get(move.answer)
    if what is None:
        done = {"hold": "granted", "extend": "extended", "release": "released", "reserve": "reserved"}
        what = f"hold {move.hold} was {done[move.act]}"
        if move.until_us is not None:
            what += f" until {move.until_us / US_PER_MS:.0f} ms"
    return f"{what} ({between})"


def _stood(state: _State) -> str:
    if state.live is None:
        over = f" and these were over: {', '.join(sorted(state.over))}" if state.over else ""
        return f"nobody had the seat{over}"
    live = state.live
    if live.is_durable:
        return f"hold {live.hold} was reserved until {live.earliest_us / US_PER_MS:.0f} ms"
    end = "an end that nobody was told" if live.latest_us == inf else f"{live.latest_us / US_PER_MS:.0f} ms"
    return f"hold {live.hold} was live until {end}"
