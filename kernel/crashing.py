"""Crash points: named places at which a test lets a process die, as a kill or a power cut would.

``crashpoint("sell.after")`` does nothing at all, unless the environment says ``CRASH_AT=sell.after`` (the first time)
or ``sell.after:3`` (the third time that it is passed): then the process ends on the spot, without cleaning up. Which
points there are is read from the sources by the tests; one that no test has hit fails them.

Not here: what must hold after a crash (``tests``).
"""

import os

VARIABLE = "CRASH_AT"
"""Not one of the settings: a supervisor hands these to its children only where it knows them."""

STATUS = 137
"""What a shell says of a process that was killed."""

_name, _, _count = os.environ.get(VARIABLE, "").partition(":")
_left = int(_count or 1) if _name else 0


def crashpoint(name: str) -> None:
    """Die here, if the environment says so."""
    global _left  # noqa: PLW0603 (a process dies once)
    if not _left or name != _name:
        return
    _left -= 1
    if not _left:
        os._exit(STATUS)
