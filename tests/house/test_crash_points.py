"""Crash points are read from the sources: each has a name of its own, and a story in which a process dies there.

The stories are in the suites below; each is played once for every point that it reads from its sources, and fails where
the process did not die there. A point in a module that no suite reads fails here.
"""

import ast
from pathlib import Path

from tests.house.tree import PACKAGES, ROOT, modules

SUITES = {
    "checkout/orders": "tests/checkout/orders/test_crashes.py",
    "checkout/notifications": "tests/checkout/notifications/test_relay.py",
    "checkout/payments": "tests/checkout/orders/test_crashes_adyen.py",
}
"""Which suite reads the points of which sources."""


def points_in(found: list[tuple[Path, str]]) -> list[tuple[str, str]]:
    """Return each crash point's module and name; a name that is not written out is ''."""
    points = []
    for path, text in found:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint":
                name = node.args[0]
                text_of = name.value if isinstance(name, ast.Constant) else ""
                points.append((str(path), str(text_of)))
    return points


def faults_of(points: list[tuple[str, str]]) -> list[str]:
    """Return the points that no suite plays, that are named twice, or whose name cannot be read."""
    faults = [f"{path}: a name that is worked out" for path, name in points if not name]
    faults += [
        f"{path}: {name} is played by no suite"
        for path, name in points
        if not any(path == source or path.startswith(f"{source}/") for source in SUITES)
    ]
    names = [name for _, name in points]
    return faults + [f"{name} is named twice" for name in sorted(set(names)) if names.count(name) > 1]


def test_each_point_is_played_by_a_suite_that_reads_it_from_the_sources() -> None:
    """All of them, of all packages; and the suites are there."""
    points = points_in([(path, text) for path, text in modules() if path.parts[0] in PACKAGES])

    assert len(points) >= 20
    assert faults_of(points) == []
    used = {suite for source, suite in SUITES.items() if any(path.startswith(source) for path, _ in points)}
    assert [suite for suite in used if "crashpoint" not in (ROOT / suite).read_text()] == []


def test_a_point_that_nobody_plays_is_found() -> None:
    """Mutant: a point in a module that no suite reads, one without a name, and one name twice."""
    text = 'crashpoint("x.before")\ncrashpoint(name)\n'
    mine = [(Path("checkout/orders/service.py"), 'crashpoint("x.before")\n')]

    faults = faults_of(points_in([(Path("checkout/sales/store.py"), text), *mine]))

    assert len(faults) == 4
