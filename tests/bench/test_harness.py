"""The harness: bounded, fair to both sides, and it does not overlook refused requests."""

from pathlib import Path

import pytest

from bench import __main__ as command
from bench import harness, nginx
from bench.load import Load, LoadFailed, parse
from bench.machine import Cores, Foreign
from bench.servers import ServerFailed

REPORT = (
    'Running 5s test\nBENCH {"requests": 1000, '
    '"duration_us": 5000000, "bytes": 9, "connect": 1, "read": 2, "write": 0, '
    '"status": 7, "timeout": 4, "p50_us": 1500, "p90_us": 2000, "p99_us": 9000, "max_us": 9999}\n'
)


def load(*, requests: int = 10, refused: int = 0, broken: int = 0) -> Load:
    """Make what one run saw."""
    return Load(requests, 1.0, refused, broken, 1.0, 2.0, 0)


def bench(folder: Path, rounds: int) -> harness.Bench:
    """Make a bench that measures nothing real."""
    return harness.Bench(folder, Cores(None, None), seconds=3, rounds=rounds, foreign=Foreign())


def test_a_load_is_read_from_what_wrk_wrote() -> None:
    """Requests, refusals, broken connections and latencies come from the report's line."""
    seen = parse(REPORT)

    assert (seen.per_s, seen.refused, seen.broken, seen.p50_ms, seen.p99_ms) == (200.0, 7, 7, 1.5, 9.0)
    assert not seen.clean


def test_a_load_without_a_report_is_a_failure() -> None:
    """Output without the report's line is never taken for a measurement."""
    with pytest.raises(LoadFailed, match="no report"):
        parse("unable to connect to 127.0.0.1:1")


@pytest.mark.parametrize(
    ("loads", "bad"),
    [
        ([load(), load()], False),
        ([load(), load(refused=1)], True),
        ([load(broken=1)], True),
        ([load(requests=0)], True),
    ],
)
def test_one_refused_or_broken_request_spoils_a_run(loads: list[Load], bad: bool) -> None:
    """Answers of 400 and above, broken connections and silence are told; only a clean run counts."""
    assert (harness.unclean(loads) is not None) is bad


def test_both_sides_run_in_turn_after_a_warm_up(tmp_path: Path) -> None:
    """Each side warms up for a second, then they alternate, each first as often as the other."""
    calls: list[tuple[str, int]] = []

    def side(name: str, seconds: int) -> Load:
        calls.append((name, seconds))
        return load()

    seen = harness.alternate(
        bench(tmp_path, 2),
        ours=harness.Side(lambda s: side("ours", s), list),
        hello=harness.Side(lambda s: side("hello", s), list),
    )

    assert calls == [("ours", 1), ("hello", 1), ("ours", 3), ("hello", 3), ("hello", 3), ("ours", 3)]
    assert {name: len(loads) for name, loads in seen.items()} == {"ours": 2, "hello": 2}


@pytest.mark.parametrize("text", ["0", "61", "five", "-1", "1.5", ""])
def test_a_run_without_end_is_refused(tmp_path: Path, text: str) -> None:
    """BENCH_SECONDS is a whole number from 1 to 60."""
    with pytest.raises(ValueError, match="BENCH_SECONDS must be a whole number from 1 to 60"):
        harness.seconds_and_rounds({"BENCH_SECONDS": text})


def test_without_wishes_five_rounds_of_five_seconds_are_run() -> None:
    """The issue's median is over five rounds."""
    assert harness.seconds_and_rounds({}) == (5, 5)


def test_an_unknown_name_lists_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong NAME ends with code 2, tells all names on stderr, and writes nothing to stdout."""
    code = command.main(["coffee"])

    written = capsys.readouterr()
    assert code == 2
    assert written.out == ""
    assert all(name in written.err for name in command.NAMES)


def test_every_name_has_its_module() -> None:
    """One file for each figure, and no file without a name."""
    files = {
        path.stem.replace("_", "-") for path in (Path(harness.__file__).parent / "figures").glob("[a-z]*.py")
    }

    assert files == set(command.NAMES)


def test_the_sample_for_nginx_is_measured_as_it_ships(tmp_path: Path) -> None:
    """Only address, port and folder of the sample are changed; a sample that moved on is told, not guessed."""
    sample = nginx.SAMPLE.read_text()
    text = nginx.configuration(sample, listen=1, counter=2, origin="http://127.0.0.1:3", folder=tmp_path)

    assert set(sample.splitlines()) - set(text.splitlines()) == {
        row
        for row in sample.splitlines()
        if "127.0.0.1:8080" in row or "listen 80" in row or "/var/tmp" in row
    }
    with pytest.raises(ServerFailed, match="has changed"):
        nginx.configuration(
            sample.replace("listen 80;", "listen 443;"), listen=1, counter=2, origin="", folder=tmp_path
        )
