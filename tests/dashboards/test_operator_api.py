"""Operator API: documents, versions, two operators at once, and an answer to every bad request."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboards import operator_api
from dashboards.app import create_app
from dashboards.ports import Deps
from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from kernel.lua import load
from kernel.signing import Signer
from tests.dashboards.desk import FIGURES, MAIN, TOKEN, Counted, app_of, client_of, program
from tests.dashboards.people import books_of
from waitroom.configure import Actor, Configurations
from waitroom.configure_store import _LUA
from waitroom.field_readers import moment_text
from waitroom.rooms import Room

MINUTE = 60_000


def sale_at(now_ms: int, **more: Any) -> dict[str, Any]:
    """Return a sale that gathers in an hour."""
    return {
        "name": "spring",
        "prequeue_start_time": moment_text(now_ms + 60 * MINUTE),
        "event_start_time": moment_text(now_ms + 70 * MINUTE),
        "event_end_time": moment_text(now_ms + 90 * MINUTE),
        **more,
    }


async def test_a_room_lives_and_ends_by_its_documents(store: Redis, clock: ManualClock) -> None:
    """Make, read, replace, patch, remove; the version is the ETag, and what is read can be written back."""
    async with program(app_of(store, clock)) as api:
        made = await api.post("/api/rooms", json=MAIN)
        assert (made.status_code, made.headers["location"], made.headers["etag"]) == (
            201,
            "/api/rooms/main",
            '"1"',
        )
        assert made.headers["cache-control"] == "no-store"

        read = await api.get("/api/rooms/main")
        assert read.json() == made.json()
        assert read.json()["version"] == 1
        assert (await api.get("/api/rooms/main", headers={"if-none-match": '"1"'})).status_code == 304
        assert (await api.head("/api/rooms/main")).status_code == 200

        document = read.json() | {"session_duration": 9}
        put = await api.put("/api/rooms/main", json=document, headers={"if-match": '"1"'})
        assert (put.status_code, put.headers["etag"], put.json()["session_duration"]) == (200, '"2"', 9)

        patched = await api.patch(
            "/api/rooms/main",
            content=b'{"session_duration":null,"queue_all":true}',
            headers={"if-match": '"2"', "content-type": "application/merge-patch+json"},
        )
        assert (patched.json()["session_duration"], patched.json()["queue_all"]) == (5, True)
        assert [room["name"] for room in (await api.get("/api/rooms")).json()["rooms"]] == ["main"]

        assert (await api.delete("/api/rooms/main", headers={"if-match": '"3"'})).status_code == 204
        assert (await api.get("/api/rooms/main")).status_code == 404
        assert (await api.get("/api/rooms")).json() == {"rooms": []}


async def test_put_makes_a_room_only_when_told_that_there_is_none(store: Redis, clock: ManualClock) -> None:
    """``If-None-Match: *`` makes the same call safe to repeat."""
    async with program(app_of(store, clock)) as api:
        anew = {"if-none-match": "*"}

        assert (
            await api.put("/api/rooms/main", json={"origin": MAIN["origin"]}, headers=anew)
        ).status_code == 201
        again = await api.put("/api/rooms/main", json=MAIN, headers=anew)
        assert (again.status_code, again.json()["current"]["version"]) == (412, 1)
        other = await api.put("/api/rooms/two", json=MAIN, headers=anew)
        assert (other.status_code, other.json()["code"]) == (422, "name-differs")


async def test_a_sale_lives_and_ends_by_its_documents(store: Redis, clock: ManualClock) -> None:
    """Sales carry their room's version; the details fill in what is inherited."""
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json=MAIN)
        base = "/api/rooms/main/sales"

        made = await api.post(base, json=sale_at(clock.now_ms()))
        assert (made.status_code, made.headers["location"], made.headers["etag"]) == (
            201,
            f"{base}/spring",
            '"2"',
        )
        assert (await api.get(f"{base}/spring")).json() == made.json()
        assert made.json()["session_duration"] is None
        details = (await api.get(f"{base}/spring/details")).json()
        assert (details["session_duration"], details["queueing_method"]) == (5, "fifo")

        patch = {"session_duration": 7, "total_active_users": 5, "new_users_per_minute": 5}
        patched = await api.patch(f"{base}/spring", json=patch, headers={"if-match": '"2"'})
        assert (patched.status_code, patched.headers["etag"]) == (200, '"3"')
        assert (await api.get(f"{base}/spring/details")).json()["session_duration"] == 7
        assert (await api.get("/api/rooms/main")).json()["sales"] == [patched.json()]

        put = await api.put(f"{base}/spring", json=sale_at(clock.now_ms()), headers={"if-match": '"3"'})
        assert (put.status_code, put.json()["session_duration"]) == (200, None)
        assert len((await api.get(base)).json()["sales"]) == 1
        gone = await api.delete(f"{base}/spring", headers={"if-match": '"4"'})
        assert (gone.status_code, gone.headers["etag"]) == (204, '"5"')
        assert (await api.get(f"{base}/spring")).status_code == 404


