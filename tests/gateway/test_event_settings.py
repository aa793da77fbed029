"""Event settings: hosts that may be told are hosts, in any spelling, and what they allow is what targets may reach."""

from pathlib import Path

import pytest

from gateway.settings import Settings
from kernel.errors import Misconfigured


@pytest.mark.parametrize("name", ["event_hosts", "event_private_hosts"])
@pytest.mark.parametrize(
    "host", ["https://hooks.example", "hooks.example/x", "*", "", "a b", "hooks.example:443"]
)
def test_what_is_no_host_is_refused_by_name(name: str, host: str) -> None:
    """A filter that matches nothing would look like one that works."""
    with pytest.raises(Misconfigured) as refused:
        Settings(data=Path("data"), **{name: (host,)})  # type: ignore[arg-type]
    assert any(name.upper() in fault and repr(host) in fault for fault in refused.value.faults)


def test_hosts_become_what_may_be_reached() -> None:
    """Nothing private unless it is named."""
    usual = Settings(data=Path("data")).event_reach
    assert usual.fault("https://hooks.example/") == ""
    assert usual.fault("https://127.0.0.1/") != ""
    narrow = Settings(
        data=Path("data"), event_hosts=("Hooks.Example",), event_private_hosts=("127.0.0.1",)
    ).event_reach
    assert narrow.fault("https://hooks.example/") == ""
    assert narrow.fault("https://other.example/") != ""
    assert narrow.fault("http://127.0.0.1:8080/") == ""
