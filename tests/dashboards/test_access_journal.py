"""The journal of access: whatever is decided about people, tokens and targets stands in the chain, with who and why."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from dashboards import account_tables, events_api, journal_page
from dashboards.access_books import AccessBooks
from dashboards.rights import Role
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.oidc import Person as Somebody
from kernel.totp import STEP_MS, code_at
from tests.dashboards.desk import app_of, program
from tests.dashboards.outgoing import Parts, parts
from tests.dashboards.people import BY, CHEAP, KEY, PASSWORD, browser_of, someone
from waitroom import journal_writing
from waitroom.access_acts import ACCESS_WORDS, AccessAct
from waitroom.configure import Actor
from waitroom.event_words import LOUD, Moment, sentences
from waitroom.events import Told as Recorded
from waitroom.journal import Kind, NewEntry
from waitroom.target_desk import Act
from waitroom.target_round import sought_by
from waitroom.targets import Target, Way

ANN = Actor("Ann Lee", "she left")
MAIN = frozenset({"main"})


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock) -> Iterator[Parts]:
    """A journal, what reads it, and the targets."""
    with parts(f"sqlite:///{tmp_path / 'journal.db'}", clock) as joined:
        yield joined


@pytest.fixture
def books(made: Parts, tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """The books in the same database."""
    opened = AccessBooks(f"sqlite:///{tmp_path / 'journal.db'}", KEY, clock, cost=CHEAP)
    yield opened
    opened.close()
    assert made.journal.verify() is None


def _invite(books: AccessBooks, _: ManualClock) -> None:
    books.accounts.invite("Cleo", Role.OPERATOR, MAIN, ANN, "cleo@example.org")


def _accept(books: AccessBooks, clock: ManualClock) -> None:
    someone(books, clock, "Dan")


def _device(books: AccessBooks, clock: ManualClock) -> None:
    secret = b"another device......"
    assert books.accounts.set_device("Bob", secret, code_at(secret, clock.now_ms() // STEP_MS), "")


def _sign_out(books: AccessBooks, clock: ManualClock) -> None:
    books.sessions.begin("Bob", "sid", clock.now_ms() + 1000, "192.0.2.0/24", "password")
    books.sessions.end_all("bob", ANN)


Step = Callable[[AccessBooks, ManualClock], object]
STEPS: dict[AccessAct, Step] = {
    AccessAct.INVITED: _invite,
    AccessAct.ACCEPTED: _accept,
    AccessAct.CHANGED: lambda books, _: books.accounts.change("BOB", Role.VIEWER, None, ANN),
    AccessAct.RESET: lambda books, _: books.accounts.reset("bob", ANN),
    AccessAct.REMOVED: lambda books, _: books.accounts.remove("bob", ANN),
    AccessAct.SIGNED_OUT: _sign_out,
    AccessAct.PASSWORD: lambda books, _: books.accounts.set_password("Bob", "some other plain words", ""),
    AccessAct.DEVICE: _device,
    AccessAct.RECOVERY: lambda books, _: books.accounts.renew_recovery("Bob"),
    AccessAct.TOKEN_MADE: lambda books, _: books.tokens.add("deploy", Role.OPERATOR, MAIN, 1, ANN),
    AccessAct.TOKEN_REMOVED: lambda books, _: books.tokens.remove("OLD", ANN),
    AccessAct.CAME: lambda books, _: books.accounts.by_provider(
        Somebody("https://id.example", "s1", "eve@example.org", "")
    ),
}
"""How each act is done."""


def begun(books: AccessBooks, clock: ManualClock) -> None:
    """Bob, limited to a room; Eve, who waits at the provider; a token of the command line."""
    someone(books, clock, "Bob", Role.OPERATOR, MAIN)
    books.accounts.invite("Eve", Role.VIEWER, None, BY, "eve@example.org")
    books.tokens.add("old", Role.VIEWER, None, 1, BY)


@pytest.mark.parametrize("act", AccessAct)
def test_each_act_is_in_the_chain_and_has_a_sentence(
    made: Parts, books: AccessBooks, clock: ManualClock, act: AccessAct
) -> None:
    """By the name as it is written, of no room, with who and why, and all that its sentence wants."""
    begun(books, clock)
    before = made.journal.end()
    STEPS[act](books, clock)
    entry = made.journal.entries("", after_seq=before)[-1]

    assert (entry.kind, entry.room, entry.body["act"], entry.at_ms > 0) == (Kind.ACCESS, "", act.value, True)
    own = "{who}" not in ACCESS_WORDS[act]
    who = (entry.body["what"], "") if own else ("Ann Lee", "she left")
    assert (entry.body["who"], entry.body["why"]) == who
    assert entry.body["what"] in {"Bob", "Cleo", "Dan", "Eve", "deploy", "old"}
    (said,) = sentences(Recorded(entry))
    assert entry.body["what"] in said
    assert not {"?", "{"} & set(said)


def test_a_change_tells_what_was_before(made: Parts, books: AccessBooks, clock: ManualClock) -> None:
    """And one that changes nothing is no act."""
    begun(books, clock)
    books.accounts.change("Bob", Role.OPERATOR, MAIN, ANN)
    before = made.journal.end()
    books.accounts.change("Bob", Role.VIEWER, None, ANN)

    (entry,) = made.journal.entries("", after_seq=before)
    assert sentences(Recorded(entry)) == [
        "Ann Lee changed what Bob may: operator, main became viewer, all rooms."
    ]


def test_tokens_that_go_with_their_maker_are_told(
    made: Parts, books: AccessBooks, clock: ManualClock
) -> None:
    """Each for itself, in the same transaction."""
    someone(books, clock, "Bob")
    for name in ("one", "two"):
        books.tokens.add(name, Role.VIEWER, None, 1, BY, "Bob")
    before = made.journal.end()
    books.accounts.remove("Bob", ANN, keep_owner=False)

    told = [(entry.body["act"], entry.body["what"]) for entry in made.journal.entries("", after_seq=before)]
    assert told == [("removed", "Bob"), ("token-removed", "one"), ("token-removed", "two")]


def test_nothing_secret_is_in_the_chain(made: Parts, books: AccessBooks, clock: ManualClock) -> None:
    """No password, code, token or device, no mail address."""
    one = someone(books, clock, "Bob")
    _, code = books.accounts.invite("Cleo", Role.VIEWER, None, BY, "cleo@example.org")
    _, token = books.tokens.add("deploy", Role.VIEWER, None, 1, BY)
    again = books.accounts.reset("Cleo", ANN)
    codes = books.accounts.renew_recovery("Bob")
    text = json.dumps([dict(entry.body) for entry in made.journal.entries()])

    for secret in (PASSWORD, code, again, token, "cleo@", *codes, *one.recovery, one.secret.decode()):
        assert secret
        assert secret not in text


def _broken(*_: object) -> None:
    raise sa.exc.OperationalError("INSERT", {}, Exception("disk is full"))


@pytest.mark.parametrize("act", [act for act in AccessAct if act is not AccessAct.CAME])
def test_what_cannot_be_recorded_is_not_done(
    made: Parts, books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, act: AccessAct
) -> None:
    """Both in one transaction, whichever of the two fails."""
    begun(books, clock)
    before = _tables(books, sessions=act is not AccessAct.SIGNED_OUT)
    end = made.journal.end()
    with monkeypatch.context() as patch:
        patch.setattr(account_tables, "put", _broken)
        with pytest.raises(Unavailable):
            STEPS[act](books, clock)
    assert made.journal.end() == end
    assert _tables(books, sessions=act is not AccessAct.SIGNED_OUT) == before


def _tables(books: AccessBooks, *, sessions: bool) -> list[object]:
    names = ["operator_accounts", "operator_tokens", *(["operator_sessions"] if sessions else [])]
    with books.accounts._database.reading() as connection:
        return [
            row._asdict()
            for name in names
            for row in connection.execute(sa.select(account_tables.META.tables[name]))
        ]


def test_an_act_beside_its_record_is_noticed(
    made: Parts, books: AccessBooks, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the record is left out."""
    monkeypatch.setattr(account_tables, "put", lambda *_: [])
    with pytest.raises(IndexError):
        test_each_act_is_in_the_chain_and_has_a_sentence(made, books, clock, AccessAct.REMOVED)


