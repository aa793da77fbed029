"""Readers: other people's programs that read what we draw: zxing-cpp, pdfium, openssl."""

import re
import unicodedata

import pypdfium2
import zxingcpp
from PIL import Image

from checkout.tickets import qr

_SVG = re.compile(
    r'<svg xmlns="http://www\.w3\.org/2000/svg" viewBox="0 0 (\d+) \1" role="img" aria-label="([^"<>]*)" '
    r'shape-rendering="crispEdges"><rect width="\1" height="\1" fill="#fff"/><path fill="#000" d="([^"]+)"/></svg>'
)
_STRETCH = re.compile(r"M(\d+) (\d+)h(\d+)v1h-\3z")


def drawn(side: int, stretches: list[tuple[int, int, int]], unit: int = 4) -> Image.Image:
    """Draw dark stretches (column, row, length) on white."""
    picture = Image.new("L", (side, side), 255)
    for x, y, length in stretches:
        picture.paste(0, (x, y, x + length, y + 1))
    return picture.resize((side * unit, side * unit), Image.Resampling.NEAREST)


def drawn_svg(svg: str) -> Image.Image:
    """Draw an SVG of ours, strictly: anything but white, one path of stretches and a label is refused."""
    found = _SVG.fullmatch(svg)
    assert found is not None
    path = found[3]
    assert _STRETCH.sub("", path) == ""
    return drawn(int(found[1]), [(int(a), int(b), int(c)) for a, b, c in _STRETCH.findall(path)])


def drawn_matrix(rows: qr.Matrix) -> Image.Image:
    """Draw a matrix with its quiet zone."""
    shifted = [(x + qr.QUIET, y + qr.QUIET, length) for x, y, length in qr.runs(rows)]
    return drawn(len(rows) + 2 * qr.QUIET, shifted)


def codes(picture: Image.Image) -> list[str]:
    """Read all QR codes in a picture."""
    return [found.text for found in zxingcpp.read_barcodes(picture) if found.format == zxingcpp.QRCode]


def pages(octets: bytes, scale: float = 2.0) -> list[Image.Image]:
    """Render all pages of a PDF."""
    document = pypdfium2.PdfDocument(octets)
    try:
        return [page.render(scale=scale).to_pil().convert("RGB") for page in document]
    finally:
        document.close()


def words(octets: bytes) -> str:
    """Take out the text of a PDF: letters as people type them, without the breaks of lines and unseen signs."""
    document = pypdfium2.PdfDocument(octets)
    try:
        found = "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()
    return seen(found)


def seen(text: str) -> str:
    """Fold a text: composed letters, no spaces of any kind, nothing unseen."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(
        one for one in folded if not one.isspace() and unicodedata.category(one) not in {"Cf", "Cc"}
    )


def described(octets: bytes) -> dict[str, str]:
    """Take out what a PDF says of itself."""
    document = pypdfium2.PdfDocument(octets)
    try:
        return dict(document.get_metadata_dict())
    finally:
        document.close()
