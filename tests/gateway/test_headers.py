"""Which headers a proxy may pass on, and which it must take out or add."""

from gateway.headers import (
    Client,
    Header,
    is_clean,
    is_host,
    keep_private,
    to_client,
    to_origin,
    value,
    values,
    without_our_cookies,
)

STRANGER = Client("203.0.113.9", "203.0.113.9", b"http", b"shop.example", trusted=False)
OURS = Client("10.0.0.1", "203.0.113.9", b"https", b"shop.example", trusted=True)
COOKIE = "waitroom-admission-main"


def onward(headers: list[Header], client: Client = STRANGER) -> dict[bytes, bytes]:
    """Give what goes on as a dict; repeats are joined as RFC 9110 allows."""
    out: dict[bytes, bytes] = {}
    for name, text in to_origin(headers, client=client, admission_cookie=COOKIE, keep_host=True):
        out[name] = out[name] + b", " + text if name in out else text
    return out


def test_hop_by_hop_headers_and_those_that_connection_names_end_here() -> None:
    """RFC 9110 section 7.6.1; the framing cannot be stripped that way."""
    sent = [
        (b"host", b"shop.example"),
        (b"content-length", b"3"),
        (b"connection", b"close, X-Private, Content-Length, host"),
        (b"x-private", b"1"),
        (b"te", b"trailers"),
        (b"trailer", b"x"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"keep-alive", b"5"),
        (b"proxy-authorization", b"Basic x"),
        (b"expect", b"100-continue"),
        (b"accept", b"a"),
        (b"accept", b"b"),
    ]

    told = onward(sent)

    assert told.keys() == {
        b"host", b"content-length", b"accept", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
        b"x-real-ip",
    }  # fmt: skip
    assert told[b"accept"] == b"a, b"


def test_nobody_can_say_waitroom_headers_for_us_in_any_spelling() -> None:
    """An origin behind WSGI cannot tell ``_`` from ``-``."""
    told = onward(
        [(b"waitroom-session", b"me"), (b"waitroom_lane", b"verified"), (b"x_forwarded_for", b"1.1.1.1")]
    )

    assert not any(name.startswith((b"waitroom", b"x_")) for name in told)


def test_a_stranger_cannot_say_who_it_is() -> None:
    """Forwarding headers of an untrusted peer are replaced, those that rewrite the path are dropped."""
    forged = [
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"evil.example"),
        (b"forwarded", b"for=1.1.1.1"),
        (b"x-real-ip", b"1.1.1.1"),
        (b"x-original-url", b"/admin"),
        (b"x-rewrite-url", b"/admin"),
        (b"cf-connecting-ip", b"1.1.1.1"),
    ]

    told = onward([(b"host", b"shop.example"), *forged])

    assert told == {
        b"host": b"shop.example",
        b"x-forwarded-for": b"203.0.113.9",
        b"x-forwarded-proto": b"http",
        b"x-forwarded-host": b"shop.example",
        b"x-real-ip": b"203.0.113.9",
    }


def test_what_a_trusted_proxy_said_is_kept_and_extended() -> None:
    """The chain grows by the peer; an RFC 7239 header is extended where there is one."""
    told = onward(
        [
            (b"x-forwarded-for", b"203.0.113.9"),
            (b"forwarded", b"for=203.0.113.9"),
            (b"x-forwarded-port", b"443"),
        ],
        OURS,
    )

    assert told[b"x-forwarded-for"] == b"203.0.113.9, 10.0.0.1"
    assert told[b"forwarded"] == b"for=203.0.113.9, for=10.0.0.1;proto=https"
    assert told[b"x-forwarded-proto"] == b"https"
    assert told[b"x-forwarded-port"] == b"443"
    assert told[b"x-real-ip"] == b"203.0.113.9"


