"""Orphan: what no process of ours becomes, even when the supervisor is killed by ``kill -9``.

A child asks the kernel for a signal at its parent's death. The request is made by the child itself, first
thing, and not between fork and exec; should the parent have died before, the child sees that it has
another parent now. Linux only; elsewhere an orderly stop still reaches every child.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask for SIGTERM when the parent dies, whatever kills it; exit if it has died already.

    Linux only; elsewhere a terminal's Ctrl-C and an orderly stop still reach every child.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
