"""The watch: what the operator's port says of the room while the crowd is there.

It gives the limits that the room has promised and, each second, how many sessions there are. Without an operator's
address there is nothing to see, and the checks that need it say that they were not judged (or go by limits
given by hand). A sample that fails is left out: the crowd watches the fans' side, not the operator's.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.crowd.browser import Venue
from gateway.crowd.observed import Sample
from gateway.crowd.plan import Limits, Plan
from gateway.crowd.wire import NoAnswer, Wire

LOOK_S = 1.0
TIMEOUT_S = 5.0


class Watch:
    """Reads the operator's API with the operator's token."""

    def __init__(self, wire: Wire | None, plan: Plan, venue: Venue) -> None:
        """Read over this wire; without one there is no operator's port."""
        self.policy = ""
        self._wire = wire
        self._venue = venue
        self._path = f"/api/rooms/{plan.room}".encode()
        self._headers = (
            f"authorization: Bearer {plan.operator_token or ''}\r\naccept: application/json\r\n".encode()
        )

    async def limits(self) -> Limits:
        """The room's limits in force."""
        said = await self._read(b"")
        self.policy = policy_of(said)
        rate, cap = said.get("new_users_per_minute"), said.get("total_active_users")
        return Limits(None if rate is None else float(rate), None if cap is None else int(cap))

    async def keep_looking(self) -> None:
        """Sample the number of sessions until cancelled."""
        while self._wire is not None:
            said = await self._read(b"/status")
            active = said.get("active_sessions")
            if isinstance(active, int):
                self._venue.observed.samples.append(Sample(self._venue.seconds(), active))
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            await self._wire.close()

    async def _read(self, below: bytes) -> dict[str, Any]:
        if self._wire is None:
            return {}
        try:
            answer = await self._wire.ask(b"GET", self._path + below, self._headers)
            said = orjson.loads(answer.body) if answer.status == 200 else {}
        except (NoAnswer, ValueError):
            return {}
        return said if isinstance(said, dict) else {}


def policy_of(said: Mapping[str, Any]) -> str:
    """Say in short what a room does with bots; '' where it does not tell."""
    guard, rule = said.get("bot_guard"), said.get("challenge")
    if not isinstance(guard, str) or not isinstance(rule, dict):
        return ""
    return f"bot_guard {guard}, challenge {rule.get('way')} for {rule.get('asks')}"
