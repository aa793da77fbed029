"""The page's law: what a fan reads in a document, and when it asks again."""

import json
from dataclasses import replace
from hashlib import sha256

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.crowd.law import Document, Draw, Library, is_called, is_signed, poll_s, read_document, read_keys
from tests.gateway.crowd.naive_room import KEY, NaiveRoom, _jwk
from waitroom.draw import Shuffle

_, _, RAW = NaiveRoom(lambda: 1.0).handle("GET", "/.waitroom/r/main/status", b"")
DOCUMENT = read_document(RAW, {})
SERVING = {"verified": 500, "standard": 400, "suspect": 100}
MOVING = replace(
    DOCUMENT, serving=SERVING, speed_per_minute=dict.fromkeys(SERVING, 60.0), issued=90_000, poll_cap_s=90.0
)


def test_a_document_of_the_room_is_signed() -> None:
    """The signature covers the text without its last member."""
    keys = {"k1": KEY.public_key()}

    assert is_signed(RAW, keys)
    assert not is_signed(RAW.replace(b'"issued":0', b'"issued":9'), keys)
    assert not is_signed(RAW, {"k1": ec.generate_private_key(ec.SECP256R1()).public_key()})
    assert not is_signed(RAW, {"k2": KEY.public_key()})
    assert not is_signed(b"{}", keys)
    assert not is_signed(RAW[:-10] + b'"}', keys)


def test_a_text_that_is_no_document_is_refused() -> None:
    """Whatever is wrong with it, it is one kind of error."""
    for raw in (b"", b"null", b"[]", b"{}", RAW.replace(b'"epoch"', b'"epic"'), b"\xff"):
        with pytest.raises(ValueError, match="not a status document"):
            read_document(raw, {})


def test_keys_are_read_from_a_key_set() -> None:
    """P-256 keys by their ids; others are left out."""
    other = json.loads(
        jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key())
    )
    raw = json.dumps({"keys": [_jwk(), other | {"kid": "k9"}, {"kty": "oct", "kid": "k8"}]}).encode()

    assert list(read_keys(raw)) == ["k1"]
    with pytest.raises(ValueError, match="not a key set"):
        read_keys(b"[]")


def test_the_same_bytes_are_read_once() -> None:
    """A library gives the same object, and remembers when it first saw it."""
    library = Library()

    first = library.document(RAW, 1.5)

    assert library.document(RAW, 9.0) is first
    assert library.seen == [(1.5, first)]


def test_a_number_is_a_rank_unless_there_is_a_draw() -> None:
    """First come, first served."""
    assert Library().rank(DOCUMENT, 17) == 17


def test_before_the_draw_there_is_no_rank() -> None:
    """Neither while gathering nor between freeze and seed; who comes after the freeze has one."""
    gathering = replace(DOCUMENT, draw=Draw(commitment="c0"))
    frozen = replace(DOCUMENT, draw=Draw(commitment="c0", frozen=10))

    assert Library().rank(gathering, 3) is None
    assert Library().rank(frozen, 3) is None
    assert Library().rank(frozen, 10) == 10


def test_the_draw_shuffles_those_who_gathered_and_void_holders_head_the_late() -> None:
    """The permutation of the draw; numbers from the frozen count on keep their own."""
    seed = sha256(b"a seed").digest()
    drawn = replace(DOCUMENT, draw=Draw(commitment="c0", frozen=40, seed=seed.hex()), void=((5, 8),))
    library = Library()

    assert [library.rank(drawn, number) for number in (0, 1, 39)] == [
        Shuffle(seed, 40).rank(number) for number in (0, 1, 39)
    ]
    assert library.rank(drawn, 6) == 40
    assert library.rank(drawn, 41) == 41


@pytest.mark.parametrize(("rank", "lane", "called"), [(399, "standard", True), (400, "standard", False),
                                                     (400, "verified", True), (100, "suspect", False)])  # fmt: skip
def test_a_rank_below_the_threshold_of_its_lane_is_called(rank: int, lane: str, called: bool) -> None:
    """Half-open: the threshold itself is not called."""
    assert is_called(MOVING, rank, lane) is called


def test_nobody_is_called_before_the_start_or_without_a_rank() -> None:
    """A gathering room calls nobody."""
    assert not is_called(replace(MOVING, phase="gathering"), 3, "standard")
    assert not is_called(MOVING, None, "standard")


@pytest.mark.parametrize(
    ("document", "rank", "expected_s"),
    [
        (MOVING, 410, 2.0),  # ten seconds: the floor
        (MOVING, 400 + 600, 30.0),  # ten minutes: a twentieth
        (MOVING, 400 + 60_000, 90.0),  # hours: the cap
        (replace(MOVING, poll_cap_s=900.0), 400 + 6000, 300.0),
        (replace(MOVING, paused=True), 1000, 10.0),
        (replace(MOVING, speed_per_minute=dict.fromkeys(SERVING, 0.0), plan_per_minute=120), 1000, 15.0),
        (replace(MOVING, speed_per_minute=dict.fromkeys(SERVING, 0.0), plan_per_minute=0), 1000, 10.0),
        (replace(MOVING, phase="gathering", starts_ms=1_600_000), None, 30.0),
        (replace(MOVING, phase="gathering", starts_ms=1_020_000), None, 18.0),  # 90,000 fans at one moment
        (replace(MOVING, phase="gathering", starts_ms=None, issued=10), None, 10.0),
    ],
)  # fmt: skip
def test_a_fan_asks_again_after_a_twentieth_of_the_wait(
    document: Document, rank: int | None, expected_s: float
) -> None:
    """Within 2 s and the cap, spread by the jitter."""
    assert poll_s(document, rank, "standard", 1_000_000, 1.0) == pytest.approx(expected_s)
    assert poll_s(document, rank, "standard", 1_000_000, 0.8) == pytest.approx(0.8 * expected_s)
