"""Kept: how the store writes a line, its history and its parcels, and how they are read back. Pure.

Not here: the names of keys, and who asks (``store``).
"""

import json

from waitroom.carry import Parcel
from waitroom.lanes import Moved, Serving
from waitroom.line import Line, Void
from waitroom.schedule import Phase


def line_of(fields: dict[bytes, bytes]) -> Line | None:
    """Read a line from its hash; None where there is none."""
    if not fields:
        return None

    def number(name: bytes) -> int:
        return int(fields.get(name, b"0"))

    def text(name: bytes) -> str:
        return fields.get(name, b"").decode()

    frozen = number(b"frozen")
    return Line(
        run=text(b"run"),
        epoch=number(b"epoch"),
        version=number(b"version"),
        phase=Phase(text(b"phase")),
        opening=text(b"opening"),
        issued=number(b"issued"),
        void=void_of(text(b"void")),
        serving=Serving(number(b"serving:verified"), number(b"serving:standard"), number(b"serving:suspect")),
        joined_verified=number(b"count:verified"),
        joined_suspect=number(b"count:suspect"),
        frozen=None if frozen < 0 else frozen,
        root=text(b"root"),
        seed=text(b"seed"),
        commitment=text(b"commitment"),
        opened_ms=number(b"opened_ms"),
        phase_ms=number(b"phase_ms"),
        last_ms=number(b"last_ms"),
        tick_slot=number(b"tick_slot"),
        shown_issued=number(b"shown_issued"),
        shown_ms=number(b"shown_ms"),
        plan_per_minute=number(b"plan_per_minute"),
    )


def parcel_of(fields: dict[bytes, bytes]) -> Parcel | None:
    """Read a parcel from its hash; None where there is none."""
    if not fields:
        return None
    return Parcel(
        run=fields[b"run"].decode(),
        sealed=fields[b"sealed"],
        until_ms=int(fields[b"until_ms"]),
        taken=fields[b"taken"] == b"1",
        taker=fields[b"taker"].decode(),
    )


def void_text(void: Void) -> str:
    """Write void ranges as the store keeps them."""
    return json.dumps([list(pair) for pair in void], separators=(",", ":"))


def void_of(text: str) -> Void:
    """Read void ranges."""
    return tuple((int(since), int(to)) for since, to in json.loads(text or "[]"))


def moved_of(text: bytes) -> Moved:
    """Read one entry of the history of calls."""
    at_ms, verified, standard, suspect = (int(part) for part in text.split())
    return Moved(at_ms, Serving(verified, standard, suspect))
