"""Work: the proof of work, in ALTCHA's second format (PyPI ``altcha``), verified offline.

A puzzle is a salt and a nonce; the device counts up until SHA-256 of salt, nonce and counter begins with the given 16
bytes. The counter is drawn here, evenly below the level's bound, so that work has an end that can be told ("at most"),
and the whole hash is signed, so that a check costs two HMACs and no search. Puzzles are made ahead, some for each
level: what is left at issuing is to name the place, the level and the end, and to sign.

ALTCHA has no memory: the same answer is good again and again. So its nonce is spent before it counts, and it names its
place. The library looks at the clock by itself; ``expiresAt`` is also checked against the time that is given.

Source: altcha-lib's canonical JSON and HMAC, pinned by ``tests/botguard/challenges/test_work.py`` against the library.
"""

import binascii
import hmac
import json
import secrets
from base64 import b64decode
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from altcha import v2 as altcha

from botguard.challenges.port import Outcome, Spent, Subject
from botguard.challenges.price import LASTS_MS, LEVEL_MOST, PATIENCE_MS, easier, tries_most

ALGORITHM = "SHA-256"
POOL_MOST = 64
"""Puzzles kept ready for each level."""
ANSWER_MOST_CHARS = 2048


class Puzzle(NamedTuple):
    """A puzzle whose end is known and which is for nobody yet."""

    nonce: str
    salt: str
    prefix: str
    key_signature: str


class Work:
    """Issues and verifies proofs of work."""

    def __init__(self, spent: Spent, secret: bytes) -> None:
        """Sign with secrets that follow from `secret`."""
        self._spent = spent
        self._secret = hmac.digest(secret, b"challenge", "sha256")
        self._key_secret = hmac.digest(secret, b"solution", "sha256")
        self._pools: list[deque[Puzzle]] = [deque() for _ in range(LEVEL_MOST + 1)]

    def fill(self, most: int = POOL_MOST) -> int:
        """Make one puzzle where one is missing; return how many are still missing."""
        level = min(range(len(self._pools)), key=lambda level: len(self._pools[level]))
        if len(self._pools[level]) < most:
            self._pools[level].append(self._puzzle(level))
        return sum(most - len(pool) for pool in self._pools)

    def issue(self, subject: Subject, level: int, now_ms: int) -> dict[str, object]:
        """Give a challenge to a place: ALTCHA's JSON, how many tries it takes at most, and until when it is good."""
        level = max(0, min(level, LEVEL_MOST))
        pool = self._pools[level]
        puzzle = pool.popleft() if pool else self._puzzle(level)
        until_ms = (now_ms + LASTS_MS) // 1000 * 1000
        parameters: dict[str, object] = {
            "algorithm": ALGORITHM,
            "cost": 1,
            "keyLength": altcha.DEFAULT_KEY_LENGTH,
            "keyPrefix": puzzle.prefix,
            "nonce": puzzle.nonce,
            "salt": puzzle.salt,
            "keySignature": puzzle.key_signature,
            "expiresAt": until_ms // 1000,
            "data": {"for": subject.tag, "level": level, "since": now_ms},
        }
        challenge = {"parameters": parameters, "signature": self._signature(parameters)}
        return {"challenge": challenge, "tries_most": tries_most(level), "expires_ms": until_ms}

    async def verify(self, answer: str, subject: Subject, now_ms: int) -> Outcome:
        """Judge a solution: base64 of ALTCHA's payload. Raises Unavailable when nobody knows whether it was used."""
        payload = _payload(answer)
        if payload is None:
            return Outcome.MALFORMED
        found = altcha.verify_solution(payload, self._secret, hmac_key_secret=self._key_secret)
        if found.expired:
            return Outcome.EXPIRED
        if found.invalid_signature is not False:
            return Outcome.FORGED
        parameters = payload.challenge.parameters.to_dict()
        fault = _fault(parameters, subject, now_ms)
        if fault is not None:
            return fault
        if not found.verified:
            return Outcome.WRONG
        return await self._spend(parameters, now_ms)

    async def easier(self, given: object, subject: Subject, now_ms: int) -> int | Outcome:
        """Take a challenge back that a slow device could not solve in time; return the level of the next one."""
        if not isinstance(given, Mapping) or not isinstance(given.get("parameters"), Mapping):
            return Outcome.MALFORMED
        parameters, signature = dict(given["parameters"]), given.get("signature")
        try:
            expected = self._signature(parameters)
        except (TypeError, ValueError, RecursionError):
            return Outcome.FORGED
        if not isinstance(signature, str) or not hmac.compare_digest(
            signature.encode(errors="replace"), expected.encode()
        ):
            return Outcome.FORGED
        fault = _fault(parameters, subject, now_ms)
        if fault is not None:
            return fault
        data = parameters["data"]
        if now_ms - data["since"] < PATIENCE_MS:
            return Outcome.WRONG
        spent = await self._spend(parameters, now_ms)
        return easier(data["level"]) if spent is Outcome.PASSED else spent

    async def _spend(self, parameters: Mapping[str, object], now_ms: int) -> Outcome:
        """Use a challenge up, whichever way; it is remembered for as long as its signature is good."""
        keep_ms = int(str(parameters["expiresAt"])) * 1000 - now_ms
        fresh = await self._spent.spend(f"work|{parameters['nonce']}", keep_ms + 1000)
        return Outcome.PASSED if fresh else Outcome.SPENT

    def _puzzle(self, level: int) -> Puzzle:
        made = altcha.create_challenge(
            ALGORITHM,
            1,
            counter=secrets.randbelow(tries_most(level)),
            hmac_secret=self._secret,
            hmac_key_secret=self._key_secret,
        ).parameters
        return Puzzle(made.nonce, made.salt, made.key_prefix, str(made.key_signature))

    def _signature(self, parameters: Mapping[str, object]) -> str:
        text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()


def _payload(answer: str) -> altcha.Payload | None:
    if not 0 < len(answer) <= ANSWER_MOST_CHARS:
        return None
    try:
        return altcha.Payload.from_dict(json.loads(b64decode(answer, validate=True)))
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None


def _fault(parameters: Mapping[str, object], subject: Subject, now_ms: int) -> Outcome | None:
    """Compare what we have signed with who brings it, and when. What we signed has this shape."""
    data, expires_s = parameters.get("data"), parameters.get("expiresAt")
    if not isinstance(data, Mapping) or not isinstance(expires_s, int):
        return Outcome.FORGED
    if data.get("for") != subject.tag:
        return Outcome.FOREIGN
    return Outcome.EXPIRED if now_ms >= expires_s * 1000 else None
