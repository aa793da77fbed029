"""Own page: an operator's own HTML around our parts, in Mustache with Cloudflare's variable names.

A page made for Cloudflare's waiting room keeps its variables (``{{waitTime}}``, ``{{#queueIsFull}}``), and puts our
parts where it wants them: ``{{{waitroom.attributes}}}`` into its html tag, ``{{{waitroom.head}}}``,
``{{{waitroom.main}}}``, ``{{{waitroom.footer}}}``. The variables are those of somebody who comes now, as the page is
the same for everybody and kept by caches; what a fan sees of their own place is our part. Two or three braces make
no difference for the parts.

Truth prints as ``true`` and ``false``, as mustache.js does it: pages put it into scripts, where Python's ``True`` is
an error. Partials are empty and names with two underscores are refused, so a template reaches nothing but the
variables. Source: facts of Cloudflare's reference, "custom HTML". Not here: when a page is judged (``rooms``).
"""

import re
from collections.abc import Mapping
from typing import Any

import pystache  # type: ignore[import-untyped]

from waitroom.field_readers import moment_text
from waitroom.rooms import Method, Room, draws
from waitroom.schedule import Phase, Wanted
from waitroom.wait import Interval

PARTS = ("attributes", "head", "main", "footer")
REFRESH_S = 20
_MINUTE_S = 60
_TAG = re.compile(r"\{\{[^}]*__[^}]*\}\}")
_SECTION = re.compile(r"\{\{\s*([#^/])\s*([^}\s]+)\s*\}\}")


class _Renderer(pystache.Renderer):  # type: ignore[misc]
    """Mustache that writes truth the way a script reads it."""

    def str_coerce(self, val: object) -> str:
        """Write anything that is no text."""
        return str(val).lower() if isinstance(val, bool) else str(val)


def rendered(template: str, parts: Mapping[str, str], values: Mapping[str, object]) -> str:
    """Fill in a page. Raises whatever a broken template raises."""
    marks = {name: f"@@waitroom-{name}@@" for name in PARTS}
    own = {**values, **marks, "waitroom": {**marks, "name": values.get("name", "")}}
    text: str = _Renderer(partials={}).render(template, own)
    for name, mark in marks.items():
        text = text.replace(mark, parts[name])
    return text


def faults(template: str) -> list[str]:
    """Name everything that keeps a page from working; an empty list is a good page."""
    if _TAG.search(template):
        return ["the page is no template: names with two underscores are not allowed"]
    if unclosed := _unclosed(template):
        return [f"the page is no template: the section {unclosed} is not closed"]
    signs = {name: f"<!--{name}-->" for name in PARTS}
    try:
        text = rendered(template, signs, {"name": "Room", "waitTime": 3, "waitTimeKnown": True})
    except Exception as fault:  # noqa: BLE001 - somebody's template may raise anything
        return [f"the page is no template: {fault}"]
    return [f"the page must contain {{{{{{waitroom.{name}}}}}}}" for name in PARTS if signs[name] not in text]


def variables(
    room: Room,
    wanted: Wanted,
    phase: Phase,
    wait: Interval | None,
    *,
    full: bool,
    spoken: Mapping[str, str],
    now_ms: int,
) -> dict[str, Any]:
    """Return Cloudflare's variables for somebody who comes now.

    `spoken` are the texts in the room's language: ``wait``, ``start`` and ``end``, each empty where there is none.
    """
    minutes = round((wait.low_s + wait.high_s) / 2 / _MINUTE_S) if wait else 0

    def percentile(share: float) -> int:
        return round((wait.low_s + (wait.high_s - wait.low_s) * share) / _MINUTE_S) if wait else 0

    gathering = phase in {Phase.IDLE, Phase.GATHERING}
    start_ms = wanted.starts_ms if gathering else None
    return {
        "inWaitingRoom": True,
        "waitTimeKnown": wait is not None,
        "waitTime": minutes,
        "waitTimeHours": minutes // 60,
        "waitTimeHourMinutes": minutes % 60,
        "waitTime25Percentile": percentile(0.25),
        "waitTime50Percentile": percentile(0.5),
        "waitTime75Percentile": percentile(0.75),
        "waitTimeFormatted": spoken["wait"],
        "queueIsFull": full,
        "queueAll": room.calls_nobody,
        "lastUpdated": moment_text(now_ms),
        "refreshIntervalSeconds": 0 if room.queueing_method is Method.REJECT else REFRESH_S,
        "queueingMethod": str(room.queueing_method),
        "isFIFOQueue": room.queueing_method is Method.FIFO,
        "isRandomQueue": room.queueing_method is Method.RANDOM,
        "isPassthroughQueue": room.queueing_method is Method.PASSTHROUGH,
        "isRejectQueue": room.queueing_method is Method.REJECT,
        "isEventActive": wanted.sale is not None and phase in {Phase.SERVING, Phase.DRAINING},
        "isEventPrequeueing": wanted.sale is not None and phase is Phase.GATHERING,
        "timeUntilEventStart": _minutes_until(start_ms, now_ms),
        "timeUntilEventStartFormatted": spoken["start"],
        "timeUntilEventEnd": _minutes_until(wanted.ends_ms, now_ms),
        "timeUntilEventEndFormatted": spoken["end"],
        "shuffleAtEventStart": wanted.sale is not None and draws(room, wanted.sale),
        "turnstile": "",
        "infiniteQueue": False,
    }


def _minutes_until(at_ms: int | None, now_ms: int) -> int:
    return 0 if at_ms is None else max(0, round((at_ms - now_ms) / 1000 / _MINUTE_S))


def _unclosed(template: str) -> str:
    """Return the section that is left open, which the library passes over; empty for none."""
    open_sections: list[str] = []
    for sign, name in _SECTION.findall(template):
        if sign != "/":
            open_sections.append(name)
        elif open_sections and open_sections[-1] == name:
            open_sections.pop()
    return open_sections[-1] if open_sections else ""
