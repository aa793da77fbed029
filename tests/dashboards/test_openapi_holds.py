"""The API keeps what its description promises: schemathesis asks a real one, on a real store.

No 5xx, only statuses, content types, headers and bodies that are described, no answer without a token, 405 with Allow
for other methods, and no request that breaks a schema is accepted. The same questions in every run; with
``HYPOTHESIS_PROFILE=dev`` others. Not asked: whether everything that fits a schema is accepted. Rules between
fields (sales that overlap) cannot be said in one, and are answered with 422.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from starlette.routing import BaseRoute

from dashboards.access_books import AccessBooks
from dashboards.api_table import OPERATIONS
from dashboards.openapi import document
from dashboards.wait_book import api_attempts
from gateway.accounts import session_route
from kernel.asgi import respond
from kernel.clock import ManualClock
from tests.dashboards.desk import app_of, program
from tests.dashboards.people import books_of
from tests.dashboards.wired import ROOM, TOKEN, running

LARGE = [
    f"{one.method} {one.path}" for one in OPERATIONS if one.asks.startswith(("New", "Room", "Sale", "Added"))
]
"""Their documents have so many fields that every edge of each takes minutes; they are asked at random only."""

CONFIG = f"""
[parameters]
"path.room" = "main"
"path.sale" = "spring"
"header.If-Match" = "*"

[checks]
positive_data_acceptance.enabled = false
missing_required_header.expected-statuses = ["428"]
negative_data_rejection.expected-statuses = ["4xx"]

[[operations]]
include-name = {json.dumps(LARGE)}
phases.coverage.enabled = false
"""


def asked(url: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Let schemathesis ask the application at `url`; its files stay in `folder`."""
    (folder / "openapi.json").write_text(json.dumps(document()))
    (folder / "config.toml").write_text(CONFIG)
    same = [] if os.environ.get("HYPOTHESIS_PROFILE") == "dev" else ["--generation-deterministic"]
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml", "run", "openapi.json", "--url", url,
        "--header", f"Authorization: Bearer {TOKEN}", "--no-color", "--continue-on-failure", *same, *words,
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def url(store_url: str, tmp_path: Path, store: object) -> Iterator[str]:
    """Serve the operator's application as it is wired, on an empty store."""
    del store
    with running(store_url, tmp_path / "data", kept=True) as address:
        yield address


@pytest.mark.slow
def test_every_edge_of_the_small_documents_is_answered_as_described(url: str, tmp_path: Path) -> None:
    """Each parameter at, below and above its limits, missing, of another type; other methods; no token."""
    answer = asked(url, tmp_path, "--phases", "coverage")

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.slow
def test_whatever_is_asked_is_answered_as_described(url: str, tmp_path: Path) -> None:
    """Documents that fit and documents that do not, of every operation."""
    answer = asked(url, tmp_path, "--phases", "fuzzing", "--max-examples", "8")

    assert answer.returncode == 0, answer.stdout + answer.stderr


class Altered:
    """A mutant: answers of one address come out otherwise."""

    def __init__(self, app: Any, alter: Callable[[int, dict[str, Any]], tuple[int, dict[str, Any]]]) -> None:
        """Stand before `app`."""
        self._app = app
        self._alter = alter

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, and alter what is answered."""
        if scope["type"] != "http" or not scope["path"].endswith("/changes"):
            await self._app(scope, receive, send)
            return
        kept: list[Any] = []

        async def keep(message: Any) -> None:
            kept.append(message)

        await self._app(scope, receive, keep)
        body = json.loads(b"".join(message.get("body", b"") for message in kept))
        status, body = self._alter(kept[0]["status"], body)
        headers = [(name, value) for name, value in kept[0]["headers"] if name != b"content-length"]
        await respond(send, status, headers, json.dumps(body).encode())


class Open:
    """A mutant: no token is needed."""

    def __init__(self, app: Any) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Show the token in everybody's name."""
        headers = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        token = (b"authorization", f"Bearer {TOKEN}".encode())
        await self._app({**scope, "headers": [*headers, token]}, receive, send)


MUTANTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "schema": (
        lambda app: Altered(app, lambda status, body: (status, body | {"changes": 7})),
        "Response violates schema",
    ),
    "status": (
        lambda app: Altered(app, lambda status, body: (203 if status == 200 else status, body)),
        "Undocumented status code",
    ),
    "server-error": (
        lambda app: Altered(app, lambda status, body: (500 if status == 200 else status, body)),
        "Server error",
    ),
    "open": (Open, "API accepts requests without authentication"),
}


