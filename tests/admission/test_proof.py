"""Proofs: what a browser's key has signed, and every way in which it may be something else."""

from collections.abc import Callable
from typing import Any

import pytest

from admission import es256, proof
from admission.proof import Act, Proof, Wanted, Wrong, check, thumbprint
from tests.admission.proofs import BrowserKey, b64, part

NOW_MS = 1_800_000_000_000
OWN, OTHER = BrowserKey(7), BrowserKey(8)
WANTED = Wanted(OWN.thumbprint, Act.CLAIM, "main", "00ff", 41)
CLAIMS: dict[str, Any] = {
    "act": "claim", "room": "main", "run": "00ff", "number": 41, "nonce": "n", "iat": NOW_MS // 1000, "jti": "j" * 22,
}  # fmt: skip
GOOD = OWN.proof(CLAIMS)


def without(name: str) -> dict[str, Any]:
    """Leave a claim out."""
    return {other: value for other, value in CLAIMS.items() if other != name}


def test_a_proof_of_the_wanted_key_act_place_and_time_counts() -> None:
    """What is left to judge is the nonce and the id."""
    assert check(GOOD, WANTED, NOW_MS) == Proof("n", "j" * 22)


def test_a_key_is_named_as_the_standard_names_it() -> None:
    """The key and the thumbprint of RFC 9449, section 6.1."""
    jwk = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }

    assert thumbprint(jwk) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert thumbprint(OWN.jwk) == OWN.thumbprint


@pytest.mark.parametrize(
    ("since_ms", "counts"), [(-60_000, False), (-59_999, True), (59_999, True), (60_000, False)]
)
def test_a_proof_is_good_for_a_minute(since_ms: int, counts: bool) -> None:
    """On either side, by the edges."""
    found = check(GOOD, WANTED, NOW_MS + since_ms)

    assert (found == Proof("n", "j" * 22)) is counts
    assert counts or found is Wrong.STALE


def on_no_curve() -> dict[str, str]:
    """Name a point that is not on the curve."""
    return OWN.jwk | {"y": OWN.jwk["x"]}


HEAD, BODY, SIGNATURE = GOOD.split(".")
BAD: list[tuple[str, str, Wrong]] = [
    ("nothing", "", Wrong.MALFORMED),
    ("one part", "abc", Wrong.MALFORMED),
    ("two parts", f"{HEAD}.{BODY}", Wrong.MALFORMED),
    ("four parts", f"{GOOD}.x", Wrong.MALFORMED),
    ("too long", OWN.proof(CLAIMS | {"more": "x" * 2000}), Wrong.MALFORMED),
    ("letters beyond ASCII", GOOD.replace(".", "é", 1), Wrong.MALFORMED),
    ("a header that is no base64url", f"ab+c.{BODY}.{SIGNATURE}", Wrong.MALFORMED),
    ("padding", f"{HEAD}=.{BODY}.{SIGNATURE}", Wrong.MALFORMED),
    ("a header that is no JSON", f"{b64(b'{')}.{BODY}.{SIGNATURE}", Wrong.MALFORMED),
    ("a header that is a list", f"{part([])}.{BODY}.{SIGNATURE}", Wrong.MALFORMED),
    ("claims that are a list", f"{HEAD}.{part([1])}.{SIGNATURE}", Wrong.MALFORMED),
    ("brackets without end", f"{HEAD}.{b64(b'[' * 1000)}.{SIGNATURE}", Wrong.MALFORMED),
    ("not UTF-8", f"{HEAD}.{b64(bytes([255, 254, 253]))}.{SIGNATURE}", Wrong.MALFORMED),
    ("no algorithm", OWN.proof(CLAIMS, alg="none"), Wrong.WRONG_ALGORITHM),
    ("a shared secret", OWN.proof(CLAIMS, alg="HS256"), Wrong.WRONG_ALGORITHM),
    ("an algorithm's other spelling", OWN.proof(CLAIMS, alg="es256"), Wrong.WRONG_ALGORITHM),
    ("an algorithm that is a list", OWN.proof(CLAIMS, alg=["ES256"]), Wrong.WRONG_ALGORITHM),
    ("an admission's type", OWN.proof(CLAIMS, typ="waitroom-admission+jwt"), Wrong.WRONG_TYPE),
    ("a DPoP proof", OWN.proof(CLAIMS, typ="dpop+jwt"), Wrong.WRONG_TYPE),
    ("a critical member", OWN.proof(CLAIMS, crit=["b64"], b64=False), Wrong.MALFORMED),
    ("a key's address", OWN.proof(CLAIMS, jku="https://evil.test/keys"), Wrong.MALFORMED),
    ("no key", OWN.proof(CLAIMS, jwk=None), Wrong.MALFORMED),
    ("a key without a coordinate", OWN.proof(CLAIMS, jwk={"kty": "EC", "crv": "P-256"}), Wrong.MALFORMED),
    ("a private key", OWN.proof(CLAIMS, jwk=OWN.jwk | {"d": "AQ"}), Wrong.MALFORMED),
    ("a coordinate that is a number", OWN.proof(CLAIMS, jwk=OWN.jwk | {"x": 1}), Wrong.MALFORMED),
    ("a key of another kind", OWN.proof(CLAIMS, jwk=OWN.jwk | {"kty": "OKP"}), Wrong.OTHER_KEY),
    ("another key", OTHER.proof(CLAIMS), Wrong.OTHER_KEY),
    ("our key's name under another key's hand", OTHER.proof(CLAIMS, jwk=OWN.jwk), Wrong.FORGED),
    ("another signature", f"{HEAD}.{BODY}.{OTHER.sign(f'{HEAD}.{BODY}')}", Wrong.FORGED),
    ("other claims under the signature", f"{HEAD}.{part(CLAIMS | {'number': 40})}.{SIGNATURE}", Wrong.FORGED),
    ("no signature", f"{HEAD}.{BODY}.", Wrong.FORGED),
    ("a short signature", f"{HEAD}.{BODY}.{SIGNATURE[:-2]}", Wrong.FORGED),
    ("a signature of noughts", f"{HEAD}.{BODY}.{b64(bytes(64))}", Wrong.FORGED),
    ("a signature that is no base64url", f"{HEAD}.{BODY}.{'+' * 86}", Wrong.FORGED),
    ("a signature in another form", f"{HEAD}.{BODY}.{SIGNATURE}\n", Wrong.FORGED),
    ("another act", OWN.proof(CLAIMS | {"act": "leave"}), Wrong.OTHER_ACT),
    ("no act", OWN.proof(without("act")), Wrong.OTHER_ACT),
    ("another room", OWN.proof(CLAIMS | {"room": "side"}), Wrong.OTHER_ROOM),
    ("no room", OWN.proof(without("room")), Wrong.OTHER_ROOM),
    ("another run", OWN.proof(CLAIMS | {"run": "00fe"}), Wrong.OTHER_PLACE),
    ("another number", OWN.proof(CLAIMS | {"number": 42}), Wrong.OTHER_PLACE),
    ("a number that is a text", OWN.proof(CLAIMS | {"number": "41"}), Wrong.OTHER_PLACE),
    ("a number with a point", OWN.proof(CLAIMS | {"number": 41.0}), Wrong.OTHER_PLACE),
    ("no number", OWN.proof(without("number")), Wrong.OTHER_PLACE),
    ("no nonce", OWN.proof(without("nonce")), Wrong.MALFORMED),
    ("a nonce that is a number", OWN.proof(CLAIMS | {"nonce": 1}), Wrong.MALFORMED),
    ("no id", OWN.proof(without("jti")), Wrong.MALFORMED),
    ("a short id", OWN.proof(CLAIMS | {"jti": "j" * 15}), Wrong.MALFORMED),
    ("a long id", OWN.proof(CLAIMS | {"jti": "j" * 65}), Wrong.MALFORMED),
    ("an id with a line end", OWN.proof(CLAIMS | {"jti": "j" * 22 + "\n"}), Wrong.MALFORMED),
    ("no time", OWN.proof(without("iat")), Wrong.MALFORMED),
    ("a time that is a text", OWN.proof(CLAIMS | {"iat": "now"}), Wrong.MALFORMED),
    ("a time that is a flag", OWN.proof(CLAIMS | {"iat": True}), Wrong.MALFORMED),
    ("a time in milliseconds", OWN.proof(CLAIMS | {"iat": NOW_MS}), Wrong.STALE),
    ("a time long ago", OWN.proof(CLAIMS | {"iat": 0}), Wrong.STALE),
]


