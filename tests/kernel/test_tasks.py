"""A task that was asked to end knows it, also when what it waits for has swallowed the order."""

import asyncio
import contextlib

from kernel.tasks import is_ending


async def _swallows() -> None:
    """Wait as the store's client may: the order to end is lost."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


async def test_a_loop_ends_although_the_order_was_swallowed() -> None:
    """The loop is asked once; it ends by itself."""
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while not is_ending():
            rounds += 1
            await _swallows()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait_for(task, 5)

    assert rounds == 1


async def test_a_task_that_nobody_asked_goes_on() -> None:
    """Without an order, and outside of any task's end, there is none."""
    assert not is_ending()
