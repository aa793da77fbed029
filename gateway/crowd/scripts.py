"""The scripts: nine kinds of fans, each told as a short story.

Every story ends with an ``Outcome``; which ones a script allows stands in ``observed.EXPECTED``. A fan whose story
is cut short by the end of the crowd keeps its ticket and is called over the roll afterwards.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import orjson

from gateway.crowd.bots.plays import play_bot
from gateway.crowd.browser import HTML, NAVIGATION, Ended, both
from gateway.crowd.fan import Fan, Page
from gateway.crowd.observed import Admitted, Outcome, Route
from gateway.crowd.plan import Script
from gateway.crowd.seats.outside import try_the_door
from gateway.crowd.turn import claim, claim_request, press, shop

GHOST_LOOKS = 3
"""A ghost looks at the line at most so often before it is gone."""
EAGER_TRIES = 6


async def play(fan: Fan) -> None:
    """Live one fan's day and note how it ended."""
    file = fan.file
    try:
        if file.kind is not None:
            file.outcome = await play_bot(fan)
        else:
            if fan.plan.browse:
                await fan.browse()
                await try_the_door(fan)
            file.outcome = await STORIES[file.script](fan)
    except Ended as end:
        file.outcome = end.outcome
        if end.outcome is Outcome.WAITING and file.number is None:
            file.outcome = Outcome.OUTSIDE
        if end.outcome is Outcome.WAITING and fan.sid:
            file.outcome = Outcome.STAYED  # was in; the session ends by itself
        if end.fault:
            file.faults.append(end.fault)
    except (KeyError, TypeError, ValueError) as error:  # an answer without what the API promises
        file.outcome = Outcome.FAILED
        file.faults.append(f"an answer could not be understood: {error!r}")
    file.ended_s = fan.venue.seconds()


async def steady(fan: Fan) -> Outcome:
    """Join, wait, claim, shop."""
    await fan.join()
    await fan.wait_for_call()
    await claim(fan)
    return await shop(fan)


async def leaver(fan: Fan) -> Outcome:
    """Join, lose patience, leave; a claim afterwards must be refused."""
    await fan.join()
    for _ in range(2):
        await fan.look(fan.page)
        await fan.venue.sleep(fan.random.uniform(0.25, 0.75) * fan.plan.patience_s)
    cookies = dict(fan.cookies)
    await fan.leave()
    fan.cookies = cookies  # the ticket once more, from a copy
    answer = await fan.insist(Route.CLAIM, *claim_request(fan))
    if answer.status not in {401, 403, 410}:
        fan.notes.forged.append((fan.file.index, f"a place given up was answered {answer.status} at claim"))
        raise Ended(Outcome.FAILED, f"a place given up was answered {answer.status} at claim")
    return Outcome.LEFT


async def ghost(fan: Fan) -> Outcome:
    """Join, look a few times, never come back."""
    await fan.join()
    for _ in range(fan.random.randint(0, GHOST_LOOKS)):
        await fan.venue.sleep(fan.random.uniform(2, 4))
        await fan.look(fan.page)
    return Outcome.GONE


async def late(fan: Fan) -> Outcome:
    """Be called while away; come back within the claim window, or after it and be recalled."""
    await fan.join()
    await fan.wait_for_call()
    window_s = fan.page.document.claim_window_s if fan.page.document else 0.0
    away_s = fan.random.uniform(0.5, 1.5) * fan.plan.away_s
    if fan.random.random() < 0.5 and 0 < window_s <= fan.plan.late_most_s:
        away_s = window_s * fan.random.uniform(1.05, 1.5)
    await fan.venue.sleep(away_s)
    if not await fan.view():
        raise Ended(Outcome.FAILED, "the ticket was refused after a while away")
    await claim(fan)
    return await shop(fan)


async def double_click(fan: Fan) -> Outcome:
    """Press the button twice: one number."""
    await fan.join(copies=2)
    await fan.wait_for_call()
    await claim(fan)
    return await shop(fan)


async def two_tabs(fan: Fan) -> Outcome:
    """Wait in two tabs with one ticket; both claim: one session."""
    await fan.join()
    first, second = await both([_tab(fan), _tab(fan)])
    _same_session(fan, first, second)
    return await shop(fan)


async def _tab(fan: Fan) -> Admitted:
    page = Page()
    await fan.wait_for_call(page)
    return await claim(fan, page)


