"""Acts: what a person is shown of the levers before, instead of and after pulling one, in words and numbers.

Pure: settings and the time in, texts out. A lever that touches everybody at once asks once more (``ASKS``) and says
what fans will see, in the very words of the waiting page. Whoever comes second is shown both: what the first changed,
and what they wanted themselves (``conflict``).

Not here: what a lever does (``waitroom.levers``), HTTP (``control``, ``act_pages``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.view import Change, change_of
from dashboards.words import at
from kernel.errors import Misconfigured, Refused
from waitroom.canned import PREFIX, SITUATION_WORDS, situation_of, spoken
from waitroom.levers import LANES, Lever, coming, settled, turned, under_way
from waitroom.revision import difference
from waitroom.rooms import Room, merged
from waitroom.schedule import wanted
from waitroom.words import SOURCE, languages

DONE = {
    Lever.PAUSE: "Stopped. Nobody is called until you resume; everybody keeps their place.",
    Lever.RESUME: "Resumed.",
    Lever.BYPASS_ON: "The gate is open: everybody passes.",
    Lever.BYPASS_OFF: "The gate is closed again.",
    Lever.MESSAGE: "The message is on its way to every waiting page.",
    Lever.RATE: "The new rate is in force.",
    Lever.CAP: "The new limit is in force.",
    Lever.LANES: "The new shares are in force.",
    Lever.DELAY: "The sale is put off. Every waiting page shows the new time.",
    Lever.PROLONG: "The sale ends later.",
    Lever.END: "The sale has ended. Whoever was called may still come in.",
    Lever.DRAIN: "The line drains: nobody joins, nobody more is called.",
    Lever.REOPEN: "The line serves again.",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a lever asks before it is pulled. `fans` is the key of what the waiting page then says."""

    title: str
    what: tuple[str, ...]
    button: str
    undo: str
    fans: str = ""
    reason: bool = True


ASKS: Mapping[Lever, Ask] = {
    Lever.PAUSE: Ask(
        "Stop calling?",
        (
            "From now on nobody is called and nobody is let in.",
            "Everybody keeps their place; whoever joins gets one behind them.",
            "Whoever is inside stays inside and can go on to pay.",
        ),
        "Stop now",
        "Resume takes it back at once.",
        fans="state.paused",
        reason=False,
    ),
    Lever.DRAIN: Ask(
        "Drain the line?",
        (
            "Nobody joins any more, and nobody more is called.",
            "Whoever was called may still come in. Who waits keeps their place, and nothing moves.",
        ),
        "Drain the line",
        "Reopen takes it back.",
        fans="state.closing",
    ),
    Lever.END: Ask(
        "End the sale now?",
        (
            "Nobody joins any more, and nobody more is called.",
            "Whoever was called may still come in, until the line has drained. Then it is over for good.",
        ),
        "End the sale",
        "While the line drains, prolonging the sale takes it back. After that nothing does.",
        fans="state.closing",
    ),
    Lever.BYPASS_ON: Ask(
        "Open the gate to all?",
        (
            "Everybody passes to the site at once, without a line and without limits.",
            "Waiting pages go on to the site by themselves. The site must bear all who wait.",
        ),
        "Open the gate",
        "Close the gate takes it back for who comes later; who is inside stays inside.",
        fans="state.open",
    ),
}
"""Levers that are confirmed."""


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane's share in per cent, and what it is in calls a minute."""

    name: str
    percent: str
    per_minute: str


