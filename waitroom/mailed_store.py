"""Mailed store: numbers on their way to mail addresses; one typed method for each transition, and every key name.

The keys have a hash tag of their own and not the line's: nothing that is asked for here is in the way of a join.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from kernel.clock import Clock
from kernel.gcra import Rate
from kernel.lua import Scalar, Script, call, load
from kernel.store import translated
from waitroom.mailed import ADDRESS_RATE, KEEP_MS, TRIES_MOST, Gone, Mailed, Pending, Right, Slow, Wrong

SLACK_MS = 60_000
"""A key is cleared away so long after the rule has refused it."""

_LUA = Path(__file__).parent / "lua"
_NAMES = ("mailed", "guess")


def pending_key(room: str, name: str) -> str:
    """Name what is kept of a number."""
    return f"wr:{{{room}/mail}}:n:{name}"


def bucket_key(room: str, tag: str) -> str:
    """Name the bucket of an address."""
    return f"wr:{{{room}/mail}}:b:{tag}"


class MailedStore:
    """Transitions of mailed numbers on a Redis or Valkey."""

    def __init__(
        self, client: Redis, scripts: Mapping[str, Script] | None = None, clock: Clock | None = None
    ) -> None:
        """Use `client`; `scripts` replaces single scripts and `clock` the store's own time: in tests."""
        self._client = client
        self._clock = clock
        self._scripts = {name: load(_LUA / f"{name}.lua") for name in _NAMES} | dict(scripts or {})

    async def mailed(
        self, room: str, name: str, run: str, tag: str, digest: str, rate: Rate = ADDRESS_RATE,
        now_ms: int | None = None,
    ) -> Mailed | Slow:  # fmt: skip
        """Keep a number for an address."""
        keys = {"pending": pending_key(room, name), "bucket": bucket_key(room, tag)}
        args: dict[str, Scalar] = {
            "run": run, "tag": tag, "digest": digest, "keep_ms": KEEP_MS, "interval_us": rate.interval_us,
            "burst": rate.burst, "slack_ms": SLACK_MS,
        }  # fmt: skip
        word, number = await self._call("mailed", keys, args, now_ms)
        return Mailed(int(number)) if word == "mailed" else Slow(int(number))

    async def guess(
        self, room: str, name: str, run: str, digest: str, now_ms: int | None = None
    ) -> Right | Wrong | Gone:
        """Judge a number."""
        args: dict[str, Scalar] = {"run": run, "digest": digest, "most": TRIES_MOST}
        word, *rest = await self._call("guess", {"pending": pending_key(room, name)}, args, now_ms)
        match word:
            case "right":
                return Right(rest[0].decode())
            case "wrong":
                return Wrong(int(rest[0]))
            case _:
                return Gone()

    async def pending(self, room: str, name: str) -> Pending | None:
        """Read what is kept of a number: for tests."""
        with translated():
            found: Any = await self._client.hgetall(pending_key(room, name))
        if not found:
            return None
        return Pending(
            found[b"run"].decode(),
            found[b"tag"].decode(),
            found[b"digest"].decode(),
            int(found[b"until_ms"]),
            int(found[b"wrong"]),
        )

    async def _call(
        self, script: str, keys: Mapping[str, str], args: Mapping[str, Scalar], now_ms: int | None
    ) -> list[Any]:
        at_ms = now_ms if now_ms is not None or self._clock is None else self._clock.now_ms()
        with translated():
            return await call(self._client, self._scripts[script], keys, args, at_ms)
