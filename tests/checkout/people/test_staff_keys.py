"""Staff keys: what must be remembered so that an answer counts once, for its own person, session and purpose."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.people import proofs, staff_keys
from checkout.people.factors import DEVICE, FAILURES_MOST, PAPER, Factors, Shown, new_secret
from checkout.people.proofs import PROOF_MS, PROOFS_MOST, Whose
from checkout.people.staff_keys import KEYS_MOST, StaffKeys
from checkout.tables import STAFF_KEYS, STAFF_PROOFS
from kernel.clock import ManualClock
from kernel.errors import Refused
from kernel.security_keys import KeySite
from kernel.totp import code_at
from tests.checkout.people.sealed import keys_in
from tests.kernel.authenticator import Authenticator, trusting

NOW_MS = 1_800_000_000_000
SITE = KeySite("desk.example", "Waitroom", "https://desk.example")
IDA, BOB = Whose("ida", "session-of-ida"), Whose("bob", "session-of-bob")
OTHER_SESSION = Whose("ida", "another-session")


@dataclass
class Desk:
    """Keys and codes of one worker."""

    clock: ManualClock
    keys: StaffKeys
    factors: Factors

    async def add(self, whose: Whose = IDA, label: str = "Blue") -> tuple[Authenticator, Sequence[str]]:
        """Make a key for somebody; returns it, and recovery codes."""
        key = Authenticator(SITE.origin)
        codes = await self.keys.add(whose, key.make(await self.keys.ask_for_new(whose)), label)
        return key, codes

    async def prove(self, key: Authenticator, whose: Whose = IDA) -> str:
        """Show a key; returns the code that it is worth."""
        return await self.keys.prove(whose, key.get(await self.keys.ask(whose)))


@pytest.fixture
def desk(shop_database: ShopDatabase, tmp_path: Path) -> Desk:
    """Open keys and codes."""
    clock, keys = ManualClock(NOW_MS), keys_in(tmp_path)
    return Desk(clock, StaffKeys(shop_database, keys, clock, SITE), Factors(shop_database, keys, clock))


async def refused(act: Any) -> str:
    """Tell the code by which an act is refused."""
    with pytest.raises(Refused) as caught:
        await act
    return caught.value.code


async def test_a_key_is_made_and_is_worth_a_code_for_one_act(desk: Desk) -> None:
    """In its own session, once, and it is told which key it was; recovery codes come with the first factor only."""
    first, codes = await desk.add()
    desk.clock.advance(1)
    second, none = await desk.add(label="  Red\nkey " + "x" * 60)
    code = await desk.prove(first)
    elsewhere = await desk.factors.look("ida", code, OTHER_SESSION.session)
    spent = await desk.factors.look("ida", code, IDA.session)
    right = await desk.factors.look("ida", await desk.prove(second), IDA.session)
    again_code = await desk.prove(second)
    found = [await desk.factors.look("ida", again_code, IDA.session) for _ in range(2)]
    with_a_token = await desk.factors.look("ida", await desk.prove(first))
    listed = await desk.keys.keys("ida")

    assert (len(codes), none) == (10, ())
    assert (elsewhere.shown, spent.shown) == (Shown.WRONG, Shown.WRONG)
    assert (right.shown, right.by) == (Shown.RIGHT, second.id)
    assert [one.shown for one in found] == [Shown.RIGHT, Shown.WRONG]
    assert with_a_token.shown is Shown.WRONG
    assert [one.label for one in listed] == ["Blue", ("Red key " + "x" * 60)[:40]]
    assert await desk.factors.show("ida", codes[0]) is Shown.RIGHT
    assert await desk.factors.show("ida", "") is Shown.MISSING


async def test_an_answer_counts_once(desk: Desk) -> None:
    """A challenge is gone with its first answer, also with one that was refused."""
    key, _ = await desk.add()
    answer = key.get(await desk.keys.ask(IDA))
    await desk.keys.prove(IDA, answer)
    replayed = await refused(desk.keys.prove(IDA, answer))
    wrong = await desk.keys.ask(IDA)
    key.origin = "https://evil.test"
    first = await refused(desk.keys.prove(IDA, key.get(wrong)))
    key.origin = SITE.origin
    second = await refused(desk.keys.prove(IDA, key.get(wrong)))

    assert {replayed, first, second} == {"key-refused"}


async def test_without_taking_the_challenge_away_an_answer_would_count_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a challenge stays. The counter is out of the way, as with keys that are copied."""
    key, _ = await desk.add()
    key.step = 0
    answer = key.get(await desk.keys.ask(IDA))
    monkeypatch.setattr(proofs, "take", lambda *_: "")

    assert len({await desk.keys.prove(IDA, answer) for _ in range(2)}) == 2


