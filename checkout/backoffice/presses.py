"""Press: a form that was sent is acted on once, however often its button was pressed.

Each form has a request key. While the first press is being acted on, the second one waits for the same answer; for a
while after that it is given the same answer again. The same key with something else in the form is another wish, as is
the same form in another session or at another address. What was refused is not kept, so whoever mistyped a code sends
the same form once more.

This is for people at one worker. What must not happen twice under any circumstances (money) has the same key in SQL.
Bounded: the oldest goes first. Not here: what is done (``office``).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.responses import Response

MOST = 1_000
NOT_MINDED = frozenset({"code", "csrf"})
"""Fields that make no other wish of a form: a code counts once, so the second press brings a worn one."""


class Presses:
    """What was pressed lately, for one worker."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, asyncio.Task[Response]] = OrderedDict()

    async def once(self, name: bytes, act: Callable[[], Awaitable[Response]]) -> Response:
        """Act, or give the answer of the press that was before."""
        task = self._known.get(name)
        if task is None:
            task = self._known[name] = asyncio.ensure_future(_acted(act))
            task.add_done_callback(lambda done: self._look(name, done))
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        # Who goes away while it is done stops nothing.
        return await asyncio.shield(task)

    def _look(self, name: bytes, task: "asyncio.Task[Response]") -> None:
        is_bad = task.cancelled() or task.exception() is not None or task.result().status_code >= 400
        if is_bad and self._known.get(name) is task:
            del self._known[name]


async def _acted(act: Callable[[], Awaitable[Response]]) -> Response:
    return await act()


def press_name(session: str, path: str, form: Mapping[str, Sequence[str]]) -> bytes:
    """Name a press: who, where, and everything in the form that makes it this wish."""
    parts = [session, path]
    for field in sorted(form.keys() - NOT_MINDED):
        parts += [field, *form[field]]
    return hashlib.sha256("\0".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
