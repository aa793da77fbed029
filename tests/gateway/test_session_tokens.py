"""Sessions of backends by a token that an owner has made: an operator of the room may, others may not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from admission.service import Admission
from admission.web import SessionsWeb
from dashboards.access_books import AccessBooks
from dashboards.rights import Role
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


async def asked(books: AccessBooks, authorization: str | None) -> tuple[int, Any]:
    """Ask to end a session whose id cannot be one: whoever gets as far as that was let in."""
    sessions = SessionsWeb(cast("Admission", None), lambda: (BACKEND,))
    app = Starlette(routes=[session_route(sessions, books)])
    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://control.test"
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