@pytest.mark.parametrize(("mutant", "found"), MUTANTS.values(), ids=MUTANTS)
def test_an_answer_outside_the_description_is_found(
    mutant: Callable[[Any], Any], found: str, store_url: str, store: object, tmp_path: Path
) -> None:
    """The mutants: another type in a body, another status, a fault of ours, a door without a lock."""
    del store
    with running(store_url, tmp_path / "data", mutant, kept=True) as url:
        only = ("--include-name", "GET /api/rooms/{room}/changes")
        answer = asked(url, tmp_path, "--phases", "fuzzing", "--max-examples", "3", *only)

    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert found in answer.stdout


class Ended:
    """Sessions that end, and one that is renewed: an admission service's answers without a line."""

    async def act(
        self, scope: Any, _receive: Any, send: Any, path: tuple[str, str, str], *, is_allowed: bool
    ) -> None:
        """Answer as ``SessionsWeb`` does where all is well."""
        del scope, is_allowed
        body: dict[str, Any] = {"outcome": "ended", "sid": path[1], "until_ms": 1}
        if path[2] == "renew":
            body = {"outcome": "renewed", "sid": path[1], "admission": "a.b.c", "expires_ms": 1}
        await respond(send, 200, [(b"content-type", b"application/json")], json.dumps(body).encode())


async def test_good_answers_that_take_a_line_are_as_described(
    store: Any, clock: ManualClock, tmp_path: Path
) -> None:
    """A key that is let go, sessions that end: there is nobody in the line of the other tests."""

    async def let_go(_room: str, _number: int, _who: str, _why: str) -> str:
        return "run1"

    described = schemathesis.openapi.from_dict(document())
    with books_of(tmp_path, clock) as books:
        await _good_answers(store, clock, let_go, books, described)


async def _good_answers(
    store: Any, clock: ManualClock, let_go: Any, books: AccessBooks, described: Any
) -> None:
    routes: list[BaseRoute] = [session_route(Ended(), books, api_attempts(), (), clock)]  # type: ignore[arg-type]
    async with program(app_of(store, clock, let_go=let_go, extra_routes=routes)) as api:
        await api.post("/api/rooms", json=ROOM)
        for path, words in (
            ("/api/rooms/{room}/release", {"json": {"arrived": 3}}),
            ("/api/rooms/{room}/sessions/{sid}/{act}", {}),
            ("/api/rooms/{room}/status", {}),
        ):
            method = "GET" if path.endswith("status") else "POST"
            for act in ("finish", "renew"):
                answer = await api.request(method, path.format(room="main", sid="abc", act=act), **words)
                assert answer.status_code == 200
                described[path][method].validate_response(answer)


async def test_another_method_is_refused_where_an_address_has_a_route_of_its_own(
    store: Any, clock: ManualClock, tmp_path: Path
) -> None:
    """405 with Allow, and not 404 from what answers for all of /api."""

    async def let_go(_room: str, _number: int, _who: str, _why: str) -> str:
        return ""

    with books_of(tmp_path, clock) as books:
        await _refused(store, clock, let_go, books)


async def _refused(store: Any, clock: ManualClock, let_go: Any, books: AccessBooks) -> None:
    routes: list[BaseRoute] = [session_route(Ended(), books, api_attempts(), (), clock)]  # type: ignore[arg-type]
    async with program(app_of(store, clock, let_go=let_go, extra_routes=routes)) as api:
        for path in ("stock", "release", "sessions/abc/finish"):
            answer: httpx.Response = await api.delete(f"/api/rooms/main/{path}")
            assert (answer.status_code, answer.headers["allow"], answer.json()["code"]) == (
                405, "POST", "method-not-allowed",
            )  # fmt: skip


async def test_the_description_is_served_to_whoever_has_a_token(store: Any, clock: ManualClock) -> None:
    """As JSON, the same document as the file; to nobody else, and it cannot be changed."""
    async with program(app_of(store, clock)) as api:
        answer = await api.get("/api/openapi.json")
        assert (answer.headers["content-type"], answer.json()) == ("application/json", document())
        assert (await api.put("/api/openapi.json", json={})).status_code == 405
        for headers, code in (
            ({"authorization": ""}, "token-missing"),
            ({"authorization": "Bearer x"}, "token-invalid"),
        ):
            refused = await api.get("/api/openapi.json", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, code)
