"""``waitroom shop staff``: a token is told once, names and ends are listed, and one that is removed is gone."""

from pathlib import Path

import pytest

from checkout.people.staff import Member, StaffRole
from checkout.people.staff_tokens import StaffTokens
from gateway.cli import main
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
