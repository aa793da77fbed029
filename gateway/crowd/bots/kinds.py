"""Kind: what sort of bot somebody in the crowd is, what it does, and what that costs its owner.

Prices. A farm of people: about 1 US dollar for 1,000 checks, half of them answered within 14 s, nine of ten rightly
(Motoyama et al., "Re: CAPTCHAs", USENIX Security 2010; 2captcha.com asks 0.50 to 1.00 for 1,000 today). Work is told in
seconds of a processor; what those cost is not ours to say, ``CORE_USD_PER_HOUR`` is an assumption to compare with.

Pure. Not here: what a kind wears (``guise``), what it does (``plays``).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

FARM_USD = 0.001
"""For one check."""
FARM_HALF_S = 14.0
"""Half of the answers take longer."""
FARM_SPREAD = 0.5
"""Of the logarithm of that time; an assumption, the source tells no spread."""
FARM_RIGHT_RATIO = 0.9
CORE_USD_PER_HOUR = 0.05

RING = 30
"""Places that one ``many_join`` bot takes."""


class Kind(StrEnum):
    """The sorts of bots."""

    LIBRARY = "library"
    MANY_JOIN = "many_join"
    MIMIC = "mimic"
    MIMIC_ONE_NETWORK = "mimic_one_network"
    REPLAY = "replay"
    MOVER = "mover"
    ECHO = "echo"
    SOLVER = "solver"
    FARM = "farm"


class About(NamedTuple):
    """What a kind does, and what it costs; `share` is its part of the bots where nothing else is said."""

    does: str
    costs: str
    share: float
    passes: bool = False
    """It has a way to pass the check by itself."""


KINDS: Mapping[Kind, About] = MappingProxyType(
    {
        Kind.LIBRARY: About(
            "a program that says which library it is made with; takes a place, does no check",
            "nothing",
            0.15,
        ),
        Kind.MANY_JOIN: About(
            f"{RING} places by one address in a browser's headers; every second one keeps the browser's cookie, "
            "the others throw it away",
            "one address",
            0.15,
        ),
        Kind.MIMIC: About(
            "all headers of Chrome, client hints too, a fresh browser and a household's address for each place; "
            "moves no pointer and does no check",
            "an address for each place",
            0.15,
        ),
        Kind.MIMIC_ONE_NETWORK: About(
            "the same, all of them within one network of a cloud", "one rented machine", 0.10
        ),
        Kind.REPLAY: About(
            "sends what one person's browser once sent: the join byte by byte, the cookies, the rhythm, the solved "
            "check; and one solution of a check that it made easier itself",
            "one person, once",
            0.10,
        ),
        Kind.MOVER: About(
            "a mimic that tells of a pointer which a program moves: straight, along Bézier curves, or with least "
            "jerk; does no check",
            "an address for each place",
            0.10,
        ),
        Kind.ECHO: About(
            "a mimic that tells one person's recorded movement again, word for word or trembling by one or two "
            "pixels; does no check",
            "an address for each place; one person, once",
            0.10,
        ),
        Kind.SOLVER: About(
            "a mover that does the work of the check, at once and in full",
            "seconds of a processor",
            0.10,
            passes=True,
        ),
        Kind.FARM: About(
            "a mover whose checks are done by paid people, after a while; one of ten wrongly",
            f"{FARM_USD * 1000:g} US dollar for 1,000 checks",
            0.05,
            passes=True,
        ),
    }
)
DEFAULT_KINDS: Mapping[Kind, float] = MappingProxyType({kind: about.share for kind, about in KINDS.items()})


def read_ratio(text: str) -> float:
    """Read ``50%`` or ``0.5``. Raises ValueError."""
    number = text.strip()
    try:
        ratio = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError as error:
        raise ValueError(f"--bots needs a share as 50% or 0.5, not {text!r}.") from error
    if not 0 <= ratio <= 1:
        raise ValueError(f"--bots needs a share between 0% and 100%, not {text!r}.")
    return ratio