@dataclass(frozen=True, slots=True)
class ActsView:
    """What the levers of one room show. A `no_…` says why something is not possible now; '' where it is."""

    lanes: tuple[LaneView, ...]
    rate: int
    sale: str
    times: str
    no_delay: str
    no_prolong: str
    no_end: str
    no_drain: str
    situations: tuple[tuple[str, str], ...]
    situation: str
    said: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two people at once: what changed since the second one looked, and what they wanted.

    `wants` is [setting, now, theirs]; `why_not` says why theirs is not possible any more.
    """

    changes: tuple[Change, ...]
    wants: tuple[tuple[str, str, str], ...]
    why_not: str


def acts_view(room: Room, now_ms: int) -> ActsView:
    """Compose what the levers of a room show."""
    rate = merged(room, wanted(room, now_ms).sale).new_users_per_minute
    shares = [(lane, float(getattr(room.lane_shares, lane))) for lane in LANES]
    window = coming(room, now_ms) or under_way(room, now_ms)
    sale = window.sale if window is not None else None
    times = ""
    if sale is not None:
        start = "started" if sale.event_start_ms <= now_ms else f"starts {at(sale.event_start_ms, now_ms)}"
        end = "has ended" if sale.event_end_ms <= now_ms else f"ends {at(sale.event_end_ms, now_ms)}"
        times = f"It {start} and {end}."
    return ActsView(
        lanes=tuple(LaneView(name, _percent(share), per_minute(share, rate)) for name, share in shares),
        rate=rate,
        sale=sale.name if sale is not None else "",
        times=times,
        no_delay=_refusal(room, Lever.DELAY, now_ms),
        no_prolong=_refusal(room, Lever.PROLONG, now_ms),
        no_end=_refusal(room, Lever.END, now_ms),
        no_drain=_refusal(room, Lever.DRAIN, now_ms),
        situations=tuple(SITUATION_WORDS.items()),
        situation=situation_of(room.message),
        said=spoken(room.message, languages()[SOURCE].text),
    )


def conflict(
    room: Room, lever: Lever, value: object, changes: Sequence[Mapping[str, Any]], now_ms: int
) -> Conflict:
    """Set what was wanted beside what others changed meanwhile; `room` is as it is now."""
    wants, why_not = [], ""
    try:
        wants = difference(room, turned(room, lever, value, now_ms))
    except Misconfigured as error:
        why_not = "; ".join(error.faults) + "."
    except Refused as error:
        why_not = error.public
    if not wants and not why_not:
        why_not = "It is so already."
    mine = change_of({"at_ms": now_ms, "what": wants}, now_ms)
    return Conflict(tuple(change_of(change, now_ms) for change in changes), mine.what, why_not)


def fans_see(lever: Lever) -> tuple[str, str]:
    """Return headline and sentence of the waiting page after a confirmed lever, in English."""
    words, key = languages()[SOURCE], ASKS[lever].fans
    return words.text(f"{key}.stage"), words.text(f"{key}.detail")


def in_all_languages(message: str) -> list[tuple[str, str, str, str]]:
    """Return (tag, name, direction, text) of a message in each language of the waiting page."""
    return [
        (tag, words.name, words.direction, spoken(message, words.text)) for tag, words in languages().items()
    ]


def message_of(form: Mapping[str, str]) -> str:
    """Return the message that a form asks for: a canned one, or free text. Raises ``Misconfigured`` for both."""
    situation, text = form.get("situation", ""), form.get("value", "").strip().replace("\r\n", "\n")
    if situation and text:
        raise Misconfigured(["choose a ready message or use your own words, not both"])
    return f"{PREFIX}{situation}" if situation else text


def value_of(lever: Lever, form: Mapping[str, str]) -> object:
    """Return what a form says beside the lever itself; a number that is none stays text, to be refused by name."""
    match lever:
        case Lever.RATE | Lever.CAP | Lever.DELAY | Lever.PROLONG:
            text = form.get("value", "").strip()
            return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text
        case Lever.MESSAGE:
            return "" if "take_down" in form else message_of(form)
        case Lever.LANES:
            return {lane: _share(form.get(lane, "").strip()) for lane in LANES}
        case _:
            return None


def seen_version(lever: Lever, form: Mapping[str, str]) -> int | None:
    """Return the version that the person saw; a pause goes for any."""
    text = form.get("version", "")
    if lever is Lever.PAUSE:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def confirmed(lever: Lever, form: Mapping[str, str]) -> bool:
    """Tell whether a form may be acted on: it was confirmed, or its lever asks nothing."""
    return lever not in ASKS or form.get("confirm") == "yes"


def kept_fields(form: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return a form's fields for sending it once more; the papers and the version are given anew."""
    return [(name, text) for name, text in form.items() if name not in {"csrf", "version"}]


def per_minute(share: float, rate: int) -> str:
    """Write a lane's share in calls a minute."""
    calls = share * rate
    return f"{calls:,.0f}" if calls >= 10 or calls == int(calls) else f"{calls:.1f}"


_PERCENT = re.compile(r"\d{1,3}([.,]\d{1,4})?", re.ASCII)


def _share(text: str) -> object:
    return round(float(text.replace(",", ".")) / 100, 6) if _PERCENT.fullmatch(text) else text


def _percent(share: float) -> str:
    return f"{share * 100:.4f}".rstrip("0").rstrip(".")


def _refusal(room: Room, lever: Lever, now_ms: int) -> str:
    """Tell why a lever cannot be pulled now; '' where it can."""
    if lever is Lever.DELAY:
        window = coming(room, now_ms)
        reason = settled(window, now_ms) if window is not None else None
        return reason.public if reason is not None else ""
    try:
        turned(room, lever, 1 if lever is Lever.PROLONG else None, now_ms)
    except Refused as error:
        return error.public
    except Misconfigured as error:
        return "; ".join(error.faults) + "."
    return ""