async def two_at_once(store: Redis, clock: ManualClock, rooms: Configurations) -> list[int]:
    """Let two operators who read the same version write at the same moment; return their statuses."""
    deps = Deps(rooms, Counted(), TOKEN, Signer([("k1", b"0" * 32)], "operator"), clock)
    async with program(create_app(deps)) as api:
        made = await api.post("/api/rooms", json=MAIN)
        seen = {"if-match": made.headers["etag"]}
        answers = await asyncio.gather(
            api.patch("/api/rooms/main", json={"new_users_per_minute": 10}, headers=seen),
            api.patch("/api/rooms/main", json={"new_users_per_minute": 20}, headers=seen),
        )
        for answer in answers:
            if answer.status_code == 412:
                current = (await api.get("/api/rooms/main")).json()
                assert (answer.json()["code"], answer.json()["current"]) == ("settings-stale", current)
    return sorted(answer.status_code for answer in answers)


async def test_of_two_operators_at_once_one_is_refused_with_the_current_document(
    store: Redis, clock: ManualClock
) -> None:
    """Nobody overwrites what they have not seen."""
    assert await two_at_once(store, clock, Configurations(store, clock)) == [200, 412]


async def test_without_the_comparison_in_the_store_both_are_accepted(
    store: Redis, clock: ManualClock
) -> None:
    """The mutant: the test above fails when the script does not compare."""
    blind = load(_LUA / "configure.lua").mutated("live ~= expected", "false")

    assert await two_at_once(store, clock, Configurations(store, clock, blind)) == [200, 200]


