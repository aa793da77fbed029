"""Judging: every reply that is not a plain pass, for this place, on our host, is none."""

import math
from typing import Any

import pytest

from botguard.challenges.judging import humanity, judged
from botguard.challenges.port import Away, Outcome, Way

HOSTS = frozenset({"tickets.example"})
TAG = "the-tag"
GOOD: dict[str, Any] = {
    "success": True, "hostname": "tickets.example", "action": "waitroom", "cdata": TAG, "score": 0.5, "error-codes": [],
}  # fmt: skip
WAYS = [Way.HCAPTCHA, Way.TURNSTILE, Way.RECAPTCHA]


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_pass_passes(way: Way) -> None:
    """Without a list of errors as well."""
    assert judged(way, GOOD, HOSTS, TAG) is Outcome.PASSED
    assert judged(way, {**GOOD, "error-codes": None}, HOSTS, TAG) is Outcome.PASSED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"success": False}, Outcome.WRONG),
        ({"success": False, "error-codes": ["invalid-input-response"]}, Outcome.WRONG),
        ({"success": False, "error-codes": ["timeout-or-duplicate"]}, Outcome.EXPIRED),
        ({"success": False, "error-codes": ["already-seen-response"]}, Outcome.EXPIRED),
        ({"success": True, "error-codes": ["invalid-input-response"]}, Outcome.WRONG),
        ({"success": False, "error-codes": [{}]}, Outcome.WRONG),
        ({"hostname": "elsewhere.example"}, Outcome.ELSEWHERE),
        ({"hostname": "tickets.example."}, Outcome.ELSEWHERE),
        ({"hostname": ""}, Outcome.ELSEWHERE),
        ({"hostname": None}, Outcome.ELSEWHERE),
    ],
)
def test_no_provider_passes_these(way: Way, fields: dict[str, Any], outcome: Outcome) -> None:
    """A refusal, a late token, another host."""
    assert judged(way, {**GOOD, **fields}, HOSTS, TAG) is outcome


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fields",
    [
        {"success": "true"}, {"success": 1}, {"success": {"success": False}}, {"success": None}, {"error-codes": "x"},
        {"success": False, "error-codes": ["invalid-input-secret"]},
        {"success": False, "error-codes": ["invalid-input-response", "internal-error"]},
    ],
)  # fmt: skip
def test_what_says_nothing_of_the_fan_is_no_answer(way: Way, fields: dict[str, Any]) -> None:
    """Words that only look true, and complaints about our own request."""
    with pytest.raises(Away):
        judged(way, {**GOOD, **fields}, HOSTS, TAG)


def test_purpose_and_place_are_checked_where_the_provider_carries_them() -> None:
    """Turnstile carries both, reCAPTCHA the purpose, hCaptcha neither."""
    told = {
        way: [
            judged(way, {**GOOD, "action": "login"}, HOSTS, TAG),
            judged(way, {**GOOD, "action": None}, HOSTS, TAG),
            judged(way, {**GOOD, "cdata": "another"}, HOSTS, TAG),
        ]
        for way in WAYS
    }

    assert told[Way.TURNSTILE] == [Outcome.ELSEWHERE, Outcome.ELSEWHERE, Outcome.FOREIGN]
    assert told[Way.RECAPTCHA] == [Outcome.ELSEWHERE, Outcome.ELSEWHERE, Outcome.PASSED]
    assert told[Way.HCAPTCHA] == [Outcome.PASSED] * 3


@pytest.mark.parametrize(
    ("score", "recaptcha", "hcaptcha"),
    [
        (0, Outcome.DOUBTED, Outcome.PASSED), (0.49, Outcome.DOUBTED, Outcome.PASSED),
        (0.5, Outcome.PASSED, Outcome.PASSED), (0.51, Outcome.PASSED, Outcome.DOUBTED),
        (1, Outcome.PASSED, Outcome.DOUBTED), (None, Outcome.DOUBTED, Outcome.PASSED),
    ],
)  # fmt: skip
def test_scores_run_both_ways(score: float | None, recaptcha: Outcome, hcaptcha: Outcome) -> None:
    """ReCAPTCHA says 1 for a person, hCaptcha 0; hCaptcha's free plan says nothing."""
    assert judged(Way.RECAPTCHA, {**GOOD, "score": score}, HOSTS, TAG) is recaptcha
    assert judged(Way.HCAPTCHA, {**GOOD, "score": score}, HOSTS, TAG) is hcaptcha


@pytest.mark.parametrize("score", ["0.9", True, -0.1, 1.1, math.nan, math.inf, [], {}])
def test_a_score_that_is_none_is_no_answer(score: object) -> None:
    """It might mean anything."""
    for way in WAYS:
        with pytest.raises(Away):
            humanity(way, score)
