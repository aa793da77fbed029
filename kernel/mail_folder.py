"""Mail folder: where mails lie that no server is there for: a file for each, which any mail program opens.

For the demo and for those who try things out. A mail's file is named by its Message-ID, so the same sent twice is one
file. It is written beside and renamed, so nobody reads half of one; a folder that cannot be written to counts as a
server that is away. Not here: putting a mail together (``mail``).
"""

import asyncio
import os
import tempfile
from email.parser import BytesHeaderParser
from hashlib import sha256
from pathlib import Path

from kernel.mail import Ready
from kernel.sending import Outcome, Result

NAME_CHARS = 12


class Folder:
    """Takes mails as ``kernel.mail.Post`` does."""

    def __init__(self, path: Path) -> None:
        """Nothing is made yet."""
        self._path = path

    async def hand_over(self, ready: Ready) -> Result:
        """Keep a mail."""
        try:
            await asyncio.to_thread(self._keep, ready)
        except OSError as error:
            return Result(Outcome.AWAY, type(error).__name__)
        return Result(Outcome.SENT)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _keep(self, ready: Ready) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(ready.octets)
        Path(name).replace(self._path / name_of(ready))


def name_of(ready: Ready) -> str:
    """Name a mail's file: what it is about, and a piece of its name's hash."""
    id_ = str(BytesHeaderParser().parsebytes(ready.octets)["Message-ID"])
    kind = id_.strip("<>").partition(".")[0]
    return f"{kind}-{sha256(id_.encode()).hexdigest()[:NAME_CHARS]}.eml"
