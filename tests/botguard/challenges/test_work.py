"""Work: an answer is good once, for its own place, until its end; everything else is refused, each with its mutant."""

import asyncio
import base64
import inspect
import json
import subprocess
from copy import deepcopy
from pathlib import Path
from time import monotonic, time
from types import SimpleNamespace
from typing import Any

import pytest
from altcha import v2 as altcha
from redis.asyncio import Redis

from botguard.challenges import work as module
from botguard.challenges.port import Outcome, Subject
from botguard.challenges.price import LASTS_MS, PATIENCE_MS
from botguard.challenges.spent import SpentStore
from botguard.challenges.work import POOL_MOST, Work
from kernel.errors import Unavailable
from kernel.store import connect

ME = Subject("main", "aa", 7, "AAAAAAAAAAAAAAAAAAAAAA")
NOW_MS = int(time() * 1000)
"""ALTCHA's library looks at the clock of the machine, so the tests begin there."""
SOLVER = Path(__file__).parents[3] / "waitroom" / "static" / "solve.js"


@pytest.fixture(autouse=True)
def _stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the library's clock stand still where the tests begin, however long others have run before."""
    monkeypatch.setattr(altcha, "time", SimpleNamespace(time=lambda: NOW_MS / 1000, monotonic=monotonic))


class Memory:
    """Spends in this process, all at once."""

    def __init__(self) -> None:
        """Begin with nothing spent."""
        self.names: set[str] = set()

    async def spend(self, name: str, keep_ms: int) -> bool:
        """Use something up."""
        assert keep_ms > 0
        fresh = name not in self.names
        self.names.add(name)
        return fresh


@pytest.fixture
def work() -> Work:
    """Give work that spends in memory."""
    return Work(Memory(), b"s" * 32)


def solved(issued: dict[str, object]) -> dict[str, Any]:
    """Solve it as a device does, by counting up."""
    challenge = deepcopy(issued["challenge"])
    assert isinstance(challenge, dict)
    found = altcha.solve_challenge(altcha.Challenge.from_dict(challenge))
    assert found is not None
    return {"challenge": challenge, "solution": {"counter": found.counter, "derivedKey": found.derived_key}}


def text(payload: object) -> str:
    """Write a payload as it is sent."""
    return base64.b64encode(json.dumps(payload).encode()).decode()


async def test_what_is_solved_passes_once(work: Work) -> None:
    """The second time the same answer is spent; so is one that only looks different."""
    payload = solved(work.issue(ME, 0, NOW_MS))

    first = await work.verify(text(payload), ME, NOW_MS + 1)
    again = await work.verify(text(payload), ME, NOW_MS + 2)
    payload["solution"]["time"] = 5
    payload["solution"]["derivedKey"] = payload["solution"]["derivedKey"].upper()
    other = await work.verify(text(payload), ME, NOW_MS + 3)

    assert (first, again, other) == (Outcome.PASSED, Outcome.SPENT, Outcome.SPENT)


async def test_of_many_that_bring_one_answer_in_the_same_moment_one_passes(store: Redis) -> None:
    """The store decides; two workers ask the same one."""
    workers = [Work(SpentStore(store), b"s" * 32) for _ in range(2)]
    answer = text(solved(workers[0].issue(ME, 0, NOW_MS)))

    outcomes = await asyncio.gather(*(worker.verify(answer, ME, NOW_MS) for worker in workers * 10))
    await store.aclose()

    assert sorted(outcomes) == [Outcome.PASSED] + [Outcome.SPENT] * 19


async def test_without_the_spent_store_the_answer_is_good_again_and_again() -> None:
    """The mutant: this is what ALTCHA does by itself."""

    class Forgetful:
        async def spend(self, name: str, keep_ms: int) -> bool:
            del name, keep_ms
            return True

    work = Work(Forgetful(), b"s" * 32)
    answer = text(solved(work.issue(ME, 0, NOW_MS)))

    assert [await work.verify(answer, ME, NOW_MS) for _ in range(2)] == [Outcome.PASSED] * 2


def _with(payload: dict[str, Any], part: str, **fields: Any) -> dict[str, Any]:
    """Change a part of a payload."""
    changed: dict[str, Any] = deepcopy(payload)
    at = changed
    for step in part.split("."):
        at = at[step]
    at.update(fields)
    return changed


