"""The page's law: what a fan reads in the status document, and when it asks again.

The same rules as the waiting page in the browser, written a second time: the crowd shall notice when the room
and its page disagree. Signatures are checked with the published keys, each distinct document once; a fan keeps
the newest (epoch, version) it has seen and ignores older ones (design.md, section 4).
Not here: asking (``fan``), judging the documents (``checks``).
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

DOMAIN = b"waitroom-status-v1\n"
MOST_BYTES = 1500
POLL_LEAST_S = 2.0
POLL_BLIND_S = 10.0
NEAR_S = 120.0
POLL_PARTS = 20  # a fan asks some twenty times an e-fold of its wait
CROWD_PER_FLOOR_S = 5000  # before the start: so many fans ask a second at most
_CUT = b',"signature":"'


@dataclass(frozen=True, slots=True)
class Draw:
    """The part of a document that turns a number into a rank."""

    commitment: str = ""
    rounds: int = 90
    frozen: int | None = None
    root: str = ""
    seed: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One status document as a fan reads it; ``raw`` are its very bytes, to be given back after a loss."""

    raw: bytes
    run: str
    epoch: int
    version: int
    at_ms: int
    phase: str
    starts_ms: int | None
    issued: int
    void: tuple[tuple[int, int], ...]
    serving: Mapping[str, int]
    speed_per_minute: Mapping[str, float]
    plan_per_minute: float
    poll_cap_s: float
    claim_window_s: float
    paused: bool
    bypass: bool
    draw: Draw
    signed: bool | None = None  # None: there was no key to check it with

    @property
    def order(self) -> tuple[int, int]:
        """Newer documents are greater."""
        return self.epoch, self.version


