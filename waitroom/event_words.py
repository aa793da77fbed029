"""Event words: what happened, in a sentence for people: in a mail, a chat, and on the journal's page.

One table. A sentence is chosen by what happened (``Moment``), not by the entry's kind alone: a change of settings may
be a pause, an open gate, another rate, or several at once, and each is a sentence of its own. ``LOUD`` are those that a
person wants to hear of at once; a target for people that names no kinds hears these and no others.

The words are English, as the operator's pages are. Pure. Not here: what programs get (``events``).
"""

from collections.abc import Mapping
from enum import StrEnum

from waitroom.access_acts import ACCESS_WORDS
from waitroom.events import Change, Told, changes_of, who_of
from waitroom.events import moment as written
from waitroom.journal import Entry, Kind


class Moment(StrEnum):
    """What happened, finer than a kind of entry."""

    MADE = "made"
    REMOVED = "removed"
    PAUSED = "paused"
    RESUMED = "resumed"
    BYPASS_ON = "bypass-on"
    BYPASS_OFF = "bypass-off"
    RATE = "rate"
    CAP = "cap"
    SOLD_OUT = "sold-out"
    BACK_IN_STOCK = "back-in-stock"
    MESSAGE = "message"
    SETTINGS = "settings"
    OPENED = "opened"
    GATHERING = "gathering"
    SERVING = "serving"
    DRAINING = "draining"
    ENDED = "ended"
    IDLE = "idle"
    FROZEN = "frozen"
    ROOT = "root"
    DRAWN = "drawn"
    RESTORED = "restored"
    DOUBT = "doubt"
    CALLED = "called"
    CLIMBED = "climbed"
    SLOWED = "slowed"
    ASKED = "asked"
    PASSED = "passed"
    ENLISTED = "enlisted"
    ADMITTED = "admitted"
    RENEWED = "renewed"
    SESSION_ENDED = "session-ended"
    LEFT = "left"
    BYPASSED = "bypassed"
    EVICTED = "evicted"
    REINSTATED = "reinstated"
    LEAVES = "leaves"
    OPERATOR = "operator"
    ACCESS = "access"
    TARGET = "target"
    UNKNOWN = "unknown"


WORDS: Mapping[Moment, str] = {
    Moment.MADE: "{who} made the room.",
    Moment.REMOVED: "{who} removed the room.",
    Moment.PAUSED: "{who} paused the room: nobody is called, everybody keeps their place.",
    Moment.RESUMED: "{who} resumed the room.",
    Moment.BYPASS_ON: "{who} opened the gate to all: everybody passes, without a line and without limits.",
    Moment.BYPASS_OFF: "{who} closed the gate again.",
    Moment.RATE: "{who} changed how many are let in per minute: {old} became {new}.",
    Moment.CAP: "{who} changed how many may be inside at once: {old} became {new}.",
    Moment.SOLD_OUT: "It is sold out: nobody joins any more ({who}).",
    Moment.BACK_IN_STOCK: "There are tickets again ({who}).",
    Moment.MESSAGE: "{who} changed the message on the waiting page.",
    Moment.SETTINGS: "{who} changed settings: {names}.",
    Moment.OPENED: "The room has opened{opening}.",
    Moment.GATHERING: "The room gathers: whoever comes now takes part in the draw.",
    Moment.SERVING: "The line moves: people are called.",
    Moment.DRAINING: "The line takes nobody new. Whoever was called may still come in.",
    Moment.ENDED: "The sale is over.",
    Moment.IDLE: "The room rests.",
    Moment.FROZEN: "The draw is frozen: {frozen} take part, and nobody can join it any more.",
    Moment.ROOT: "What binds the draw to those who take part is published.",
    Moment.DRAWN: "The draw is drawn: {frozen} know their place.",
    Moment.RESTORED: "The room was put back after its store had lost it.",
    Moment.DOUBT: "Numbers up to {issued} were left out, because some may have been given unseen.",
    Moment.CALLED: "More people were called.",
    Moment.CLIMBED: "Number {number} came into a better lane: {after}.",
    Moment.SLOWED: "Number {number} was slowed down.",
    Moment.ASKED: "Number {number} was asked for a check.",
    Moment.PASSED: "Number {number} passed a check.",
    Moment.ENLISTED: "Number {number} took a place under an identity.",
    Moment.ADMITTED: "Number {number} came in.",
    Moment.RENEWED: "A stay was prolonged.",
    Moment.SESSION_ENDED: "A stay was ended.",
    Moment.LEFT: "Number {number} left.",
    Moment.BYPASSED: "Somebody came in beside the line, by a bypass token.",
    Moment.EVICTED: "{who} took number {number} out of the line.",
    Moment.REINSTATED: "{who} gave number {number} its place back.",
    Moment.LEAVES: "{count} places from number {start} on were recorded.",
    Moment.OPERATOR: "{who}: {act} {what}",
    Moment.ACCESS: "{who} changed who may come in: {act} {what}",
    Moment.TARGET: "{who} {act} {what}.",
    Moment.UNKNOWN: "Something that this version has no words for: {kind}.",
}
"""One sentence for each; ``sentences`` puts the room before it and the reason behind it."""

LOUD = frozenset(
    {
        Moment.REMOVED, Moment.PAUSED, Moment.RESUMED, Moment.BYPASS_ON, Moment.BYPASS_OFF, Moment.RATE,
        Moment.SOLD_OUT, Moment.BACK_IN_STOCK, Moment.OPENED, Moment.DRAINING, Moment.ENDED, Moment.FROZEN,
        Moment.DRAWN, Moment.RESTORED, Moment.DOUBT,
    }
)  # fmt: skip

NOBODY = "The schedule"
"""Who did it where nobody is named."""

