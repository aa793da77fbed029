"""Report: one HTML page of a judgement, with its plots as SVG in it; it asks nothing of anybody."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from botguard.training.judging import Figures

SIDE = 320
EDGE = 44
COLOURS = ("#0b6e4f", "#b5651d", "#4a4e9e")

Point = tuple[float, float]


def page(found: Figures) -> str:
    """Return the page."""
    lines = plot(found.curves, "people wrongly suspected", "bots found")
    said = {
        "what was said": [(one, other) for one, other, _ in found.bins],
        "what is right": [(0.0, 0.0), (1.0, 1.0)],
    }
    calibration = plot(said, "said", "true")
    tables = "".join(_section(name, value) for name, value in found.table.items())
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>Bot guard: what the model is worth</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ccc;text-align:left}"
        "svg{max-width:100%}</style>\n<h1>Bot guard: what the model is worth</h1>\n"
        "<p>Devices and families of bots that it never saw; the protocol is docs/bots.md.</p>\n"
        f"<h2>Found and wrongly suspected</h2>\n{lines}\n<h2>Calibration on unseen devices</h2>\n{calibration}\n"
        f"{tables}</html>\n"
    )


def _section(name: str, value: Any) -> str:
    title = escape(name.replace("_", " "))
    if not isinstance(value, Mapping):
        return f"<h2>{title}</h2>\n<p>{escape(str(value))}</p>\n"
    if value and all(isinstance(one, Mapping) for one in value.values()):
        heads = list(dict.fromkeys(head for one in value.values() for head in one))
        if len(heads) <= 8:
            rows = [(key, *(one.get(head, "") for head in heads)) for key, one in value.items()]
            return f"<h2>{title}</h2>\n{_table(('', *heads), rows)}"
        value = {
            key: ", ".join(f"{head} {number}" for head, number in one.items()) for key, one in value.items()
        }
    return f"<h2>{title}</h2>\n{_table((), list(value.items()))}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "<tr>" + "".join(f"<th>{escape(one)}</th>" for one in heads) + "</tr>" if heads else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table>{head}\n{body}</table>\n"


def plot(lines: Mapping[str, Sequence[Point]], across: str, up: str) -> str:
    """Return lines within the unit square as SVG; each is named beside its colour."""
    wide, high = SIDE + 2 * EDGE + 160, SIDE + 2 * EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" role="img" '
        f'aria-label="{escape(up)} by {escape(across)}">',
        f'<rect x="{EDGE}" y="{EDGE}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = _at((tick, tick))
        parts.append(
            f'<text x="{x:.0f}" y="{EDGE + SIDE + 16}" font-size="11" text-anchor="middle">{tick}</text>'
        )
        parts.append(f'<text x="{EDGE - 6}" y="{y + 4:.0f}" font-size="11" text-anchor="end">{tick}</text>')
    parts.extend(
        (
            f'<text x="{EDGE + SIDE / 2:.0f}" y="{high - 8}" font-size="12" text-anchor="middle">'
            f"{escape(across)}</text>",
            f'<text x="{EDGE}" y="{EDGE - 10}" font-size="12">{escape(up)}</text>',
        )
    )
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_at, points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{EDGE + SIDE + 10}" y="{EDGE + 16 + 18 * number}" font-size="12" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return "\n".join([*parts, "</svg>"])


def _at(point: Point) -> Point:
    return EDGE + point[0] * SIDE, EDGE + SIDE - point[1] * SIDE
