"""``waitroom operators``: the first owner is made here, links and tokens are told once, and all counts at once."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from admission.keyring import KeyRing
from dashboards.access_books import AccessBooks
from dashboards.account_book import SAME, AccountBook, Same, Told
from dashboards.rights import Person, Role
from gateway.accounts import access_of
from gateway.cli import main
from gateway.settings import load
from kernel.clock import SystemClock
from kernel.totp import STEP_MS, code_at
from tests.dashboards.people import BY
from waitroom.configure import Actor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the data folder of an installation that has started once."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
    monkeypatch.setenv("WAITROOM_OPERATOR_URL", "https://control.example")
    KeyRing.open(tmp_path / "keyring.json", 1)
    return tmp_path


@pytest.fixture
def books(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[AccessBooks]:
    """Give the books of it, as a process that runs has them."""
    assert main(["operators", "list"]) == 0
    capsys.readouterr()
    ring = KeyRing.open(folder / "keyring.json", 1)
    with closing(access_of(load(), ring, SystemClock())) as made:
        yield made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command; return its status, what it told and what it said beside."""
    status = main(["operators", *words])
    told = capsys.readouterr()
    return status, told.out, told.err


def code_in(link: str) -> str:
    """Read the code off a link."""
    return parse_qs(urlsplit(link.strip()).query)["code"][0]


