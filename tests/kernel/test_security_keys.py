"""Security keys: what counts, a table of what does not, and for each line the mutant that lets it in."""

import copy
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import webauthn
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import security_keys as module
from kernel.security_keys import (
    KeyRefused,
    KeySite,
    MadeKey,
    asking,
    challenge_of,
    making,
    read_answer,
    read_made,
)
from kernel.signing import b64url, from_b64url
from tests.kernel.authenticator import PRESENT, Authenticator, trusting

ORIGIN, EVIL = "https://desk.example", "https://desk.example.evil.test"
SITE = KeySite("desk.example", "Waitroom", ORIGIN)
CHALLENGE, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)
Change = Callable[[Authenticator], None]


def made_by(key: Authenticator) -> MadeKey:
    """Make a key, honestly, and return what is kept of it."""
    options = making(SITE, person="ida", handle=b"h" * 32, challenge=CHALLENGE, there=[])
    return read_made(SITE, key.make(options), CHALLENGE)


def asked(challenge: bytes = CHALLENGE, there: tuple[str, ...] = ()) -> Any:
    """Ask keys."""
    return asking(SITE, challenge=challenge, there=there)


def why(key: Authenticator, change: Change, **expected: Any) -> str:
    """Make a key, let it lie, and tell why its answer was refused; '' if it was not."""
    kept = replace(made_by(key), **expected)
    change(key)
    try:
        read_answer(SITE, key.get(asked()), CHALLENGE, kept)
    except KeyRefused as error:
        return error.why
    return ""


def test_a_key_is_made_and_answers_and_its_counter_goes_up() -> None:
    """Once made it answers each challenge; the count that is returned is the one to compare with next time."""
    key = Authenticator(ORIGIN)
    kept = made_by(key)
    counts = []
    for challenge in (CHALLENGE, OTHER):
        count = read_answer(SITE, key.get(asked(challenge)), challenge, kept)
        kept = replace(kept, count=count)
        counts.append(count)

    assert (kept.credential, counts) == (key.id, [1, 2])


def test_a_key_without_a_counter_is_one_too() -> None:
    """Keys that are copied between a person's devices always say 0."""
    key = Authenticator(ORIGIN, step=0)
    kept = made_by(key)

    assert [read_answer(SITE, key.get(asked()), CHALLENGE, kept) for _ in range(2)] == [0, 0]


def test_what_a_browser_is_asked() -> None:
    """Our site, a person whom the key makes sure of, the keys that are there; no attestation, no stored name."""
    key = Authenticator(ORIGIN)
    new = making(SITE, person="ida", handle=b"h" * 32, challenge=CHALLENGE, there=[key.id])
    question = asked(there=(key.id,))

    assert new["rp"] == {"name": "Waitroom", "id": "desk.example"}
    assert new["authenticatorSelection"]["userVerification"] == "required"
    assert new["attestation"] == "none"
    assert [one["id"] for one in new["excludeCredentials"]] == [key.id]
    assert (question["rpId"], question["userVerification"]) == ("desk.example", "required")
    assert [one["id"] for one in question["allowCredentials"]] == [key.id]
    assert from_b64url(question["challenge"]) == CHALLENGE


def from_elsewhere(key: Authenticator) -> None:
    """Ask from another site's page."""
    key.origin = EVIL


def for_another_site(key: Authenticator) -> None:
    """Sign for another site's id."""
    key.site = "evil.test"


def to_another_challenge(key: Authenticator) -> None:
    """Answer what somebody else asked."""
    key.client = {"challenge": b64url(OTHER)}


def without_the_person(key: Authenticator) -> None:
    """Answer whoever holds it."""
    key.flags = PRESENT


def with_a_count_that_goes_back(key: Authenticator) -> None:
    """Be a copy that was made before."""
    key.count = 3


TABLE: list[tuple[Change, dict[str, Any], dict[str, Any]]] = [
    # what it does, what is kept of it, and what the mutant expects
    (from_elsewhere, {}, {"expected_origin": [ORIGIN, EVIL]}),
    (for_another_site, {}, {"expected_rp_id": "evil.test"}),
    (to_another_challenge, {}, {"expected_challenge": OTHER}),
    (without_the_person, {}, {"require_user_verification": False}),
    (with_a_count_that_goes_back, {"count": 7}, {"credential_current_sign_count": 0}),
]


