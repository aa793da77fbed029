"""History in words: plots, tables and sums as the two pages show them.

Pure: columns in; labels, texts and numbers out. A plot and the table below it are made of the same columns. What is
unknown is a hole in a plot and a dash in a table. Not here: HTML (``pages``), drawing (``static/history.js``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from dashboards.history import Columns, Totals, Value
from dashboards.numbers import percent, wait_told
from dashboards.view import CHANGE_WORDS, PHASE_WORDS, SETTING_WORDS
from dashboards.words import UNKNOWN, count, span
from waitroom.history_book import Act
from waitroom.schedule import Phase

SHOWN = (
    "phase", "waiting", "joined", "admitted", "rate", "active_sessions", "cap", "wait_low_s", "wait_high_s",
    "no_shows_ratio", "stock_left", "refused", "shed",
)  # fmt: skip
"""The columns that the history page needs."""

COMPARED = ("waiting", "admitted", "active_sessions", "wait_high_s", "refused", "shed")
ACT_CHANGES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot; ``colour`` is a variable of the style sheet."""

    label: str
    values: Sequence[Value]
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: where it goes on the page, its title, its lines."""

    key: str
    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Table:
    """The same in numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class ActTold:
    """An act of an operator, numbered as the marks in the plots are."""

    number: int
    when: str
    at: str
    who: str
    why: str
    what: Sequence[tuple[str, str, str]]
    more: int


def plots(laid: Columns, step: int) -> list[Plot]:
    """Make the four plots of a room; what happened in a step is shown for a minute."""
    return [
        Plot("waiting", "Waiting", [Line("Waiting", laid["waiting"], "--soft")]),
        Plot(
            "admitted", "Let in per minute, against the limit",
            [
                Line("Let in", _each(laid["admitted"], step), "--accent"),
                Line("Limit", laid["rate"], "--halt", dashed=True),
            ],
        ),
        Plot(
            "inside", "Inside, against the limit",
            [Line("Inside", laid["active_sessions"], "--accent"), Line("Limit", laid["cap"], "--halt", dashed=True)],
        ),
        Plot(
            "wait", "Wait told to newcomers, in minutes",
            [
                Line("At least", _each(laid["wait_low_s"], 60), "--accent"),
                Line("At most", _each(laid["wait_high_s"], 60), "--soft"),
            ],
        ),
    ]  # fmt: skip


def compared_plots(one: Columns, other: Columns, step: int) -> list[Plot]:
    """Make the plots of two sales, aligned at their starts."""
    titles: tuple[tuple[str, str, int], ...] = (
        ("waiting", "Waiting", 1),
        ("admitted", "Let in per minute", step),
        ("active_sessions", "Inside", 1),
        ("wait_high_s", "Wait told to newcomers at most, in minutes", 60),
    )
    return [
        Plot(
            name, title,
            [Line("A", _each(one[name], by), "--accent"), Line("B", _each(other[name], by), "--halt", dashed=True)],
        )
        for name, title, by in titles
    ]  # fmt: skip


def _each(values: Sequence[Value], by: int) -> list[Value]:
    if by == 1:
        return list(values)
    return [round(value / by, 2) if isinstance(value, int | float) else None for value in values]


def drawn(
    times: Sequence[float],
    of: Sequence[Plot],
    marks: Sequence[tuple[float, int]] = (),
    *,
    relative: bool = False,
) -> str:
    """Write what the page's script draws, as JSON that may stand in a page.

    Times are seconds since 1970, or minutes from the start where `relative`; `marks` are (time, number).
    """
    document = {
        "relative": relative,
        "t": times,
        "plots": [
            {
                "key": plot.key,
                "lines": [
                    {"label": line.label, "values": line.values, "colour": line.colour, "dashed": line.dashed}
                    for line in plot.lines
                ],
            }
            for plot in of
        ],
        "marks": [{"t": at, "n": number} for at, number in marks],
    }
    return orjson.dumps(document).decode().replace("<", "\\u003c").replace("&", "\\u0026")


# ----------------------------------------------------------------------------------------- tables

Cell = Callable[[Mapping[str, Value]], str]


def number(name: str) -> Cell:
    """Write a whole number."""

    def written(row: Mapping[str, Value]) -> str:
        value = row[name]
        return count(round(value)) if isinstance(value, int | float) else UNKNOWN

    return written


def _phase(row: Mapping[str, Value]) -> str:
    phase = row["phase"]
    return PHASE_WORDS[Phase(phase)] if isinstance(phase, str) and phase in list(Phase) else UNKNOWN


