"""Identity mail: the mail that carries a number to whoever says that an address is theirs.

The address is read, written to and forgotten: nothing of it is kept here. The number stands first in the subject, so
that it is seen without opening the mail. Not here: which number, and how often (``mailed``).
"""

from kernel.clock import Clock
from kernel.errors import Refused
from kernel.mail import Letter, NoAddress, Server, Takes, address_of, sender_of, written
from kernel.sending import Outcome
from waitroom.identity import mailbox
from waitroom.view import Look, render
from waitroom.words import languages


class NumberMail:
    """``ports.NumberMails`` through a mail server."""

    def __init__(self, server: Server, post: Takes, clock: Clock) -> None:
        """Nothing is connected yet. Raises ``NoAddress`` for a sender that is none."""
        self._server = server
        self._sender = sender_of(server.sender)
        self._post = post
        self._clock = clock

    def read(self, given: object) -> tuple[str, str]:
        """Return the address to write to, and its mailbox. Raises Refused ``identity-mail-invalid``."""
        try:
            address = address_of(given if isinstance(given, str) else "")
        except NoAddress as error:
            raise _invalid() from error
        return address.addr_spec, mailbox(address.username, address.domain)

    async def send(self, to: str, name: str, number: str, language: str, room: str) -> bool:
        """Write the mail and try once; an address that the server refuses for good is told as an invalid one."""
        look = Look(room, languages()[language])
        subject, lines = words_of(look, number)
        html = render("identity_mail.html", "/", look, subject=subject, lines=lines, code=number).decode()
        text = "\n\n".join((lines[0], number, *lines[1:])) + "\n"
        letter = Letter(to, f"number.{name}", language, subject, text, html)
        try:
            ready = written(letter, self._sender, self._server.reply_to, self._clock.now_ms())
        except NoAddress as error:
            raise _invalid() from error
        outcome = (await self._post.hand_over(ready)).outcome
        if outcome is Outcome.NEVER:
            raise _invalid()
        return outcome is Outcome.SENT

    async def close(self) -> None:
        """Let go of the connections."""
        await self._post.close()


def words_of(look: Look, number: str) -> tuple[str, list[str]]:
    """Return the subject and the sentences of a mail."""
    subject = " ".join(look.words.text("mail.number-subject", number=number, name=look.name).split())
    lines = [look.words.text(f"mail.number-{part}", name=look.name) for part in ("text", "keep", "not-you")]
    return subject, lines


def _invalid() -> Refused:
    return Refused("identity-mail-invalid", "This is no e-mail address that we can write to.")
