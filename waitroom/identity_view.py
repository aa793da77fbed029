"""Identity view: the page that asks who somebody is before they join; a plain form, with and without JavaScript.

It does not load itself again, because somebody types on it. Not here: who may see what (``identity_web``).
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from waitroom.view import Look, render


def identity_page(
    room: str, prefix: str, look: Look, target: str, way: str, given: Mapping[str, object], fault: str = ""
) -> bytes:
    """Render the question; `given` is what was typed already, with the ``paper`` of a number that is on its way."""
    base = f"{prefix}r/{room}"
    live = "live" in given
    query = {"target": target, "lang": look.words.tag} | ({"live": "1"} if live else {})
    return render(
        "identity.html", prefix, look,
        base=base, target=target, way=way, fault=fault, live=live, paper=_text(given, "paper"),
        code=_text(given, "code"), again=f"{base}/identity?{urlencode(query)}",
    )  # fmt: skip


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name, "")
    return value if isinstance(value, str) else ""
