"""PDF: tickets to print, one page each: A4, the ticket in the upper third, so that it can be folded into a pocket.

The ticket: the event's poster, title, day, place with the seat large, and a stub with the QR (36 mm and its quiet
zone) and the number that can be typed. Below the fold: what people ask for when they write to somebody, and the note.
Where a language runs from right to left the whole sheet is mirrored. No text leaves its place: a title becomes
smaller, then ends in an ellipsis.

The same faces give the same octets with the same libraries: no date and no chance is in the file (failure T2). A page
takes some milliseconds of processor (``make bench NAME=tickets``) and does not wait: call it from a thread, off the
way to pay. Library: reportlab (ADR 0020).
"""

import io
import threading
from collections.abc import Sequence
from functools import cache

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from checkout.tickets import posters, qr
from checkout.tickets.face import MOST_NOTE_CHARS, Face, Line, plain
from checkout.tickets.typesetting import AUTO, Style, base, broken, fitted, load, runs, width

WIDTH, HEIGHT = A4
MARGIN = 36.0
TOP, BOTTOM = 34.0, 262.0
"""Of the ticket, from the upper edge of the sheet."""

FOLD = HEIGHT / 3
POSTER = 104.0
MAIN, MAIN_ROOM = MARGIN + POSTER + 18, 238.0
STUB = 408.0
STUB_ROOM = WIDTH - MARGIN - STUB
SYMBOL = 102.5
"""Side of the QR without its quiet zone, in points: 36 mm."""

INK, SOFT, RULE = "#16182b", "#5b6079", "#c9cddb"
_DRAWING = threading.Lock()
"""The library's fonts note which glyphs a file needs; one file at a time."""


def pdf(faces: Sequence[Face]) -> bytes:
    """Print tickets, one on each page. Raises ``NoQr`` for a code that cannot be one, ``ValueError`` for no ticket."""
    if not faces:
        raise ValueError("there is no ticket to print")
    symbols = [qr.matrix(face.code) for face in faces]
    with _DRAWING:
        load()
        # Octets as they are: the text form of them is a quarter longer, and slow.
        rl_config.useA85 = 0
        out = io.BytesIO()
        canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=1, lang=faces[0].language)
        canvas.setTitle(plain(f"{faces[0].title} · {', '.join(face.number for face in faces)}"))
        canvas.setAuthor(plain(faces[0].organiser))
        canvas.setSubject(plain(f"{faces[0].when} · {faces[0].where}"))
        canvas.setCreator("Waitroom")
        canvas.setViewerPreference("DisplayDocTitle", "true")
        for face, symbol in zip(faces, symbols, strict=True):
            sheet = _Sheet(canvas, face)
            _ticket(sheet, face, symbol)
            sheet.end()
            canvas.showPage()
        canvas.save()
    return out.getvalue()


