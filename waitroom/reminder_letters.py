"""Reminder letters: what a fan is told, in words: as a mail's text and HTML, and as the few words of a push message.

The link leads to the room's page and carries no place: a mail is read on other devices and by other people, and whoever
reads it must not have the place. So it says that the page is to be opened where the fan waits. The HTML fetches
nothing, so opening it tells nobody. Not here: whom to tell, and when (``reminder_round``).
"""

from dataclasses import dataclass
from hashlib import sha256

from waitroom.reminder import Job
from waitroom.view import Look, render
from waitroom.wait import Interval


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, ready (``ports.Message``)."""

    name: str
    topic: str
    language: str
    subject: str
    short: str
    text: str
    html: str
    page: str
    stop: str
    useful_s: int


def letter(
    look: Look,
    job: Job,
    sealed: str,
    *,
    page: str,
    stop: str,
    wait: Interval | None,
    left_s: float | None,
    useful_s: int,
) -> Letter:
    """Write a message. `wait`: how long it takes still; `left_s`: how long the turn is kept; None: nobody knows."""
    words = look.words
    if job is Job.NEAR:
        subject = words.text("mail.near-subject", name=look.name)
        lines = [words.text("state.waiting.detail", wait=words.wait(wait))] if wait else []
        lines.append(words.text("mail.near-text"))
        foot = [words.text("mail.one-more")]
    else:
        subject = words.text("mail.turn-subject", name=look.name)
        kept = left_s is not None and left_s > 0
        lines = [words.text("notify.body", span=words.span(left_s or 0))] if kept else []
        lines.append(words.text("turn.kept" if kept else "state.recall.detail"))
        foot = [words.text("mail.last")]
    subject = " ".join(subject.split())
    foot.insert(0, words.text("mail.why", name=look.name))
    parts = [
        subject, *lines, f"{words.text('mail.open')}: {page}", words.text("mail.device"), "-- ", *foot,
        f"{words.text('mail.stop')}: {stop}",
    ]  # fmt: skip
    html = render(
        "reminder_mail.html", "/", look, subject=subject, lines=lines, link=page, foot=foot, stop=stop
    )
    # Sealed anew for every asking, so its hash names this one and tells nothing.
    known = sha256(sealed.encode()).hexdigest()[:24]
    return Letter(
        name=f"{job}.{known}",
        topic=known,
        language=words.tag,
        subject=subject,
        short=" ".join(lines),
        text="\n\n".join(parts) + "\n",
        html=html.decode(),
        page=page,
        stop=stop,
        useful_s=useful_s,
    )
