"""Rooms: what a room's document may hold, what a sale overrides, and that every fault is told."""

from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Misconfigured
from waitroom import field_readers as reads
from waitroom.room_fields import OVERRIDES, ROOM_FIELDS, SALE_FIELDS
from waitroom.rooms import (
    Method,
    Room,
    Route,
    clashes,
    cookie_marks,
    details,
    draws,
    merge_patch,
    merged,
    parse,
    read_kept,
    to_dict,
)

LEAST = {"name": "main", "origin": "https://shop.example.com"}
SALE = {
    "name": "spring",
    "event_start_time": "2026-06-01T10:00:00+02:00",
    "event_end_time": "2026-06-01T12:00:00+02:00",
    "prequeue_start_time": "2026-06-01T09:00:00+02:00",
}
START_MS = 1_780_300_800_000


def faults_of(document: dict[str, Any]) -> tuple[str, ...]:
    """Return what parse says against a document."""
    with pytest.raises(Misconfigured) as error:
        parse(document)
    return error.value.faults


def test_the_least_room_has_a_name_and_an_origin() -> None:
    """Everything else has a default; the session lasts five minutes, as at Cloudflare."""
    room = parse(LEAST)

    assert room == Room("main", "https://shop.example.com")
    assert (room.session_duration, room.session_ms) == (5, 300_000)
    assert room.queueing_method is Method.FIFO


def test_a_limit_may_be_one_and_the_rate_may_exceed_the_total() -> None:
    """Small sites are overrun too; a short visit needs few places at a high rate."""
    room = parse({**LEAST, "new_users_per_minute": 60, "total_active_users": 1})

    assert (room.new_users_per_minute, room.total_active_users) == (60, 1)


BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("name", "Main", "must be 1 to 63"),
    ("name", "-main", "must be 1 to 63"),
    ("name", "a" * 64, "must be 1 to 63"),
    ("name", "main\n", "must be 1 to 63"),
    ("origin", "shop.example.com", "must be an address"),
    ("origin", "ftp://shop.example.com", "must be an address"),
    ("origin", "https://user@shop.example.com", "must be an address"),
    ("origin", "https://shop.example.com/a?b", "must be an address"),
    ("origin", "https://shop.example.com:99999", "must be an address"),
    ("origin", "https://[::1", "must be an address"),
    ("origin", "https://a b.com", "must be an address"),
    ("origin", 7, "must be an address"),
    ("description", "x" * 1001, "at most 1000 characters"),
    ("description", "a\x00b", "control characters"),
    ("description", None, "must be a text"),
    ("host", "http://shop", "must be a host name"),
    ("host", "shop.example.com:80", "must be a host name"),
    ("path", "tickets", "must be a path"),
    ("path", "/a/../b", "must be a path"),
    ("path", "/a?b", "must be a path"),
    ("path", "//evil", "must be a path"),
    ("additional_routes", "x", "must be a list"),
    ("additional_routes", [{"host": "a"}], "path is missing"),
    ("additional_routes", [{"host": "a", "path": "/", "port": 1}], "port is not known"),
    ("additional_routes", [1], "must be a table of host, path"),
    ("additional_routes", [{"host": "a", "path": "/"}] * 101, "at most 100 entries"),
    ("cookie_suffix", "a b", "must be at most 32"),
    ("cookie_attributes", {"samesite": "maybe"}, "must be one of auto, lax, none, strict"),
    ("cookie_attributes", {"secure": True}, "must be one of auto, always, never"),
    ("cookie_attributes", {"samesite": "none", "secure": "never"}, "browsers drop"),
    ("total_active_users", 0, "whole number from 1"),
    ("total_active_users", 1.0, "whole number from 1"),
    ("total_active_users", "5", "whole number from 1"),
    ("new_users_per_minute", -1, "whole number from 1"),
    ("new_users_per_minute", True, "whole number from 1"),
    ("new_users_per_minute", 2**31, "whole number from 1"),
    ("session_duration", 0, "from 1 to 1440"),
    ("session_duration", 1441, "from 1 to 1440"),
    ("disable_session_renewal", "yes", "must be true or false"),
    ("queue_all", 1, "must be true or false"),
    ("queueing_method", "lifo", "must be one of fifo, random, passthrough, reject"),
    ("queueing_method", ["fifo"], "must be one of fifo"),
    ("queueing_method", None, "must be one of fifo"),
    ("queueing_status_code", 404, "must be one of 200, 202, 429"),
    ("queueing_status_code", "200", "must be one of 200, 202, 429"),
    ("custom_page_html", 5, "must be a text"),
    ("custom_page_html", "x" * (1024 * 1024 + 1), "at most 1048576 bytes"),
    ("custom_page_html", "ü" * (512 * 1024 + 1), "at most 1048576 bytes"),
    ("default_template_language", "english", "must be a language"),
    ("enabled_origin_commands", ["stop"], "must be one of revoke"),
    ("max_waiting", 0, "whole number from 1"),
    ("claim_window_s", 0, "from 1 to 86400"),
    ("recall_share", 0.51, "number from 0 to 0.5"),
    ("recall_share", float("nan"), "number from 0 to 0.5"),
    ("lane_shares", {"verified": 0.9, "standard": 0.05, "suspect": 0.01}, "must make 1 together, not 0.96"),
    ("lane_shares", {"verified": 0.5, "standard": 0.5, "suspect": 0.0}, "number from 0.01 to 1"),
    ("bot_guard", "block", "must be one of"),
    ("bot_thresholds", {"prove": 0.1}, "number from 0.2 to 1"),
    ("bot_thresholds", {"slow": 0.79}, "number from 0.8 to 1"),
    ("bot_thresholds", {"prove": 0.6, "step_up": 0.5}, "must not fall from prove"),
    ("message", "x" * 281, "at most 280"),
    ("failure_stance", "open", "must be one of fail_closed, fail_open"),
    ("allowed_targets", ["https://shop"], "must be a host name"),
    ("allowed_targets", ["*"], "must be a host name"),
    ("stock_state", "gone", "must be one of selling, last, soldout"),
    ("stock_left", -1, "whole number from 0"),
    ("stock_left", 1.5, "whole number from 0"),
    ("moved_to", "", "must be a path such as"),
    ("moved_to", "tickets", "must be a path such as"),
    ("moved_to", "//evil.test/x", "must be a path such as"),
    ("moved_to", "/\\evil.test", "must be a path such as"),
    ("moved_to", "/a b", "must be a path such as"),
    ("moved_to", "/" + "x" * 301, "must be a path such as"),
    ("moved_to", "http://shop.example.com/", "must be a path such as"),
    ("moved_to", "javascript:alert(1)", "must be a path such as"),
    ("moved_to", "https://", "must be a path such as"),
    ("moved_to", "https://[::1", "must be a path such as"),
    ("moved_to", "https://user@shop.example.com/", "must be a path such as"),
    ("moved_to", "https://elsewhere.test/sale", "whose host stands in allowed_targets"),
    ("draw_lead_s", -1, "from 0 to 86400"),
    ("theme", "dark", "theme must be a table"),
    ("theme", {"colors": {}}, "theme.colors is unknown"),
    ("theme", {"colours": {"ink": "black"}}, "theme.colours.ink must be a colour"),
    ("theme", {"colours": {"ink": "#ffffff", "paper": "#fffffe"}}, "needs 4.5"),
    ("frame_ancestors", ["https://a; script-src *"], "must be 'self' or a source"),
    ("sales", {}, "must be a list"),
    ("sales", ["spring"], "must be a table"),
    ("sales", [SALE] * 101, "at most 100 entries"),
    ("sales", [SALE, SALE], "stands 2 times"),
    ("nosuch", 1, "is not known"),
    ("new_user_per_minute", 1, "did you mean new_users_per_minute?"),
]


