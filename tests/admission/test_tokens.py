"""Admission token: what a backend accepts, and a word for each thing that it does not."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from admission import es256
from admission.tokens import (
    MAX_CHARS,
    TYP,
    Claims,
    Reason,
    is_session_id,
    jwt_head,
    kid_of,
    session_id,
    verify,
    write,
)
from kernel.signing import b64url, from_b64url

NOW_MS = 1_800_000_000_000
KEY, OTHER = es256.generate(), es256.generate()
KEYS = {"admission-1": KEY.public_key()}
CLAIMS = Claims(
    issuer="https://tickets.example",
    audience="https://shop.example",
    sid="AAAAAAAAAAAAAAAAAAAAAA",
    room="main",
    run="00000000000000aa",
    lane="standard",
    admitted_ms=NOW_MS,
    issued_ms=NOW_MS,
    expires_ms=NOW_MS + 300_000,
)
LEEWAY_MS = 30_000


def judge(token: str, now_ms: int = NOW_MS, **changes: Any) -> Claims | Reason:
    """Verify as a backend of the room main does."""
    options: dict[str, Any] = {
        "issuer": CLAIMS.issuer, "audience": CLAIMS.audience, "room": "main", "now_ms": now_ms,
        "leeway_ms": LEEWAY_MS, **changes,
    }  # fmt: skip
    return verify(token, KEYS, **options)


def token_of(claims: Claims = CLAIMS, *, key: es256.PrivateKey = KEY, **head: Any) -> str:
    """Sign claims; `head` replaces members of the header, or (None) leaves them out."""
    header = {"alg": "ES256", "kid": "admission-1", "typ": TYP} | head
    header = {name: value for name, value in header.items() if value is not None}
    return write(key, b64url(json.dumps(header).encode()).encode() + b".", claims.members())


def members_token(**changes: Any) -> str:
    """Sign claims with members replaced, or (None) left out."""
    members = {**CLAIMS.members(), **changes}
    head = jwt_head("admission-1", TYP)
    return write(KEY, head, {name: value for name, value in members.items() if value is not None})


def test_a_token_says_what_was_admitted() -> None:
    """Round trip; PyJWT reads the same claims and header."""
    token = token_of()

    assert judge(token) == CLAIMS
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "admission-1", "typ": TYP}
    plain = jwt.decode(
        token,
        KEY.public_key(),
        algorithms=["ES256"],
        options={"verify_signature": True},
        audience=CLAIMS.audience,
        issuer=CLAIMS.issuer,
        leeway=10**9,
    )
    assert set(plain) == {"iss", "aud", "sub", "room", "run", "lane", "jti", "iat", "exp"}
    assert kid_of(token) == "admission-1"
    assert kid_of("nonsense") == ""


def test_a_repeat_is_the_same_text_and_a_renewal_another() -> None:
    """The signature is deterministic; the id follows from session and end."""
    renewed = replace(CLAIMS, issued_ms=NOW_MS + 60_000, expires_ms=NOW_MS + 360_000)

    assert token_of() == token_of()
    assert renewed.jti != CLAIMS.jti
    assert judge(token_of(renewed), NOW_MS + 60_000) == renewed


@pytest.mark.parametrize(
    ("name", "token", "reason"),
    [
        ("signed by another key", token_of(key=OTHER), Reason.FORGED),
        ("payload exchanged", ".".join([*token_of().split(".")[:1], members_token(lane="verified").split(".")[1],
                                        token_of().split(".")[2]]), Reason.FORGED),
        ("signature empty", token_of().rpartition(".")[0] + ".", Reason.FORGED),
        ("signature of another size", token_of() + "AAAA", Reason.FORGED),
        ("cut off", token_of()[:40], Reason.MALFORMED),
        ("two parts", token_of().rpartition(".")[0], Reason.MALFORMED),
        ("empty", "", Reason.MALFORMED),
        ("not text", "é" * 50, Reason.MALFORMED),
        ("too long", "a" * (MAX_CHARS + 1), Reason.MALFORMED),
        ("header no object", b64url(b"[1]") + ".e30.AA", Reason.MALFORMED),
        ("header no JSON", b64url(b"nope") + ".e30.AA", Reason.MALFORMED),
        ("algorithm none", token_of(alg="none"), Reason.WRONG_ALGORITHM),
        ("algorithm missing", token_of(alg=None), Reason.WRONG_ALGORITHM),
        ("algorithm ES384", token_of(alg="ES384"), Reason.WRONG_ALGORITHM),
        ("unknown key", token_of(kid="admission-2"), Reason.UNKNOWN_KEY),
        ("no key named", token_of(kid=None), Reason.UNKNOWN_KEY),
        ("a receipt", token_of(typ="waitroom-receipt+jwt"), Reason.WRONG_TYPE),
        ("a plain JWT", token_of(typ="JWT"), Reason.WRONG_TYPE),
        ("no type", token_of(typ=None), Reason.WRONG_TYPE),
        ("critical extension", token_of(crit=["exp"], exp=1), Reason.MALFORMED),
        ("own key in the header", token_of(key=OTHER, jwk=es256.public_jwk(OTHER.public_key())), Reason.MALFORMED),
        ("another issuer", token_of(replace(CLAIMS, issuer="https://evil.example")), Reason.WRONG_ISSUER),
        ("another audience", token_of(replace(CLAIMS, audience="https://evil.example")), Reason.WRONG_AUDIENCE),
        ("another room", token_of(replace(CLAIMS, room="other")), Reason.FOREIGN_ROOM),
        ("list of audiences", members_token(aud=[CLAIMS.audience]), Reason.INCOMPLETE),
        ("no room", members_token(room=None), Reason.INCOMPLETE),
        ("no end", members_token(exp=None), Reason.INCOMPLETE),
        ("end as text", members_token(exp="1900000000"), Reason.INCOMPLETE),
        ("end as true", members_token(exp=True), Reason.INCOMPLETE),
        ("end as fraction", members_token(exp=1.9e9), Reason.INCOMPLETE),
        ("ends before it begins", members_token(exp=1), Reason.INCOMPLETE),
        ("begins before all time", members_token(iat=-1), Reason.INCOMPLETE),
        ("sid as number", members_token(sub=5), Reason.INCOMPLETE),
        ("renewed before admitted", members_token(renewed=1), Reason.INCOMPLETE),
    ],
)  # fmt: skip
def test_a_bad_token_is_refused_with_its_word(name: str, token: str, reason: Reason) -> None:
    """Whatever the header claims."""
    assert judge(token) is reason, name


def test_a_genuine_signature_over_nonsense_is_no_token() -> None:
    """Claims that are no JSON object."""
    for payload in (b"nonsense", b"[1]", b"5"):
        signed = jwt_head("admission-1", TYP) + b64url(payload).encode()
        assert judge(f"{signed.decode()}.{b64url(es256.sign_raw(KEY, signed))}") is Reason.MALFORMED


def test_a_secret_key_algorithm_is_never_used_with_the_public_key() -> None:
    """HS256 over the public key's text, the classic confusion, and RS256 with a key of its own."""
    public = json.dumps(es256.public_jwk(KEY.public_key())).encode()
    head = b64url(json.dumps({"alg": "HS256", "kid": "admission-1", "typ": TYP}).encode())
    signed = f"{head}.{b64url(json.dumps(CLAIMS.members()).encode())}"
    confused = f"{signed}.{b64url(hmac.digest(public, signed.encode(), hashlib.sha256))}"
    rsa_key = rsa.generate_private_key(65537, 2048)
    other = jwt.encode(CLAIMS.members(), rsa_key, "RS256", headers={"kid": "admission-1", "typ": TYP})
    curve = jwt.encode(
        CLAIMS.members(),
        ec.generate_private_key(ec.SECP384R1()),
        "ES384",
        headers={"kid": "admission-1", "typ": TYP},
    )

    assert {judge(confused), judge(other), judge(curve)} == {Reason.WRONG_ALGORITHM}


