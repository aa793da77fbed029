"""What the shop reads of a request before it acts: whose page it is, under which key, and what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.requests import BODY_MOST_BYTES, idempotency_key, read_object, same_site
from kernel.asgi import Message
from kernel.errors import Refused

VISIBLE = "".join(chr(number) for number in range(0x21, 0x7F) if chr(number) != ":")


def a_request(*headers: tuple[str, str | bytes]) -> dict[str, Any]:
    """Make a scope with these headers."""
    raw = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in headers
    ]
    return {"type": "http", "headers": raw}


def refusal_of(*headers: tuple[str, str | bytes]) -> str:
    """Return the code with which these headers' key is refused."""
    with pytest.raises(Refused) as refused:
        idempotency_key(a_request(*headers))
    assert refused.value.status == 400
    return refused.value.code


@given(st.text(VISIBLE, min_size=1, max_size=128).filter(lambda text: not text.startswith('"')))
def test_a_bare_key_is_itself(key: str) -> None:
    """Any 1 to 128 visible ASCII characters but a colon."""
    assert idempotency_key(a_request(("idempotency-key", key))) == key


@given(st.text(VISIBLE, min_size=1, max_size=128))
def test_a_quoted_key_means_what_it_quotes(key: str) -> None:
    """RFC 9651: a string in quotes, in which quotes and backslashes have a backslash before them."""
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert idempotency_key(a_request(("idempotency-key", quoted))) == key


def test_quotes_do_not_make_another_key() -> None:
    """A client that learnt to quote repeats its old request."""
    key = "8e03978e-40d5-43dd-bc93-6894a57f9324"

    assert idempotency_key(a_request(("idempotency-key", f'"{key}"'))) == key


@pytest.mark.parametrize(
    "value",
    [
        "", '""', '"', "a b", '"a b"', "a:b", '"a:b"', "waitlist:1", "a" * 129, '"' + "a" * 129 + '"', "ä", "a\x7f",
        "a\tb", '"a', '"a"b', '"a"b"', '"a";p=1', '"a\\b"', '"a\\"', b"\xff", "🎫".encode(), "\x00",
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_refused(value: str | bytes) -> None:
    """Too short, too long, a colon, something invisible, half a quotation, parameters."""
    assert refusal_of(("idempotency-key", value)) == "key-malformed"


def test_two_keys_are_none() -> None:
    """Nobody could say which of them counts."""
    assert refusal_of(("idempotency-key", "a"), ("idempotency-key", "b")) == "key-malformed"


def test_a_key_must_be_there() -> None:
    """Another header is no key."""
    assert refusal_of(("host", "shop")) == "key-missing"


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ((), True),
        ((("sec-fetch-site", "same-origin"),), True),
        ((("sec-fetch-site", "none"),), True),
        ((("sec-fetch-site", "same-site"),), False),
        ((("sec-fetch-site", "cross-site"),), False),
        ((("sec-fetch-site", ""),), False),
        ((("sec-fetch-site", "cross-site"), ("origin", "https://shop"), ("host", "shop")), False),
        ((("sec-fetch-site", "same-origin"), ("origin", "https://evil"), ("host", "shop")), True),
        ((("origin", "https://shop"), ("host", "shop")), True),
        ((("origin", "http://shop:8080"), ("host", "shop:8080")), True),
        ((("origin", "https://shop:8443"), ("host", "shop")), False),
        ((("origin", "https://evil"), ("host", "shop")), False),
        ((("origin", "https://evil"),), False),
        ((("origin", "null"), ("host", "shop")), True),
    ],
)
def test_a_page_of_another_site_may_not_act(headers: tuple[tuple[str, str], ...], may: bool) -> None:
    """What the browser says of the page counts; where it says nothing, the page's origin does."""
    if may:
        same_site(a_request(*headers))
        return
    with pytest.raises(Refused) as refused:
        same_site(a_request(*headers))

    assert (refused.value.code, refused.value.status) == ("cross-site", 403)


async def read(kind: str | None, *parts: bytes, ends: bool = True) -> tuple[bytes, dict[str, Any]]:
    """Read a body that comes in parts."""
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    left.append({"type": "http.request"} if ends else {"type": "http.disconnect"})

    async def receive() -> Message:
        return left.pop(0)

    return await read_object(a_request(*([("content-type", kind)] if kind is not None else [])), receive)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=1"]
)
async def test_a_body_is_read_as_it_came(kind: str) -> None:
    """In parts, with whatever its kind says beside the kind."""
    assert await read(kind, b'{"seats"', b":[1]} ") == (b'{"seats":[1]} ', {"seats": [1]})


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        (None, b"{}", 415, "content-type-unknown"),
        ("", b"{}", 415, "content-type-unknown"),
        ("text/plain", b"{}", 415, "content-type-unknown"),
        ("application/jsonx", b"{}", 415, "content-type-unknown"),
        ("application/x-www-form-urlencoded", b"{}", 415, "content-type-unknown"),
        ("application/json", b"", 400, "body-not-json"),
        ("application/json", b"{", 400, "body-not-json"),
        ("application/json", b'{"a":"\xff"}', 400, "body-not-json"),
        ("application/json", b'{"a":NaN}', 400, "body-not-json"),
        ("application/json", b"[" * 5000, 400, "body-not-json"),
        ("application/json", b"[1]", 400, "body-not-object"),
        ("application/json", b"null", 400, "body-not-object"),
        ("application/json", b'"a"', 400, "body-not-object"),
        ("application/json", b" " * (BODY_MOST_BYTES + 1), 413, "body-too-large"),
    ],
)
async def test_a_bad_body_is_refused(kind: str | None, body: bytes, status: int, code: str) -> None:
    """Each fault has its own code."""
    with pytest.raises(Refused) as refused:
        await read(kind, body)

    assert (refused.value.status, refused.value.code) == (status, code)


async def test_a_caller_who_goes_away_is_heard_of() -> None:
    """Half a body is not a smaller one."""
    with pytest.raises(Refused, match="body-incomplete"):
        await read("application/json", b"{}", ends=False)
