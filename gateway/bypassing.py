"""Bypassing: the use cases of bypass tokens, as a gate and the operator's process join them.

Not here: what a bypass token is (``admission.bypassing``), its addresses (``bypass_web``, ``dashboards``).
"""

from typing import TYPE_CHECKING

from admission.bypass_store import BypassStore
from admission.bypassing import Bypassing
from gateway.adapters import JournalTurns, PacedLine

if TYPE_CHECKING:
    from gateway.wiring import Parts


def bypassing_of(parts: "Parts") -> Bypassing:
    """Make the use cases of bypass tokens."""
    return Bypassing(
        parts.admission,
        BypassStore(parts.client),
        PacedLine(parts.waitroom),
        JournalTurns(parts.waitroom, parts.client, parts.journal),
        parts.ring.signer("cookie", "bypass"),
        parts.clock,
    )
