"""Batch: calls of one script that arrive together run as one.

A claim or a hold is one call of one script, and stays so: each has its own keys, its own arguments and its own answer.
But a trip to the store costs a worker several times what the script costs the store, and so does each command on it. So
while one trip is under way the calls that come in wait, and the next takes them all: one command, in which the script
runs once for each of them, in the order in which they came (group commit). A lone call leaves at once.

A call that fails inside the script fails alone. Nothing is ever sent twice, with one exception: where the store
answers NOSCRIPT nothing has run, so the script is loaded and the command made again. When the trip fails, every call
on it fails; they may have run, and their fans ask again. Not here: what is called (each package's ``store``).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1
from itertools import chain
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from kernel.lua import PRELUDE, START, Scalar, Script

MOST_AT_ONCE = 64
"""Some milliseconds of the store's time, in which it answers nobody else."""

_EACH = """
end
local width, given = ARGV[1] + 0, ARGV[2] + 0
local time = redis.call('TIME')
local answers, now_ms = {}, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for call = 1, #KEYS / width do
  local keys = {unpack(KEYS, (call - 1) * width + 1, call * width)}
  local argv = {unpack(ARGV, (call - 1) * given + 3, call * given + 2)}
  if argv[given] == '' then
    argv[given] = now_ms
  end
  local done, answer = pcall(one, keys, argv)
  if not done and type(answer) ~= 'table' then
    answer = {err = 'ERR ' .. tostring(answer)}
  end
  answers[call] = answer
end
return answers
"""


def each(script: Script) -> Script:
    """Return the script that runs another once for each of many calls, whose keys and arguments stand in a row.

    KEYS: those of all calls. ARGV: how many keys and how many arguments a call has, then the arguments of all calls.
    What the other calls KEYS and ARGV are the call's own; its first line stays the first.
    """
    before, start, body = script.text.rpartition(START)
    once = before.removeprefix(PRELUDE)
    text = f"{once} local function one(KEYS, ARGV) {PRELUDE}{start}{body.removeprefix(PRELUDE)}{_EACH}"
    return replace(script, text=text, sha1=sha1(text.encode(), usedforsecurity=False).hexdigest())


class _Call(NamedTuple):
    keys: Sequence[str]
    argv: Sequence[Scalar]


class Batch:
    """Carries calls of one script, for one worker."""

    def __init__(self, client: Redis, script: Script) -> None:
        """Send nothing yet. All calls have as many keys and as many arguments as the script's head names."""
        self._client = client
        self._script = each(script)
        self._waiting: list[tuple[_Call, asyncio.Future[list[Any]]]] = []
        self._trip: asyncio.Task[None] | None = None

    async def call(self, keys: Sequence[str], argv: Sequence[Scalar], now_ms: int | None) -> list[Any]:
        """Run the script as ``kernel.lua.fast_call`` does; errors of the client pass through."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append((_Call(keys, (*argv, "" if now_ms is None else now_ms)), answer))
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

    async def _ask(self, calls: Sequence[_Call]) -> list[Any]:
        keys = list(chain.from_iterable(call.keys for call in calls))
        argv = chain.from_iterable(call.argv for call in calls)
        rest = (*keys, len(calls[0].keys), len(calls[0].argv), *argv)
        try:
            answers: list[Any] = await self._client.evalsha(self._script.sha1, len(keys), *rest)
        except NoScriptError:
            await self._client.script_load(self._script.text)
            answers = await self._client.evalsha(self._script.sha1, len(keys), *rest)
        return answers
