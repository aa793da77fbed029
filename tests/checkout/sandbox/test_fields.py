"""The sandbox's card fields: script, frame for who has the key, and nothing into which a card could be typed."""

import re

import pytest

from checkout.sandbox.fields import FRAME, FRAME_SCRIPT, OUTCOMES, SCRIPT, answer
from checkout.sandbox.methods import METHODS

KEY = "pk_test_1"


def test_script_and_frame_are_served_to_browsers() -> None:
    """As scripts and a page, never kept, under a policy that lets the frame load its own script alone."""
    for path in (SCRIPT, FRAME_SCRIPT):
        status, headers, body = answer(path, b"", KEY)
        assert status == 200
        assert dict(headers)[b"content-type"].startswith(b"text/javascript")
        assert body
    status, headers, body = answer(FRAME, b"key=pk_test_1", KEY)
    policy = dict(headers)[b"content-security-policy"]

    assert status == 200
    assert b"script-src 'self'" in policy
    assert b"unsafe" not in policy
    assert set(re.findall(rb"<(input|textarea)", body)) == set()


@pytest.mark.parametrize(
    ("query", "key"), [(b"", KEY), (b"key=pk_test_2", KEY), (b"key=", ""), (b"", ""), (b"key=%ff", KEY)]
)
def test_without_the_key_nothing_is_offered(query: bytes, key: str) -> None:
    """Neither to who has another account's, nor where there is none."""
    status, _, body = answer(FRAME, query, key)

    assert status == 403
    assert b"<select" not in body


def test_every_outcome_is_one_that_the_api_knows() -> None:
    """Each token is a method; no two read the same."""
    assert {token for token, _ in OUTCOMES} <= METHODS.keys()
    assert len({words for _, words in OUTCOMES}) == len(OUTCOMES)
