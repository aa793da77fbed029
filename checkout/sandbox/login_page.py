"""Login page: "Who are you?", a button for each of the demo's people; and what is said when there is nothing to choose.

It is dressed as the bank's page is, has no script, loads nothing, and says under its heading that it is no login. Pure.
"""

from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from checkout.sandbox.login_rules import Somebody
from checkout.sandbox.secure_page import page, said
from kernel.languages import Texts


def question(people: Sequence[Somebody], token: str, texts: Texts) -> bytes:
    """Write the page that asks; `token` is what its form brings back."""
    buttons = "".join(
        f'<button name="who" value="{escape(one.name)}"><strong><bdi>{escape(one.name)}</bdi></strong> '
        f"<span>{said(texts, f'login.role.{one.role}')}</span></button>"
        for one in people
    )
    return page(
        texts,
        "login.head",
        f'<p>{said(texts, "login.sandbox")}</p><form class="list" method="post">'
        f'<input type="hidden" name="token" value="{escape(token)}">{buttons}'
        f'<button class="none" name="who" value="">{said(texts, "login.nobody")}</button></form>'
        f'<p class="small">{said(texts, "login.factor")}</p>',
    )


def over(back: str, texts: Texts) -> bytes:
    """Write the page for a choice that counts no more; `back` is the client's address, whose site it leads to."""
    parts = urlsplit(back)
    site = f"{parts.scheme}://{parts.netloc}/staff"
    link = f'<p><a href="{escape(site)}">{said(texts, "login.back")}</a></p>'
    return page(texts, "login.over-head", f"<p>{said(texts, 'login.over-text')}</p>{link}")


def wrong(texts: Texts) -> bytes:
    """Write the page for what nobody whom we know has asked."""
    return page(texts, "login.wrong-head", f"<p>{said(texts, 'login.wrong-text')}</p>")
