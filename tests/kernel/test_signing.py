"""Signed papers: only ours open, one spelling each, bound to their purpose and their key."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import signing
from kernel.errors import Misconfigured
from kernel.signing import BadSignature, Signer, b64url, from_b64url

OLD = ("2026-01", b"o" * 32)
NEW = ("2026-02", b"n" * 32)


def second_opinion(kid: str, secret: bytes, purpose: str, payload: bytes) -> str:
    """Sign by the words of the module's head, with other functions of the standard library."""

    def encode(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    key = hmac.new(secret, purpose.encode(), hashlib.sha256).digest()
    signed = f"{kid}.{encode(payload)}"
    return f"{signed}.{encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def reason_of(signer: Signer, text: str, max_length: int = 4096) -> str:
    """Open what must not open and say why it did not."""
    with pytest.raises(BadSignature) as refusal:
        signer.open(text, max_length)
    return refusal.value.reason


@given(payload=st.binary(max_size=300))
def test_what_was_signed_opens_to_the_same_bytes(payload: bytes) -> None:
    """Any payload survives, and the wire form is the documented one."""
    signer = Signer([NEW], "ticket")

    assert signer.open(signer.sign(payload)) == payload
    assert signer.sign(payload) == second_opinion(*NEW, "ticket", payload)


def test_the_vectors_of_openssl_are_ours(request: pytest.FixtureRequest) -> None:
    """`openssl dgst` made the same papers (the commands stand in the file)."""
    vectors = json.loads((Path(request.config.rootpath) / "tests/vectors/signing.json").read_text())

    for case in vectors["cases"]:
        signer = Signer([(case["kid"], bytes.fromhex(case["secret_hex"]))], case["purpose"])
        assert signer.sign(bytes.fromhex(case["payload_hex"])) == case["text"]


@given(payload=st.binary(max_size=40), place=st.integers(min_value=0), bit=st.integers(0, 6))
def test_one_changed_bit_anywhere_spoils_a_paper(payload: bytes, place: int, bit: int) -> None:
    """Key id, payload and mac are all protected, the unused bits of the last character too."""
    signer = Signer([NEW], "ticket")
    text = bytearray(signer.sign(payload).encode())
    text[place % len(text)] ^= 1 << bit

    with pytest.raises(BadSignature):
        signer.open(text.decode())


def test_after_a_rotation_old_papers_still_open_and_new_ones_carry_the_new_key() -> None:
    """The first key signs, every key verifies, a dropped key opens nothing."""
    paper_of_old = Signer([OLD], "ticket").sign(b"place 7")
    rotated = Signer([NEW, OLD], "ticket")

    assert rotated.open(paper_of_old) == b"place 7"
    assert rotated.sign(b"x").startswith("2026-02.")
    assert reason_of(Signer([NEW], "ticket"), paper_of_old) == "unknown-key"


def test_a_paper_for_one_purpose_is_forged_for_another() -> None:
    """A visitor's cookie cannot be shown as a ticket, though the secret is the same."""
    cookie = Signer([NEW], "visitor").sign(b"place 7")

    assert reason_of(Signer([NEW], "ticket"), cookie) == "forged"


GOOD = second_opinion(*NEW, "ticket", b"place 7")
KID, PAYLOAD, MAC = GOOD.split(".")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        (".", "malformed"),
        ("..", "malformed"),
        ("a.b", "malformed"),
        (f"{PAYLOAD}.{MAC}", "malformed"),
        (f"{GOOD}.", "malformed"),
        (f"{KID}.{PAYLOAD}.{PAYLOAD}.{MAC}", "malformed"),
        (f"{KID}.{PAYLOAD}.{MAC}=", "malformed"),
        (f"{KID}.{PAYLOAD}.{MAC[:-1]}", "malformed"),
        (f"{KID}.{PAYLOAD}.{MAC[:-1]}é", "malformed"),
        (f"{KID}.{'A' * 5000}.{MAC}", "malformed"),
        (f"2025-12.{PAYLOAD}.{MAC}", "unknown-key"),
        (f".{PAYLOAD}.{MAC}", "unknown-key"),
        (f"{KID}..{MAC}", "forged"),
        (f"{KID}.{PAYLOAD}=.{MAC}", "forged"),
        (f"{KID}.{PAYLOAD}.{'A' * 43}", "forged"),
        (f"{KID}.{PAYLOAD[:-1]}.{MAC}", "forged"),
        (f"{KID}.{PAYLOAD}\n.{MAC}", "forged"),
    ],
)
def test_every_bad_text_has_its_reason(text: str, reason: str) -> None:
    """Nothing but `BadSignature` comes out of `open`, whatever goes in."""
    assert reason_of(Signer([NEW], "ticket"), text) == reason


def test_a_text_above_the_given_length_is_not_even_looked_at() -> None:
    """The limit is inclusive."""
    signer = Signer([NEW], "ticket")

    assert signer.open(GOOD, max_length=len(GOOD)) == b"place 7"
    assert reason_of(signer, GOOD, max_length=len(GOOD) - 1) == "malformed"


def test_a_payload_that_is_not_base64_is_malformed_even_with_a_right_mac() -> None:
    """Only the holder of the secret can make such a text; it must not crash the reader."""
    key = hmac.digest(NEW[1], b"ticket", "sha256")
    signed = "2026-02.a"

    assert reason_of(
        Signer([NEW], "ticket"), f"{signed}.{b64url(hmac.digest(key, signed.encode(), 'sha256'))}"
    ) == ("malformed")


def test_all_faults_of_the_keys_are_told_at_once() -> None:
    """An empty ring, a short secret, a bad id and a repeated id each get a sentence; no secret is quoted."""
    with pytest.raises(Misconfigured) as refusal:
        Signer([("a.b", b"k" * 15), ("a.b", b"k" * 16)], "ticket")

    assert len(refusal.value.faults) == 4
    assert "kkk" not in str(refusal.value)
    with pytest.raises(Misconfigured, match="no signing key"):
        Signer([], "ticket")


@given(raw=st.binary(max_size=100))
def test_base64url_agrees_with_the_standard_library(raw: bytes) -> None:
    """Without padding, and back."""
    assert b64url(raw) == base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert from_b64url(b64url(raw)) == raw


@pytest.mark.parametrize("text", ["A", "AB=", "AA==", "AB", "+A", "/A", "A A", "AAé", "AAA\n", "AAAAA"])
def test_base64url_is_read_in_one_spelling_only(text: str) -> None:
    """Padding, the other alphabet, blanks and leftover bits (`AB` for `AA`) are refused."""
    with pytest.raises(ValueError, match="base64url"):
        from_b64url(text)


def test_without_the_comparison_a_forged_paper_would_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: when every mac counts as right, the checks above fail."""
    monkeypatch.setattr(signing, "compare_digest", lambda *_: True)

    assert Signer([NEW], "ticket").open(f"{KID}.{PAYLOAD}.{'A' * 43}") == b"place 7"