def _missing(row: Mapping[str, Value]) -> str:
    value = row["no_shows_ratio"]
    return percent(float(value) if isinstance(value, int | float) else None)


def _at_most(row: Mapping[str, Value]) -> str:
    value = row["wait_high_s"]
    return span(round(value)) if isinstance(value, int | float) else UNKNOWN


_TABLE: Mapping[str, Cell] = {
    "Phase": _phase,
    "Waiting": number("waiting"),
    "Joined": number("joined"),
    "Let in": number("admitted"),
    "Limit a minute": number("rate"),
    "Inside": number("active_sessions"),
    "Limit inside": number("cap"),
    "Wait told": wait_told,
    "No-shows": _missing,
    "Left to sell": number("stock_left"),
    "Refused": number("refused"),
    "Shed": number("shed"),
}


def table(laid: Columns, starts_ms: Sequence[int]) -> Table:
    """Make the table of a room."""
    days = {at_ms // 86_400_000 for at_ms in starts_ms}
    form = "%H:%M" if len(days) == 1 else "%Y-%m-%d %H:%M"
    rows = [
        (when(at_ms, form), *(cell(row) for cell in _TABLE.values()))
        for at_ms, row in zip(starts_ms, _rows(laid, len(starts_ms)), strict=True)
    ]
    return Table(("Time (UTC)", *_TABLE), rows)


def compared_table(times: Sequence[Value], one: Columns, other: Columns) -> Table:
    """Make the table of two sales."""
    cells: Mapping[str, Cell] = {
        "waiting": number("waiting"),
        "let in": number("admitted"),
        "inside": number("active_sessions"),
        "wait told at most": _at_most,
        "refused": number("refused"),
        "shed": number("shed"),
    }
    head = [f"{side} {name}" for name in cells for side in "AB"]
    rows = []
    for at, mine, theirs in zip(times, _rows(one, len(times)), _rows(other, len(times)), strict=True):
        rows.append(
            (
                f"{at} min".replace("-", "\N{MINUS SIGN}"),
                *(cell(side) for cell in cells.values() for side in (mine, theirs)),
            )
        )
    return Table(("From the start", *head), rows)


def _rows(laid: Columns, size: int) -> list[dict[str, Value]]:
    return [{name: values[index] for name, values in laid.items()} for index in range(size)]


def sums(of: Totals) -> list[tuple[str, str, str]]:
    """Say what a stretch of time comes to: label, value, what it means."""
    return [
        ("Joined", count(of.joined), "numbers given"),
        ("Let in", count(of.admitted), "admissions"),
        ("No-shows", count(of.no_shows), "called, and neither came nor stand at the door"),
        ("Most waiting", count(of.waiting_most), "at any moment that was seen"),
        ("Longest wait told", _minutes(of.wait_most_s), "to a newcomer, at most"),
        ("Until nobody waited", _minutes(of.emptied_s), "from the start, after the fullest moment"),
        ("Sold", count(of.sold), "by what the shop said is left"),
        ("Refused", count(of.refused), "joins without a number, for what they were"),
        ("Shed", count(of.shed), "joins without a number, because of a limit or a failure here"),
        ("Minutes seen", f"{of.known:,} of {of.minutes:,}", "the others are unknown, not zero"),
    ]


def _minutes(seconds: int | None) -> str:
    return UNKNOWN if seconds is None else span(seconds)


def acts_told(acts: Sequence[Act]) -> list[ActTold]:
    """Number the acts of operators and put them into words."""
    return [
        ActTold(
            index + 1, when(act.at_ms, "%Y-%m-%d %H:%M:%S"), when(act.at_ms, "%Y-%m-%dT%H:%M:%SZ"),
            act.who or "somebody", act.why,
            [_change(*change) for change in act.what[:ACT_CHANGES_SHOWN]],
            max(0, len(act.what) - ACT_CHANGES_SHOWN),
        )
        for index, act in enumerate(acts)
    ]  # fmt: skip


def _change(name: str, old: str, new: str) -> tuple[str, str, str]:
    said = CHANGE_WORDS.get((name, new))
    return (said, "", "") if said else (SETTING_WORDS.get(name, name), old, new)


def when(at_ms: int, form: str = "%Y-%m-%d %H:%M") -> str:
    """Write a time (UTC)."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form)


def known_any(laid: Mapping[str, Sequence[Any]]) -> bool:
    """Tell whether anything at all is known of a stretch of time."""
    return any(value is not None for values in laid.values() for value in values)