@pytest.mark.parametrize(
    ("part", "fields", "outcome"),
    [
        ("solution", {"derivedKey": "00" * 32}, Outcome.WRONG),
        ("solution", {"derivedKey": 7}, Outcome.WRONG),
        ("solution", {"derivedKey": ""}, Outcome.WRONG),
        ("challenge.parameters", {"keyPrefix": "00"}, Outcome.FORGED),
        ("challenge.parameters", {"cost": 0}, Outcome.FORGED),
        ("challenge.parameters", {"nonce": "00" * 16}, Outcome.FORGED),
        ("challenge.parameters", {"keySignature": None}, Outcome.FORGED),
        ("challenge.parameters", {"expiresAt": NOW_MS // 1000 + 999_999}, Outcome.FORGED),
        ("challenge.parameters", {"expiresAt": "never"}, Outcome.FORGED),
        ("challenge.parameters", {"expiresAt": None}, Outcome.FORGED),
        ("challenge.parameters", {"data": None}, Outcome.FORGED),
        ("challenge.parameters", {"data": {"for": ME.tag, "level": 0, "since": 0}}, Outcome.FORGED),
        ("challenge.parameters", {"data": {"__proto__": 1}}, Outcome.FORGED),
        ("challenge", {"signature": "00" * 32}, Outcome.FORGED),
        ("challenge", {"signature": None}, Outcome.FORGED),
        ("challenge", {"signature": ["x"]}, Outcome.FORGED),
        ("challenge", {"parameters": []}, Outcome.MALFORMED),
    ],
)
async def test_whatever_is_changed_is_not_believed(
    work: Work, part: str, fields: dict[str, Any], outcome: Outcome
) -> None:
    """And the answer that was changed is not used up by it."""
    payload = solved(work.issue(ME, 0, NOW_MS))

    assert await work.verify(text(_with(payload, part, **fields)), ME, NOW_MS) is outcome
    assert await work.verify(text(payload), ME, NOW_MS) is Outcome.PASSED


@pytest.mark.parametrize(
    "answer",
    [
        "", "x", "====", "bm90IGpzb24=", text([]), text("x"), text(7), text(None), text({}), text({"challenge": {}}),
        text({"challenge": {"parameters": {}}, "solution": {}}), text({"challenge": [], "solution": []}),
        base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"[" * 1200).decode(), "A" * 2049, "é" * 8,
        text({"challenge": {"parameters": "x", "signature": "y"}, "solution": "z"}),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_malformed(work: Work, answer: str) -> None:
    """Empty, no base64, no JSON, another shape, too deep, too large."""
    assert await work.verify(answer, ME, NOW_MS) is Outcome.MALFORMED


@pytest.mark.parametrize(
    "other",
    [
        Subject("vip", "aa", 7, ME.ticket_id), Subject("main", "ab", 7, ME.ticket_id),
        Subject("main", "aa", 8, ME.ticket_id), Subject("main", "aa", 7, "BBBBBBBBBBBBBBBBBBBBBB"),
    ],
)  # fmt: skip
async def test_what_another_place_has_solved_is_worth_nothing(work: Work, other: Subject) -> None:
    """Another room, run, number or ticket; and its own place still may use it."""
    answer = text(solved(work.issue(ME, 0, NOW_MS)))

    assert await work.verify(answer, other, NOW_MS) is Outcome.FOREIGN
    assert await work.verify(answer, ME, NOW_MS) is Outcome.PASSED


@pytest.mark.parametrize(
    ("late_ms", "outcome"), [(-1, Outcome.PASSED), (0, Outcome.EXPIRED), (1, Outcome.EXPIRED)]
)
async def test_it_is_good_until_its_end(work: Work, late_ms: int, outcome: Outcome) -> None:
    """Half-open: at its end it is over. The machine's clock has not got there yet, so this is our own look."""
    issued = work.issue(ME, 0, NOW_MS)
    end_ms = issued["expires_ms"]
    assert isinstance(end_ms, int)
    assert NOW_MS + LASTS_MS - 1000 < end_ms <= NOW_MS + LASTS_MS

    assert await work.verify(text(solved(issued)), ME, end_ms + late_ms) is outcome


async def test_it_is_remembered_longer_than_it_is_good(store: Redis) -> None:
    """Else it could be used again in its last moment."""
    work = Work(SpentStore(store), b"s" * 32)
    issued = work.issue(ME, 0, NOW_MS)
    await work.verify(text(solved(issued)), ME, NOW_MS)

    (key,) = await store.keys("wr:spent:*")
    kept_ms = await store.pttl(key)
    await store.aclose()
    assert kept_ms > LASTS_MS - 2000
    assert issued["challenge"]["parameters"]["nonce"].encode() not in key  # type: ignore[index]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        pytest.param(
            'if data.get("for") != subject.tag:',
            "if False:",
            {"number": 8},
            id="another place's answer counts",
        ),
        pytest.param(
            "if now_ms >= expires_s * 1000 else None", "if False else None", {"late": True}, id="no end"
        ),
        pytest.param("if not found.verified:", "if False:", {"wrong": True}, id="any solution counts"),
    ],
)
async def test_each_guard_taken_out_lets_something_pass(old: str, new: str, changes: dict[str, Any]) -> None:
    """The mutants of the tests above."""
    outcomes = []
    for made in (Work, mutant(old, new)):
        work = made(Memory(), b"s" * 32)
        payload = solved(work.issue(ME, 0, NOW_MS))
        if "wrong" in changes:
            payload["solution"]["derivedKey"] = "00" * 32
        subject = Subject("main", "aa", changes.get("number", 7), ME.ticket_id)
        outcomes.append(
            await work.verify(text(payload), subject, NOW_MS + (LASTS_MS if "late" in changes else 0))
        )

    assert outcomes[0] != "passed"
    assert outcomes[1] == "passed"


