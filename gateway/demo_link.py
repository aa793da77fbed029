"""Demo's link: lets whoever has started a demo into its console, once and soon, without a token to paste.

The supervisor prints it where only its user reads it, and leaves a hash of its code with its end in a file of the data
folder, which only that user may read. The operator's process takes the file away when the link is used: so it counts
once, over all processes and starts, and an installation that is no demo has none. It signs in as the operator token
does, with a name for the journal, and only as long as the token does (``dashboards.entrance``). An installation that
anybody else could reach has no such link (``demo_staff.is_on_this_machine``). Why so: ADR-0049.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from kernel.clock import Clock

FILE = "demo-link"
LASTS_MS = 900_000


class DemoLink:
    """The link of the demo in one data folder (``dashboards.ports.OneTimeLink``)."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Know where its file stands."""
        self._path = folder / FILE
        self._clock = clock

    def offer(self) -> str:
        """Make a new code, in place of any before, and return it."""
        code = secrets.token_urlsafe(32)
        self.withdraw()
        kept = {"digest": _digest(code), "until_ms": self._clock.now_ms() + LASTS_MS}
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(kept, file)
        return code

    def withdraw(self) -> None:
        """Let no code count."""
        self._path.unlink(missing_ok=True)

    def holds(self, code: str) -> bool:
        """Tell whether a code counts now."""
        try:
            kept: Any = json.loads(self._path.read_text(encoding="utf-8"))
            digest, until_ms = str(kept["digest"]), int(kept["until_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return secrets.compare_digest(_digest(code), digest) and self._clock.now_ms() < until_ms

    def take(self, code: str) -> bool:
        """Use a code up; tell whether it counted. Of several at once it counts for one."""
        if not self.holds(code):
            return False
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