@pytest.mark.parametrize(("field", "value", "told"), BAD_FIELDS)
def test_a_bad_value_is_refused_by_name(field: str, value: object, told: str) -> None:
    """The fault names the field, and what may stand there."""
    faults = faults_of({**LEAST, field: value})

    assert any(fault.startswith(field) and told in fault for fault in faults), faults


def test_a_place_is_an_identity_s_or_a_browser_s() -> None:
    """What is found again on any device cannot be bound to one."""
    parse({**LEAST, "identity": "code", "bind": "none"})
    (fault,) = faults_of({**LEAST, "identity": "code", "bind": "browser"})
    assert fault.startswith("bind: ")


BAD_SALES: list[tuple[dict[str, Any], str]] = [
    ({"name": "always"}, "name must not be always"),
    ({"event_start_time": "2026-06-01T10:00:00"}, "needs a zone"),
    ({"event_start_time": "soon"}, "must be a time such as"),
    ({"event_start_time": 1_780_300_800}, "must be a time such as"),
    ({"event_start_time": "1969-06-01T10:00:00Z"}, "between the years 1970 and 9900"),
    ({"event_end_time": "9999-12-31T23:59:59-23:00"}, "between the years 1970 and 9900"),
    ({"event_end_time": "2026-06-01T10:00:59+02:00"}, "at least a minute after event_start_time"),
    ({"prequeue_start_time": "2026-06-01T10:00:00+02:00"}, "must be before event_start_time"),
    ({"total_active_users": 5}, "must be given together"),
    ({"shuffle_at_event_start": True, "queueing_method": "reject"}, "has no line to shuffle"),
    ({"shuffle_at_event_start": True, "prequeue_start_time": None}, "is held among those who gathered"),
    ({"queueing_method": "random", "prequeue_start_time": None}, "is held among those who gathered"),
    (
        {"shuffle_at_event_start": True, "prequeue_start_time": "2026-06-01T09:58:30+02:00"},
        "draw closes 90 s",
    ),
    ({"session_lenght": 3}, "session_lenght is not known"),
]


@pytest.mark.parametrize(("change", "told"), BAD_SALES)
def test_a_bad_sale_is_refused_by_its_name(change: dict[str, Any], told: str) -> None:
    """The fault names the sale and the field."""
    sale = {**SALE, **change}

    faults = faults_of({**LEAST, "sales": [sale]})

    assert any(fault.startswith(f"sales.{sale['name']}.") and told in fault for fault in faults), faults


def test_all_faults_are_told_at_once() -> None:
    """Four wrong fields in a room and its sale give four sentences."""
    faults = faults_of(
        {"name": "main", "session_duration": 0, "hots": "a", "sales": [{**SALE, "suspended": "no"}]}
    )

    assert len(faults) == 4
    assert "origin is missing" in faults


def test_a_value_nested_without_end_is_refused_like_any_other() -> None:
    """The fault then names the kind of value, since it cannot be written out."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert faults_of({**LEAST, "paused": deep}) == ("paused must be true or false, not list",)


def test_sales_must_not_overlap_and_a_suspended_one_does_not_count() -> None:
    """A sale that opens before the one before it has ended is refused; at its very end it may open."""
    late = {**SALE, "name": "late", "event_start_time": "2026-06-01T13:00:00+02:00"}
    late["event_end_time"] = "2026-06-01T14:00:00+02:00"
    late["prequeue_start_time"] = "2026-06-01T11:59:59.999+02:00"

    told = faults_of({**LEAST, "sales": [late, SALE]})
    assert told == ("sales.late opens before sales.spring has ended: sales must not overlap",)

    late["prequeue_start_time"] = SALE["event_end_time"]
    assert [sale.name for sale in parse({**LEAST, "sales": [late, SALE]}).sales] == ["spring", "late"]
    late["prequeue_start_time"] = SALE["prequeue_start_time"]
    assert parse({**LEAST, "sales": [SALE, {**late, "suspended": True}]})


def test_random_without_a_date_is_refused() -> None:
    """A line that never ends has no moment at which a random order would be fair."""
    assert "queueing_method random needs sales" in faults_of({**LEAST, "queueing_method": "random"})[0]

    room = parse({**LEAST, "queueing_method": "random", "sales": [SALE]})
    assert draws(room, room.sales[0])


def test_a_sale_inherits_what_it_leaves_out_and_overrides_the_rest() -> None:
    """The merged view has the sale's value where there is one; a false is a value."""
    sale = {**SALE, "total_active_users": 9, "new_users_per_minute": 3, "disable_session_renewal": False}
    room = parse({**LEAST, "disable_session_renewal": True, "custom_page_html": "<p>", "sales": [sale]})

    view = merged(room, room.sales[0])

    assert (view.total_active_users, view.new_users_per_minute) == (9, 3)
    assert (view.disable_session_renewal, view.custom_page_html) == (False, "<p>")
    assert merged(room, None) is room
    told = details(room, room.sales[0])
    assert told["session_duration"] == 5
    assert told["queueing_method"] == "fifo"
    assert None not in {told[name] for name in OVERRIDES}


