"""Reminders: joins the ways in which a gate's worker tells fans of their turn, from the settings.

A way that is not set up is not there, and no page offers it. Not here: who is told what and when (``waitroom``).
"""

from collections.abc import Mapping

from gateway.reminder_settings import HERE
from gateway.settings import Settings
from kernel.clock import Clock
from kernel.mail import Post, Server, Takes
from kernel.mail_folder import Folder
from kernel.vapid import VapidKeys
from kernel.webpush import Pusher, PushHosts
from waitroom.ports import Way
from waitroom.reminder_ways import MAIL, PUSH, MailWay, PushWay

CONNECTIONS = 4
"""Of each worker to the mail server; more are made while there is much to send, and not kept."""


def server_of(settings: Settings) -> Server | None:
    """Return the mail server through which fans are written to; None where there is none."""
    if not settings.reminds_by_mail:
        return None
    return Server(
        settings.reminder_mail_host or "",
        settings.reminder_mail_port,
        settings.reminder_mail_from or "",
        settings.reminder_mail_tls,
        settings.reminder_mail_user,
        settings.reminder_mail_password,
        settings.reminder_mail_reply_to,
        settings.reminder_mail_patience_s,
        CONNECTIONS,
    )


def post_of(settings: Settings, server: Server) -> Takes:
    """Return what takes mails: the server, or a folder in its place."""
    folder = settings.reminder_mail_folder
    return Post(server) if folder is None else Folder(folder)


def ways(settings: Settings, clock: Clock) -> Mapping[str, Way]:
    """Make the ways that are set up. Raises Misconfigured."""
    found: dict[str, Way] = {}
    if (server := server_of(settings)) is not None:
        found[MAIL] = MailWay(server, post_of(settings, server), clock)
    if settings.reminder_push_contact is not None:
        keys = VapidKeys.open_keys(settings.push_keys_path(settings.data), clock.now_ms())
        more = [host for host in settings.reminder_push_hosts if host not in HERE]
        hosts = PushHosts(more, loopback=len(more) < len(settings.reminder_push_hosts))
        pusher = Pusher(keys, settings.reminder_push_contact, hosts, clock)
        found[PUSH] = PushWay(pusher, hosts, lambda: keys.newest.public)
    return found
