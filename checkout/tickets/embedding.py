"""Embedding: a font in a PDF as the few glyphs that the file needs, cut out by HarfBuzz.

reportlab cuts fonts in Python, into pieces of 256 letters; that was the dearest part of a ticket. Here a font is one
piece (a composite font, ISO 32000-1, 9.7) whose codes are the numbers of glyphs, those of the whole font. What is
copied out of the file are the letters again (``ToUnicode``). Which letters are needed decides alone what is embedded,
so that the last cuts are kept: the tickets of one event share them.

Used by reportlab as any of its fonts (so the names of the methods are its). One file at a time, as there.
"""

import io
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import uharfbuzz
from reportlab.pdfbase import pdfdoc
from reportlab.pdfbase.ttfonts import TTFont

LESS = ("GDEF", "GPOS", "GSUB", "OS/2", "cmap", "name", "post")
"""Tables that a reader of PDF does not ask for in such a font."""

_CMAP = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
    "/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
    "1 begincodespacerange <0000> <FFFF> endcodespacerange\n{rows}\n"
    "endcmap CMapName currentdict /CMap defineresource pop end end\n"
)
_MOST_ROWS = 100
"""Of one list in a CMap."""

_ALWAYS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-· ")
"""Embedded whenever one of them is: so tickets of one event, which differ in numbers, need the same letters."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A font cut down to some letters, ready for a file: streams that are compressed, and the widths of its glyphs."""

    file: bytes
    file_bytes: int
    unicode: bytes
    widths: str


class Embedded(TTFont):  # type: ignore[misc]  # the library has no types
    """A font whose glyphs are embedded as one piece."""

    def __init__(self, name: str, octets: bytes) -> None:
        super().__init__(name, io.BytesIO(octets), asciiReadable=False, shapable=False)
        self._whole = uharfbuzz.Face(octets)
        self._cuts = lru_cache(maxsize=64)(self._made)
        self._codes = lru_cache(maxsize=4096)(self._coded)

    def has(self, character: str) -> bool:
        """Tell whether there is a glyph for a character."""
        return ord(character) in self.face.charToGlyph

    def splitString(self, text: str, doc: Any, encoding: str = "") -> list[tuple[int, bytes]]:  # noqa: ARG002, N802
        """Give the text as codes, and note its letters as needed."""
        self._needed(doc).update(text)
        return [(0, self._codes(text))]

    def getSubsetInternalName(self, subset: int, doc: Any) -> str:  # noqa: ARG002, N802
        """Name the font in a file; from the first time on it belongs to it."""
        self._needed(doc)
        return f"/{doc.fontMapping[self.fontName][1:]}"

    def addObjects(self, doc: Any) -> None:  # noqa: N802
        """Put the font into a file that is complete."""
        internal = doc.fontMapping[self.fontName][1:]
        base = f"AAAAAA+{self.face.name.decode()}"
        cut = self._cuts(frozenset(self._needed(doc)))
        file = _stream(cut.file, Length1=cut.file_bytes)
        box = " ".join(str(round(edge)) for edge in self.face.bbox)
        descriptor = (
            f"<< /Type /FontDescriptor /FontName /{base} /Flags 4 /FontBBox [{box}] /ItalicAngle 0"
            f" /Ascent {round(self.face.ascent)} /Descent {round(self.face.descent)}"
            f" /CapHeight {round(self.face.capHeight)} /StemV {round(self.face.stemV)}"
            f" /FontFile2 {_reference(doc, file, f'file:{internal}')} >>"
        )
        descendant = (
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{base} /CIDToGIDMap /Identity"
            " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
            f" /FontDescriptor {_reference(doc, descriptor.encode(), f'descriptor:{internal}')}"
            f" /DW {round(self.face.defaultWidth)} /W [{cut.widths}] >>"
        )
        whole = (
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{base} /Encoding /Identity-H"
            f" /DescendantFonts [{_reference(doc, descendant.encode(), f'descendant:{internal}')}]"
            f" /ToUnicode {_reference(doc, _stream(cut.unicode), f'unicode:{internal}')} >>"
        )
        doc.idToObject["BasicFonts"].dict[internal] = doc.Reference(whole.encode(), internal)
        del self.state[doc]

    def _needed(self, doc: Any) -> set[str]:
        """Give the letters that a file needs."""
        found: set[str] | None = self.state.get(doc)
        if found is None:
            found = self.state[doc] = set()
            doc.fontMapping[self.fontName] = f"/F{len(doc.fontMapping) + 1}"
            doc.delayedFonts.append(self)
        return found

    def _coded(self, text: str) -> bytes:
        glyphs = self.face.charToGlyph
        return b"".join(glyphs.get(ord(letter), 0).to_bytes(2, "big") for letter in text)

    def _made(self, letters: frozenset[str]) -> "Cut":
        face = self.face
        wanted_letters = [*letters, *(one for one in _ALWAYS if letters & _ALWAYS and self.has(one))]
        glyphs = {
            face.charToGlyph.get(ord(letter), 0): letter for letter in sorted(wanted_letters, reverse=True)
        }
        wanted = uharfbuzz.SubsetInput()
        wanted.glyph_set.update(glyphs)
        wanted.drop_table_tag_set.update(int.from_bytes(name.encode(), "big") for name in LESS)
        wanted.flags = uharfbuzz.SubsetFlags.RETAIN_GIDS | uharfbuzz.SubsetFlags.NO_HINTING
        file = bytes(wanted.subset(self._whole).blob.data)
        widths = " ".join(
            f"{glyph} [{face.charWidths.get(ord(letter), face.defaultWidth):g}]"
            for glyph, letter in sorted(glyphs.items())
        )
        return Cut(zlib.compress(file), len(file), zlib.compress(_unicode(glyphs)), widths)


def _stream(compressed: bytes, **more: int) -> Any:
    stream = pdfdoc.PDFStream(content=compressed)
    stream.dictionary["Filter"] = b"/FlateDecode"
    for name, value in more.items():
        stream.dictionary[name] = value
    return stream


def _reference(doc: Any, content: Any, name: str) -> str:
    return str(doc.Reference(content, name).format(doc).decode())


def _unicode(glyphs: dict[int, str]) -> bytes:
    rows = [f"<{glyph:04X}> <{letter.encode('utf-16-be').hex()}>" for glyph, letter in sorted(glyphs.items())]
    lists = [rows[first : first + _MOST_ROWS] for first in range(0, len(rows), _MOST_ROWS)]
    made = "\n".join(f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar" for part in lists)
    return _CMAP.format(rows=made).encode()
