"""The page in place: where its status puts somebody off, it says until when."""

import pytest

from tests.gateway.serving import Origin, gate_before
from tests.gateway.test_gate import NAVIGATION, ask


@pytest.mark.parametrize("code", [202, 429])
async def test_a_page_that_puts_off_says_until_when(code: int) -> None:
    """A monitor or a crawler reads the status alone: 202 and 429 carry Retry-After."""
    async with gate_before(Origin(), status_code=code, retry_after_s=7) as door:
        status, headers, _ = await ask(door, headers=NAVIGATION)

    assert (status, headers["retry-after"]) == (code, "7")


async def test_the_page_is_asked_for_as_the_browser_likes_it() -> None:
    """Language and coding reach the page, and what it says of them (Vary) reaches the browser; nothing is cached."""
    likes = {"Accept-Language": "de-AT, en;q=0.5", "Accept-Encoding": "gzip"}
    async with gate_before(Origin()) as door:
        _, headers, _ = await ask(door, headers={**NAVIGATION, **likes})

    assert headers["content-language"] == "de-AT, en;q=0.5"
    assert headers["vary"] == "gzip"
    assert headers["cache-control"] == "private, no-store"


async def test_a_page_that_is_just_a_page_says_nothing_of_later() -> None:
    """A 200 is an answer, not a refusal."""
    async with gate_before(Origin(), status_code=200) as door:
        status, headers, _ = await ask(door, headers=NAVIGATION)

    assert status == 200
    assert "retry-after" not in headers
