"""Shapes: what a panel, an objective and an alert are made of.

Pure data. Queries are PromQL; in a panel ``$__rate_interval`` is Grafana's word for a window that fits the screen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Who hears of an alert."""

    PAGE = "page"
    """Somebody is woken: fans are hurt now, or will be within the hour."""
    TICKET = "ticket"
    """Somebody looks at it on the next working day."""


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel. ``legend`` may name labels as ``{{room}}``; ``sold``: it has data once something was sold.

    What has no data after a sale counts what went wrong, or what this installation does not use.
    """

    expr: str
    legend: str = ""
    sold: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture. ``unit`` is a unit of Grafana's; ``told`` says what it means and what is normal."""

    title: str
    unit: str
    told: str
    queries: tuple[Query, ...]
    is_number: bool = False
    """Shown as one number and not as a curve."""
    is_signed: bool = False
    """It may fall below zero, and must be seen there."""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: ``name`` is its file and its uid."""

    name: str
    title: str
    told: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise with a number, over 30 days.

    ``bad`` and ``total`` are rates with ``$w`` for the window. ``failing`` and ``going`` are the series that the
    alerts' own tests play: the bad ones, and those of what went well.
    """

    slo: str
    title: str
    target: float
    told: str
    bad: str
    total: str
    failing: tuple[str, ...]
    going: tuple[str, ...]
    look: str
    """Where to look when its budget burns."""

    @property
    def budget(self) -> float:
        """The part of all that may fail."""
        return round(1 - self.target, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Alert:
    """Something that somebody must hear of, and what they do then.

    ``fires`` are the series (in promtool's notation, a value a minute) in which it fires with ``labels`` after
    ``after``; ``quiet`` are series like them in which it does not. Burn rates are played by each objective's own.
    """

    name: str
    expr: str
    lasts: str
    severity: Severity
    summary: str
    means: str
    fans: str
    look: tuple[str, ...]
    do: tuple[str, ...]
    escalate: str
    fires: Mapping[str, str] = field(default_factory=dict)
    quiet: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    after: str = "20m"

    @property
    def page(self) -> str:
        """The name of its runbook page: ``WaitroomStoreAway`` has ``store-away``."""
        words = "".join(f"-{one.lower()}" if one.isupper() else one for one in self.name)
        return words.removeprefix("-waitroom-")
