"""The store's client: asks once, answers in time, and refuses a store that forgets."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kernel.embedded import EmbeddedStore
from kernel.errors import Misconfigured, Unavailable
from kernel.store import check, connect, translated


class LosesItsAnswer:
    """A server that takes the first INCR and hangs up, or says nothing; it answers every later one."""

    def __init__(self, hang_up: bool) -> None:
        self.hang_up = hang_up
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        while data := await reader.read(4096):
            if b"INCR" not in data:
                writer.write(b"+OK\r\n")
                continue
            self.asked += 1
            if self.asked > 1:
                writer.write(b":2\r\n")
            elif self.hang_up:
                break
        writer.close()
        await writer.wait_closed()


async def times_asked(make: Callable[[int], Redis], server: LosesItsAnswer) -> int:
    """Send one INCR to the server and return how many it saw."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    client = make(listening.sockets[0].getsockname()[1])
    with contextlib.suppress(RedisConnectionError, RedisTimeoutError):
        await client.incr("n")
    await client.aclose()
    listening.close()
    await listening.wait_closed()
    return server.asked


async def test_a_command_whose_answer_was_lost_is_not_sent_again() -> None:
    """It may have run: repeating it by itself would count a fan twice."""
    assert await times_asked(lambda port: connect(f"redis://127.0.0.1:{port}"), LosesItsAnswer(True)) == 1


async def test_a_store_that_says_nothing_is_given_up_after_the_timeout_and_asked_once() -> None:
    """The deadline is the caller's argument."""
    silent = LosesItsAnswer(hang_up=False)

    assert await times_asked(lambda port: connect(f"redis://127.0.0.1:{port}", timeout_s=0.05), silent) == 1


async def test_the_librarys_own_defaults_would_send_it_again() -> None:
    """The mutant: with redis-py's client as it comes the check above fails."""
    assert await times_asked(lambda port: Redis(host="127.0.0.1", port=port), LosesItsAnswer(True)) == 2


@pytest.mark.parametrize(
    "option", ["retry_on_timeout=yes", "retry_on_error=x", "decode_responses=1", "protocol=3"]
)
def test_an_address_cannot_switch_repeating_on(option: str) -> None:
    """In redis-py the query string beats the arguments."""
    with pytest.raises(Misconfigured, match=option.partition("=")[0]):
        connect(f"redis://localhost/0?{option}")


async def test_when_all_connections_are_busy_a_command_waits_for_one(store_url: str) -> None:
    """A burst beyond `max_connections` is slower, not an error."""
    client = connect(store_url, max_connections=2)

    answers = await asyncio.gather(*(client.echo(f"{n}") for n in range(20)))
    await client.aclose()

    assert answers == [f"{n}".encode() for n in range(20)]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port",
        "redis://h?socket_timeout=x",
        "redis://[::1",
        "redis://:pass/word@h",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_start(url: str) -> None:
    """Before anything is sent; the text does not repeat the address, which may hold a password."""
    with pytest.raises(Misconfigured, match="address") as refusal:
        connect(url)

    assert "pass/" not in str(refusal.value)
    assert "'pass'" not in str(refusal.value)


async def test_a_healthy_store_passes_the_check(store: Redis) -> None:
    """The embedded store is set up right."""
    await check(store)


async def test_a_store_that_evicts_is_refused(store: Redis) -> None:
    """A full store must say no; with any other policy it silently forgets places."""
    await store.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Misconfigured, match=r"allkeys-lru.*noeviction"):
            await check(store)
    finally:
        await store.config_set("maxmemory-policy", "noeviction")


async def test_a_store_that_cannot_be_reached_is_unavailable() -> None:
    """At start, too: the supervisor may wait for it."""
    client = connect("unix:///nowhere/store.sock")

    with pytest.raises(Unavailable) as refusal:
        await check(client)
    await client.aclose()

    assert (refusal.value.code, refusal.value.status) == ("store-away", 503)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RedisConnectionError("reset"), "store-away"),
        (RedisTimeoutError("late"), "store-away"),
        (TimeoutError(), "store-away"),
        (ConnectionRefusedError(), "store-away"),
        (ResponseError("OOM command not allowed"), "store-refused"),
    ],
)
def test_the_clients_errors_become_unavailable(error: Exception, code: str) -> None:
    """With a stable code, the cause kept for the log, nothing of it in the public text."""
    with pytest.raises(Unavailable) as refusal, translated():
        raise error

    assert refusal.value.code == code
    assert refusal.value.__cause__ is error
    assert "OOM" not in refusal.value.public


@pytest.mark.parametrize("error", [ValueError("ours"), asyncio.CancelledError(), Misconfigured("x")])
def test_other_errors_pass_through(error: BaseException) -> None:
    """A mistake in our code is not dressed up as an outage."""
    with pytest.raises(type(error)) as kept, translated():
        raise error

    assert kept.value is error


async def test_after_a_crash_of_the_store_the_first_command_works_again(tmp_path: Path) -> None:
    """While it is away a command fails at once; a dead connection is noticed before the next is sent."""
    embedded = EmbeddedStore(tmp_path)
    client = connect(embedded.start())
    try:
        assert await asyncio.gather(*(client.incr("n") for _ in range(5))) == [1, 2, 3, 4, 5]
        await client.execute_command("WAITAOF", 1, 0, 5000)
        embedded.kill()
        with pytest.raises(Unavailable), translated():
            await client.incr("n")
        embedded.restart()

        assert await client.incr("n") == 6
    finally:
        await client.aclose()
        embedded.stop()
