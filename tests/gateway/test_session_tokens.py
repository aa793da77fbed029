"""Sessions of backends by a token that an owner has made: an operator of the room may, others may not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from admission.service import Admission
from admission.web import SessionsWeb
from dashboards import wait_book
from dashboards.access_books import AccessBooks
from dashboards.rights import Role
from dashboards.wait_book import api_attempts
from gateway.accounts import session_route
from kernel.clock import ManualClock
from tests.dashboards.people import BY, books_of

BACKEND = "throwaway-backend-token"
ADDRESS = "/api/rooms/main/sessions/{}/finish"
SID = "x"


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """Give the books of a fresh installation."""
    with books_of(tmp_path, clock) as made:
        yield made


def app_of(books: AccessBooks) -> Starlette:
    """Make the address alone."""
    sessions = SessionsWeb(cast("Admission", None), lambda: (BACKEND,))
    return Starlette(routes=[session_route(sessions, books, api_attempts(), (), ManualClock(1_000))])


async def asked(
    books: AccessBooks, authorization: str | None, app: Starlette | None = None, address: str = "192.0.2.1"
) -> tuple[int, Any]:
    """Ask to end a session whose id cannot be one: whoever gets as far as that was let in."""
    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app or app_of(books), client=(address, 40_000)),
        base_url="http://control.test",
    ) as client:
        answer = await client.post(ADDRESS.format(SID), headers=headers)
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("role", "rooms", "answer"),
    [
        (Role.OPERATOR, None, (404, "session-unknown")),
        (Role.OWNER, frozenset({"main"}), (404, "session-unknown")),
        (Role.VIEWER, None, (403, "not-allowed")),
        (Role.OWNER, frozenset({"late"}), (403, "not-allowed")),
    ],
)
async def test_a_token_acts_on_sessions_within_its_rights(
    books: AccessBooks, role: Role, rooms: frozenset[str] | None, answer: tuple[int, str]
) -> None:
    """As an operator of the room."""
    _, token = books.tokens.add("shop", role, rooms, 1, by=BY)

    assert await asked(books, f"Bearer {token}") == answer
    assert await asked(books, f"bearer  {token} ") == answer
    assert await asked(books, f"Basic {token}") == (401, "token-missing")
    books.tokens.remove("shop", by=BY)
    assert await asked(books, f"Bearer {token}") == (403, "token-wrong")


@pytest.mark.parametrize(
    ("authorization", "answer"),
    [
        (None, (401, "token-missing")),
        ("", (401, "token-missing")),
        ("Bearer", (401, "token-missing")),
        ("Bearer wrt_x", (403, "token-wrong")),
        (f"Bearer {BACKEND}x", (403, "token-wrong")),
        (f"Bearer {BACKEND}", (404, "session-unknown")),
    ],
)
async def test_a_backends_own_token_counts_as_before(
    books: AccessBooks, authorization: str | None, answer: tuple[int, str]
) -> None:
    """And what is none does not."""
    assert await asked(books, authorization) == answer


async def guessed(books: AccessBooks) -> list[tuple[int, Any]]:
    """Guess thirty times at once, then show the right token, and show it from elsewhere."""
    app = app_of(books)
    answers = await asyncio.gather(*(asked(books, f"Bearer guess-{index}", app) for index in range(30)))
    right = f"Bearer {BACKEND}"
    return [*sorted(answers), await asked(books, right, app), await asked(books, right, app, "192.0.2.9")]


async def test_guessing_at_sessions_is_slowed_down_as_everywhere(books: AccessBooks) -> None:
    """The operator token counts here, too: without a bound this would be the place to guess it."""
    wrong, waits, let_in = (403, "token-wrong"), (429, "too-many-attempts"), (404, "session-unknown")
    assert await guessed(books) == [wrong] * 20 + [waits] * 10 + [waits, let_in]


async def test_guesses_without_a_bound_are_noticed(
    books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: failures are not counted."""
    monkeypatch.setattr(wait_book, "API_FREE_FAILURES", 1_000)
    wrong, let_in = (403, "token-wrong"), (404, "session-unknown")
    assert await guessed(books) == [wrong] * 30 + [let_in, let_in]
