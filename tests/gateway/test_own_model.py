"""A model of the operator's own at the gate: taken when it is signed, and followed while the room is open."""

import logging
from pathlib import Path
from random import Random

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from botguard.metrics import Metrics
from botguard.model import default
from botguard.rhythm.summary import VERSION, Rhythm
from botguard.signed_model import sign
from gateway import settling
from gateway.bot_guard import files_of, guard_of
from gateway.settings import Settings
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from tests.botguard.models import KEY, OTHER, own
from tests.botguard.test_signed_model import BAD
from tests.gateway.test_bot_guard import BROWSER
from tests.gateway.test_settling import Site, site

SUSPICIOUS, TRUSTING = sign(own(shift=9.0), KEY), sign(own(shift=-9.0), KEY)
"""Whoever moves is a program; nobody is."""


def put(path: Path, octets: bytes) -> Path:
    """Replace a file as an operator should."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(octets)
    return fresh.replace(path)


def chosen(path: Path, *keys: str) -> Settings:
    """Give settings with a model of one's own."""
    return Settings(bot_model=path, bot_model_keys=keys or (KEY.public,))


def wandering(seed: int) -> dict[str, object]:
    """Tell of somebody whose hand goes here and there; no plain bot's rule is broken."""
    dice, own_rhythm = Random(seed), Rhythm()
    t = x = y = 0.0
    for _ in range(400):
        t += dice.uniform(8, 24)
        x, y = x + dice.gauss(4, 6), y + dice.gauss(2, 6)
        own_rhythm.move(t, round(x), round(y))
    return {"version": VERSION, "sums": own_rhythm.summary(), "words": own_rhythm.words}


async def outcome(here: Site, text: str) -> str:
    """Tell of the one who stands in the room; returns what came of it."""
    answer = await here.tell(text, wandering(1), BROWSER)
    return str(answer.json()["outcome"])


UNSIGNED, ANOTHERS = own(shift=-9.0), sign(own(shift=-9.0), OTHER)


@pytest.mark.parametrize(
    ("then", "word", "counted"),
    [
        ([], "asked", (0, 0, 0)),
        ([TRUSTING], "noted", (1, 0, 0)),
        ([UNSIGNED], "asked", (0, 1, 1)),
        ([UNSIGNED, ANOTHERS], "asked", (0, 2, 1)),
        ([ANOTHERS, TRUSTING], "noted", (1, 1, 0)),
        ([TRUSTING, SUSPICIOUS], "asked", (2, 0, 0)),
    ],
    ids=["as it began", "another", "unsigned", "signed by somebody else", "put right", "back again"],
)
async def test_an_own_model_weighs_and_its_file_is_followed(
    store: Redis, clock: ManualClock, tmp_path: Path, then: list[bytes], word: str, counted: tuple[int, ...]
) -> None:
    """Taken, kept, stale: by the one model whoever moves is asked for a check, by the other nobody is."""
    path = put(tmp_path / "model", SUSPICIOUS)
    async with site(store, clock, tmp_path, chosen(path), bot_guard="on") as (here, text):
        for octets in then:
            put(path, octets)
            await here.guard.refresh()

        assert await outcome(here, text) == word
        told = [here.counted("reloads_total", outcome=what) for what in ("taken", "kept")]
        assert (*told, here.counted("stale_files", file="bot-model")) == counted


async def test_a_settler_that_keeps_its_first_model_would_be_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the model is asked for once, and a new file changes nothing."""
    source, before = Path(settling.__file__).read_text(), "Behaviours(guard.model, "
    assert source.count(before) == 1
    mutated: dict[str, object] = {"__name__": settling.__name__}
    changed = source.replace(before, "Behaviours(lambda first=guard.model(): first, ")
    exec(compile(changed, "mutant", "exec"), mutated)  # noqa: S102
    monkeypatch.setattr("tests.gateway.test_settling.Settler", mutated["Settler"])
    path = put(tmp_path / "model", SUSPICIOUS)
    async with site(store, clock, tmp_path, chosen(path), bot_guard="on") as (here, text):
        put(path, TRUSTING)
        await here.guard.refresh()

        assert await outcome(here, text) == "asked"


async def test_without_an_own_model_the_packages_own_weighs(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Keys that are named for later change nothing."""
    async with site(store, clock, tmp_path, Settings(bot_model_keys=(KEY.public,))) as (here, _):
        assert here.guard.model() is default()


async def test_a_package_whose_model_is_of_another_release_does_not_start(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held by the hash in the code; a model of one's own stands in its place, then nothing of it is read."""
    monkeypatch.setattr("botguard.model.DEFAULT_SHA256", "0" * 64)
    monkeypatch.setattr("gateway.bot_guard.default", default.__wrapped__)
    metrics = Metrics(CollectorRegistry())

    with pytest.raises(Misconfigured, match="its hash names"):
        guard_of(Settings(), store, b"s" * 32, clock, metrics)
    path = put(tmp_path / "model", TRUSTING)
    guard = guard_of(chosen(path), store, b"s" * 32, clock, metrics)
    assert guard.model().shift == -9.0
    await guard.close()
    await store.aclose()


def read_at_start(path: Path, *keys: str) -> float:
    """Read the files of a gate that starts; returns by how much the model's words are moved."""
    model = files_of(chosen(path, *keys), Metrics(CollectorRegistry())).model
    assert model is not None
    return model.value.shift


@pytest.mark.parametrize("case", BAD)
async def test_no_bad_file_is_taken_at_start_or_later(case: str, tmp_path: Path) -> None:
    """At start the gate says why, and which file; while it runs the metric and the log say so, and the model stays."""
    octets, says = BAD[case]
    bad, path = put(tmp_path / "bad", octets), put(tmp_path / "model", TRUSTING)
    registry = CollectorRegistry()
    model = files_of(chosen(path), Metrics(registry)).model
    assert model is not None
    put(path, octets)

    with pytest.raises(Misconfigured) as caught:
        read_at_start(bad)
    assert caught.value.faults[0].startswith(f"{bad}: ")
    assert says in caught.value.faults[0]
    assert not await model.refresh()
    assert model.value.shift == -9.0
    assert registry.get_sample_value("waitroom_bots_stale_files", {"file": "bot-model"}) == 1


def test_a_gate_that_begins_with_an_own_model_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log; both keys count while one replaces the other."""
    path = put(tmp_path / "model", SUSPICIOUS)
    with caplog.at_level(logging.INFO):
        assert read_at_start(path, OTHER.public, KEY.public) == 9.0

    assert "a model of the operator's own" in caplog.text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bot_model": Path("m")}, "WAITROOM_BOT_MODEL_KEYS: a model of your own counts only where"),
        ({"bot_model_keys": ("x",)}, "WAITROOM_BOT_MODEL_KEYS: 'x' is no public key"),
        ({"bot_model": Path("m"), "bot_model_keys": (KEY.public, KEY.secret[:-1])}, "is no public key"),
    ],
)
def test_a_model_is_nothing_without_a_key(settings: dict[str, object], says: str) -> None:
    """A fault among the others of the settings, before any file is read."""
    with pytest.raises(Misconfigured) as caught:
        Settings(**settings)  # type: ignore[arg-type]
    assert len(caught.value.faults) == 1
    assert says in caught.value.faults[0]
