"""The figure tickets: tickets a second that one core prints: QR and one-page PDF, each with a code and seat of its own.

German, Arabic and Japanese in turn, with their fonts embedded. The reference is the library alone: the same QR and one
line in a font that every reader has. Rates are by processor time, as other work on the machine is none of theirs;
rounds alternate. The last ticket of each round is rendered by pdfium and its code read by zxing-cpp.
"""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pypdfium2
import zxingcpp
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench
from checkout.tickets import qr
from checkout.tickets.face import Face, Labels, Line
from checkout.tickets.pdf import pdf

LEAST_PER_S = 100
CODE = "WR1:" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:" * 4
CODE_CHARS = 150
SEATS = 4
"""Of an order whose tickets are one file."""

_LABELS = {
    "de": ("Wann", "Wo", "Kategorie", "Preis", "Bestellung", "Inhaber", "Nummer", "Veranstalter"),
    "ar": ("الموعد", "المكان", "الفئة", "السعر", "الطلب", "حامل التذكرة", "رقم التذكرة", "المنظّم"),
    "ja": ("日時", "会場", "席種", "価格", "注文番号", "お名前", "チケット番号", "主催"),
}
_WORDS = {
    "de": (
        "Große Nacht der Lichter",
        "Orchester und Chor",
        "Kongresshalle",
        "Köln",
        "Samstag, 5. Dezember 2026",
    ),
    "ar": ("ليلة الأنوار الكبرى", "أوركسترا وجوقة", "قاعة المؤتمرات", "القاهرة", "السبت، 5 ديسمبر 2026"),
    "ja": ("光の大いなる夜コンサート", "オーケストラと合唱", "国際会議場", "東京", "2026年12月5日土曜日"),
}
_PLACES = {
    "de": ("Block", "Parkett links", "Reihe", "Platz", "Bitte zeigen Sie diese Karte am Eingang."),
    "ar": ("القسم", "الصالة اليسرى", "الصف", "المقعد", "يرجى إبراز هذه التذكرة عند المدخل."),
    "ja": ("区画", "1階左", "列", "席", "入口でこのチケットをご提示ください。"),
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Print in rounds that alternate with the library alone."""
    faces = [_face(language) for language in _WORDS]
    numbers = count()

    def ours() -> tuple[str, bytes]:
        number = next(numbers)
        own = faces[number % len(faces)]
        code = f"{CODE[: CODE_CHARS - 9]}{number:09d}"
        place = (
            own.place[0],
            Line(own.place[1].label, str(number % 40)),
            Line(own.place[2].label, str(number % 97)),
        )
        return code, pdf([replace(own, code=code, number=f"K7QM-{number % 10_000:04d}", place=place)])

    def alone() -> tuple[str, bytes]:
        code = f"{CODE[: CODE_CHARS - 9]}{next(numbers):09d}"
        return code, _alone(code)

    for side in (ours, ours, ours, alone):
        side()
    rates: list[float] = []
    others: list[float] = []
    error, size = None, 0
    whole: list[float] = []
    for number in range(bench.rounds):
        theirs, _ = _rate(alone, bench.seconds / 2)
        rate, (code, octets) = _rate(ours, bench.seconds)
        orders, _ = _rate(
            lambda: ("", pdf([replace(faces[0], code=f"{CODE[:149]}{seat}") for seat in range(SEATS)])),
            bench.seconds / 4,
        )
        whole.append(orders * SEATS)
        rates.append(rate)
        others.append(theirs)
        size = len(octets)
        say(f"round {number + 1} of {bench.rounds}: {rate:.0f} tickets/s, the library alone {theirs:.0f}")
        if (read := _read(octets)) != [code]:
            error = f"the code on the paper was read as {read[:1]}"
            break
    rate = sorted(rates)[len(rates) // 2]
    figure = Figure(
        "tickets",
        rate,
        "tickets/s",
        "reportlab alone: the same QR and one line",
        ratio=median_ratio(rates, others),
        target=f">= {LEAST_PER_S}/s of one core",
        met=rate >= LEAST_PER_S,
        conditions=bench.conditions(load="none", workers=1, clock="processor time"),
        details={
            "languages": list(_WORDS),
            "reference_per_s": round(sorted(others)[len(others) // 2]),
            "least_per_s": round(min(rates)),
            "in_files_of_four_per_s": round(sorted(whole)[len(whole) // 2]),
            "octets": size,
        },
    )
    yield figure if error is None else failed(figure, error)


def _rate(make: Callable[[], tuple[str, bytes]], seconds: float) -> tuple[float, tuple[str, bytes]]:
    """Make for so many seconds of processor time; return the rate and what came last."""
    made, last = 0, ("", b"")
    began = time.process_time()
    while (took := time.process_time() - began) < seconds:
        last = make()
        made += 1
    return made / took, last


def _alone(code: str) -> bytes:
    rows = qr.matrix(code)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setFont("Helvetica", 12)
    canvas.drawString(50, 700, "One ticket, row 12, seat 27")
    canvas.saveState()
    canvas.transform(2.5, 0, 0, 2.5, 50, 500)
    canvas.addLiteral(qr.operators(rows))
    canvas.restoreState()
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _read(octets: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(octets)
    try:
        return [found.text for found in zxingcpp.read_barcodes(document[0].render(scale=2).to_pil())]
    finally:
        document.close()


def _face(language: str) -> Face:
    title, subtitle, venue, city, day = _WORDS[language]
    section_label, section, row, seat, note = _PLACES[language]
    when, where, tier, price, order, holder, number, organiser = _LABELS[language]
    return Face(
        code=CODE,
        number="K7QM-4T2P",
        title=title,
        subtitle=subtitle,
        venue=venue,
        city=city,
        day=day,
        time="20:00 MEZ",
        place=(Line(section_label, section), Line(row, "1"), Line(seat, "1")),
        tier="A",
        price="42,00 €",
        order="e5k7m2qa9xw0c4tz",
        holder="Zoë Müller",
        organiser="Konzerte am Fluss",
        note=note,
        labels=Labels(
            when=when,
            where=where,
            tier=tier,
            price=price,
            order=order,
            holder=holder,
            number=number,
            organiser=organiser,
        ),
        language=language,
        direction="rtl" if language == "ar" else "ltr",
        motif="aurora",
        ticket_id="00" * 16,
        event_id="night-of-lights",
        starts_ms=1_796_497_200_000,
    )