@pytest.mark.parametrize(
    ("moved_to", "hosts", "good"),
    [
        ("/spring?a=1#b", [], True),
        ("https://www.example.com/spring", ["www.example.com"], True),
        ("https://WWW.example.com./spring", ["www.example.com"], True),
        ("https://www.example.com:8443/", ["www.example.com:8443"], True),
        ("https://www.example.com/", ["www.example.com:443"], True),
        ("https://www.example.com:8443/", ["www.example.com"], False),
        ("https://www.example.com.evil.test/", ["www.example.com"], False),
    ],
)
def test_a_sale_moves_only_to_where_a_fan_may_go(moved_to: str, hosts: list[str], good: bool) -> None:
    """A path of this site, or an https address whose host the operator has listed; its port counts."""
    document = {**LEAST, "moved_to": moved_to, "allowed_targets": hosts}

    if good:
        assert parse(document).moved_to == moved_to
    else:
        assert faults_of(document)


@pytest.mark.parametrize(
    ("frames", "samesite", "secure", "tls", "marks"),
    [
        ([], "auto", "auto", True, (True, "lax", False)),
        ([], "auto", "auto", False, (False, "lax", False)),
        (["'self'"], "auto", "auto", True, (True, "lax", False)),
        (["https://a.test"], "auto", "auto", True, (True, "none", True)),
        (["'self'", "https://a.test"], "auto", "always", False, (True, "none", True)),
        (["https://a.test"], "auto", "auto", False, (False, "lax", False)),
        (["https://a.test"], "auto", "never", True, (False, "lax", False)),
        (["https://a.test"], "lax", "auto", True, (True, "lax", False)),
        (["https://a.test"], "strict", "auto", True, (True, "strict", False)),
        ([], "none", "auto", True, (True, "none", True)),
        ([], "none", "auto", False, (False, "lax", False)),
    ],
)
def test_cookies_are_marked_for_where_the_room_is_shown(
    frames: list[str], samesite: str, secure: str, tls: bool, marks: tuple[bool, str, bool]
) -> None:
    """A frame of another site keeps only `None; Secure; Partitioned`; without TLS a browser takes no such cookie."""
    room = parse(
        {**LEAST, "frame_ancestors": frames, "cookie_attributes": {"samesite": samesite, "secure": secure}}
    )

    assert cookie_marks(room, tls=tls) == marks


