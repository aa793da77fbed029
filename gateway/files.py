"""Files: how many this process may have open, raised as far as the system lets it.

Shells commonly begin with a soft limit of 1,024 files and a hard one far above it, and each connection is a file:
without this a worker would refuse its thousandth visitor whatever its settings say. The soft limit is ours to
raise; where the hard one is too low only whoever runs the machine can help.
"""

import resource

SPARE = 128
"""Files that a process needs besides connections: its loop, its logs, the store, the journal."""


def most_connections() -> int:
    """Raise the soft limit to the hard one; return how many connections that leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):  # some systems have a lower bound that getrlimit does not tell
            pass
    return max(0, soft - SPARE) if soft != resource.RLIM_INFINITY else 1_000_000
