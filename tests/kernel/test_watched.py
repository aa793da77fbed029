"""An operator's file is read again when it changes, and a broken one changes nothing."""

import logging
import os
from pathlib import Path

import pytest

from kernel.errors import Misconfigured
from kernel.watched import FileCounts, Watched
from tests.checkout.fraud.suspects import Metrics


def number(octets: bytes) -> int:
    """Read a whole number."""
    try:
        return int(octets)
    except ValueError:
        raise Misconfigured(["line 1: no number.", "line 2: none either."]) from None


def put(path: Path, text: str) -> None:
    """Replace a file as an operator should."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


class Stage:
    """A watched file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "number"
        self.metrics = Metrics()
        self.counts = FileCounts(self.metrics.fraud_reloads, self.metrics.fraud_stale)
        put(self.path, "1")
        self.file = Watched("number", self.path, number, self.counts, most_bytes=10)

    def told(self) -> tuple[float, float, float]:
        """Read how often a new file was taken, how often not, and whether the one in use is stale."""
        return (
            self.metrics.value("fraud_reloads_total", outcome="taken"),
            self.metrics.value("fraud_reloads_total", outcome="kept"),
            self.metrics.value("fraud_stale_files", file="number"),
        )


async def test_a_new_file_is_taken_and_the_same_one_is_not_read_again(tmp_path: Path) -> None:
    """Replaced by renaming, or written in place with another size."""
    here = Stage(tmp_path)

    assert not await here.file.refresh()
    put(here.path, "2")
    assert await here.file.refresh()
    assert here.file.value == 2
    assert not await here.file.refresh()
    here.path.write_text("33")
    assert await here.file.refresh()
    assert here.file.value == 33
    assert here.told() == (2, 0, 0)


async def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path) -> None:
    """A copy that keeps times (``rsync -t``, ``cp -p``) still has another inode."""
    here = Stage(tmp_path)
    before = here.path.stat()
    fresh = tmp_path / "fresh"
    fresh.write_text("2")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(here.path)

    assert await here.file.refresh()
    assert here.file.value == 2


async def test_a_broken_file_keeps_the_old_one_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By metric and by one line with all faults; a good one ends it."""
    here = Stage(tmp_path)
    put(here.path, "two")

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert not await here.file.refresh()
    assert here.file.value == 1
    assert here.told() == (0, 1, 1)
    [line] = caplog.records
    assert line.__dict__["faults"] == (
        f"{here.path}: line 1: no number.",
        f"{here.path}: line 2: none either.",
    )

    put(here.path, "3")
    assert await here.file.refresh()
    assert here.file.value == 3
    assert here.told() == (1, 1, 0)


async def test_a_file_that_has_gone_keeps_the_old_one_until_it_is_back(tmp_path: Path) -> None:
    """Gone is told once as well."""
    here = Stage(tmp_path)
    here.path.unlink()

    for _ in range(3):
        assert not await here.file.refresh()
    assert (here.file.value, here.told()) == (1, (0, 1, 1))
    put(here.path, "2")
    assert await here.file.refresh()
    assert (here.file.value, here.told()) == (2, (1, 1, 0))


async def test_a_file_that_is_too_large_is_broken(tmp_path: Path) -> None:
    """Nobody fills the memory with a wrong path."""
    here = Stage(tmp_path)
    put(here.path, "1".zfill(11))

    assert not await here.file.refresh()
    put(here.path, "2".zfill(10))
    assert await here.file.refresh()
    assert here.file.value == 2


async def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file is not taken, and not called broken either."""
    here = Stage(tmp_path)
    put(here.path, "12")
    sizes = iter((1, 2))
    with monkeypatch.context() as patched:
        patched.setattr(
            "kernel.watched.os.fstat",
            lambda _file: os.stat_result((0, 7, 0, 0, 0, 0, next(sizes), 0, 0, 0)),
        )
        assert not await here.file.refresh()
    assert (here.file.value, here.told()) == (1, (0, 0, 0))

    assert await here.file.refresh()
    assert here.file.value == 12


@pytest.mark.parametrize("content", ["one", None, "1" * 11])
def test_at_start_a_bad_file_is_an_operators_fault(content: str | None, tmp_path: Path) -> None:
    """There is nothing to fall back to."""
    path, metrics = tmp_path / "number", Metrics()
    counts = FileCounts(metrics.fraud_reloads, metrics.fraud_stale)
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured) as caught:
        Watched("number", path, number, counts, most_bytes=10)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)


async def test_a_reader_that_takes_anything_would_be_noticed(tmp_path: Path) -> None:
    """The mutant: without the check the broken file takes the old one's place."""
    path, metrics = tmp_path / "number", Metrics()
    counts = FileCounts(metrics.fraud_reloads, metrics.fraud_stale)
    put(path, "1")
    file = Watched[object]("number", path, bytes, counts, most_bytes=10)
    put(path, "two")

    assert await file.refresh()
    assert file.value == b"two"