def test_the_first_owner_gets_a_link_and_no_password(
    books: AccessBooks, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command line seals a running process opens; a reset gives another link."""
    status, link, said = run(capsys, "add", "Ann Lee", "--role", "owner")
    assert (status, "24 hours" in said) == (0, True)
    assert re.fullmatch(r"https://control\.example/welcome\?code=[\w-]{32}\n", link)
    account = books.accounts.invited(code_in(link))
    assert account is not None
    assert (account.name, account.role, account.rooms) == ("Ann Lee", Role.OWNER, None)
    assert not books.accounts.has_owner()

    digits = code_at(b"s" * 20, SystemClock().now_ms() // STEP_MS)
    books.accounts.accept(code_in(link), "a few plain words", b"s" * 20, digits)
    assert books.accounts.has_owner()
    status, again, _ = run(capsys, "reset", "ann lee")
    assert (status, code_in(again) != code_in(link)) == (0, True)
    assert not books.accounts.has_owner()
    assert books.accounts.invited(code_in(again)) is not None


def test_roles_rooms_and_the_list(books: AccessBooks, capsys: pytest.CaptureFixture[str]) -> None:
    """Each change counts at once, and no code or token stands in the list."""
    link = run(capsys, "add", "Bob", "--role", "viewer", "--rooms", "main,late")[1]
    assert run(capsys, "role", "bob", "operator")[:2] == (0, "Bob is operator\n")
    assert run(capsys, "rooms", "Bob", "late")[:2] == (0, "Bob: late\n")
    found = books.accounts.find("Bob")
    assert found is not None
    assert (found.role, found.rooms) == (Role.OPERATOR, frozenset({"late"}))
    listed = run(capsys, "list")[1]
    assert re.search(r"^Bob +operator +late +invited until ", listed)
    assert code_in(link) not in listed
    assert run(capsys, "rooms", "Bob", "all")[:2] == (0, "Bob: all rooms\n")
    status, told, said = run(capsys, "remove", "Bob")
    assert (status, told, "operator token signs in again" in said) == (0, "Bob is removed\n", True)
    assert books.accounts.all() == []


def after_two_at_once(
    books: AccessBooks,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    role: Role | Same | None = None,
) -> tuple[Role, frozenset[str] | None]:
    """Have somebody make Bob a viewer just before `rooms` writes; return what he may then.

    `role` is the one that the command writes, where it is not what it wants to write.
    """
    run(capsys, "add", "Bob", "--role", "owner")
    real = AccountBook.change

    def second(
        own: AccountBook,
        name: str,
        wanted: Role | Same,
        rooms: frozenset[str] | None,
        by: Actor,
        **more: bool,
    ) -> Told:
        real(books.accounts, "Bob", Role.VIEWER, SAME, BY, keep_owner=False)
        return real(own, name, role or wanted, rooms, by, **more)

    monkeypatch.setattr(AccountBook, "change", second)
    assert run(capsys, "rooms", "Bob", "late")[:2] == (0, "Bob: late\n")
    found = books.accounts.find("Bob")
    assert found is not None
    return found.role, found.rooms


def test_two_who_change_a_person_at_once_lose_neither(
    books: AccessBooks, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is given other rooms keeps the role that somebody else has just given them, and the other way round."""
    assert after_two_at_once(books, capsys, monkeypatch) == (Role.VIEWER, frozenset({"late"}))


def test_a_role_that_was_read_before_is_noticed(
    books: AccessBooks, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what stays is what the command has read, so Bob is an owner again."""
    assert after_two_at_once(books, capsys, monkeypatch, Role.OWNER) == (Role.OWNER, frozenset({"late"}))


def test_tokens(books: AccessBooks, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone on standard output, once; they act by their names."""
    status, token, said = run(
        capsys, "tokens", "add", "deploy", "--role", "operator", "--rooms", "main", "--days", "7"
    )
    assert (status, "not told again" in said) == (0, True)
    assert books.tokens.who(token.strip()) == Person("deploy", Role.OPERATOR, frozenset({"main"}))
    listed = run(capsys, "tokens", "list")[1]
    assert re.match(r"deploy +operator +main +until .* last used ", listed)
    assert token.strip() not in listed
    assert run(capsys, "tokens", "remove", "deploy")[0] == 0
    assert books.tokens.who(token.strip()) is None


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "", "--role", "owner"), 2, "cannot be a name"),
        (("add", "api", "--role", "owner"), 2, "cannot be a name"),
        (("add", "Bob", "--role", "viewer"), 2, "already"),
        (("add", "Ann", "--role", "owner", "--rooms", ""), 2, "names no rooms"),
        (("add", "Ann", "--role", "owner", "--rooms", "Main Hall"), 2, "names no rooms"),
        (("add", "Ann", "--role", "owner", "--email", "a@example.org"), 2, "WAITROOM_OPERATOR_OIDC_ISSUER"),
        (("role", "Nobody", "owner"), 1, "no account of Nobody"),
        (("rooms", "Nobody", "all"), 1, "no account of Nobody"),
        (("rooms", "Bob", "/"), 2, "names no rooms"),
        (("reset", "Nobody"), 1, "no account of Nobody"),
        (("remove", "Nobody"), 1, "no account of Nobody"),
        (("tokens", "add", "bob", "--role", "viewer"), 2, "already"),
        (("tokens", "add", "x", "--role", "viewer", "--days", "0"), 2, "--days must be 1 to 3650"),
        (("tokens", "add", "x", "--role", "viewer", "--rooms", "*"), 2, "names no rooms"),
        (("tokens", "remove", "x"), 1, "no token x"),
    ],
)
def test_what_the_command_refuses(
    books: AccessBooks, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    """In a sentence, with nothing changed."""
    run(capsys, "add", "Bob", "--role", "viewer")
    found = run(capsys, *words)

    assert (found[0], said in found[2]) == (status, True)
    assert [(one.name, one.role) for one in books.accounts.all()] == [("Bob", Role.VIEWER)]
    assert books.tokens.all() == []


@pytest.mark.parametrize(
    "words", [(), ("add",), ("add", "Ann"), ("add", "Ann", "--role", "boss"), ("tokens",)]
)
def test_words_that_are_missing_are_told(words: tuple[str, ...], folder: Path) -> None:
    """There is no role that somebody has by default."""
    assert folder.is_dir()
    with pytest.raises(SystemExit) as ended:
        main(["operators", *words])
    assert ended.value.code == 2


def test_a_wrong_folder_is_not_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An installation that has not started yet, or another folder: nothing is made there."""
    status = main(["operators", "list", "--data", str(tmp_path)])

    assert (status, "no key ring" in capsys.readouterr().err) == (2, True)
    assert list(tmp_path.iterdir()) == []
