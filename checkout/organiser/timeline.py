"""Timeline: everything that has happened to one sale, from the log of sales, in words for people. Pure.

Each entry of the stream becomes ``{seq, at_ms, kind, words, changes}``. ``WORDS`` has a sentence for each kind that the
log knows; what the entry tells beside it (money that moved, what a bank said, tickets) is said in sentences of its own.
``changes`` are the fields that the entry tells, and of those only what is in ``SHOWN``: who bought, who was given a
ticket, cards, and what people wrote beside an act stand elsewhere, for those who have to see them.

The log is looked at before it is told (``eventlog.verifying``): what is not as it was written is told as such. An end
that was cut off breaks no chain, so the versions that the entries tell are held against those of the rows. Not here:
reading them (``support``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checkout.eventlog.entries import Body, Entry
from checkout.eventlog.verifying import Checked, TooMany, chained
from checkout.money import Money, NoSuchCurrency, shown
from checkout.orders.order import Order

WORDS: Mapping[str, str] = {
    "reserved": "The seats were reserved.",
    "released": "The seats were given back before they were paid.",
    "lapsed": "The time to pay was over: the seats are free again.",
    "sold": "The seats are sold.",
    "returned": "The seats were taken back: they are free again.",
    "order-opened": "An order was opened.",
    "order-tried": "The buyer began to pay.",
    "payment": "The payment provider told how a payment stands.",
    "order-sold": "The money is authorised, and the seats were given to it.",
    "order-paid": "The order is paid.",
    "order-released": "A person looked at the order and let it through.",
    "order-closed": "The order is over.",
    "refund-wanted": "Money is to go back.",
    "refund": "The payment provider told what became of a refund.",
    "review-opened": "A person is to look at the order before its money is taken.",
    "tickets-made": "Tickets were made.",
    "ticket-given": "A ticket was given to somebody else.",
    "ticket-reissued": "A ticket was made anew, and the one before does not count any more.",
    "ticket-withdrawn": "A ticket was withdrawn by the organiser.",
    "ticket-used": "Somebody was let in with a ticket.",
}
"""A sentence for each kind of entry; a test compares it with what the log's projections know."""

UNKNOWN = "Something happened that this version has no words for."
UNREADABLE = "What happened cannot be read: the entry is not what was written."

SHOWN: Mapping[str, frozenset[str]] = {
    "order": frozenset({"state", "currency", "amount_minor", "until_ms", "attempt", "paid_by", "disputed"}),
    "attempts": frozenset({
        "provider", "goal", "state", "review", "currency", "amount_minor", "ref", "decline", "captured_minor",
        "refunded_minor", "disputed_minor", "asked",
    }),
    "refunds": frozenset({"attempt", "currency", "amount_minor", "state", "ref"}),
    "reviews": frozenset({"attempt", "opened_ms", "lapses_ms", "decision", "decided_ms"}),
    "tickets": frozenset({"seat", "issue", "state", "why", "used_ms"}),
    "sale": frozenset({"currency", "total_minor", "until_ms", "before_log"}),
}  # fmt: skip
"""What is told of each thing that an entry tells of."""

_ENDS = {
    "lapsed": "It was not paid in time.",
    "cancelled": "It was given up, or its event was cancelled.",
    "refused": "A person did not let it through.",
    "failed": "The authorised money could not be taken.",
    "refunded": "All of its money went back.",
}
_STATES = {
    "new": "is written down",
    "open": "is known to the provider",
    "asked": "was sent to the bank",
    "action": "waits for the buyer to answer their bank",
    "processing": "is being decided by the bank",
    "authorised": "is authorised",
    "captured": "is taken",
    "declined": "was declined",
    "voided": "was let go",
    "unmade": "was never made",
}
_MOVES = {
    "captured_minor": ("{} was taken.", "{} less was taken than was told."),
    "refunded_minor": ("{} went back to the buyer.", "{} less went back than was told."),
    "disputed_minor": (
        "The buyer's bank took {} back: a dispute.",
        "The buyer's bank gave {} again: a dispute won.",
    ),
}
_REFUNDS = {"wanted": "{} is to go back.", "done": "{} is back.", "failed": "{} could not go back."}
_TICKETS = {"valid": "made", "used": "used", "revoked": "revoked"}


Part = tuple[str, str]
"""What has a version: ``("order", "")``, ``("attempts", "1")``, a refund, a ticket, the sale itself."""

SALE: Part = ("sale", "")
_TURNS = frozenset({"released", "lapsed", "sold", "returned"})
_VERSIONED = ("order", "attempts", "refunds", "tickets")


@dataclass(frozen=True, slots=True)
class Happened:
    """One entry, for people."""

    seq: int
    at_ms: int
    kind: str
    words: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A sale's story; ``faults``: where and what is not as it was written, none for a log that is right."""

    happened: Sequence[Happened]
    faults: Sequence[tuple[str, str]] = ()

    @property
    def is_right(self) -> bool:
        """Tell whether the log is as it was written, as far as this sale shows."""
        return not self.faults


@dataclass(slots=True)
class _Known:
    """What the entries so far have told; an entry tells changes only."""

    currency: str = ""
    currencies: dict[str, str] = field(default_factory=dict)
    """Of each try: a payment that nobody asked for may be in another one."""
    state: str = ""
    versions: dict[Part, int] = field(default_factory=dict)
    sums: dict[tuple[str, str], int] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)


