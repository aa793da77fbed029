"""Sketch: replayed movements are known again, other people's are not taken for them."""

import random
from collections.abc import Sequence
from functools import cache

import pytest
from redis.asyncio import Redis

from botguard.rhythm.sketching import MOST_WORDS
from botguard.rhythm.summary import Rhythm
from botguard.sketch import FEWEST_WORDS, NEAR_BITS, Sketches, SketchesHere, bands, near, readable
from botguard.sketch_store import DEPTH, SketchStore
from botguard.training.traces import DEVICES, Move, read_delbot
from botguard.velocity.subjects import DAY_MS
from tests.house.tree import ROOT

KEEP_MS = 60_000


def words_of(moves: Sequence[Move]) -> list[str]:
    """Return the sketch of a session."""
    rhythm = Rhythm()
    for move in moves:
        rhythm.move(*move)
    return rhythm.words


def joined(sessions: Sequence[Sequence[Move]]) -> list[Move]:
    """Return recorded sessions one after the other: what one person does while waiting."""
    made: list[Move] = []
    end = 0.0
    for moves in sessions:
        first = moves[0][0]
        made += [(t - first + end, x, y) for t, x, y in moves]
        end = made[-1][0] + 700
    return made


@cache
def eighty() -> list[list[Move]]:
    """Return eighty people who wait, of all devices, whose movements have a sketch."""
    every = [
        trace for trace in read_delbot(ROOT / "tests/data/delbot/delbot_circles.tgz") if not trace.is_bot
    ]
    made = []
    for device in DEVICES:
        own = [trace.moves for trace in every if trace.group == device]
        made += [joined(own[at : at + 4]) for at in range(0, len(own) - 3, 4)]
    long = [moves for moves in made if len(words_of(moves)) >= FEWEST_WORDS]
    return random.Random(5).sample(long, 80)


@pytest.fixture(scope="module")
def people() -> list[list[Move]]:
    """Return them."""
    return eighty()


def replayed(moves: Sequence[Move], dice: random.Random, jitter_px: float) -> list[Move]:
    """Return a replay: later, in another corner, trembling by so many pixels."""

    def trembling(place: float) -> float:
        return float(round(place + dice.uniform(-jitter_px, jitter_px)))

    return [(t + 5e6, trembling(x + 37), trembling(y - 55)) for t, x, y in moves]


@cache
def sketches() -> list[list[str]]:
    """Return the sketch of each."""
    return [words_of(moves) for moves in eighty()]


@cache
def replays(jitter_px: float) -> list[list[str]]:
    """Return the sketch of a replay of each."""
    dice = random.Random(9)
    return [words_of(replayed(moves, dice, jitter_px)) for moves in eighty()]


async def caught(store: Sketches, jitter_px: float) -> int:
    """Return how many replays are told to be of the person whom they replay."""
    right = 0
    for number, words in enumerate(sketches()):
        assert await store.alike(f"person {number}", words, 0) is None
    for number, words in enumerate(replays(jitter_px)):
        found = await store.alike(f"bot {number}", words, 1)
        right += found == f"person {number}"
    return right


@pytest.mark.parametrize(("jitter_px", "least"), [(0.0, 80), (1.0, 79), (2.0, 78)])
async def test_a_replay_is_known_again_and_nobody_else(jitter_px: float, least: int) -> None:
    """Word for word or trembling, moved and later: found; among eighty people nobody is taken for another."""
    assert await caught(SketchesHere(KEEP_MS), jitter_px) >= least


