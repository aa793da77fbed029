"""Fields: the sandbox's card fields: a script, and the page in a frame that it opens, as Stripe's own are used.

``GET /v3/`` is a script with the part of Stripe.js that a shop's page needs: ``Stripe(key).elements().create("card")``,
``mount``, ``on("ready" | "change")`` and ``createPaymentMethod``. The frame ``GET /fields?key=…`` offers outcomes by
name and has no field into which the number of a card could be typed. It opens for the account's publishable key only;
any page may frame it, as it holds nothing and knows nobody. It speaks the language that the page around it asks for
(``Stripe(key, {locale})``), else the browser's.

Not here: what an outcome does (``methods``), the page that uses the script (the shop's).
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs

from checkout.sandbox.words import spoken
from kernel.languages import Texts

SCRIPT = "/v3/"
FRAME = "/fields"
FRAME_SCRIPT = "/fields/frame.js"
PATHS = frozenset((SCRIPT, FRAME, FRAME_SCRIPT))

STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;font:1rem/1.4 system-ui,sans-serif;background:transparent}"
    "label{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
    "select{box-sizing:border-box;width:100%;min-height:2.9rem;padding:.4rem .6rem;border:0;font:inherit;"
    "color:light-dark(#17142b,#f1eefb);background:light-dark(#fff,#1a1729)}"
    "select:focus-visible{outline:3px solid light-dark(#4b3bd6,#a99cff);outline-offset:-3px;border-radius:.5rem}"
)
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

OUTCOMES = (
    ("pm_card_visa", "pays"),
    ("pm_card_threeDSecure2Required", "asks"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "no-funds"),
    ("pm_card_chargeDeclined", "declined"),
    ("pm_card_chargeDeclinedExpiredCard", "expired"),
    ("pm_sandbox_currencyNotSupported", "currency"),
    ("pm_sandbox_processing", "slow"),
)
"""Token and key of the words of what the frame offers; the first choice of all is none: an incomplete card."""


def answer(
    path: str, query: bytes, key: str, accept_language: bytes | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Give status, headers and body for one of ``PATHS``; `key` is the account's publishable key."""
    if path == SCRIPT:
        return 200, _headers(b"text/javascript; charset=utf-8"), _script("fields.js")
    if path == FRAME_SCRIPT:
        return 200, _headers(b"text/javascript; charset=utf-8"), _script("frame.js")
    asked = parse_qs(query.decode("latin-1"))
    given, words = asked.get("key", [""])[0], spoken(accept_language, asked.get("locale", [""])[0])
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors *"
    )
    headers = [*_headers(b"text/html; charset=utf-8"), (b"content-security-policy", policy.encode())]
    if not key or not compare_digest(given.encode(), key.encode()):
        return 403, headers, _page(words, f"<p>{_said(words, 'fields.unknown')}</p>", "")
    options = "".join(
        f'<option value="{escape(token)}">{_said(words, f"outcome.{name}")}</option>'
        for token, name in OUTCOMES
    )
    inner = (
        f'<label for="outcome">{_said(words, "fields.label")}</label>'
        f'<select id="outcome" data-wrong="{_said(words, "fields.wrong")}">'
        f'<option value="">{_said(words, "fields.choose")}</option>{options}</select>'
    )
    return 200, headers, _page(words, inner, f'<script src="{FRAME_SCRIPT}" defer></script>')


def _said(words: Texts, key: str) -> str:
    return escape(words.text(key))


def _headers(kind: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]


def _page(words: Texts, inner: str, script: str) -> bytes:
    return (
        f'<!doctype html><html lang="{words.tag}" dir="{words.direction}"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_said(words, 'fields.title')}</title><style>{STYLE}</style>{script}</head>"
        f"<body><main>{inner}</main></body></html>"
    ).encode()


@cache
def _script(name: str) -> bytes:
    return files("checkout.sandbox").joinpath("static", name).read_bytes()
