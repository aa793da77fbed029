"""Sockets: a connection for each fan, and what is said when the system allows fewer."""

from dataclasses import replace

import pytest

from gateway.crowd import sockets
from gateway.crowd.crowd import run_crowd
from gateway.crowd.plan import Plan
from gateway.crowd.sockets import TooFewSockets, check_sockets
from tests.gateway.crowd.test_wire import OK, Server, wired


async def test_each_pool_apart_keeps_a_connection_of_its_own() -> None:
    """Five fans who ask one after the other hold five sockets, and ask again on the same ones."""
    server = Server([OK])
    async with wired(server, connections=1) as wire:
        pools = [wire.apart() for _ in range(5)]
        for _ in range(3):
            for pool in pools:
                await pool.ask(b"GET", b"/")

        assert server.connections == server.open_now == 5
        assert wire.sockets == 5


async def test_without_pools_apart_one_connection_serves_all() -> None:
    """Mutant: the shared pool opens no more than it needs, so it would show nothing of open sockets."""
    server = Server([OK])
    async with wired(server, connections=5) as wire:
        for _ in range(15):
            await wire.ask(b"GET", b"/")

        assert server.connections == wire.sockets == 1


async def test_closing_the_wire_closes_every_pool_apart() -> None:
    """Nobody's socket is left open."""
    server = Server([OK])
    async with wired(server) as wire:
        for _ in range(3):
            await wire.apart().ask(b"GET", b"/")
        await wire.close()

        assert wire.sockets == 0


async def test_too_few_sockets_are_told_before_the_crowd_sets_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with both numbers and the way out."""
    monkeypatch.setattr(sockets, "most_connections", lambda: 896)

    check_sockets(896)
    with pytest.raises(TooFewSockets, match=r"2,000 sockets .* \(896\).*ulimit -Hn 2128"):
        await run_crowd(replace(Plan(), fans=2000, own_sockets=True))
