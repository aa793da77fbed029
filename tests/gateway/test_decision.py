"""The gate's verdict: one table, read from top to bottom."""

from dataclasses import replace

import pytest

from gateway.decision import (
    Asked,
    Kind,
    Open,
    OpenReason,
    Pass,
    Reject,
    Renew,
    RoomRoute,
    Session,
    Verdict,
    Wait,
    bare_host,
    covers,
    decide,
    is_open_path,
    kind,
    normal_path,
)

NOW_MS = 1_800_000_000_000
ROOM = RoomRoute("main", "http://shop", admission_cookie="waitroom-admission-main")
SESSION = Session("main", "run1", "fan", "standard", NOW_MS - 10_000, NOW_MS - 10_000, NOW_MS + 110_000, "t")
PAGE = Asked("GET", "text/html,*/*;q=0.8", "navigate")
OTHER = replace(SESSION, room="other")
FAIL_OPEN = replace(ROOM, away=True, fail_open=True)

CASES: list[tuple[str, RoomRoute | None, Session | str | None, set[str], Verdict]] = [
    ("an address without a room is open", None, SESSION, set(), Open(OpenReason.NO_ROOM)),
    ("a live session passes", ROOM, SESSION, set(), Pass(SESSION)),
    ("it passes while the line is away", replace(ROOM, away=True), SESSION, set(), Pass(SESSION)),
    ("it passes in a room that rejects", replace(ROOM, method="reject"), SESSION, set(), Pass(SESSION)),
    ("it is a session under bypass too", replace(ROOM, bypass=True), SESSION, set(), Pass(SESSION)),
    ("nobody waits without a reason", ROOM, None, set(), Wait(Kind.PAGE, "")),
    ("a refused token tells its word", ROOM, "forged", set(), Wait(Kind.PAGE, "forged")),
    ("another room's session waits", ROOM, OTHER, set(), Wait(Kind.PAGE, "foreign-room")),
    ("an ended session waits", ROOM, SESSION, {"fan"}, Wait(Kind.PAGE, "session-ended")),
    ("bypass lets all pass", replace(ROOM, bypass=True), None, set(), Open(OpenReason.BYPASS)),
    (
        "a suspended room lets all pass",
        replace(ROOM, suspended=True),
        None,
        set(),
        Open(OpenReason.SUSPENDED),
    ),
    (
        "passthrough lets all pass",
        replace(ROOM, method="passthrough"),
        None,
        set(),
        Open(OpenReason.PASSTHROUGH),
    ),
    ("fail-open lets pass while the line is away", FAIL_OPEN, None, set(), Open(OpenReason.FAIL_OPEN)),
    (
        "fail-open waits while the line is there",
        replace(ROOM, fail_open=True),
        None,
        set(),
        Wait(Kind.PAGE, ""),
    ),
    ("fail-closed waits while the line is away", replace(ROOM, away=True), None, set(), Wait(Kind.PAGE, "")),
    ("fail-open passes a forged token too", FAIL_OPEN, "forged", set(), Open(OpenReason.FAIL_OPEN)),
    ("reject lets nobody new in", replace(ROOM, method="reject"), None, set(), Reject(Kind.PAGE)),
]


@pytest.mark.parametrize(
    ("rule", "room", "admission", "ended", "verdict"), CASES, ids=[case[0] for case in CASES]
)
def test_the_verdict_follows_the_table(
    rule: str, room: RoomRoute | None, admission: Session | str | None, ended: set[str], verdict: Verdict
) -> None:
    """Each row is a rule: a live session first, then the room's flags, then the line."""
    assert decide(PAGE, room, admission, ended, NOW_MS) == verdict


OPEN = ("/tickets/", "/gift/")


@pytest.mark.parametrize(
    ("path", "raw", "is_open"),
    [
        ("/tickets/a/b", b"/tickets/a/b", True),
        ("/gift/", b"/gift/", True),
        ("/tickets", b"/tickets", True),
        ("/ticketsx/", b"/ticketsx/", False),
        ("/tickets.", b"/tickets.", False),
        ("/", b"/", False),
        ("/seats", b"/seats", False),
        ("/tickets/../seats", b"/tickets/../seats", False),
        ("/tickets/../seats", b"/tickets/%2e%2e/seats", False),
        ("/tickets/../seats", b"/tickets%2f..%2fseats", False),
        ("/tickets/a", b"/ticket%73/a", False),
        ("/tickets//seats", b"/tickets//seats", False),
        ("/tickets/./seats", b"/tickets/./seats", False),
        ("/tickets/a;/../seats", b"/tickets/a;/../seats", False),
        ("/tickets/a;b", b"/tickets/a;b", False),
        ("/tickets/\\..\\seats", b"/tickets/\\..\\seats", False),
        ("//tickets/a", b"//tickets/a", False),
        ("/TICKETS/a", b"/TICKETS/a", False),
    ],
)
def test_an_address_is_open_only_as_it_is_written(path: str, raw: bytes, is_open: bool) -> None:
    """What an origin could read as another address needs an admission, like that one."""
    assert is_open_path(path, raw, OPEN) is is_open
    assert not is_open_path(path, raw, ())


def test_without_folding_a_path_the_whole_site_would_be_open() -> None:
    """The mutant: it begins with an open one, and the origin reads another."""
    path = "/tickets/../seats"

    assert path.startswith(OPEN)
    assert normal_path(path) == "/seats"
    assert not is_open_path(path, path.encode(), OPEN)


