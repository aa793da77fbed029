"""Lease: a piece of background work on an event that one worker does, so that the others need not do it over again.

It lies in the event's store, ends by itself, and goes on for whoever has it. Nothing may depend on being alone with
it: a worker that stood still for longer than its lease does not know that it has lost it. Not here: the turns of
the waitlist (``waitlist.store``), which are given back after each step.
"""

from collections.abc import Mapping

from checkout.holds.store import LUA, HoldStore
from kernel.lua import Script, fast_call, load
from kernel.store import translated


class Leases:
    """The leases of one worker in one store."""

    def __init__(self, holds: HoldStore, who: str, scripts: Mapping[str, Script] | None = None) -> None:
        """`who` names the worker; `scripts` replaces the script (mutants in tests)."""
        self._holds = holds
        self._who = who
        self._script = (scripts or {}).get("lease") or load(LUA / "lease.lua")

    async def take(self, event: str, work: str, lease_ms: int) -> bool:
        """Take a piece of work, or go on with it; False while another worker has it."""
        return await self._call(event, work, "take", lease_ms) == "mine"

    async def give(self, event: str, work: str) -> None:
        """Give it back; whoever's lease ran out gives nothing."""
        await self._call(event, work, "give", 0)

    async def _call(self, event: str, work: str, act: str, lease_ms: int) -> str:
        key = f"{self._holds.keys(event).head.removesuffix('head')}lease:{work}"
        with translated():
            answer = await fast_call(self._holds.client, self._script, [key], (act, self._who, lease_ms))
        return str(answer[0])
