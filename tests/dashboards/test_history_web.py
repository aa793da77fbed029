"""History over HTTP: columns, sheets, pages without scripts, and whose rooms they are."""

import csv
import io
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
import schemathesis
from redis.asyncio import Redis
from schemathesis.core.failures import Failure
from starlette.applications import Starlette

from dashboards import compare_page, history_page
from dashboards.access import Session
from dashboards.history import FIELDS, ROWS_MOST
from dashboards.history_view import Plot, drawn
from dashboards.openapi import document
from dashboards.rights import Person, Role
from dashboards.sheet import cell, sheet
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.conftest import NOW_MS
from tests.dashboards.desk import MAIN, app_of, client_of, program, signed_in
from tests.dashboards.played import GATHER, book_in, sale
from waitroom.configure import Actor, Configurations
from waitroom.history_book import HistoryBook
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore
from waitroom.rooms import parse, to_dict

NOW = NOW_MS // 60_000
START = NOW - 190
API = "/api/rooms/main/history"
LIMITED = "Vera of other"
EVIL = "=HYPERLINK(1)"


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vera may look at the room other only; everybody else is an owner."""

    def person(session: Session) -> Person:
        if session.who == LIMITED:
            return Person(session.who, Role.VIEWER, frozenset({"other"}))
        return Person(session.who, Role.OWNER)

    monkeypatch.setattr(Session, "person", property(person))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[HistoryBook]:
    """Give the book of two rooms, one with a sale of today and one with a sale of yesterday, and one act."""
    with book_in(tmp_path) as made:
        made.write(sale("main", "autumn", START, 180, 6000))
        made.write(sale("other", "spring", START - 1440, 90, 600))
        with closing(JournalStore(f"sqlite:///{tmp_path}/journal.db")) as journal:
            room = to_dict(parse({**MAIN, "paused": True}))
            body = {
                "version": "2",
                "who": EVIL,
                "why": "slow",
                "config": orjson.dumps(room | {"version": 2}).decode(),
            }
            journal.append([NewEntry(START * 60_000 + 5_000, "main", "", Kind.CONFIGURED, body)])
        yield made


async def app_with(store: Redis, clock: ManualClock, book: HistoryBook) -> Starlette:
    """Make the application of both rooms, and of one without a history."""
    rooms = Configurations(store, clock)
    for number, name in enumerate(("main", "other", "fresh")):
        await rooms.create({**MAIN, "name": name, "path": f"/{number}"}, Actor("Bob"))
    return app_of(store, clock, history=book)


def query(since: int = START - GATHER, until: int = START + 180, **more: str) -> str:
    """Write a query for minutes."""
    return "?" + urlencode({"from": since * 60_000, "to": until * 60_000, **more})


async def test_columns_are_what_was_played(store: Redis, clock: ManualClock, book: HistoryBook) -> None:
    """A regular axis, the fields that were asked for, sums, and the acts of operators in the same stretch."""
    app = await app_with(store, clock, book)
    async with program(app) as api:
        whole = (await api.get(API + query())).json()
        some = (await api.get(API + query(fields="admitted,waiting,admitted", every="5m"))).json()
        by_sale = (await api.get(API, params={"sale": "autumn"})).json()
        iso = (
            await api.get(API, params={"from": "2027-01-15T05:00:00+01:00", "to": "2027-01-15T04:30"})
        ).json()
        lately = (await api.get(API)).json()

    rows = sale("main", "autumn", START, 180, 6000)
    assert set(whole["columns"]) == {"at_ms", *FIELDS}
    assert whole["columns"]["at_ms"] == [each.minute * 60_000 for each in rows]
    assert whole["columns"]["waiting"] == [each.waiting for each in rows]
    assert sum(whole["columns"]["admitted"][1:]) == whole["totals"]["admitted"] == 10_800
    assert [(act["who"], act["why"], act["version"]) for act in whole["acts"]] == [(EVIL, "slow", 2)]
    assert list(some["columns"]) == ["at_ms", "admitted", "waiting"]
    assert (some["every"], len(some["columns"]["at_ms"])) == ("5m", 38)
    assert by_sale == whole | {"sale": "autumn"}
    assert (iso["from"], iso["to"], len(iso["columns"]["at_ms"])) == (
        "2027-01-15T04:00:00Z",
        "2027-01-15T04:30:00Z",
        30,
    )
    assert lately["to"] == "2027-01-15T08:00:00Z"
    assert len(lately["columns"]["at_ms"]) == 180


async def test_each_column_has_the_type_and_the_unit_that_are_described(
    store: Redis, clock: ManualClock, book: HistoryBook
) -> None:
    """Of everything and of some fields; the mutants are columns of another type, of another name, and no sum."""
    described = schemathesis.openapi.from_dict(document())["/api/rooms/{room}/history"]["GET"]
    app = await app_with(store, clock, book)
    async with program(app) as api:
        whole = await api.get(API + query())
        some = await api.get(API + query(fields="phase,no_shows_ratio", every="5m"))

    for answer in (whole, some):
        described.validate_response(answer)
    good = whole.json()
    wrong = [
        good | {"columns": good["columns"] | {name: values}}
        for name, values in (
            ("waiting", ["6"]),
            ("waiting", [0.5]),
            ("phase", [1]),
            ("at_ms", [None]),
            ("x", []),
        )
    ]
    for body in (*wrong, good | {"totals": {}}):
        answer = httpx.Response(200, json=body, request=whole.request)
        answer.elapsed = whole.elapsed
        with pytest.raises(Failure):
            described.validate_response(answer)
    columns = document()["components"]["schemas"]["History"]["properties"]["columns"]["properties"]
    units = {
        name: columns[name]["items"]["anyOf"][0]["description"]
        for name in ("waiting", "rate", "wait_low_s", "origin_p95_ms", "no_shows_ratio")
    }
    assert units == {
        "waiting": "Unit: a count.", "rate": "Unit: a minute.", "wait_low_s": "Unit: seconds.",
        "origin_p95_ms": "Unit: milliseconds.", "no_shows_ratio": "Unit: a part of 1.",
    }  # fmt: skip


async def test_an_answer_that_is_known_is_not_sent_again(
    store: Redis, clock: ManualClock, book: HistoryBook
) -> None:
    """Until something changes."""
    app = await app_with(store, clock, book)
    async with program(app) as api:
        first = await api.get(API + query())
        again = await api.get(API + query(), headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
        book.write(sale("main", "autumn", START, 180, 7200))
        other = await api.get(API + query(), headers={"if-none-match": first.headers["etag"]})
        sheets = await api.get(f"{API}.csv" + query())

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert other.status_code == 200
    assert first.headers["cache-control"] == "private, no-cache"
    assert sheets.headers["etag"] != other.headers["etag"]


BAD = [
    ("from=yesterday", 422, "history-asked-wrong"),
    ("to=2027-13-01", 422, "history-asked-wrong"),
    ("to=99999999999999999999", 422, "history-asked-wrong"),
    ("from=-5", 422, "history-asked-wrong"),
    ("to=%D9%A1", 422, "history-asked-wrong"),
    ("to=9999-12-31T23:59:59-14:00", 422, "history-asked-wrong"),
    ("from=1969-01-01", 422, "history-asked-wrong"),
    ("from=0001-01-01T00:00:00%2B14:00", 422, "history-asked-wrong"),
    ("from=2000&to=1000", 422, "history-asked-wrong"),
    ("from=1000&to=1000", 422, "history-asked-wrong"),
    ("every=2m", 422, "history-asked-wrong"),
    ("every=1M", 422, "history-asked-wrong"),
    ("fields=waiting,secrets", 422, "history-asked-wrong"),
    ("fields=room", 422, "history-asked-wrong"),
    ("from=0", 422, "history-too-long"),
    (f"from=0&to={(ROWS_MOST + 1) * 60_000}&every=1m", 422, "history-too-long"),
    ("from=0&to=200000000000000", 422, "history-too-long"),
    ("sale=winter", 404, "history-sale-unknown"),
    ("sale=spring", 404, "history-sale-unknown"),
    ("sale=%00", 404, "history-sale-unknown"),
]


@pytest.mark.parametrize(("asked", "status", "code"), BAD)
async def test_a_bad_question_is_refused(
    store: Redis, clock: ManualClock, book: HistoryBook, asked: str, status: int, code: str
) -> None:
    """By name, as JSON and as a sheet; the page says it and shows what it can."""
    app = await app_with(store, clock, book)
    async with program(app) as api, signed_in(app) as ann:
        for path in (API, f"{API}.csv"):
            answer = await api.get(f"{path}?{asked}")
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        page = await ann.get(f"/rooms/main/history?{asked}")
        assert page.status_code == status
        assert 'role="alert"' in page.text
        assert "History of main" in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/rooms/nowhere/history", 404),
        ("GET", "/api/rooms/nowhere/history.csv", 404),
        ("POST", API, 405),
        ("DELETE", f"{API}.csv", 405),
        ("GET", "/api/rooms/fresh/history", 200),
    ],
)
async def test_addresses(
    store: Redis, clock: ManualClock, book: HistoryBook, method: str, path: str, status: int
) -> None:
    """A room without a history has an empty one; an unknown one none."""
    async with program(await app_with(store, clock, book)) as api:
        answer = await api.request(method, path)
    assert answer.status_code == status
    if status == 200:
        assert set(answer.json()["columns"]["waiting"]) == {None}


async def test_a_removed_room_keeps_its_history(store: Redis, clock: ManualClock, book: HistoryBook) -> None:
    """And a store that is away takes none of it."""
    app = app_of(store, clock, history=book)
    async with program(app) as api, signed_in(app) as ann:
        assert (await api.get(API, params={"sale": "autumn"})).status_code == 200
        assert "10,800" in (await ann.get("/rooms/main/history?sale=autumn")).text


async def test_a_sheet_has_the_same_rows_and_runs_nothing(
    store: Redis, clock: ManualClock, book: HistoryBook
) -> None:
    """RFC 4180: CR LF, a header; who acted is somebody's text and gets an apostrophe; unknown is empty."""
    app = await app_with(store, clock, book)
    async with program(app) as api:
        answer = await api.get(f"{API}.csv" + query())
        document = (await api.get(API + query())).json()

    text = answer.content.decode()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="main-2027-01-15T044000Z-1m.csv"'
    assert text.count("\r\n") == 191
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == ["at", *FIELDS, "acts"]
    for name in FIELDS:
        values = document["columns"][name]
        assert [row[name] for row in rows] == ["" if value is None else str(value) for value in values]
    assert rows[0]["at"] == "2027-01-15T04:40:00Z"
    told = [row["acts"] for row in rows if row["acts"]]
    assert told == [f"'{EVIL}: room – → there (slow)"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"), ("autumn", "autumn"), ("a=1", "a=1"), ("", ""), (None, ""), (-5, "-5"), (0.1, "0.1"),
    ],
)  # fmt: skip
def test_a_cell_is_no_formula(value: object, text: str) -> None:
    """Texts that a spreadsheet may run get an apostrophe; numbers are ours."""
    assert cell(value) == text


