"""The benchmarks' load, for real: wrk on a real server, for one second."""

from pathlib import Path

import pytest

from bench import harness, load
from bench.machine import choose_cores
from bench.servers import ServerFailed, free_port, reference, running

pytestmark = pytest.mark.process


def test_wrk_reports_what_a_reference_answered(tmp_path: Path) -> None:
    """One second of load on the hello gives a clean report, and the server is gone afterwards."""
    cores = choose_cores()
    with reference("starlette_hello", tmp_path, cores) as server:
        hello = harness.Side(lambda s: load.get(server.url, seconds=s, cores=cores), server.pids)
        seen = hello.measure(1)
        lost = load.get(server.url, "/nowhere", seconds=1, cores=cores)

    assert seen.clean
    assert seen.per_s > 100
    assert 0 < seen.cpu_s < 3
    assert lost.refused == lost.requests > 0
    with pytest.raises(load.LoadFailed):
        load.get(server.url, seconds=1, cores=cores)


def test_a_server_that_does_not_start_says_its_last_words(tmp_path: Path) -> None:
    """A failed start names the code and what the server wrote, at once and not after the patience."""
    with (
        pytest.raises(ServerFailed, match="ended at its start with code 3: no room here"),
        running(
            ["sh", "-c", "echo no room here; exit 3"],
            ready=f"http://127.0.0.1:{free_port()}/",
            log=tmp_path / "log",
        ),
    ):
        pass
