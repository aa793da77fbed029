"""A signed model: only what an operator's key has signed is read, as it was signed; each other file is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from botguard import signed_model as module
from botguard.features import NAMES
from botguard.model_key import ModelKey, public_keys
from botguard.signed_model import DOMAIN, MOST_BYTES, canonical, read, sign, told
from kernel.errors import Misconfigured
from kernel.signing import b64url
from tests.botguard.models import KEY, KEYS, OTHER, SHIPPED, own

Read = Callable[..., object]

GOOD = sign(own(), KEY)
HEAD, LINE, SIGNATURE, _ = GOOD.split(b"\n")


def file(head: bytes = HEAD, line: bytes = LINE, signature: bytes = SIGNATURE) -> bytes:
    """Put three lines together."""
    return head + b"\n" + line + b"\n" + signature + b"\n"


def by(key: ModelKey, head: bytes, line: bytes, domain: bytes = DOMAIN) -> bytes:
    """Sign what a careful signer would not."""
    return file(head, line, b64url(key.private.sign(domain + head + b"\n" + line + b"\n")).encode())


def said(**changes: object) -> bytes:
    """Return a first line that says something else."""
    return json.dumps({**json.loads(HEAD), **changes}, separators=(",", ":"), sort_keys=True).encode()


LATER = canonical(own(features=2))
DENSE = canonical(own(trees=[[[0, 0.5, 0, 1, 0], [0.5]]]))

FORGED: dict[str, tuple[bytes, str]] = {
    "another model under the same signature": (file(line=canonical(own(shift=-9.0))), "does not fit"),
    "one digit of a tree": (file(line=LINE.replace(b"0.1", b"0.2", 1)), "does not fit"),
    "a space in the model": (file(line=LINE + b" "), "does not fit"),
    "another first line": (file(head=said(data={})), "does not fit"),
    "a space in the first line": (file(head=HEAD + b" "), "does not fit"),
    "signed by another key under this key's name": (by(OTHER, HEAD, LINE), "does not fit"),
    "signed by another key": (sign(own(), OTHER), f"by the key {OTHER.id}, which is not among"),
    "signed for something else": (by(KEY, HEAD, LINE, b"waitroom tickets 1\n"), "does not fit"),
    "signed without a purpose": (by(KEY, HEAD, LINE, b""), "does not fit"),
    "a signature of nothing": (file(signature=b64url(bytes(64)).encode()), "does not fit"),
    "a signature that is cut": (file(signature=SIGNATURE[:-2]), "does not fit"),
    "a signature written otherwise": (file(signature=SIGNATURE + b"=="), "does not fit"),
    "a signature in other letters": (file(signature="ü".encode() * 43), "does not fit"),
    "no signature": (file(signature=b""), "does not fit"),
    "key of no name": (file(head=said(key=None)), "a key without a name"),
    "key of a name that is a list": (file(head=said(key=[KEY.id])), "a key without a name"),
    "key of a name that writes into the terminal": (
        file(head=said(key="\x1b[31m" + KEY.id)),
        "a key without a name",
    ),
    "key of a very long name": (file(head=said(key="0" * 100_000)), "a key without a name"),
    "a first line of nothing but brackets": (file(head=b"[" * 100_000), "no signed model"),
    "a first line of another kind": (file(head=said(what=[])), "no signed model"),
}
"""Files that no key of ours has signed as they are."""

UNLIKE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no signed model"),
    "not signed": (own(), "is not signed; `waitroom bots sign`"),
    "not signed, in many lines": (json.dumps(json.loads(own()), indent=1).encode(), "is not signed"),
    "without its last sign": (GOOD[:-1], "is not whole"),
    "without its signature": (HEAD + b"\n" + LINE + b"\n", "is not whole"),
    "cut in the model": (GOOD[: len(GOOD) // 2], "is not whole"),
    "cut in the first line": (GOOD[: len(HEAD) // 2], "no signed model"),
    "twice": (GOOD * 2, "is not whole"),
    "a line more": (GOOD + b"\n", "is not whole"),
    "other line ends": (GOOD.replace(b"\n", b"\r\n"), "does not fit"),
    "lines of something else": (b"a\nb\nc\n", "no signed model"),
    "a list at first": (file(head=b"[]"), "no signed model"),
    "something else that is signed": (by(KEY, said(what="waitroom tickets 1"), LINE), "says something else"),
    "of another form": (by(KEY, said(what="waitroom bots model 2"), LINE), "says something else"),
    "pickled": (b"\x80\x04N.", "no signed model"),
    "too large": (GOOD + b"\n" * MOST_BYTES, "more than"),
}
"""Files that are not what a gate reads, whoever made them."""

UNFIT: dict[str, tuple[bytes, str]] = {
    "a model of later features": (by(KEY, said(features=2), LATER), "looks at other features"),
    "later features, not said so": (by(KEY, HEAD, LATER), "looks at other features"),
    "features that the model has not": (by(KEY, said(features=2), LINE), "says something else"),
    "data that the model has not": (by(KEY, said(data={"ours": "0" * 64}), LINE), "says something else"),
    "trees that go round": (by(KEY, HEAD, DENSE), "cannot be scored"),
    "no model at all": (by(KEY, HEAD, b"{}"), "no model of the bot guard"),
    "one key's model under another's name": (by(KEY, said(key=OTHER.id), LINE), "says something else"),
}
"""Signed by a key of ours, and yet of no use."""

BAD = {**FORGED, **UNLIKE, **UNFIT}


def kept_out(read_one: Read, keys: object = KEYS) -> set[str]:
    """Return the names of the bad files that were refused."""
    found = set()
    for name, (octets, _) in BAD.items():
        try:
            read_one(octets, keys)
        except Misconfigured:
            found.add(name)
    return found


def test_a_model_that_our_key_has_signed_is_read() -> None:
    """It scores as its plain file does, and its first line names key, features and data for people."""
    row = [0.25] * len(NAMES)

    assert read(GOOD, KEYS).raw(row) == pytest.approx(read(sign(SHIPPED, KEY), KEYS).raw(row))
    assert read(GOOD, KEYS).shift == 9.0
    assert told(GOOD) == {
        "what": "waitroom bots model 1",
        "key": KEY.id,
        "format": 1,
        "features": 1,
        "data": json.loads(SHIPPED)["card"]["data"],
    }


@pytest.mark.parametrize("case", BAD)
def test_any_other_file_is_refused_in_a_sentence(case: str) -> None:
    """And nothing but Misconfigured comes of it, so whoever follows a file goes on."""
    octets, says = BAD[case]

    with pytest.raises(Misconfigured) as caught:
        read(octets, KEYS)
    assert len(caught.value.faults) == 1
    assert says in caught.value.faults[0]


def test_no_single_octet_can_be_another() -> None:
    """At the edges of each line and at places between them."""
    edges = {
        0,
        len(HEAD) - 1,
        len(HEAD),
        len(HEAD) + 1,
        len(GOOD) - 2,
        len(GOOD) - 1,
        len(GOOD) - len(SIGNATURE) - 2,
    }

    for at in sorted({*edges, *range(0, len(GOOD), 997)}):
        changed = bytearray(GOOD)
        changed[at] ^= 1
        with pytest.raises(Misconfigured):
            read(bytes(changed), KEYS)


def test_two_keys_count_while_one_replaces_the_other() -> None:
    """Models of both are read; of a key that is not named any more none is."""
    both = public_keys([OTHER.public, KEY.public])

    assert read(GOOD, both).shift == read(sign(own(), OTHER), both).shift == 9.0
    with pytest.raises(Misconfigured, match="not among those that are set"):
        read(GOOD, public_keys([OTHER.public]))
    with pytest.raises(Misconfigured):
        read(GOOD, {})


def test_a_model_in_many_lines_is_signed_as_one() -> None:
    """What was only written otherwise has the same signature; ``train`` writes it as it is signed."""
    assert sign(json.dumps(json.loads(own()), indent=2).encode(), KEY) == GOOD
    assert canonical(SHIPPED) + b"\n" == SHIPPED


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", own(features=2), own(trees=[[]]), own(card=[]), GOOD])
def test_what_no_gate_would_take_is_not_signed(raw: bytes) -> None:
    """Whoever signs hears it, not whoever serves."""
    with pytest.raises(Misconfigured):
        sign(raw, KEY)


def test_a_model_without_a_word_of_its_data_can_be_signed() -> None:
    """A card of one's own may say nothing, or something else."""
    for card in ({}, {"data": "ours"}):
        assert told(sign(own(card=card), KEY))["data"] == {}
        assert read(sign(own(card=card), KEY), KEYS).card == card


