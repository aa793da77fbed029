"""``waitroom shop staff``: a token is told once, names and ends are listed, and one that is removed is gone."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people.staff import Member, StaffRole
from checkout.people.staff_tokens import StaffTokens
from checkout.tables import STAFF_FACTORS
from gateway.cli import main
from gateway.settings import Settings
from gateway.staff_command import ROLES
from kernel.clock import SystemClock


def test_a_token_from_its_making_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the token stands on standard output, so that a script can take it."""
    data = ["--data", str(tmp_path)]
    assert main(["shop", "staff", "add", "ida", "--role", "support", "--days", "2", *data]) == 0
    made = capsys.readouterr()
    tokens = StaffTokens(tmp_path / "staff-tokens.json", SystemClock())
    member = tokens.member(made.out.strip())
    assert main(["shop", "staff", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert main(["shop", "staff", "remove", "ida", *data]) == 0

    assert member == Member("ida", StaffRole.SUPPORT)
    assert made.out.count("\n") == 1
    assert made.out.strip() not in made.err + listed
    assert listed.split()[:2] == ["ida", "support"]
    assert tokens.member(made.out.strip()) is None


def test_a_person_gets_a_device_and_loses_it_with_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, with ten recovery codes; where there is no shop yet, nothing is made."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    data = ["--data", str(tmp_path)]
    add = ["shop", "staff", "add", "ida", "--role", "organiser", "--person", *data]
    early = main(add)
    nothing = list(tmp_path.iterdir())
    capsys.readouterr()
    with closing(ShopDatabase(Settings(data=tmp_path).shop_database_address)) as database:
        database.open()
        made = main(add)
        lines = capsys.readouterr().out.splitlines()
        with database.reading() as connection:
            there = connection.scalars(sa.select(STAFF_FACTORS.c.name)).all()
        removed = main(["shop", "staff", "remove", "ida", *data])
        with database.reading() as connection:
            left = connection.scalars(sa.select(STAFF_FACTORS.c.name)).all()

    assert early != 0
    assert nothing == []
    assert (made, removed) == (0, 0)
    assert [line.partition(":")[0] for line in lines] == ["device", *["recovery"] * 10, "token"]
    assert lines[0].split()[1].startswith("otpauth://totp/Waitroom:ida?secret=")
    assert (there, left) == (["ida"], [])


@pytest.mark.parametrize("more", [["--role", "king"], [], ["--role", "owner", "--days", "0"]])
def test_a_wrong_role_or_end_is_refused(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is made."""
    with pytest.raises(SystemExit):
        main(["shop", "staff", "add", "ida", *more, "--data", str(tmp_path)])

    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_command_knows_every_role() -> None:
    """Without loading them when it starts."""
    assert set(ROLES) == {role.value for role in StaffRole}