@pytest.mark.parametrize(
    ("text", "why"), [(text, why) for _, text, why in BAD], ids=[name for name, *_ in BAD]
)
def test_whatever_else_it_is_does_not_count(text: str, why: Wrong) -> None:
    """Each has its word, and none raises."""
    assert check(text, WANTED, NOW_MS) is why


def test_a_point_beside_the_curve_is_no_key() -> None:
    """Though the paper names it: a thumbprint is taken unseen at the join."""
    jwk = on_no_curve()
    wanted = Wanted(thumbprint(jwk), Act.CLAIM, "main", "00ff", 41)

    assert check(OWN.proof(CLAIMS, jwk=jwk), wanted, NOW_MS) is Wrong.MALFORMED
    short = OWN.jwk | {"x": "AQ"}
    wanted = Wanted(thumbprint(short), Act.CLAIM, "main", "00ff", 41)
    assert check(OWN.proof(CLAIMS, jwk=short), wanted, NOW_MS) is Wrong.MALFORMED


Mutant = Callable[[pytest.MonkeyPatch], None]


def believes_any_key(patch: pytest.MonkeyPatch) -> None:
    """Do not compare the key with the paper's."""
    patch.setattr(proof, "compare_digest", lambda *_: True)


def believes_any_signature(patch: pytest.MonkeyPatch) -> None:
    """Do not check the signature."""
    patch.setattr(es256, "verify_raw", lambda *_: True)


def knows_no_time(patch: pytest.MonkeyPatch) -> None:
    """Take proofs of any time."""
    patch.setattr(proof, "LIFE_MS", 1 << 60)


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        (believes_any_key, "another key"),
        (believes_any_signature, "other claims under the signature"),
        (believes_any_signature, "our key's name under another key's hand"),
        (knows_no_time, "a time long ago"),
    ],
)
def test_without_a_guard_a_bad_proof_would_count(
    monkeypatch: pytest.MonkeyPatch, mutant: Mutant, name: str
) -> None:
    """The mutants: each lets one of the bad ones through, or judges what it should never have reached."""
    (text,) = (text for known, text, _ in BAD if known == name)
    before = check(text, WANTED, NOW_MS)
    mutant(monkeypatch)

    assert check(text, WANTED, NOW_MS) != before
