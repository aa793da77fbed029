"""Logs: has a process write its log as its settings say; who of all that log are we."""

from gateway.settings import Settings
from kernel.log import configure

OWN_LOGGERS = ("admission", "botguard", "checkout", "dashboards", "gateway", "kernel", "waitroom")
"""Packages whose lines were written for this log; all others speak from warnings on."""


def start_log(settings: Settings) -> None:
    """Write lines to stderr from here on."""
    configure(settings.log_level, text=settings.log_format == "text", ours=OWN_LOGGERS)
