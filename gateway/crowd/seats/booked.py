"""Booked: what stands in the books at the end: the shop's own, looked at by its checker, and its provider's.

The crowd is handed a reader of these (``Hooks.books``), as it is of the journal; fans know nothing of it. Values only.
Not here: how they are read (``gateway.crowd.sale_books``), what they say of fans (``checks_paid``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at the provider, in the shop's minor units. ``is_held``: it holds money that is not taken."""

    ref: str
    order: str
    net_minor: int
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Booked:
    """Everything at one look. ``payments`` is None where the provider cannot be asked."""

    violations: tuple[str, ...] = ()
    """What the checker found (I1 to I12), each with its invariant and a sentence."""
    looked_at: Mapping[str, int] = field(default_factory=dict)
    payments: tuple[Payment, ...] | None = None
    owned: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The seats that are sold, by order."""
    waiting: frozenset[str] = frozenset()
    """Orders that may still be paid: they may be open."""
    reviewed: frozenset[str] = frozenset()
    """Orders that a person is to look at: their money is held until then."""
    waits_until_ms: int = 0
    """When the last of those is over."""
