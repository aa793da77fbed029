"""A naive guard: the naive room with a check before it, as ``asks = "everybody"`` has it; and ways to guard badly.

Everybody begins in the lane suspect, which moves behind the lane standard; or, with ``looks``, nobody does, and rhythms
are judged by the model and the sketches, as the real room does. The check is work in ALTCHA's form, easy enough for a
test, signed, for one place, good for once. Right by default; each ``Gap`` leaves one thing unchecked.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from botguard.behaviour import Behaviour, Behaviours
from botguard.model import default
from botguard.request.facts import Facts, Who
from botguard.sketch import SketchesHere
from botguard.telling import read
from botguard.verdict import Evidence, Stage, Thresholds, Verdict, decide
from gateway.crowd.bots.work import SLICE
from tests.gateway.crowd.naive_room import SECRET, NaiveRoom

Reply = tuple[int, list[tuple[str, str]], bytes]
TRIES_MOST = 400
assert TRIES_MOST < SLICE


class Gap(StrEnum):
    """What the guard leaves unchecked, or does too much."""

    SPENT = "an answer counts again and again"
    FOREIGN = "an answer of another place counts"
    FORGED = "a check of somebody's own making counts"
    REPEATED = "a repeated join gets another number"
    FIREFOX = "browsers that send no hints are refused at the join"
    STRICT = "what Firefox has solved never counts"
    UNASKED = "who was asked for a check before the turn is let in without it"
    FORGETS = "a movement that is told again is not known"
    SLOWS = "whoever tells a rhythm is slowed"
    HARSH = "people who do the check that they are asked for are not let in either"


class NaiveGuard(NaiveRoom):
    """A room that asks everybody for a check."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        per_minute: int = 1200,
        way: str = "work",
        gap: Gap | None = None,
        looks: Thresholds | None = None,
        asks: str = "prove",
    ) -> None:
        super().__init__(now_s, per_minute=per_minute)
        self.gap = gap
        self.way = way
        self.looks, self.asks = looks, asks
        self.asked: set[int] = set()
        self.told: dict[int, Behaviour] = {}
        self.behaviours = Behaviours(default, SketchesHere(86_400_000), lambda _: None)
        self.climbed: set[int] = set()
        self.spent: set[str] = set()
        self.devices: list[str] = []

    def handle(self, method: str, path: str, head: bytes, body: bytes = b"") -> Reply:
        """Answer what the check is about; the rest is the room's."""
        act = path.removeprefix("/.waitroom/r/main/")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if line)
        if act == "challenge" and method == "GET":
            return 200, [], f'<html data-way="{self.way}">'.encode()
        if act in {"challenge", "challenge/answer"}:
            return self._check(act, headers, json.loads(body))
        if act == "rhythm":
            return self._tell(_ticket(headers), json.loads(body))
        if act == "claim" and self._holder(headers) in self.asked and self.gap is not Gap.UNASKED:
            return 202, [("retry-after", "1")], json.dumps({"outcome": "check", "way": self.asks}).encode()
        if act == "join":
            return self._guarded(headers, super().handle(method, path, head, body))
        return super().handle(method, path, head, body)

    def _guarded(self, headers: dict[bytes, bytes], reply: Reply) -> Reply:
        status, told, said = reply
        if self.gap is Gap.FIREFOX and b"sec-ch-ua" not in headers:
            return 403, [], b'{"code":"forged"}'
        place = json.loads(said)
        if self.gap is Gap.REPEATED:
            place["number"] += 1000 + len(self.devices)
        if place["number"] not in self.climbed and self.looks is None:
            place["lane"] = "suspect"
        self.devices.append(headers.get(b"cookie", b"").decode())
        device = f"waitroom-device=d{len(self.devices)}; Path=/; HttpOnly"
        return status, [*told, ("set-cookie", device)], json.dumps(place).encode()

    def _check(self, act: str, headers: dict[bytes, bytes], wish: dict[str, Any]) -> Reply:
        ticket = _ticket(headers)
        number = self._number_of(ticket)
        if number is None:
            return 403, [], b'{"code":"ticket-invalid"}'
        if act == "challenge":
            if wish["way"] != "work":
                return (
                    200,
                    [],
                    json.dumps({"outcome": "issued", "way": wish["way"], "tag": str(number)}).encode(),
                )
            return 200, [], json.dumps({"outcome": "issued", "way": "work", **self._issue(number)}).encode()
        code = self._judged(number, wish, headers)
        if code:
            return 403, [], json.dumps({"code": f"challenge-{code}"}).encode()
        self.climbed.add(number)
        if self.gap is not Gap.HARSH:
            self.asked.discard(number)
        lifted = {
            "outcome": "lifted",
            "ticket": ticket,
            "run": self.line.run,
            "number": number,
            "lane": "standard",
        }
        return 200, [], json.dumps(lifted).encode()

    def _holder(self, headers: dict[bytes, bytes]) -> int | None:
        return self._number_of(_ticket(headers))

    def _tell(self, ticket: str, given: dict[str, object]) -> Reply:
        """Judge a rhythm: nothing else speaks for or against anybody here."""
        number = self._number_of(ticket)
        if number is None or self.looks is None:
            return 200, [], b'{"outcome":"noted"}'
        session = "main" if self.gap is Gap.FORGETS else f"main|{self.line.run}|{number}"
        found = self.told[number] = _now(self.behaviours.weigh(session, read(given), 0))
        verdict = decide(
            Evidence(Facts(Who.UNDECLARED), behaviour=found.odds), self.looks, Stage.SETTLE
        ).verdict
        if self.gap is Gap.SLOWS:
            return 200, [], json.dumps({"outcome": "slowed", "lane": "suspect", "ticket": ticket}).encode()
        if verdict is Verdict.ALLOW:
            return 200, [], b'{"outcome":"noted"}'
        self.asked.add(number)
        return 200, [], json.dumps({"outcome": "asked", "way": self.asks}).encode()

    def _issue(self, number: int) -> dict[str, Any]:
        salt, nonce = f"{number:032x}", f"{self._random.getrandbits(128):032x}"
        key = _hash(salt, nonce, self._random.randrange(TRIES_MOST))
        parameters = {
            "salt": salt,
            "nonce": nonce,
            "keyPrefix": key[:32],
            "data": {"for": number, "level": 0},
        }
        challenge = {"parameters": parameters, "signature": _signed(parameters)}
        return {"challenge": challenge, "tries_most": TRIES_MOST}

    def _judged(self, number: int, wish: dict[str, Any], headers: dict[bytes, bytes]) -> str:
        if wish["way"] != "work":
            return "" if wish["answer"].startswith("good:") else "wrong"
        brought = json.loads(base64.b64decode(wish["answer"]))
        parameters = brought["challenge"]["parameters"]
        if brought["challenge"]["signature"] != _signed(parameters) and self.gap is not Gap.FORGED:
            return "forged"
        if parameters["data"]["for"] != number and self.gap not in {Gap.FOREIGN, Gap.FORGED}:
            return "foreign"
        key = _hash(parameters["salt"], parameters["nonce"], brought["solution"]["counter"])
        if not key.startswith(parameters["keyPrefix"]):
            return "wrong"
        if parameters["nonce"] in self.spent and self.gap not in {Gap.SPENT, Gap.FOREIGN, Gap.FORGED}:
            return "spent"
        self.spent.add(parameters["nonce"])
        is_firefox = b"Firefox" in headers.get(b"user-agent", b"")
        return "wrong" if is_firefox and self.gap is Gap.STRICT else ""


def _ticket(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"cookie", b"").partition(b"waitroom-ticket-main=")[2].partition(b";")[0].decode()


def _now(weighing: Coroutine[object, None, Behaviour]) -> Behaviour:
    """Run to its end what never waits."""
    try:
        weighing.send(None)
    except StopIteration as end:
        found: Behaviour = end.value
        return found
    raise AssertionError("sketches in memory never wait")


def _hash(salt: str, nonce: str, counter: int) -> str:
    return hashlib.sha256(bytes.fromhex(salt + nonce) + counter.to_bytes(4, "big")).hexdigest()


def _signed(parameters: dict[str, Any]) -> str:
    return hmac.new(SECRET, json.dumps(parameters, sort_keys=True).encode(), "sha256").hexdigest()
