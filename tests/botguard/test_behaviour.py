"""What a rhythm speaks for: plain bots and replays against, nothing at all where no pointer moved."""

from collections.abc import Sequence

import pytest

from botguard import behaviour
from botguard import model as models
from botguard import verdict as rules
from botguard.behaviour import CODES, NOTHING, REPLAY, Behaviour, Behaviours
from botguard.features import vector
from botguard.model import default
from botguard.request.facts import Facts, Who
from botguard.request.networks import Network
from botguard.rhythm.summary import Rhythm
from botguard.rules import Plain
from botguard.sketch import FEWEST_WORDS, SketchesHere
from botguard.telling import Told
from botguard.training.traces import read_delbot
from botguard.velocity.subjects import Subject
from botguard.velocity.windows import Count
from botguard.verdict import LEAST, Evidence, Stage, Thresholds, Verdict, decide, weigh
from kernel.errors import Unavailable
from tests.house.tree import ROOT

DAY_MS = 86_400_000
MODEL = default()


class Away:
    """A store that does not answer."""

    async def alike(self, session: str, words: Sequence[str], now_ms: int) -> str | None:
        """Be away."""
        del session, words, now_ms
        raise Unavailable("store-away", "The store does not answer.")


def told(rhythm: Rhythm) -> Told:
    """Tell a rhythm."""
    return Told(rhythm.summary(), tuple(rhythm.words))


def keyboard() -> Told:
    """Tell of somebody who pressed keys and moved no pointer."""
    rhythm = Rhythm()
    for number in range(40):
        rhythm.key(number * 220.0)
    rhythm.scroll()
    return told(rhythm)


def program() -> Told:
    """Tell of a script that goes straight ahead, evenly."""
    rhythm = Rhythm()
    for number in range(300):
        rhythm.move(number * 16.0, 3.0 * number, 2.0 * number, trusted=False)
    return told(rhythm)


def recorded(*, bots: bool) -> list[Told]:
    """Tell of some recorded people, or bots."""
    every = [one for one in read_delbot(ROOT / "tests/data/delbot/delbot_circles.tgz") if one.is_bot is bots]
    found = []
    for trace in every[::40]:
        rhythm = Rhythm()
        for move in trace.moves:
            rhythm.move(*move)
        found.append(told(rhythm))
    return found


async def weighed(one: Told, sketches: SketchesHere | None = None, session: str = "main|run|1") -> Behaviour:
    """Weigh a rhythm."""
    here = Behaviours(lambda: MODEL, sketches or SketchesHere(DAY_MS), lambda _: None)
    return await here.weigh(session, one, 0)


async def test_keyboards_and_screen_readers_have_no_disadvantage() -> None:
    """Where no pointer moved there is no evidence: the same likelihood as of somebody who told nothing."""
    found = await weighed(keyboard())
    nobody, typist = Evidence(Facts(Who.UNDECLARED)), Evidence(Facts(Who.UNDECLARED), behaviour=found.odds)

    assert found == NOTHING
    assert await weighed(told(Rhythm())) == NOTHING
    assert weigh(typist) == weigh(nobody)


async def test_the_mutant_that_scores_what_it_has_not_seen_judges_keyboards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Did the model not abstain where nothing was seen, a keyboard would have a score."""
    monkeypatch.setattr(models, "FEWEST_SEEN", 0)

    assert await weighed(keyboard()) != NOTHING


async def test_a_plain_program_breaks_the_rules_and_its_reasons_say_so() -> None:
    """Straight, steady, in equal steps, by events that the browser did not trust."""
    found = await weighed(program())

    assert found.odds is not None
    assert found.odds > rules.BEHAVIOUR_MOST
    assert {str(one) for one in Plain} <= set(found.codes) <= CODES


def alone(odds: float | None) -> Verdict:
    """Judge somebody of whom only the rhythm speaks, at the lowest thresholds, in a busy data centre's network."""
    counts = {Subject.PREFIX: Count(1_000_000, 0)}
    evidence = Evidence(Facts(Who.UNDECLARED, (), Network.HOSTING), counts, frozenset(), odds)
    return decide(evidence, LEAST, Stage.SETTLE).verdict


async def test_behaviour_alone_makes_nobody_slow() -> None:
    """Whatever was moved, by whom: not at the lowest thresholds that may be set, not even with the network's word."""
    for one in (program(), *recorded(bots=True), *recorded(bots=False)):
        assert alone((await weighed(one)).odds) is not Verdict.SLOW


async def test_the_mutant_without_a_bound_makes_a_program_slow_by_its_rhythm_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound is what keeps the promise."""
    monkeypatch.setattr(rules, "BEHAVIOUR_MOST", 50.0)

    assert alone((await weighed(program())).odds) is Verdict.SLOW


async def test_a_replay_is_evidence_and_its_first_copy_is_not() -> None:
    """Of two alike sketches the second is told; the same place never accuses itself."""
    sketches, one = SketchesHere(DAY_MS), max(recorded(bots=False), key=lambda found: len(found.words))
    first = await weighed(one, sketches)
    second = await weighed(one, sketches, "main|run|2")

    assert REPLAY not in first.codes
    assert second.codes[0] == REPLAY
    assert (second.odds or 0) > (first.odds or 0)


async def replayed_by_the_most_like_a_person() -> Verdict:
    """Judge, at the settings as they come, a replay of whom the model takes for a person the most."""
    everybody = [one for one in recorded(bots=False) if len(one.words) >= FEWEST_WORDS]
    scored = [(MODEL.score(vector(one.sums)) or 0.0, at) for at, one in enumerate(everybody)]
    score, at = min(scored)
    assert score < -behaviour.REPLAY_ODDS / 2
    sketches = SketchesHere(DAY_MS)
    await weighed(everybody[at], sketches)
    second = await weighed(everybody[at], sketches, "main|run|2")
    evidence = Evidence(Facts(Who.UNDECLARED), behaviour=second.odds)
    return decide(evidence, Thresholds(), Stage.SETTLE).verdict


async def test_a_replay_word_for_word_is_asked_however_much_a_person_the_recorded_one_was() -> None:
    """The model's word in favour is the recorded person's, and not that of who replays them."""
    assert await replayed_by_the_most_like_a_person() is Verdict.PROVE


async def test_the_mutant_that_credits_a_replay_with_its_person_lets_it_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it was: two and a half against, two for, and nothing followed."""
    monkeypatch.setattr(behaviour, "max", lambda _, score: score, raising=False)

    assert await replayed_by_the_most_like_a_person() is Verdict.ALLOW


async def test_sketches_that_are_away_stop_nobody() -> None:
    """It is counted, and the rest is weighed."""
    missing: list[str] = []
    found = await Behaviours(lambda: MODEL, Away(), missing.append).weigh("main|run|1", program(), 0)

    assert missing == ["sketches"]
    assert found.odds is not None