async def test_a_room_removed_while_it_was_changed_is_unknown(store: Redis, clock: ManualClock) -> None:
    """Somebody removes it between the reading and the writing of somebody else."""
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, Actor("ann"))

    class Slow(Configurations):
        """Settings that are removed by another at the worst moment."""

        async def list(self) -> list[Room]:
            await rooms.delete("main", None, Actor("bob"))
            return []

    deps = Deps(Slow(store, clock), Counted(), TOKEN, Signer([("k1", b"0" * 32)], "operator"), clock)
    async with program(create_app(deps)) as api:
        answer = await api.patch("/api/rooms/main", json={"path": "/x"}, headers={"if-match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (404, "room-unknown")


async def test_who_and_why_are_kept_with_the_change(store: Redis, clock: ManualClock) -> None:
    """The headers say it, percent-encoded where letters need it; control characters vanish."""
    async with program(app_of(store, clock)) as api:
        said = {"waitroom-who": "J%C3%BCrgen%0A", "waitroom-why": "the start"}
        await api.post("/api/rooms", json=MAIN, headers=said)
        await api.patch("/api/rooms/main", json={"paused": True}, headers={"if-match": "*"})

        changes = (await api.get("/api/rooms/main/changes")).json()["changes"]

    assert [(change["who"], change["why"]) for change in changes] == [("api", ""), ("Jürgen", "the start")]
    assert changes[0]["what"] == [["paused", "false", "true"]]


async def test_a_sale_under_way_cannot_be_taken_from_its_people(store: Redis, clock: ManualClock) -> None:
    """The answer says what to do instead."""
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json={**MAIN, "sales": [sale_at(clock.now_ms())]})
        clock.advance(60 * MINUTE)

        answer = await api.delete("/api/rooms/main/sales/spring", headers={"if-match": "*"})

    assert (answer.status_code, answer.json()["code"]) == (409, "sale-under-way")
    assert "event_end_time" in answer.json()["detail"]


STATUSES: list[tuple[dict[str, Any], dict[str, object], int, str, str]] = [
    ({}, {"waiting": 0}, 0, "not_queueing", ""),
    ({}, {"waiting": 1}, 0, "queueing", ""),
    ({"queue_all": True}, {}, 0, "queueing", ""),
    ({"suspended": True}, {"waiting": 5}, 0, "suspended", ""),
    ({"sales": True}, {"waiting": 5}, 60 * MINUTE - 1, "queueing", ""),
    ({"sales": True}, {"waiting": 5}, 60 * MINUTE, "event_prequeueing", "spring"),
    ({"sales": True}, {"waiting": 0}, 70 * MINUTE, "not_queueing", "spring"),
]


@pytest.mark.parametrize(("settings", "figures", "later_ms", "word", "event"), STATUSES)
async def test_the_status_has_cloudflares_words(
    store: Redis,
    clock: ManualClock,
    settings: dict[str, Any],
    figures: dict[str, object],
    later_ms: int,
    word: str,
    event: str,
) -> None:
    """Whoever watched a room there watches it here."""
    if "sales" in settings:
        settings = {"sales": [sale_at(clock.now_ms())]}
    async with program(app_of(store, clock, Counted(figures))) as api:
        await api.post("/api/rooms", json={**MAIN, **settings})
        clock.advance(later_ms)

        status = (await api.get("/api/rooms/main/status")).json()

    assert (status["status"], status["event_id"]) == (word, event)


async def test_the_status_tells_the_numbers_and_the_switches(store: Redis, clock: ManualClock) -> None:
    """Cloudflare's members, ours, and whatever else is counted; what is unknown is 0."""
    counted = Counted({**FIGURES, "lanes": {"suspect": 3}, "max_estimated_time_minutes": None})
    async with program(app_of(store, clock, counted)) as api:
        await api.post("/api/rooms", json={**MAIN, "paused": True})
        status = (await api.get("/api/rooms/main/status")).json()
        counted.now = None
        away = await api.get("/api/rooms/main/status")

    assert status == {
        **FIGURES,
        "lanes": {"suspect": 3},
        "status": "queueing",
        "event_id": "",
        "estimated_queued_users": 1200,
        "estimated_total_active_users": 371,
        "max_estimated_time_minutes": 0,
        "phase": "serving",
        "paused": True,
        "bypass": False,
        "version": 1,
    }
    assert (away.status_code, away.json()["code"], away.headers["retry-after"]) == (503, "store-away", "2")


JSON = {"content-type": "application/json"}
ONE, SALES, SALE = "/api/rooms/main", "/api/rooms/main/sales", "/api/rooms/main/sales/spring"
BAD: list[tuple[str, str, dict[str, str], bytes, int, str]] = [
    ("GET", "/api/rooms/none", {}, b"", 404, "room-unknown"),
    ("GET", "/api/rooms/UPPER", {}, b"", 404, "room-unknown"),
    ("GET", "/api/rooms/a%7D:b", {}, b"", 404, "room-unknown"),
    ("GET", "/api/rooms/none/status", {}, b"", 404, "room-unknown"),
    ("GET", "/api/rooms/none/changes", {}, b"", 404, "room-unknown"),
    ("GET", "/api/rooms/none/sales", {}, b"", 404, "room-unknown"),
    ("GET", f"{SALES}/none", {}, b"", 404, "sale-unknown"),
    ("GET", f"{SALES}/none/details", {}, b"", 404, "sale-unknown"),
    ("GET", "/api/nothing", {}, b"", 404, "not-found"),
    ("POST", "/api/rooms", {}, b"{}", 415, "content-type-unknown"),
    ("POST", "/api/rooms", {"content-type": "text/plain"}, b"{}", 415, "content-type-unknown"),
    ("POST", "/api/rooms", JSON, b"", 400, "body-not-json"),
    ("POST", "/api/rooms", JSON, b"{", 400, "body-not-json"),
    ("POST", "/api/rooms", JSON, b"\xff\xfe", 400, "body-not-json"),
    ("POST", "/api/rooms", JSON, b'{"name":NaN}', 400, "body-not-json"),
    ("POST", "/api/rooms", JSON, b"[" * 100_000, 400, "body-not-json"),
    ("POST", "/api/rooms", JSON, b"[]", 400, "body-not-object"),
    ("POST", "/api/rooms", JSON, b"null", 400, "body-not-object"),
    ("POST", "/api/rooms", JSON, b" " * (2 * 1024 * 1024 + 1), 413, "body-too-large"),
    ("POST", "/api/rooms", JSON, b"{}", 422, "settings-invalid"),
    ("POST", "/api/rooms", JSON, b'{"name":"main","origin":"https://a.b"}', 409, "room-exists"),
    ("PUT", "/api/rooms", JSON, b"{}", 405, "method-not-allowed"),
    ("PUT", ONE, JSON, b"{}", 428, "if-match-missing"),
    ("PUT", ONE, {**JSON, "if-match": "1"}, b"{}", 400, "if-match-invalid"),
    ("PUT", ONE, {**JSON, "if-match": 'W/"1"'}, b"{}", 400, "if-match-invalid"),
    ("PUT", ONE, {**JSON, "if-match": '"1", "2"'}, b"{}", 400, "if-match-invalid"),
    ("PUT", ONE, {**JSON, "if-match": '"99999999999999999999"'}, b"{}", 400, "if-match-invalid"),
    ("PUT", ONE, {**JSON, "if-match": '"7"'}, b'{"origin":"https://a.b"}', 412, "settings-stale"),
    (
        "PUT",
        ONE,
        {**JSON, "if-match": '"2"'},
        b'{"name":"two","origin":"https://a.b"}',
        422,
        "settings-invalid",
    ),
    ("PUT", ONE, {"if-match": '"2"'}, b"{}", 415, "content-type-unknown"),
    ("PUT", "/api/rooms/none", {**JSON, "if-match": "*"}, b"{}", 404, "room-unknown"),
    ("PATCH", ONE, JSON, b"{}", 428, "if-match-missing"),
    ("PATCH", ONE, {**JSON, "if-match": '"7"'}, b"{}", 412, "settings-stale"),
    ("PATCH", ONE, {**JSON, "if-match": '"2"'}, b'{"pauesd":true}', 422, "settings-invalid"),
    ("PATCH", ONE, {**JSON, "if-match": '"2"'}, b'{"origin":null}', 422, "settings-invalid"),
    ("PATCH", ONE, {**JSON, "if-match": '"2"'}, b'"x"', 400, "body-not-object"),
    (
        "PATCH",
        ONE,
        {"content-type": "application/json-patch+json", "if-match": "*"},
        b"[]",
        415,
        "content-type-unknown",
    ),
    ("PATCH", "/api/rooms/none", {**JSON, "if-match": "*"}, b"{}", 404, "room-unknown"),
    ("DELETE", ONE, {}, b"", 428, "if-match-missing"),
    ("DELETE", ONE, {"if-match": '"7"'}, b"", 412, "settings-stale"),
    ("DELETE", "/api/rooms/none", {"if-match": "*"}, b"", 404, "room-unknown"),
    ("POST", f"{ONE}/status", JSON, b"{}", 405, "method-not-allowed"),
    ("POST", SALES, {}, b"{}", 415, "content-type-unknown"),
    ("POST", SALES, JSON, b"{}", 422, "settings-invalid"),
    ("POST", SALES, JSON, b'{"name":"spring"}', 409, "sale-exists"),
    ("POST", "/api/rooms/none/sales", JSON, b"{}", 404, "room-unknown"),
    ("PUT", SALE, JSON, b"{}", 428, "if-match-missing"),
    ("PUT", SALE, {**JSON, "if-match": '"7"'}, b"{}", 412, "settings-stale"),
    ("PUT", SALE, {**JSON, "if-match": '"2"'}, b"{}", 422, "settings-invalid"),
    ("PUT", SALE, {**JSON, "if-match": '"2"'}, b'{"name":"other"}', 422, "settings-invalid"),
    ("PUT", f"{SALES}/none", {**JSON, "if-match": "*"}, b"{}", 404, "sale-unknown"),
    ("PATCH", SALE, JSON, b"{}", 428, "if-match-missing"),
    ("PATCH", SALE, {**JSON, "if-match": '"1"'}, b"{}", 412, "settings-stale"),
    ("PATCH", SALE, {**JSON, "if-match": '"2"'}, b'{"new_users_per_minute":3}', 422, "settings-invalid"),
    ("PATCH", f"{SALES}/none", {**JSON, "if-match": "*"}, b"{}", 404, "sale-unknown"),
    ("DELETE", SALE, {}, b"", 428, "if-match-missing"),
    ("DELETE", SALE, {"if-match": '"7"'}, b"", 412, "settings-stale"),
    ("DELETE", f"{SALES}/none", {"if-match": "*"}, b"", 404, "sale-unknown"),
    ("PATCH", f"{SALE}/details", JSON, b"{}", 405, "method-not-allowed"),
]


async def test_every_bad_request_gets_a_clear_answer_and_changes_nothing(
    store: Redis, clock: ManualClock
) -> None:
    """A problem with the code and the right status for each endpoint's bad input; the settings stay."""
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json=MAIN)
        await api.post(SALES, json=sale_at(clock.now_ms()))
        before = (await api.get("/api/rooms")).json()

        for method, path, headers, body, status, code in BAD:
            answer = await api.request(method, path, headers=headers, content=body)
            asked = (method, path, headers, body[:40])
            assert (answer.status_code, answer.json()["code"]) == (status, code), asked
            assert answer.headers["content-type"] == "application/problem+json", asked
            if status == 412:
                assert answer.json()["current"]["version"] == 2, asked
            if status == 405:
                assert "GET" in answer.headers["allow"], asked

        assert (await api.get("/api/rooms")).json() == before


