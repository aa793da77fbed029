"""Proving: how a place passes the room's check, as its page does, and as bots do.

It is done to leave the lane suspect, or to go in where a check is asked for before the turn. A person notices the offer
after a moment, opens the page of the check and does what it wants. Work takes as long as the device needs; one that is
not done after two and a half seconds gives the task back for an easier one, as the page does. Where a provider's check
is wanted there is no provider here: the crowd brings what the room's stand-in for one takes (``Plan.passes``), and
works instead where it knows of none.

Every answer is noted with what it cost. Not here: solving (``work``), who does it (``plays``).
"""

import re
from random import Random

import orjson

from gateway.crowd.bots.kinds import FARM_HALF_S, FARM_RIGHT_RATIO, FARM_SPREAD, FARM_USD, Kind
from gateway.crowd.bots.work import solve, written
from gateway.crowd.browser import HTML, Ended, members
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Checked, Outcome, Route
from gateway.crowd.wire import Answer

NOTICED_HALF_S, NOTICED_SPREAD = 4.0, 0.6
WIDGET_HALF_S, WIDGET_SPREAD = 9.0, 0.5
"""How long people take to see the offer, and for a provider's check; assumptions."""
PATIENCE_S = 2.5
TRIES = 4
"""Whoever is refused so often leaves it."""
WORK = "work"
BESIDE = "prove"
"""The way of a check that the page does by itself."""
_WAY = re.compile(rb'data-way="([a-z]+)"')


async def prove(fan: Fan) -> bool:
    """Pass the check as the page does; True when nothing stands before the place any more."""
    guise = fan.guise
    if fan.file.kind is None:
        if guise is not None and not guise.has_scripts:
            return False
        await fan.venue.sleep(taken_s(fan.random, NOTICED_HALF_S, NOTICED_SPREAD))
    page = await fan.insist(Route.CHECK, fan.venue.room_path + b"/challenge", accept=HTML)
    found = _WAY.search(page.body)
    if page.status != 200 or found is None:
        return False
    way = found.group(1).decode()
    if way != WORK and not fan.plan.passes:
        way = WORK
    return await passed(fan, way)


async def passed(fan: Fan, way: str) -> bool:
    """Take checks of a way until one counts."""
    given: object = None
    for _ in range(TRIES):
        said = await _issued(fan, way, given)
        if said is None:
            return _is_through(fan)
        given = None
        if said.get("way") == WORK:
            given = await _worked(fan, said)
        else:
            await _brought(fan, str(said.get("way")))
        if _is_through(fan):
            return True
    return False


async def clear(fan: Fan) -> bool:
    """Pass the check that comes before the turn, or by which a slowed place climbs.

    Where the room only wants work (`prove`) the device works beside the page, and nobody has to notice anything.
    """
    return await (passed(fan, WORK) if fan.file.asks == BESIDE else prove(fan))


async def work(fan: Fan) -> bool:
    """Pass any check by work, which is open in every room."""
    return await passed(fan, WORK)


def _is_through(fan: Fan) -> bool:
    return fan.file.lane != "suspect" and not fan.file.asks


async def _issued(fan: Fan, way: str, given: object) -> dict[str, object] | None:
    """Ask for a check; None where there is none to do, or none to be had."""
    wish = {"way": way} if given is None else {"way": way, "given": given}
    answer = await fan.insist(Route.CHECK, fan.venue.room_path + b"/challenge", orjson.dumps(wish))
    said = members(answer)
    if answer.status == 200 and said.get("outcome") == "issued":
        return said
    note(fan, way, answer)
    return None


async def _worked(fan: Fan, said: dict[str, object]) -> object:
    """Do the work and bring it; the challenge, where the device gives it back for an easier one."""
    challenge = said["challenge"]
    if not isinstance(challenge, dict):
        raise TypeError("a challenge is an object")
    parameters, most = challenge["parameters"], int(str(said["tries_most"]))
    solved = await solve(parameters, most)
    if solved is None:
        raise Ended(Outcome.FAILED, "a check cannot be solved")
    took_s = 0.0
    if fan.file.kind is None and fan.guise is not None:
        took_s = solved.counter / fan.guise.hashes_per_s
        if took_s > PATIENCE_S and parameters["data"]["level"]:
            fan.notes.checks.append(Checked(fan.file.index, WORK, "easier", solved.cpu_s, 0.0))
            await fan.venue.sleep(PATIENCE_S)
            return challenge
        await fan.venue.sleep(took_s)
    usd = await _farmed(fan)
    text = written(challenge, solved.counter, solved.key, round(took_s * 1000))
    note(fan, WORK, await answered(fan, WORK, text), cpu_s=solved.cpu_s, usd=usd)
    return None


async def _brought(fan: Fan, way: str) -> None:
    """Bring a provider's token: a person's after a while, a farm's after longer, one of ten wrong."""
    usd, is_right = 0.0, True
    if fan.file.kind is Kind.FARM:
        usd = await _farmed(fan)
        is_right = fan.random.random() < FARM_RIGHT_RATIO
    else:
        await fan.venue.sleep(taken_s(fan.random, WIDGET_HALF_S, WIDGET_SPREAD))
    text = f"{fan.plan.passes if is_right else 'wrong:'}{fan.random.getrandbits(96):024x}"
    note(fan, way, await answered(fan, way, text), usd=usd)


async def _farmed(fan: Fan) -> float:
    """Wait for a farm's person; what it costs."""
    if fan.file.kind is not Kind.FARM:
        return 0.0
    await fan.venue.sleep(taken_s(fan.random, FARM_HALF_S, FARM_SPREAD))
    return FARM_USD


async def answered(fan: Fan, way: str, text: str) -> Answer:
    """Send an answer to a check."""
    body = orjson.dumps({"way": way, "answer": text})
    return await fan.insist(Route.CHECK, fan.venue.room_path + b"/challenge/answer", body)


def note(fan: Fan, way: str, answer: Answer, *, cpu_s: float = 0.0, usd: float = 0.0) -> str:
    """Note what came of a check; the place is in another lane where the room says so."""
    said = members(answer)
    outcome = str(said.get("outcome") or said.get("code") or answer.status)
    if answer.status == 200 and outcome == "lifted":
        fan.file.lane = str(said["lane"])
        fan.ticket = str(said["ticket"])
    if answer.status == 200 and outcome in {"lifted", "not-needed"}:
        fan.file.asks = ""
    fan.notes.checks.append(Checked(fan.file.index, way, outcome, cpu_s, usd))
    return outcome


def taken_s(random: Random, half_s: float, spread: float) -> float:
    """Draw a time of which half are longer than `half_s`; times of people have long tails (log-normal)."""
    return half_s * random.lognormvariate(0.0, spread)
