"""Tasks: work that goes on for ever ends when it is asked to.

In Python 3.11 ``asyncio.wait_for`` may lose a cancellation that arrives together with what it waits for, and the
store's client waits with it. A loop that then goes on is never asked again, and its process does not end. So a loop
that runs for ever asks by itself: ``while not is_ending()``.
"""

import asyncio


def is_ending() -> bool:
    """Tell whether the running task was asked to end, whether or not it has heard of it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
