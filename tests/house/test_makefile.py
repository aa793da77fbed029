"""The Makefile and the CI: what a newcomer types must exist, say what it does, and be what the CI runs."""

import os
import re
import subprocess
from pathlib import Path

from tests.house.tree import ROOT

TARGET = re.compile(r"^([a-z][a-z-]*):(?:[^=#]*)(?:## (.+))?$", re.MULTILINE)
MAKE_COMMAND = re.compile(r"(?<![\w-])make((?: +(?:-[sj]\d*|[A-Z]+=\S+|[a-z][a-z-]*))+)")
PROMISED = {
    "demo",
    "test",
    "test-fast",
    "lint",
    "bench",
    "crowd",
    "clean",
    "help",
    "venv",
    "setup",
    "docker-lint",
}


def targets() -> dict[str, str]:
    """Return each target of the Makefile with its help."""
    return {name: text or "" for name, text in TARGET.findall((ROOT / "Makefile").read_text())}


def unknown_targets(text: str, known: set[str]) -> list[str]:
    """Return what a document tells people to make, but the Makefile does not know."""
    shown = "\n".join(re.findall(r"```[\s\S]*?```|`[^`\n]+`|^ {4}.+$", text, re.MULTILINE))
    words = [word for call in MAKE_COMMAND.findall(shown) for word in call.split()]
    return [word for word in words if word[0] != "-" and "=" not in word and word not in known]


def make(*args: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, without what an outer make left in the environment."""
    clean = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    return subprocess.run(["make", *args], cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


def test_every_target_has_help_and_the_promised_ones_exist() -> None:
    """Each target ends in `## what it does`; the promised ones are there."""
    known = targets()

    assert set(known) >= PROMISED
    assert [name for name, text in known.items() if not text] == []


def test_make_alone_lists_every_target() -> None:
    """Plain `make` prints one line for each target and runs nothing."""
    listed = make()

    assert listed.returncode == 0
    assert {row.split()[0] for row in listed.stdout.splitlines()} == set(targets())


def test_every_crowd_stands_where_make_test_looks_for_them() -> None:
    """The tests marked `crowd` are collected from one folder only, so that the others are not collected again."""
    text = (ROOT / "Makefile").read_text()
    marked = {
        path.parent for path in (ROOT / "tests").rglob("test_*.py") if "pytest.mark.crowd" in path.read_text()
    }

    assert "-m crowd tests/process\n" in text
    assert marked - {Path(__file__).parent} == {ROOT / "tests" / "process"}


def test_bench_writes_nothing_but_figures_to_stdout() -> None:
    """Whatever make says before a benchmark goes to stderr: `make bench` is read by programs."""
    text = (ROOT / "Makefile").read_text()
    recipes = re.findall(r"^(?:setup|bench|\$\(VENV\)/\S+):.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    rows = [row for recipe in recipes for row in recipe.splitlines()]

    assert len(recipes) == 4
    assert all(row.startswith("\t@") for row in rows)
    assert all("1>&2" in row or "touch" in row or "-m bench" in row for row in rows)


def test_the_ci_runs_what_developers_run() -> None:
    """`.ci/run` stops at the first fault, and runs make lint and make test in the repository's root."""
    script = ROOT / ".ci" / "run"
    rows = script.read_text().splitlines()

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in rows
    assert [row for row in rows if row.startswith("make ")] == ["make lint", "make test"]


def test_the_shell_scripts_parse() -> None:
    """Every script of the CI is accepted by its shell."""
    for script in sorted((ROOT / ".ci").iterdir()):
        first = script.read_text().splitlines()[0]
        if not first.startswith("#!"):
            continue
        shell = "bash" if "bash" in first else "sh"
        checked = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_too_old_a_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Where only an old Python is found, `make demo` says so and what to do, and makes nothing."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' && exit 0\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "sh").symlink_to("/bin/sh")

    told = subprocess.run(
        ["/bin/sh", str(ROOT / ".ci" / "venv"), str(tmp_path / "venv"), "server"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 1
    assert "needs Python 3.11 or newer; this machine has Python 3.9.2" in told.stderr
    assert not (tmp_path / "venv").exists()


def test_documents_name_only_targets_that_exist() -> None:
    """Each `make …` in README, CONTRIBUTING and docs is a target of the Makefile."""
    known = set(targets())
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wrong = {str(path.relative_to(ROOT)): unknown_targets(path.read_text(), known) for path in documents}

    assert {name: words for name, words in wrong.items() if words} == {}


def test_a_made_up_target_in_a_document_is_found() -> None:
    """The mutant: a document that tells to make what does not exist is caught."""
    assert unknown_targets("Run `make demo CROWD=5` and then `make coffee`.", {"demo"}) == ["coffee"]
