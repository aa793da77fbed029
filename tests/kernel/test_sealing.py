"""The seal: it opens in its own place, with its own key, unchanged; every other way is told and none is guessed."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kernel import sealing
from kernel.sealing import CannotOpen, Vault, Where, Why

HERE = Where("contacts", "summer/O1", "email")
VAULT = Vault("p1", {"p1": b"1" * 32}, b"i" * 32)
TEXT = "ann@example.org"


def why(vault: Vault, envelope: str, where: Where = HERE) -> Why | None:
    """Tell why an envelope does not open; None if it does."""
    try:
        vault.open(envelope, where)
    except CannotOpen as error:
        return None if TEXT in str(error) else error.why
    return None


@given(st.text(max_size=300))
def test_whatever_is_sealed_comes_out_again(text: str) -> None:
    """And twice the same text is not twice the same envelope."""
    one, two = VAULT.seal(text, HERE), VAULT.seal(text, HERE)

    assert VAULT.open(one, HERE) == VAULT.open(two, HERE) == text
    assert one != two


def test_an_envelope_is_what_its_head_says() -> None:
    """Opened here by hand from the module's own words, with another HMAC and no code of ours."""
    version, name, body = VAULT.seal(TEXT, HERE).split(".")
    octets = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    from cryptography.hazmat.primitives import hashes, hmac

    mac = hmac.HMAC(b"1" * 32, hashes.SHA512())
    mac.update(b"waitroom:people:seal:v1" + octets[:16])
    made = mac.finalize()
    bound = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"v1", b"p1", b"contacts", b"summer/O1", b"email")
    )

    assert (version, name) == ("v1", "p1")
    assert AESGCM(made[:32]).decrypt(made[32:44], octets[16:], bound) == TEXT.encode()


def test_every_flipped_bit_is_seen() -> None:
    """Each bit of the octets, one after the other."""
    head, _, body = VAULT.seal(TEXT, HERE).rpartition(".")
    octets = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))

    for bit in range(len(octets) * 8):
        changed = bytearray(octets)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        assert why(VAULT, f"{head}.{text}") is Why.CHANGED, bit


@pytest.mark.parametrize(
    "where",
    [
        Where("accounts", "summer/O1", "email"),
        Where("contacts", "summer/O2", "email"),
        Where("contacts", "summer/O1", "name"),
        Where("contacts", "summer", "O1/email"),
    ],
)
def test_an_envelope_opens_in_its_own_place_only(where: Where) -> None:
    """Another table, another row, another column, and the same letters cut elsewhere."""
    assert why(VAULT, VAULT.seal(TEXT, HERE), where) is Why.CHANGED


def test_without_the_place_a_value_could_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: an envelope bound to nothing shows one buyer another's address."""
    monkeypatch.setattr(sealing, "_bound", lambda *_: b"")

    assert why(VAULT, VAULT.seal(TEXT, HERE), Where("contacts", "summer/O2", "email")) is None


def test_another_key_opens_nothing() -> None:
    """One that is missing is told as missing; one that has the same name is not."""
    sealed = VAULT.seal(TEXT, HERE)

    assert why(Vault("p2", {"p2": b"2" * 32}, b"i" * 32), sealed) is Why.KEY
    assert why(replace(VAULT, keys={"p1": b"2" * 32}), sealed) is Why.CHANGED
    # Named as another key's, although it is there: the name is bound as well.
    both = Vault("p1", {"p1": b"1" * 32, "p2": b"1" * 32}, b"i" * 32)
    assert why(both, sealed.replace(".p1.", ".p2.")) is Why.CHANGED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Why.MALFORMED),
        (TEXT, Why.MALFORMED),
        ("v1", Why.MALFORMED),
        ("v1.", Why.MALFORMED),
        ("v1..", Why.MALFORMED),
        ("v1.p1", Why.MALFORMED),
        ("v1.p1.", Why.MALFORMED),
        ("v1.p1.AAAA", Why.MALFORMED),
        ("v1.p1.#", Why.MALFORMED),
        ("v2.p1.AAAA", Why.VERSION),
        ("v1.p9.AAAA", Why.KEY),
    ],
)
def test_what_is_no_envelope_is_told(text: str, reason: Why) -> None:
    """Nothing, plain text, cut off at each part, a later version, a key that nobody has."""
    assert why(VAULT, text) is reason


def test_a_cut_envelope_never_opens() -> None:
    """At every length."""
    sealed = VAULT.seal(TEXT, HERE)

    assert all(why(VAULT, sealed[:length]) is not None for length in range(len(sealed)))
    assert why(VAULT, sealed + "A") is not None


def test_the_index_tells_only_whether_two_are_the_same() -> None:
    """By its own key and its kind; it is no hash that anybody can make."""
    index = VAULT.index("email", TEXT)

    assert index == VAULT.index("email", TEXT)
    assert index != VAULT.index("name", TEXT)
    assert index != VAULT.index("email", "bob@example.org")
    assert index != replace(VAULT, index_key=b"j" * 32).index("email", TEXT)
    assert VAULT.index("a", "bc") != VAULT.index("ab", "c")


def test_no_key_shows_in_what_is_printed() -> None:
    """A vault that gets into a log line tells nothing."""
    assert "1111" not in repr(VAULT)
    assert "iiii" not in repr(VAULT)
