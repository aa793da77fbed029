"""The references: they answer what they are said to answer, so that a ratio compares like with like."""

import httpx
from redis.asyncio import Redis

from bench import references


def client(app: object) -> httpx.AsyncClient:
    """Ask an application in process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://bench")  # type: ignore[arg-type]


async def test_the_hello_says_hello() -> None:
    """The bare Starlette answers 200 and five letters."""
    async with client(references.starlette_hello) as fan:
        answer = await fan.get("/")

    assert (answer.status_code, answer.text) == (200, "hello")


async def test_the_raw_answer_has_the_size_that_is_asked_for() -> None:
    """The raw answer is as long as its setting says, with a right Content-Length."""
    async with client(references.raw_hello) as fan:
        answer = await fan.get("/anything")

    assert answer.content == b"x" * 5
    assert answer.headers["content-length"] == "5"


async def test_the_naive_join_takes_one_number_for_each_request(store: Redis) -> None:
    """The join that everybody writes first: one INCR, numbers from 0."""
    references.use_store(store)
    async with client(references.naive_join) as fan:
        numbers = [(await fan.post("/.waitroom/r/bench/join", json={})).json()["number"] for _ in range(3)]

    assert numbers == [0, 1, 2]