@pytest.mark.parametrize(
    ("room", "verdict"),
    [
        (ROOM, Open(OpenReason.OPEN_PATH)),
        (replace(ROOM, method="reject"), Open(OpenReason.OPEN_PATH)),
        (replace(ROOM, away=True), Open(OpenReason.OPEN_PATH)),
        (replace(ROOM, bypass=True), Open(OpenReason.BYPASS)),
    ],
)
def test_an_open_address_needs_no_admission_and_keeps_one(room: RoomRoute, verdict: Verdict) -> None:
    """Whoever has a session is known to the origin there as well."""
    assert decide(PAGE, room, None, set(), NOW_MS, is_open=True) == verdict
    assert decide(PAGE, room, "forged", set(), NOW_MS, is_open=True) == verdict
    assert decide(PAGE, room, SESSION, set(), NOW_MS, is_open=True) == Pass(SESSION)


@pytest.mark.parametrize(
    ("left_ms", "verdict"),
    [(60_000, Pass), (59_999, Renew), (1, Renew), (0, Wait), (-1, Wait)],
)
def test_a_session_is_renewed_below_half_of_its_time_and_ends_exactly_at_its_end(
    left_ms: int, verdict: type
) -> None:
    """Of 120 s: pass with 60 left, renew with less, wait from the end on."""
    assert isinstance(decide(PAGE, ROOM, SESSION, set(), SESSION.expires_ms - left_ms), verdict)


def test_a_room_without_renewal_and_a_websocket_renew_nothing() -> None:
    """There is no answer to a websocket that could carry a cookie; a room may forbid renewals."""
    late = SESSION.expires_ms - 1

    assert decide(PAGE, replace(ROOM, renewal=False), SESSION, set(), late) == Pass(SESSION)
    assert decide(Asked("GET", is_websocket=True), ROOM, SESSION, set(), late) == Pass(SESSION)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("GET", "text/html", "navigate"), Kind.PAGE),
        (Asked("HEAD", "text/html"), Kind.PAGE),
        (Asked("GET", "text/html,application/json"), Kind.PAGE),
        (Asked("POST", "text/html", "navigate"), Kind.FORM),
        (Asked("GET", "text/html", "cors"), Kind.OTHER),
        (Asked("GET", "application/json", "cors"), Kind.JSON),
        (Asked("GET", "application/json"), Kind.JSON),
        (Asked("GET", "application/vnd.api+json"), Kind.JSON),
        (Asked("POST", "application/json", "cors"), Kind.OTHER),
        (Asked("GET", "image/avif,*/*", "no-cors"), Kind.OTHER),
        (Asked("GET", "*/*"), Kind.OTHER),
        (Asked("GET", ""), Kind.OTHER),
        (Asked("GET", "text/html", is_websocket=True), Kind.WEBSOCKET),
    ],
)
def test_each_kind_of_client_is_known_by_what_it_cannot_fake_by_accident(
    asked: Asked, expected: Kind
) -> None:
    """Sec-Fetch-Mode beats Accept; only readers get JSON; a POST never looks as if it had been done."""
    assert kind(asked) is expected


def test_a_room_without_json_answers_treats_json_clients_as_others() -> None:
    """``json_response_enabled`` false: 429 instead of a body with the room's own status."""
    assert kind(Asked("GET", "application/json"), replace(ROOM, json_response=False)) is Kind.OTHER


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/", "/"),
        ("", "/"),
        ("/shop", "/shop"),
        ("/shop/", "/shop/"),
        ("//shop///a", "/shop/a"),
        ("/./shop/../shop/a", "/shop/a"),
        ("/../../shop", "/shop"),
        ("/x/..;/shop", "/shop"),
        ("/shop;v=1/a;b", "/shop/a"),
        ("\\shop\\a", "/shop/a"),
        ("/shop/.", "/shop/"),
        ("/shop/..", "/"),
    ],
)
def test_a_path_is_folded_as_origins_fold_it(path: str, folded: str) -> None:
    """Otherwise ``/x/..;/shop`` would reach a guarded page through an open address."""
    assert normal_path(path) == folded


def test_a_prefix_covers_whole_segments() -> None:
    """``/shop`` covers ``/shop`` and ``/shop/a``, not ``/shopping``; ``/`` covers all."""
    assert covers("/shop", "/shop")
    assert covers("/shop/", "/shop/a")
    assert not covers("/shop", "/shopping")
    assert covers("/", "/anything")


def test_a_host_is_compared_without_port_case_and_final_dot() -> None:
    """``SHOP.example.:8080`` is the shop; otherwise a room for one host could be walked around."""
    assert [bare_host(host) for host in ("SHOP.example.:8080", "shop.example.", "shop.example")] == [
        "shop.example"
    ] * 3
    assert bare_host("[::1]:8080") == "[::1]"


def test_without_the_ended_set_an_ended_session_would_pass() -> None:
    """The mutant: the same request with the guard switched off goes through, so the guard is what stops it."""
    assert isinstance(decide(PAGE, ROOM, SESSION, {"fan"}, NOW_MS), Wait)
    assert isinstance(decide(PAGE, ROOM, SESSION, set(), NOW_MS), Pass)
