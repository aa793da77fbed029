"""The organiser's API and bad input: what each address says to it, with all faults, and that nothing has changed."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.organiser.importing import MOST_OCTETS
from checkout.organiser.talking import DOCUMENT_MOST_BYTES, PREFIX
from kernel.clock import ManualClock
from tests.checkout.catalogues import VENUE, event_fields, statements
from tests.checkout.halls.test_plans import GOOD
from tests.checkout.organisers import EVENT, TOKEN, desk, told

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv; charset=utf-8"}


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """Name an empty SQLite database, for what does not depend on the database."""
    return f"sqlite:///{tmp_path}/shop.db"


def _problem(answer: httpx.Response) -> tuple[int, str, list[str]]:
    plain = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert plain["status"] == answer.status_code
    return answer.status_code, plain["code"], plain.get("faults", [])


OBJECT = [
    (b"", JSON, (400, "body-not-json", [])),
    (b"{", JSON, (400, "body-not-json", [])),
    (b"[]", JSON, (400, "body-not-object", [])),
    (b"{}", {"content-type": "text/plain"}, (415, "content-type-unknown", [])),
    (b"{}", {}, (415, "content-type-unknown", [])),
    (b" " * (DOCUMENT_MOST_BYTES + 1), JSON, (413, "body-too-large", [])),
]
DOCUMENTS = [
    ("PUT", "/organisers/anna"),
    ("PUT", "/venues/barn"),
    ("POST", "/events"),
    ("PATCH", f"/events/{EVENT}"),
    ("POST", f"/events/{EVENT}/cancel"),
    ("POST", f"/events/{EVENT}/prices"),
    ("POST", f"/events/{EVENT}/tiers"),
    ("POST", f"/events/{EVENT}/block"),
    ("POST", f"/events/{EVENT}/unblock"),
    ("PUT", f"/events/{EVENT}/allocations/press"),
]


@pytest.mark.parametrize(("method", "path"), DOCUMENTS)
async def test_what_is_no_document_is_refused_everywhere(
    lite: str, store_url: str, clock: ManualClock, method: str, path: str
) -> None:
    """Not JSON, no object, another type, too large."""
    async with desk(lite, store_url, clock) as own:
        for content, headers, problem in OBJECT:
            answer = await own.ask(method, path, content=content, headers={**headers, "if-match": "*"})
            assert _problem(answer) == problem


SEAT_LISTS: list[tuple[Any, list[str]]] = [
    ({}, ["seats: it is missing"]),
    ({"seats": 3}, ["seats: it must be a list of seats, each a number or [first, count]"]),
    (
        {"seats": [-1, True, "4", 1.5, [1], [1, 0], [1, -1], [0, 2, 3], None, 100_000], "colour": 1},
        [
            "colour: it is unknown",
            *(f"seats[{index}]: it must be a seat's number, or [first, count]" for index in range(10)),
        ],
    ),
    ({"seats": [[0, 99_999], [0, 2]]}, ["seats: there are more than 100000"]),
]

BAD: list[tuple[str, str, Any, tuple[int, str, list[str]]]] = [
    ("PUT", "/organisers/A_", {"name": "", "x": 1}, (422, "organiser-invalid", [
        "its id must be lower-case letters, digits and hyphens, at most 63",
        "x: it is unknown",
        "name: it must be a text of 1 to 200 characters",
    ])),
    ("PUT", "/organisers/a", {}, (422, "organiser-invalid", ["name: it is missing"])),
    ("PUT", "/organisers/a", {"name": "a\u0007"}, (422, "organiser-invalid", [
        "name: it must be a text of 1 to 200 characters",
    ])),
    ("PUT", "/venues/b", {"name": 7, "city": " ", "country": "Sweden", "time_zone": "Mars"}, (422, "venue-invalid", [
        "name: it must be a text of 1 to 200 characters",
        "city: it must be a text of 1 to 200 characters",
        "country: it must be a country's code of two letters (ISO 3166)",
        "time_zone: it must be a name such as Europe/Stockholm",
    ])),
    ("PUT", "/venues/b", {"country": "se", "time_zone": ["x"]}, (422, "venue-invalid", [
        "city: it is missing",
        "name: it is missing",
        "country: it must be a country's code of two letters (ISO 3166)",
        "time_zone: it must be a name such as Europe/Stockholm",
    ])),
    ("POST", f"/events/{EVENT}/prices", {}, (422, "prices-invalid", ["prices: it is missing"])),
    ("POST", f"/events/{EVENT}/prices", {"prices": [], "tier": 1}, (422, "prices-invalid", ["tier: it is unknown"])),
    ("POST", f"/events/{EVENT}/prices", {"prices": []}, (422, "prices-invalid", [
        "prices[0]: it must be an object with a tier, there once, and its prices",
    ])),
    ("POST", f"/events/{EVENT}/prices", {"prices": [{"tier": 0, "prices": {"EUR": 1.5, "QQQ": 1}}]}, (
        422, "prices-invalid", [
            "currency 'QQQ': there is no such currency in use",
            "tier 0: the price in EUR must be whole minor units from 0 to 1000000000000",
        ],
    )),
    ("POST", "/events/none/prices", {"prices": [{"tier": 0, "prices": {"EUR": 1}}]}, (404, "event-unknown", [])),
    ("POST", f"/events/{EVENT}/tiers", {"tier": 16, "sections": [-1]}, (422, "seats-invalid", [
        "tier: it must be a whole number from 0 to 15",
        "sections: it must be a list of sections' indexes",
    ])),
    ("POST", f"/events/{EVENT}/tiers", {"seats": [1]}, (422, "seats-invalid", ["tier: it is missing"])),
    ("POST", f"/events/{EVENT}/tiers", {"tier": 7, "seats": [1]}, (422, "tier-unknown", [])),
    ("POST", f"/events/{EVENT}/tiers", {"tier": 1, "sections": [3]}, (422, "seats-invalid", [])),
    ("POST", f"/events/{EVENT}/tiers", {"tier": 1}, (422, "seats-invalid", [])),
    ("POST", f"/events/{EVENT}/tiers", {"tier": 1, "seats": [45]}, (422, "seats-invalid", [])),
    ("POST", f"/events/{EVENT}/block", {"seats": [1], "allocation": "A"}, (422, "seats-invalid", [
        "allocation: it must be the name of an allocation",
    ])),
    ("POST", f"/events/{EVENT}/block", {"seats": [1], "allocation": "press"}, (422, "allocation-unknown", [])),
    ("POST", f"/events/{EVENT}/block", {"seats": [44, 45]}, (422, "seats-invalid", [])),
    ("POST", "/events/none/block", {"seats": [1]}, (404, "event-unknown", [])),
    ("POST", f"/events/{EVENT}/unblock", {"seats": [1]}, (409, "seats-busy", [])),
    ("PUT", f"/events/{EVENT}/allocations/A", {"channel": "", "code": 3}, (422, "allocation-invalid", [
        "its id must be lower-case letters, digits and hyphens, at most 63",
        "channel: it must be lower-case letters, digits and hyphens, at most 63",
        "code: it must be a text of at most 64 characters",
    ])),
    ("PUT", f"/events/{EVENT}/allocations/a", {"code": "x" * 65}, (422, "allocation-invalid", [
        "channel: it is missing",
        "code: it must be a text of at most 64 characters",
    ])),
    ("PUT", "/events/none/allocations/a", {"channel": "c"}, (404, "event-unknown", [])),
    ("POST", "/events", {"id": EVENT, "seat_tiers": [[1, 1, 0]]}, (422, "event-invalid", [
        "seat_tiers[0]: it must be [first, count, tier], where first is 0, the next seat",
    ])),
    ("POST", "/events", event_fields("x", id="w", section_tiers={"0": [], "1": {}, "2": True}), (422, "event-invalid", [
        f"section_tiers: section {index} must be a section's index, its tier one of the tiers" for index in range(3)
    ])),
    ("POST", "/events", event_fields("x", id="w"), (422, "event-invalid", ["layout_id: there is no layout 'x'"])),
    ("POST", "/events", {"id": "x", "seat_tiers": 3}, (422, "event-invalid", [
        "seat_tiers[0]: it must be [first, count, tier], where first is 0, the next seat",
    ])),
    ("PATCH", f"/events/{EVENT}", {"id": "x", "tiers": [], "colour": 1, "hold_s": 1}, (422, "event-invalid", [
        "id: it cannot be changed here",
        "tiers: it cannot be changed here",
        "hold_s: it must be a whole number from 120 to 300",
        "colour: it is unknown",
    ])),
    ("PATCH", "/events/none", {"title": "x"}, (404, "event-unknown", [])),
    ("POST", "/events/none/publish", None, (404, "event-unknown", [])),
    ("POST", "/events/none/cancel", {"confirm": "none"}, (404, "event-unknown", [])),
    ("POST", f"/events/{EVENT}/cancel", {}, (422, "confirmation-missing", ["confirm: it is missing"])),
    ("POST", f"/events/{EVENT}/cancel", {"confirm": "winter"}, (422, "confirmation-missing", [])),
    ("POST", f"/events/{EVENT}/cancel", {"confirm": EVENT, "x": 1}, (
        422, "confirmation-missing", ["x: it is unknown"],
    )),
    ("PATCH", f"/events/{EVENT}", {"state": "cancelled"}, (422, "confirmation-missing", [])),
    ("GET", "/events/none", None, (404, "event-unknown", [])),
    ("GET", "/events/none/report", None, (404, "event-unknown", [])),
    ("GET", "/events/none/seats.csv", None, (404, "event-unknown", [])),
    ("GET", f"/events/{EVENT}/prices", None, (405, "method-not-allowed", [])),
    ("DELETE", f"/events/{EVENT}", None, (405, "method-not-allowed", [])),
    ("GET", "/nothing", None, (404, "not-found", [])),
    ("GET", "/events/", None, (404, "not-found", [])),
    *(("POST", f"/events/{EVENT}/block", plain, (422, "seats-invalid", faults)) for plain, faults in SEAT_LISTS),
    *(("POST", f"/events/{EVENT}/unblock", plain, (422, "seats-invalid", faults)) for plain, faults in SEAT_LISTS),
]  # fmt: skip


async def test_each_address_says_what_is_wrong_and_changes_nothing(
    lite: str, store_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """All faults at once, each with its place; nothing is told in the log as done."""
    caplog.set_level(logging.INFO)
    async with desk(lite, store_url, clock) as own:
        before = (await own.ask("GET", "/events")).json(), own.kept(), await own.shown()
        for method, path, plain, problem in BAD:
            options = {} if plain is None else {"json": plain}
            answer = await own.ask(method, path, headers={"if-match": "*"}, **options)
            assert _problem(answer) == problem, (method, path, plain)
            if problem[0] == 405:
                assert answer.headers["allow"]
        assert ((await own.ask("GET", "/events")).json(), own.kept(), await own.shown()) == before
        assert told(caplog.records) == []


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str, object]:
    """Draw a document for one of the addresses, with anything in place of one of its members."""
    good: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/events"): event_fields("x", id="winter", seat_tiers=[[0, 45, 0]]),
        ("PATCH", f"/events/{EVENT}"): {"title": "x"} | dict.fromkeys(event_fields("x")),
        ("POST", f"/events/{EVENT}/prices"): {"prices": [{"tier": 0, "prices": {"EUR": 1}}]},
        ("POST", f"/events/{EVENT}/tiers"): {"tier": 0, "seats": [0], "sections": [0]},
        ("POST", f"/events/{EVENT}/block"): {"seats": [0], "allocation": "fans"},
        ("POST", f"/events/{EVENT}/unblock"): {"seats": [0]},
        ("PUT", f"/events/{EVENT}/allocations/press"): {"channel": "press", "code": ""},
        ("PUT", "/organisers/anna"): {"name": "Anna"},
        ("PUT", "/venues/barn"): {
            "name": "Barn",
            "city": "Lund",
            "country": "SE",
            "time_zone": "Europe/Stockholm",
        },
    }
    (method, path), plain = draw(st.sampled_from(list(good.items())))
    return method, path, _with_other(draw, plain)


def _with_other(draw: st.DrawFn, plain: Any) -> Any:
    """Put anything in the place of something inside."""
    if isinstance(plain, dict) and plain and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(plain)))
        return {**plain, key: _with_other(draw, plain[key])}
    if isinstance(plain, list) and plain and draw(st.booleans()):
        return [_with_other(draw, plain[0]), *plain[1:]]
    return draw(PLAIN)


async def test_whatever_is_sent_is_answered(lite: str, store_url: str, clock: ManualClock) -> None:
    """Anything in any place of any document: done, or refused in words, never a failure of ours."""
    async with desk(lite, store_url, clock) as own:
        sent: list[tuple[str, str, object]] = []

        @given(documents())
        @settings(max_examples=400)
        def draw(document: tuple[str, str, object]) -> None:
            sent.append(document)

        draw()
        for method, path, plain in sent:
            content = json.dumps(plain).encode("utf-8", "surrogatepass")
            answer = await own.ask(method, path, content=content, headers={**JSON, "if-match": "*"})
            assert answer.status_code < 500, (method, path, plain)


@pytest.mark.parametrize(
    "tag", ['"', '""', "5", 'W/"5"', '"5", "6"', '"-5"', '"5" ', '"' + "9" * 19 + '"', "\u00b2"], ids=repr
)
async def test_an_if_match_that_is_none_of_ours_is_refused(
    lite: str, store_url: str, clock: ManualClock, tag: str
) -> None:
    """Instead of being taken for none; one with a blank behind it is only an old one."""
    async with desk(lite, store_url, clock) as own:
        answer = await own.ask(
            "PATCH", f"/events/{EVENT}", json={"title": "x"}, headers={"if-match": tag.encode()}
        )

        is_ours = tag == '"5" '
        assert _problem(answer)[:2] == ((412, "event-changed") if is_ours else (400, "if-match-invalid"))


@pytest.mark.parametrize(
    ("path", "content", "headers", "problem"),
    [
        ("/venues/none/layouts", GOOD.encode(), CSV, (404, "venue-unknown", [])),
        ("", GOOD.encode(), {}, (415, "content-type-unknown", [])),
        ("", GOOD.encode(), {"content-type": "text/html"}, (415, "content-type-unknown", [])),
        ("", b"", CSV, (422, "plan-invalid", ["line 1: the file is empty"])),
        ("", b"\xff", CSV, (422, "plan-invalid", ["line 1: octet 0xff is not UTF-8; save the file as UTF-8"])),
        ("", b"a,b\n1,2\n", CSV, (422, "plan-invalid", [
            *(f"line 1: column {name} is missing" for name in ("section", "row", "number", "x", "y", "tier")),
            "line 1: column 'a' is unknown",
            "line 1: column 'b' is unknown",
        ])),
        ("", b"[]", JSON, (422, "plan-invalid", ["the file must be a JSON object"])),
        ("", GOOD.encode(), JSON, (422, "plan-invalid", ["line 1: Expecting value"])),
        ("?name=" + "x" * 121, GOOD.encode(), CSV, (422, "name-invalid", [])),
        ("?name=a%07", GOOD.encode(), CSV, (422, "name-invalid", [])),
    ],
)  # fmt: skip
async def test_a_plan_with_faults_leaves_no_layout(
    lite: str,
    store_url: str,
    clock: ManualClock,
    path: str,
    content: bytes,
    headers: dict[str, str],
    problem: tuple[int, str, list[str]],
) -> None:
    """Seed row 28 and failure E2: nothing visible, each fault with its line or its path."""
    async with desk(lite, store_url, clock) as own:
        path = path if path.startswith("/") else f"/venues/{VENUE.id}/layouts{path}"
        with statements(own.database._engine) as seen:
            answer = await own.ask("POST", path, content=content, headers=headers)

        assert _problem(answer) == problem
        assert not any("INSERT" in statement for statement in seen)


async def test_of_many_faults_a_hundred_are_told_and_the_rest_is_a_number(
    lite: str, store_url: str, clock: ManualClock
) -> None:
    """A list that people can use."""
    lines = ["section,row,number,x,y,tier", *(f"S,A,{n},{n},0," for n in range(150))]
    async with desk(lite, store_url, clock) as own:
        answer = await own.ask(
            "POST", f"/venues/{VENUE.id}/layouts", content="\n".join(lines).encode(), headers=CSV
        )

        _, _, faults = _problem(answer)
        assert len(faults) == 101
        assert (faults[0], faults[-1]) == ("line 2: tier is empty", "and 50 more")


@pytest.mark.parametrize("is_told", [True, False], ids=["by its length", "as it comes"])
async def test_a_file_that_is_too_large_is_refused_while_it_comes(
    lite: str, store_url: str, clock: ManualClock, is_told: bool
) -> None:
    """Before its end is there, and whether or not its length was told."""
    sent: list[dict[str, Any]] = []
    taken = 0
    piece = b"x" * (1024 * 1024)

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async with desk(lite, store_url, clock) as own:
        headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"text/csv")]
        if is_told:
            headers.append((b"content-length", str(MOST_OCTETS + 1).encode()))
        path = f"{PREFIX}/venues/{VENUE.id}/layouts"
        scope = {
            "type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "root_path": "",
            "scheme": "http", "server": ("shop", 80), "client": None, "http_version": "1.1", "raw_path": path.encode(),
        }  # fmt: skip
        await own.web(scope, receive, send)

    assert sent[0]["status"] == 413
    assert taken == (0 if is_told else MOST_OCTETS // len(piece) + 1)


async def test_a_file_whose_sender_went_away_is_none(lite: str, store_url: str, clock: ManualClock) -> None:
    """Half a plan would be a plan with fewer seats."""
    sent: list[dict[str, Any]] = []
    messages = [
        {"type": "http.request", "body": GOOD.encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async with desk(lite, store_url, clock) as own:
        headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"text/csv")]
        scope = {
            "type": "http", "method": "POST", "path": f"{PREFIX}/venues/{VENUE.id}/layouts", "headers": headers,
            "query_string": b"", "root_path": "", "scheme": "http", "server": ("shop", 80), "client": None,
        }  # fmt: skip
        await own.web(scope, receive, send)

    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["code"] == "body-incomplete"


async def test_what_nobody_foresaw_is_a_problem_without_insides(
    lite: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference for the log, nothing else."""
    async with desk(lite, store_url, clock) as own:

        async def breaks(_event: str) -> None:
            raise RuntimeError("postgresql://shop:secret@db")

        monkeypatch.setattr(own.web._reporting, "report", breaks)
        answer = await own.ask("GET", f"/events/{EVENT}/report")

        assert _problem(answer) == (500, "internal", [])
        assert "secret" not in answer.text
