"""The turn: what a fan does once called: claim, go on to the origin, end the session.

A claim is repeated as it is told to (``next``, ``waiting``, ``paused``) and each admission is noted with its
``sid``, so that ``checks`` can see whether anybody got in twice. Not here: waiting for the call (``fan``).
"""

import re
from typing import Any

import jwt
import orjson

from gateway.crowd.admission import claims_of
from gateway.crowd.browser import HTML, NAVIGATION, Ended, members
from gateway.crowd.fan import Fan, Page
from gateway.crowd.observed import Admitted, Outcome, Route, Stay
from gateway.crowd.seats.noted import Ending
from gateway.crowd.seats.stories import run_errand
from gateway.crowd.wire import Answer

VERIFY_EVERY = 10
"""One fan in so many verifies the admission with the published keys; that costs as much as several polls."""

CHECKS_MOST = 3
"""A check that was passed counts once and for good; two tabs may both hear of it."""

_FINISH = re.compile(rb"""(?:href|action)=["']?([^"'\s>]*finish[^"'\s>]*)""")


async def claim(fan: Fan, page: Page | None = None) -> Admitted:
    """Take the turn: ask until admitted. Raises Ended when that cannot be."""
    page, cleared = page or fan.page, 0
    while True:
        answer = await fan.insist(Route.CLAIM, *claim_request(fan))
        said = members(answer)
        outcome = said.get("outcome")
        if answer.status == 200 and outcome == "admitted":
            return note_admission(fan, said, answer)
        if answer.status != 202:
            if fan.is_closing:
                raise Ended(Outcome.OVER)
            raise Ended(Outcome.FAILED, fan.turned(Route.CLAIM, answer))
        if fan.file.rank is not None and outcome in {"next", "waiting"}:
            fan.told(fan.file.rank, answer, called=outcome == "next")
        if outcome == "waiting":
            await fan.venue.sleep(float(said.get("poll_ms") or 2000) / 1000)
            await fan.wait_for_call(page)
        elif outcome == "check":
            cleared += 1
            await _clear(fan, str(said.get("way")), is_again=cleared > CHECKS_MOST)
        else:
            await fan.venue.sleep(float(said.get("retry_after_ms") or 1000) / 1000)


async def _clear(fan: Fan, way: str, *, is_again: bool) -> None:
    """Do the check that comes first. Raises Ended for whom does none, or cannot, or is asked again and again."""
    fan.file.asks = way
    if fan.clears is not None and not is_again and await fan.clears(fan):
        return
    if fan.file.kind is None:
        raise Ended(Outcome.FAILED, "a check before the turn could not be passed")
    raise Ended(Outcome.REFUSED)


async def press(fan: Fan) -> bool:
    """Claim once, called or not; True while the answer is to wait. Raises Ended when the ticket is refused."""
    answer = await fan.insist(Route.CLAIM, *claim_request(fan))
    said = members(answer)
    outcome = said.get("outcome")
    if answer.status == 200 and outcome == "admitted":
        note_admission(fan, said, answer)
        return False
    if answer.status != 202:
        raise Ended(Outcome.FAILED, fan.turned(Route.CLAIM, answer))
    if fan.file.rank is not None and outcome in {"next", "waiting"}:
        fan.told(fan.file.rank, answer, called=outcome == "next")
    return outcome == "waiting"


def claim_request(fan: Fan) -> tuple[bytes, bytes]:
    """Path and body of a claim."""
    return fan.venue.room_path + b"/claim", orjson.dumps({"target": fan.plan.target})


