"""Wiring: the one place where everything is joined; ``build(settings, role)`` gives a process its application.

    gate       the public port: waiting room, claims, the gate before the origin; keeps the rooms going
    operator   the operator's port: API, console, metrics, sessions for backends
    shop       the demo's origin (``shop``)

What one domain must know of another is translated in ``adapters``. Nothing is decided here.
"""

import asyncio
import logging
from contextlib import suppress

from starlette.types import ASGIApp

from admission.buckets import Buckets
from admission.keyring import KeyRing
from admission.metrics import Metrics as DoorMetrics
from admission.service import Admission
from admission.steering import Steering
from admission.store import AdmissionStore
from admission.web import DoorWeb, SessionsWeb
from botguard.challenges.metrics import Metrics as ChallengeMetrics
from botguard.metrics import Metrics as GuardMetrics
from dashboards.app import create_app
from dashboards.ports import Deps
from dashboards.recording import Recorder
from dashboards.sampling import Sampler
from dashboards.wait_book import api_attempts
from gateway.accounts import access_of, provider_of, session_route
from gateway.adapters import (
    AskedLine,
    GateAdmissions,
    GatePages,
    JournalTurns,
    LinePlaces,
    PacedLine,
    PlaceProofs,
    RoomLimits,
    Routes,
)
from gateway.bot_guard import Newcomers, guard_of
from gateway.bypass_web import BypassWeb
from gateway.bypassing import bypassing_of
from gateway.challenges import RoomChallenges
from gateway.condition import JOURNAL_BEHIND_MS, Condition, grows
from gateway.demo import operator_token
from gateway.demo_link import DemoLink
from gateway.demo_staff import is_on_this_machine
from gateway.deriving import secret_for
from gateway.events_out import EventsOut
from gateway.figures import RoomFigures, telling_clocks
from gateway.front import Front
from gateway.gate import Gate, GateSettings
from gateway.http import Broadcast
from gateway.identities import identifying_of, logins_of
from gateway.keeper import Keeper
from gateway.origins import Origins
from gateway.priority_codes import PriorityCodes
from gateway.proxy import Deadlines, Proxy
from gateway.reminders import ways
from gateway.rooms_file import rooms_at_start
from gateway.settings import Settings
from gateway.settling import Settler
from gateway.shop import ShopProcess
from kernel.clock import SystemClock
from kernel.errors import Misconfigured, Unavailable
from kernel.metrics import render
from kernel.signing import b64url
from kernel.store import check, connect
from kernel.tasks import is_ending
from waitroom.binding import Binding
from waitroom.binding_store import BindingStore
from waitroom.carry_web import CarryWeb
from waitroom.challenge_web import ChallengeWeb
from waitroom.configure import Configurations
from waitroom.drain import Drain
from waitroom.history_book import HistoryBook
from waitroom.identity_book import IdentityBook
from waitroom.identity_login import IdentityLogin
from waitroom.identity_web import IdentityWeb
from waitroom.journal_store import JournalStore
from waitroom.metrics import Metrics as LineMetrics
from waitroom.more_web import MoreTimeWeb
from waitroom.prioritising import Prioritising
from waitroom.priority_store import PriorityStore
from waitroom.priority_web import PriorityWeb
from waitroom.reminder_round import ReminderRound
from waitroom.reminder_store import ReminderStore
from waitroom.reminder_web import ReminderWeb
from waitroom.reminding import Reminding
from waitroom.restoring import Restorer
from waitroom.rhythm_web import RhythmWeb
from waitroom.rooms import Room, read_kept
from waitroom.seeds import CommittedSecret
from waitroom.service import Waitroom
from waitroom.shells import Pages
from waitroom.store import LineStore
from waitroom.web import LineWeb, WebSettings

log = logging.getLogger(__name__)

LOOK_S = 0.5
JOIN_LIMIT = "too-many-joins"
LEAVE = "POST", "leave"


