"""Batch: calls of one script that arrive together travel together.

A claim or a hold is one call of one script, and stays so: each is atomic by itself and has its own answer. But a trip
to the store costs a worker four times what the script costs the store. So while one trip is under way the calls that
come in wait, and the next trip takes them all (group commit). A lone call leaves at once.

Nothing is ever sent twice, with one exception: where the store answers NOSCRIPT that call has not run, so
the script is loaded and the call made again. When the trip fails, every call on it fails; some may have run, and
their fans ask again. Not here: what is called (each package's ``store``).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from kernel.lua import Scalar, Script

MOST_AT_ONCE = 256
"""Some ten milliseconds of the store's time."""

Call = tuple[int, *tuple[Scalar, ...]]
"""How many keys, then the keys and the arguments."""


class Batch:
    """Carries calls of one script, for one worker."""

    def __init__(self, client: Redis, script: Script) -> None:
        """Send nothing yet."""
        self._client = client
        self._script = script
        self._waiting: list[tuple[Call, asyncio.Future[list[Any]]]] = []
        self._trip: asyncio.Task[None] | None = None

    async def call(self, keys: Sequence[str], argv: Sequence[Scalar], now_ms: int | None) -> list[Any]:
        """Run the script as ``kernel.lua.fast_call`` does; errors of the client pass through."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        rest: tuple[Scalar, ...] = (*keys, *argv, "" if now_ms is None else now_ms)
        self._waiting.append(((len(keys), *rest), answer))
        if self._trip is None or self._trip.done():
            self._trip = loop.create_task(self._travel())
        return await answer

    async def _travel(self) -> None:
        while self._waiting:
            aboard, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                answers = await self._ask([call for call, _ in aboard])
            except asyncio.CancelledError:
                for _, answer in (*aboard, *self._waiting):
                    answer.cancel()
                self._waiting = []
                raise
            except Exception as error:  # noqa: BLE001 (each caller gets it and judges it)
                answers = [error] * len(aboard)
            for (_, answer), got in zip(aboard, answers, strict=True):
                if answer.done():
                    continue
                if isinstance(got, Exception):
                    answer.set_exception(got)
                else:
                    answer.set_result([got[0].decode(), *got[1:]])

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        answers = await self._send(calls)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            await self._client.script_load(self._script.text)
            again = await self._send([calls[index] for index in unknown])
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return answers

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            try:
                return [await self._client.evalsha(self._script.sha1, *calls[0])]
            except NoScriptError as error:
                return [error]
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            pipe.evalsha(self._script.sha1, *call)
        return list(await pipe.execute(raise_on_error=False))
