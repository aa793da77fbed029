"""Fields: the sandbox's card fields: a script, and the page in a frame that it opens, as Stripe's own are used.

``GET /v3/`` is a script with the part of Stripe.js that a shop's page needs: ``Stripe(key).elements().create("card")``,
``mount``, ``on("ready" | "change")`` and ``createPaymentMethod``. The frame ``GET /fields?key=…`` offers outcomes by
name and has no field into which the number of a card could be typed. It opens for the account's publishable key only;
any page may frame it, as it holds nothing and knows nobody.

Not here: what an outcome does (``methods``), the page that uses the script (the shop's).
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs

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
    ("pm_card_visa", "A card that pays"),
    ("pm_card_threeDSecure2Required", "A card whose bank asks first (3-D Secure)"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "A card without enough money"),
    ("pm_card_chargeDeclined", "A card that the bank declines"),
    ("pm_card_chargeDeclinedExpiredCard", "A card that has expired"),
    ("pm_sandbox_currencyNotSupported", "A card that cannot pay in this currency"),
    ("pm_sandbox_processing", "A card whose bank takes its time"),
)
"""Token and words of what the frame offers; the first choice of all is none, which is an incomplete card."""


def answer(path: str, query: bytes, key: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Give status, headers and body for one of ``PATHS``; `key` is the account's publishable key."""
    if path == SCRIPT:
        return 200, _headers(b"text/javascript; charset=utf-8"), _script("fields.js")
    if path == FRAME_SCRIPT:
        return 200, _headers(b"text/javascript; charset=utf-8"), _script("frame.js")
    given = parse_qs(query.decode("latin-1")).get("key", [""])[0]
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors *"
    )
    headers = [*_headers(b"text/html; charset=utf-8"), (b"content-security-policy", policy.encode())]
    if not key or not compare_digest(given.encode(), key.encode()):
        return 403, headers, _page("<p>This publishable key is not known.</p>", "")
    options = "".join(
        f'<option value="{escape(token)}">{escape(words)}</option>' for token, words in OUTCOMES
    )
    inner = (
        '<label for="outcome">What the bank does</label>'
        f'<select id="outcome"><option value="">Choose what the bank does</option>{options}</select>'
    )
    return 200, headers, _page(inner, f'<script src="{FRAME_SCRIPT}" defer></script>')


def _headers(kind: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]


def _page(inner: str, script: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f"<title>Card fields of the sandbox</title><style>{STYLE}</style>{script}</head>"
        f"<body><main>{inner}</main></body></html>"
    ).encode()


@cache
def _script(name: str) -> bytes:
    return files("checkout.sandbox").joinpath("static", name).read_bytes()