_OF_KIND: Mapping[Kind, Moment] = {
    Kind.REMOVED: Moment.REMOVED,
    Kind.OPENED: Moment.OPENED,
    Kind.CALLED: Moment.CALLED,
    Kind.CLIMBED: Moment.CLIMBED,
    Kind.SLOWED: Moment.SLOWED,
    Kind.ASKED: Moment.ASKED,
    Kind.PASSED: Moment.PASSED,
    Kind.ENLISTED: Moment.ENLISTED,
    Kind.DRAWN: Moment.DRAWN,
    Kind.ADMITTED: Moment.ADMITTED,
    Kind.RENEWED: Moment.RENEWED,
    Kind.ENDED: Moment.SESSION_ENDED,
    Kind.LEFT: Moment.LEFT,
    Kind.BYPASSED: Moment.BYPASSED,
    Kind.EVICTED: Moment.EVICTED,
    Kind.REINSTATED: Moment.REINSTATED,
    Kind.RESTORED: Moment.RESTORED,
    Kind.LEAVES: Moment.LEAVES,
    Kind.VOIDED: Moment.DOUBT,
    Kind.OPERATOR: Moment.OPERATOR,
    Kind.ACCESS: Moment.ACCESS,
    Kind.TARGET: Moment.TARGET,
}
_SWITCHES: Mapping[tuple[str, str], Moment] = {
    ("paused", "true"): Moment.PAUSED,
    ("paused", "false"): Moment.RESUMED,
    ("bypass", "true"): Moment.BYPASS_ON,
    ("bypass", "false"): Moment.BYPASS_OFF,
    ("stock_state", "soldout"): Moment.SOLD_OUT,
}
_SETTINGS: Mapping[str, Moment] = {
    "new_users_per_minute": Moment.RATE,
    "total_active_users": Moment.CAP,
    "message": Moment.MESSAGE,
}


def moments_of(told: Told) -> list[tuple[Moment, Change]]:
    """Say what happened: one moment, or of a change of settings one for each setting that has words of its own."""
    entry, nothing = told.entry, ("", "", "")
    match entry.kind:
        case Kind.CONFIGURED:
            return _of_settings(told)
        case Kind.PHASE:
            word = entry.body.get("phase", "")
            return [(Moment(word) if word in _PHASES else Moment.UNKNOWN, nothing)]
        case Kind.FROZEN:
            return [(Moment.ROOT if "root" in entry.body else Moment.FROZEN, nothing)]
        case _:
            return [(_OF_KIND.get(entry.kind, Moment.UNKNOWN), nothing)]


_PHASES = frozenset({"gathering", "serving", "draining", "ended", "idle"})


def _of_settings(told: Told) -> list[tuple[Moment, Change]]:
    if not told.before:
        return [(Moment.MADE, ("", "", ""))]
    found: list[tuple[Moment, Change]] = []
    others: list[str] = []
    for change in changes_of(told):
        name, old, new = change
        moment = _SWITCHES.get((name, new)) or _SETTINGS.get(name)
        if moment is None and (name, old) == ("stock_state", "soldout"):
            moment = Moment.BACK_IN_STOCK
        if moment is None:
            others.append(name)
        else:
            found.append((moment, change))
    if others or not found:
        found.append((Moment.SETTINGS, (", ".join(others) or "nothing", "", "")))
    return found


def sentences(told: Told, *, loud: bool = False) -> list[str]:
    """Write what happened, without the room and the reason; only what is `loud`, if that is asked for."""
    return [
        _said(told.entry, moment, change) for moment, change in moments_of(told) if not loud or moment in LOUD
    ]


def message(told: Told, *, loud: bool = False) -> str:
    """Write one line for a mail or a chat: room, what happened, why; '' where there is nothing to say."""
    said = " ".join(sentences(told, loud=loud))
    if not said:
        return ""
    room, why = told.entry.room, _plain(told.entry.body.get("why", ""))
    return (f"{room}: " if room else "") + said + (f" Why: {why}" if why else "")


def _said(entry: Entry, moment: Moment, change: Change) -> str:
    opening = _plain(entry.body.get("opening", ""))
    values = {
        "who": _plain(who_of(entry)) or NOBODY,
        "names": change[0],
        "old": change[1],
        "new": change[2],
        "opening": f": {opening}" if opening else "",
        "act": _plain(entry.body.get("act", "did something")),
        "what": _plain(entry.body.get("what", "") or entry.body.get("label", "")),
        "kind": _plain(entry.body.get("kind", entry.kind.value)),
    } | {
        name: _number(entry.body.get(name, ""))
        for name in ("frozen", "issued", "number", "count", "start", "after")
    }
    if moment is Moment.ACCESS:
        values |= _access_values(entry.body)
    words = ACCESS_WORDS.get(entry.body.get("act", "")) if moment is Moment.ACCESS else None
    said = (words or WORDS[moment]).format_map(values).strip()
    return said if said.endswith(".") else f"{said}."


def _access_values(body: Mapping[str, str]) -> Mapping[str, str]:
    until = body.get("until_ms", "")
    return {
        "role": _plain(body.get("role", "")) or "?",
        "role_before": _plain(body.get("role_before", "")) or "?",
        "rooms": _rooms(body.get("rooms", "")),
        "rooms_before": _rooms(body.get("rooms_before", "")),
        "until": written(int(until))[:10] if until.isascii() and until.isdecimal() else "?",
    }


def _rooms(text: str) -> str:
    return "all rooms" if text == "all" else _plain(text.replace(",", ", ")) or "no room"


def _number(text: str) -> str:
    return f"{int(text):,}" if text.isascii() and text.isdecimal() and len(text) < 18 else _plain(text) or "?"


def _plain(text: str) -> str:
    """Make one printable line: what people typed goes into mails and chats."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:300]
