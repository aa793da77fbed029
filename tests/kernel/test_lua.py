"""Scripts: the head is the signature, the store's or the test's time, and never twice."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from kernel.errors import Misconfigured
from kernel.lua import PRELUDE, Script, call, fast_call, load

TAKE = """\
-- take: let somebody in while there is room.
-- KEYS: places
-- ARGV: limit
-- RETURNS: {'taken', held} | {'full'}
local places = KEYS[1]
local limit = tonumber(ARGV[1])

local held = tonumber(redis.call('GET', places) or '0')
if held >= limit then
  return {'full'}
end
redis.call('INCR', places)
return {'taken', held + 1}
"""

ECHO = """\
-- echo: say what came,
--   in two lines.
-- KEYS: line, leaves...
-- ARGV: run, leaf...
-- RETURNS: {'heard', now_ms, keys, arguments}
--   and nothing else
local line = KEYS[1]
local run = ARGV[1]
return {'heard', now_ms, KEYS, ARGV}
"""


def script_of(folder: Path, source: str, name: str = "") -> Script:
    """Write a Lua file under the name in its head and load it."""
    path = folder / f"{name or source[3:].partition(':')[0]}.lua"
    path.write_text(source)
    return load(path)


def test_the_head_is_read_in_full(tmp_path: Path) -> None:
    """Name, sentence, keys, arguments and outcomes; a part may go on over several lines."""
    script = script_of(tmp_path, ECHO)

    assert script.name == "echo"
    assert script.sentence == "say what came, in two lines."
    assert script.keys == ("line", "leaves...")
    assert script.args == ("run", "leaf...")
    assert script.returns == "{'heard', now_ms, keys, arguments} and nothing else"
    assert script.text == PRELUDE + ECHO


def test_a_script_may_need_nothing(tmp_path: Path) -> None:
    """`none` is said in the head, not left out."""
    script = script_of(
        tmp_path, "-- rest: do nothing.\n-- KEYS: none\n-- ARGV: none\n-- RETURNS: {'rested'}\n"
    )

    assert (script.keys, script.args) == ((), ())


HEAD = "-- take: x.\n-- KEYS: places\n-- ARGV: limit\n-- RETURNS: {'taken'}\n"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", ["first line", "no KEYS", "no ARGV", "no RETURNS"]),
        ("return 1\n" + HEAD, ["first line", "no KEYS", "no ARGV", "no RETURNS"]),
        (HEAD.replace("-- take: x.", "-- take"), ["first line"]),
        (HEAD.replace("-- take: x.", "-- Take: x."), ["first line"]),
        (HEAD.replace("-- take:", "-- give:"), ["names 'give'"]),
        (HEAD.replace("-- KEYS: places\n", ""), ["no KEYS"]),
        (HEAD.replace("-- RETURNS: {'taken'}\n", "-- RETURNS:\n"), ["no RETURNS"]),
        (HEAD.replace("places", "pla ces"), ["'pla ces' is not a name"]),
        (HEAD.replace("places", "places,"), ["'' is not a name"]),
        (HEAD.replace("places", "a..., b"), ["'a...' is not a name (a list only as the last)"]),
        (HEAD.replace("places", "a, b, a..."), ["'a' stands twice"]),
        (HEAD + "local limit = KEYS[1]\n", ["'limit' takes KEYS[1], which the head calls 'places'"]),
        (
            HEAD + "local limit, places = tonumber(ARGV[1]),\n  ARGV[2]\n",
            ["ARGV[2] is not in the head"],
        ),
        (HEAD + "local places, count = KEYS[1], tonumber( ARGV[1] )\n", ["'count' takes ARGV[1]"]),
        (HEAD + "return KEYS[0]\n", ["KEYS[0] is not in the head"]),
        (HEAD.replace("places", "none") + "return KEYS[1]\n", ["KEYS[1] is not in the head"]),
    ],
)
def test_a_bad_head_is_refused_with_all_its_faults(tmp_path: Path, source: str, told: list[str]) -> None:
    """At start, naming the file: a wrong order of locals would be found in production otherwise."""
    with pytest.raises(Misconfigured) as refusal:
        script_of(tmp_path, source, "take")

    assert len(refusal.value.faults) == len(told)
    for fault, part in zip(refusal.value.faults, told, strict=True):
        assert fault.startswith("take.lua: ")
        assert part in fault


def test_an_index_in_a_list_is_allowed(tmp_path: Path) -> None:
    """Only where the head ends in a list can there be more than it names."""
    script = script_of(
        tmp_path,
        "-- take: x.\n-- KEYS: places...\n-- ARGV: a, b...\n-- RETURNS: {'x'}\n"
        "local places = KEYS[1]\nlocal b = ARGV[2]\nreturn {KEYS[7], ARGV[9]}\n",
    )

    assert script.keys == ("places...",)


@pytest.mark.parametrize("name", ["missing.lua", "latin.lua"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """Missing, or not UTF-8."""
    (tmp_path / "latin.lua").write_bytes(b"-- latin: \xe9.")

    with pytest.raises(Misconfigured, match=name):
        load(tmp_path / name)


async def test_keys_and_arguments_arrive_in_the_order_of_the_head(store: Redis, tmp_path: Path) -> None:
    """Whatever the order of the mapping; ints become text, lists go last, bytes stay bytes."""
    reply = await call(
        store,
        script_of(tmp_path, ECHO),
        {"leaves": ["l1", "l2"], "line": "the-line"},
        {"leaf": [b"\xff\x00", 7], "run": "ab"},
        now_ms=1_800_000_000_123,
    )

    assert reply == [
        "heard",
        1_800_000_000_123,
        [b"the-line", b"l1", b"l2"],
        [b"ab", b"\xff\x00", b"7"],
    ]


async def test_a_list_may_be_empty(store: Redis, tmp_path: Path) -> None:
    """A batch without extra keys is a batch."""
    reply = await call(
        store, script_of(tmp_path, ECHO), {"line": "l", "leaves": ()}, {"run": 1, "leaf": []}, 5
    )

    assert reply == ["heard", 5, [b"l"], [b"1"]]


async def test_without_a_time_the_stores_own_counts(store: Redis, tmp_path: Path) -> None:
    """The prelude asks `TIME`; both ends of this test run on one machine."""
    before_ms = time.time_ns() // 1_000_000
    reply = await call(store, script_of(tmp_path, ECHO), {"line": "l", "leaves": []}, {"run": "", "leaf": []})

    assert before_ms <= reply[1] <= time.time_ns() // 1_000_000


class Untouchable:
    """A client that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the store was asked: {name}")


