"""``waitroom shop people``: what it does at the command line, with an installation's own files."""

from contextlib import closing
from pathlib import Path

import pytest

from checkout.database import ShopDatabase
from gateway import people_command
from gateway.cli import main
from gateway.settings import Settings
from tests.checkout.people.sealed import keys_in, opened, put_contact


def _installation(folder: Path) -> ShopDatabase:
    database = ShopDatabase(Settings(data=folder).shop_database_address)
    database.open()
    put_contact(database, keys_in(folder), "O1", "ann@example.org")
    return database


def test_a_rotation_at_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells what it did; the old key stays a minute, and the exit status says so."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    with closing(_installation(tmp_path)) as database:
        first = keys_in(tmp_path).document.active.name
        status = main(["shop", "people", "rotate", "--no-wait", "--data", str(tmp_path)])
        out, err = capsys.readouterr()
        keys = keys_in(tmp_path)

        assert status == 1
        assert out.splitlines() == [
            f"{keys.document.active.name} seals now: 1 rows sealed anew",
            f"{first} stays, it was retired less than a minute ago; the same command again goes on",
        ]
        assert err == "main: contacts: 1 of 1\n"
        assert opened(database, keys) == {"O1": "ann@example.org"}


def test_it_waits_until_the_old_key_can_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking again and again; the minute is made short here."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(people_command, "LOOK_S", 0.01)
    monkeypatch.setattr("checkout.people.rotating.SETTLE_MS", 20)
    with closing(_installation(tmp_path)) as database:
        first = keys_in(tmp_path).document.active.name
        status = main(["shop", "people", "rotate", "--data", str(tmp_path)])

        assert status == 0
        assert f"{first} is dropped" in capsys.readouterr().out
        assert opened(database, keys_in(tmp_path)) == {"O1": "ann@example.org"}


def test_without_a_shop_there_is_nothing_to_seal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no empty database is made, nor a key."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")

    assert main(["shop", "people", "rotate", "--data", str(tmp_path)]) != 0
    assert "There is no shop's database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