class _Sheet:
    """A page on which places are told from the edge where reading begins, and from above."""

    def __init__(self, canvas: Canvas, face: Face) -> None:
        self.canvas = canvas
        self._words = canvas.beginText()
        self._colour = self._font = ""
        self._size = 0.0
        self._is_rtl = face.is_rtl
        self._way = face.direction

    def left(self, x: float, wide: float) -> float:
        """Give the left edge of what begins at x and is so wide."""
        return WIDTH - x - wide if self._is_rtl else x

    def word(self, text: str, direction: str = "") -> tuple[str, str]:
        """Make a text fit to print, with its direction: that of the sheet, if none is told."""
        made = plain(text)
        return made, base(made, direction or self._way)

    def line(
        self,
        text: str,
        x: float,
        y: float,
        room: float,
        size: float,
        *,
        style: Style = Style.REGULAR,
        colour: str = INK,
        direction: str = "",
        least: float = 0.0,
        centred: bool = False,
    ) -> None:
        """Write one line whose letters stand on y; smaller down to `least`, if it does not fit, then shortened."""
        text, way = self.word(text, direction)
        wide = width(text, style, way)
        if least and wide * size > room:
            size = max(least, int(room / wide * 10) / 10)
        text = fitted(text, style, way, room, size)
        wide = width(text, style, way) * size
        self._write(
            text, self.left(x + (room - wide) / 2 if centred else x, wide), y, size, style, way, colour
        )

    def block(
        self,
        text: str,
        x: float,
        y: float,
        room: float,
        sizes: Sequence[float],
        most: int,
        *,
        style: Style = Style.REGULAR,
        colour: str = INK,
        direction: str = "",
        leading: float = 1.2,
        longest: int = MOST_NOTE_CHARS,
    ) -> float:
        """Write some lines below y in the first size at which all of it fits; return where the last one stands."""
        text = plain(text, longest)
        way = base(text, direction or self._way)
        lines: list[str] = []
        size = sizes[-1]
        for size in sizes:
            lines, is_whole = broken(text, style, way, room, size, most)
            if is_whole:
                break
        y += size
        for number, line in enumerate(lines):
            y += size * leading if number else 0
            wide = width(line, style, way) * size
            self._write(line, self.left(x, wide), y, size, style, way, colour)
        return y

    def rule(self, x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False) -> None:
        """Draw a thin line."""
        self.canvas.setStrokeColor(_paint(RULE))
        self.canvas.setLineWidth(0.8)
        self.canvas.setDash(*((2.4, 2.4) if dashed else ()))
        self.canvas.line(self.left(x, 0), HEIGHT - y, self.left(to_x, 0), HEIGHT - to_y)
        self.canvas.setDash()

    def end(self) -> None:
        """Put all that was written onto the page."""
        self.canvas.drawText(self._words)

    def _write(
        self, text: str, left: float, y: float, size: float, style: Style, way: str, colour: str
    ) -> None:
        words = self._words
        if colour != self._colour:
            self._colour = colour
            words.setFillColor(_paint(colour))
        words.setTextOrigin(left, HEIGHT - y)
        for name, part in runs(text, style, way):
            if (name, size) != (self._font, self._size):
                self._font, self._size = name, size
                words.setFont(name, size)
            words.textOut(part)


@cache
def _paint(colour: str) -> Color:
    return HexColor(colour)


def _ticket(sheet: _Sheet, face: Face, symbol: qr.Matrix) -> None:
    accent = posters.colours(face.motif).accent
    _frame(sheet, face.motif)
    sheet.line(face.where, MAIN, TOP + 24, MAIN_ROOM, 8.5, style=Style.BOLD, colour=accent, direction=AUTO)
    y = sheet.block(
        face.title, MAIN, TOP + 30, MAIN_ROOM, (25, 21, 18, 15, 13), 2, style=Style.BOLD, direction=AUTO
    )
    if face.subtitle:
        sheet.line(face.subtitle, MAIN, y + 17, MAIN_ROOM, 9.5, colour=SOFT, direction=AUTO)
    sheet.line(face.day, MAIN, TOP + 124, MAIN_ROOM, 10.5, style=Style.BOLD, least=8)
    sheet.line(face.time, MAIN, TOP + 138, MAIN_ROOM, 9.5, colour=SOFT, least=7)
    _place(sheet, face.place, accent)
    foot = [Line(face.labels.tier, face.tier), Line(face.labels.price, face.price)]
    if plain(face.holder):
        foot.append(Line(face.labels.holder, face.holder))
    _fields(sheet, foot, TOP + 207, MAIN_ROOM / len(foot), 8.5)
    _stub(sheet, face, symbol)
    sheet.rule(MARGIN, FOLD, WIDTH - MARGIN, FOLD, dashed=True)
    _below(sheet, face)


def _frame(sheet: _Sheet, motif: str) -> None:
    """Draw the ticket's edge, its poster, and the line at which the stub is torn off."""
    canvas, high = sheet.canvas, BOTTOM - TOP
    canvas.saveState()
    edge = canvas.beginPath()
    edge.roundRect(MARGIN, HEIGHT - BOTTOM, WIDTH - 2 * MARGIN, high, 9)
    canvas.clipPath(edge, stroke=0, fill=0)
    left = sheet.left(MARGIN, POSTER)
    strip = canvas.beginPath()
    strip.rect(left, HEIGHT - BOTTOM, POSTER, high)
    canvas.clipPath(strip, stroke=0, fill=0)
    scale = high / posters.HEIGHT
    canvas.transform(scale, 0, 0, -scale, left - (posters.WIDTH * scale - POSTER) / 2, HEIGHT - TOP)
    canvas.addLiteral(posters.operators(motif))
    canvas.restoreState()
    canvas.setStrokeColor(_paint(RULE))
    canvas.setLineWidth(0.8)
    canvas.roundRect(MARGIN, HEIGHT - BOTTOM, WIDTH - 2 * MARGIN, high, 9, stroke=1, fill=0)
    sheet.rule(STUB, TOP + 9, STUB, BOTTOM - 9, dashed=True)


