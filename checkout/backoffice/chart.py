"""Chart: numbers of steps as bars, drawn here as SVG, without a script. Pure.

A bar for each step, each with its own title, so that who points at one reads it; the same numbers stand in a table
beside the picture. Colours are the style sheet's. Not here: what is drawn (``sales_pages``).
"""

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDE, HIGH = 960, 220
LEFT, BELOW, ABOVE = 46, 26, 12
LABELS = 6


def bars(numbers: Sequence[int], names: Sequence[str], axis: Sequence[str], label: str) -> Markup:
    """Draw whole numbers from 0 on; `names` say each bar in full, `axis` what stands below it, `label` the picture."""
    top = nice(max(numbers, default=0))
    inside, floor = HIGH - BELOW - ABOVE, HIGH - BELOW
    step = (WIDE - LEFT) / max(1, len(numbers))
    parts = [
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(label)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for line in (top, top // 2, 0) if top > 1 else (top, 0):
        y = round(floor - inside * line / top, 1)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDE}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{line}</text>')
    for place, number in enumerate(numbers):
        if number > 0:
            tall = round(inside * number / top, 1)
            x, wide = round(LEFT + place * step, 2), round(max(1.0, step * 0.8), 2)
            parts.append(
                f'<rect class="bar" x="{x}" y="{round(floor - tall, 1)}" width="{wide}" height="{tall}">'
                f"<title>{escape(names[place])}</title></rect>"
            )
    every = max(1, -(-len(axis) // LABELS))
    for place in range(0, len(axis), every):
        x = round(LEFT + place * step, 1)
        parts.append(f'<text x="{x}" y="{HIGH - 6}">{escape(axis[place])}</text>')
    parts.append("</svg>")
    return Markup("").join(Markup(part) for part in parts)  # noqa: S704 - every text in it is escaped above


def nice(most: int) -> int:
    """Give the least of 1, 2, 4, 10, 20, 40, … that is not below, so that the half of it is a whole number too."""
    size = 1
    while True:
        for first in (1, 2, 4):
            if first * size >= most:
                return first * size
        size *= 10
