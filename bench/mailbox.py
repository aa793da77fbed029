"""Mailbox: a mail server in a process of its own that takes everything, and tells how much that was.

``python -m bench.mailbox PORT_FILE COUNT_FILE CORE`` writes the port that it listens on; at SIGTERM it writes how many
mails came, and how many different names they had.
"""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

NAME = re.compile(rb"^Message-ID: (<[^>]+>)", re.MULTILINE)


class Taking:
    """Takes every mail and keeps its name."""

    def __init__(self) -> None:
        """Begin with none."""
        self.mails = 0
        self.names: set[bytes] = set()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take a mail."""
        self.mails += 1
        found = NAME.search(envelope.content)
        if found is not None:
            self.names.add(found[1])
        return "250 OK"


async def serve(port_file: Path, count_file: Path) -> None:
    """Listen until somebody says that it is enough."""
    taking, enough = Taking(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, enough.set)
    server = await loop.create_server(lambda: SMTP(taking, ident="bench"), "127.0.0.1", 0)
    made = port_file.with_suffix(".new")
    made.write_text(str(server.sockets[0].getsockname()[1]))
    made.rename(port_file)
    await enough.wait()
    count_file.write_text(json.dumps({"mails": taking.mails, "names": len(taking.names)}))


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