@pytest.mark.parametrize(("change", "kept", "mutant"), TABLE)
def test_an_answer_that_is_not_right_does_not_count(
    change: Change, kept: dict[str, Any], mutant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the mutant that does not compare this one thing lets it in."""
    refused = why(Authenticator(ORIGIN), change, **kept)
    monkeypatch.setattr(webauthn, "verify_authentication_response", trusting(**mutant))

    assert refused
    assert why(Authenticator(ORIGIN), change, **kept) == ""


def test_the_same_count_again_is_a_copy() -> None:
    """Not only a lower one."""
    key = Authenticator(ORIGIN, count=6)
    kept = replace(made_by(key), count=7)

    with pytest.raises(KeyRefused):
        read_answer(SITE, key.get(asked()), CHALLENGE, kept)


def test_another_persons_key_does_not_answer() -> None:
    """By its own name, and under the name of the key that is asked: the signature is another's."""
    kept = made_by(Authenticator(ORIGIN))
    other = Authenticator(ORIGIN)
    with pytest.raises(KeyRefused) as caught:
        read_answer(SITE, other.get(asked()), CHALLENGE, kept)
    other.credential = from_b64url(kept.credential)
    with pytest.raises(KeyRefused) as forged:
        read_answer(SITE, other.get(asked()), CHALLENGE, kept)

    assert caught.value.why == "credential"
    assert "signature" in forged.value.why


@pytest.mark.parametrize("client", [{"crossOrigin": True}, {"topOrigin": EVIL}, {"crossOrigin": 1}])
def test_a_page_in_a_frame_of_another_site_does_not_count(
    client: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library does not look at it; the mutant without our look lets it in."""
    key = Authenticator(ORIGIN)
    kept = made_by(key)
    key.client = client
    with pytest.raises(KeyRefused) as caught:
        read_answer(SITE, key.get(asked()), CHALLENGE, kept)
    monkeypatch.setattr(module, "challenge_of", lambda _: "")

    assert caught.value.why == "frame"
    assert read_answer(SITE, key.get(asked()), CHALLENGE, kept) == 2


@pytest.mark.parametrize(
    "change",
    [from_elsewhere, for_another_site, to_another_challenge, without_the_person],
)
def test_a_key_that_is_made_wrongly_is_not_kept(change: Change) -> None:
    """From elsewhere, for elsewhere, to another challenge, by nobody in particular."""
    key = Authenticator(ORIGIN)
    change(key)
    options = making(SITE, person="ida", handle=b"h" * 32, challenge=CHALLENGE, there=[])

    with pytest.raises(KeyRefused):
        read_made(SITE, key.make(options), CHALLENGE)


def test_an_answer_is_no_new_key_and_a_new_key_is_no_answer() -> None:
    """Each ceremony has its own word, which is signed."""
    key = Authenticator(ORIGIN)
    kept = made_by(key)
    key.client = {"type": "webauthn.create"}
    with pytest.raises(KeyRefused):
        read_answer(SITE, key.get(asked()), CHALLENGE, kept)
    key.client = {"type": "webauthn.get"}
    options = making(SITE, person="ida", handle=b"h" * 32, challenge=CHALLENGE, there=[])
    with pytest.raises(KeyRefused):
        read_made(SITE, key.make(options), CHALLENGE)


KEY = Authenticator(ORIGIN)
MADE = KEY.make(making(SITE, person="ida", handle=b"h" * 32, challenge=CHALLENGE, there=[]))
KEPT = read_made(SITE, MADE, CHALLENGE)
ANSWER = KEY.get(asking(SITE, challenge=CHALLENGE, there=()))
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=40), st.lists(st.text(max_size=5), max_size=3)
)


@given(
    octets=st.binary(max_size=300), odd=ODD, where=st.integers(0, 400), plain=st.booleans(), data=st.data()
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_sent_is_refused_or_counts_and_nothing_else_happens(
    octets: bytes, odd: object, where: int, plain: bool, data: st.DataObject
) -> None:
    """Fields that are missing, of another kind, or with octets changed: no answer is an error of ours."""
    for whole, read in (
        (MADE, lambda answer: read_made(SITE, answer, CHALLENGE)),
        (ANSWER, lambda answer: read_answer(SITE, answer, CHALLENGE, KEPT)),
    ):
        answer = copy.deepcopy(whole)
        name = data.draw(st.sampled_from(["id", "rawId", "type", "response", *answer["response"]]))
        inside = answer["response"] if name in answer["response"] else answer
        if plain or not isinstance(inside[name], str):
            inside[name] = odd
        else:
            raw = bytearray(from_b64url(inside[name]) if name != "type" else b"")
            raw[where % (len(raw) + 1) :] = octets
            inside[name] = b64url(bytes(raw))
        try:
            read(answer)
        except KeyRefused as error:
            assert error.why  # noqa: PT017 - either is right, and nothing else


@pytest.mark.parametrize(
    "text", ["", "x", b64url(b"[]"), b64url(b"[" * 5000), b64url(b'{"challenge":1}'), None, 7]
)
def test_what_names_no_challenge_is_malformed(text: object) -> None:
    """Nested without an end, too."""
    with pytest.raises(KeyRefused) as caught:
        challenge_of({"response": {"clientDataJSON": text}})

    assert caught.value.why == "malformed"


def test_the_library_is_loaded_when_somebody_shows_a_key_and_not_before() -> None:
    """A process that asks no key does without."""
    import subprocess
    import sys

    code = "import sys, kernel.security_keys; sys.exit('webauthn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
