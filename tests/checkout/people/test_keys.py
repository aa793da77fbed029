"""The file of the people's keys: made once, the owner's alone, followed by whoever has it open."""

import json
import threading
from pathlib import Path

import pytest

from checkout.people.keys import PeopleKeys, fresh, parse, written
from checkout.people.private_file import PrivateFile
from kernel.errors import Misconfigured
from kernel.sealing import CannotOpen, Where
from tests.checkout.people.sealed import NOW_MS, keys_in

HERE = Where("contacts", "summer/O1", "email")


def test_the_file_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    """Mode 0600; whoever comes later uses the same keys."""
    one, two = keys_in(tmp_path), keys_in(tmp_path)

    assert (tmp_path / "people-keys.json").stat().st_mode & 0o777 == 0o600
    assert two.open(one.seal("x", HERE), HERE) == "x"


def test_of_several_who_make_the_file_one_wins(tmp_path: Path) -> None:
    """All have the same keys then."""
    made: list[PeopleKeys] = []
    threads = [threading.Thread(target=lambda: made.append(keys_in(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({keys.document.active.name for keys in made}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people-keys.json"]


def test_a_rotation_is_in_force_in_every_process(tmp_path: Path) -> None:
    """The next value is sealed by the new key; what the old one sealed opens, here and there."""
    one, two = keys_in(tmp_path), keys_in(tmp_path)
    old = one.seal("x", HERE)
    made = one.rotate(NOW_MS + 1)

    assert two.seal("y", HERE).startswith(f"v1.{made.name}.")
    assert two.open(old, HERE) == "x"
    assert [key.retired_ms for key in two.document.retiring] == [NOW_MS + 1]


def test_a_value_of_a_key_that_is_new_to_this_process_opens(tmp_path: Path) -> None:
    """It looks at the file once more before it gives up."""
    one, two = keys_in(tmp_path), keys_in(tmp_path)
    one.rotate(NOW_MS + 1)

    assert two.open(one.seal("x", HERE), HERE) == "x"


def test_a_dropped_key_opens_nothing_and_the_active_one_is_never_dropped(tmp_path: Path) -> None:
    """Whoever asks for it by name is not heard."""
    keys = keys_in(tmp_path)
    old, first = keys.seal("x", HERE), keys.document.active.name
    made = keys.rotate(NOW_MS + 1)
    keys.drop([first, made.name])

    assert [key.name for key in keys.document.keys] == [made.name]
    with pytest.raises(CannotOpen):
        keys.open(old, HERE)


def test_a_file_that_is_damaged_later_leaves_the_keys_in_use(tmp_path: Path) -> None:
    """Nothing is lost by a half-written file; it is told in the log."""
    keys = keys_in(tmp_path)
    sealed = keys.seal("x", HERE)
    (tmp_path / "people-keys.json").write_text("{}")

    assert keys.open(keys.seal("y", HERE), HERE) == "y"
    assert keys.open(sealed, HERE) == "x"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda plain: plain.pop("keys"), "cannot be read: KeyError"),
        (lambda plain: plain["keys"].clear(), "must have one active key"),
        (lambda plain: plain["keys"].append(plain["keys"][0]), "two keys of one name"),
        (lambda plain: plain["keys"][0].update(secret="AAAA"), "is damaged"),
        (lambda plain: plain["keys"][0].update(name="a.b"), "is damaged"),
        (lambda plain: plain["keys"][0].update(state="sleeping"), "is damaged"),
        (lambda plain: plain["index"].update(secret="AAAA"), "key of the index is damaged"),
    ],
)
def test_a_file_that_is_none_is_told_and_no_secret_with_it(change: object, fault: str) -> None:
    """At the start, with every fault."""
    text = written(fresh(NOW_MS))
    plain = json.loads(text)
    secret = plain["keys"][0]["secret"]
    change(plain)  # type: ignore[operator]

    with pytest.raises(Misconfigured, match=fault) as caught:
        parse(json.dumps(plain))

    assert secret not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the file's name."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match="cannot be made"):
        PrivateFile(tmp_path / "file" / "keys.json", "The file").make("x")
    with pytest.raises(Misconfigured, match="cannot be used"):
        PrivateFile(tmp_path / "none", "The file").mark()