# ------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize("act", [*[act for act in Act if act is not Act.TEST], "make", "remove"])
async def test_a_target_is_not_changed_without_its_record(
    made: Parts, monkeypatch: pytest.MonkeyPatch, act: Act | str
) -> None:
    """A process that dies between the two leaves neither."""
    given = {"name": "shop", "way": "webhook", "address": "https://hooks.example/x"}
    if act != "make":
        await made.desk.make(given, BY)
    before, end = await made.desk.all(), made.journal.end()
    with monkeypatch.context() as patch:
        patch.setattr(journal_writing, "insert_many", _broken)
        with pytest.raises(Unavailable):
            await _asked(made, act, given)
    assert (await made.desk.all(), made.journal.end()) == (before, end)


async def _asked(made: Parts, act: Act | str, given: dict[str, str]) -> None:
    if act == "make":
        await made.desk.make(given, ANN)
    elif act == "remove":
        await made.desk.remove("shop", ANN)
    else:
        await made.desk.act("shop", Act(act), {"from": 1}, ANN)


# ---------------------------------------------------------------------------- who sees it


def _written(made: Parts) -> None:
    made.journal.append(
        [
            NewEntry(1, "main", "", Kind.PHASE, {"phase": "ended"}),
            NewEntry(
                2,
                "",
                "",
                Kind.ACCESS,
                {"act": "removed", "what": "Bob", "why": "why the chain was asked"},
            ),
            NewEntry(3, "", "", Kind.TARGET, {"act": "made the target", "what": "hook", "who": "Ann Lee"}),
        ]
    )