FINE_KEYS: dict[str, Any] = {"line": "l", "leaves": ["x"]}
FINE_ARGS: dict[str, Any] = {"run": "ab", "leaf": [b"x"]}


@pytest.mark.parametrize(
    ("keys", "args", "told"),
    [
        ({}, FINE_ARGS, "echo KEYS: leaves is missing, line is missing"),
        (FINE_KEYS | {"lien": "l"}, FINE_ARGS, "echo KEYS: lien is unknown"),
        ({"lien": "l", "leaves": []}, FINE_ARGS, "line is missing, lien is unknown"),
        ({"line": "l", "leaves...": []}, FINE_ARGS, "leaves is missing, leaves... is unknown"),
        (FINE_KEYS | {"line": ["l"]}, FINE_ARGS, "line cannot be"),
        (FINE_KEYS | {"line": b"l"}, FINE_ARGS, "line cannot be"),
        (FINE_KEYS | {"leaves": "l"}, FINE_ARGS, "leaves... cannot be"),
        (FINE_KEYS | {"leaves": [1]}, FINE_ARGS, "leaves... cannot be"),
        (FINE_KEYS, {"run": "ab"}, "echo ARGV: leaf is missing"),
        (FINE_KEYS, FINE_ARGS | {"run": None}, "run cannot be None"),
        (FINE_KEYS, FINE_ARGS | {"run": True}, "run cannot be True"),
        (FINE_KEYS, FINE_ARGS | {"run": 1.5}, r"run cannot be 1\.5"),
        (FINE_KEYS, FINE_ARGS | {"leaf": b"x"}, "leaf... cannot be"),
        (FINE_KEYS, FINE_ARGS | {"leaf": [None]}, "leaf... cannot be"),
    ],
)
async def test_a_wrong_name_or_shape_is_refused_before_the_store_is_asked(
    tmp_path: Path, keys: dict[str, Any], args: dict[str, Any], told: str
) -> None:
    """A `ValueError` that names it: this is a mistake in our code, not an outcome."""
    with pytest.raises(ValueError, match=told):
        await call(Untouchable(), script_of(tmp_path, ECHO), keys, args)  # type: ignore[arg-type]