class Parts:
    """What the gate's and the operator's process both need."""

    def __init__(self, settings: Settings) -> None:
        """Make everything; nothing is connected yet."""
        if settings.store_url is None:
            raise Misconfigured(["WAITROOM_STORE_URL: a process of its own needs the address of the store."])
        self.settings = settings
        self.clock = SystemClock()
        self.ring = KeyRing.open(settings.keyring_path, self.clock.now_ms())
        self.client = connect(settings.store_url)
        self.journal = JournalStore(settings.journal_address, sign_head=self._sign_head)
        self.book = IdentityBook(settings.journal_address)
        self.configurations = Configurations(self.client, self.clock)
        self.doors = AdmissionStore(self.client)
        secret = self.ring.active("sid").octets
        self.waitroom = Waitroom(
            LineStore(self.client),
            self.ring.signer("ticket"),
            self.ring.documents(),
            CommittedSecret(secret_for(secret, "draw")),
            self.doors,
            self.clock,
            ticket_id_key=secret_for(secret, "ticket-id"),
            metrics=LineMetrics(),
        )
        self.binding = Binding(self.waitroom, BindingStore(self.client))
        self.admission = Admission(
            self.doors,
            LinePlaces(self.waitroom, self.binding),
            RoomLimits(self.waitroom, settings),
            PacedLine(self.waitroom),
            self.ring,
            self.clock,
            DoorMetrics(),
        )

    async def connect(self) -> None:
        """Reach the store and open the journal. Raises Misconfigured or Unavailable."""
        await check(self.client)
        await asyncio.to_thread(self.journal.open)

    async def close(self) -> None:
        """Leave the store and the journal."""
        await self.client.aclose()
        await asyncio.to_thread(self.journal.close)
        await asyncio.to_thread(self.book.close)

    def remembered(self) -> dict[str, Room]:
        """Read the journal's last settings of all rooms."""
        rooms: dict[str, Room] = {}
        for name, (_, text) in self.journal.latest_configs().items():
            room = read_kept(text)
            if room is not None:
                rooms[name] = room
        return rooms

    def _sign_head(self, message: bytes) -> str:
        kid, signature = self.ring.documents().sign(message)
        return f"{kid}.{b64url(signature)}"


