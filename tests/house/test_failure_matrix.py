"""The failure matrix (docs/failure-matrix.md): every row is there, and every test that it names."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.house.tree import ROOT

MATRIX = ROOT / "docs" / "failure-matrix.md"
WANTED = [
    *(f"H{number}" for number in range(1, 11)),
    *(f"R{number}" for number in range(1, 5)),
    *(f"P{number}" for number in range(1, 18)),
    *(f"C{number}" for number in range(1, 8)),
    *(f"F{number}" for number in range(1, 5)),
    *(f"N{number}" for number in range(1, 4)),
    *(f"T{number}" for number in range(1, 5)),
    "E3", "S1", "S2",
]  # fmt: skip
ROW = re.compile(
    r"^\| ([A-Z]\d+) \| [^|]+ \| (?:all|I\d+(?:, I\d+)*) \| ([^|]+) \| (both|SQLite|PostgreSQL) \|$"
)
GUARD = re.compile(r"^\| [^|]+ \| (`tests/[^|]+) \|$")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of a file's tests. A matrix names many of one file, so each is read once."""
    if not path.is_file():
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


def faults_of(text: str, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a matrix: rows that are missing, without a test, or with one that is not there."""
    rows = {found[1]: found[2] for line in text.splitlines() if (found := ROW.match(line))}
    faults = [f"{name} is missing" for name in WANTED if name not in rows]
    told = list(rows.items())
    told += [("a guard", found[1]) for line in text.splitlines() if (found := GUARD.match(line))]
    for name, tests in told:
        named = TEST.findall(tests)
        if not named or len(named) != tests.count("::"):
            faults.append(f"{name}: which test?")
        faults += [
            f"{name}: {file} has no {test}" for file, test in named if test not in names_in(root / file)
        ]
    return faults


def test_every_row_is_there_with_tests_that_are_there() -> None:
    """H1 to S2, and each guard that was taken out."""
    text = MATRIX.read_text()

    assert faults_of(text) == []
    assert sum(bool(GUARD.match(line)) for line in text.splitlines()) >= 12


def test_a_row_or_a_test_that_is_missing_is_found() -> None:
    """Mutants: a row is taken out, a test has another name, a row names none."""
    text = MATRIX.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| P7 |"))

    assert faults_of(text.replace(row, "")) == ["P7 is missing"]
    assert len(faults_of(text.replace("::test_whoever_never_comes_back", "::test_nobody_comes_back"))) == 1
    without = re.sub(r"`tests/[^|]+ \|", "later |", row)
    assert faults_of(text.replace(row, without)) == ["P7: which test?"]