def test_quotes_and_line_breaks_stay_in_their_cell() -> None:
    """As RFC 4180 says."""
    assert sheet(["a", "b"], [['x"y', "1,2"], ["l\nm", None]]) == b'a,b\r\n"x""y","1,2"\r\n"l\nm",\r\n'


def test_what_stands_in_a_page_ends_no_script() -> None:
    """A name cannot close the element that the numbers stand in."""
    written = drawn([1.0], [Plot("</script>&", "", [])], [(1.0, 1)])

    assert not {"<", "&"} & set(written)
    assert orjson.loads(written) == {
        "relative": False, "t": [1.0], "plots": [{"key": "</script>&", "lines": []}], "marks": [{"t": 1.0, "n": 1}],
    }  # fmt: skip


PAGES = ("/rooms/main/history", "/rooms/main/history.csv", "/rooms/main/history.json")


async def overlooked(store: Redis, clock: ManualClock, book: HistoryBook) -> list[str]:
    """Return where a person of the other room, and a program of theirs, read of the room main."""
    app = await app_with(store, clock, book)
    seen = []
    async with signed_in(app, LIMITED) as vera:
        for path in (
            *PAGES,
            "/compare",
            "/compare?a=main/autumn&b=other/spring",
            "/history",
            "/rooms/other/history",
        ):
            answer = await vera.get(path, follow_redirects=True)
            if "autumn" in answer.text or (answer.status_code == 200 and "main" in path.split("?")[0]):
                seen.append(path)
        own = await vera.get("/rooms/other/history")
        assert "spring" in own.text
        assert 'href="/compare"' in own.text
    return seen


