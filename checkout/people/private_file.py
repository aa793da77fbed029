"""Private file: a small text that only its owner may read (mode 0600), shared by several processes of an installation.

Making it is a race that one wins (a hard link fails where the file exists). A change is read, made and renamed into
place under a lock, so a reader sees the old text or the new one, whole. Whether it has changed costs one ``stat``.
Not here: what is in it (``keys``, ``staff_tokens``).
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from kernel.errors import Misconfigured

Mark = tuple[int, int, int]


class PrivateFile:
    """One file."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` names the file for people, as "the file with the keys"."""
        self.path = path
        self._what = what

    def is_there(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    def mark(self) -> Mark:
        """Give what differs when the file has changed. Raises ``Misconfigured``."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise self._fault("used", error) from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def read(self) -> str:
        """Read it. Raises ``Misconfigured``."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._fault("read", error) from error

    def make(self, text: str) -> None:
        """Make the file unless somebody else just did. Raises ``Misconfigured``."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._written(text)
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, self.path)
            finally:
                temporary.unlink()
        except OSError as error:
            raise self._fault("made", error) from error

    def change(self, change: Callable[[str], str]) -> None:
        """Replace the text by what `change` makes of it; nobody else changes it meanwhile. Raises ``Misconfigured``."""
        try:
            with self._locked():
                self._written(change(self.read())).replace(self.path)
        except OSError as error:
            raise self._fault("changed", error) from error

    def _written(self, text: str) -> Path:
        # mkstemp makes files that only their owner may read.
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self.path.with_name(f".{self.path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _fault(self, verb: str, error: Exception) -> Misconfigured:
        return Misconfigured([f"{self._what} {self.path} cannot be {verb}: {error}."])
