"""Reminder settings: what an operator chooses so that fans can be told of their turn by mail or push.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask (it stands on those of the
shop, because settings with slots have one line of ancestors). Which room offers it, and
how early, is the room's own choice (`reminder_minutes`).
"""

from dataclasses import dataclass
from pathlib import Path

from gateway.challenge_settings import ChallengeSettings
from kernel.settings import env, setting
from kernel.webpush import wrong_hosts

HERE = frozenset({"127.0.0.1", "::1", "localhost"})
"""This machine; what goes there needs no TLS."""


@dataclass(frozen=True, slots=True)
class ReminderSettings(ChallengeSettings):
    """Settings of the ways in which fans are told of their turn."""

    reminder_mail_host: str | None = setting(
        default=None, help="mail server through which fans are told of their turn; empty: not by mail"
    )
    reminder_mail_folder: Path | None = setting(  # noqa: RUF009
        default=None,
        help="folder in which those mails are kept as files instead of being sent, to try things out",
    )
    reminder_mail_port: int = setting(default=587, minimum=1, maximum=65535, help="port of that mail server")
    reminder_mail_tls: str = setting(
        default="starttls",
        choices=("starttls", "tls", "none"),
        help="how the connection to that mail server is kept private",
    )
    reminder_mail_user: str | None = setting(default=None, help="user at that mail server")
    reminder_mail_password: str | None = setting(
        default=None, secret=True, help="password of the user at that mail server"
    )
    reminder_mail_from: str | None = setting(
        default=None,
        help="sender of those mails, as Aurora Hall <line@aurora.example>; a mail server needs it",
    )
    reminder_mail_reply_to: str | None = setting(
        default=None, help="where answers to those mails go; empty: to the sender"
    )
    reminder_mail_patience_s: float = setting(
        default=10.0, minimum=0.05, maximum=30, help="time that each step of that mail server may take"
    )
    reminder_push_contact: str | None = setting(
        default=None,
        help="mailto: or https: address where push services reach you; empty: fans are not told by Web Push",
    )
    reminder_push_hosts: tuple[str, ...] = setting(
        default=(),
        help="push services besides those of the known browsers, as push.example or *.push.example",
    )
    reminder_push_keys: Path | None = setting(  # noqa: RUF009
        default=None, help="file with the keys of push messages; empty: push-keys.json in the data folder"
    )

    def push_keys_path(self, data: Path) -> Path:
        """Name the file with the keys of push messages; `data` is the installation's folder."""
        return self.reminder_push_keys or data / "push-keys.json"

    @property
    def reminds(self) -> bool:
        """True when there is a way to tell fans of their turn."""
        return self.reminds_by_mail or self.reminder_push_contact is not None

    @property
    def reminds_by_mail(self) -> bool:
        """True when mails are sent, or kept in a folder."""
        return self.reminder_mail_host is not None or self.reminder_mail_folder is not None

    def reminder_faults(self, public_url: str | None) -> list[str]:
        """Tell what does not go together."""
        faults = []
        if public_url is None and (self.reminder_mail_host or self.reminder_push_contact):
            faults.append(
                f"{env('public_url')}: fans who are told of their turn need the address of their page."
            )
        if self.reminder_mail_host is not None and self.reminder_mail_folder is not None:
            faults.append(
                f"{env('reminder_mail_folder')}: mails go to a server or into a folder, not to both."
            )
        if self.reminds_by_mail and self.reminder_mail_from is None:
            faults.append(f"{env('reminder_mail_from')}: mails need a sender.")
        for name in ("reminder_mail_from", "reminder_mail_reply_to"):
            text = getattr(self, name)
            if text is not None and not _is_sender(text):
                faults.append(f"{env(name)}: {text!r} is no mail address.")
        if (
            self.reminder_mail_host not in {None, *HERE}
            and self.reminder_mail_tls == "none"
            and self.reminder_mail_password is not None
        ):
            faults.append(f"{env('reminder_mail_tls')}: the password would go over the network as it is.")
        contact = self.reminder_push_contact
        if contact is not None and not contact.startswith(("mailto:", "https://")):
            faults.append(
                f"{env('reminder_push_contact')}: must begin with mailto: or https://, not {contact!r}."
            )
        faults += [
            f"{env('reminder_push_hosts')}: {host!r} is no host such as push.example or *.push.example."
            for host in wrong_hosts(self.reminder_push_hosts)
            if host not in HERE
        ]
        return faults


def _is_sender(text: str) -> bool:
    # Imported only where a sender is set: every process reads these settings, few send mails.
    from kernel.mail import NoAddress, sender_of  # noqa: PLC0415

    try:
        sender_of(text)
    except NoAddress:
        return False
    return True