async def test_without_nearness_a_trembling_replay_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: words must be equal; replays that tremble are not known any more."""
    monkeypatch.setattr("botguard.sketch.near", lambda one, other: one == other)

    assert await caught(SketchesHere(KEEP_MS), 2.0) < 78


async def test_a_sketch_is_forgotten_after_its_time(people: list[list[Move]]) -> None:
    """Kept until the last millisecond, gone with the next; nothing of it is left."""
    words = words_of(people[0])
    store = SketchesHere(KEEP_MS)
    await store.alike("one", words, 0)

    assert await store.alike("two", words, KEEP_MS - 1) == "one"
    assert await store.alike("three", [], 2 * KEEP_MS - 1) is None
    assert store._words == {}
    assert store._found == {}


async def test_a_session_is_never_alike_itself_and_the_store_is_bounded(people: list[list[Move]]) -> None:
    """A sketch that is sent twice accuses nobody; the oldest makes room."""
    store = SketchesHere(KEEP_MS, most=2)
    own = [words_of(moves) for moves in people[:3]]

    assert [await store.alike("one", own[0], 0) for _ in range(2)] == [None, None]
    for number, words in enumerate(own[1:]):
        await store.alike(f"next {number}", words, 1)
    assert await store.alike("again", own[0], 2) is None


def test_words_that_are_near_share_a_band() -> None:
    """Four bits apart, wherever they lie: near, and one band of five is the same; five bits: not near."""
    dice = random.Random(3)
    for _ in range(300):
        word = dice.getrandbits(64)
        flips = dice.sample(range(64), NEAR_BITS + 1)
        other, far = word, word
        for flip in flips[:NEAR_BITS]:
            other ^= 1 << flip
        for flip in flips:
            far ^= 1 << flip
        assert near(f"{word:016x}", f"{other:016x}")
        assert not near(f"{word:016x}", f"{far:016x}")
        assert set(bands(f"{word:016x}")) & set(bands(f"{other:016x}"))


def test_a_straight_even_way_has_no_word() -> None:
    """Everybody goes straight: that is no evidence of a replay."""
    assert words_of([(10.0 * at, 5.0 * at, 3.0 * at) for at in range(900)]) == []


def test_what_is_no_sketch_is_refused() -> None:
    """Too many words, numbers, other letters."""
    good = ["0123456789abcdef"]

    assert readable(good, MOST_WORDS) == good
    assert readable(good * 49, MOST_WORDS) is None
    for bad in ([7], ["0123456789ABCDEF"], ["abc"], [None]):
        assert readable(bad, MOST_WORDS) is None


@pytest.mark.parametrize(("jitter_px", "least"), [(0.0, 80), (2.0, 78)])
async def test_the_store_of_all_workers_knows_replays_as_well(
    store: Redis, jitter_px: float, least: int
) -> None:
    """The same people, the same replays; what is kept are marks, and each lapses with its day."""
    here, right = SketchStore(store, b"secret"), 0
    noon_ms = 20_000 * DAY_MS + DAY_MS // 2
    for number, words in enumerate(sketches()):
        assert await here.alike(f"main|run|{number}", words, noon_ms) is None
    for number, words in enumerate(replays(jitter_px)):
        found = await here.alike(f"main|run|{1000 + number}", words, noon_ms + 1)
        right += found == here.name(f"main|run|{number}").hex()
    keys = await store.keys("*")
    ends = {await store.pttl(key) for key in keys[:20]}
    elsewhere = [
        await here.alike("other|run|0", sketches()[0], noon_ms),
        await here.alike("main|run|9999", sketches()[0], noon_ms + DAY_MS),
    ]
    await store.aclose()

    assert right >= least
    assert elsewhere == [None, None]
    assert all(0 < left_ms <= DAY_MS // 2 for left_ms in ends)


async def test_the_store_keeps_few_marks_of_a_band_and_a_session_is_never_alike_itself(
    store: Redis, people: list[list[Move]]
) -> None:
    """A flood of sketches pushes out the oldest, and takes no more room."""
    here, words = SketchStore(store, b"secret"), words_of(people[0])
    again = [await here.alike("main|run|1", words, 0) for _ in range(2)]
    for number in range(2, 2 + DEPTH):
        await here.alike(f"main|run|{number}", words, 0)
    longest = max([await store.llen(key) for key in await store.keys("*")])
    await store.aclose()

    assert again == [None, None]
    assert longest == DEPTH