@pytest.mark.parametrize(
    ("at_ms", "verdict"),
    [
        (NOW_MS - LEEWAY_MS - 1, Reason.FUTURE),
        (NOW_MS - LEEWAY_MS, CLAIMS),
        (NOW_MS, CLAIMS),
        (CLAIMS.expires_ms + LEEWAY_MS - 1, CLAIMS),
        (CLAIMS.expires_ms + LEEWAY_MS, Reason.EXPIRED),
        (CLAIMS.expires_ms + LEEWAY_MS + 1, Reason.EXPIRED),
    ],
)
def test_a_token_counts_from_its_issue_to_its_end_with_the_clocks_leeway(
    at_ms: int, verdict: Claims | Reason
) -> None:
    """Half-open."""
    assert judge(token_of(), at_ms) == verdict


def test_a_renewed_token_from_the_future_is_refused_though_its_admission_is_old() -> None:
    """The time of issue is what counts."""
    renewed = replace(CLAIMS, issued_ms=NOW_MS + 60_000, expires_ms=NOW_MS + 360_000)

    assert judge(token_of(renewed), NOW_MS) is Reason.FUTURE


def test_a_backend_of_all_rooms_takes_any_room() -> None:
    """``room=None``."""
    assert judge(token_of(replace(CLAIMS, room="other")), room=None) == replace(CLAIMS, room="other")


