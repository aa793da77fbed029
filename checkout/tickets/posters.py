"""Poster: the event's motif for a ticket: its colours, and a drawing as PDF operators.

The same four as the shop's posters (``checkout.site``, ``poster.html``), drawn plainer: flat colours only, so that
a drawing is one finished text, made once. It fills 400 by 500 units; y grows downwards, as in the shop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

WIDTH, HEIGHT = 400, 500
_ROUND = 0.5523
"""How far a Bézier's handle reaches for a quarter of a circle of radius 1."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Colours:
    """A ticket's colours, `#rrggbb`: the ground, what is written on it, its labels, and an accent on white paper."""

    ground: str
    ink: str
    label: str
    accent: str


_COLOURS = {
    "aurora": Colours("#16204d", "#ffffff", "#4fe3b0", "#2f3fa0"),
    "lanterns": Colours("#7c2418", "#ffffff", "#ffc65c", "#a33419"),
    "trains": Colours("#15323b", "#ffffff", "#f0b94f", "#1b5c66"),
}
_MOON = Colours("#3a2e7a", "#ffffff", "#ffb39c", "#4a3b9c")


def colours(motif: str) -> Colours:
    """Give the colours of a motif; of an unknown one, those of the moon."""
    return _COLOURS.get(motif, _MOON)


@cache
def _known(motif: str) -> str:
    return _DRAWINGS[motif]()


def operators(motif: str) -> str:
    """Draw a motif as PDF operators; an unknown one is the moon."""
    return _known(motif if motif in _DRAWINGS else "moon")


