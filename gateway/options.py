"""Options: what the commands share: the settings behind the command line, and the exit statuses."""

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.settings import Settings

NO, WRONG = 1, 2
"""Exit statuses: the answer is no; what was asked is wrong."""

OPTIONS = (
    "port",
    "operator_port",
    "shop_port",
    "shop_host",
    "shop_workers",
    "shop_roles",
    "host",
    "data",
    "workers",
    "rooms",
)
"""Settings that are options of the command line, too."""


def settings_of(args: argparse.Namespace, under: Mapping[str, object] | None = None) -> "Settings":
    """Read the settings: options over the environment over the file over ``under``. Raises Misconfigured."""
    from gateway.settings import load
    from kernel.settings import env

    given = {env(name): str(value) for name in OPTIONS if (value := getattr(args, name, None)) is not None}
    return load({**os.environ, **given}, file=getattr(args, "settings", None), under=under)
