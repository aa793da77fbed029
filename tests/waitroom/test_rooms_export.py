"""Export: rooms as the TOML that makes them, and nothing that has its default."""

import tomllib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from waitroom.field_readers import moment_text
from waitroom.room_fields import ROOM_FIELDS, SALE_FIELDS
from waitroom.rooms import Room, parse, sale_to_dict, to_dict
from waitroom.rooms_export import to_toml
from waitroom.rooms_toml import named_in, parse_toml

LINE = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=20
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40) | st.sampled_from(
    ['"""', '""""""', 'a\n"""', '\n"', "\\", "\\\n", "\r\n", "\x7f\x1b\t", "\n\n", 'x"\ny"']
)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
COUNT = st.integers(1, 1_000_000)
COLOURS = st.fixed_dictionaries({}, optional={name: st.just("#ff8f52") for name in ("glow", "light", "leaf")})
ROUTE = st.fixed_dictionaries(
    {"host": st.sampled_from(["*", "a.example.com"]), "path": st.sampled_from(["/x", "/y~"])}
)

OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "description": LINE,
    "host": st.sampled_from(["*", "b.example.com"]),
    "path": st.sampled_from(["/", "/tickets"]),
    "additional_routes": st.lists(ROUTE, max_size=2),
    "cookie_suffix": st.sampled_from(["", "a_B-1"]),
    "cookie_attributes": st.fixed_dictionaries({}, optional={"samesite": st.sampled_from(["auto", "none"])}),
    "total_active_users": COUNT,
    "new_users_per_minute": COUNT,
    "session_duration": st.integers(1, 1440),
    "disable_session_renewal": st.booleans(),
    "draining": st.booleans(),
    "queueing_method": st.sampled_from(["fifo", "passthrough", "reject"]),
    "custom_page_html": st.none() | TEXT,
    "queue_all": st.booleans(),
    "suspended": st.booleans(),
    "queueing_status_code": st.sampled_from([200, 202, 429]),
    "json_response_enabled": st.booleans(),
    "default_template_language": st.sampled_from(["en-US", "pt-BR"]),
    "enabled_origin_commands": st.sampled_from([[], ["revoke"]]),
    "max_waiting": st.none() | COUNT,
    "claim_window_s": st.integers(1, 86_400),
    "claim_extensions": st.integers(0, 20),
    "recall_share": st.floats(0, 0.5),
    "lane_shares": st.sampled_from([{}, {"verified": 0.5, "standard": 0.45}]),
    "challenge": st.fixed_dictionaries({}, optional={"way": st.sampled_from(["work", "none"])}),
    "bind": st.sampled_from(["none", "browser"]),
    "bot_guard": st.sampled_from(["off", "watch", "on"]),
    "bot_thresholds": st.fixed_dictionaries({}, optional={"prove": st.floats(0.2, 0.9)}),
    "paused": st.booleans(),
    "bypass": st.booleans(),
    "message": st.sampled_from(["", "Soon.", 'We "begin"\nat ten\\']),
    "stock_state": st.none() | st.sampled_from(["selling", "soldout"]),
    "stock_left": st.none() | st.integers(0, 10),
    "moved_to": st.none() | st.just("/later"),
    "failure_stance": st.sampled_from(["fail_closed", "fail_open"]),
    "allowed_targets": st.sampled_from([[], ["a.example.com:8443", "b.example.com"]]),
    "draw_lead_s": st.integers(0, 86_400),
    "drain_s": st.integers(0, 86_400),
    "join_rate_per_minute": COUNT,
    "join_burst": COUNT,
    "theme": st.fixed_dictionaries(
        {}, optional={"colours": COLOURS, "texts": st.just({"en": {"turn.title": 'Your "turn"'}, "pt-BR": {"a": "b"}})}
    ),
    "frame_ancestors": st.sampled_from([[], ["'self'", "https://www.example.com"]]),
    "reminder_minutes": st.none() | st.integers(1, 120),
}  # fmt: skip
SALE: dict[str, st.SearchStrategy[Any]] = {
    "description": LINE,
    "suspended": st.booleans(),
    "session_duration": st.none() | st.integers(1, 1440),
    "disable_session_renewal": st.none() | st.booleans(),
    "queueing_method": st.none() | st.sampled_from(["fifo", "passthrough", "reject"]),
    "custom_page_html": st.none() | TEXT,
}  # fmt: skip


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """Draw a room that may be."""
    document = draw(
        st.fixed_dictionaries(
            {"name": NAMES, "origin": st.just("https://shop.example.com")}, optional=OPTIONAL
        )
    )
    starts_ms = draw(st.integers(10_000_000, 200_000_000_000))
    sales = []
    for index in range(draw(st.integers(0, 2))):
        at_ms = starts_ms + index * 10_000_000
        sale = draw(st.fixed_dictionaries({}, optional=SALE))
        sale |= {
            "name": f"s{index}",
            "event_start_time": moment_text(at_ms),
            "event_end_time": moment_text(at_ms + 60_000),
        }
        if draw(st.booleans()):
            sale |= {
                "prequeue_start_time": moment_text(at_ms - 1),
                "total_active_users": 3,
                "new_users_per_minute": 2,
            }
        sales.append(sale)
    return parse({**document, "sales": sales})  # fmt: skip


