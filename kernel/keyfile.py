"""Key file: a file with secrets that several processes share, which only its owner may read (mode 0600).

Making it is a race that one wins (a hard link fails where the file exists); changes are read, modified and renamed
under a lock, so a reader sees the old file or the new one. Who follows the file asks for its ``mark``, which costs one
``stat``. Not here: what stands in it (``admission.keyring``, ``checkout.tickets.keys``, ``checkout.people``).
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Mark = tuple[int, int, int]


def mark(path: Path) -> Mark:
    """Tell a file's state; another one means that the file was replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def create(path: Path, text: str) -> None:
    """Make the file unless somebody else just did: of two processes exactly one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _written(path, text)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def change(path: Path, changed: Callable[[str], str]) -> None:
    """Replace the file's text by what `changed` makes of it, one after the other."""
    with _locked(path):
        temporary = _written(path, changed(path.read_text(encoding="utf-8")))
        temporary.replace(path)


def _written(path: Path, text: str) -> Path:
    """Write a new file beside `path`, readable by its owner only, safe on the disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