async def test_a_store_that_forgot_the_script_gets_it_again_and_runs_it_once(
    store: Redis, tmp_path: Path
) -> None:
    """NOSCRIPT means that nothing ran; after FLUSH the next call still counts exactly once."""
    script = script_of(tmp_path, TAKE)

    assert await call(store, script, {"places": "p"}, {"limit": 9}) == ["taken", 1]
    await store.script_flush()
    assert await call(store, script, {"places": "p"}, {"limit": 9}) == ["taken", 2]
    assert await fast_call(store, script, ["p"], [9]) == ["taken", 3]


class Failing:
    """A client whose answers are prepared; it counts how often a script was asked for."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def evalsha(self, *_: Any) -> Any:
        """Give the next prepared answer."""
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def script_load(self, text: str) -> None:
        """Take a whole script."""
        assert text.startswith(PRELUDE)


@pytest.mark.parametrize("failure", [ConnectionError("reset"), TimeoutError(), ResponseError("OOM")])
async def test_any_other_failure_is_not_repeated(tmp_path: Path, failure: Exception) -> None:
    """The script may have run: only the caller knows whether a repeat is safe."""
    client = Failing([failure, [b"taken", 1]])

    with pytest.raises(type(failure)):
        await fast_call(client, script_of(tmp_path, TAKE), ["p"], [1])  # type: ignore[arg-type]

    assert client.asked == 1


async def test_a_store_that_forgets_at_once_is_asked_twice_and_no_more(tmp_path: Path) -> None:
    """A second NOSCRIPT is a failure like any other."""
    client = Failing([NoScriptError(), NoScriptError(), [b"taken", 1]])

    with pytest.raises(NoScriptError):
        await fast_call(client, script_of(tmp_path, TAKE), ["p"], [1])  # type: ignore[arg-type]

    assert client.asked == 2


@pytest.mark.parametrize("reply", [None, 1, b"taken", [], [1], [None]])
async def test_an_answer_without_a_word_is_a_fault_of_the_script(tmp_path: Path, reply: object) -> None:
    """Every script says in a word what happened."""
    with pytest.raises(TypeError, match="take returned"):
        await fast_call(Failing([reply]), script_of(tmp_path, TAKE), ["p"], [1])  # type: ignore[arg-type]


async def test_the_stores_errors_name_the_line_of_the_file(store: Redis, tmp_path: Path) -> None:
    """The prelude stands on the first line, so it shifts nothing."""
    source = TAKE.replace("redis.call('INCR', places)", "redis.call('LPUSH', places)")
    line = source.splitlines().index("redis.call('LPUSH', places)") + 1

    with pytest.raises(ResponseError, match=rf"{line}"):
        await call(store, script_of(tmp_path, source), {"places": "p"}, {"limit": 9})


@given(limit=st.integers(0, 5), asks=st.integers(0, 12))
async def test_no_more_are_let_in_than_there_is_room(
    store: Redis, tmp_path_factory: pytest.TempPathFactory, limit: int, asks: int
) -> None:
    """The guard of the example script, as every script's guard is tested."""
    await store.flushall()
    script = script_of(tmp_path_factory.mktemp("lua"), TAKE)

    words = [(await call(store, script, {"places": "p"}, {"limit": limit}))[0] for _ in range(asks)]

    assert words.count("taken") == min(limit, asks)


async def test_the_mutant_without_the_guard_is_caught(store: Redis, tmp_path: Path) -> None:
    """With `>` for `>=` the check above fails; the original script is untouched."""
    script = script_of(tmp_path, TAKE)
    mutant = script.mutated("held >= limit", "held > limit")

    words = [(await call(store, mutant, {"places": "p"}, {"limit": 2}))[0] for _ in range(5)]

    assert words.count("taken") == 3
    assert mutant.sha1 != script.sha1
    assert "held >= limit" in script.text


@pytest.mark.parametrize("old", ["held", "no such text", "table.remove(ARGV)"])
def test_a_mutant_must_change_exactly_one_place(tmp_path: Path, old: str) -> None:
    """A patch that no longer fits would test the original; the prelude is not part of the file."""
    with pytest.raises(ValueError, match="not once"):
        script_of(tmp_path, TAKE).mutated(old, "x")
