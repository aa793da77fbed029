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


INVITE = ["shop", "staff", "invite", "ida", "--role", "support"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a shop's database, and a provider in the settings; returns the options that name them."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    for name, value in (("ISSUER", "https://id.example"), ("CLIENT_ID", "desk"), ("CLIENT_SECRET", "secret")):
        monkeypatch.setenv(f"WAITROOM_STAFF_OIDC_{name}", value)
    monkeypatch.setenv("WAITROOM_PUBLIC_URL", "https://tickets.example")
    with closing(ShopDatabase(f"sqlite:///{(tmp_path / 'shop.db').resolve()}")) as database:
        database.open()
    return ["--data", str(tmp_path)]


def test_a_person_is_invited_listed_changed_and_removed(
    shop: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By an address, or by their name at the provider; an address is told to nobody again."""
    made = [
        main([*INVITE, "--email", "ida@example.org", *shop]),
        main(["shop", "staff", "invite", "bob", "--role", "owner", "--subject", "subject-of-bob", *shop]),
    ]
    told = capsys.readouterr().out
    listed = main(["shop", "staff", "list", *shop])
    lines = capsys.readouterr().out.splitlines()
    changed = main(["shop", "staff", "role", "ida", "viewer", *shop])
    removed = [main(["shop", "staff", "remove", "ida", *shop]) for _ in range(2)]
    capsys.readouterr()
    main(["shop", "staff", "list", *shop])
    left = capsys.readouterr().out.splitlines()

    assert (made, listed, changed) == ([0, 0], 0, 0)
    assert "https://tickets.example/staff" in told
    assert [line.split()[:2] for line in lines] == [["bob", "owner"], ["ida", "support"]]
    assert ["invited until" in line for line in lines] == [False, True]
    assert "example.org" not in "".join(lines)
    assert (removed[0], removed[1] != 0) == (0, True)
    assert [line.split()[0] for line in left] == ["bob"]


def test_a_name_is_a_persons_or_a_programs(shop: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Never both, so that nobody's second factor is taken away by another's removal."""
    token = main(["shop", "staff", "add", "ida", "--role", "support", *shop])
    invited = main([*INVITE, "--email", "ida@example.org", *shop])
    person = main(["shop", "staff", "invite", "bob", "--role", "support", "--email", "b@example.org", *shop])
    added = main(["shop", "staff", "add", "bob", "--role", "support", *shop])
    wrong = [
        main(["shop", "staff", "invite", "cy", "--role", "support", *whom, *shop])
        for whom in (["--email", "no address"], ["--email", "b@example.org"])
    ]
    nobody = main(["shop", "staff", "role", "ida", "owner", *shop])

    assert (token, person) == (0, 0)
    assert 0 not in {invited, added, nobody, *wrong}
    assert "There is a token of ida already" in capsys.readouterr().err


def test_without_a_provider_nobody_is_invited(
    shop: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invitation that nobody can take would only mislead."""
    for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"WAITROOM_STAFF_OIDC_{name}")

    assert main([*INVITE, "--email", "ida@example.org", *shop]) != 0
    assert "WAITROOM_STAFF_OIDC_ISSUER" in capsys.readouterr().err