async def retry(fan: Fan) -> Outcome:
    """Lose the answer to the claim and claim again: the same session."""
    await fan.join()
    await fan.wait_for_call()
    if fan.random.random() < 0.5:
        # Lost on the way: the room may have admitted, the fan has not heard of it.
        path, body = claim_request(fan)
        fan.notes.requests[Route.CLAIM][int(fan.venue.seconds())] += 1
        await fan.wire.ask_and_hang_up(b"POST", path, fan.head(b"*/*", body, b"", cookies=True), body)
        await fan.venue.sleep(fan.random.uniform(0.1, 0.6))
        await claim(fan)
        return await shop(fan)
    # Lost in the page: the crowd has read it, the fan forgets it, so that the two can be compared.
    cookies = dict(fan.cookies)
    first = await claim(fan)
    fan.cookies = cookies
    await fan.venue.sleep(fan.random.uniform(0.1, 0.6))
    second = await claim(fan)
    _same_session(fan, first, second)
    return await shop(fan)


def _same_session(fan: Fan, first: Admitted, second: Admitted) -> None:
    if first.sid != second.sid:
        fan.file.faults.append("two claims of one ticket got two sessions")


async def bad(fan: Fan) -> Outcome:
    """Come with forged papers: each must be refused, and the origin stays shut."""
    await fan.join()
    name = next((name for name, value in fan.cookies.items() if value.decode() == fan.ticket), b"")
    if not name:
        raise Ended(Outcome.FAILED, "the ticket did not come as a cookie")
    fan.cookies = {name: forge(fan.ticket, fan.random.choice(FORGERIES))}
    for path, body in (claim_request(fan), (fan.venue.room_path + b"/leave", b"{}")):
        answer = await fan.insist(Route.CLAIM, path, body)
        if answer.status not in {400, 401, 403}:
            fan.notes.forged.append(
                (fan.file.index, f"a forged ticket was answered {answer.status} at {path!r}")
            )
    admission = name.replace(b"ticket", b"admission", 1)
    fan.cookies = {admission: _forged_admission(fan.plan.room)}
    # Not insisted: a room may keep people waiting with a 429, and would do so for ever.
    shown = await fan.ask(Route.PAGE, fan.plan.target.encode(), extra=NAVIGATION, accept=HTML)
    if shown is not None and shown.status < 400 and fan.is_from_origin(shown):
        fan.notes.forged.append((fan.file.index, "a forged admission reached the origin"))
    await try_the_door(fan, always=True)
    if any(index == fan.file.index for index, _ in fan.notes.forged):
        raise Ended(Outcome.FAILED, "a forged paper was taken for a genuine one")
    return Outcome.REFUSED


async def eager(fan: Fan) -> Outcome:
    """Press for the turn before it is called: who asks sooner gets nothing sooner."""
    await fan.join()
    for _ in range(EAGER_TRIES):
        if not await press(fan):
            break
        await fan.venue.sleep(fan.random.uniform(1, 3))
    await fan.wait_for_call()
    await claim(fan)
    return await shop(fan)


FORGERIES = ("garbage", "signature", "payload", "none", "empty")


def forge(ticket: str, how: str) -> bytes:
    """Make a ticket that must not be believed out of one that must."""
    parts = ticket.split(".")
    match how:
        case "garbage":
            return b"AAAA.BBBB.CCCC"
        case "signature":
            last = parts[-1]
            parts[-1] = ("B" if last[:1] == "A" else "A") + last[1:]
        case "payload":
            middle = parts[len(parts) // 2]
            parts[len(parts) // 2] = ("B" if middle[:1] == "A" else "A") + middle[1:]
        case "none":
            parts[-1] = ""
        case "empty":
            return b"."
        case _:
            raise ValueError(how)
    return ".".join(parts).encode()


def _forged_admission(room: str) -> bytes:
    """A token that says of itself that it needs no signature."""
    head = {"alg": "none", "typ": "waitroom-admission+jwt"}
    claims = {"sub": "A" * 22, "room": room, "iat": 0, "exp": 4_000_000_000}
    return (
        b".".join(base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (head, claims)) + b"."
    )


STORIES: Mapping[Script, Callable[[Fan], Awaitable[Outcome]]] = MappingProxyType(
    {
        Script.STEADY: steady,
        Script.LEAVER: leaver,
        Script.GHOST: ghost,
        Script.LATE: late,
        Script.DOUBLE_CLICK: double_click,
        Script.TWO_TABS: two_tabs,
        Script.RETRY: retry,
        Script.EAGER: eager,
        Script.BAD: bad,
    }
)
