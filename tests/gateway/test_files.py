"""Files: a low soft limit is no reason to refuse people."""

import resource

import pytest

from gateway import files
from gateway.files import SPARE, most_connections


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the shell left low is no reason to fail."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(files.resource, "getrlimit", lambda _: (1024, 5000))
    monkeypatch.setattr(files.resource, "setrlimit", lambda _, limits: asked.append(limits))

    assert most_connections() == 5000 - SPARE
    assert asked == [(5000, 5000)]


def test_a_limit_that_cannot_be_raised_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may refuse; then the soft limit counts."""

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(files.resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(files.resource, "setrlimit", refuse)

    assert most_connections() == 1024 - SPARE