async def test_all_faults_of_a_document_are_listed(store: Redis, clock: ManualClock) -> None:
    """One answer, three faults."""
    async with program(app_of(store, clock)) as api:
        answer = await api.post("/api/rooms", json={"name": "main", "session_duration": 0, "pauesd": True})

    assert sorted(answer.json()["faults"]) == [
        "origin is missing",
        "pauesd is not known; did you mean paused?",
        "session_duration must be a whole number from 1 to 1440, not 0",
    ]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "token-missing"),
        ({"authorization": f"Bearer {TOKEN}x"}, "token-invalid"),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, "token-invalid"),
        ({"authorization": f"Basic {TOKEN}"}, "token-invalid"),
        ({"authorization": TOKEN}, "token-invalid"),
        ({"authorization": "Bearer "}, "token-invalid"),
        ({"cookie": f"token={TOKEN}"}, "token-missing"),
    ],
)
async def test_without_the_token_nothing_is_told(
    store: Redis, clock: ManualClock, headers: dict[str, str], code: str
) -> None:
    """Every address below /api answers 401 alike, whether it exists or not."""
    async with client_of(app_of(store, clock), **headers) as stranger:
        for path in ("/api/rooms", "/api/rooms/main", "/api/nothing"):
            answer = await stranger.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_guessing_tokens_is_slowed_down_for_that_address(store: Redis, clock: ManualClock) -> None:
    """After twenty wrong ones the address waits, and the right one from elsewhere passes."""
    app = app_of(store, clock)
    async with (
        program(app, "wrong-token-wrong-token") as guesser,
        program(app, address="192.0.2.9") as operator,
    ):
        codes = [(await guesser.get("/api/rooms")).status_code for _ in range(21)]
        assert codes == [401] * 20 + [429]
        assert (await operator.get("/api/rooms")).status_code == 200

        right = {"authorization": f"Bearer {TOKEN}"}
        waiting = await guesser.get("/api/rooms", headers=right)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "10")
        clock.advance(10_000)
        assert (await guesser.get("/api/rooms", headers=right)).status_code == 200


