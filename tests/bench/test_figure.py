"""A figure: what a line says, and that a wrong answer is never a fast one."""

import json

import pytest

from bench.figure import Figure, emit, failed, median_ratio

FIGURE = Figure(
    "join", 12345.678, "joins/s", "hello", ratio=0.65432, target=">= 0.60", met=True, conditions={"cores": 2}
)


def test_a_figure_is_one_json_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, value, unit, reference, ratio and conditions stand in one line; nothing else is written."""
    emit(FIGURE)

    written = capsys.readouterr()
    assert written.out.count("\n") == 1
    assert json.loads(written.out) == {
        "name": "join",
        "value": 12346,
        "unit": "joins/s",
        "reference": "hello",
        "ratio": 0.6543,
        "target": ">= 0.60",
        "met": True,
        "conditions": {"cores": 2},
    }
    assert written.err == ""


def test_a_failed_figure_is_worth_nothing() -> None:
    """A run with a wrong answer has value and ratio 0, does not meet its target, and says why."""
    row = json.loads(failed(FIGURE, "3 answers of 400 and above").line())

    assert (row["value"], row["ratio"], row["met"], row["error"]) == (
        0,
        0,
        False,
        "3 answers of 400 and above",
    )


def test_a_small_value_keeps_its_digits() -> None:
    """Values below a thousand have four significant digits: 16.31 bytes are not 16."""
    assert json.loads(Figure("memory-per-fan", 16.3123, "bytes").line())["value"] == 16.31


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    """Each round is compared with its own reference; one bad round does not decide."""
    assert median_ratio([50, 60, 1], [100, 100, 100]) == 0.5


def test_a_reference_that_measured_nothing_gives_no_ratio() -> None:
    """A dead reference makes ratio 0, never infinity."""
    assert median_ratio([50, 60], [100, 0]) == 0.0