def rgb(colour: str) -> tuple[int, int, int]:
    """Split `#rrggbb` into its three octets."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _ink(colour: str, *, stroke: bool = False) -> str:
    return " ".join(f"{part / 255:.3f}" for part in rgb(colour)) + (" RG" if stroke else " rg")


def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = zip(rgb(colour), rgb(ground), strict=True)
    return "#" + "".join(f"{round(over * share + under * (1 - share)):02x}" for over, under in pairs)


def _rect(colour: str, x: float, y: float, width: float, height: float) -> str:
    return f"{_ink(colour)} {x} {y} {width} {height} re f"


def _polygon(colour: str, points: Sequence[Point]) -> str:
    first, *others = points
    return f"{_ink(colour)} {first[0]} {first[1]} m " + " ".join(f"{x} {y} l" for x, y in others) + " f"


def _oval(x: float, y: float, across: float, down: float) -> str:
    a, b = across * _ROUND, down * _ROUND
    corners = (
        (x + across, y + b, x + a, y + down, x, y + down),
        (x - a, y + down, x - across, y + b, x - across, y),
        (x - across, y - b, x - a, y - down, x, y - down),
        (x + a, y - down, x + across, y - b, x + across, y),
    )
    return f"{x + across:.1f} {y:.1f} m " + " ".join(
        " ".join(f"{part:.1f}" for part in corner) + " c" for corner in corners
    )


def _disc(colour: str, x: float, y: float, across: float, down: float | None = None) -> str:
    return f"{_ink(colour)} {_oval(x, y, across, across if down is None else down)} f"


def _wave(colour: str, width: float, up: float, start: Point, bends: Sequence[Sequence[float]]) -> str:
    path = " ".join(
        " ".join(f"{part - up if index % 2 else part:g}" for index, part in enumerate(bend)) + " c"
        for bend in bends
    )
    return f"{_ink(colour, stroke=True)} {width} w {start[0]} {start[1] - up:g} m {path} S"


def _aurora() -> str:
    violet = (
        (40, 120, 90, 140, 150, 190),
        (210, 240, 260, 250, 320, 160),
        (380, 70, 400, 80, 450, 90),
    )
    green = (
        (30, 250, 70, 250, 130, 300),
        (190, 350, 230, 390, 290, 300),
        (350, 210, 380, 170, 450, 190),
    )
    stars = (
        (48, 62),
        (120, 30),
        (342, 38),
        (292, 56),
        (200, 70),
        (76, 110),
        (370, 130),
        (246, 22),
        (20, 140),
    )
    hills = (
        (0, 500), (0, 432), (46, 398), (84, 420), (132, 366), (176, 410), (214, 384),
        (268, 428), (316, 376), (356, 412), (400, 390), (400, 500),
    )  # fmt: skip
    parts = [
        _rect(_mixed("#0b1030", "#22306b", 1 - step / 24), 0, step * 21, WIDTH, 22) for step in range(24)
    ]
    parts += [_disc("#ffffff", x, y, 1.8) for x, y in stars]
    for step in range(8, -1, -1):
        sky = _mixed("#0b1030", "#22306b", 0.75)
        parts.append(
            _wave(_mixed("#9a6bff", sky, 0.66 - step * 0.075), 16, step * 13 - 40, (-40, 190), violet)
        )
    for step in range(8, -1, -1):
        sky = _mixed("#0b1030", "#22306b", 0.45)
        parts.append(_wave(_mixed("#4fe3b0", sky, 0.94 - step * 0.108), 17, step * 14, (-40, 330), green))
    return "\n".join((*parts, _polygon("#070a1f", hills)))


def _lanterns() -> str:
    lamps = (
        (90, 166, 50, 46),
        (210, 100, 42, 40),
        (318, 222, 56, 52),
        (150, 318, 52, 48),
        (268, 352, 44, 52),
    )
    parts = [
        _rect("#7c2418", 0, 0, WIDTH, HEIGHT),
        _polygon("#5f1911", ((0, 500), (0, 320), (130, 290), (260, 310), (400, 270), (400, 500))),
    ]
    for x, y, across, down in lamps:
        parts.append(_rect("#3d0d08", x - 1, 0, 2, y - down))
        shades = ("#f08a24", "#f6a139", "#ffc65c", "#ffdc94", "#fff3cf")
        parts += [
            _disc(shade, x, y, across * (1 - step * 0.19), down * (1 - step * 0.19))
            for step, shade in enumerate(shades)
        ]
        parts.append(_rect("#3d0d08", x - across / 3, y - down - 4, across / 1.5, 8))
    return "\n".join(parts)


def _trains() -> str:
    far = (
        (0, 262),
        (0, 214),
        (44, 186),
        (96, 224),
        (150, 178),
        (210, 236),
        (330, 168),
        (400, 216),
        (400, 262),
    )
    near = (
        (0, 266), (0, 240), (60, 222), (128, 250), (190, 232), (262, 252), (322, 224), (400, 246), (400, 266),
    )  # fmt: skip
    parts = [
        _rect("#f0b94f", 0, 0, WIDTH, 262),
        _disc("#fbe8bd", 236, 190, 92),
        _polygon("#2c8a8f", far),
        _polygon("#1b5c66", near),
        _rect("#d98e3a", 0, 262, WIDTH, 238),
    ]
    for step in range(1, 26):
        close = 4.0 / step
        y = 262 + 62 * close
        parts.append(_rect("#5a3317", 236 - 49 * close, y, 92 * close, 3.2 * close))
    parts += [
        _polygon("#15323b", ((234, 262), (22, 520), (62, 520), (235.5, 262))),
        _polygon("#15323b", ((236.5, 262), (350, 520), (390, 520), (238, 262))),
        _rect("#15323b", 328, 120, 5, 142),
        _rect("#15323b", 318, 138, 25, 5),
        _rect("#15323b", 321, 158, 19, 5),
    ]
    return "\n".join(parts)


def _moon() -> str:
    dots = ((66, 84, 5), (336, 62, 4), (352, 208, 5), (50, 226, 4), (300, 262, 3.5))
    parts = [_rect("#d9d4f5", 0, 0, WIDTH, HEIGHT)]
    parts += [
        f"{_ink('#3a2e7a', stroke=True)} 13 w {_oval(200, 520, radius, radius)} S"
        for radius in (220, 178, 136, 94, 52)
    ]
    parts += [_disc("#ff7a59", 200, 150, 92), _disc("#d9d4f5", 236, 128, 84)]
    parts += [_disc("#3a2e7a", x, y, radius) for x, y, radius in dots]
    return "\n".join(parts)


_DRAWINGS: dict[str, Callable[[], str]] = {
    "aurora": _aurora,
    "lanterns": _lanterns,
    "trains": _trains,
    "moon": _moon,
}
