"""The walls between packages: import-linter's contracts name the modules that really exist."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.tree import PACKAGES, ROOT

DOMAINS = ("waitroom", "admission", "botguard", "checkout", "dashboards")


def settings() -> dict[str, object]:
    """Return import-linter's section of pyproject.toml."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return found


def contracts() -> list[dict[str, object]]:
    """Return import-linter's contracts."""
    found = settings()["contracts"]
    assert isinstance(found, list)
    return found


def test_every_pure_rule_that_is_listed_exists() -> None:
    """The contract "rules are pure" lists real modules: a renamed file must not slip out of it."""
    pure = next(row for row in contracts() if str(row["name"]).startswith("rules are pure"))
    listed = pure["source_modules"]
    assert isinstance(listed, list)

    missing = [name for name in listed if not (ROOT / f"{name.replace('.', '/')}.py").is_file()]

    assert missing == []
    assert pure["forbidden_modules"] == ["redis", "starlette", "asyncio", "time", "random", "os", "logging"]


def test_every_module_of_a_domain_has_its_layer() -> None:
    """The order of layers names every file of a domain: import-linter fails on one that has no place."""
    for domain in DOMAINS:
        contract = next(row for row in contracts() if row.get("containers") == [domain])
        assert contract["type"] == "layers"
        assert contract["exhaustive"] is True


def test_an_import_against_the_arrows_is_found(tmp_path: Path) -> None:
    """The mutant: a rule that imports time, a kernel that imports a domain, training that imports a benchmark."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "waitroom" / "draw.py").open("a") as rule:
        rule.write("\nimport time\n")
    with (tmp_path / "kernel" / "errors.py").open("a") as plumbing:
        plumbing.write("\nimport waitroom.draw\n")
    with (tmp_path / "botguard" / "training" / "families.py").open("a") as training:
        training.write("\nimport bench.bots\n")

    told = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 1
    assert "waitroom.draw -> time" in told.stdout
    assert "kernel.errors -> waitroom.draw" in told.stdout
    assert "botguard.training.families -> bench" in told.stdout
