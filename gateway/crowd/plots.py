"""Plots: small SVG pictures for the report, drawn by hand so that the page needs nothing else.

Colours and fonts come from the page's style sheet (classes), so the same picture is right on light, dark and paper.
Every mark has a ``<title>``, which browsers show under the pointer and screen readers can read.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 920
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 30
MOST_BARS = 230
MOST_DOTS = 1500


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time that is marked in a plot."""

    label: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The axes of a plot: ranges in data units, a height in pixels, words for the reader."""

    title: str
    x_most: float
    y_most: float
    height: int = 150
    x_label: str = "seconds"
    bands: Sequence[Band] = ()

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(value / max(self.x_most, 1e-9), 0.0), 1.0)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        inner = self.height - TOP - BOTTOM
        return TOP + inner * (1 - min(max(value / max(self.y_most, 1e-9), 0.0), 1.0))

    @property
    def floor(self) -> float:
        """The axis' own line."""
        return self.height - BOTTOM


def bars(frame: Frame, values: Sequence[float], width: float, describe: Callable[[float, float], str]) -> str:
    """Bars of equal width from zero on; ``describe`` words one bar from its start and its value."""
    marks = []
    for index, value in enumerate(values):
        if value > 0:
            left, right = frame.x(index * width), frame.x((index + 1) * width)
            gap = min(1.0, (right - left) * 0.15)
            top = frame.y(value)
            marks.append(
                f'<rect class="bar" x="{left + gap / 2:.1f}" y="{top:.1f}" width="{right - left - gap:.1f}" '
                f'height="{frame.floor - top:.1f}"><title>{escape(describe(index * width, value))}</title></rect>'
            )
    return _svg(frame, "".join(marks))


def bars_and_limit(
    frame: Frame,
    values: Sequence[float],
    width: float,
    describe: Callable[[float, float], str],
    limit: float | None,
) -> str:
    """Bars with a line that they are held against."""
    picture = bars(frame, values, width, describe)
    if limit is None:
        return picture
    y = frame.y(limit)
    line = f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return picture.replace("</svg>", line + "</svg>")


def steps(frame: Frame, points: Sequence[tuple[float, float]]) -> str:
    """A filled line that keeps its value until the next point."""
    if not points:
        return _svg(frame, "")
    path = [f"M{frame.x(points[0][0]):.1f} {frame.floor:.1f}V{frame.y(points[0][1]):.1f}"]
    path += [f"H{frame.x(x):.1f}V{frame.y(y):.1f}" for x, y in points[1:]]
    line = "".join(path)
    end = f"H{frame.x(frame.x_most):.1f}"
    top = max(points, key=lambda point: point[1])
    peak = (
        f'<circle class="peak" cx="{frame.x(top[0]):.1f}" cy="{frame.y(top[1]):.1f}" r="3"/>'
        f'<text class="note" x="{frame.x(top[0]) + 7:.1f}" y="{max(frame.y(top[1]) + 4, TOP + 8):.1f}">'
        f"{top[1]:,.0f}</text>"
    )
    area = f'<path class="area" d="{line}{end}V{frame.floor:.1f}Z"/><path class="line" d="{line}{end}"/>'
    return _svg(frame, area + peak)


def dots(frame: Frame, points: Sequence[tuple[float, float, str, str]]) -> str:
    """Points with a class and words each; many are thinned evenly."""
    stride = max(1, math.ceil(len(points) / MOST_DOTS))
    marks = "".join(
        f'<circle class="dot {kind}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.2">'
        f"<title>{escape(words)}</title></circle>"
        for x, y, kind, words in points[::stride]
    )
    return _svg(frame, marks)


def binned(values: Sequence[int], most: int = MOST_BARS) -> tuple[list[float], int]:
    """Means of equal runs of seconds, so that no plot has more than ``most`` bars; and a run's length."""
    width = max(1, math.ceil(len(values) / most))
    return [sum(values[at : at + width]) / width for at in range(0, len(values), width)], width


def thinned(points: Sequence[tuple[float, float]], most: int = 800) -> list[tuple[float, float]]:
    """Fewer points of a line, the first, the highest and the last among them."""
    if len(points) <= most:
        return list(points)
    stride = math.ceil(len(points) / most)
    kept = set(range(0, len(points), stride)) | {len(points) - 1}
    kept.add(max(range(len(points)), key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


def ticks(most: float, about: int) -> list[float]:
    """Round numbers from zero to at most ``most``, some ``about`` of them."""
    if most <= 0:
        return [0.0]
    raw = most / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [index * step for index in range(int(most / step + 1e-9) + 1)]


def headroom(values: Iterable[float], *more: float | None) -> float:
    """The top of an axis for these values."""
    return max([1.0, *values, *(value for value in more if value is not None)]) * 1.12


def _svg(frame: Frame, marks: str) -> str:
    grid = []
    for value in ticks(frame.y_most, 5):
        y = frame.y(value)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for value in ticks(frame.x_most, 8):
        x = frame.x(value)
        grid.append(
            f'<text class="tick" x="{x:.1f}" y="{frame.floor + 16:.1f}" text-anchor="middle">{_number(value)}</text>'
        )
    grid.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{frame.height - 2}" text-anchor="end">'
        f"{escape(frame.x_label)}</text>"
    )
    bands = "".join(_band(frame, band) for band in frame.bands)
    base = f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{frame.floor}" y2="{frame.floor}"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{escape(frame.title)}">'
        f"{bands}{''.join(grid)}{marks}{base}</svg>"
    )


def _band(frame: Frame, band: Band) -> str:
    left, right = frame.x(band.since), frame.x(band.until)
    return (
        f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{max(right - left, 1.0):.1f}" '
        f'height="{frame.floor - TOP}"><title>{escape(band.label)}</title></rect>'
        f'<text class="note" x="{left + 4:.1f}" y="{TOP + 10}">{escape(band.label)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
