"""Reach: an address that somebody else chose leads to the open network or nowhere, even if a name turns."""

from typing import Any

import aiohttp
import pytest

from kernel.addresses import is_public
from kernel.reach import Reach, wrong_hosts
from kernel.sending import Outcome
from kernel.webhook import NOT_ALLOWED, Hooks
from tests.waitroom.receivers import receiving

ANY = Reach()
SOME = Reach(hosts=("hooks.example", "*.chat.example"))
INSIDE = Reach(private=("10.0.0.7", "hook.internal"))

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::", "2001::1", "::127.0.0.1", "", "host", "1.2.3", "0x7f.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_open_network_is_not_public(address: str) -> None:
    """Also in the clothes of IPv6, and what cannot be read."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_the_open_network_is_public(address: str) -> None:
    """Both families."""
    assert is_public(address)


@pytest.mark.parametrize(
    ("reach", "url", "fine"),
    [
        (ANY, "https://hooks.example/a?b=c", True),
        (ANY, "https://hooks.example:8443/", True),
        (ANY, "https://1.1.1.1/", True),
        (ANY, "http://hooks.example/", False),
        (ANY, "ftp://hooks.example/", False),
        (ANY, "file:///etc/passwd", False),
        (ANY, "gopher://hooks.example/", False),
        (ANY, "//hooks.example/", False),
        (ANY, "https:///", False),
        (ANY, "https://", False),
        (ANY, "hooks.example", False),
        (ANY, "", False),
        (ANY, "https://user@hooks.example/", False),
        (ANY, "https://user:secret@hooks.example/", False),
        (ANY, "https://hooks.example/#part", False),
        (ANY, "https://hooks.example:0/", False),
        (ANY, "https://hooks.example:99999/", False),
        (ANY, "https://hooks.example:x/", False),
        (ANY, "https://hooks.example/\r\nx: y", False),
        (ANY, "https://hooks.example/ x", False),
        (ANY, "https://hooks.example\\@10.0.0.1/", False),
        (ANY, "https://[::1/", False),
        (ANY, "https://höoks.example/", False),
        *((ANY, f"https://{f'[{one}]' if ':' in one else one}/", False) for one in PRIVATE[:8] + PRIVATE[12:14]),
        (ANY, "https://[::ffff:10.0.0.1]/", False),
        (ANY, "https://[64:ff9b::a9fe:a9fe]/", False),
        (SOME, "https://hooks.example/", True),
        (SOME, "https://HOOKS.example./", True),
        (SOME, "https://a.b.chat.example/", True),
        (SOME, "https://chat.example/", False),
        (SOME, "https://hooks.example.evil.example/", False),
        (SOME, "https://evilhooks.example/", False),
        (SOME, "https://evilchat.example/", False),
        (SOME, "https://1.1.1.1/", False),
        (INSIDE, "http://hook.internal/", True),
        (INSIDE, "https://10.0.0.7/", True),
        (INSIDE, "http://10.0.0.7:8080/x", True),
        (INSIDE, "https://10.0.0.8/", False),
        (INSIDE, "http://hooks.example/", False),
    ],
)  # fmt: skip
def test_an_address_is_looked_at_when_it_is_written_down(reach: Reach, url: str, fine: bool) -> None:
    """https, a public host, one of those that may be; nothing that two readers read in two ways."""
    assert (reach.fault(url) == "") is fine


def test_hosts_of_the_settings_are_hosts() -> None:
    """An address is one, too."""
    assert wrong_hosts(["a.example", "*.a.example", "localhost", "10.0.0.1", "::1"]) == []
    wrong = ["", "*", "a*.example", "http://a.example", "a.example/x", "a b", "*.*.a"]
    assert wrong_hosts(wrong) == wrong


class Turning(aiohttp.ThreadedResolver):
    """A name server that says one thing first and another afterwards."""

    told: list[str]

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        """Give the next address."""
        del family
        return [
            {"hostname": host, "host": self.told.pop(0), "port": port, "family": 2, "proto": 0, "flags": 0}
        ]


async def test_what_a_name_stands_for_is_looked_at_with_every_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that turns to an address of ours reaches nothing; where that host may be private it does (the mutant)."""
    monkeypatch.setattr(aiohttp, "ThreadedResolver", Turning)
    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        for reach, outcome, heard in (
            (Reach(), Outcome.LATER, 0),
            (Reach(private=("turning.example",)), Outcome.SENT, 1),
        ):
            monkeypatch.setattr(Turning, "told", ["127.0.0.1"], raising=False)
            hooks = Hooks(10, reach.may_reach)
            result = await hooks.post(f"http://turning.example:{port}/hook", b"{}", {}, 0)
            await hooks.close()
            assert (result.outcome, len(receiver.heard)) == (outcome, heard)
            assert (result.why == NOT_ALLOWED) is (outcome is Outcome.LATER)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_this_machine_is_not_reached_however_it_is_written(host: str) -> None:
    """Numbers that only the system's resolver reads as an address are read by it, and looked at then."""
    async with receiving() as receiver:
        hooks = Hooks(10, Reach().may_reach)
        result = await hooks.post(f"http://{host}:{receiver.url.rpartition(':')[2]}/hook", b"{}", {}, 0)
        await hooks.close()
    assert (result.outcome in {Outcome.LATER, Outcome.AWAY}, receiver.heard) == (True, [])


async def test_a_redirection_is_not_followed() -> None:
    """It would carry what was signed elsewhere."""
    async with receiving() as receiver:
        receiver.statuses = [307]
        hooks = Hooks(10)
        result = await hooks.post(f"{receiver.url}/hook", b"{}", {}, 0)
        await hooks.close()
    assert (result.outcome, result.why, len(receiver.heard)) == (Outcome.LATER, "307", 1)
