"""Metrics: plain counting on hot paths, and one sum over all workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from kernel.metrics import REGISTRY, Tally, new_registry, render


def test_a_tally_reaches_the_counter_when_somebody_looks() -> None:
    """Each count once, however often one looks."""
    registry = CollectorRegistry()
    counter = Counter("joins", "Joins.", registry=registry)
    tally = Tally(counter)
    tally.count += 2

    assert b"joins_total 0.0" not in render(registry)[1]
    tally.count += 1
    content_type, text = render(registry)

    assert b"joins_total 3.0" in text
    assert content_type.startswith("text/plain")
    tally.flush()
    assert b"joins_total 3.0" in render(registry)[1]


def test_a_single_process_tells_about_itself() -> None:
    """Memory and processor time are there without anybody asking."""
    assert b"process_resident_memory_bytes" in render(REGISTRY)[1]


def test_one_worker_of_several_leaves_the_process_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their memory cannot be told apart in one sum; nobody has counted anything yet."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    assert list(new_registry().collect()) == []
    assert render()[1] == b""


WORKER = """
import sys
from prometheus_client import Counter
from kernel.metrics import REGISTRY, Tally, render
joins = Tally(Counter("joins", "Joins.", registry=REGISTRY))
joins.count += int(sys.argv[1])
print(render()[1].decode())
"""


def test_whichever_worker_is_asked_tells_the_sum_of_all(tmp_path: Path) -> None:
    """With PROMETHEUS_MULTIPROC_DIR the workers share their values through files."""
    texts = [
        subprocess.run(
            [sys.executable, "-c", WORKER, count],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("2", "40")
    ]

    assert "joins_total 2.0" in texts[0]
    assert "joins_total 42.0" in texts[1]