async def test_without_the_signature_anybody_makes_it_easier() -> None:
    """The mutant of a challenge of one's own."""
    made = mutant(
        "if not isinstance(signature, str) or not hmac.compare_digest(",
        "if False and not hmac.compare_digest(",
    )
    outcomes = []
    for kind in (Work, made):
        work = kind(Memory(), b"s" * 32)
        given = _with(work.issue(ME, 4, NOW_MS), "challenge.parameters.data", level=0)["challenge"]
        outcomes.append(await work.easier(given, ME, NOW_MS + PATIENCE_MS))

    assert outcomes == ["forged", 0]


def mutant(old: str, new: str) -> type[Work]:
    """Give the class with one guard taken out."""
    source = inspect.getsource(module)
    assert source.count(old) == 1
    mutated: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(old, new), "mutant", "exec"), mutated)  # noqa: S102
    found: type[Work] = mutated["Work"]
    return found


# ------------------------------------------------------------------------------------ slow devices
async def test_a_slow_device_gives_it_back_for_an_easier_one(work: Work) -> None:
    """From two seconds on; what was given back cannot be solved any more, nor given back again."""
    issued = work.issue(ME, 4, NOW_MS)
    given, late_ms = issued["challenge"], NOW_MS + PATIENCE_MS

    assert await work.easier(given, ME, late_ms - 1) is Outcome.WRONG
    assert await work.easier(given, ME, late_ms) == 2
    assert await work.easier(given, ME, late_ms) is Outcome.SPENT
    assert await work.verify(text(solved(issued)), ME, late_ms) is Outcome.SPENT


async def test_what_was_solved_cannot_be_given_back(work: Work) -> None:
    """One challenge, one use."""
    issued = work.issue(ME, 3, NOW_MS)
    await work.verify(text(solved(issued)), ME, NOW_MS)

    assert await work.easier(issued["challenge"], ME, NOW_MS + PATIENCE_MS) is Outcome.SPENT


@pytest.mark.parametrize("given", [None, 1, "x", [], {}, {"parameters": 1}, {"parameters": []}])
async def test_no_challenge_is_no_challenge(work: Work, given: object) -> None:
    """Malformed."""
    assert await work.easier(given, ME, NOW_MS) is Outcome.MALFORMED


async def test_nobody_makes_it_easier_with_a_challenge_of_their_own(work: Work) -> None:
    """Forged, of another place, over."""
    given = work.issue(ME, 4, NOW_MS)["challenge"]
    assert isinstance(given, dict)
    cheaper = _with(given, "parameters.data", level=2)
    odd = _with(given, "parameters", data=float("nan"))

    late_ms = NOW_MS + PATIENCE_MS
    assert await work.easier(cheaper, ME, late_ms) is Outcome.FORGED
    assert await work.easier(odd, ME, late_ms) is Outcome.FORGED
    assert await work.easier({**given, "signature": None}, ME, late_ms) is Outcome.FORGED
    assert await work.easier({**given, "signature": "é"}, ME, late_ms) is Outcome.FORGED
    assert await work.easier(given, Subject("main", "aa", 8, ""), late_ms) is Outcome.FOREIGN
    assert await work.easier(given, ME, NOW_MS + LASTS_MS) is Outcome.EXPIRED


# ------------------------------------------------------------------------------------ around it
async def test_where_the_store_is_away_nobody_passes() -> None:
    """Nobody knows whether it was used: a fault of ours, and no pass."""
    client = connect("redis://127.0.0.1:1/0")
    work = Work(SpentStore(client), b"s" * 32)
    with pytest.raises(Unavailable):
        await work.verify(text(solved(work.issue(ME, 0, NOW_MS))), ME, NOW_MS)
    await client.aclose()


async def test_puzzles_are_made_ahead_and_the_pool_is_bounded(work: Work) -> None:
    """So many for each level; an empty pool only costs a little time."""
    left = [work.fill(most=2) for _ in range(12)]
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    made = [solved(work.issue(ME, 0, NOW_MS)) for _ in range(4)]

    assert len({one["challenge"]["parameters"]["nonce"] for one in made}) == 4
    assert [await work.verify(text(one), ME, NOW_MS) for one in made] == [Outcome.PASSED] * 4
    assert POOL_MOST == 64


def test_the_pages_own_solver_finds_what_the_library_finds(work: Work) -> None:
    """``static/solve.js`` and ALTCHA's library agree on counter and key; and it stops where there is no answer."""
    issued = work.issue(ME, 0, NOW_MS)
    payload = solved(issued)
    program = (
        f"import {{ solve }} from {json.dumps(SOLVER.as_uri())};"
        f"const p = {json.dumps(payload['challenge']['parameters'])};"
        "console.log(JSON.stringify([solve(p, 1 << 14), solve({ ...p, keyPrefix: 'ff'.repeat(16) }, 100)]));"
    )
    told = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )

    assert json.loads(told.stdout) == [payload["solution"], None]