async def test_of_many_answers_at_once_one_counts(desk: Desk) -> None:
    """The same answer in many hands."""
    key, _ = await desk.add()
    key.step = 0
    answer = key.get(await desk.keys.ask(IDA))
    found = await asyncio.gather(*(desk.keys.prove(IDA, answer) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(one, str) for one in found) == 1
    assert all(isinstance(one, str | Refused) for one in found)


async def test_a_challenge_and_a_code_are_over_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the millisecond; the mutant gives them a day."""
    key, _ = await desk.add()

    async def late(wait_ms: int) -> tuple[str, Shown]:
        answer = key.get(await desk.keys.ask(IDA))
        code = await desk.prove(key)
        desk.clock.advance(wait_ms)
        shown = await desk.factors.show("ida", code, IDA.session)
        key.count += 2
        answer = answer if wait_ms >= PROOF_MS else key.get({"rpId": SITE.id, "challenge": challenge(answer)})
        try:
            return await desk.keys.prove(IDA, answer), shown
        except Refused as error:
            return error.code, shown

    just = await late(PROOF_MS - 1)
    over = await late(PROOF_MS)
    monkeypatch.setattr(proofs, "PROOF_MS", 86_400_000)
    key.step = 0
    answer = key.get(await desk.keys.ask(IDA))
    desk.clock.advance(PROOF_MS)
    key.step = 1
    mutant = await desk.keys.prove(IDA, key.get({"rpId": SITE.id, "challenge": challenge(answer)}))

    assert just[0].startswith("key_")
    assert just[1] is Shown.RIGHT
    assert over == ("key-refused", Shown.WRONG)
    assert mutant.startswith("key_")


def challenge(answer: dict[str, Any]) -> str:
    """Read which challenge an answer is to."""
    from kernel.security_keys import challenge_of

    return challenge_of(answer)


async def test_a_key_answers_for_its_own_person_and_session(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's key, another's challenge, another session's, and a challenge for making one: none counts."""
    key, _ = await desk.add()
    other, _ = await desk.add(BOB)
    with_mine = await refused(desk.keys.prove(IDA, other.get(await desk.keys.ask(IDA))))
    to_mine = await refused(desk.keys.prove(BOB, other.get(await desk.keys.ask(IDA))))
    session = await refused(desk.keys.prove(OTHER_SESSION, key.get(await desk.keys.ask(IDA))))
    new = await desk.keys.ask_for_new(IDA)
    purpose = await refused(desk.keys.prove(IDA, key.get({"rpId": SITE.id, "challenge": new["challenge"]})))
    question = await desk.keys.ask(IDA)
    made = Authenticator(SITE.origin)
    crossed = await refused(
        desk.keys.add(IDA, made.make({"rp": {"id": SITE.id}, "challenge": question["challenge"]}), "x")
    )

    assert {with_mine, to_mine, session, purpose, crossed} == {"key-refused"}


async def test_without_the_persons_name_anybodys_key_would_do(
    desk: Desk, shop_database: ShopDatabase
) -> None:
    """The mutant: a key is looked for by its id only. Here: a row that somebody gave to another person."""
    await desk.add()
    other, _ = await desk.add(BOB)
    with shop_database.writing() as connection:
        connection.execute(sa.update(STAFF_KEYS).values(name="ida"))

    assert (await desk.prove(other)).startswith("key_")


async def test_a_counter_that_goes_back_is_refused_and_told_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has a copy. The mutant that forgets the count lets it in."""
    key, _ = await desk.add()
    for _ in range(3):
        await desk.prove(key)
    key.count = 1
    code = await refused(desk.prove(key))
    monkeypatch.setattr("webauthn.verify_authentication_response", trusting(credential_current_sign_count=0))

    assert code == "key-refused"
    assert [
        (one.who, "count" in one.why) for one in caplog.records if one.getMessage() == "a key was refused"
    ] == [  # type: ignore[attr-defined]
        ("ida", True)
    ]
    assert (await desk.prove(key)).startswith("key_")


async def test_a_key_is_added_once_and_not_to_two_people(desk: Desk) -> None:
    """Whoever sends another's key as a new one is refused."""
    key, _ = await desk.add()
    stolen = key.make(await desk.keys.ask_for_new(BOB))

    assert await refused(desk.keys.add(BOB, stolen, "mine")) == "key-refused"
    assert await desk.keys.keys("bob") == []
    assert await desk.factors.show("bob", "") is Shown.NOT_NEEDED


async def test_the_last_factor_stays(desk: Desk) -> None:
    """A key goes while another one or a device is there, and a device while there is a key."""
    key, _ = await desk.add()
    last = await desk.keys.remove("ida", key.id)
    secret = new_secret()
    wrong = await desk.factors.put_device("ida", secret, "x")
    kept = await desk.factors.put_device("ida", secret, code_at(secret, NOW_MS // 30_000))
    anothers = await desk.keys.remove("bob", key.id)
    gone = await desk.keys.remove("ida", key.id)
    device = await desk.factors.drop_device("ida")
    await desk.add()
    dropped = await desk.factors.drop_device("ida")

    assert (last, wrong, kept, anothers, gone, device, dropped) == (False, None, (), False, True, False, True)


async def test_a_code_tells_what_has_shown_it(desk: Desk) -> None:
    """So that what is taken away is not what is shown."""
    secret = new_secret()
    clock_code = code_at(secret, NOW_MS // 30_000)
    codes = await desk.factors.put_device("ida", secret, clock_code)
    assert codes is not None
    used = await desk.factors.look("ida", clock_code)
    desk.clock.advance(30_000)
    device = await desk.factors.look("ida", pyotp.TOTP(base32(secret)).at(desk.clock.now_ms() // 1000))
    paper = await desk.factors.look("ida", codes[0])
    renewed = await desk.factors.renew_recovery("ida")
    old = await desk.factors.look("ida", codes[1])

    assert used.shown is Shown.WRONG
    assert (device.by, paper.by, old.shown) == (DEVICE, PAPER, Shown.WRONG)
    assert len(set(renewed) | set(codes)) == 20
    assert await desk.factors.renew_recovery("nobody") == ()
    assert (await desk.factors.having("ida")).recovery == 10


def base32(secret: bytes) -> str:
    """Write a secret as devices read it."""
    import base64

    return base64.b32encode(secret).decode()


async def test_wrong_codes_keep_no_key_out(desk: Desk) -> None:
    """Whoever has a session could lock its person out otherwise; a key's code cannot be guessed."""
    key, codes = await desk.add()
    for _ in range(FAILURES_MOST):
        await desk.factors.show("ida", "x")
    guessed = [await desk.factors.show("ida", "key_x", IDA.session) for _ in range(2 * FAILURES_MOST)]

    assert await desk.factors.show("ida", codes[0]) is Shown.LOCKED
    assert set(guessed) == {Shown.WRONG}
    assert await desk.factors.show("ida", await desk.prove(key), IDA.session) is Shown.RIGHT


async def test_questions_and_keys_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks and never answers; another person is not kept waiting, and time makes room."""
    await desk.add()
    await desk.add(BOB)
    for _ in range(PROOFS_MOST):
        await desk.keys.ask(IDA)
    busy = await refused(desk.keys.ask(IDA))
    await desk.keys.ask(BOB)
    desk.clock.advance(PROOF_MS)
    await desk.keys.ask(IDA)
    monkeypatch.setattr(staff_keys, "KEYS_MOST", 1)

    assert busy == "keys-busy"
    assert await refused(desk.keys.ask_for_new(IDA)) == "keys-full"
    assert await refused(desk.keys.ask(Whose("cy", "s"))) == "key-none"
    assert KEYS_MOST == 10


async def test_the_database_has_no_challenge_and_no_code(desk: Desk, shop_database: ShopDatabase) -> None:
    """Hashes of both; a public key is none of anybody's secrets."""
    key, codes = await desk.add()
    question = await desk.keys.ask(IDA)
    code = await desk.prove(key)
    with shop_database.reading() as connection:
        dump = str([connection.execute(sa.select(table)).all() for table in (STAFF_PROOFS, STAFF_KEYS)])

    assert not any(text in dump for text in (question["challenge"], code, *codes))