def timeline(entries: Iterable[Entry], order: Order, rows: Mapping[Part, int]) -> Timeline:
    """Tell a sale's story, and whether it is as it was written; `rows`: the versions that its rows have."""
    checked, known, happened = Checked(), _Known(), []
    try:
        for entry in chained(entries, checked):
            _count(entry, known)
            happened.append(_happened(entry, known))
    except TooMany:
        pass
    faults = [(fault.where, fault.what) for fault in checked.faults]
    where = f"stream {order.reservation}"
    if not happened:
        return Timeline((), [(where, "the log has nothing of this sale")])
    if known.state != order.state.value:
        faults.append(
            (where, f"by the log the order is {known.state or 'not opened'}, by its row {order.state.value}")
        )
    for part in sorted(known.versions.keys() | rows.keys()):
        ours, theirs = known.versions.get(part, 0), rows.get(part, 0)
        if ours != theirs:
            name = " ".join(word for word in part if word)
            faults.append((where, f"{name} ends in version {ours}, and its row is in version {theirs}"))
    return Timeline(happened, faults)


def _count(entry: Entry, known: _Known) -> None:
    """Note which versions an entry tells; what cannot be read tells none."""
    if entry.kind == "reserved":
        known.versions[SALE] = 1
    elif entry.kind in _TURNS:
        known.versions[SALE] = known.versions.get(SALE, 0) + 1
    try:
        body = entry.read()
    except ValueError:
        return
    for what in _VERSIONED:
        rows = body.get(what)
        for name, fields in rows.items() if isinstance(rows, Mapping) else ():
            if isinstance(fields, Mapping) and type(fields.get("version")) is int:
                known.versions[what, name] = fields["version"]


def _happened(entry: Entry, known: _Known) -> Happened:
    try:
        body = entry.read()
        said = " ".join([WORDS.get(entry.kind, UNKNOWN), *_more(entry, body, known)])
        changes = _changes(entry.kind, body)
    except (ValueError, KeyError, TypeError, AttributeError, NoSuchCurrency):
        said, changes = UNREADABLE, {}
    return Happened(entry.seq, entry.at_ms, entry.kind, said, changes)


def _changes(kind: str, body: Body) -> dict[str, Any]:
    """Choose what is told of an entry."""
    if kind == "reserved":
        seats = [line[0] for line in body["lines"]]
        return {"sale": {"seats": seats, **_shown("sale", body)}}
    made: dict[str, Any] = {}
    for what, rows in body.items():
        if what not in SHOWN or not isinstance(rows, Mapping):
            continue
        told = {name: _shown(what, fields) for name, fields in rows.items()}
        # An order and a review are one of each; of a refund the key is its name.
        made[what] = told.get("", {}) if what in {"order", "reviews"} else told
    return made


def _shown(what: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in SHOWN[what]}


# -------------------------------------------------------------------------------------- words


def _more(entry: Entry, body: Body, known: _Known) -> Iterator[str]:
    """Say what an entry tells beside its kind."""
    if entry.kind == "reserved":
        known.currency = body["currency"]
        yield f"{_counted(len(body['lines']), 'seat')} for {_money(body['total_minor'], known.currency)}."
    for fields in body.get("order", {}).values():
        yield from _of_order(entry.kind, fields, known)
    for number, fields in body.get("attempts", {}).items():
        yield from _of_attempt(number, fields, known)
    for key, fields in body.get("refunds", {}).items():
        known.refunds[key] = fields.get("amount_minor", known.refunds.get(key, 0))
        if state := fields.get("state"):
            yield _REFUNDS[state].format(_money(known.refunds[key], known.currency))
    for fields in body.get("reviews", {}).values():
        yield from _of_review(fields)
    if entry.kind in {"order-paid", "order-closed", "tickets-made"}:
        states = [one.get("state") for one in body.get("tickets", {}).values()]
        for state, word in _TICKETS.items():
            if count := states.count(state):
                yield f"{_counted(count, 'ticket')} {'was' if count == 1 else 'were'} {word}."
    if body.get("before_log"):
        yield "The time is a guess: the sale is older than the log."


def _of_order(kind: str, fields: Mapping[str, Any], known: _Known) -> Iterator[str]:
    known.state = fields.get("state", known.state)
    if kind == "order-opened":
        yield f"It comes to {_money(fields['amount_minor'], fields['currency'])}."
    if kind == "order-closed" and known.state in _ENDS:
        yield _ENDS[known.state]


def _of_attempt(number: str, fields: Mapping[str, Any], known: _Known) -> Iterator[str]:
    if state := fields.get("state"):
        why = f" ({fields['decline']})" if fields.get("decline") else ""
        yield f"Try {number} {_STATES[state]}{why}."
    elif fields.get("goal") == "undo":
        yield f"Try {number} is being undone."
    currency = known.currencies.setdefault(number, fields.get("currency", known.currency))
    for name, (more, less) in _MOVES.items():
        if name not in fields:
            continue
        moved = fields[name] - known.sums.get((number, name), 0)
        known.sums[number, name] = fields[name]
        if moved:
            text = _money(abs(moved), currency)
            yield (more if moved > 0 else less).format(text)


def _of_review(fields: Mapping[str, Any]) -> Iterator[str]:
    match fields.get("decision"):
        case "release":
            yield "It was let through."
        case "refuse":
            yield "It was refused."
        case _ if "opened_ms" in fields:
            yield "A person is to look at it first."
        case _:
            pass


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _money(minor: int, currency: str) -> str:
    return shown(Money(minor, currency), "en")
