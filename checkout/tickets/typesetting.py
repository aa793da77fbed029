"""Typesetting: a text of any of our languages as glyphs in a line: shaped, in the order of the eye, broken and fitted.

Arabic letters are joined (arabic-reshaper, into presentation forms, so that the letters can be searched and copied out
of the file) and put into visual order (python-bidi, UAX 9). Then each stretch is set in the first of our fonts that has
it: Noto Sans, Noto Sans Arabic, Noto Sans JP. A letter that none of them has is a box, as people see it anywhere; an
emoji or a sign that none has is left out. Japanese may break between any two signs, but not before a closing one.

The fonts are loaded once for each process (``load``), and embedded as the few glyphs that a file needs. They are cut
down copies under the SIL Open Font License (``static/fonts``); why these: ADR 0020. Not here: where a text stands
(``pdf``).
"""

import re
import unicodedata
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby

import arabic_reshaper
from bidi import get_display
from reportlab.pdfbase import pdfmetrics

from checkout.tickets.embedding import Embedded
from checkout.tickets.face import LTR, RTL

AUTO = "auto"
"""The direction of a text's first letter that has one: for names and titles, which may be of any language."""

ELLIPSIS = "…"
_BOX = "□"
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u200f\u2067]")
_WIDE = re.compile("[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_PIECES = re.compile(r"\S+\s*")
_NOT_FIRST = frozenset(
    "、。，．・：；？！ー々ゝゞ）］｝〕〉》」』】〙〗ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ)]},.:;?!%"
)
_NOT_LAST = frozenset("（［｛〔〈《「『【〘〖([{¥$€£")
_UNSEEN = {"Cf", "Cc", "Zl", "Zp"}
_ORNAMENTS = {"So", "Sk", "Mn", "Me", "Cn", "Co", "Cs"}


class Style(Enum):
    """How heavy a text is; the fonts in the order in which they are asked for a sign."""

    REGULAR = ("NotoSans-Regular", "NotoSansArabic-Regular", "NotoSansJP-Medium")
    BOLD = ("NotoSans-Bold", "NotoSansArabic-Bold", "NotoSansJP-Medium")


@cache
def load() -> dict[str, Embedded]:
    """Load the fonts and make them known to the library; the same ones each time."""
    folder = files("checkout.tickets").joinpath("static", "fonts")
    found = {}
    for name in sorted({name for style in Style for name in style.value}):
        font = Embedded(name, folder.joinpath(f"{name}.ttf").read_bytes())
        pdfmetrics.registerFont(font)
        found[name] = font
    return found


@lru_cache(maxsize=4096)
def runs(text: str, style: Style, direction: str) -> tuple[tuple[str, str], ...]:
    """Give what is drawn from left to right: stretches as (font, glyphs' characters)."""
    made: list[tuple[str, str]] = []
    names, fonts = style.value, load()
    for character in _ordered(text, direction):
        last = made[-1] if made else None
        if last and character == " " and fonts[last[0]].has(" "):
            made[-1] = (last[0], last[1] + " ")
            continue
        shown, name = _drawn(character, names)
        if not shown:
            continue
        if last and last[0] == name:
            made[-1] = (name, last[1] + shown)
        else:
            made.append((name, shown))
    return tuple(made)


@lru_cache(maxsize=4096)
def width(text: str, style: Style, direction: str) -> float:
    """Tell how wide a text is at size 1."""
    fonts = load()
    return float(sum(fonts[name].stringWidth(part, 1) for name, part in runs(text, style, direction)))


def fitted(text: str, style: Style, direction: str, room: float, size: float) -> str:
    """Give the text if it fits into the room at this size, else as much of it as does, with an ellipsis."""
    if width(text, style, direction) * size <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + ELLIPSIS, style, direction) * size <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


def broken(
    text: str, style: Style, direction: str, room: float, size: float, most: int
) -> tuple[list[str], bool]:
    """Break a text into at most so many lines of a width; tell, too, whether all of it is there."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if width((line + piece).rstrip(), style, direction) * size <= room:
            line += piece
            continue
        if line:
            lines.append(line.rstrip())
        line = piece
        while width(line.rstrip(), style, direction) * size > room and len(lines) <= most:
            cut = _most_that_fit(line, style, direction, room, size)
            lines.append(line[:cut])
            line = line[cut:]
        if len(lines) > most:
            break
    if line.rstrip():
        lines.append(line.rstrip())
    if len(lines) <= most:
        return lines, True
    rest = " ".join(lines[most - 1 :])
    return [*lines[: most - 1], fitted(rest + ELLIPSIS, style, direction, room, size)], False


def base(text: str, direction: str) -> str:
    """Tell in which direction a text runs, if it is to tell by itself."""
    if direction != AUTO:
        return direction
    for character in text:
        match unicodedata.bidirectional(character):
            case "L":
                return LTR
            case "R" | "AL":
                return RTL
            case _:
                continue
    return LTR


def _ordered(text: str, direction: str) -> str:
    """Join letters and put them into the order of the eye."""
    way = base(text, direction)
    if way == LTR and not _RTL.search(text):
        return text
    ordered = get_display(_reshaper().reshape(text), base_dir="R" if way == RTL else "L")
    assert isinstance(ordered, str)  # noqa: S101 (it was given a text)
    return ordered


@cache
def _reshaper() -> arabic_reshaper.ArabicReshaper:
    return arabic_reshaper.ArabicReshaper({"delete_harakat": False, "support_zwj": True})


@lru_cache(maxsize=4096)
def _drawn(character: str, names: tuple[str, ...]) -> tuple[str, str]:
    """Give what stands for a character, and its font; nothing for what is not seen."""
    category = unicodedata.category(character)
    if category in _UNSEEN:
        return "", ""
    fonts = load()
    for name in names:
        if fonts[name].has(character):
            return character, name
    return ("", "") if category in _ORNAMENTS else (_BOX, names[-1])


def _pieces(text: str) -> list[str]:
    """Split a text into what must stay together, each with the space behind it."""
    made: list[str] = []
    for word in _PIECES.findall(text):
        for is_wide, characters in groupby(word, lambda one: _WIDE.match(one) is not None):
            if is_wide:
                made += characters
            else:
                made.append("".join(characters))
    joined: list[str] = []
    for piece in made:
        together = joined and not joined[-1].endswith(" ") and (
            piece[0] in _NOT_FIRST or joined[-1][-1] in _NOT_LAST
        )  # fmt: skip
        if together:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _most_that_fit(text: str, style: Style, direction: str, room: float, size: float) -> int:
    """Count the characters of an overlong word that fit into a line, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle], style, direction) * size <= room:
            low = middle
        else:
            high = middle - 1
    return low
