"""Private file: a file of ours that only its owner may read (``kernel.keyfile``), with its faults told to people.

Whatever goes wrong with it is ``Misconfigured`` and names the file. Not here: how it is written and shared
(``kernel.keyfile``), what is in it (``keys``, ``staff_tokens``).
"""

from collections.abc import Callable
from pathlib import Path

from kernel import keyfile
from kernel.errors import Misconfigured
from kernel.keyfile import Mark

__all__ = ["Mark", "PrivateFile"]


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
            return keyfile.mark(self.path)
        except OSError as error:
            raise self._fault("used", error) from error

    def read(self) -> str:
        """Read it. Raises ``Misconfigured``."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._fault("read", error) from error

    def make(self, text: str) -> None:
        """Make the file unless somebody else just did. Raises ``Misconfigured``."""
        try:
            keyfile.create(self.path, text)
        except OSError as error:
            raise self._fault("made", error) from error

    def change(self, change: Callable[[str], str]) -> None:
        """Replace the text by what `change` makes of it; nobody else changes it meanwhile. Raises ``Misconfigured``."""
        try:
            keyfile.change(self.path, change)
        except UnicodeDecodeError as error:
            raise self._fault("read", error) from error
        except OSError as error:
            raise self._fault("changed", error) from error

    def _fault(self, verb: str, error: Exception) -> Misconfigured:
        return Misconfigured([f"{self._what} {self.path} cannot be {verb}: {error}."])
