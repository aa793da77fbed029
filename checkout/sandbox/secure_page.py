"""Secure page: the page of the buyer's bank (3-D Secure), as plain as can be: two buttons, no script, nothing loaded.

It speaks the language of the visitor's browser (``words``).

``GET /3ds/{payment intent}`` shows it, ``POST`` decides and sends the buyer back to the shop, with
``payment_intent``, ``payment_intent_client_secret`` and ``redirect_status`` in the address, as Stripe does. The form
carries a token that only the page knows, so no other page can decide. The policy allows forms to this page and to the
shop's address only: browsers apply it to where a form's answer leads, too.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from checkout.sandbox import words
from checkout.sandbox.records import Intent
from kernel.languages import Texts

STYLE = (
    ":root{color-scheme:light dark;--blue:#1b4fd1;--ground:#fff;--ink:#1b1f24}"
    "@media(prefers-color-scheme:dark){:root{--blue:#9db8ff;--ground:#1c2027;--ink:#eceff4}}"
    "body{font:1.125rem/1.5 system-ui,sans-serif;margin:0;padding:1rem;background:#f4f5f7;color:var(--ink)}"
    "main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:var(--ground);border:1px solid #c7ccd4;"
    "border-radius:.5rem}h1{font-size:1.5rem;margin-top:0}a{color:var(--blue)}"
    "@media(prefers-color-scheme:dark){body{background:#101318}main{border-color:#3b424d}}"
    "form{display:flex;flex-wrap:wrap;gap:.75rem}form.list{flex-direction:column}.small{font-size:.9375rem}"
    "form.list button{text-align:start}form.list span{display:block;color:var(--ink)}"
    "button.none{border-color:transparent}"
    "button{font:inherit;padding:.75rem 1.25rem;border-radius:.375rem;"
    "border:2px solid var(--blue);background:var(--ground);color:var(--blue);min-height:2.75rem;cursor:pointer}"
    "button.main{background:var(--blue);color:var(--ground)}"
    ":focus-visible{outline:3px solid #b8540a;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){:focus-visible{outline-color:#ffb066}}"
)
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

_INNER = "\0"
"""Stands for markup while a sentence is put together and escaped."""


def question(intent: Intent, texts: Texts) -> bytes:
    """Write the page that asks."""
    sum_ = words.amount(intent.amount, intent.currency, texts)
    return asking(sum_, intent.metadata.get("order", ""), intent.challenge, texts)


def asking(amount: str, order: str, token: str, texts: Texts) -> bytes:
    """Write a page that asks: an amount as people read it, an order's name or '', and what its form brings back."""
    what = f"<p>{said(texts, 'bank.order', order=order)}</p>" if order else ""
    return page(
        texts,
        "bank.head",
        f"<p>{said(texts, 'bank.sandbox')}</p>{what}<p>{said(texts, 'bank.ask', amount=amount)}</p>"
        f'<form method="post"><input type="hidden" name="token" value="{escape(token)}">'
        f'<button class="main" name="answer" value="approve">{said(texts, "bank.approve")}</button>'
        f'<button name="answer" value="refuse">{said(texts, "bank.refuse")}</button></form>',
    )


def nothing_to_do(return_url: str, texts: Texts) -> bytes:
    """Write the page for when nobody waits for an answer; `return_url` leads back, '' for nowhere."""
    back = f'<p><a href="{escape(return_url)}">{said(texts, "bank.back")}</a></p>' if return_url else ""
    return page(texts, "bank.none-head", f"<p>{said(texts, 'bank.none-text')}</p>{back}")


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


def page(texts: Texts, title: str, inner: str) -> bytes:
    """Write a page; `title` is the key of its words."""
    head = said(texts, title)
    return (
        f'<!doctype html><html lang="{texts.tag}" dir="{texts.direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{head}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{head}</h1>{inner}</main></body></html>"
    ).encode()


def said(texts: Texts, key: str, **values: str) -> str:
    """Write a text as markup; what is put in stands out and keeps its own order of reading."""
    text = escape(texts.text(key, **dict.fromkeys(values, _INNER)))
    for value in values.values():
        text = text.replace(_INNER, f"<bdi><strong>{escape(value)}</strong></bdi>")
    return text