def read_document(raw: bytes, keys: Mapping[str, EllipticCurvePublicKey]) -> Document:
    """Read a document. Raises ValueError when it is not one."""
    try:
        members: dict[str, Any] = orjson.loads(raw)
        draw = members["draw"]
        return Document(
            raw=raw,
            run=str(members["run"]),
            epoch=int(members["epoch"]),
            version=int(members["version"]),
            at_ms=int(members["at_ms"]),
            phase=str(members["phase"]),
            starts_ms=members.get("starts_ms"),
            issued=int(members["issued"]),
            void=tuple((int(low), int(high)) for low, high in members["void"]),
            serving={str(lane): int(rank) for lane, rank in members["serving"].items()},
            speed_per_minute={str(lane): float(speed) for lane, speed in members["speed_per_minute"].items()},
            plan_per_minute=float(members["plan_per_minute"] or 0),
            poll_cap_s=float(members["poll_cap_s"]),
            claim_window_s=float(members["claim_window_s"]),
            paused=bool(members["paused"]),
            bypass=bool(members["bypass"]),
            draw=Draw(
                commitment=draw["commitment"] or "",
                rounds=int(draw["rounds"]),
                frozen=draw["frozen"],
                root=draw.get("root") or "",
                seed=draw["seed"] or "",
            ),
            signed=is_signed(raw, keys) if keys else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a status document: {error!r}") from error


def is_signed(raw: bytes, keys: Mapping[str, EllipticCurvePublicKey]) -> bool:
    """True when the document's signature holds under the published key that it names."""
    head, cut, tail = raw.rpartition(_CUT)
    if not cut or not tail.endswith(b'"}'):
        return False
    try:
        text = head + b"}"
        key = keys[orjson.loads(text)["kid"]]
        signature = base64.urlsafe_b64decode(tail[:-2] + b"==")
        parts = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        if len(signature) != 64:
            return False
        key.verify(encode_dss_signature(*parts), DOMAIN + text, ECDSA(SHA256()))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


def read_keys(raw: bytes) -> dict[str, EllipticCurvePublicKey]:
    """Read the P-256 keys of a JWKS by their ids. Raises ValueError when it is not one."""
    found: dict[str, EllipticCurvePublicKey] = {}
    try:
        for entry in json.loads(raw)["keys"]:
            if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
                key = jwt.PyJWK(entry, algorithm="ES256").key
                if isinstance(key, EllipticCurvePublicKey):
                    found[str(entry["kid"])] = key
    except (KeyError, TypeError, AttributeError, ValueError, jwt.PyJWTError) as error:
        raise ValueError(f"not a key set: {error!r}") from error
    return found


@dataclass(slots=True)
class Library:
    """All documents seen, each read once; the same bytes give the same object."""

    keys: dict[str, EllipticCurvePublicKey] = field(default_factory=dict)
    seen: list[tuple[float, Document]] = field(default_factory=list)
    _read: dict[bytes, Document] = field(default_factory=dict)
    _shuffles: dict[tuple[str, int, int], Any] = field(default_factory=dict)

    def document(self, raw: bytes, now_s: float) -> Document:
        """Read a document, or find it; the first sight of it goes into ``seen``. Raises ValueError."""
        document = self._read.get(raw)
        if document is None:
            document = self._read[raw] = read_document(raw, self.keys)
            self.seen.append((now_s, document))
        return document

    def rank(self, document: Document, number: int) -> int | None:
        """The rank of a number under this document; None while its draw is to come."""
        draw = document.draw
        if draw.frozen is None:
            return None if draw.commitment else number
        if number >= draw.frozen:
            return number
        if any(low <= number < high for low, high in document.void):
            return draw.frozen
        return self._shuffle(draw).rank(number) if draw.seed else None

    def _shuffle(self, draw: Draw) -> Any:
        from waitroom.draw import Shuffle  # noqa: PLC0415 - only rooms with a draw need it

        key = (draw.seed, draw.frozen or 0, draw.rounds)
        if key not in self._shuffles:
            self._shuffles[key] = Shuffle(bytes.fromhex(draw.seed), key[1], draw.rounds)
        return self._shuffles[key]


def is_called(document: Document, rank: int | None, lane: str) -> bool:
    """True when the document calls this rank in this lane."""
    return rank is not None and rank < document.serving[lane] and document.phase in {"serving", "draining"}


def is_near(document: Document, rank: int | None, lane: str) -> bool:
    """True when the page says that the turn is almost there; where no wait can be told, when nobody is before it."""
    if rank is None or document.phase not in {"serving", "draining"} or is_called(document, rank, lane):
        return False
    wait_s = _wait_s(document, rank, lane, 0.0)
    return rank <= document.serving[lane] if wait_s is None else wait_s <= NEAR_S


def poll_s(document: Document, rank: int | None, lane: str, now_ms: float, jitter: float) -> float:
    """When to ask again: clamp(wait/20, floor, cap) times ``jitter`` in [0.8, 1.2].

    The floor is 2 s, and more while a whole crowd waits for the same moment. Where no wait can be told, 10 s.
    """
    is_gathering = document.phase == "gathering"
    floor_s = POLL_LEAST_S
    if is_gathering:
        floor_s = min(max(document.issued / CROWD_PER_FLOOR_S, POLL_LEAST_S), 60.0)
    delay_s = max(0.0, document.starts_ms - now_ms) / 1000 if is_gathering and document.starts_ms else 0.0
    wait_s = _wait_s(document, rank, lane, delay_s)
    pause_s = max(5 * floor_s, POLL_BLIND_S) if wait_s is None else max(wait_s / POLL_PARTS, floor_s)
    return min(pause_s, max(document.poll_cap_s, POLL_LEAST_S)) * jitter


def _wait_s(document: Document, rank: int | None, lane: str, delay_s: float) -> float | None:
    if rank is None:
        return delay_s or None
    speed = document.speed_per_minute[lane] or document.plan_per_minute
    if document.paused or speed <= 0:
        return None
    return delay_s + max(0, rank - document.serving[lane]) / speed * 60