class GateProcess:
    """Role ``gate``: everything on the public port."""

    def __init__(self, settings: Settings) -> None:
        """Join the parts."""
        self._parts = parts = Parts(settings)
        waitroom, admission = parts.waitroom, parts.admission
        reminding = Reminding(
            waitroom,
            ReminderStore(parts.client),
            ways(settings, parts.clock),
            parts.ring.signer("cookie", "reminder"),
            secret=secret_for(parts.ring.active("sid").octets, "reminders"),
        )
        pages = Pages(settings.prefix, reminds=settings.reminds)
        self._reminders = ReminderRound(
            reminding, pages, parts.doors, f"{settings.site.rstrip('/')}{settings.prefix}"
        )
        self._proxy = Proxy(
            Deadlines(settings.connect_s, settings.first_byte_s, settings.idle_s),
            connections=settings.origin_connections,
        )
        self._origins = Origins(parts.client, parts.clock, waitroom.metrics.counts)
        buckets, reached = Buckets(), WebSettings(settings.prefix, settings.secure, settings.networks)
        guard_secret = secret_for(parts.ring.active("sid").octets, "bot-guard")
        self._guard = guard_of(settings, parts.client, guard_secret, parts.clock, GuardMetrics())
        newcomers = Newcomers(self._guard, parts.ring.signer("cookie", "device"), settings)
        self._identifying = identifying_of(
            settings, waitroom, parts.book, parts.client, parts.ring.signer("cookie", "identity"), buckets, parts.clock,
            secret=secret_for(parts.ring.active("sid").octets, "identity"),
            configured=lambda: parts.journal.latest_configs().keys(),
        )  # fmt: skip
        line = LineWeb(waitroom, pages, buckets, parts.ring, reached, newcomers, self._identifying)
        self._logins = logins_of(settings, parts.clock)
        login = IdentityLogin(self._identifying, self._logins, parts.ring.signer("cookie", "identity-login"))
        who = IdentityWeb(line, self._identifying, pages, buckets, reached, login)
        carry = CarryWeb(line, waitroom, buckets, reached, (parts.binding, PlaceProofs(admission)))
        more = MoreTimeWeb(line, waitroom, reached)
        secret = secret_for(parts.ring.active("sid").octets, "challenges")
        self._challenges = RoomChallenges(settings, parts.client, secret, parts.clock, ChallengeMetrics())
        challenge = ChallengeWeb(line, waitroom, pages, self._challenges, buckets, reached)
        rhythm = RhythmWeb(
            line, waitroom, Settler(self._guard, newcomers, parts.client, guard_secret), buckets, reached
        )
        bypass = BypassWeb(
            line, waitroom, admission, bypassing_of(parts), pages, buckets, reached, parts.clock
        )
        codes = Prioritising(
            waitroom, PriorityStore(parts.client), parts.book, buckets,
            secret=secret_for(parts.ring.active("sid").octets, "identity"),
        )  # fmt: skip
        priority = PriorityWeb(line, codes, pages, reached)
        remind = ReminderWeb(line, reminding, pages, buckets, reached)
        door = DoorWeb(admission, settings.prefix)
        front = Front(
            settings.prefix,
            {
                **line.routes,
                **carry.routes,
                **more.routes,
                **challenge.routes,
                **rhythm.routes,
                **remind.routes,
                **who.routes,
                **bypass.routes,
                **priority.routes,
                **door.routes,
                LEAVE: remind.leaving(door.routes[LEAVE]),
            },
            {**door.plain, **who.plain, ("GET", "static"): line.asset},
        )
        self.broadcast: Broadcast | None = line.broadcast
        self.app: ASGIApp = Gate(
            GateSettings(
                settings.prefix,
                settings.default_origin,
                settings.keep_host,
                settings.networks,
                settings.open_paths,
            ),
            waitroom=front,
            rooms=Routes(waitroom, settings, parts.clock),
            admissions=GateAdmissions(admission),
            pages=GatePages(waitroom, pages),
            proxy=self._proxy,
            clock=parts.clock,
            stand_in=admission.stand_in,
            origins=self._origins,
        )
        self._keeper = Keeper(
            waitroom,
            Restorer(
                waitroom,
                parts.journal,
                parts.configurations,
                parts.doors,
                parts.clock,
                PriorityStore(parts.client),
            ),
            Drain(parts.client, parts.journal, parts.clock),
            self._tick,
            parts.remembered,
            parts.journal.seal,
            parts.clock,
            waitroom.metrics.journal_age.set,
        )
        self.condition = Condition(
            {
                "joins": grows(lambda: waitroom.metrics.refusals(JOIN_LIMIT)),
                "bot-checks": grows(lambda: self._guard.metrics.without.of("busy")),
            },
            warnings=self._warnings,
        )
        self._looking: asyncio.Task[None] | None = None
        waitroom.drain = lambda room: self._keeper.drain_room(room, lease=False)

    async def _tick(self, room: str) -> None:
        """Let the pace call the next, and destroy what is not needed any more."""
        await self._parts.admission.tick(room)
        await self._identifying.tidy(room)

    @property
    def ready(self) -> bool:
        """True once all rooms have been read."""
        return self._keeper.ready

    def _warnings(self) -> list[str]:
        keeper = self._keeper
        found = ["store-or-journal-away"] if keeper.is_away else []
        return [*found, "journal-behind"] if keeper.journal_age_ms > JOURNAL_BEHIND_MS else found

    async def start(self) -> None:
        """Connect, bring in the rooms file, begin to keep the rooms."""
        await self._parts.connect()
        await self._keeper.restore()
        await self._parts.configurations.apply_toml(rooms_at_start(self._parts.settings.rooms))
        await self._keeper.start()
        self._looking = asyncio.create_task(self._guard.run(), name="bot guard's files")
        self._reminders.start()
        self._origins.start()

    def drain(self) -> None:
        """Have nothing endless of one's own: what is proxied ends when its origin or its client does."""

    async def stop(self) -> None:
        """Hand the journal what is left, and disconnect."""
        if self._looking is not None:
            self._looking.cancel()
        await self._guard.close()
        await self._reminders.stop()
        await self._origins.stop()
        await self._keeper.stop()
        await self._proxy.stop()
        await self._challenges.close()
        if self._identifying.mails is not None:
            await self._identifying.mails.close()
        if self._logins is not None:
            await self._logins.close()
        await self._parts.close()


