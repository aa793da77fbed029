"""What fans tell of their pointers, when they do, what follows; and a guard that leaves something out is caught."""

import asyncio
import gzip
import json
from collections import Counter
from dataclasses import replace
from random import Random

import orjson
import pytest

from bench import pointers
from botguard.behaviour import NOTHING, REPLAY
from botguard.telling import read
from botguard.verdict import Thresholds
from gateway.crowd.bots.guise import dress
from gateway.crowd.bots.kinds import DEFAULT_KINDS, Kind
from gateway.crowd.bots.rhythms import FILE, again, copied, movements, rhythms, turned
from gateway.crowd.bots.settling import LISTENED_S, TRIES
from gateway.crowd.bots.shares import Group, shares
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.law import is_near, read_document
from gateway.crowd.observed import FanFile, Outcome, Route
from gateway.crowd.plan import Limits, Plan, Script, kinds
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_guard import Gap, NaiveGuard, Reply
from tests.gateway.crowd.virtual import run_virtually
from tests.house.tree import ROOT
from waitroom.rhythm_web import BODY_LIMIT_BYTES

PLAN = Plan(
    fans=60,
    duration_s=4.0,
    linger_s=120.0,
    mix={Script.STEADY: 0.9, Script.TWO_TABS: 0.1},
    limits=Limits(admissions_per_minute=60),
    bots=0.5,
    passes="good:",
)
EVERYBODY = Thresholds(0.0, 1.0, 1.0)
"""Whoever tells is asked to let the device work."""


class Late(NaiveGuard):
    """A guard that puts the first tellings of each place off, each in another way."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.tries: Counter[str] = Counter()
        self.put_off = 3

    def handle(self, method: str, path: str, head: bytes, body: bytes = b"") -> Reply:
        """Put off."""
        if path.endswith("/rhythm"):
            who = head.partition(b"waitroom-ticket-main=")[2].partition(b"\r\n")[0].decode()
            self.tries[who] += 1
            if self.tries[who] <= self.put_off:
                early = 409, [], b'{"code":"rhythm-early"}'
                return [(503, [("retry-after", "1")], b"{}"), (429, [("retry-after", "1")], b"{}"), early][
                    self.tries[who] % 3
                ]
        return super().handle(method, path, head, body)


class Deaf(NaiveGuard):
    """A room that looks at no rhythm."""

    def handle(self, method: str, path: str, head: bytes, body: bytes = b"") -> Reply:
        """Say so."""
        if path.endswith("/rhythm"):
            return 404, [], b'{"code":"rhythm-none"}'
        return super().handle(method, path, head, body)


def sent(
    plan: Plan, of: type[NaiveGuard] = NaiveGuard, looks: Thresholds | None = None, **more: object
) -> tuple[Result, NaiveGuard]:
    """Send a crowd to a naive guard that looks at rhythms, in virtual time; a minute's admissions are sixty."""

    async def run() -> tuple[Result, NaiveGuard]:
        now_s = asyncio.get_running_loop().time
        room = of(now_s, per_minute=60, looks=looks or Thresholds(), **more)  # type: ignore[arg-type]
        hooks = Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000)
        return await run_crowd(plan, hooks), room

    return run_virtually(run())


def only(*of: Kind) -> Plan:
    """Plan a crowd whose bots are of these kinds."""
    return replace(PLAN, kinds=dict.fromkeys(of, 1.0))


def group(result: Result, kind: Kind | None) -> Group:
    """Give what came of a kind."""
    found = shares(result.observed, result.plan.places)
    assert found is not None
    return next(one for one in found.groups if one.kind is kind)


def crowd(fans: int, seed: int) -> tuple[list[FanFile], list[bytes]]:
    """Give a crowd and what its pages tell."""
    dealt = kinds(0.5, DEFAULT_KINDS, fans, Random(seed))
    files = [FanFile(index, Script.STEADY, 0.0, kind=kind) for index, kind in enumerate(dealt)]
    seen: Counter[Kind | None] = Counter()
    for file in files:
        file.nth = seen[file.kind]
        seen[file.kind] += 1
    worn = [dress(file.kind, file.nth, file.index, "http://x", Random(file.index)) for file in files]
    return files, rhythms(files, worn, seed)


def test_everything_that_is_told_can_be_read_and_the_same_seed_tells_it_again() -> None:
    """Each could have been counted by a page, and is small enough to be sent."""
    files, told = crowd(200, 5)
    tells = Counter(file.kind for file, one in zip(files, told, strict=True) if one)
    came = Counter(file.kind for file in files)

    for one in filter(None, told):
        assert len(one) < BODY_LIMIT_BYTES
        assert set(read(orjson.loads(one)).sums)
    assert told == crowd(200, 5)[1]
    assert told != crowd(200, 6)[1]
    for kind in Kind:
        silent = kind in {Kind.LIBRARY, Kind.MANY_JOIN, Kind.MIMIC, Kind.MIMIC_ONE_NETWORK}
        assert tells[kind] == (0 if silent else came[kind]), kind
    assert 0.9 * came[None] < tells[None] <= came[None]


