"""Bot guard's place at the gate: hands what the line's web sees of somebody who joins to ``botguard``, and words back.

The mapping stands here: **slow begins in the lane suspect**, all else that is not denied in the room's first lane. Who
stands between the browser and us is known by the list of trusted proxies; only such a proxy may say that there is TLS,
or pass JA4. The device is a random id in a signed cookie of the room's site; it is given with a join and lives for a
day. A cookie of ours that somebody changed is a proof, one of a key that we no longer have is none.

Not here: what is looked at and what follows (``botguard``), where the line asks (``waitroom.web``).
"""

import logging
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from botguard.metrics import Metrics
from botguard.model import Model, default
from botguard.model_key import public_keys
from botguard.request.crawlers import Crawlers
from botguard.request.facts import Asking, Reader
from botguard.request.networks import shipped
from botguard.request.own_list import MOST_BYTES as LIST_MOST_BYTES
from botguard.request.own_list import NOTHING, OwnList, read_own_list
from botguard.request.ports import Resolver
from botguard.request.resolver import SystemResolver
from botguard.request.search_bots import SearchBots
from botguard.request.signed import MOST_BYTES as KEYS_MOST_BYTES
from botguard.request.signed import Keys, read_keys
from botguard.request.systems import SystemsFile
from botguard.service import Guard, Mode
from botguard.signed_model import MOST_BYTES as MODEL_MOST_BYTES
from botguard.signed_model import read as read_model
from botguard.velocity.counting import Velocity
from botguard.velocity.store import VelocityStore
from botguard.verdict import Judged, Proof, Thresholds, Verdict
from gateway.gate import is_trusted
from gateway.headers import value
from gateway.settings import Settings
from kernel.asgi import LOCAL, Scope, client_address
from kernel.clock import Clock
from kernel.cookies import host_name, set_cookie
from kernel.errors import Misconfigured
from kernel.places import MOST_BYTES as PLACES_MOST_BYTES
from kernel.places import GeoFile, read_geo
from kernel.signing import BadSignature, b64url
from kernel.watched import Watched
from waitroom.lanes import Lane
from waitroom.newcomer import ANYBODY, Newcomer
from waitroom.rooms import Room, cookie_marks
from waitroom.ticket import TicketSigner

log = logging.getLogger(__name__)

DEVICE_MAX_AGE_S = 86_400
WATCHED_PER_S = 50
"""Joins that a worker looks at in a second of a room that only watches: a crowd's first seconds belong to the line."""
_DEVICE_BYTES = 16
_NO_KEYS: Keys = {}


class Files(NamedTuple):
    """The operator's files of the bot guard; None is not set."""

    own_list: Watched[OwnList] | None = None
    keys: Watched[Keys] | None = None
    systems: Watched[GeoFile] | None = None
    model: Watched[Model] | None = None


def files_of(settings: Settings, metrics: Metrics) -> Files:
    """Read the files. Raises ``Misconfigured`` with the faults of all of them."""
    faults: list[str] = []
    own_list = keys = systems = model = None
    try:
        if (path := settings.bot_list) is not None:
            own_list = Watched("bot-list", path, read_own_list, metrics.files, most_bytes=LIST_MOST_BYTES)
    except Misconfigured as error:
        faults += error.faults
    try:
        if (path := settings.bot_agent_keys) is not None:
            keys = Watched("agent-keys", path, read_keys, metrics.files, most_bytes=KEYS_MOST_BYTES)
    except Misconfigured as error:
        faults += error.faults
    try:
        if (path := settings.bot_asn) is not None:
            systems = Watched("bot-asn", path, read_geo, metrics.files, most_bytes=PLACES_MOST_BYTES)
    except Misconfigured as error:
        faults += error.faults
    try:
        if (path := settings.bot_model) is not None:
            signers = public_keys(settings.bot_model_keys)
            model = Watched(
                "bot-model",
                path,
                lambda octets: read_model(octets, signers),
                metrics.files,
                most_bytes=MODEL_MOST_BYTES,
            )
            log.info("the bot guard uses a model of the operator's own", extra={"file": str(path)})
    except Misconfigured as error:
        faults += error.faults
    if faults:
        raise Misconfigured(faults)
    return Files(own_list, keys, systems, model)


def guard_of(
    settings: Settings,
    client: Redis,
    secret: bytes,
    clock: Clock,
    metrics: Metrics,
    resolver: Resolver | None = None,
) -> Guard:
    """Join the guard's parts. `secret` makes the names under which acts are counted. Raises ``Misconfigured``."""
    files = files_of(settings, metrics)
    own_list, keys, systems, model = files
    if model is None:
        default()  # where code and model are of two releases, that is told at the start
    reader = Reader(
        Crawlers(),
        shipped(),
        own_list=lambda: NOTHING if own_list is None else own_list.value,
        keys=lambda: _NO_KEYS if keys is None else keys.value,
        search_bots=SearchBots(resolver or SystemResolver(), metrics.confirmations.count),
        systems=None if systems is None else SystemsFile(systems),
    )
    velocity = Velocity(VelocityStore(client), secret, clock, metrics.without.count)
    return Guard(
        reader,
        velocity,
        metrics,
        files=[file for file in files if file is not None],
        model=default if model is None else lambda: model.value,
    )


