"""Targets of ``waitroom plan``, ``apply`` and ``export``: where their addresses come from, and where secrets go.

An address may stand in a file beside the TOML file, or in the environment. The secret of a new webhook is told once, by
the answer that makes it; ``apply --secrets FOLDER`` writes it there, readable by its owner alone. It is never printed:
what a job of CI prints is kept by others. Not here: what is planned (``waitroom.targets_plan``).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Misconfigured

if TYPE_CHECKING:
    from waitroom.targets import Target
    from waitroom.targets_plan import Source

FILE_MOST_BYTES = 4096


def source_beside(folder: Path, environment: Mapping[str, str] = os.environ) -> "Source":
    """Give addresses by files, from `folder` on, and by variables of the environment."""

    def source(by: str, name: str) -> str:
        if by == "address_env":
            if not environment.get(name, "").strip():
                raise Misconfigured([f"the environment has no {name}"])
            return environment[name].strip()
        try:
            with (folder / name).open(encoding="utf-8") as file:
                return file.read(FILE_MOST_BYTES).strip()
        except (OSError, ValueError) as error:
            raise Misconfigured([f"the file {name} cannot be read"]) from error

    return source


def targets_of(text: str, file: Path) -> "list[Target] | None":
    """Read the targets of a file's text; None where it says nothing of them. Raises ``Misconfigured``."""
    from waitroom.targets_plan import targets_in

    return targets_in(text, source_beside(file.parent))


def keep_secret(folder: Path | None, name: str, document: Mapping[str, Any]) -> str:
    """Write the secret of a new webhook down, if there is one; say where it is to be had."""
    secret = str(document.get("secret") or "")
    if not secret:
        return ""
    if folder is None:
        return "its secret was not asked for (--secrets FOLDER); the page Events out gives it a new one"
    path = folder / f"{name}.secret"
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        return f"its secret could not be written to {path} ({error.strerror}); the page Events out gives it a new one"
    return f"its secret is in {path}"