class OperatorProcess:
    """Role ``operator``: the console and the API. It reads; the gate's workers keep the rooms going."""

    broadcast: Broadcast | None = None

    def __init__(self, settings: Settings) -> None:
        """Join the parts."""
        self._parts = parts = Parts(settings)
        token = operator_token(settings, make=False)
        sessions = SessionsWeb(parts.admission, lambda: (token, settings.backend_token))
        figures = RoomFigures(parts.waitroom, parts.doors, parts.clock)
        self.sampler = sampler = Sampler(figures, parts.configurations, parts.clock)
        self._history = HistoryBook(settings.journal_address)
        self._recorder = Recorder(
            self._history,
            lambda name: sampler.rooms()[name].room if name in sampler.rooms() else None,
            parts.clock,
            kept_days=settings.history_days,
        )
        for listener in (self._recorder.hear, telling_clocks(self._recorder)):
            sampler.on_sample(listener)
        self._access = access = access_of(settings, parts.ring, parts.clock)
        self._identity = provider_of(settings, parts.clock)
        turns = JournalTurns(parts.waitroom, parts.client, parts.journal)
        secret = secret_for(parts.ring.active("sid").octets, "identity")
        self._looking: asyncio.Task[None] | None = None
        self._has_looked = False
        self.condition = Condition(
            faults=lambda: ["store-away"] if self._has_looked and not self.ready else []
        )
        key, attempts = secret_for(parts.ring.active("sid").octets, "event-targets"), api_attempts()
        self._events = EventsOut(settings, parts.journal, key, parts.clock)
        self.app: ASGIApp = create_app(
            Deps(
                configurations=parts.configurations,
                figures=figures,
                operator_token=token,
                signer=parts.ring.signer("cookie", "operator"),
                clock=parts.clock,
                secure=settings.secure,
                ready=self._faults,
                metrics=render,
                extra_routes=[session_route(sessions, access, attempts, settings.networks, parts.clock)],
                attempts=attempts,
                access=access,
                identity=self._identity,
                link=DemoLink(settings.data, parts.clock) if is_on_this_machine(settings) else None,
                token_login=settings.operator_token_login,
                own_page=(settings.operator_url or "").rstrip("/"),
                trusted_proxies=settings.networks,
                backend_token=settings.backend_token,
                let_go=parts.binding.let_go,
                outgoing=self._events.outgoing,
                history=self._history,
                guests=Steering(parts.admission, AskedLine(parts.waitroom), turns, parts.clock),
                bypassing=bypassing_of(parts),
                codes=PriorityCodes(parts.book, parts.journal, secret, parts.clock),
                waiting_page=f"{settings.public_url or f'http://127.0.0.1:{settings.port}'}{settings.prefix}/r/",
            ),
            self.sampler,
        )

    @property
    def ready(self) -> bool:
        """True while the rooms can be read."""
        return self.sampler.reached

    async def start(self) -> None:
        """Connect and begin to look."""
        await self._parts.connect()
        await self.sampler.look()
        self._has_looked = True
        self.sampler.start()
        self._recorder.start()
        self._looking = asyncio.create_task(self._follow_keys(), name="keys")
        self._events.start()

    def drain(self) -> None:
        """End what is endless: consoles come back to whoever serves then."""
        self.sampler.end()
        self._events.drain()

    async def stop(self) -> None:
        """Sign the journal's end, and disconnect."""
        if self._looking is not None:
            self._looking.cancel()
        await self._events.stop()
        await self.sampler.stop()
        if self._identity is not None:
            await self._identity.close()
        await asyncio.to_thread(self._access.close)
        await self._recorder.stop()
        await asyncio.to_thread(self._history.close)
        with suppress(Unavailable):
            await asyncio.to_thread(self._parts.journal.seal, self._parts.clock.now_ms())
        await self._parts.close()

    async def _faults(self) -> list[str]:
        """Say what keeps this process from its work."""
        return [] if self.ready else ["The store cannot be reached."]

    async def _follow_keys(self) -> None:
        while not is_ending():
            await asyncio.sleep(LOOK_S)
            self._parts.ring.refresh()


def build(settings: Settings, role: str) -> GateProcess | OperatorProcess | ShopProcess:
    """Give a process its application. Raises Misconfigured."""
    match role:
        case "gate":
            return GateProcess(settings)
        case "operator":
            return OperatorProcess(settings)
        case "shop":
            return ShopProcess(settings)
        case _:
            raise Misconfigured([f"{role} is not a role: gate, operator or shop."])
