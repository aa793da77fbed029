"""Reminder view: the page that asks, without JavaScript, whether a fan wants to be told of their turn.

It does not load itself again, because somebody types on it. Not here: who may see what (``reminder_web``).
"""

from collections.abc import Collection
from urllib.parse import urlencode

from waitroom.view import Look, render


def reminder_page(
    room: str,
    prefix: str,
    look: Look,
    target: str,
    *,
    minutes: int,
    offers: Collection[str],
    way: str,
    fault: str,
) -> bytes:
    """Render the question whether a fan wants to be told of their turn, without JavaScript."""
    base = f"{prefix}r/{room}"
    back = f"{base}/ticket?{urlencode({'target': target, 'lang': look.words.tag})}"
    span = look.words.span(minutes * 60)
    return render(
        "reminder.html", prefix, look,
        base=base, target=target, span=span, offers=offers, way=way, fault=fault, back=back,
    )  # fmt: skip
