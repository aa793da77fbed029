"""Outgoing: a journal with a history, and everything that tells others of it, for tests of the operator's side."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from dashboards.ports import Outgoing
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.reach import Reach
from kernel.webhook import Hooks
from waitroom.journal import Kind, NewEntry
from waitroom.journal_reader import JournalReader
from waitroom.journal_store import JournalStore
from waitroom.journal_watch import JournalWatch
from waitroom.metrics import EventMetrics
from waitroom.rooms import parse, to_dict
from waitroom.target_desk import Secrets, TargetDesk
from waitroom.target_round import TargetRound
from waitroom.target_store import TargetStore
from waitroom.target_ways import TargetWays

RUN = "0011223344556677"
HERE = Reach(private=("127.0.0.1", "localhost"))
"""A receiver on this machine may be told."""


def settings(version: int, **more: Any) -> str:
    """Write a room's settings as the journal keeps them."""
    room = {"name": "main", "origin": "https://shop.example.com"} | more
    return json.dumps({"version": version} | to_dict(parse(room)))


def entry(kind: Kind, /, at_ms: int = 1_000, room: str = "main", **body: str) -> NewEntry:
    """Make an entry."""
    return NewEntry(at_ms, room, RUN, kind, body)


def configured(version: int, at_ms: int, who: str, why: str = "", **more: Any) -> NewEntry:
    """Make the entry of a change of settings."""
    config = settings(version, **more)
    return entry(Kind.CONFIGURED, at_ms, version=str(version), who=who, why=why, config=config)


@dataclass
class Parts:
    """The parts of an operator's process that read the journal."""

    journal: JournalStore
    reader: JournalReader
    store: TargetStore
    ways: TargetWays
    round: TargetRound
    desk: TargetDesk
    watch: JournalWatch
    keys: Secrets
    clock: ManualClock
    metrics: EventMetrics
    over: bool = False

    @property
    def outgoing(self) -> Outgoing:
        """What the application is handed."""
        return Outgoing(self.reader, self.desk, self.watch, lambda: self.over)


@contextmanager
def parts(
    url: str, clock: ManualClock, reach: Reach = HERE, *, mail: Any = None, patience_s: float = 10.0,
    store: Callable[[str], TargetStore] = TargetStore, tries: int = 16, rounds: type[TargetRound] = TargetRound,
) -> Iterator[Parts]:  # fmt: skip
    """Open a journal and join everything; connections to receivers are the test's to close (``ways.close``)."""
    journal = JournalStore(url)
    journal.open()
    reader, targets = JournalReader(url), store(url)
    keys = Secrets(b"k" * 32, clock)
    ways = TargetWays(Hooks(patience_s, reach.may_reach), keys.hold, clock, mail)
    metrics = EventMetrics(CollectorRegistry())
    made = Parts(
        journal, reader, targets, ways,
        rounds(targets, reader, ways, clock, metrics, chance=lambda: 0.0, tries=tries),
        TargetDesk(targets, ways, keys, reach, clock, mails=mail is not None),
        JournalWatch(journal, clock), keys, clock, metrics,
    )  # fmt: skip
    try:
        yield made
    finally:
        for one in (journal, reader, targets):
            one.close()


def gone(*_: object, **__: object) -> Any:
    """Be away, as a database is."""
    raise Unavailable("journal-away", "The journal is away.")
