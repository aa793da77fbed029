"""A process that is told to die at a point dies there, at once, and nobody else does."""

import os
import subprocess
import sys

import pytest

from kernel.crashing import STATUS, VARIABLE

PROGRAM = """
import atexit
from kernel.crashing import crashpoint
atexit.register(print, "cleaned up")
for number in range(5):
    try:
        crashpoint("here")
        print(number, flush=True)
        crashpoint("there")
    finally:
        pass
"""


def run(where: str | None) -> tuple[int, list[str]]:
    """Run a program that passes two points five times; returns its status and what it printed."""
    environ = {name: text for name, text in os.environ.items() if name != VARIABLE}
    if where is not None:
        environ[VARIABLE] = where
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(
    ("where", "printed"), [("here", 0), ("here:1", 0), ("here:3", 2), ("there", 1), ("there:5", 5)]
)
def test_it_dies_at_the_nth_pass_without_cleaning_up(where: str, printed: int) -> None:
    """As a kill would end it: nothing that was to be done at the end is done."""
    assert run(where) == (STATUS, [str(number) for number in range(printed)])


@pytest.mark.parametrize("where", [None, "", "nowhere", "here:6"])
def test_nobody_dies_who_was_not_told_to(where: str | None) -> None:
    """Without a word, at a point that is never passed, or not so often."""
    status, printed = run(where)

    assert status == 0
    assert printed == ["0", "1", "2", "3", "4", "cleaned", "up"]