@pytest.mark.parametrize(
    ("role", "rooms", "sees"),
    [
        (Role.OWNER, None, ["phase", "access", "target"]),
        (Role.OWNER, MAIN, ["phase"]),
        (Role.OPERATOR, None, ["phase"]),
        (Role.VIEWER, None, ["phase"]),
    ],
)
async def test_only_owners_of_everything_see_it(
    store: Redis, clock: ManualClock, made: Parts, books: AccessBooks, role: Role, rooms: frozenset[str] | None,
    sees: list[str],
) -> None:  # fmt: skip
    """In the feed, on the page, in what is taken along, and where the kind is named."""
    _written(made)
    _, token = books.tokens.add("deploy", role, rooms, 1, BY)
    app = app_of(store, clock, access=books, outgoing=made.outgoing)
    is_owner = len(sees) > 1
    async with program(app, token) as api:
        portion = (await api.get("/api/events?limit=3")).json()
        named = [await api.get("/api/events", params={"kind": kind}) for kind in ("access", "target")]
    assert [event["kind"] for event in portion["events"] if event["seq"] <= 3] == sees
    assert [answer.status_code for answer in named] == [200 if is_owner else 403] * 2

    async with browser_of(app, someone(books, clock, "Zoe", role, rooms), clock) as browser:
        pages = [await browser.get("/journal", params=asked) for asked in ({}, {"kind": "all"})]
        lines = (await browser.get("/journal/journal.jsonl?kind=all")).text
        named = [await browser.get("/journal", params={"kind": kind}) for kind in ("access", "target")]
    for text in (*(page.text for page in pages), lines):
        assert ("made the target" in text, "why the chain was asked" in text) == (is_owner, is_owner)
    assert [answer.status_code for answer in named] == [200 if is_owner else 422] * 2
    assert ('value="access"' in pages[0].text) is is_owner


@pytest.mark.parametrize("where", [events_api, journal_page])
async def test_what_is_shown_to_all_is_noticed(
    store: Redis, clock: ManualClock, made: Parts, books: AccessBooks, monkeypatch: pytest.MonkeyPatch,
    where: ModuleType,
) -> None:  # fmt: skip
    """The mutant: whoever asks for no kind gets all."""
    monkeypatch.setattr(where, "kinds_of", lambda _: frozenset())
    with pytest.raises(AssertionError):
        await test_only_owners_of_everything_see_it(store, clock, made, books, Role.OPERATOR, None, ["phase"])


def test_a_target_hears_of_people_only_where_it_names_them(made: Parts) -> None:
    """A chat is read by many: what is decided about people goes only where an owner said so."""
    target = Target("shop", Way.WEBHOOK, "https://hooks.example/x")
    assert Kind.ACCESS not in sought_by(target).kinds
    assert Kind.ACCESS in sought_by(replace(target, kinds=("access",))).kinds
    assert not {Moment.ACCESS, Moment.TARGET} & LOUD
