"""Rooms file: the rooms that a process starts with, as TOML. Targets of events may stand beside them (``apply``)."""

from pathlib import Path

from kernel.errors import Misconfigured
from waitroom.rooms import Room
from waitroom.rooms_toml import parse_toml
from waitroom.targets_plan import TABLE as TARGETS


def rooms_at_start(path: Path | None) -> list[Room]:
    """Read the rooms of a file; none where there is none. Raises ``Misconfigured`` with all its faults."""
    if path is None:
        return []
    try:
        return parse_toml(path.read_text(encoding="utf-8"), beside=(TARGETS,))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misconfigured([f"The rooms file {path} cannot be read: {why}."]) from error
    except Misconfigured as error:
        raise Misconfigured([f"{path}: {fault}" for fault in error.faults]) from None
