"""Fraud: says what becomes of an attempt to pay, and keeps in mind what people do with seats.

* ``judge`` is asked before the provider is, and once more when the payment is authorised and its card is known. It is
  the same attempt with the same id, so it counts once; only the card's windows are new then. BLOCK means: do not ask
  the provider, or let the authorisation go. REVIEW means: authorise, then wait for a person (``review``).
* ``held``, ``dropped`` and ``declined`` note what happened. They answer as well, by the lists and by the windows that
  they write; nobody is asked where they are. Who has no use for the answer leaves it.

**A sale never stops because of a check.** The store away, or slower than ``store_ms``: nothing is counted, and the
policy says whether that is a review. As it comes it is none: nothing speaks against a buyer whom nobody has counted,
and a slow machine would send hundreds to a person who has nothing to go by. It is written down beside the order all the
same. The scorer away: the policy says so too, and as it comes a person looks. Both are counted, and the log says once
when it begins and once when it is over. Whoever is refused anyway is not told to the scorer.

Not here: the rules (``rules``), limits on seats (``holds``), the queue's rows and the money (``orders``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from checkout.fraud.geo import Geo
from checkout.fraud.lists import Lists, Spellings
from checkout.fraud.ports import FraudMetrics, Scorer, Windows
from checkout.fraud.rules import Found, Policy, Score, Verdict, decide
from checkout.fraud.scorer import question
from checkout.fraud.signals import Attempt, Kind, Pseudonyms, is_weak, subjects
from checkout.fraud.windows import Act, Answer, Window, windows_of
from kernel.errors import Unavailable
from kernel.places import Place
from kernel.tasks import is_ending
from kernel.watched import Watched

log = logging.getLogger(__name__)

STORE_MS = 500
PARTS = 10
LOOK_S = 5.0


class Fraud:
    """Use cases of the fraud checks, for one worker."""

    def __init__(
        self,
        windows: Windows,
        pseudonyms: Pseudonyms,
        policy: Policy,
        metrics: FraudMetrics,
        *,
        geo: Geo | None = None,
        lists: Lists | None = None,
        scorer: Scorer | None = None,
        with_address: bool = False,
        store_ms: int = STORE_MS,
    ) -> None:
        """`with_address`: the scorer gets whole addresses."""
        self._windows = windows
        self._pseudonyms = pseudonyms
        self._policy = policy
        self._metrics = metrics
        self._geo = geo
        self._lists = lists
        self._scorer = scorer
        self._with_address = with_address
        self._store_s = store_ms / 1_000
        self._is_away = False

    async def judge(self, attempt: Attempt) -> Verdict:
        """Say what becomes of an attempt to pay."""
        names = self._pseudonyms.all_of(subjects(attempt))
        place = None if self._geo is None else self._geo.look(attempt.address)
        found = await self._found(attempt, names, Act.PAY, place)
        verdict = decide(self._policy, found)
        if self._scorer is not None and verdict.answer is not Answer.BLOCK:
            told = question(attempt, names, place, found.counts, with_address=self._with_address)
            score = await self._scorer.ask(told)
            self._metrics.fraud_scores.count("scored" if isinstance(score, Score) else score.value)
            verdict = decide(self._policy, replace(found, score=score))
        self._metrics.fraud_verdicts.count(verdict.answer.value)
        self._count_reasons(verdict)
        return verdict

    async def held(self, attempt: Attempt) -> Verdict:
        """Note that seats were picked; ``id`` is the hold's."""
        return await self._note(attempt, Act.PICK)

    async def dropped(self, attempt: Attempt) -> Verdict:
        """Note that a hold was given back, or has lapsed."""
        return await self._note(attempt, Act.DROP)

    async def declined(self, attempt: Attempt) -> Verdict:
        """Note that the buyer's bank said no."""
        return await self._note(attempt, Act.DECLINE)

    def country(self, address: str) -> str:
        """Tell the country of an address (ISO 3166), '' where no file knows."""
        place = None if self._geo is None else self._geo.look(address)
        return "" if place is None else place.country

    async def run(self, every_s: float = LOOK_S) -> None:
        """Look after the files, for ever."""
        while not is_ending():
            await self.refresh()
            await asyncio.sleep(every_s)

    async def refresh(self) -> None:
        """Take over the files that have changed."""
        for file in self._files():
            try:
                await file.refresh()
            except Exception:
                self._metrics.fraud_reloads.count("failed")
                log.exception("looking after a file failed; the next look follows", extra={"file": file.name})

    async def close(self) -> None:
        """Let go of the scorer's connections."""
        if self._scorer is not None:
            await self._scorer.close()

    def _files(self) -> Sequence[Watched[Any]]:
        return (
            *(() if self._geo is None else self._geo.files),
            *(() if self._lists is None else self._lists.files),
        )

    async def _note(self, attempt: Attempt, act: Act) -> Verdict:
        names = self._pseudonyms.all_of(subjects(attempt))
        found = await self._found(attempt, names, act, None)
        # Nobody was asked where they are, and nothing can wait for a person here.
        verdict = decide(Policy(self._policy.limits, store_away=Answer.ALLOW), found)
        self._count_reasons(verdict)
        return verdict

    async def _found(
        self, attempt: Attempt, names: Mapping[Kind, str], act: Act, place: Place | None
    ) -> Found:
        member = self._pseudonyms.of(act, attempt.id)
        counts = await self._counts(windows_of(self._policy.limits, act, names, member))
        found = Found(counts=counts, place=place, is_weak=is_weak(attempt))
        if self._lists is None:
            return found
        listed = self._lists.find(_spellings(attempt, names, place), attempt.address)
        return replace(found, blocked=listed.blocked, allowed=listed.allowed)

    async def _counts(self, windows: Sequence[Window]) -> Mapping[str, int] | None:
        """Count; None when the store is away or too slow."""
        counts: Mapping[str, int] | None = None
        try:
            counts = await _within(self._windows.count(windows), self._store_s)
        except (Unavailable, TimeoutError) as error:
            self._metrics.fraud_without.count("store")
            if not self._is_away:
                log.warning("fraud checks go on without the store", extra={"error": str(error)})
            self._is_away = True
        else:
            if self._is_away:
                log.warning("fraud checks count again")
            self._is_away = False
        return counts

    def _count_reasons(self, verdict: Verdict) -> None:
        for reason in verdict.reasons:
            self._metrics.fraud_reasons.count(reason.word)


