"""Signed requests of agents: by RFC 9421's own example, by our keys, and in every way in which one can be wrong."""

import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from botguard.request import signed
from botguard.request.facts import Who
from botguard.request.signed import LONGEST_S, Target, read_keys, signer, thumbprint
from kernel.errors import Misconfigured
from kernel.signing import b64url
from tests.botguard.request.browsers import NOW_MS, chromium, read, reader

NOW_S = NOW_MS // 1000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
X = b64url(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
KEYS = read_keys(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "name": "helper", "x": X}]}).encode())
TARGET = Target("POST", "tickets.example", "/.waitroom/r/main/join")
AGENT = b'"https://helper.example"'
COVERED = ("@authority", "signature-agent")

Change = Callable[[dict[str, object]], None]


def sign(
    covered: tuple[str, ...] = COVERED,
    key: Ed25519PrivateKey = KEY,
    target: Target = TARGET,
    **changes: object,
) -> dict[bytes, bytes]:
    """Sign a request as an agent does; a change of None leaves a parameter out."""
    given = {
        "created": NOW_S - 10, "expires": NOW_S + 60, "keyid": thumbprint(X), "alg": "ed25519",
        "nonce": "abc", "tag": "web-bot-auth", **changes,
    }  # fmt: skip
    written = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in given.items()
        if value is not None
    )
    parameters = f"({' '.join(f'{chr(34)}{name}{chr(34)}' for name in covered)}){written}"
    values = {
        "@authority": target.authority, "@method": target.method, "@path": target.path,
        "signature-agent": AGENT.decode(),
    }  # fmt: skip
    base = "".join(f'"{name}": {values.get(name, "")}\n' for name in covered)
    base += f'"@signature-params": {parameters}'
    return {
        b"signature-agent": AGENT,
        b"signature-input": f"sig1={parameters}".encode(),
        b"signature": b"sig1=:" + b64encode(key.sign(base.encode())) + b":",
    }


def test_the_rfcs_own_example_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9421, appendix B.2.6: key, base and signature are not ours. It has no tag and never expires."""
    keys = read_keys(
        b'{"keys":[{"kty":"OKP","crv":"Ed25519","name":"rfc","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}'
    )
    keys = {"test-key-ed25519": next(iter(keys.values()))}
    monkeypatch.setattr(signed, "_is_timely", lambda *_: True)
    headers = {
        b"date": b"Tue, 20 Apr 2021 02:07:55 GMT",
        b"content-type": b"application/json",
        b"content-length": b"18",
        b"signature-input": (
            b'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
            b';keyid="test-key-ed25519"'
        ),
        b"signature": (
            b"sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
        ),
    }
    target = Target("POST", "example.com", "/foo")

    assert signer(headers, target, keys, NOW_MS) == "rfc"
    assert signer({**headers, b"content-length": b"19"}, target, keys, NOW_MS) == ""


def test_an_agent_of_ours_is_known_and_of_a_class_of_its_own() -> None:
    """Whatever its agent says."""
    headers = [*chromium(), *sign().items()]

    facts = read(headers, here=reader(keys=KEYS))

    assert (facts.who, facts.agent_name) == (Who.SIGNED_AGENT, "helper")
    assert read(headers).who is Who.UNDECLARED


@pytest.mark.parametrize(
    "covered",
    [("@authority",), ("@method", "@authority", "@path", "signature-agent")],
)
def test_more_and_less_may_be_covered(covered: tuple[str, ...]) -> None:
    """As long as the site is."""
    assert signer(sign(covered), TARGET, KEYS, NOW_MS) == "helper"


STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
WRONG = {
    "another key": sign(key=STRANGER),
    "an unknown key": sign(keyid="x" * 43),
    "another site": sign(target=Target("POST", "other.example", TARGET.path)),
    "the site is not covered": sign(("signature-agent",)),
    "a component that is not there": sign((*COVERED, "date")),
    "a component that is not ours to read": sign((*COVERED, "@query")),
    "the same component twice": sign(("@authority", "@authority")),
    "over": sign(expires=NOW_S),
    "not begun": sign(created=NOW_S + signed.SKEW_S + 1, expires=NOW_S + 300),
    "for ever": sign(created=NOW_S, expires=NOW_S + LONGEST_S + 1),
    "no end": sign(expires=None),
    "no beginning": sign(created=None),
    "another algorithm": sign(alg="rsa-v1_5-sha256"),
    "another use": sign(tag="other"),
    "no use": sign(tag=None),
    "no signature": {**sign(), b"signature": b""},
    "another label": {**sign(), b"signature": sign()[b"signature"].replace(b"sig1", b"sig2")},
    "no base64": {**sign(), b"signature": b"sig1=:" + b"=" * 88 + b":"},
    "cut": {**sign(), b"signature": sign()[b"signature"][:-9] + b":"},
    "no inner list": {**sign(), b"signature-input": b"sig1;created=1"},
    "too long": {**sign(), b"signature-input": sign()[b"signature-input"] + b" " * 2048},
    "another agent": {**sign(), b"signature-agent": b'"https://other.example"'},
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_counts_as_no_signature(how: str) -> None:
    """It is no proof against anybody either."""
    assert signer(WRONG[how], TARGET, KEYS, NOW_MS) == ""


@pytest.mark.parametrize(
    ("how", "guard"),
    [("over", "_is_timely"), ("for ever", "_is_timely"), ("another use", "_is_timely")],
)
def test_a_signature_without_end_would_be_noticed(
    how: str, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: without the check of times and use these are let in."""
    monkeypatch.setattr(signed, guard, lambda *_: True)

    assert signer(WRONG[how], TARGET, KEYS, NOW_MS) == "helper"


def test_the_faults_of_a_key_file_are_told_at_once() -> None:
    """By number."""
    rows = [
        {},
        {"kty": "OKP", "crv": "Ed25519", "x": X},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA", "name": "a"},
        7,
    ]

    with pytest.raises(Misconfigured) as caught:
        read_keys(json.dumps({"keys": rows}).encode())

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [f"key {n}" for n in range(1, 5)]
    for octets in (b"", b"[]", b'{"keys": 1}'):
        with pytest.raises(Misconfigured, match="JWK set"):
            read_keys(octets)
