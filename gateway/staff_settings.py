"""Staff's settings: where those who work for the organiser log in, and how long that lasts.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.tracing_settings import TracingSettings
from kernel.settings import PREFIX, is_site, setting

HERE = frozenset({"127.0.0.1", "::1", "localhost"})
"""This machine; what goes there needs no TLS."""

CALLBACK = "/staff/callback"
"""Below the address that staff type: where their provider sends browsers back to."""

ROLES = ("viewer", "support", "scanner", "organiser", "owner")


@dataclass(frozen=True, slots=True)
class StaffSettings(TracingSettings):
    """Settings of who works for the organiser."""

    staff_tokens: Path | None = setting(  # noqa: RUF009
        default=None,
        help="file with the organiser's staff and their roles; empty: staff-tokens.json in the data folder",
    )
    staff_oidc_issuer: str | None = setting(
        default=None,
        help="OpenID Connect provider at which staff log in, as https://id.example; empty: they have tokens only",
    )
    staff_oidc_client_id: str | None = setting(default=None, help="name of the staff's page at that provider")
    staff_oidc_client_secret: str | None = setting(
        default=None,
        secret=True,
        help="secret of the staff's page at that provider; its address back is /staff/callback",
    )
    staff_url: str | None = setting(
        default=None,
        help="address that staff type, as https://desk.example, to which security keys are bound; empty: public_url",
    )
    staff_role_claim: str | None = setting(
        default=None,
        help="claim of the provider's token that decides roles, as groups; empty: the list of staff decides",
    )
    staff_roles: tuple[str, ...] = setting(
        default=(), help="words of that claim and their roles, as desk=support,box-office=organiser"
    )
    staff_idle_min: int = setting(
        default=30, minimum=1, maximum=1440, help="so many minutes unused, and staff are logged out"
    )
    staff_session_h: int = setting(
        default=10,
        minimum=1,
        maximum=168,
        help="so many hours after a login staff are logged out in any case",
    )
    staff_logins_days: int = setting(
        default=90, minimum=1, maximum=3650, help="so many days the list of the staff's logins goes back"
    )

    def staff_tokens_path(self, data: Path) -> Path:
        """Name the file with the staff's tokens."""
        return self.staff_tokens or data / "staff-tokens.json"

    @property
    def has_staff_logins(self) -> bool:
        """True when staff may log in with a browser."""
        return self.staff_oidc_issuer is not None

    @property
    def roles_of_words(self) -> Mapping[str, str]:
        """The words of the claim, each with its role."""
        return {word: role for word, _, role in (text.rpartition("=") for text in self.staff_roles)}

    def staff_site(self, site: str) -> str:
        """Give the address that staff type; `site` is that of fans."""
        return (self.staff_url or site).rstrip("/")

    def staff_callback(self, site: str) -> str:
        """Give the address that the staff's provider sends browsers back to."""
        return self.staff_site(site) + CALLBACK

    def staff_faults(self, *, site: str, secure: bool) -> list[str]:
        """Tell what does not go together; `site` is the address of fans, `secure`: cookies are for TLS only."""
        names = ("staff_oidc_issuer", "staff_oidc_client_id", "staff_oidc_client_secret")
        missing = [name for name in names if not getattr(self, name)]
        faults = [
            f"{_env('staff_roles')}: {text!r} is not a word and a role, as desk=support."
            for text in self.staff_roles
            if not text.rpartition("=")[0] or text.rpartition("=")[2] not in ROLES
        ]
        if len(self.roles_of_words) != len(self.staff_roles):
            faults.append(f"{_env('staff_roles')}: a word stands there twice.")
        if bool(self.staff_roles) != bool(self.staff_role_claim):
            faults.append(f"{_env('staff_role_claim')} and {_env('staff_roles')} need each other.")
        if self.staff_url is not None and not is_site(self.staff_url):
            faults.append(
                f"{_env('staff_url')}: {self.staff_url!r} is not an address such as https://desk.example."
            )
        if len(missing) == len(names):
            return faults
        faults += [f"{_env(name)}: staff who log in need it, beside {_env(names[0])}." for name in missing]
        issuer = urlsplit(self.staff_oidc_issuer or "")
        is_here = issuer.scheme == "http" and issuer.hostname in HERE
        is_there = issuer.scheme == "https" and issuer.hostname and not issuer.query and not issuer.fragment
        if self.staff_oidc_issuer and not is_here and not is_there:
            faults.append(
                f"{_env(names[0])}: {self.staff_oidc_issuer!r} is not an address such as https://id.example."
            )
        own = urlsplit(self.staff_site(site))
        if own.scheme != "https" and own.hostname not in HERE:
            faults.append(
                f"{_env('staff_url')}: staff log in over TLS only; set the https:// address that they type."
            )
        if own.scheme == "https" and not secure:
            faults.append(f"{_env('secure_cookies')}: the staff's page has TLS, so cookies are for TLS only.")
        if own.scheme != "https" and secure:
            faults.append(f"{_env('staff_url')}: cookies are for TLS only, and this address has none.")
        return faults


def _env(name: str) -> str:
    return PREFIX + name.upper()
