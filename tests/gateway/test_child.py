"""A child's pauses, and what the installation prepares before anything runs."""

import socket
import stat
from pathlib import Path

import pytest

from gateway.child import pause_s
from gateway.demo import (
    listen,
    operator_token,
    organiser_token,
    prepare_folder,
    room_before,
    with_shop,
)
from gateway.settings import Settings, load
from kernel.errors import Misconfigured
from waitroom.rooms_toml import parse_toml


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    """A child that cannot live does not burn the machine."""
    assert [pause_s(failures) for failures in (0, 1, 2, 3, 7, 8, 1000)] == [
        0.5,
        0.5,
        1.0,
        2.0,
        30.0,
        30.0,
        30.0,
    ]


def test_a_taken_port_is_a_sentence_that_says_what_to_do() -> None:
    """All taken ports at once, and no socket stays open."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        with pytest.raises(Misconfigured) as told:
            listen([("port", "127.0.0.1", ports[0]), ("operator_port", "127.0.0.1", ports[1])])

    assert told.value.faults == (
        f"Port {ports[0]} is taken by another program: stop that, or choose another port "
        "with WAITROOM_PORT or --port.",
        f"Port {ports[1]} is taken by another program: stop that, or choose another port "
        "with WAITROOM_OPERATOR_PORT or --operator-port.",
    )


def test_an_address_that_is_not_ours_is_a_sentence() -> None:
    """A typing error in the host."""
    with pytest.raises(Misconfigured) as told:
        listen([("port", "192.0.2.1", 0)])

    assert told.value.faults[0].startswith("192.0.2.1:0 (WAITROOM_PORT) cannot be used: ")


def test_a_data_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured) as told:
        prepare_folder(tmp_path / "file")

    assert told.value.faults[0].startswith(f"The data folder {tmp_path / 'file'} cannot be written: ")


def test_the_demo_makes_an_operators_token_once_for_its_owner_only(tmp_path: Path) -> None:
    """A second start finds it; nobody else can read it."""
    settings = load({"WAITROOM_DATA": str(tmp_path)})

    first = operator_token(settings, make=True)
    second = operator_token(settings, make=True)

    assert first == second
    assert len(first) >= 32
    assert stat.S_IMODE(settings.operator_token_path.stat().st_mode) == 0o600


def test_in_production_an_operators_token_must_be_there(tmp_path: Path) -> None:
    """Set, or in its file; one that can be guessed is refused."""
    settings = load({"WAITROOM_DATA": str(tmp_path)})

    with pytest.raises(Misconfigured) as told:
        operator_token(settings, make=False)
    settings.operator_token_path.write_text("short\n")
    with pytest.raises(Misconfigured, match="guessed"):
        operator_token(settings, make=False)

    assert told.value.faults[0].startswith("WAITROOM_OPERATOR_TOKEN: must be set")
    given = load({"WAITROOM_DATA": str(tmp_path), "WAITROOM_OPERATOR_TOKEN": "0123456789abcdef"})
    assert operator_token(given, make=False) == "0123456789abcdef"


def test_the_demos_room_gets_the_shops_real_port() -> None:
    """Whatever port the shop listens on."""
    assert with_shop('[rooms.main]\norigin = "http://127.0.0.1:8082"\npath = "/"\n', 9) == (
        '[rooms.main]\norigin = "http://127.0.0.1:9"\npath = "/"\n'
    )


def test_the_room_before_the_shop_is_the_first_that_leads_there() -> None:
    """Its events belong to that room; if none leads there they belong to none."""
    rooms = parse_toml(
        '[rooms.other]\norigin = "http://10.0.0.1:80"\npath = "/x"\n'
        '[rooms.shop]\norigin = "http://127.0.0.1:9"\npath = "/"\n'
    )

    assert room_before("http://127.0.0.1:9", rooms) == "shop"
    assert room_before("http://127.0.0.1:8", rooms) is None


def test_the_organisers_secret_is_another_than_the_operators(tmp_path: Path) -> None:
    """Each in a file of its own, for this user only."""
    settings = Settings(data=tmp_path)
    made = {operator_token(settings, make=True), organiser_token(settings, make=True)}

    assert len(made) == 2
    assert organiser_token(settings, make=False) in made
    assert stat.S_IMODE(settings.organiser_token_path.stat().st_mode) == 0o600