@given(st.integers(0, 600), st.sampled_from("AZaz09-_.=%"))
def test_no_change_of_a_single_character_goes_unnoticed(index: int, letter: str) -> None:
    """Each position, any letter: another text is another verdict."""
    token = token_of()
    index %= len(token)
    changed = token[:index] + letter + token[index + 1 :]

    assert (judge(changed) == CLAIMS) is (changed == token)


def test_a_session_id_follows_from_the_ticket_and_nothing_else() -> None:
    """Fields cannot run into each other; another secret gives another id."""
    own = session_id(b"k" * 32, "main", "aa", 12, "ticket")

    assert own == session_id(b"k" * 32, "main", "aa", 12, "ticket")
    assert is_session_id(own)
    others = {
        session_id(b"l" * 32, "main", "aa", 12, "ticket"),
        session_id(b"k" * 32, "mai", "naa", 12, "ticket"),
        session_id(b"k" * 32, "main", "aa1", 2, "ticket"),
        session_id(b"k" * 32, "main", "aa", 1, "2ticket"),
        session_id(b"k" * 32, "main", "aa", 12, "ticket2"),
    }
    assert own not in others
    assert len(others) == 5


@pytest.mark.parametrize("text", ["", "a", "A" * 21, "A" * 23, "A" * 21 + "/", "A" * 21 + "B", "é" * 22])
def test_what_is_no_session_id_is_seen(text: str) -> None:
    """16 bytes as 22 characters of base64url, in their one spelling."""
    assert not is_session_id(text)


def test_signatures_are_those_of_the_standard() -> None:
    """RFC 6979, A.2.5: P-256 with SHA-256, message "sample"."""
    secret = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
    key = es256.read_private(b64url(secret))

    signature = es256.sign_raw(key, b"sample")

    assert signature.hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )
    assert es256.verify_raw(key.public_key(), b"sample", signature)
    assert not es256.verify_raw(key.public_key(), b"simple", signature)
    assert not es256.verify_raw(key.public_key(), b"sample", signature[:-1])
    assert not es256.verify_raw(key.public_key(), b"sample", bytes(64))


def test_a_key_survives_writing_and_reading() -> None:
    """Both halves."""
    again = es256.read_private(es256.private_text(KEY))

    assert again.private_numbers() == KEY.private_numbers()
    assert (
        es256.read_public(es256.public_jwk(KEY.public_key())).public_numbers()
        == KEY.public_key().public_numbers()
    )


@pytest.mark.parametrize(
    "change", [{"kty": "RSA"}, {"crv": "P-384"}, {"x": "AA"}, {"x": "not base64!"}, {"y": ""}]
)
def test_a_damaged_public_key_is_refused(change: dict[str, str]) -> None:
    """Another curve, or a point that is not on it."""
    with pytest.raises(ValueError, match=r"\w"):
        es256.read_public(es256.public_jwk(KEY.public_key()) | change)


def test_base64_has_one_spelling() -> None:
    """The last character of a sid cannot be varied."""
    with pytest.raises(ValueError, match="base64url"):
        from_b64url("A" * 21 + "B")


def test_a_signature_has_64_bytes_also_where_its_numbers_are_small() -> None:
    """One in 128 has a number below 2**248; it is filled up on the left, as RFC 7518, 3.4 asks."""
    key = es256.read_private(b64url(bytes(31) + b"\7"))
    messages = [b"%d" % number for number in range(1500)]

    signatures = [es256.sign_raw(key, message) for message in messages]

    assert {len(signature) for signature in signatures} == {es256.SIGNATURE_BYTES}
    small = [at for at, signature in enumerate(signatures) if 0 in {signature[0], signature[32]}]
    assert len(small) > 3
    for at in (*small, *range(20)):
        assert es256.verify_raw(key.public_key(), messages[at], signatures[at])
