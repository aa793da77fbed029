"""Operators' settings: how those who steer come to the console.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask. It is not the provider of
fans (``identity_settings``) or of the shop's staff (``staff_settings``), though it may be the same one, under a client
of its own.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.identity_settings import IdentitySettings
from gateway.reminder_settings import HERE
from kernel.settings import env, is_site, setting


@dataclass(frozen=True, slots=True)
class OperatorSettings(IdentitySettings):
    """Settings of people at the console."""

    operator_url: str | None = setting(
        default=None,
        help="address of the console as operators type it, as https://control.example; empty: its host and port",
    )
    operator_token_login: bool = setting(
        default=False,
        help="the operator token signs in at the console although an owner has an account",
    )
    operator_logins_days: int = setting(
        default=90, minimum=1, maximum=3650, help="so many days the list of the operators' logins goes back"
    )
    operator_oidc_issuer: str | None = setting(
        default=None,
        help="OpenID Connect provider at which operators may sign in, as https://id.example; empty: accounts only",
    )
    operator_oidc_client_id: str | None = setting(default=None, help="name of the console at that provider")
    operator_oidc_client_secret: str | None = setting(
        default=None,
        secret=True,
        help="secret of the console at that provider; its address back is /login/callback",
    )

    def operator_faults(self, *, secure: bool) -> list[str]:
        """Tell what does not go together; `secure`: cookies are for TLS only."""
        names = ("operator_oidc_issuer", "operator_oidc_client_id", "operator_oidc_client_secret")
        missing = [name for name in names if not getattr(self, name)]
        faults = []
        if self.operator_url is not None and not is_site(self.operator_url):
            faults.append(
                f"{env('operator_url')}: {self.operator_url!r} is not an address such as https://control.example."
            )
        if len(missing) == len(names):
            return faults
        faults += [
            f"{env(name)}: operators who sign in there need it, beside {env(names[0])}." for name in missing
        ]
        if self.operator_oidc_issuer:
            parts = urlsplit(self.operator_oidc_issuer)
            is_here = parts.scheme == "http" and parts.hostname in HERE
            is_there = parts.scheme == "https" and parts.hostname and not parts.query and not parts.fragment
            if not is_here and not is_there:
                faults.append(
                    f"{env(names[0])}: {self.operator_oidc_issuer!r} is not an address such as https://id.example."
                )
            own = urlsplit(self.operator_url or "")
            if not is_here and (own.scheme != "https" or not secure):
                faults.append(
                    f"{env('operator_url')}: operators sign in at a provider over TLS only; set the https:// address, "
                    f"and {env('secure_cookies')}."
                )
        return faults
