"""Plays: what each kind of bot does, told as a short story like those of ``scripts``.

A bot is no browser: it goes to the room's addresses at once and looks at no page. Whatever becomes of it is in order;
only an answer that was not promised is a fault. One function for each kind, in one table; beside it who passes a check
that comes before the turn, and how. Not here: what a kind tells of its pointer (``rhythms``).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from gateway.crowd.bots.kinds import RING, Kind
from gateway.crowd.bots.proving import WORK, answered, clear, note, passed, prove, work
from gateway.crowd.bots.work import solve, written
from gateway.crowd.browser import Ended, members
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Outcome, Route
from gateway.crowd.turn import claim, shop

DEVICE = b"waitroom-device"
SUSPECT = "suspect"
LOOK_S = 0.5
RECORDED_S = 30.0
"""So long replays wait for what they replay."""
EASY_TRIES = 1 << 12


@dataclass(slots=True)
class Ring:
    """What the bots of one owner share."""

    device: dict[bytes, bytes] = field(default_factory=dict)
    key: bytes = b""
    cookies: dict[bytes, bytes] = field(default_factory=dict)
    number: int | None = None
    challenge: dict[str, Any] | None = None
    answer: str = ""
    is_recorded: bool = False


async def play_bot(fan: Fan) -> Outcome:
    """Live one bot's day. Raises Ended."""
    kind = fan.file.kind
    if kind is None:
        raise ValueError("a person is no bot")
    return await PLAYS[kind](fan)


async def waits(fan: Fan) -> Outcome:
    """Take a place and wait for it, in whatever lane."""
    await _join(fan)
    return await _gets_in(fan)


async def many(fan: Fan) -> Outcome:
    """Take one of many places of one browser, with its cookie or without."""
    ring = ring_of(fan, fan.file.nth // RING)
    keeps = fan.file.nth // RING % 2 == 0
    if keeps:
        fan.cookies.update(ring.device)
    await _join(fan)
    if keeps:
        ring.device.update(device_of(fan))
    return await _gets_in(fan)


async def solves(fan: Fan) -> Outcome:
    """Do the work at once, whatever the room wants: work is open in every room that has a check."""
    await _join(fan)
    if fan.file.lane == SUSPECT:
        await passed(fan, WORK)
    return await _gets_in(fan)


async def farms(fan: Fan) -> Outcome:
    """Have paid people do the check."""
    await _join(fan)
    if fan.file.lane == SUSPECT:
        await prove(fan)
    return await _gets_in(fan)


async def replays(fan: Fan) -> Outcome:
    """Record one person's way through, and have all others send it again."""
    ring = ring_of(fan, 0)
    if fan.file.nth == 0:
        await _record(fan, ring)
        return await _gets_in(fan)
    for _ in range(round(RECORDED_S / LOOK_S)):
        if ring.is_recorded:
            break
        await fan.venue.sleep(LOOK_S)
    await _again(fan, ring)
    fan.cookies = dict(ring.device)
    await _join(fan)
    if fan.file.lane == SUSPECT and ring.challenge is not None:
        _caught(fan, note(fan, WORK, await answered(fan, WORK, ring.answer)))
        _caught(fan, note(fan, WORK, await answered(fan, WORK, await made_easier(ring.challenge))))
    return await _gets_in(fan)


async def _record(fan: Fan, ring: Ring) -> None:
    """Be the person who is recorded: join, and do the check as the page does."""
    ring.key = await _join(fan)
    ring.number, ring.cookies, ring.device = fan.file.number, dict(fan.cookies), device_of(fan)
    if fan.file.lane == SUSPECT:
        wish = orjson.dumps({"way": WORK})
        said = members(await fan.insist(Route.CHECK, fan.venue.room_path + b"/challenge", wish))
        ring.challenge = said["challenge"]
        solved = await solve(said["challenge"]["parameters"], int(said["tries_most"]))
        if solved is not None:
            ring.answer = written(ring.challenge, solved.counter, solved.key)
            note(fan, WORK, await answered(fan, WORK, ring.answer), cpu_s=solved.cpu_s)
    ring.is_recorded = True


async def _again(fan: Fan, ring: Ring) -> None:
    """Send the recorded join and check word for word: it must be the same place, and the answer be used up."""
    fan.cookies = dict(ring.cookies)
    key = b"idempotency-key: " + ring.key + b"\r\n"
    answer = await fan.insist(Route.JOIN, fan.venue.room_path + b"/join", b"{}", extra=key)
    number = members(answer).get("number")
    if answer.status == 200 and number != ring.number:
        fan.notes.forged.append((fan.file.index, f"a join that was replayed got the number {number}"))
    if ring.answer:
        _caught(fan, note(fan, WORK, await answered(fan, WORK, ring.answer)))
    fan.file.lane = ""


async def made_easier(challenge: dict[str, Any]) -> str:
    """Solve a check that was made easier by oneself: one byte instead of sixteen."""
    easy = dict(challenge["parameters"]) | {"keyPrefix": challenge["parameters"]["keyPrefix"][:2]}
    solved = await solve(easy, EASY_TRIES)
    mine = {"parameters": easy, "signature": challenge["signature"]}
    return written(mine, solved.counter if solved else 0, solved.key if solved else "")


def _caught(fan: Fan, outcome: str) -> None:
    """An answer that was used, another place's, or one's own making must not count."""
    if outcome in {"lifted", "not-needed"}:
        fan.notes.forged.append(
            (fan.file.index, f"a check that was replayed or forged was answered {outcome}")
        )


async def _join(fan: Fan) -> bytes:
    """Take a place; who is turned away is, and that is no fault. Gives the join's key."""
    try:
        return await fan.join()
    except Ended as end:
        if end.outcome is Outcome.FAILED and fan.file.number is None:
            raise Ended(Outcome.REFUSED) from None
        raise


async def _gets_in(fan: Fan) -> Outcome:
    await fan.wait_for_call()
    await claim(fan)
    return await shop(fan)


def ring_of(fan: Fan, which: int) -> Ring:
    """Give what the bots of one owner share."""
    rings: dict[tuple[str, int], Any] = fan.venue.rings
    found = rings.setdefault((str(fan.file.kind), which), Ring())
    if not isinstance(found, Ring):
        raise TypeError("no ring")
    return found


def device_of(fan: Fan) -> dict[bytes, bytes]:
    """Give the cookie by which the room knows this browser."""
    return {name: value for name, value in fan.cookies.items() if DEVICE in name}


PLAYS: Mapping[Kind, Callable[[Fan], Awaitable[Outcome]]] = MappingProxyType(
    {
        Kind.LIBRARY: waits,
        Kind.MANY_JOIN: many,
        Kind.MIMIC: waits,
        Kind.MIMIC_ONE_NETWORK: waits,
        Kind.REPLAY: replays,
        Kind.MOVER: waits,
        Kind.ECHO: waits,
        Kind.SOLVER: solves,
        Kind.FARM: farms,
    }
)
CLEARS: Mapping[Kind | None, Callable[[Fan], Awaitable[bool]]] = MappingProxyType(
    {None: clear, Kind.SOLVER: work, Kind.FARM: clear}
)
"""Who passes a check that comes before the turn; None are people."""
