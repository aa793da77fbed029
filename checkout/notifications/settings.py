"""Settings of notifications: the operator's choices, in a TOML file that ``notifications`` names.

A secret may stand in a file of its own (``mail_password_file``). Without a mail server no mail is sent, without an
address no webhook, and without either the outbox only remembers. Not here: which room of code uses them (``gateway``).
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from checkout.notifications.message import Kind
from kernel.backoff import TRIES
from kernel.errors import Misconfigured
from kernel.settings import setting
from kernel.webhook_signing import secret_of
from kernel.webpush import is_contact, wrong_hosts

HERE = frozenset({"127.0.0.1", "::1", "localhost"})
"""This machine; what goes there needs no TLS."""

SECRET_LEAST = 24
"""Octets, as Standard Webhooks asks for."""


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """All settings of the outbox and its channels."""

    mail_host: str | None = setting(default=None, help="server that takes mails; none: no mail is sent")
    mail_folder: Path | None = setting(  # noqa: RUF009
        default=None, help="folder in which mails are kept as files, instead of a server that takes them"
    )
    mail_port: int = setting(default=587, minimum=1, maximum=65535, help="its port")
    mail_tls: str = setting(
        default="starttls", choices=("starttls", "tls", "none"), help="how the connection is kept private"
    )
    mail_user: str | None = setting(default=None, help="user at the server")
    mail_password: str | None = setting(default=None, secret=True, help="password of the user")
    mail_from: str | None = setting(
        default=None, help="sender, as Aurora Hall <tickets@aurora.example>; a server needs it"
    )
    mail_reply_to: str | None = setting(default=None, help="where answers go; none: to the sender")
    mail_patience_s: float = setting(
        default=10.0, minimum=0.05, maximum=15, help="time that each step of the server may take"
    )
    mail_connections: int = setting(
        default=4, minimum=1, maximum=64, help="connections that one process keeps to the server"
    )
    webhook_urls: tuple[str, ...] = setting(
        default=(), help="addresses that hear of each message, signed; https, or this machine"
    )
    webhook_secret: str | None = setting(
        default=None, secret=True, help="secret that signs it: whsec_ and base64 of at least 24 octets"
    )
    webhook_kinds: tuple[str, ...] = setting(
        default=(), help="kinds of message that webhooks hear of; none: all"
    )
    webhook_patience_s: float = setting(
        default=10.0, minimum=0.05, maximum=30, help="time that an address has to answer"
    )
    push_contact: str | None = setting(
        default=None,
        help="whom push services may write to, as mailto:tickets@aurora.example or https://aurora.example; "
        "none: no messages in browsers",
    )
    push_hosts: tuple[str, ...] = setting(
        default=(), help="push services beside those of known browsers: hosts, or *. and a host"
    )
    push_local: bool = setting(
        default=False, help="a push service may be on this machine, without TLS: for trying out"
    )
    push_keys: Path | None = setting(  # noqa: RUF009
        default=None, help="file with the keys of push messages; empty: push-keys.json in the data folder"
    )
    push_patience_s: float = setting(
        default=10.0, minimum=0.05, maximum=30, help="time that a push service has to answer"
    )
    tries: int = setting(
        default=TRIES, minimum=1, maximum=100, help="tries after which a message is given up"
    )
    keep_days: int = setting(
        default=30, minimum=1, maximum=3650, help="so long it is remembered what was sent"
    )

    def __post_init__(self) -> None:
        """Check what belongs together. Raises ``Misconfigured`` with every fault."""
        faults: list[str] = []
        if self.mail_host is not None and self.mail_folder is not None:
            faults.append("Mails go to a server or into a folder (mail_host, mail_folder), not to both.")
        if self.mail_folder is not None and self.mail_from is None:
            faults.append("A folder for mails is set, but no sender (mail_from).")
        if self.mail_host is not None:
            if self.mail_from is None:
                faults.append("A mail server is set, but no sender (mail_from).")
            if self.mail_tls == "none" and self.mail_password is not None and self.mail_host not in HERE:
                faults.append("The password would go over the network as it is: set mail_tls.")
        faults += [
            f"webhook_urls: {url!r} must begin with https://, or be on this machine."
            for url in self.webhook_urls
            if not _may_be_told(url)
        ]
        if self.webhook_urls and self.webhook_secret is None:
            faults.append("Webhooks need a secret (webhook_secret).")
        if self.webhook_secret is not None and len(secret_of(self.webhook_secret)) < SECRET_LEAST:
            faults.append("webhook_secret: write whsec_ and the base64 of at least 24 random octets.")
        if self.push_contact is not None and not is_contact(self.push_contact):
            faults.append("push_contact: write mailto:somebody@example.com, or https://example.com.")
        faults += [f"push_hosts: {host!r} is no host." for host in wrong_hosts(self.push_hosts)]
        kinds = [kind.value for kind in Kind]
        faults += [
            f"webhook_kinds: there is no {kind!r}; there are {', '.join(kinds)}."
            for kind in self.webhook_kinds
            if kind not in kinds
        ]
        if faults:
            raise Misconfigured(faults)


def _may_be_told(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.username is not None or not host or parts.port == 0:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in HERE)
