"""Demo's staff: who may log in at a demo's back office, and the sandbox at which they do so without a password.

A demo on one machine has a sandbox of logins (``checkout.sandbox.logins``) beside its bank, in the same process, and
five people on its list of staff. Nobody else ever has it: the supervisor puts it into the settings of a demo only, of
one whose every address is this machine's and whose staff have no provider of their own; and the sandbox's process looks
at all of that again before it opens the page. Its client's secret is random and goes with the demo's processes.

The people are invited by addresses of a domain that nobody can have (RFC 2606), so a real provider lets none of
them in. Whoever has come once is bound to the sandbox's address; as its port may be another one at the next start, the
last address stands in a file, and they are found again.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from checkout.people.staff import StaffRole
from gateway.settings import Settings, loopback
from gateway.staff_settings import HERE

if TYPE_CHECKING:
    from checkout.people.staff_people import StaffPeople

CLIENT = "demo-office"
LOGIN = "/login"
FILE = "demo-logins"
DAYS = 365


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One of the demo's people."""

    name: str
    role: StaffRole

    @property
    def email(self) -> str:
        """The address that they are invited by."""
        return f"{self.name}@aurora.example"


PEOPLE = (
    DemoPerson("ida", StaffRole.OWNER),
    DemoPerson("otto", StaffRole.ORGANISER),
    DemoPerson("sam", StaffRole.SUPPORT),
    DemoPerson("dora", StaffRole.SCANNER),
    DemoPerson("vera", StaffRole.VIEWER),
)


def issuer_of(settings: Settings) -> str:
    """Give the address of the sandbox of logins; the sandbox's port must be known."""
    return f"http://{loopback(settings.host)}:{settings.sandbox_port}{LOGIN}"


def is_on_this_machine(settings: Settings) -> bool:
    """Tell whether nothing of an installation is meant to be reached from elsewhere."""
    hosts = {settings.host, settings.operator_host, settings.shop_host}
    urls = (settings.public_url, settings.shop_url, settings.staff_url)
    hosts |= {urlsplit(url).hostname or "" for url in urls if url is not None}
    return hosts <= HERE and not settings.secure


def with_logins(settings: Settings) -> Settings:
    """Give the settings of a demo whose staff log in at the sandbox; unchanged where that may not be.

    The ports must be known. Staff come to ``localhost``, because security keys are bound to names and not to numbers.
    """
    has_own = any(
        (
            settings.staff_oidc_issuer, settings.staff_oidc_client_id, settings.staff_oidc_client_secret,
            settings.staff_role_claim,
        )
    )  # fmt: skip
    if has_own or not settings.shop_demo or not settings.has_sandbox or not is_on_this_machine(settings):
        return settings
    return replace(
        settings,
        staff_oidc_issuer=issuer_of(settings),
        staff_oidc_client_id=CLIENT,
        staff_oidc_client_secret=secrets.token_urlsafe(32),
        staff_url=settings.staff_url or f"http://localhost:{settings.shop_port}",
    )


def has_logins(settings: Settings) -> bool:
    """Tell whether staff log in at the sandbox, and may: the sandbox's process and the shop ask this of themselves."""
    return (
        settings.has_sandbox
        and settings.shop_demo
        and settings.staff_oidc_client_id == CLIENT
        and bool(settings.staff_oidc_client_secret)
        and settings.staff_oidc_issuer == issuer_of(settings)
        and is_on_this_machine(settings)
    )


def invite(people: "StaffPeople", settings: Settings, has_token: Callable[[str], bool]) -> None:
    """Put the demo's people on the list; whoever is there stays as they are. Names of tokens are left out."""
    path, issuer = settings.data / FILE, issuer_of(settings)
    last = path.read_text(encoding="utf-8").strip() if path.exists() else issuer
    for one in PEOPLE:
        if last != issuer:
            people.move(one.name, last, issuer)
        if not has_token(one.name):
            people.invite(one.name, one.role, DAYS, email=one.email)
    if not path.exists() or last != issuer:
        _write(path, issuer)


def _write(path: Path, text: str) -> None:
    """Write a file as a whole: several shop processes may do so at once."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    own.write_text(text + "\n", encoding="utf-8")
    own.replace(path)
