"""Checks as the gate has them: keys from settings and files, the line's words in, the bot guard's words out."""

import base64
import json
from pathlib import Path
from time import monotonic, time
from types import SimpleNamespace

import pytest
from altcha import v2 as altcha
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from botguard.challenges.metrics import Metrics
from botguard.challenges.port import Way
from gateway.challenges import RoomChallenges
from gateway.settings import Settings, load
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from waitroom.ports import Asker

NOW_MS = int(time() * 1000)
ASKER = Asker("main", "aa", 7, "AAAAAAAAAAAAAAAAAAAAAA", "work", 0.0)
HCAPTCHA = {"WAITROOM_HCAPTCHA_SITEKEY": "site", "WAITROOM_HCAPTCHA_SECRET": "the-secret"}


@pytest.fixture(autouse=True)
def _stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the library's clock stand still where the tests begin, however long others have run before."""
    monkeypatch.setattr(altcha, "time", SimpleNamespace(time=lambda: NOW_MS / 1000, monotonic=monotonic))


def checks(store: Redis, settings: Settings, score: float | None = None) -> RoomChallenges:
    """Give the checks of one worker; every visit has the same score."""
    metrics = Metrics(CollectorRegistry())
    return RoomChallenges(settings, store, b"s" * 32, ManualClock(NOW_MS), metrics, lambda _: score)


def test_keys_come_from_files_and_do_not_show(tmp_path: Path) -> None:
    """The secret stands in a file of its own."""
    (tmp_path / "secret").write_text("the-secret\n")
    settings = load(
        {
            "WAITROOM_TURNSTILE_SITEKEY": "site",
            "WAITROOM_TURNSTILE_SECRET_FILE": str(tmp_path / "secret"),
            "WAITROOM_PUBLIC_URL": "https://tickets.example:8443/",
        }
    )

    assert settings.provider_keys()[Way.TURNSTILE][:2] == ("site", "the-secret")
    assert settings.hosts_of_checks(settings.public_url) == {"tickets.example"}
    assert "the-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"WAITROOM_HCAPTCHA_SITEKEY": "site"}, "WAITROOM_HCAPTCHA_SECRET"),
        ({"WAITROOM_RECAPTCHA_SECRET": "secret"}, "WAITROOM_RECAPTCHA_SITEKEY"),
        (HCAPTCHA, "WAITROOM_CHALLENGE_HOSTS"),
        ({"WAITROOM_TURNSTILE_URL": "http://provider.example/siteverify"}, "WAITROOM_TURNSTILE_URL"),
        ({"WAITROOM_CHALLENGE_LIMIT_S": "11"}, "WAITROOM_CHALLENGE_LIMIT_S"),
    ],
)
def test_what_could_not_work_or_would_let_others_in_is_told_at_start(
    environ: dict[str, str], words: str
) -> None:
    """Half a pair of keys, no host to compare with, a secret on a plain wire."""
    with pytest.raises(Misconfigured) as told:
        load(environ)

    assert words in str(told.value)


async def test_a_place_is_priced_by_line_and_score_and_its_answer_counts_once(store: Redis) -> None:
    """All through the adapter, on a real store."""
    here = checks(store, Settings(), score=0.9)
    long_line = Asker("main", "aa", 8, "BBBBBBBBBBBBBBBBBBBBBB", "work", 15.0)
    issued = await here.issue(ASKER, "work", None, NOW_MS)
    dearer = await here.issue(long_line, "anything", None, NOW_MS)
    assert not isinstance(issued, str)
    assert not isinstance(dearer, str)
    assert (issued["tries_most"], dearer["tries_most"]) == (65_536, 262_144)
    challenge = issued["challenge"]
    assert isinstance(challenge, dict)
    found = altcha.solve_challenge(altcha.Challenge.from_dict(json.loads(json.dumps(challenge))))
    assert found is not None
    payload = {"challenge": challenge, "solution": found.to_dict()}
    answer = base64.b64encode(json.dumps(payload).encode()).decode()

    outcomes = [
        await here.verify(long_line, "work", answer, NOW_MS),
        await here.verify(ASKER, "hcaptcha", answer, NOW_MS),
        await here.verify(ASKER, "", answer, NOW_MS),
        await here.verify(ASKER, "work", answer, NOW_MS),
        await here.verify(ASKER, "work", answer, NOW_MS),
    ]
    odd = await here.issue(ASKER, "work", {"parameters": {}}, NOW_MS)
    await here.close()
    await store.aclose()

    assert outcomes == ["foreign", "foreign", "malformed", "passed", "spent"]
    assert odd == "forged"


async def test_a_room_whose_provider_is_not_set_up_gets_the_work(store: Redis) -> None:
    """And one that is set up is shown with its sources."""
    settings = load({**HCAPTCHA, "WAITROOM_CHALLENGE_HOSTS": "tickets.example"})
    here = checks(store, settings)
    shown = {way: here.check(way, NOW_MS) for way in ("work", "hcaptcha", "turnstile", "recaptcha")}
    await here.close()
    await store.aclose()

    assert {way: check.way for way, check in shown.items()} == {
        "work": "work",
        "hcaptcha": "hcaptcha",
        "turnstile": "work",
        "recaptcha": "work",
    }
    assert shown["hcaptcha"].sitekey == "site"
    assert "https://hcaptcha.com" in shown["hcaptcha"].sources
    assert shown["work"].sources == ()
