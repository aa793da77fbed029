"""Mail: an e-mail, written and handed to a server by SMTP, over a few connections that stay open.

Its name is its Message-ID, so the same sent twice is known as the same (RFC 5322, 3.6.4). It says that no person wrote
it (``Auto-Submitted``, RFC 3834), so that nobody's absence note answers it. It has a text and the same as HTML.

What a server says is read by its code: 5xx of a recipient or of the content is for good, 4xx is another time. Whatever
keeps every mail from going (no connection, no answer in time, a connection lost half-way, 421, a user or a sender that
is not accepted) says nothing about this one: the server counts as away. A server's sentences may repeat the address, so
only codes are kept: ``550 5.1.1``.

What comes from outside into a header has no line breaks and no signs that would end it, or there is no mail; before
that, an address must be one.

A mail is written here and not by ``email``, which takes several times as long for it as for sending it; in the tests
``email`` reads it back (ADR-0024). Not here: words, and whom to tell.
"""

import asyncio
import re
from base64 import b64encode, encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import format_datetime, formataddr, parseaddr
from secrets import token_hex
from typing import Protocol
from urllib.parse import quote

import aiosmtplib
import idna
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from kernel.sending import Outcome, Result

IDLE_S = 20.0
"""So long a connection may rest and is still used: servers hang up on those that say nothing."""

NOT_AVAILABLE = 421
WORD_MOST = 42
"""Octets of one encoded word: with what stands around them, less than the 75 signs that it may have."""

_TORN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n[ \t])|(?<!\r)\n|\n(?![ \t])")
"""What must not stand in a header: signs that nobody sees, and a line break that does not fold."""

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f<>()\[\],;:\\\"@]")


class NoAddress(ValueError):
    """What should be an address is none."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails are handed over, and for whom. `tls`: ``tls``, ``starttls`` or ``none``."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str | None = None
    password: str | None = None
    reply_to: str | None = None
    patience_s: float = 10.0
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Ready:
    """A mail as it goes over the wire, with its envelope."""

    sender: str
    recipient: str
    octets: bytes

    @property
    def is_wide(self) -> bool:
        """True when an address is not ASCII, which not every server takes (SMTPUTF8, RFC 6531)."""
        return not self.recipient.isascii()


def address_of(text: str, name: str = "") -> Address:
    """Read an address; its domain is written in ASCII (IDNA). Raises ``NoAddress``."""
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain or len(text) > 254 or _UNFIT.search(local):
        raise NoAddress("an address has a name, an @ and a domain")
    try:
        host = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
        if _UNFIT.search(host) or ".." in f".{host}.":
            raise NoAddress("a domain has no such signs")
        return Address(name, local, host)
    except (idna.IDNAError, ValueError) as error:
        raise NoAddress("an address cannot be read") from error


def sender_of(text: str) -> Address:
    """Read a sender: ``Aurora Hall <tickets@aurora.example>``. Raises ``NoAddress``."""
    name, bare = parseaddr(text)
    return address_of(bare, name)


class Attached(Protocol):
    """A file that goes along; `kind` is its media type."""

    @property
    def name(self) -> str:
        """The file's name."""

    @property
    def kind(self) -> str:
        """As ``application/pdf``."""

    @property
    def content(self) -> bytes:
        """What is in it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, to whom, and the headers that only its sender knows (`more`)."""

    to: str
    name: str
    """What its Message-ID begins with."""
    language: str
    subject: str
    text: str
    html: str
    """The same as HTML; '' for a mail that is text alone."""
    attached: Sequence[Attached] = ()
    more: Sequence[tuple[str, str]] = ()


def mail_id(name: str, sender: Address) -> str:
    """Name a mail: what it tells of, at the sender's domain."""
    return f"<{name}@{sender.domain}>"


def written(letter: Letter, sender: Address, reply_to: str | None, now_ms: int) -> Ready:
    """Put a mail together. Raises ``NoAddress``, and ``ValueError`` for a header that would be two."""
    to = address_of(letter.to)
    head = [
        ("From", _named(sender)),
        ("To", to.addr_spec),
        *([("Reply-To", _named(sender_of(reply_to)))] if reply_to else []),
        ("Subject", _words(letter.subject)),
        ("Date", format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC))),
        ("Message-ID", mail_id(letter.name, sender)),
        ("Auto-Submitted", "auto-generated"),
        *letter.more,
        ("Content-Language", letter.language),
        ("MIME-Version", "1.0"),
    ]
    body = _part('text/plain; charset="utf-8"', letter.text.encode())
    if letter.html:
        body = _together("alternative", body, _part('text/html; charset="utf-8"', letter.html.encode()))
    if letter.attached:
        body = _together("mixed", body, *(_part(one.kind, one.content, one.name) for one in letter.attached))
    return Ready(sender.addr_spec, to.addr_spec, _lines(head) + body)


