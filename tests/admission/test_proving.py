"""Proving: a bound place at the door: the question, its answer, and what a copy of the ticket is worth."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from admission.guard import proven
from admission.keyring import KeyRing
from admission.proof import LIFE_MS
from admission.proving import Proving
from admission.service import Granted
from admission.tokens import Claims
from kernel.clock import ManualClock, SystemClock
from kernel.errors import Refused, Unavailable
from kernel.store import connect
from tests.admission.doors import LIMITS, NOW_MS, ROOM, a_line
from tests.admission.house import House, house
from tests.admission.proofs import BrowserKey
from tests.admission.test_web import CLAIM, LEAVE, TICKET, client

OWN, THIEF = BrowserKey(7), BrowserKey(8)
PLAIN = replace(LIMITS, new_users_per_minute=6_000, total_active_users=1_000)


async def bound_house(store: Redis, *, at_ms: int | None = None) -> House:
    """Give a door before which every place is bound to OWN."""
    await a_line(store)
    own = house(store, SystemClock() if at_ms is None else ManualClock(at_ms), PLAIN)
    own.places.changes = {"key": OWN.thumbprint}
    return own


def shown(proof: str) -> dict[str, str]:
    """Show a proof with the ticket."""
    return {**TICKET, "waitroom-proof": proof}


def counted(own: House) -> dict[str, float]:
    """Return what was counted of proofs."""
    return {
        sample.labels["outcome"]: sample.value
        for family in own.registry.collect()
        if family.name == "waitroom_admission_proofs"
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def question(web: httpx.AsyncClient, path: str = CLAIM) -> dict[str, Any]:
    """Act without a proof; return what is asked."""
    answer = await web.post(path, headers=TICKET)
    assert (answer.status_code, answer.json()["code"]) == (401, "proof-needed")
    asked: dict[str, Any] = answer.json()
    return asked


async def test_a_copied_ticket_fails_at_the_claim_and_its_owner_comes_in(store: Redis) -> None:
    """Without the key, with another, with a stranger's answer: refused in words; the turn is still there."""
    own = await bound_house(store)
    async with client(own) as web:
        asked = await question(web)
        stolen = await web.post(CLAIM, headers=shown(THIEF.answer(ROOM, asked)))
        posed = await web.post(CLAIM, headers=shown(THIEF.answer(ROOM, asked).replace("e", "f", 1)))
        form = await web.post(CLAIM, data={"target": "/"}, headers=TICKET)
        mine = await web.post(CLAIM, headers=shown(OWN.answer(ROOM, asked)))

    assert (stolen.status_code, stolen.json()["code"], stolen.json()["reason"]) == (
        403,
        "proof-wrong",
        "other-key",
    )
    assert posed.status_code == 403
    assert form.status_code == 401
    assert "not lost" in asked["detail"]
    assert not [answer for answer in (stolen, posed, form) if "set-cookie" in answer.headers]
    assert mine.json()["outcome"] == "admitted"
    assert counted(own) == {"needed": 2, "other-key": 1, "malformed": 1, "good": 1}


async def test_the_admission_names_the_key_through_its_renewals(store: Redis) -> None:
    """`cnf.jkt` (RFC 7800): a backend may ask for a proof of its own; other rooms' admissions have none."""
    own = await bound_house(store)
    async with client(own) as web:
        asked = await question(web)
        token = (await web.post(CLAIM, headers=shown(OWN.answer(ROOM, asked)))).json()["admission"]
        renewed = await own.admission.renew(ROOM, token)
        own.places.changes = {}
        plain = (await web.post(CLAIM, headers={"waitroom-ticket": "5"})).json()["admission"]

    found = [own.admission.verify(ROOM, text) for text in (token, renewed or "", plain)]
    assert [one.key for one in found if isinstance(one, Claims)] == [OWN.thumbprint, OWN.thumbprint, ""]
    assert isinstance(found[2], Claims)
    assert "cnf" not in found[2].members()