def test_a_room_written_and_read_is_the_same_room() -> None:
    """Nothing is lost between a room and its document; times come back in UTC."""
    room = parse(
        {
            **LEAST,
            "additional_routes": [{"host": "A.example.com", "path": "/x"}],
            "cookie_attributes": {"samesite": "none"},
            "lane_shares": {"verified": 0.2, "standard": 0.7, "suspect": 0.1},
            "message": "Doors open soon.\nThank you.",
            "allowed_targets": ["shop.example.com:8443", "[::1]:80"],
            "frame_ancestors": ["'self'", "https://*.example.com"],
            "max_waiting": 10,
            "stock_state": "last",
            "theme": {"colours": {"accent": "#A03000"}, "texts": {"de": {"action.leave": "Weg hier"}}},
            "stock_left": 12,
            "moved_to": "https://shop.example.com:8443/spring",
            "sales": [{**SALE, "event_end_time": "2026-06-01T12:00:00.250+02:00"}],
        }
    )

    document = to_dict(room)

    assert parse(document) == room
    assert room.routes[1] == Route("a.example.com", "/x")
    assert document["sales"][0]["event_start_time"] == "2026-06-01T08:00:00Z"
    assert document["sales"][0]["event_end_time"] == "2026-06-01T10:00:00.250Z"
    assert room.sale("spring") == room.sales[0]
    assert room.sale("winter") is None
    assert room.sales[0].event_start_ms == START_MS
    assert {"version", "source_hash"}.isdisjoint(document)


def test_every_setting_has_one_reader_and_one_default() -> None:
    """The table of readers and the fields of a room name the same settings."""
    kept_apart = {"version", "source_hash", "sales"}

    assert {field.name for field in fields(Room)} - kept_apart == set(ROOM_FIELDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(
    document=st.dictionaries(st.sampled_from("abc"), JSON),
    patch=st.dictionaries(st.sampled_from("abc"), JSON),
)
def test_a_merge_patch_does_what_the_rfc_says(document: dict[str, Any], patch: dict[str, Any]) -> None:
    """RFC 7396: null removes, a table merges, anything else replaces, the rest stays."""
    result = merge_patch(document, patch)

    for name in {*document, *patch}:
        if name not in patch:
            assert result[name] == document[name]
        elif patch[name] is None:
            assert name not in result
        elif not isinstance(patch[name], dict):
            assert result[name] == patch[name]
        else:
            inner = document.get(name)
            assert result[name] == merge_patch(inner if isinstance(inner, dict) else {}, patch[name])


@given(value=JSON, field=st.sampled_from(sorted(ROOM_FIELDS)))
def test_no_value_at_all_makes_the_reader_fall_over(value: object, field: str) -> None:
    """Whatever stands in a field, the answer is a room or faults."""
    with suppress(Misconfigured):
        assert isinstance(parse({**LEAST, field: value}), Room)


def test_two_rooms_before_one_address_are_a_clash() -> None:
    """A request must belong to one room; rooms that are never asked by address may share the default."""
    first = parse({**LEAST, "host": "a.example.com", "path": "/x"})
    second = parse({**LEAST, "name": "two", "additional_routes": [{"host": "a.example.com", "path": "/x"}]})

    assert clashes([first, second]) == ["rooms.two and rooms.main both stand before a.example.com/x"]
    assert clashes([parse(LEAST), parse({**LEAST, "name": "two"})]) == []


def test_kept_settings_of_a_newer_version_are_read_without_what_is_new() -> None:
    """While two versions run side by side, the older one passes over names that it does not know."""
    text = '{"version":7,"_source_hash":"abc","name":"main","origin":"https://a.b","brand_new":1}'

    room = read_kept(text)

    assert room is not None
    assert (room.version, room.source_hash) == (7, "abc")
    assert read_kept(b"") is None
    assert read_kept(b'{"version":8,"_removed":true}') is None


@pytest.mark.parametrize("text", ["{", "[]", "7", "{}", '{"version":1}', '{"version":"x"}', "null"])
def test_kept_settings_that_make_no_sense_are_told(text: str) -> None:
    """A broken text in the store is a fault, not a crash."""
    with pytest.raises(Misconfigured):
        read_kept(text)


def test_every_setting_says_what_it_takes_and_one_that_does_not_is_named() -> None:
    """The API's description needs it; whoever adds a reader is told which line is missing."""

    def turbo(value: object) -> object:
        return value

    for reader in (*ROOM_FIELDS.values(), *SALE_FIELDS.values()):
        assert {"type", "anyOf"} & reads.schema_of(reader).keys()
    with pytest.raises(KeyError, match=r"turbo needs a line such as described\("):
        reads.optional(turbo)
