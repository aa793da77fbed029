"""The conformance report: complete, and every test it names exists."""

import ast
from collections import Counter

import pytest

from tests.house import wcag
from tests.house.tree import ROOT


def written_in(file: str) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def unknown() -> list[str]:
    """Return the tests that the report names and nobody has."""
    named = {test for row in wcag.CRITERIA for test in row.tests}
    split = [test.rpartition("::") for test in sorted(named)]
    return [test for file, _, test in split if test not in written_in(file or wcag.ACCESS)]


def test_the_report_has_every_criterion_once() -> None:
    """WCAG 2.2 has 31 criteria of level A and 24 of AA (4.1.1 is gone)."""
    assert Counter(row.level for row in wcag.CRITERIA) == {"A": 31, "AA": 24}
    numbers = [tuple(map(int, row.number.split("."))) for row in wcag.CRITERIA]
    assert numbers == sorted(set(numbers))


def test_the_report_names_tests_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that was renamed is found; the mutant: one that nobody wrote."""
    assert unknown() == []

    claimed = wcag.Criterion("9.9.9", "Claimed", "A", wcag.YES, "Trust us.", ("test_that_nobody_wrote",))
    monkeypatch.setattr(wcag, "CRITERIA", (*wcag.CRITERIA, claimed))
    assert unknown() == ["test_that_nobody_wrote"]


def test_every_test_of_access_shows_something_that_the_report_says() -> None:
    """A new test of the page's access belongs to a criterion."""
    named = {test for row in wcag.CRITERIA for test in row.tests}

    assert written_in(wcag.ACCESS) - named == set()
