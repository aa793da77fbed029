"""Rooms in TOML: the shape of the file, and ten faults told at once."""

import pytest

from kernel.errors import Misconfigured
from waitroom.rooms_toml import parse_toml

GOOD = """
[rooms.main]
origin = "https://shop.example.com"
new_users_per_minute = 60

[[rooms.main.sales]]
name = "spring"
event_start_time = 2026-06-01T10:00:00+02:00
event_end_time = 2026-06-01T12:00:00+02:00

[rooms.vip]
origin = "https://vip.example.com"
path = "/vip"
"""

TEN = """
[rooms.main]
origin = "shop.example.com"
new_users_per_minutes = 60
total_active_users = 0
session_duration = "5"

[rooms.main.cookie_attributes]
samesite = "maybe"

[[rooms.main.sales]]
name = "spring"
event_start_time = 2026-06-01T10:00:00
event_end_time = 2026-06-01T12:00:00+02:00

[[rooms.main.sales]]
event_start_time = 2026-06-01T10:00:00Z
event_end_time = 2026-06-01T12:00:00Z

[rooms.VIP]
origin = "https://vip.example.com"

[rooms.late]
lane_shares = 3

[room.extra]
"""


def faults_of(text: str) -> tuple[str, ...]:
    """Return what is said against a text."""
    with pytest.raises(Misconfigured) as error:
        parse_toml(text)
    return error.value.faults


def test_rooms_and_their_sales_are_read() -> None:
    """A table for each room, a list of tables for its sales; TOML's own times do."""
    main, vip = parse_toml(GOOD)

    assert (main.name, main.new_users_per_minute, main.sales[0].event_start_ms) == (
        "main",
        60,
        1_780_300_800_000,
    )
    assert (vip.name, vip.path, vip.sales) == ("vip", "/vip", ())


def test_ten_faults_are_ten_sentences_with_room_and_field() -> None:
    """Whoever corrects the file needs one start, not ten."""
    faults = faults_of(TEN)

    assert len(faults) == 11
    for begin in (
        "room is not known; did you mean rooms?",
        "rooms.main.origin must be an address",
        "rooms.main.new_users_per_minutes is not known; did you mean new_users_per_minute?",
        "rooms.main.total_active_users must be",
        'rooms.main.session_duration must be a whole number from 1 to 1440, not "5"',
        "rooms.main.cookie_attributes is wrong: samesite must be one of",
        "rooms.main.sales.spring.event_start_time needs a zone",
        "rooms.main.sales[1].name is missing",
        "rooms.VIP: a room's name must be",
        "rooms.late.lane_shares must be a table",
        "rooms.late.origin is missing",
    ):
        assert any(fault.startswith(begin) for fault in faults), begin


def test_a_file_that_is_no_toml_names_the_line() -> None:
    """The syntax error says where."""
    assert "line 3" in faults_of("\n[rooms.main]\norigin = \n")[0]
    assert "line 3" in faults_of("[rooms.main]\n[rooms.vip]\n[rooms.main]\n")[0]
    assert "nested too deeply" in faults_of("a = " + "[" * 100_000)[0]


def test_shapes_that_are_no_rooms_are_told() -> None:
    """A value where a table belongs, and a name inside a table that already has one."""
    assert "must be tables such as [rooms.main]" in faults_of("rooms = 3")[0]
    assert faults_of("[rooms]\nmain = 3")[0] == "rooms.main must be a table, not 3"
    assert "the table's own name" in faults_of('[rooms.main]\nname = "x"\norigin = "https://a.b"')[0]
    clash = '[rooms.a]\norigin = "https://a.b"\npath = "/x"\n[rooms.b]\norigin = "https://a.b"\npath = "/x"'
    assert faults_of(clash) == ("rooms.b and rooms.a both stand before */x",)


def test_other_tables_may_stand_beside_when_they_are_named() -> None:
    """One file can hold rooms and the settings of the processes."""
    assert parse_toml("[server]\nport = 1\n", beside=("server",)) == []
    assert faults_of("[server]\nport = 1\n") == ("server is not known",)


def test_the_hash_follows_the_text_of_the_one_room() -> None:
    """Blanks, order and other rooms do not change it; a value does."""
    one = parse_toml('[rooms.a]\norigin = "https://a.b"\npath = "/x"')[0].source_hash

    assert parse_toml('[rooms.a]\npath="/x"\norigin  = "https://a.b"')[0].source_hash == one
    assert (
        parse_toml('[rooms.b]\norigin="https://c.d"\n[rooms.a]\npath="/x"\norigin="https://a.b"')[
            1
        ].source_hash
        == one
    )
    assert parse_toml('[rooms.a]\norigin = "https://a.b"\npath = "/y"')[0].source_hash != one
