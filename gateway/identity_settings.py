"""Identity settings: the provider at which fans log in where a room asks who comes (`identity = "oidc"`).

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask. It is not the provider of
the shop's accounts (``people_settings``), though it may be the same one, under a client of its own.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.reminder_settings import HERE, ReminderSettings
from kernel.settings import env, setting


@dataclass(frozen=True, slots=True)
class IdentitySettings(ReminderSettings):
    """Settings of logins for a place in a line."""

    room_oidc_issuer: str | None = setting(
        default=None,
        help="OpenID Connect provider at which fans log in for a place in rooms that ask for it, as https://id.example",
    )
    room_oidc_client_id: str | None = setting(default=None, help="name of the waiting room at that provider")
    room_oidc_client_secret: str | None = setting(
        default=None,
        secret=True,
        help="secret of the waiting room at that provider; its address back is /.waitroom/login",
    )

    def identity_faults(self, *, secure: bool, public_url: str | None) -> list[str]:
        """Tell what does not go together; `secure`: the site has TLS."""
        names = ("room_oidc_issuer", "room_oidc_client_id", "room_oidc_client_secret")
        missing = [name for name in names if not getattr(self, name)]
        if len(missing) == len(names):
            return []
        faults = [
            f"{env(name)}: fans who log in for a place need it, beside {env(names[0])}." for name in missing
        ]
        if public_url is None:
            faults.append(f"{env('public_url')}: whoever logs in for a place must find back.")
        if self.room_oidc_issuer:
            parts = urlsplit(self.room_oidc_issuer)
            is_here = parts.scheme == "http" and parts.hostname in HERE
            if not is_here and (
                parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment
            ):
                faults.append(
                    f"{env(names[0])}: {self.room_oidc_issuer!r} is not an address such as https://id.example."
                )
            if not is_here and not secure:
                faults.append(
                    f"{env('public_url')}: fans log in over TLS only; set the https:// address they type."
                )
        return faults
