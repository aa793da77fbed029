"""The journal's address: what is wrong with one is told in one sentence."""

import pytest
import sqlalchemy as sa

from kernel.errors import Misconfigured
from waitroom.journal_store import JournalStore


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "cannot be read"),
        ("mysql://localhost/x", "must begin with sqlite:/// or postgresql://"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////nowhere/at/all/journal.db", "folder /nowhere/at/all does not exist"),
    ],
)
def test_a_wrong_address_is_told_in_one_sentence(url: str, sentence: str) -> None:
    """Before anything is opened."""
    with pytest.raises(Misconfigured, match=sentence):
        JournalStore(url)


def test_a_missing_driver_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra of the package, so the sentence says which one."""

    def missing(*_args: object, **_kwargs: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(sa, "create_engine", missing)

    with pytest.raises(Misconfigured, match=r"waitroom\[postgres\]"):
        JournalStore("postgresql://localhost/waitroom")