def test_an_ipv6_proxy_is_quoted_in_forwarded() -> None:
    """RFC 7239 section 6."""
    told = onward([(b"forwarded", b"for=a")], Client("::1", "::1", b"http", b"h", trusted=True))

    assert told[b"forwarded"] == b'for=a, for="[::1]";proto=http'
    assert b"forwarded" not in onward([], Client("::1", "::1", b"http", b"h", trusted=True))


def test_of_our_cookies_the_origin_sees_only_this_rooms_admission() -> None:
    """Tickets and the visitor's id are none of the origin's business; its own cookies stay untouched."""
    text = (
        b"a=1; waitroom-ticket-main=x; __Host-waitroom-visitor=y; "
        b'waitroom-admission-main=z; waitroom-admission-other=o; b="2; 3"'
    )

    assert without_our_cookies(text, keep=COOKIE) == b'a=1; waitroom-admission-main=z; b="2; 3"'
    assert without_our_cookies(b"a=1;b=2", keep=COOKIE) == b"a=1;b=2"
    assert b"cookie" not in onward([(b"cookie", b"waitroom-visitor=y")])


def test_the_clients_host_can_be_kept_from_the_origin() -> None:
    """``keep_host`` false: the origin sees its own name; other cookies go on as they are."""
    sent = [(b"host", b"shop.example"), (b"cookie", b"a=1")]

    told = to_origin(sent, client=STRANGER, admission_cookie=COOKIE, keep_host=False)

    assert values(told, b"host") == []
    assert values(told, b"cookie") == [b"a=1"]
    assert values(told, b"x-forwarded-host") == [b"shop.example"]


def test_the_first_value_of_a_header_counts_where_one_is_asked_for() -> None:
    """Nothing is an empty text."""
    assert value([(b"a", b"1"), (b"a", b"2")], b"a") == b"1"
    assert value([], b"a") == b""


def test_an_answer_loses_its_hop_and_keeps_its_repeats_and_order() -> None:
    """Several Set-Cookie headers stay several."""
    answer = [
        (b"Set-Cookie", b"a=1"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Date", b"x"),
        (b"Set-Cookie", b"b=2"),
    ]

    assert to_client(answer, status=200, method="GET") == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_a_length_is_told_only_where_it_is_true() -> None:
    """Not with 204 and 304, not beside chunks; to HEAD it is the length there would be."""
    length = [(b"content-length", b"5")]
    chunked = [*length, (b"transfer-encoding", b"chunked")]

    assert to_client(length, status=200, method="GET") == length
    assert to_client(length, status=200, method="HEAD") == length
    assert to_client(length, status=304, method="GET") == []
    assert to_client(length, status=204, method="GET") == []
    assert to_client(chunked, status=200, method="GET") == []


def test_a_header_that_could_split_the_response_is_not_clean() -> None:
    """CR, LF, NUL and odd names are what response splitting is made of."""
    assert is_clean([(b"x-a", b"tab\tand \xc3\xa9")])
    for bad in (
        (b"x", b"a\r\nb: c"),
        (b"x", b"a\nb"),
        (b"x", b"a\0"),
        (b"x y", b"a"),
        (b"", b"a"),
        (b"x:", b"a"),
    ):
        assert not is_clean([bad])


def test_a_host_is_a_name_or_an_address_with_a_port() -> None:
    """Whatever else stands there is not for links or for the origin."""
    assert all(is_host(host) for host in (b"shop.example", b"shop.example:8080", b"[::1]:80", b"127.0.0.1"))
    assert not any(is_host(host) for host in (b"", b"a b", b"a/b", b"a@b", b"a,b", b"a:b", b"[::1", b'a"b'))


def test_a_response_with_our_cookie_is_kept_out_of_shared_caches() -> None:
    """``public`` becomes ``private``; what is private already stays as it is."""
    public = [(b"cache-control", b"public, max-age=600"), (b"a", b"b")]
    private = [(b"cache-control", b"private, max-age=600")]

    assert values(keep_private(public), b"cache-control") == [b"private"]
    assert keep_private(private) == private
    assert values(keep_private([]), b"cache-control") == [b"private"]