def test_people_tell_with_fingers_and_mice_and_some_move_nothing() -> None:
    """As they wear: telephones touch, desks move a mouse, and no two tell the same."""
    files, told = crowd(400, 5)
    people = [
        orjson.loads(one)["sums"] for file, one in zip(files, told, strict=True) if file.kind is None and one
    ]
    moved = [orjson.dumps(sums) for sums in people if sums["moves"]]

    assert sum(sums["touch"] > 0 for sums in people) > 40
    assert sum(sums["mouse"] > 0 for sums in people) > 40
    assert len(people) - len(moved) > 20
    assert len(moved) == len(set(moved))


def test_a_copy_is_the_same_movement_turned_and_a_replay_the_same_trembling() -> None:
    """Lengths stay but for rounding; a replay word for word stays to the last pixel."""
    moves = movements()["pc1"][0]
    copy, shaken = turned(moves, 3), again(moves, 2.0, Random(1))

    assert turned(moves, 0) == moves == again(moves, 0.0, Random(1))
    for (_, x, y), (_, u, v) in zip(moves, copy, strict=True):
        assert abs((x * x + y * y) ** 0.5 - (u * u + v * v) ** 0.5) < 1.5
    (x, y), (u, v) = moves[0][1:], shaken[0][1:]
    assert len(shaken) == len(moves)
    assert (x, y) != (u, v)
    assert copied("pc1", 0, 3) != copied("pc1", 0, 0)


def test_the_movements_of_the_package_are_those_of_the_committed_data() -> None:
    """``python -m bench.pointers`` again; of generated ones how many and how long, for processors round differently."""
    path = ROOT / "gateway/crowd/bots" / FILE
    kept, made = (json.loads(gzip.decompress(raw)) for raw in (path.read_bytes(), pointers.written()))

    assert (kept["people"], kept["kept"]) == (made["people"], made["kept"])
    assert {name: [len(one) for one in own] for name, own in kept["made"].items()} == {
        name: [len(one) for one in own] for name, own in made["made"].items()
    }


def test_people_are_let_in_and_nobody_is_slowed() -> None:
    """All kinds come; whoever is asked and does the check goes in, whoever does none does not."""
    result, _ = sent(PLAN)
    people, mover, echo = (group(result, kind) for kind in (None, Kind.MOVER, Kind.ECHO))

    assert [one.name for one in result.verdicts if one.state is State.RED] == []
    assert (people.slowed, people.owing) == (0, 0)
    assert people.told > people.came / 3
    assert mover.asked + echo.asked > 0
    assert (mover.owing, echo.owing) == (mover.asked, echo.asked)
    assert mover.refused == mover.asked
    assert group(result, Kind.MIMIC).told == group(result, Kind.LIBRARY).told == 0


def replays(gap: Gap | None = None) -> tuple[int, int, int]:
    """Send replays of one person; give how many told, how many of them were known again, and how many asked."""
    result, room = sent(only(Kind.ECHO), gap=gap)
    echoes = group(result, Kind.ECHO)
    known = sum(
        REPLAY in room.told[file.number].codes
        for file in result.observed.fans
        if file.kind is Kind.ECHO and file.number in room.told
    )
    return echoes.told, known, echoes.asked


def test_replays_of_one_person_are_known_by_their_sketches_and_asked() -> None:
    """Word for word or trembling: all but the first, which is nobody's replay yet."""
    told, known, asked = replays()

    assert told > 10
    assert known == told - 1
    assert asked >= known


def test_the_mutant_that_forgets_sketches_lets_replays_through() -> None:
    """They move as their person did: word for word not one is asked."""
    told, known, asked = replays(Gap.FORGETS)

    assert told > 10
    assert known == 0
    assert asked < told


def test_solvers_and_farms_pass_the_check_that_they_are_asked_for() -> None:
    """A solver by work, a farm by its people, also where the page offers a widget."""
    result, _ = sent(only(Kind.SOLVER, Kind.FARM), looks=EVERYBODY, way="hcaptcha", asks="step-up")
    solver, farm = group(result, Kind.SOLVER), group(result, Kind.FARM)

    assert (solver.owing, farm.owing) == (0, 0)
    assert solver.asked == solver.told == solver.lifted > 0
    assert (solver.admitted, farm.admitted) == (solver.came, farm.came)
    assert solver.cpu_s > 0
    assert farm.usd == pytest.approx(0.001 * sum(farm.outcomes.values()))
    assert farm.outcomes["lifted"] == farm.asked
    assert {one.way for one in result.observed.checks if result.observed.fans[one.fan].kind is Kind.FARM} == {
        "hcaptcha"
    }