async def _within(asking: Awaitable[Mapping[str, int]], seconds: float) -> Mapping[str, int]:
    """Wait for an answer. Raises ``TimeoutError``.

    It waits in parts, so that time in which this process itself stood still is one of them: the answer is there by
    then, and nobody has looked. In one piece a busy machine would take the store for slow.
    """
    answer = asyncio.ensure_future(asking)
    try:
        for _ in range(PARTS):
            await asyncio.wait((answer,), timeout=seconds / PARTS)
            if answer.done():
                return answer.result()
        raise TimeoutError(f"no answer within {seconds:g} s")
    finally:
        answer.cancel()


def _spellings(attempt: Attempt, names: Mapping[Kind, str], place: Place | None) -> Spellings:
    """Name somebody in all the ways that may stand on a list: in clear and as a pseudonym.

    A device that is only a guess stands on none: it is not one person's.
    """
    spelt: dict[Kind, Sequence[str]] = {
        kind: (plain, names[kind])
        for kind, plain in (
            (Kind.ACCOUNT, attempt.account),
            (Kind.DEVICE, attempt.device),
            (Kind.CARD, attempt.card),
        )
        if plain
    }
    if attempt.email_domain:
        spelt[Kind.EMAIL] = (attempt.email_domain,)
    if place is not None and place.country:
        spelt[Kind.COUNTRY] = (place.country,)
    return spelt
