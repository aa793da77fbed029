"""Choice: the language and the currency that a visitor has chosen, from the address or as the browser remembers it.

``?lang=ar`` and ``?currency=JPY`` on any page choose; a cookie each keeps the choice, so that it survives forms, the
seat page and the way back from a bank. (Nobody buys without cookies: the admission is one.) What is no language or
currency of ours is no choice. A choice of currency is about what is *shown and asked for*: what is held keeps its own.

Where a visitor comes from only makes an offer; nothing is chosen by it.

Not here: which language a browser likes (``kernel.languages``), what an event is sold in (``catalogue``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from babel.core import get_global
from babel.numbers import get_territory_currencies

from checkout.currencies import DIGITS
from checkout.site.words import languages
from kernel.asgi import Message, Scope, Send, header
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused
from kernel.languages import region

LANGUAGE = "lang"
CURRENCY = "currency"
COOKIES = {LANGUAGE: "shop-language", CURRENCY: "shop-currency"}
KEPT_S = 180 * 86_400
MOST_CHARS = 2_000
"""Of a query; what is longer holds no choice, and is not repeated in links."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen; '' is nothing. `told`: what this very address chooses, which the browser is to remember."""

    language: str = ""
    currency: str = ""
    told: tuple[tuple[str, str], ...] = ()


def choice_of(scope: Scope, *, secure: bool) -> Choice:
    """Read what a request has chosen: its address, else its cookies."""
    told = [(name, value) for name, value in _query(scope) if _is_known(name, value)]
    now = _remembered(scope, secure) | dict(told)
    return Choice(now.get(LANGUAGE, ""), now.get(CURRENCY, ""), tuple(dict(told).items()))


def remembering(choice: Choice, send: Send, *, secure: bool) -> Send:
    """Have the answer tell the browser to keep what its address has chosen."""
    if not choice.told:
        return send
    cookies = [
        (
            b"set-cookie",
            set_cookie(host_name(COOKIES[name], secure), value, secure=secure, max_age_s=KEPT_S),
        )
        for name, value in choice.told
    ]

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *cookies]}
        await send(message)

    return told


def link(scope: Scope, name: str, value: str) -> str:
    """Give the address of the same page with another choice; of the page before, where a form has led here.

    Its path is our own: never ``//host``, which browsers take for another site's.
    """
    path = "/" + scope["path"].lstrip("/")
    query = [(key, given) for key, given in _query(scope) if key not in COOKIES]
    if scope["method"] not in {"GET", "HEAD"}:
        parts = path.split("/")
        path, query = ("/".join(parts[:3]) if parts[1] == "events" and len(parts) > 2 else "/"), []
    return f"{quote(path, errors='replace')}?{urlencode([*query, (name, value)])}"


def accepted_region(scope: Scope) -> str:
    """Tell the region that a browser's languages name; '' where they name none."""
    return region((header(scope, b"accept-language") or b"").decode("latin-1"))


def offered(place: str, currencies: Sequence[str]) -> str:
    """Give the currency of a region among those that an event is sold in; '' where it has none of them."""
    if place not in get_global("territory_currencies"):
        return ""
    own: list[str] = get_territory_currencies(place)
    return next((code for code in own if code in currencies), "")


def _query(scope: Scope) -> list[tuple[str, str]]:
    octets: bytes = scope.get("query_string", b"")
    if len(octets) > MOST_CHARS:
        return []
    return parse_qsl(octets.decode("latin-1"), keep_blank_values=True)


def _is_known(name: str, value: str) -> bool:
    return (name == LANGUAGE and value in languages()) or (name == CURRENCY and value in DIGITS)


def _remembered(scope: Scope, secure: bool) -> dict[str, str]:
    try:
        # HTTP/2 may send each cookie in a header of its own.
        kept = parse(b"; ".join(value for name, value in scope["headers"] if name == b"cookie"))
    except Refused:
        return {}
    found = {name: kept.get(host_name(cookie, secure), "") for name, cookie in COOKIES.items()}
    return {name: value for name, value in found.items() if _is_known(name, value)}
