"""Staff: who works for the organiser, and in which role; what a role may do is each address's to say.

* ``viewer`` sees programme and figures, nothing of any buyer;
* ``support`` sees orders as well, decides reviews, tells and erases what is kept of a buyer;
* ``scanner`` sees the programme, and scans tickets at a door;
* ``organiser`` changes the programme, prices and seats, and gives money back;
* ``owner`` may do everything.

A role is not a rank: each address names all roles that may (``organiser.rights``). Not here: tokens (``staff_tokens``).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?")
"""How somebody is called in the log: no address, no capitals."""


class StaffRole(StrEnum):
    """What somebody is there for."""

    VIEWER = "viewer"
    SUPPORT = "support"
    SCANNER = "scanner"
    ORGANISER = "organiser"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Member:
    """One who works for the organiser, or a program that does."""

    name: str
    role: StaffRole