async def at_once(store: Redis, clock: ManualClock, folder: Path) -> list[int]:
    """Try forty wrong tokens at once; return the answers."""
    with books_of(folder, clock) as books:
        async with program(app_of(store, clock, access=books), "wrong-token-wrong-token") as guesser:
            answers = await asyncio.gather(*(guesser.get("/api/rooms") for _ in range(40)))
    return sorted(answer.status_code for answer in answers)


async def test_many_guesses_at_once_are_no_more_than_after_each_other(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Twenty are tried; the others were begun before any had failed, and wait all the same."""
    assert await at_once(store, clock, tmp_path) == [401] * 20 + [429] * 20


async def test_guesses_that_are_counted_late_are_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the database is asked about each, and meanwhile all others get through."""
    monkeypatch.setattr(operator_api, "PREFIX", "")
    assert await at_once(store, clock, tmp_path) == [401] * 40


async def test_a_websocket_is_refused(store: Redis, clock: ManualClock) -> None:
    """There is nothing but HTTP below /api, with a token or without."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/api/rooms",
        "raw_path": b"/api/rooms",
        "query_string": b"",
        "headers": [],
    }
    await app_of(store, clock)(scope, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_health_and_metrics_need_no_token(store: Redis, clock: ManualClock) -> None:
    """Orchestrators and Prometheus ask without one; readiness says what is wrong."""
    wrong: list[str] = []

    async def ready() -> list[str]:
        return wrong

    app = app_of(store, clock, ready=ready, metrics=lambda: ("text/plain; version=1.0.0", b"waitroom_up 1\n"))
    async with client_of(app) as probe:
        assert (await probe.get("/health/live")).json() == {"status": "live"}
        assert (await probe.get("/health/ready")).json() == {"status": "ready"}
        wrong.append("The store does not answer.")
        answer = await probe.get("/health/ready")
        assert (answer.status_code, answer.json()["faults"]) == (503, wrong)
        async with client_of(app_of(store, clock)) as bare:
            assert (await bare.get("/metrics")).text == ""
            assert (await bare.get("/health/ready")).status_code == 200
        told = await probe.get("/metrics")
        assert (told.text, told.headers["content-type"]) == ("waitroom_up 1\n", "text/plain; version=1.0.0")


async def test_routes_of_others_come_first_and_guard_themselves(store: Redis, clock: ManualClock) -> None:
    """Backends finish and renew sessions below /api with a token of their own."""

    async def finish(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["sid"])

    path = "/api/rooms/{room}/sessions/{sid}/finish"
    async with client_of(
        app_of(store, clock, extra_routes=[Route(path, finish, methods=["POST"])])
    ) as backend:
        answer = await backend.post("/api/rooms/main/sessions/abc/finish")
        assert (answer.status_code, answer.text) == (200, "abc")
        assert (await backend.get("/api/rooms")).status_code == 401


async def test_an_unforeseen_failure_tells_nothing_inside(store: Redis, clock: ManualClock) -> None:
    """500 with a reference, as a problem."""

    class Broken(Counted):
        async def figures(self, room: str) -> dict[str, object]:
            message = f"secret of {room}"
            raise RuntimeError(message)

    async with program(app_of(store, clock, Broken())) as api:
        await api.post("/api/rooms", json=MAIN)
        answer = await api.get("/api/rooms/main/status")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


@pytest.mark.parametrize("token", ["", "short", "ü" * 20])
def test_a_token_that_could_be_guessed_is_refused_at_the_start(
    store: Redis, clock: ManualClock, token: str
) -> None:
    """Sixteen ASCII characters are the least; the token never shows in a repr."""
    with pytest.raises(Misconfigured, match="at least 16"):
        app_of(store, clock, operator_token=token)
    deps = Deps(Configurations(store, clock), Counted(), TOKEN, Signer([("k", b"0" * 32)], "operator"), clock)
    assert TOKEN not in repr(deps)


async def test_a_page_that_cannot_work_is_refused_with_its_faults(store: Redis, clock: ManualClock) -> None:
    """422 with every fault, by whatever way it comes; a good one is taken."""
    bad = {"custom_page_html": "<html>{{ main }}</html>"}
    async with program(app_of(store, clock)) as api:
        made = await api.post("/api/rooms", json=MAIN | bad)
        await api.post("/api/rooms", json=MAIN)
        patched = await api.patch("/api/rooms/main", json=bad, headers={"if-match": "*"})
        shown = await api.get("/api/rooms/main")

    for answer in (made, patched):
        assert (answer.status_code, answer.json()["code"]) == (422, "settings-invalid")
        assert len(answer.json()["faults"]) == 3
    assert (shown.json()["version"], shown.json()["custom_page_html"]) == (1, None)