async def test_a_person_of_another_room_sees_nothing_of_this_one(
    store: Redis, clock: ManualClock, book: HistoryBook
) -> None:
    """Neither page nor exports nor a name in a list."""
    assert await overlooked(store, clock, book) == []


async def test_without_rights_they_would(
    store: Redis, clock: ManualClock, book: HistoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody asks whose room it is."""
    monkeypatch.setattr(Person, "sees", lambda *_: True)

    assert set(PAGES) < set(await overlooked(store, clock, book))


async def test_a_program_of_another_room_is_refused(
    store: Redis, clock: ManualClock, book: HistoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is limited to rooms; and no token at all."""
    app = await app_with(store, clock, book)
    async with client_of(app) as nobody:
        for path in (API, f"{API}.csv"):
            assert (await nobody.get(path)).status_code == 401
    monkeypatch.setattr(
        "dashboards.operator_api.Person", lambda name, role: Person(name, role, frozenset({"other"}))
    )
    async with program(app) as api:
        for path in (API, f"{API}.csv"):
            answer = await api.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
        assert (await api.get("/api/rooms/other/history")).status_code == 200


async def test_nobody_is_led_to_the_login_from_everywhere(
    store: Redis, clock: ManualClock, book: HistoryBook
) -> None:
    """Signed out."""
    async with client_of(await app_with(store, clock, book)) as nobody:
        for path in (*PAGES, "/history", "/compare"):
            answer = await nobody.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def cells_of(page: httpx.Response, label: str) -> list[str]:
    """Return the cells of a row of a table."""
    _, found, rest = page.text.partition(f'<th scope="row">{label}')
    assert found
    return [piece.partition("</td>")[0] for piece in rest.partition("</tr>")[0].split("<td>")[1:]]


async def test_pages_are_whole_without_scripts(store: Redis, clock: ManualClock, book: HistoryBook) -> None:
    """Sums, acts, the table, the choice; two sales side by side with their sums."""
    app = await app_with(store, clock, book)
    async with signed_in(app) as ann:
        first = await ann.get("/history")
        page = await ann.get(first.headers["location"])
        both = await ann.get("/compare", params={"a": "main/autumn", "b": "other/spring"})
        one = await ann.get("/compare", params={"a": "main/autumn", "b": "other/winter"})
        choice = await ann.get("/compare")
        fresh = await ann.get("/rooms/fresh/history")

    assert first.headers["location"] == "/rooms/main/history"
    assert "<b>autumn</b>" in page.text
    assert cells_of(page, "04:51") == [
        "Serving",
        "5,960",
        "100",
        "108",
        "120",
        "216",
        "400",
        "41–63 min",
        "10 %",
        "19,784",
        "3",
        "1",
    ]
    assert "=HYPERLINK" in page.text
    assert f"/rooms/main/history.csv?from={(START - GATHER) * 60_000}&amp;to=" in page.text
    assert cells_of(both, "Let in<") == ["10,800", "1,080"]
    assert cells_of(both, "Refused<")[0] == "567"
    assert cells_of(both, "Shed<")[0] == "189"
    assert cells_of(both, "Joined<") == ["12,000", "1,200"]
    assert cells_of(both, "Until nobody waited<") == ["1 h 39 min", "5 min"]
    assert cells_of(both, "−10 min")[:2] == ["600", "60"]
    assert one.status_code == 404
    assert 'role="alert"' in one.text
    assert 'value="other/spring" selected' in choice.text
    assert "Nothing was recorded" in fresh.text


async def test_where_nothing_is_kept_no_way_leads_there(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """An application without a book has no such pages; one with an empty book says that nothing is there yet."""
    bare = app_of(store, clock)
    async with signed_in(bare) as ann:
        assert "/history" not in (await ann.get("/")).text
        assert (await ann.get("/history")).status_code == 404
    with book_in(tmp_path) as book:
        async with signed_in(app_of(store, clock, history=book)) as ann:
            assert "No history yet" in (await ann.get("/history")).text
            assert "No sale was recorded yet" in (await ann.get("/compare")).text


async def test_a_database_that_is_away_is_told(
    store: Redis, clock: ManualClock, book: HistoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 everywhere, with a page for people."""

    def away(*_: Any) -> None:
        raise Unavailable("journal-away", "The waiting room cannot reach its journal.")

    app = await app_with(store, clock, book)
    for name in ("last", "rooms", "minutes"):
        monkeypatch.setattr(HistoryBook, name, away)
    async with program(app) as api, signed_in(app) as ann:
        for client, path in ((api, API), (ann, "/history"), (ann, "/rooms/main/history"), (ann, "/compare")):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert "cannot reach its journal" in answer.text


@pytest.mark.parametrize("page", [history_page, compare_page])
async def test_months_are_laid_out_beside_the_event_loop(
    store: Redis, clock: ManualClock, book: HistoryBook, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    """Ninety days take a second: in the loop every open console would stand still for it."""
    app, threads = await app_with(store, clock, book), []
    real = page.totals

    def totals(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*given)

    monkeypatch.setattr(page, "totals", totals)
    path = "/rooms/main/history" if page is history_page else "/compare?a=main/autumn&b=other/spring"
    async with signed_in(app) as ann:
        assert (await ann.get(path)).status_code == 200
    assert threads
    assert threading.main_thread() not in threads
