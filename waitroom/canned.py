"""Canned message: what an operator says most often to everybody who waits, ready in every language of the page.

A room's ``message`` is either free text, shown as it is to everybody, or ``canned:`` and one of ``SITUATIONS``.
The status document then carries only the situation's name: a page asks for the texts of its language once it needs
them (``canned.{tag}.js``), so that nobody loads them who is told nothing. The texts are ``canned.*`` of
``languages/``; a theme may lay its own over them.

Pure. Not here: the texts (``words``), who may say something (``levers``).
"""

from collections.abc import Callable

from waitroom import field_readers as reads

PREFIX = "canned:"
CHARS = 280

SITUATION_WORDS = {
    "pause": "Short pause", "payment": "Payment trouble", "more": "More tickets soon", "last": "Nearly sold out",
    "delay": "The start is put off", "trouble": "Technical trouble", "resumed": "It goes on",
    "ending": "Ending soon", "order": "No need to hurry", "thanks": "Thanks for waiting",
}  # fmt: skip
"""The situations of which there are texts, and what an operator calls each."""

SITUATIONS = tuple(SITUATION_WORDS)


def situation_of(message: str) -> str:
    """Return the situation that a room's message names; '' for free text and for none."""
    return message.removeprefix(PREFIX) if message.startswith(PREFIX) else ""


def free_text(message: str) -> str:
    """Return a room's message as far as it is free text; '' for a canned one and for none."""
    return "" if message.startswith(PREFIX) else message


def spoken(message: str, text: Callable[[str], str]) -> str:
    """Return what a fan reads; `text` gives the text of a key in their language."""
    situation = situation_of(message)
    return text(f"canned.{situation}") if situation else message


def called(message: str) -> str:
    """Return what an operator calls a canned message; '' for whatever else a setting may be."""
    return SITUATION_WORDS.get(situation_of(message), "")


def read_message(value: object) -> str:
    """Read a room's message. Raises ``ValueError`` with what is wrong."""
    message = reads.text(CHARS, lines=True)(value)
    situation = situation_of(message)
    if message.startswith(PREFIX) and situation not in SITUATIONS:
        raise reads.refuse(f"a text, or {PREFIX} and one of {', '.join(SITUATIONS)}", message)
    return str(message)


reads.described(read_message, type="string", maxLength=CHARS)