async def test_a_backend_may_ask_for_a_proof_of_its_own(store: Redis) -> None:
    """`guard.proven`: the admission's key, the backend's nonce, the act of a visit; a claim's proof is none."""
    own = await bound_house(store, at_ms=NOW_MS)
    with pytest.raises(Refused) as asked:
        await own.admission.claim(ROOM, "3", NOW_MS)
    granted = await own.admission.claim(ROOM, "3", NOW_MS, proof=OWN.answer(ROOM, asked.value.extra))
    assert isinstance(granted, Granted)
    claims = own.admission.verify(ROOM, granted.token, NOW_MS)
    assert isinstance(claims, Claims)
    visit = {
        "act": "visit",
        "room": ROOM,
        "run": claims.run,
        "nonce": "theirs",
        "iat": NOW_MS // 1000,
        "jti": "v" * 22,
    }

    assert proven(claims, OWN.proof(visit), "theirs", NOW_MS) == "v" * 22
    assert proven(claims, OWN.proof(visit), "older", NOW_MS) is None
    assert proven(claims, THIEF.proof(visit), "theirs", NOW_MS) is None
    assert proven(claims, OWN.proof(visit | {"act": "claim"}), "theirs", NOW_MS) is None
    assert proven(claims, OWN.proof(visit | {"run": "f" * 16}), "theirs", NOW_MS) is None
    assert proven(claims, "", "theirs", NOW_MS) is None
    assert proven(replace(claims, key=""), OWN.proof(visit), "theirs", NOW_MS) is None


async def test_a_proof_is_good_once_and_a_repeat_signs_anew(store: Redis) -> None:
    """Who listened in has nothing; the same fan gets the same admission again with a new one."""
    own = await bound_house(store)
    async with client(own) as web:
        asked = await question(web)
        proof = OWN.answer(ROOM, asked)
        first = await web.post(CLAIM, headers=shown(proof))
        replayed = await web.post(CLAIM, headers=shown(proof))
        again = await web.post(CLAIM, headers=shown(OWN.answer(ROOM, replayed.json(), jti="k" * 22)))

    assert (replayed.status_code, replayed.json()["code"]) == (409, "proof-used")
    assert first.json()["admission"] == again.json()["admission"]
    keys = [key for key in await store.keys("wr:*") if b":proof:" in key]
    assert len(keys) == 2
    assert all([0 < await store.pttl(key) <= 3 * LIFE_MS for key in keys])


