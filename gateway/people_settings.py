"""People's settings: what an operator chooses about buyers' addresses, names and the keys that seal them.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask.
"""

from dataclasses import dataclass
from pathlib import Path

from kernel.settings import setting


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """Settings of what is kept of people."""

    people_keys: Path | None = setting(  # noqa: RUF009
        default=None,
        help="file with the keys that seal buyers' addresses and names; empty: people-keys.json in the data folder",
    )
    staff_tokens: Path | None = setting(  # noqa: RUF009
        default=None,
        help="file with the organiser's staff and their roles; empty: staff-tokens.json in the data folder",
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

    def staff_tokens_path(self, data: Path) -> Path:
        """Name the file with the staff's tokens."""
        return self.staff_tokens or data / "staff-tokens.json"