def _lines(head: Sequence[tuple[str, str]]) -> bytes:
    """Write headers. Raises ``ValueError`` for one that would be two."""
    for name, value in head:
        if _TORN.search(value):
            raise ValueError(f"{name} is no header of one line")
    return "".join(f"{name}: {value}\r\n" for name, value in head).encode()


def _part(kind: str, content: bytes, name: str = "") -> bytes:
    """Write a part in base64, whatever it is: no line is too long, and no server changes it."""
    head = [("Content-Type", kind), ("Content-Transfer-Encoding", "base64")]
    if name:
        head.append(("Content-Disposition", f"attachment; filename*=utf-8''{quote(name, safe='')}"))
    return _lines(head) + b"\r\n" + encodebytes(content).replace(b"\n", b"\r\n")


def _together(kind: str, *parts: bytes) -> bytes:
    """Put parts together (RFC 2046); none has what stands between them: base64 knows no underscore."""
    bound = f"=_{token_hex(12)}"
    line = f"--{bound}".encode()
    head = _lines([("Content-Type", f'multipart/{kind}; boundary="{bound}"')])
    return head + b"\r\n" + b"".join(line + b"\r\n" + part for part in parts) + line + b"--\r\n"


def _named(address: Address) -> str:
    return (
        formataddr((address.display_name, address.addr_spec)) if address.display_name else address.addr_spec
    )


def _words(text: str) -> str:
    """Write the words of a header in ASCII (RFC 2047), in pieces that each are whole letters and short enough."""
    if _TORN.search(text) or "\r" in text:
        raise ValueError("a subject is one line")
    if text.isascii():
        return text
    pieces, piece = list[bytes](), b""
    for letter in text:
        octets = letter.encode()
        if len(piece) + len(octets) > WORD_MOST:
            pieces.append(piece)
            piece = b""
        piece += octets
    return "\r\n ".join(f"=?utf-8?b?{b64encode(one).decode()}?=" for one in [*pieces, piece])


class Takes(Protocol):
    """Takes mails."""

    async def hand_over(self, ready: Ready) -> Result:
        """Take one."""

    async def close(self) -> None:
        """Let go of what is held."""


class Post:
    """Connections to one server, used again and again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[tuple[SMTP, float]] = []

    async def hand_over(self, ready: Ready) -> Result:
        """Hand a mail over."""
        client: SMTP | None = None
        try:
            client, is_used = await self._connection()
            try:
                result = await self._over(client, ready)
            except aiosmtplib.SMTPServerDisconnected:
                if not is_used:
                    raise
                # It has hung up while nothing was said. What was said before that is known by its name.
                client.close()
                client = await self._new()
                result = await self._over(client, ready)
        except SMTPAuthenticationError as error:
            result = Result(Outcome.AWAY, f"sign-in: {_code(error)}")
        except SMTPResponseException as error:
            result = Result(Outcome.AWAY, _code(error))
        except TimeoutError:
            result = Result(Outcome.AWAY, "no answer in time")
        except (SMTPException, OSError) as error:
            result = Result(Outcome.AWAY, type(error).__name__)
        finally:
            self._back(client)
        return result

    async def close(self) -> None:
        """Say goodbye to the server."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            try:
                await client.quit()
            except (SMTPException, OSError):
                client.close()

    async def _over(self, client: SMTP, ready: Ready) -> Result:
        if ready.is_wide:
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            if not client.supports_extension("smtputf8"):
                return Result(Outcome.NEVER, "the server takes no such address")
        try:
            await client.sendmail(
                ready.sender,
                [ready.recipient],
                ready.octets,
                mail_options=["SMTPUTF8"] if ready.is_wide else [],
            )
        except SMTPSenderRefused as error:
            return Result(Outcome.AWAY, f"sender: {_code(error)}")
        except SMTPRecipientsRefused as error:
            return _read(error.recipients[0])
        except SMTPResponseException as error:
            return _read(error)
        return Result(Outcome.SENT)

    async def _connection(self) -> tuple[SMTP, bool]:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            client, since_s = self._idle.pop()
            if client.is_connected and now_s - since_s < IDLE_S:
                return client, True
            client.close()
        return await self._new(), False

    async def _new(self) -> SMTP:
        own = self._server
        client = SMTP(
            hostname=own.host,
            port=own.port,
            username=own.user,
            password=own.password,
            timeout=own.patience_s,
            use_tls=own.tls == "tls",
            start_tls=own.tls == "starttls",
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return client

    def _back(self, client: SMTP | None) -> None:
        if client is None:
            return
        if client.is_connected and len(self._idle) < self._server.connections:
            self._idle.append((client, asyncio.get_running_loop().time()))
        else:
            client.close()


def _read(error: SMTPResponseException | SMTPRecipientRefused) -> Result:
    if error.code == NOT_AVAILABLE:
        return Result(Outcome.AWAY, _code(error))
    return Result(Outcome.NEVER if error.code >= 500 else Outcome.LATER, _code(error))


def _code(error: SMTPResponseException) -> str:
    enhanced = _ENHANCED.match(error.message.strip())
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)