# Mutants -----------------------------------------------------------------------------------------------


def mutant(before: str, after: str) -> Read:
    """Return what reads files after a change of the source."""
    source = Path(module.__file__).read_text()
    assert source.count(before) == 1
    mutated: dict[str, object] = {"__name__": module.__name__, "HEAD": HEAD, "LINE": LINE}
    exec(compile(source.replace(before, after), "mutant", "exec"), mutated)  # noqa: S102
    found = mutated["read"]
    assert callable(found)
    return found


def test_all_bad_files_are_kept_out() -> None:
    """What the mutants are measured by."""
    assert kept_out(read) == set(BAD)


def test_a_signature_that_nobody_looks_at_would_be_noticed() -> None:
    """The mutant: every signature is good, so another model under the old one is taken."""

    class Gullible:
        """A key under which everything is signed."""

        def verify(self, signature: bytes, octets: bytes) -> None:
            """Agree."""

    assert "another model under the same signature" not in kept_out(read, {KEY.id: Gullible()})


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ('_signer(head + b"\\n" + line + b"\\n", ', '_signer(head + b"\\n" + LINE + b"\\n", ',
         "another model under the same signature"),
        ('_signer(head + b"\\n" + line + b"\\n", ', '_signer(HEAD + b"\\n" + line + b"\\n", ',
         "a space in the first line"),
        ("key.verify(octets, DOMAIN + signed)", "key.verify(octets, signed)", "signed without a purpose"),
        ("        except InvalidSignature:\n            continue", "        except InvalidSignature:\n            pass",
         "one digit of a tree"),
        ("    if signer is None:\n", "    if signer is None and not signature:\n", "key of no name"),
        ("if _json(head) != {", "if not _json(head) and {", "data that the model has not"),
    ],
    ids=["the model is not signed", "nor the first line", "no purpose", "failures pass", "none is good", "its word"],
)  # fmt: skip
def test_a_reader_that_verifies_less_would_be_noticed(before: str, after: str, taken: str) -> None:
    """The mutants: other octets than those that are read are verified, or one of the checks is left out."""
    assert taken not in kept_out(mutant(before, after))
