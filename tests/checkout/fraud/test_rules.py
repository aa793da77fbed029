"""From what was found to what becomes of an attempt: the hardest reason counts, and nobody is told which it was."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import pytest

from checkout.fraud.rules import (
    PUBLIC,
    Found,
    Place,
    Policy,
    Score,
    Verdict,
    Why,
    decide,
    refusal,
)
from checkout.fraud.signals import Kind
from checkout.fraud.windows import COUNTERS, DEFAULTS, Answer, Limit

POLICY = Policy(DEFAULTS, served=frozenset({"GB", "IE"}), block_from=0.95)
GOOD = Found(place=Place("GB"), score=Score(0.1))


def words(verdict: Verdict) -> list[str]:
    """Name the reasons."""
    return [reason.word for reason in verdict.reasons]


def over(*names: str) -> Mapping[str, int]:
    """Pass these limits by one."""
    return {name: DEFAULTS[name].most + 1 for name in names}


def test_where_nothing_speaks_against_it_an_attempt_is_allowed() -> None:
    """Without a reason, a code or a text."""
    verdict = decide(POLICY, GOOD)

    assert (verdict.answer, verdict.code, verdict.public, verdict.reasons) == (Answer.ALLOW, "", "", ())
    assert verdict.score == 0.1


@pytest.mark.parametrize(
    ("found", "answer", "code", "reasons"),
    [
        ({"counts": over("card-attempts")}, "block", "too-many-attempts", ["card-attempts"]),
        ({"counts": over("device-accounts")}, "review", "under-review", ["device-accounts"]),
        ({"blocked": {Kind.CARD: "line 3"}}, "block", "blocked", ["listed-card"]),
        ({"blocked": {Kind.COUNTRY: "line 3"}}, "block", "country-not-served", ["listed-country"]),
        ({"place": Place("FR")}, "block", "country-not-served", ["country"]),
        ({"place": None}, "review", "under-review", ["country-unknown"]),
        ({"place": Place(asn=1221)}, "review", "under-review", ["country-unknown"]),
        ({"score": Score(0.7)}, "review", "under-review", ["score"]),
        ({"score": Score(0.699)}, "allow", "", []),
        ({"score": Score(0.95)}, "block", "blocked", ["score"]),
        ({"score": Why.TIMEOUT}, "review", "under-review", ["scorer-away"]),
        ({"score": Why.OFF}, "allow", "", []),
        ({"counts": None}, "allow", "", ["store-away"]),
        (
            {"counts": over("device-accounts", "card-attempts"), "score": Score(0.8)},
            "block", "too-many-attempts", ["device-accounts", "card-attempts", "score"],
        ),
        (
            {"counts": over("card-attempts"), "place": Place("FR"), "blocked": {Kind.EMAIL: "line 1"}},
            "block", "blocked", ["listed-email", "country", "card-attempts"],
        ),
    ],
)  # fmt: skip
def test_each_finding_has_its_answer_and_the_hardest_counts(
    found: dict[str, object], answer: str, code: str, reasons: list[str]
) -> None:
    """The code is that of the first of the hardest reasons; the operator gets all of them."""
    verdict = decide(POLICY, replace(GOOD, **found))  # type: ignore[arg-type]

    assert (verdict.answer.value, verdict.code) == (answer, code)
    assert sorted(words(verdict)) == sorted(reasons)


@pytest.mark.parametrize("name", COUNTERS)
def test_a_limit_is_passed_by_one_more_than_it_allows(name: str) -> None:
    """Each of them, and what follows is what is set."""
    at_it = decide(POLICY, replace(GOOD, counts={name: DEFAULTS[name].most}))
    past_it = decide(POLICY, replace(GOOD, counts=over(name)))

    assert at_it.answer is Answer.ALLOW
    assert (past_it.answer, words(past_it)) == (DEFAULTS[name].then, [name])
    assert str(DEFAULTS[name].most) in past_it.reasons[0].detail


def test_a_device_that_is_only_a_guess_refuses_nobody() -> None:
    """It may be a whole family; another subject's limit still refuses."""
    device = replace(GOOD, counts=over("device-attempts"))

    assert decide(POLICY, device).answer is Answer.BLOCK
    assert decide(POLICY, replace(device, is_weak=True)).answer is Answer.REVIEW
    card = replace(GOOD, counts=over("device-attempts", "card-attempts"), is_weak=True)
    assert decide(POLICY, card).answer is Answer.BLOCK