@pytest.mark.parametrize("asks", ["prove", "step-up"])
def test_people_who_are_asked_do_the_check_and_go_in(asks: str) -> None:
    """Every one of them, in two tabs as well; only who tells nothing is not asked."""
    result, _ = sent(only(Kind.MIMIC), looks=EVERYBODY, asks=asks)
    people = group(result, None)

    assert people.asked == people.told > 0
    assert people.owing == 0
    assert people.outcomes["lifted"] >= people.asked
    assert result.is_green


def test_a_slowed_person_climbs_and_goes_in() -> None:
    """A guard that slows whoever tells: the check lifts them, and nobody is kept out."""
    result, _ = sent(only(Kind.MOVER), gap=Gap.SLOWS)
    people, mover = group(result, None), group(result, Kind.MOVER)

    assert people.slowed == people.told > 0
    assert people.in_suspect == 0
    assert result.verdict("people-let-in").state is State.GREEN
    assert mover.in_suspect == mover.slowed > 0


@pytest.mark.parametrize(
    ("gap", "kind", "name"),
    [(Gap.UNASKED, Kind.MOVER, "asked-first"), (Gap.HARSH, Kind.MIMIC, "people-let-in")],
)
def test_a_guard_with_a_gap_is_caught(gap: Gap, kind: Kind, name: str) -> None:
    """The mutants: one that lets in whom it asked without a check, one that does not let in who did it."""
    result, _ = sent(only(kind), looks=EVERYBODY, gap=gap)

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples


def test_a_page_tells_once_again_only_where_it_was_put_off_and_not_for_ever() -> None:
    """Three answers that say "later": the fourth counts; a page that never hears another gives up, and gets in."""
    result, room = sent(only(Kind.MIMIC), Late)
    assert isinstance(room, Late)
    told = [file for file in result.observed.fans if file.settled == "noted"]

    assert told
    assert {room.tries[who] for who in room.tries} <= {1, 2, 3, 4}
    assert max(room.tries.values()) == 4

    class Never(Late):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, **more)
            self.put_off = 1_000

    result, room = sent(only(Kind.MIMIC), Never)
    assert isinstance(room, Late)
    assert max(room.tries.values()) == TRIES
    assert group(result, None).told == 0
    assert {file.outcome for file in result.observed.fans} <= {Outcome.FINISHED, Outcome.STAYED}


def test_no_page_tells_before_it_has_listened_nor_where_nobody_looks() -> None:
    """Fifteen seconds after the join at the soonest; one answer that says nobody looks is enough for all."""
    result, room = sent(PLAN)
    joined = min(file.joined_s or 0.0 for file in result.observed.fans)
    first = min(result.observed.requests[Route.RHYTHM])
    deaf, _ = sent(PLAN, Deaf)

    assert room.told
    assert first >= int(joined + LISTENED_S)
    assert sum(deaf.observed.requests[Route.RHYTHM].values()) <= 3
    assert not any(file.settled in {"noted", "asked"} for file in deaf.observed.fans)


def document(serving: int = 10, speed: float = 60.0, phase: str = "serving") -> bytes:
    """Write a status document as a room does."""
    return room_document(serving=serving, speed=speed, phase=phase)


def room_document(*, serving: int, speed: float, phase: str) -> bytes:
    """Take a naive room's document and say what is of interest here."""
    raw = NaiveGuard(lambda: 0.0)._document()
    said = json.loads(raw)
    said["phase"] = phase
    said["serving"] = dict.fromkeys(said["serving"], serving)
    said["speed_per_minute"] = dict.fromkeys(said["serving"], speed)
    said["plan_per_minute"] = speed
    return json.dumps(said, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("rank", "speed", "phase", "near"),
    [
        (9, 60.0, "serving", False),  # called
        (10, 60.0, "serving", True),
        (130, 60.0, "serving", True),  # two minutes
        (131, 60.0, "serving", False),
        (10, 0.0, "serving", True),  # nobody is before it
        (11, 0.0, "serving", False),
        (10, 60.0, "draining", True),
        (10, 60.0, "gathering", False),
        (None, 60.0, "serving", False),
    ],
)
def test_the_turn_is_near_two_minutes_before_it(
    rank: int | None, speed: float, phase: str, near: bool
) -> None:
    """As the page says itself; where no wait can be told, only for who is next."""
    found = read_document(document(speed=speed, phase=phase), {})

    assert is_near(found, rank, "standard") is near


def test_nothing_that_moved_nothing_speaks_for_or_against_anybody() -> None:
    """Who moves no pointer tells of none."""
    _, room = sent(PLAN)

    assert NOTHING in room.told.values()