def note_admission(fan: Fan, said: dict[str, Any], answer: Answer) -> Admitted:
    """Put an admission into the records. Raises Ended when it is not a token."""
    file, notes = fan.file, fan.notes
    token = str(said.get("admission", ""))
    claims = _read(token)
    note = Admitted(
        fan=file.index,
        run=file.run,
        number=-1 if file.number is None else file.number,
        sid=str(claims["sub"]),
        at_ms=int(claims["iat"]) * 1000,
        unit_ms=1000,
        asked_s=answer.asked_at,
        answered_s=answer.answered_at,
    )
    notes.admissions.append(note)
    fan.sid, fan.token = note.sid, token
    if file.admitted_s is None:
        file.admitted_s = answer.answered_at
    stay = notes.stays.setdefault(note.sid, Stay(note.sid, answer.answered_at, 0.0))
    if fan.plan.places is not None and len(notes.stays) >= fan.plan.places:
        fan.venue.close()
    fan.expires_s = int(claims["exp"]) - notes.wall_ms / 1000
    stay.until_s = max(stay.until_s, fan.expires_s)
    if file.index % VERIFY_EVERY == 0 and not _verifies(fan, token):
        file.faults.append("the admission does not verify with the published keys")
    return note


def _read(token: str) -> dict[str, Any]:
    claims = claims_of(token)
    if claims is None:
        raise Ended(Outcome.FAILED, "the admission is not a token")
    return claims


def _verifies(fan: Fan, token: str) -> bool:
    keys = fan.venue.archive.keys
    if not keys:
        return True
    try:
        kid = str(jwt.get_unverified_header(token).get("kid"))
        # The crowd's clock need not be the room's, so times are left to the guard at the origin.
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        found = jwt.decode(token, keys[kid], algorithms=["ES256"], options=options)
    except (jwt.PyJWTError, KeyError):
        return False
    return str(found.get("room")) == fan.plan.room


async def shop(fan: Fan) -> Outcome:
    """Use the origin with the admission, then end the session or let it run out.

    Where the origin sells seats the fan runs its errand there; elsewhere it only looks at pages.
    """
    pages = fan.random.randint(1, 3)
    finish = await look(fan)
    if finish is None:
        raise Ended(Outcome.FAILED, "the session had run out before the fan reached the origin")
    if await run_errand(fan):
        pages = 1
        if fan.file.ending is Ending.CUT:
            return Outcome.STAYED
    for _ in range(1, pages):
        await think(fan)
        link = await look(fan)
        if link is None:
            return Outcome.STAYED
        finish = link or finish
    if fan.random.random() >= fan.plan.finish_ratio:
        return Outcome.STAYED
    await think(fan)
    await end_session(fan, finish or fan.plan.finish_path.encode())
    return Outcome.FINISHED


async def look(fan: Fan) -> bytes | None:
    """Ask for the page that the fan wants; give its link that ends the session, None when the session is over."""
    target = fan.plan.target.encode()
    answer = await fan.insist(Route.SHOP, target, accept=HTML, extra=NAVIGATION)
    if not is_served(fan, answer, target):
        return None
    # Most pages have no such link, and looking for the word is a tenth of the cost.
    found = _FINISH.search(answer.body) if b"finish" in answer.body else None
    return found.group(1) if found else b""


async def end_session(fan: Fan, path: bytes) -> None:
    """Follow the origin's own link; from here on the session counts as over."""
    stay = fan.notes.stays.get(fan.sid)
    if stay is not None:
        stay.until_s = min(stay.until_s, fan.venue.seconds())
    answer = await fan.ask(Route.SHOP, path, accept=HTML, extra=NAVIGATION)
    # An answer lost on the way may have ended the session all the same: a repeat would prove nothing.
    if answer is not None and answer.status < 500:
        is_served(fan, answer, path)


async def think(fan: Fan) -> None:
    """Look at the page for a while."""
    await fan.venue.sleep(fan.random.expovariate(1 / max(fan.plan.think_s, 1e-3)))


def is_served(fan: Fan, answer: Answer, path: bytes) -> bool:
    """True when the origin answered, False when the session's time was over. Raises Ended for anything else."""
    if answer.status < 400 and fan.is_from_origin(answer):
        return True
    if answer.answered_at >= fan.expires_s:
        return False
    raise Ended(Outcome.FAILED, f"{path.decode()} was answered {answer.status}, not by the origin")
