"""People's settings: what an operator chooses about buyers' addresses, names and the keys that seal them.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.staff_settings import HERE, StaffSettings
from kernel.settings import PREFIX, setting


@dataclass(frozen=True, slots=True)
class PeopleSettings(StaffSettings):
    """Settings of what is kept of people."""

    people_keys: Path | None = setting(  # noqa: RUF009
        default=None,
        help="file with the keys that seal buyers' addresses and names; empty: people-keys.json in the data folder",
    )
    oidc_issuer: str | None = setting(
        default=None,
        help="OpenID Connect provider at which fans may log in, as https://id.example; empty: nobody can",
    )
    oidc_client_id: str | None = setting(default=None, help="name of the shop at that provider")
    oidc_client_secret: str | None = setting(
        default=None,
        secret=True,
        help="secret of the shop at that provider; its address back is /account/callback",
    )
    account_idle_h: int = setting(
        default=24, minimum=1, maximum=720, help="so many hours unused, and a fan is logged out"
    )
    account_days: int = setting(
        default=30, minimum=1, maximum=365, help="so many days after a login a fan is logged out in any case"
    )
    contact_days: int = setting(
        default=30,
        minimum=1,
        maximum=3650,
        help="so many days after an event its buyers' addresses and names are erased",
    )

    def people_keys_path(self, data: Path) -> Path:
        """Name the file with the keys that seal personal values; `data` is the installation's folder."""
        return self.people_keys or data / "people-keys.json"

    @property
    def has_accounts(self) -> bool:
        """True when fans may log in."""
        return self.oidc_issuer is not None

    def people_faults(self, *, secure: bool) -> list[str]:
        """Tell what does not go together; `secure`: the site has TLS."""
        names = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")
        missing = [name for name in names if not getattr(self, name)]
        if len(missing) == len(names):
            return []
        faults = [f"{_env(name)}: fans who log in need it, beside {_env(names[0])}." for name in missing]
        if self.oidc_issuer:
            parts = urlsplit(self.oidc_issuer)
            is_here = parts.scheme == "http" and parts.hostname in HERE
            if not is_here and (
                parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment
            ):
                faults.append(
                    f"{_env(names[0])}: {self.oidc_issuer!r} is not an address such as https://id.example."
                )
            if not is_here and not secure:
                faults.append(
                    f"{_env('public_url')}: fans log in over TLS only; set the https:// address they type."
                )
        return faults


def _env(name: str) -> str:
    return PREFIX + name.upper()