@given(found=st.lists(rooms(), max_size=2, unique_by=lambda room: room.name))
def test_what_is_exported_makes_the_same_rooms(found: list[Room]) -> None:
    """Written and read again, the rooms are equal, whatever stands in their texts."""
    found = [replace(room, host=f"h{index}.example.com", additional_routes=()) if index else room
             for index, room in enumerate(found)]  # fmt: skip

    read = parse_toml(to_toml(found))

    assert [replace(room, source_hash="") for room in read] == sorted(found, key=lambda room: room.name)


@given(room=rooms())
def test_only_what_differs_is_written(room: Room) -> None:
    """A setting with its default is not in the file; the origin, the name and a sale's times always are."""
    table = tomllib.loads(to_toml([replace(room, version=7, source_hash="abc")]))["rooms"][room.name]
    usual = to_dict(Room(room.name, ""))

    assert table["origin"] == room.origin
    assert {name for name in table if name not in ROOM_FIELDS} <= {"sales"}
    assert [name for name in table if name != "sales" and to_dict(room)[name] == usual[name]] == []
    for sale, known in zip(table.get("sales", []), room.sales, strict=True):
        kept = sale_to_dict(known)
        assert (
            {name for name, value in kept.items() if value not in (None, "", False)}
            <= sale.keys()
            <= kept.keys()
        )


def test_every_field_is_drawn() -> None:
    """A setting that is new must be drawn above, or nobody would know whether it is exported."""
    assert ROOM_FIELDS.keys() - OPTIONAL.keys() == {"name", "origin", "identity"}
    dated = {"name", "event_start_time", "event_end_time", "prequeue_start_time", "total_active_users",
             "new_users_per_minute", "shuffle_at_event_start"}  # fmt: skip
    assert SALE_FIELDS.keys() - SALE.keys() == dated


def test_the_file_is_what_a_person_would_write() -> None:
    """Tables for what has tables, times in ISO, a page over several lines."""
    room = parse(
        {
            "name": "main",
            "origin": "https://shop.example.com",
            "identity": "code",
            "queueing_method": "random",
            "custom_page_html": "<p>\n</p>",
            "lane_shares": {"verified": 0.5, "standard": 0.45, "suspect": 0.05},
            "additional_routes": [{"host": "*", "path": "/x"}],
            "theme": {"texts": {"en": {"turn.title": "Now"}}},
            "sales": [
                {
                    "name": "spring",
                    "prequeue_start_time": "2027-03-01T10:00:00.500+01:00",
                    "event_start_time": "2027-03-01T10:00:00Z",
                    "event_end_time": "2027-03-01T16:00:00Z",
                    "shuffle_at_event_start": True,
                }
            ],
        }
    )

    assert to_toml([room]) == (
        '[rooms.main]\norigin = "https://shop.example.com"\n'
        'additional_routes = [{ host = "*", path = "/x" }]\nqueueing_method = "random"\n'
        'custom_page_html = """\n<p>\n</p>"""\nidentity = "code"\n\n'
        "[rooms.main.lane_shares]\nverified = 0.5\nstandard = 0.45\n\n"
        '[rooms.main.theme.texts.en]\n"turn.title" = "Now"\n\n'
        '[[rooms.main.sales]]\nname = "spring"\nevent_start_time = 2027-03-01T10:00:00Z\n'
        "event_end_time = 2027-03-01T16:00:00Z\nprequeue_start_time = 2027-03-01T09:00:00.500Z\n"
        "shuffle_at_event_start = true\n"
    )
    assert to_toml([]) == ""


def test_what_a_file_names_is_known() -> None:
    """By room, as it stands there: also a switch that is named with its default."""
    text = '[rooms.main]\norigin = "http://a"\npaused = false\n\n[rooms.b]\norigin = "http://b"\n'

    assert named_in(text) == {"main": {"origin", "paused"}, "b": {"origin"}}
    assert named_in("") == {}
