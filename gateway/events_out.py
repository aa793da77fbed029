"""Events out: joins what tells others of the journal, in the operator's process.

Not here: what is told (``waitroom.events``), to whom (``waitroom.targets``), who may read (``dashboards``).
"""

import asyncio

from dashboards.ports import Outgoing
from gateway.reminders import post_of, server_of
from gateway.settings import Settings
from kernel.clock import Clock
from kernel.webhook import Hooks
from waitroom.journal_reader import JournalReader
from waitroom.journal_store import JournalStore
from waitroom.journal_watch import JournalWatch
from waitroom.metrics import EventMetrics
from waitroom.target_desk import Secrets, TargetDesk
from waitroom.target_round import TargetRound
from waitroom.target_store import TargetStore
from waitroom.target_ways import TargetWays


class EventsOut:
    """Feed, targets and the watch over the chain."""

    def __init__(self, settings: Settings, journal: JournalStore, key: bytes, clock: Clock) -> None:
        """Join the parts; nothing is opened yet. `key`: of the key ring, for targets' secrets alone."""
        self._reader = JournalReader(settings.journal_address)
        self._store = TargetStore(settings.journal_address)
        reach, keys = settings.event_reach, Secrets(key, clock)
        server = server_of(settings)
        mail = None if server is None else (server, post_of(settings, server))
        hooks = Hooks(settings.event_patience_s, reach.may_reach)
        self._ways = TargetWays(hooks, keys.hold, clock, mail)
        self._watch = JournalWatch(journal, clock)
        self._round = TargetRound(self._store, self._reader, self._ways, clock, EventMetrics())
        self._is_over = False
        desk = TargetDesk(self._store, self._ways, keys, reach, clock, mails=mail is not None)
        self.outgoing = Outgoing(self._reader, desk, self._watch, lambda: self._is_over)

    def start(self) -> None:
        """Begin to tell and to watch; the journal is open."""
        self._round.start()
        self._watch.start()

    def drain(self) -> None:
        """End what is endless: streams."""
        self._is_over = True

    async def stop(self) -> None:
        """End; what was being told is told again later."""
        self._is_over = True
        await self._round.stop()
        await self._watch.stop()
        await self._ways.close()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._store.close)