def test_what_is_set_for_those_who_are_away_follows() -> None:
    """A sale is let through or looked at, as the operator likes."""
    strict = replace(POLICY, store_away=Answer.REVIEW)
    assert decide(strict, replace(GOOD, counts=None)).answer is Answer.REVIEW

    mild = replace(POLICY, scorer_away=Answer.ALLOW, nowhere=Answer.ALLOW)
    verdict = decide(mild, Found(counts=None, score=Why.SKIPPED))

    assert verdict.answer is Answer.ALLOW
    assert verdict.public == ""
    assert words(verdict) == ["country-unknown", "store-away", "scorer-away"]


def test_without_a_list_of_countries_nobody_asks_where_one_is() -> None:
    """Also for unknown places."""
    everywhere = replace(POLICY, served=frozenset())

    assert all(
        decide(everywhere, replace(GOOD, place=place)).answer is Answer.ALLOW for place in (None, Place("FR"))
    )


ONE_LIMIT = {
    Kind.CARD: "card-attempts", Kind.ACCOUNT: "account-attempts", Kind.DEVICE: "device-attempts",
    Kind.ADDRESS: "address-declines",
}  # fmt: skip


@pytest.mark.parametrize(("allowed", "subject"), list(product(ONE_LIMIT, ONE_LIMIT)))
def test_an_exception_speaks_for_its_own_kind_only(allowed: Kind, subject: Kind) -> None:
    """It lifts the block and the limits of its kind, and never those of another."""
    answer = Answer.ALLOW if allowed is subject else Answer.BLOCK
    exception = replace(GOOD, allowed=frozenset({allowed}))

    assert decide(POLICY, replace(exception, counts=over(ONE_LIMIT[subject]))).answer is answer
    assert decide(POLICY, replace(exception, blocked={subject: "line 1"})).answer is answer


@pytest.mark.parametrize(
    ("allowed", "answer"),
    [(Kind.ADDRESS, Answer.ALLOW), (Kind.COUNTRY, Answer.ALLOW), (Kind.ACCOUNT, Answer.BLOCK)],
)
def test_an_address_or_a_country_may_be_excepted_from_where_it_is(allowed: Kind, answer: Answer) -> None:
    """For one's own people abroad; no score and no store is lifted by it."""
    abroad = replace(GOOD, place=Place("FR"), allowed=frozenset({allowed}))

    assert decide(POLICY, abroad).answer is answer
    assert decide(POLICY, replace(abroad, blocked={Kind.COUNTRY: "line 1"})).answer is answer
    assert decide(POLICY, replace(abroad, score=Score(1))).answer is Answer.BLOCK


def test_nobody_is_told_which_signal_it_was() -> None:
    """The text depends on the code alone and names no card, device, address, account, score or list."""
    spied = [
        decide(POLICY, replace(GOOD, counts=over(name))) for name in COUNTERS
    ]  # fmt: skip
    for verdict in spied:
        assert verdict.public == PUBLIC[verdict.code]
    for text in PUBLIC.values():
        assert not {"card", "device", "address", "account", "score", "list", "list."} & set(
            text.lower().split()
        )


def test_a_block_is_told_as_a_refusal_and_nothing_else_is() -> None:
    """With its status; nothing of the reasons goes along."""
    limited = Policy({"card-attempts": Limit(1, 1_000, Answer.BLOCK)})
    refused = refusal(decide(limited, Found(counts={"card-attempts": 2})))

    assert (refused.code, refused.status, refused.extra) == ("too-many-attempts", 429, {})
    assert refused.public == PUBLIC["too-many-attempts"]
    assert {"blocked", "too-many-attempts", "country-not-served", "under-review"} == PUBLIC.keys()
    for score in (0.1, 0.8):
        with pytest.raises(ValueError, match="refuses nobody"):
            refusal(decide(POLICY, replace(GOOD, score=Score(score))))
