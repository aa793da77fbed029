"""Judging: whether a provider's reply counts. Pure.

Counts: ``success`` is true (the word itself: hCaptcha's package returns a dict for a failure, which is true as well),
the check was solved on one of our hosts, for our purpose where the provider carries one (Turnstile, reCAPTCHA), for
this very place where it carries that (Turnstile's ``cdata``), and the score is good enough where there is one. Scores
run both ways: reCAPTCHA says 1 for a person, hCaptcha's enterprise plan says 0. A reply that cannot be read, or that
complains of our own secret, is no refusal of the fan: the provider is away.
"""

import math
from collections.abc import Collection, Mapping

from botguard.challenges.port import ACTION, Away, Outcome, Way

LEAST_HUMAN = 0.5
"""A score below this, counted from 0 for a bot to 1 for a person, is no pass."""

_OURS = frozenset(
    (
        "missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "invalid-sitekey", "bad-request",
        "internal-error", "not-using-dummy-secret",
    )
)  # fmt: skip
_LATE = frozenset(
    (
        "timeout-or-duplicate",
        "expired-input-response",
        "already-seen-response",
        "invalid-or-already-seen-response",
    )
)
_HAS_ACTION = frozenset({Way.TURNSTILE, Way.RECAPTCHA})


def judged(way: Way, reply: Mapping[str, object], hosts: Collection[str], tag: str) -> Outcome:
    """Judge a reply. Raises Away for one that says nothing of the fan."""
    success, errors = reply.get("success"), reply.get("error-codes") or []
    if not isinstance(success, bool) or not isinstance(errors, list):
        raise Away("the reply has no success")
    if not success or errors:
        codes = {error for error in errors if isinstance(error, str)}
        if codes & _OURS:
            raise Away("the provider complains of our request")
        return Outcome.EXPIRED if codes & _LATE else Outcome.WRONG
    if reply.get("hostname") not in hosts:
        return Outcome.ELSEWHERE
    if way in _HAS_ACTION and reply.get("action") != ACTION:
        return Outcome.ELSEWHERE
    if way is Way.TURNSTILE and reply.get("cdata") != tag:
        return Outcome.FOREIGN
    human = humanity(way, reply.get("score"))
    if human is None:
        return Outcome.DOUBTED if way is Way.RECAPTCHA else Outcome.PASSED
    return Outcome.PASSED if human >= LEAST_HUMAN else Outcome.DOUBTED


def humanity(way: Way, score: object) -> float | None:
    """Turn a provider's score into 0 for a bot to 1 for a person; None where there is none."""
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise Away("the reply has a score that is none")
    if math.isnan(score):
        raise Away("the reply has a score that is none")
    return 1.0 - score if way is Way.HCAPTCHA else float(score)
