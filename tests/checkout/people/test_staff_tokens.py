"""The staff's tokens: told once, kept as a hash, with a role and an end; taken out, they count nowhere."""

import json
from pathlib import Path

import pytest

from checkout.people import staff_tokens
from checkout.people.staff import Member, StaffRole
from checkout.people.staff_tokens import StaffTokens, parse
from kernel.clock import ManualClock
from kernel.errors import Misconfigured

NOW_MS, UNTIL_MS = 1_000, 5_000


def tokens_in(folder: Path, clock: ManualClock) -> StaffTokens:
    """Open the tokens of a folder."""
    return StaffTokens(folder / "staff-tokens.json", clock)


def test_a_token_is_its_owners_until_its_end(tmp_path: Path) -> None:
    """Half-open: at its end it counts no more. No other text is anybody's."""
    clock = ManualClock(NOW_MS)
    tokens = tokens_in(tmp_path, clock)
    token = tokens.add("ida", StaffRole.SUPPORT, UNTIL_MS)
    before = tokens.member(token)
    others = [tokens.member(text) for text in ("", "ida", token[:-1], token + "a", token.upper())]
    clock.set(UNTIL_MS - 1)
    last = tokens.member(token)
    clock.set(UNTIL_MS)
    after = tokens.member(token)

    assert before == last == Member("ida", StaffRole.SUPPORT)
    assert after is None
    assert others == [None] * 5


def test_the_file_has_no_token_and_is_its_owners_alone(tmp_path: Path) -> None:
    """A hash of each; mode 0600; and two tokens are never the same."""
    tokens = tokens_in(tmp_path, ManualClock(NOW_MS))
    made = {tokens.add(f"n{number}", StaffRole.VIEWER, UNTIL_MS) for number in range(4)}
    path = tmp_path / "staff-tokens.json"

    assert len(made) == 4
    assert all(len(token) >= 43 for token in made)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(token in path.read_text() for token in made)


def test_what_is_added_and_removed_counts_in_every_process_at_once(tmp_path: Path) -> None:
    """Also in one that was there before the file."""
    clock = ManualClock(NOW_MS)
    one, two = tokens_in(tmp_path, clock), tokens_in(tmp_path, clock)
    token = one.add("ida", StaffRole.OWNER, UNTIL_MS)
    there = two.member(token)
    two.remove("ida")

    assert there == Member("ida", StaffRole.OWNER)
    assert one.member(token) is None
    with pytest.raises(Misconfigured, match="no token of ida"):
        one.remove("ida")


def test_a_file_that_is_damaged_or_gone_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was taken out must not come back because the file was broken; the mutant that keeps them is seen."""
    tokens = tokens_in(tmp_path, ManualClock(NOW_MS))
    token = tokens.add("ida", StaffRole.OWNER, UNTIL_MS)
    path = tmp_path / "staff-tokens.json"
    text = path.read_text()
    path.write_text("{}")
    damaged = tokens.member(token)
    path.write_text(text + "\n")
    again = tokens.member(token)
    path.unlink()
    gone = tokens.member(token)
    path.write_text(text)
    monkeypatch.setattr(staff_tokens.StaffTokens, "refresh", lambda _: None)
    mutant = tokens_in(tmp_path, ManualClock(NOW_MS))
    path.write_text("{}")

    assert (damaged, gone) == (None, None)
    assert again is not None
    assert mutant.member(token) is not None


@pytest.mark.parametrize(
    "name", ["", "organiser", "Ida", "ida@example.org", "a b", "-a", "a" * 41, "ä", "a\n"]
)
def test_a_name_is_a_word_for_the_log(name: str, tmp_path: Path) -> None:
    """No address, no line break, and not the name of the settings' own token."""
    with pytest.raises(Misconfigured, match="cannot be a name"):
        tokens_in(tmp_path, ManualClock(NOW_MS)).add(name, StaffRole.VIEWER, UNTIL_MS)


def test_a_name_has_one_token(tmp_path: Path) -> None:
    """So that removing it takes everything."""
    tokens = tokens_in(tmp_path, ManualClock(NOW_MS))
    tokens.add("ida", StaffRole.VIEWER, UNTIL_MS)

    with pytest.raises(Misconfigured, match="a token of ida already"):
        tokens.add("ida", StaffRole.OWNER, UNTIL_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "king"},
        {"name": "organiser"},
        {"digest": "abc"},
        {"until_ms": "never"},
        {"name": None},
    ],
)
def test_a_file_that_is_none_is_told_at_the_start(change: dict[str, object], tmp_path: Path) -> None:
    """With what is wrong of it."""
    tokens = tokens_in(tmp_path, ManualClock(NOW_MS))
    tokens.add("ida", StaffRole.VIEWER, UNTIL_MS)
    plain = json.loads((tmp_path / "staff-tokens.json").read_text())
    plain["tokens"][0].update(change)

    with pytest.raises(Misconfigured, match="staff's tokens"):
        parse(json.dumps(plain))