async def test_the_mutant_that_forgets_what_was_used_lets_a_replay_in(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without SET NX the test above would see it."""
    own = await bound_house(store)

    async def forgets(*_: object) -> bool:
        return True

    monkeypatch.setattr(own.store, "spend_proof", forgets)
    async with client(own) as web:
        proof = OWN.answer(ROOM, await question(web))
        codes = [(await web.post(CLAIM, headers=shown(proof))).status_code for _ in range(2)]

    assert codes == [200, 200]


async def test_nobody_gives_a_bound_place_up_without_its_key(store: Redis) -> None:
    """A thief may not make the owner lose it; a proof for a claim does not leave, nor the other way round."""
    own = await bound_house(store)
    async with client(own) as web:
        asked = await question(web, LEAVE)
        crossed = await web.post(CLAIM, headers=shown(OWN.answer(ROOM, asked)))
        stolen = await web.post(LEAVE, headers=shown(THIEF.answer(ROOM, asked)))
        left = await web.post(LEAVE, headers=shown(OWN.answer(ROOM, asked)))

    assert asked["act"] == "leave"
    assert crossed.json()["reason"] == "other-act"
    assert (stolen.status_code, left.json()) == (403, {"outcome": "left"})


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"room": "side"}, "other-room"),
        ({"run": "f" * 16}, "other-place"),
        ({"number": 4}, "other-place"),
        ({"act": "carry"}, "other-act"),
        ({"nonce": "made.up.nonce"}, "stale"),
        ({"nonce": ""}, "stale"),
        ({"iat": 0}, "stale"),
        ({"jti": "short"}, "malformed"),
    ],
)
async def test_a_proof_of_something_else_is_refused(store: Redis, other: dict[str, Any], reason: str) -> None:
    """The refusal says why and asks anew, so that the page can answer at once."""
    own = await bound_house(store)
    async with client(own) as web:
        asked = await question(web)
        answer = await web.post(CLAIM, headers=shown(OWN.answer(ROOM, asked, **other)))

    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
        403,
        "proof-wrong",
        reason,
    )
    assert {"nonce", "at_s", "key", "run", "number"} <= answer.json().keys()


async def test_what_was_signed_ahead_is_worth_nothing(store: Redis) -> None:
    """A script that had the key for a moment cannot claim hours later: it has not heard that question."""
    own = await bound_house(store, at_ms=NOW_MS)
    with pytest.raises(Refused) as early:
        await own.admission.claim(ROOM, "3", NOW_MS)
    later_ms = NOW_MS + LIFE_MS
    ahead = OWN.answer(ROOM, early.value.extra, iat=later_ms // 1000)

    with pytest.raises(Refused) as refused:
        await own.admission.claim(ROOM, "3", later_ms, proof=ahead)
    assert (refused.value.code, refused.value.extra["reason"]) == ("proof-wrong", "stale")
    found = await own.admission.claim(ROOM, "3", later_ms - 1, proof=OWN.answer(ROOM, early.value.extra))
    assert isinstance(found, Granted)


async def test_the_mutant_that_believes_any_nonce_takes_what_was_signed_ahead(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above must see: hours later, with a time of its own choice."""
    own = await bound_house(store, at_ms=NOW_MS)
    monkeypatch.setattr(Proving, "_is_ours", lambda *_: True)
    with pytest.raises(Refused) as early:
        await own.admission.claim(ROOM, "3", NOW_MS)
    later_ms = NOW_MS + 60 * LIFE_MS
    ahead = OWN.answer(ROOM, early.value.extra, iat=later_ms // 1000)

    assert isinstance(await own.admission.claim(ROOM, "3", later_ms, proof=ahead), Granted)


async def test_a_question_of_another_room_or_house_is_not_ours(store: Redis) -> None:
    """Its nonce is signed, with the room in it."""
    own = await bound_house(store, at_ms=NOW_MS)
    with pytest.raises(Refused) as asked:
        await own.admission.claim(ROOM, "3", NOW_MS)
    for nonce in (
        own.ring.signer("cookie", "proof").sign(f"side|{NOW_MS}".encode()),
        own.ring.signer("cookie", "other").sign(f"{ROOM}|{NOW_MS}".encode()),
        KeyRing.fresh(NOW_MS).signer("cookie", "proof").sign(f"{ROOM}|{NOW_MS}".encode()),
    ):
        with pytest.raises(Refused, match="proof-wrong"):
            await own.admission.claim(
                ROOM, "3", NOW_MS, proof=OWN.answer(ROOM, asked.value.extra, nonce=nonce)
            )


async def test_while_the_store_is_away_no_proof_counts(store: Redis) -> None:
    """A replay could not be told; the claim itself needs the store as well."""
    own = await bound_house(store, at_ms=NOW_MS)
    with pytest.raises(Refused) as asked:
        await own.admission.claim(ROOM, "3", NOW_MS)
    own.store._client = connect("unix:///nowhere.sock")

    with pytest.raises(Unavailable):
        await own.admission.claim(ROOM, "3", NOW_MS, proof=OWN.answer(ROOM, asked.value.extra))


async def test_a_room_without_binding_asks_for_nothing(store: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claims are what they were: no proof is looked at, whatever somebody shows."""
    own = await bound_house(store)
    own.places.changes = {}
    monkeypatch.setattr(own.admission.proving, "check", None)
    async with client(own) as web:
        answer = await web.post(CLAIM, headers=shown("rubbish"))

    assert answer.json()["outcome"] == "admitted"
