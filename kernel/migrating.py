"""Migrating: how a package's tables come to be, one numbered file for each change.

Alembic runs them at start, inside the transaction and under the lock that the caller holds, so several processes may
start at once: one migrates, the others find the work done. A step is never edited after a release, and nothing is
migrated backwards in production. Each package keeps its versions in a table of its own: several may share a database.

Not here: the steps (each package's ``migrations``).
"""

import logging
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


class NewerSchema(Exception):
    """A later version of the product has migrated this database; ours cannot know what it holds."""


def upgrade(connection: Connection, folder: Path, version_table: str) -> None:
    """Bring the tables to the newest version. The caller holds the lock and commits."""
    # Alembic tells every step at INFO, which nobody acts on.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    present = set(context.get_current_heads())
    known, newest = _steps(folder)
    if unknown := present - known:
        raise NewerSchema(", ".join(sorted(unknown)))
    if present != newest:
        config = _config(folder)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def stands(connection: Connection, folder: Path, version_table: str) -> str:
    """Tell how a database stands to this version of the product: ``current``, ``older``, ``newer`` or ``empty``."""
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    present = set(context.get_current_heads())
    known, newest = _steps(folder)
    if not present:
        return "empty"
    if present - known:
        return "newer"
    return "current" if present == newest else "older"


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@lru_cache
def _steps(folder: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Name all steps and the newest: a process reads them once, however many databases (of shards) it opens."""
    script = ScriptDirectory.from_config(_config(folder))
    return frozenset(step.revision for step in script.walk_revisions()), frozenset(script.get_heads())
