"""Settling: a page tells its rhythm once, when the turn is almost there, and does what the room answers.

As the page's script does: not before it has listened for a while, again later where the room says so or does not
answer, a few times at most. A slowed place waits in the lane suspect, and whoever does checks does one; so does whoever
is asked for one before the turn. Not here: what is told (``rhythms``), how a check is passed (``proving``).
"""

from gateway.crowd.bots.shares import ASKED, SLOWED
from gateway.crowd.browser import members
from gateway.crowd.fan import Fan
from gateway.crowd.observed import Route

LISTENED_S = 15.0
TRIES = 5
EARLY, DEAF = "rhythm-early", "rhythm-none"


async def near(fan: Fan) -> None:
    """Tell, unless it was told, or the page has not listened for long enough."""
    file = fan.file
    if file.settled or not fan.venue.hears:
        return
    if file.joined_s is None or fan.venue.seconds() < file.joined_s + LISTENED_S:
        return
    fan.tellings += 1
    answer = await fan.ask(Route.RHYTHM, fan.venue.room_path + b"/rhythm", fan.rhythm)
    said = {} if answer is None else members(answer)
    is_later = answer is None or answer.status >= 429 or said.get("code") == EARLY
    if is_later and fan.tellings < TRIES:
        return
    file.settled = str(said.get("outcome") or said.get("code") or "unheard")
    fan.venue.hears = file.settled != DEAF
    if file.settled == SLOWED:
        file.lane, fan.ticket = str(said["lane"]), str(said["ticket"])
    elif file.settled == ASKED:
        file.asks = str(said["way"])
    else:
        return
    if fan.clears is not None:
        await fan.clears(fan)
