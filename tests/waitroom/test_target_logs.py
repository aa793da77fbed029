"""What is logged of targets: never an address, however it fails: whoever has that of a chat may write there."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from kernel import log as logs
from kernel import webhook
from kernel.backoff import LONGEST_MS
from kernel.clock import ManualClock
from kernel.database import address, close, engine
from tests.dashboards.outgoing import Parts, entry, parts
from waitroom import target_round
from waitroom.configure import Actor
from waitroom.journal import Kind
from waitroom.target_desk import Act

SECRET = "t0s-b0s-chat-secret"
"""It has no form by which the second net would know it."""
ANN = Actor("Ann", "try")


@pytest.fixture
def lines() -> Iterator[Callable[[], str]]:
    """Give all that is logged, by whomever, in both forms that lines are written in."""
    written, handlers, root = io.StringIO(), list[logging.Handler](), logging.getLogger()
    for form in (logs.JsonLines(), logs.TextLines()):
        handlers.append(logging.StreamHandler(written))
        handlers[-1].setFormatter(form)
        root.addHandler(handlers[-1])
    yield written.getvalue
    for handler in handlers:
        root.removeHandler(handler)


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock) -> Iterator[Parts]:
    """Give a journal with something to tell."""
    with parts(f"sqlite:///{tmp_path}/journal.db", clock) as found:
        found.journal.append([entry(Kind.PHASE, clock.now_ms(), phase="serving")])
        yield found


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """Listen; whoever connects gets these octets and no more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def tried(made: Parts, address: str) -> None:
    """Tell a chat at this address, and test it, as an owner does."""
    given = {"name": "team", "way": "chat", "address": address, "after": 0, "kinds": ["phase"]}
    await made.desk.make(given, ANN)
    await made.round.look()
    await made.round.told()
    await made.desk.act("team", Act.TEST, {}, ANN)
    await made.ways.close()


FAILURES = {
    "nobody listens": None,
    "no answer": b"",
    "no http": b"\x00\xff not http at all\r\n\r\n",
    "a bad status": b"HTTP/1.1 abc\r\n\r\n",
    "an answer that breaks off": b"HTTP/1.1 200 OK\r\ncontent-le",
    "a header without an end": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    "another place": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/" + SECRET.encode() + b"\r\n\r\n",
    "not here": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("how", FAILURES)
async def test_no_failing_connection_tells_the_address(
    made: Parts, lines: Callable[[], str], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Neither in the log, nor in what is shown of the try."""
    caplog.set_level(logging.DEBUG)
    answer = FAILURES[how]
    async with answering(answer or b"") as port:
        if answer is not None:
            await tried(made, f"http://127.0.0.1:{port}/services/{SECRET}?key={SECRET}")
    if answer is None:
        await tried(made, f"http://127.0.0.1:{port}/services/{SECRET}?key={SECRET}")

    target, tries = made.store.get("team"), made.store.deliveries("team")
    assert len(tries) == 2
    assert all(one.outcome in {"later", "away"} and one.why for one in tries)
    assert SECRET not in target.why + "".join(one.why for one in tries) + lines()


ADDRESS = f"http://127.0.0.1:9/services/{SECRET}"


def quoting(*_: Any, **__: Any) -> NoReturn:
    """Fail as a package might whose errors quote what they fell over, one caused by another."""
    raise RuntimeError(f"cannot post to {ADDRESS}") from KeyError(ADDRESS)


async def _looked(made: Parts, lines: Callable[[], str]) -> None:
    """Let the round begin, until it has said something."""
    made.round.start()
    while not lines():  # noqa: ASYNC110 - of a log there is no event
        await asyncio.sleep(0)
    await made.round.stop()
    await made.ways.close()


async def _told(made: Parts, _: Callable[[], str]) -> None:
    await made.round.look()
    await made.round.told()
    await made.ways.close()


@pytest.mark.parametrize(
    ("where", "name", "act", "module"),
    [
        ("aiohttp.ClientSession", "post", _told, webhook),
        ("waitroom.target_ways.TargetWays", "tell", _told, target_round),
        ("waitroom.target_store.TargetStore", "lease", _told, target_round),
        ("waitroom.target_store.TargetStore", "all", _looked, target_round),
    ],
)
async def test_what_was_not_foreseen_is_logged_without_the_address_and_the_mutant_quotes_it(
    made: Parts,
    lines: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    name: str,
    act: Callable[[Parts, Callable[[], str]], Awaitable[None]],
    module: ModuleType,
) -> None:
    """Kind and place of a failure are there, its words are not."""
    await made.desk.make(
        {"name": "team", "way": "chat", "address": ADDRESS, "after": 0, "kinds": ["phase"]}, ANN
    )
    monkeypatch.setattr(f"{where}.{name}", quoting)
    await act(made, lines)
    said = lines()
    with monkeypatch.context() as patch:
        patch.setattr(module, "described", repr)
        made.clock.advance(LONGEST_MS)
        await act(made, lambda: lines()[len(said) :])

    assert "RuntimeError at " in said
    assert "KeyError at " in said
    assert "quoting" in said
    assert SECRET not in said
    assert SECRET in lines()


def test_an_error_of_the_database_does_not_quote_what_was_to_be_written(tmp_path: Path) -> None:
    """Its parameters are an address, say."""
    made = engine(address(f"sqlite:///{tmp_path}/journal.db", "journal"), "journal")
    with made.connect() as connection, pytest.raises(sa.exc.OperationalError) as caught:
        connection.execute(sa.text("SELECT * FROM none WHERE a = :a"), {"a": SECRET})
    close(made)

    assert SECRET not in str(caught.value)
