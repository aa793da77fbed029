"""Problems: every failure has one form, a stable code, and nothing internal in it."""

import json
import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.problems import handlers, problem_body, raw_problem

FAILURES: dict[str, Exception] = {
    "refused": Refused("room-full", "The room is full.", 429, retry_after_s=30, room="main"),
    "away": Unavailable("store-away", "Please try again.", retry_after_s=3),
    "teapot": HTTPException(418),
    "login": HTTPException(401, headers={"WWW-Authenticate": "Bearer"}),
    "odd": HTTPException(499),
    "bug": RuntimeError("password=hunter2"),
    "setup": Misconfigured(["WAITROOM_X: must be set."]),
}


async def fail(request: Request) -> Response:
    """Raise what the path names."""
    raise FAILURES[request.path_params["kind"]]


async def ask(path: str, method: str = "GET") -> httpx.Response:
    """Ask an application that only fails."""
    app = Starlette(routes=[Route("/{kind}", fail)], exception_handlers=handlers())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


async def test_a_refusal_tells_code_text_and_when_to_come_back() -> None:
    """The members of RFC 9457, the failure's own members, and Retry-After."""
    answer = await ask("/refused")

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "30"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "https://waitroom.dev/problems/room-full",
        "title": "Room full",
        "status": 429,
        "detail": "The room is full.",
        "code": "room-full",
        "room": "main",
        "retry_after_s": 30,
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/away", 503, "store-away"),
        ("/teapot", 418, "im-a-teapot"),
        ("/login", 401, "unauthorized"),
        ("/odd", 499, "status-499"),
        ("/no/such/route", 404, "not-found"),
        ("/bug", 500, "internal"),
        ("/setup", 500, "internal"),
    ],
)
async def test_every_failure_has_the_same_form(path: str, status: int, code: str) -> None:
    """Also those of the framework and those that nobody foresaw."""
    answer = await ask(path)

    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_headers_that_belong_to_the_failure_stay() -> None:
    """A 405 says what is allowed, a 401 how to log in."""
    assert set((await ask("/refused", "POST")).headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert (await ask("/login")).headers["www-authenticate"] == "Bearer"
    assert (await ask("/away")).headers["retry-after"] == "3"


async def test_an_unforeseen_failure_tells_only_a_reference_that_the_log_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An operator finds it by what a fan reads out."""
    with caplog.at_level(logging.ERROR, logger="kernel.problems"):
        answer = await ask("/bug")

    record = next(record for record in caplog.records if record.name == "kernel.problems")
    assert answer.json()["reference"] == vars(record)["reference"]
    assert record.exc_info is not None
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


def test_raw_asgi_gets_the_same() -> None:
    """Status, headers in bytes, body."""
    status, headers, body = raw_problem(FAILURES["refused"])

    assert status == 429
    assert dict(headers) == {
        b"content-type": b"application/problem+json",
        b"cache-control": b"no-store",
        b"retry-after": b"30",
    }
    assert json.loads(body)["code"] == "room-full"


def test_own_members_cannot_displace_the_standard_ones() -> None:
    """`type` and the others are the API."""
    extra = {"type": "x", "title": "x", "detail": "x", "ahead": 3}

    body = json.loads(problem_body(409, "room-not-open", "Not yet.", **extra))

    assert body["type"] == "https://waitroom.dev/problems/room-not-open"
    assert (body["title"], body["detail"], body["ahead"]) == ("Room not open", "Not yet.", 3)


def test_a_misconfiguration_tells_all_its_faults_to_the_operator_and_none_to_the_public() -> None:
    """One sentence or many; a plain text is one."""
    error = Misconfigured(["first.", "second."])

    assert str(error) == "first.\nsecond."
    assert "first" not in error.public
    assert Misconfigured("only one.").faults == ("only one.",)
