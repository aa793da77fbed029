"""Hanging: a browser that answers no more is ended, so that who waits for it fails instead of waiting on.

``page.evaluate`` and closing a page have no timeout of their own, and a signal that raises in the midst of Playwright's
loop would leave it spinning. Without its driver every call of Playwright raises at once, now and later.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DRIVER = "playwright/driver/node"
TIMER = "no browser after"


@contextmanager
def no_browser_after(seconds: float, who: str) -> Iterator[None]:
    """End the browsers that this process drives, unless we are done in time, and tell on stderr who waited where."""

    def too_long() -> None:
        sys.stderr.write(f"\n{who}: {seconds:g} s before a browser are enough\n")
        sys.stderr.flush()
        faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
        for pid in drivers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, too_long)
    timer.name, timer.daemon = TIMER, True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def drivers() -> list[int]:
    """Return the process ids of Playwright's drivers that this process started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text(encoding="ascii").split():
                with suppress(OSError):
                    if DRIVER in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8", errors="replace"):
                        found.append(int(child))
    return found
