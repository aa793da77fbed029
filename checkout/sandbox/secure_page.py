"""Secure page: the page of the buyer's bank (3-D Secure), as plain as can be: two buttons, no script, nothing loaded.

``GET /3ds/{payment intent}`` shows it, ``POST`` decides and sends the buyer back to the shop, with
``payment_intent``, ``payment_intent_client_secret`` and ``redirect_status`` in the address, as Stripe does. The form
carries a token that only the page knows, so no other page can decide. The policy allows forms to this page and to the
shop's address only: browsers apply it to where a form's answer leads, too.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from checkout.money import exponent
from checkout.sandbox.records import Intent

STYLE = (
    "body{font:1.125rem/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1b1f24}"
    "main{max-width:30rem;margin:3rem auto;padding:1.5rem;background:#fff;border:1px solid #c7ccd4;"
    "border-radius:.5rem}h1{font-size:1.5rem;margin-top:0}"
    "button{font:inherit;padding:.75rem 1.25rem;margin:.5rem .75rem .5rem 0;border-radius:.375rem;"
    "border:2px solid #1b4fd1;background:#fff;color:#1b4fd1;min-height:2.75rem;cursor:pointer}"
    "button.main{background:#1b4fd1;color:#fff}"
    ":focus-visible{outline:3px solid #b8540a;outline-offset:2px}"
)
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = "bhd jod kwd omr tnd"


def question(intent: Intent) -> bytes:
    """Write the page that asks."""
    amount = escape(shown(intent.amount, intent.currency))
    order = escape(intent.metadata.get("order", ""))
    what = f"<p>Order <strong>{order}</strong></p>" if order else ""
    return page(
        "Your bank asks for your approval",
        f"<p>This is the sandbox. No money moves, and no bank is asked.</p>{what}"
        f"<p>Do you want to pay <strong>{amount}</strong>?</p>"
        f'<form method="post"><input type="hidden" name="token" value="{escape(intent.challenge)}">'
        '<button class="main" name="answer" value="approve">Approve payment</button>'
        '<button name="answer" value="refuse">Refuse</button></form>',
    )


def nothing_to_do(intent: Intent | None) -> bytes:
    """Write the page for when nobody waits for an answer."""
    back = ""
    if intent is not None and intent.return_url:
        back = f'<p><a href="{escape(return_address(intent))}">Back to the shop</a></p>'
    return page("There is nothing to approve", f"<p>This payment does not wait for an answer.</p>{back}")


def return_address(intent: Intent) -> str:
    """Give the address that the buyer is sent back to."""
    parts = urlsplit(intent.return_url)
    status = {"requires_payment_method": "failed", "canceled": "failed", "requires_action": "pending"}
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent", intent.id),
        ("payment_intent_client_secret", intent.client_secret),
        ("redirect_status", status.get(intent.status, "succeeded")),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def headers(intent: Intent | None) -> list[tuple[bytes, bytes]]:
    """Give the headers of the page."""
    return headers_to(intent.return_url if intent is not None else "")


def headers_to(return_url: str) -> list[tuple[bytes, bytes]]:
    """Give the headers of a page whose form leads to an address of the shop; '' for none."""
    shop = ""
    if return_url:
        parts = urlsplit(return_url)
        shop = f" {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'{shop}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]


def shown(units: int, currency: str) -> str:
    """Write an amount of Stripe's minor units for people."""
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    whole, rest = divmod(units, 10**decimals)
    if exponent(currency.upper()) == 0 and rest == 0:
        decimals = 0
    return f"{whole:,}{f'.{rest:0{decimals}d}' if decimals else ''} {currency.upper()}"


def page(title: str, inner: str) -> bytes:
    """Write a page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{inner}</main></body></html>"
    ).encode()
