"""Target: an admitted fan goes on to this site or to a listed one, never where a stranger's link points."""

import pytest

from admission.targets import MAX_CHARS, checked
from kernel.errors import Refused

HOSTS = frozenset({"shop.example", "test.example:8443"})


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/", "/"),
        ("/shop?a=1&b=%20#top", "/shop?a=1&b=%20#top"),
        ("/konzert/größe", "/konzert/gr%C3%B6%C3%9Fe"),
        ("/a//b", "/a//b"),
        ("/redirect?to=https://evil.example", "/redirect?to=https://evil.example"),
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example:443/x", "https://shop.example:443/x"),
        ("https://SHOP.example./x", "https://SHOP.example./x"),
        ("https://test.example:8443/x", "https://test.example:8443/x"),
    ],
)
def test_a_good_target_is_kept(target: str, location: str) -> None:
    """Written so that it may stand in a header."""
    assert checked(target, HOSTS) == location


@pytest.mark.parametrize(
    "target",
    [
        "", "shop", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/a\\b",
        "/\tevil", "/a\nSet-Cookie: x=1", "/a\r\n", "/\x00", "/\x7f", "/ a", " /a",
        "http://shop.example/", "HTTPS://shop.example/", "https:shop.example", "https:/shop.example",
        "https://evil.example/", "https://shop.example.evil.example/", "https://evil.example/shop.example",
        "https://shop.example@evil.example/", "https://user@shop.example/", "https://shop.example:8443/",
        "https://test.example/", "https://shop.example:port/", "https://[::1/", "https://", "https:///x",
        "https://ѕhop.example/", "javascript:alert(1)", "data:text/html,x", "/" + "a" * MAX_CHARS,
    ],
)  # fmt: skip
def test_anything_else_is_refused(target: str) -> None:
    """Other hosts and schemes, tricks with slashes, user names, ports, look-alikes, control characters."""
    with pytest.raises(Refused) as refused:
        checked(target, HOSTS)

    assert (refused.value.code, refused.value.status) == ("target-not-allowed", 400)
