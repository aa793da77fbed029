"""Asking browsers: what a test waits for in a page is asked in a way that the page's policy lets through each time."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def evaluated_anew(text: str) -> list[int]:
    """Return the lines in which an expression is waited for.

    Playwright evaluates a function once and calls it at every look; an expression is evaluated at every look, from
    within the page, which our policy forbids: such a test fails whenever the first look comes too early.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith(".wait_for_function"):
            continue
        asked = node.args[0]
        if isinstance(asked, ast.Constant) and "=>" not in str(asked.value):
            found.append(node.lineno)
    return found


def test_pages_are_waited_for_by_functions() -> None:
    """In tests and in what takes pictures."""
    files = [path for folder in ("tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    found = {
        str(path.relative_to(ROOT)): lines for path in files if (lines := evaluated_anew(path.read_text()))
    }
    assert found == {}


def test_an_expression_is_found() -> None:
    """The mutant."""
    assert evaluated_anew("page.wait_for_function('() => document.title')") == []
    assert evaluated_anew("page.wait_for_function('document.title')") == [1]
