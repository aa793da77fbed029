"""Access acts: what is done about who may come to the operator's pages, as the journal records it.

Such an entry belongs to no room. Its body has the act, the name of the account or token (``what``), role and rooms as
they are from then on, and who and why: no secret, no code, no address. A program knows an act by its word; people read
the sentence. Pure. Not here: the acts themselves (``dashboards.account_book``, ``dashboards.token_book``).
"""

from collections.abc import Mapping
from enum import StrEnum

from waitroom.journal import Kind, NewEntry


class AccessAct(StrEnum):
    """What was done."""

    INVITED = "invited"
    ACCEPTED = "accepted"
    CAME = "came"
    CHANGED = "changed"
    RESET = "reset"
    REMOVED = "removed"
    SIGNED_OUT = "signed-out"
    PASSWORD = "password"  # noqa: S105 - a word, not a secret
    DEVICE = "device"
    RECOVERY = "recovery"
    TOKEN_MADE = "token-made"  # noqa: S105 - the same
    TOKEN_REMOVED = "token-removed"  # noqa: S105 - the same


ACCESS_WORDS: Mapping[str, str] = {
    AccessAct.INVITED: "{who} invited {what} as {role}, {rooms}.",
    AccessAct.ACCEPTED: "{what} took up the invitation: chose a password and made a device.",
    AccessAct.CAME: "{what} came by the provider for the first time.",
    AccessAct.CHANGED: "{who} changed what {what} may: {role_before}, {rooms_before} became {role}, {rooms}.",
    AccessAct.RESET: "{who} took password, device, recovery codes and sessions of {what} away, for new ones.",
    AccessAct.REMOVED: "{who} took {what} out.",
    AccessAct.SIGNED_OUT: "{who} ended sessions of {what}.",
    AccessAct.PASSWORD: "{what} chose another password.",
    AccessAct.DEVICE: "{what} made another device.",
    AccessAct.RECOVERY: "{what} made new recovery codes.",
    AccessAct.TOKEN_MADE: "{who} made the token {what}: {role}, {rooms}, until {until}.",
    AccessAct.TOKEN_REMOVED: "{who} removed the token {what}.",
}
"""A sentence for each; an act that a newer version has written has none."""


def access_entry(act: AccessAct, what: str, who: str, why: str, now_ms: int, **more: str) -> NewEntry:
    """Write what was done to the account or token `what`; `more`: role, rooms, both ``_before``, until_ms."""
    return NewEntry(
        now_ms, "", "", Kind.ACCESS, {"act": act.value, "what": what, "who": who, "why": why} | more
    )
