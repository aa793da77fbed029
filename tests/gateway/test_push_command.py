"""``waitroom shop push``: keys of messages in browsers, at the command line, with an installation's own file."""

from pathlib import Path

import pytest

from gateway.cli import main
from kernel.vapid import VapidKeys


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a store that nobody asks."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")


def told(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """Run the command; returns its status and its lines."""
    status = main(["shop", "push", *words, "--data", str(folder)])
    return status, capsys.readouterr().out.splitlines()


def test_keys_are_listed_replaced_and_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A running process has the same, and no line has a secret."""
    first = VapidKeys.open_keys(tmp_path / "push-keys.json", 0)
    old = first.newest
    rotated = told(tmp_path, capsys, "rotate")
    new = first.newest
    listed = told(tmp_path, capsys, "list")
    dropped = told(tmp_path, capsys, "drop", old.public)
    again = told(tmp_path, capsys, "drop", old.public)
    last = told(tmp_path, capsys, "drop", new.public)

    assert rotated[0] == dropped[0] == 0
    assert new.public in rotated[1][0]
    assert [line.split()[0] for line in listed[1]] == [old.public, new.public]
    assert [line.split()[-1] for line in listed[1]] == ["signs", "newest"]
    assert (again[0], last[0]) != (0, 0)
    assert first.keys == (new,)
    every = "".join(line for _, lines in (rotated, listed, dropped, again, last) for line in lines)
    assert old.secret not in every
    assert new.secret not in every