def _stub(sheet: _Sheet, face: Face, symbol: qr.Matrix) -> None:
    canvas, unit = sheet.canvas, SYMBOL / len(symbol)
    top = TOP + 14 + qr.QUIET * unit
    canvas.saveState()
    left = sheet.left(STUB + (STUB_ROOM - SYMBOL) / 2, SYMBOL)
    canvas.transform(unit, 0, 0, unit, left, HEIGHT - top - SYMBOL)
    canvas.addLiteral(qr.operators(symbol))
    canvas.restoreState()
    below = top + SYMBOL + qr.QUIET * unit
    x, room = STUB + 10, STUB_ROOM - 20
    sheet.line(face.labels.number, x, below + 15, room, 7, colour=SOFT, centred=True)
    sheet.line(face.number, x, below + 36, room, 19, style=Style.BOLD, direction="ltr", least=9, centred=True)
    seats = " · ".join(plain(line.value) for line in face.place)
    sheet.line(seats, x, below + 55, room, 8.5, colour=SOFT, least=6, centred=True, direction=AUTO)


def _place(sheet: _Sheet, place: Sequence[Line], accent: str) -> None:
    """Write section, row and seat: what is short gets the room that it needs, the longest what is left."""
    if not place:
        return
    gap, size, y = 16.0, 31.0, TOP + 189
    wishes = []
    for index, one in enumerate(place):
        value, way = sheet.word(one.value, AUTO)
        label, label_way = sheet.word(one.label)
        needed = max(
            width(value, Style.BOLD, way) * (size if index == len(place) - 1 else 22),
            width(label, Style.REGULAR, label_way) * 7,
        )
        wishes.append(needed + 0.5)
    room = MAIN_ROOM - gap * (len(place) - 1)
    rooms = _shared(wishes, room)
    x = MAIN
    for index, (one, own) in enumerate(zip(place, rooms, strict=True)):
        is_seat = index == len(place) - 1
        sheet.line(one.label, x, TOP + 159, own, 7, colour=SOFT)
        sheet.line(
            one.value, x, y, own, size if is_seat else 22,
            style=Style.BOLD, colour=accent if is_seat else INK, direction=AUTO, least=9,
        )  # fmt: skip
        x += own + gap
    sheet.rule(MAIN, TOP + 196, MAIN + MAIN_ROOM, TOP + 196)


def _shared(wishes: Sequence[float], room: float) -> list[float]:
    """Share a width: everybody gets the wish, or as much as all others who want more than an equal share."""
    given = [0.0] * len(wishes)
    left, open_ = room, sorted(range(len(wishes)), key=lambda index: (wishes[index], index))
    for done, index in enumerate(open_):
        given[index] = min(wishes[index], left / (len(open_) - done))
        left -= given[index]
    return given


def _fields(sheet: _Sheet, fields: Sequence[Line], y: float, each: float, size: float) -> None:
    for index, one in enumerate(fields):
        x = MAIN + index * each
        sheet.line(one.label, x, y, each - 8, 6.5, colour=SOFT)
        sheet.line(one.value, x, y + 12, each - 8, size, style=Style.BOLD, direction=AUTO, least=6)


def _below(sheet: _Sheet, face: Face) -> None:
    """Write what stands below the fold: the facts in two columns, and the note."""
    labels = face.labels
    facts = (
        (Line(labels.when, face.when), ""),
        (Line(labels.where, face.where), AUTO),
        (Line(labels.order, face.order), "ltr"),
        (Line(labels.organiser, face.organiser), AUTO),
    )
    column = (WIDTH - 2 * MARGIN) / 2
    y = FOLD + 34
    for index, (one, way) in enumerate(facts):
        x = MARGIN + (index % 2) * column
        row = y + (index // 2) * 34
        sheet.line(one.label, x, row, column - 16, 7.5, colour=SOFT)
        sheet.line(one.value, x, row + 14, column - 16, 10, direction=way, least=7)
    if face.note:
        sheet.rule(MARGIN, y + 70, WIDTH - MARGIN, y + 70)
        sheet.block(
            face.note, MARGIN, y + 82, WIDTH - 2 * MARGIN, (9.5, 8.5, 7.5), 14, colour=SOFT, leading=1.5
        )
