"""The tree: the files of the repository as a reviewer would see them, without what tools leave behind."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kernel", "waitroom", "admission", "botguard", "checkout", "dashboards", "gateway")
LEFT_BEHIND = {
    ".git", ".venv", ".demo", "__pycache__", "build", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache",
    ".hypothesis", ".import_linter_cache", ".grimp_cache", "htmlcov", "report",
}  # fmt: skip


def files() -> list[Path]:
    """Return every file that is or would be under version control."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
        return sorted(path for name in names if name and (path := ROOT / name).is_file())
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not LEFT_BEHIND & set(path.relative_to(ROOT).parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    )


def texts() -> list[tuple[Path, str]]:
    """Return every text file with its text; what is not UTF-8 is a picture or data."""
    found = []
    for path in files():
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def modules(*, tests: bool = False) -> list[tuple[Path, str]]:
    """Return the Python modules of the packages and benchmarks, and of the tests when asked for."""
    folders = {*PACKAGES, "bench"} | ({"tests"} if tests else set())
    return [(path, text) for path, text in texts() if path.suffix == ".py" and path.parts[0] in folders]
