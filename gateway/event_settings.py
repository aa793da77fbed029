"""Event settings: which hosts may be told of events, whatever owners write as a target's address.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask. The mail server through
which operators are told is that of the reminders (``reminder_mail_host``).
"""

from dataclasses import dataclass

from gateway.operator_settings import OperatorSettings
from kernel.reach import Reach, wrong_hosts
from kernel.settings import env, setting


@dataclass(frozen=True, slots=True)
class EventSettings(OperatorSettings):
    """Settings of events on their way out."""

    event_hosts: tuple[str, ...] = setting(
        default=(),
        help="hosts that may be told of events, as hooks.example or *.hooks.example; empty: all at public addresses",
    )
    event_private_hosts: tuple[str, ...] = setting(
        default=(),
        help="hosts that may be told of events although they are at private addresses, and without TLS",
    )
    event_patience_s: float = setting(
        default=10.0, minimum=0.05, maximum=30, help="time that a target of events has to answer"
    )

    @property
    def event_reach(self) -> Reach:
        """What targets of events may be reached."""
        hosts = tuple(host.lower() for host in self.event_hosts)
        private = tuple(host.lower() for host in self.event_private_hosts)
        return Reach(hosts, private)

    def event_faults(self) -> list[str]:
        """Tell what is no host."""
        return [
            f"{env(name)}: {host!r} is no host such as hooks.example or *.hooks.example."
            for name in ("event_hosts", "event_private_hosts")
            for host in wrong_hosts([host.lower() for host in getattr(self, name)])
        ]