class AskedOf:
    """What all who join a room share, put together once for each state of its settings."""

    __slots__ = ("_tail", "cookie", "mode", "room", "thresholds")

    def __init__(self, room: Room, secure: bool) -> None:
        """Take the room's choices; `secure` is the rule of the house for cookies."""
        self.room = room
        self.mode = Mode(room.bot_guard)
        chosen = room.bot_thresholds
        self.thresholds = Thresholds(chosen.prove, chosen.step_up, chosen.slow)
        marks = cookie_marks(room, tls=secure)
        self.cookie = host_name(f"waitroom-device{room.cookie_suffix}", marks.secure)
        head = set_cookie(
            self.cookie,
            "",
            secure=marks.secure,
            same_site=marks.same_site,
            max_age_s=DEVICE_MAX_AGE_S,
            partitioned=marks.partitioned,
        )
        self._tail = head.decode().removeprefix(f"{self.cookie}=")

    def device_cookie(self, text: str) -> tuple[bytes, bytes]:
        """Write the header that gives a browser its id; the text is one of our papers."""
        return b"set-cookie", f"{self.cookie}={text}{self._tail}".encode()


class Newcomers:
    """``waitroom.ports.Newcomers``."""

    def __init__(self, guard: Guard, devices: TicketSigner, settings: Settings) -> None:
        """`devices` signs the ids of browsers."""
        self._guard = guard
        self._devices = devices
        self._networks = settings.networks
        self._secure = settings.secure
        self._ja4 = (settings.ja4_header or "").lower().encode()
        self._asked: dict[str, AskedOf] = {}
        self._second, self._left = 0, 0

    async def judge(
        self, scope: Scope, room: Room, cookies: Mapping[str, str], now_ms: int, identity: str = ""
    ) -> Newcomer:
        """Say in which lane somebody begins; `identity` is their tag. Raises Refused for whoever may not join."""
        asked = self.asked(room)
        if asked.mode is Mode.OFF or (asked.mode is Mode.WATCH and not self._has_time(now_ms)):
            return ANYBODY
        device, proofs = self.device(asked, cookies)
        judged = await self._guard.join(
            room.name,
            scope["headers"],
            self.asking(scope),
            now_ms,
            mode=asked.mode,
            thresholds=asked.thresholds,
            device=device,
            identity=identity,
            proofs=proofs,
        )
        newcomer = newcomer_of(judged)
        self._guard.metrics.join(room.name, newcomer.lane)
        if device:
            return newcomer
        text = self._devices.sign(b64url(secrets.token_bytes(_DEVICE_BYTES)).encode())
        return newcomer._replace(headers=(asked.device_cookie(text),))

    def asked(self, room: Room) -> AskedOf:
        """Return what all in a room share."""
        asked = self._asked.get(room.name)
        if asked is None or asked.room is not room:
            asked = self._asked[room.name] = AskedOf(room, self._secure)
        return asked

    def asking(self, scope: Scope) -> Asking:
        """Tell what is known of a request besides its headers."""
        headers = scope["headers"]
        client = scope.get("client")
        trusted = is_trusted(client[0] if client else LOCAL, self._networks)
        scheme = scope.get("scheme", "http")
        if trusted:
            scheme = value(headers, b"x-forwarded-proto").lower().decode("latin-1") or scheme
        return Asking(
            client_address(scope, self._networks),
            scope.get("method", "GET"),
            scope["path"],
            is_tls=scheme == "https",
            is_direct=not trusted,
            ja4=value(headers, self._ja4).decode("latin-1") if trusted and self._ja4 else "",
        )

    def _has_time(self, now_ms: int) -> bool:
        """Tell whether one more join can be watched in this second; one that cannot is counted."""
        if now_ms // 1_000 != self._second:
            self._second, self._left = now_ms // 1_000, WATCHED_PER_S
        self._left -= 1
        if self._left < 0:
            self._guard.metrics.without.count("busy")
        return self._left >= 0

    def device(self, asked: AskedOf, cookies: Mapping[str, str]) -> tuple[str, frozenset[Proof]]:
        """Open the cookie: the device's id, or nothing, or that it was forged."""
        if not (text := cookies.get(asked.cookie, "")):
            return "", frozenset()
        try:
            return self._devices.open(text).decode("ascii"), frozenset()
        except BadSignature as error:
            return "", frozenset({Proof.FORGED_DEVICE}) if error.reason == "forged" else frozenset()


def newcomer_of(judged: Judged) -> Newcomer:
    """Translate a verdict: who is slow begins in the lane suspect, and the receipt says why."""
    if judged.verdict is Verdict.SLOW:
        return Newcomer(Lane.SUSPECT, judged.reasons)
    return ANYBODY
