"""Access: how long an address waits, how long a session lasts, and what ends it."""

import json

import pytest
from starlette.requests import Request

from dashboards.access import (
    SESSION_MS,
    SIGN_IN_MS,
    Session,
    Sessions,
    digest_of,
    same_origin,
    same_token,
)
from dashboards.wait_book import ROWS_MOST, Attempts
from kernel.clock import ManualClock
from kernel.signing import Signer

TOKEN = "throwaway-operator-token"
SIGNER = Signer([("k1", b"0" * 32)], "operator")


def asked(cookie: bytes = b"", **headers: str) -> Request:
    """Make a request that carries a Set-Cookie value back, and other headers."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": [(b"cookie", cookie.partition(b";")[0]), *pairs]})


def test_waiting_doubles_with_each_failure_and_has_a_limit() -> None:
    """Four failures are free, the fifth costs ten seconds, and nobody waits longer than fifteen minutes."""
    attempts = Attempts(5)

    waits = [attempts.failed("192.0.2.1", 0) for _ in range(40)]

    assert waits[:8] == [0, 0, 0, 0, 10_000, 20_000, 40_000, 80_000]
    assert set(waits[12:]) == {900_000}


@pytest.mark.parametrize(("now_ms", "left_ms"), [(0, 10_000), (9_999, 1), (10_000, 0), (10_001, 0)])
def test_the_wait_ends_on_the_millisecond(now_ms: int, left_ms: int) -> None:
    """An address may try again when its time is up."""
    attempts = Attempts(1)
    attempts.failed("192.0.2.1", 0)

    assert attempts.wait_ms("192.0.2.1", now_ms) == left_ms


def test_other_addresses_do_not_wait() -> None:
    """Only who failed waits; neighbours in an IPv6 /64 are one."""
    attempts = Attempts(1)
    attempts.failed("192.0.2.1", 0)
    attempts.failed("2001:db8::1", 0)
    attempts.failed("local", 0)

    assert attempts.wait_ms("192.0.2.2", 0) == 0
    assert attempts.wait_ms("2001:db8::ffff", 0) == 10_000
    assert attempts.wait_ms("2001:db8:0:1::1", 0) == 0
    assert attempts.wait_ms("local", 0) == 10_000


def test_old_failures_are_forgotten_and_memory_is_bounded() -> None:
    """An hour after its wait an address begins anew; a flood of addresses pushes the oldest out."""
    attempts = Attempts(1)
    attempts.failed("192.0.2.1", 0)
    assert attempts.failed("192.0.2.1", 10_000 + 3_600_000) == 10_000
    assert attempts.failed("192.0.2.1", 20_000 + 3_600_000) == 20_000

    for index in range(ROWS_MOST):
        attempts.failed(f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", 4_000_000)
    assert len(attempts._failures) == ROWS_MOST
    assert attempts.wait_ms("192.0.2.1", 3_620_000) == 0


def test_tokens_compare_whole_and_by_hash() -> None:
    """A beginning of the token is not the token; strange characters are no crash."""
    wanted = digest_of(TOKEN)

    assert same_token(TOKEN, wanted)
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü", "\udcff"):
        assert not same_token(wrong, wanted)


@pytest.mark.parametrize(("who", "lasts_ms"), [("Ann", SESSION_MS), ("", SIGN_IN_MS)])
def test_a_session_lasts_its_time_and_not_a_millisecond_longer(who: str, lasts_ms: int) -> None:
    """Half-open: alive while now is before its end."""
    clock = ManualClock(1_000_000)
    sessions = Sessions(SIGNER, TOKEN, clock, secure=True)
    session = sessions.new(who)
    request = asked(sessions.cookie(session))
    read = sessions.read if who else sessions.read_form

    assert read(request) == session
    clock.advance(lasts_ms - 1)
    assert read(request) == session
    clock.advance(1)
    assert read(request) is None


def test_the_cookie_is_as_strict_as_cookies_get() -> None:
    """HttpOnly, SameSite=Strict, and bound to the host with TLS."""
    sessions = Sessions(SIGNER, TOKEN, ManualClock(0), secure=True)

    cookie = sessions.cookie(sessions.new("Ann")).decode()

    assert cookie.startswith("__Host-waitroom-operator=")
    assert cookie.endswith("; Path=/; SameSite=Strict; Max-Age=43200; HttpOnly; Secure")
    plain = Sessions(SIGNER, TOKEN, ManualClock(0), secure=False)
    assert plain.cookie(plain.new("Ann")).startswith(b"waitroom-operator=")


def test_a_form_session_is_no_session_of_a_person() -> None:
    """Nor the other way round: each has its own cookie, and swapping the names does not help."""
    sessions = Sessions(SIGNER, TOKEN, ManualClock(0), secure=False)
    form, person = sessions.cookie(sessions.new()), sessions.cookie(sessions.new("Ann"))

    assert sessions.read(asked(form)) is None
    assert sessions.read_form(asked(person)) is None
    assert sessions.read(asked(form.replace(b"operator-form=", b"operator="))) is None
    assert sessions.read_form(asked(person.replace(b"operator=", b"operator-form="))) is None


def test_what_ends_a_session() -> None:
    """Signing out, a new operator token, a changed paper; and a paper made for something else is none."""
    clock = ManualClock(0)
    sessions = Sessions(SIGNER, TOKEN, clock, secure=False)
    session = sessions.new("Ann")
    cookie = sessions.cookie(session)
    assert sessions.read(asked(cookie)) == session

    assert Sessions(SIGNER, TOKEN + "2", clock, secure=False).read(asked(cookie)) is None
    assert sessions.read(asked(cookie[:-60])) is None
    for payload in (b"{}", b"[]", b"nothing", json.dumps({"sid": 1}).encode(), b"csrf\0x"):
        forged = f"waitroom-operator={SIGNER.sign(payload)}".encode()
        assert sessions.read(asked(forged)) is None
    assert sessions.end(session).startswith(b"waitroom-operator=; ")
    assert sessions.read(asked(cookie)) is None
    clock.advance(SESSION_MS)
    sessions.end(sessions.new("Bob"))
    assert session.sid not in sessions._ended


def test_a_csrf_paper_belongs_to_one_session() -> None:
    """Another session's paper, a forged one and none do not hold."""
    sessions = Sessions(SIGNER, TOKEN, ManualClock(0), secure=False)
    ann, bob = Session("a", "Ann", 1), Session("b", "Bob", 1)

    assert sessions.csrf_holds(ann, sessions.csrf(ann))
    assert not sessions.csrf_holds(ann, sessions.csrf(bob))
    assert not sessions.csrf_holds(ann, sessions.csrf(ann)[:-1])
    assert not sessions.csrf_holds(ann, "")
    assert not sessions.csrf_holds(ann, SIGNER.sign(b"a"))


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),
        ({"origin": "http://control.test"}, True),
        ({"origin": "https://control.test", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://control.test:81"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
    ],
)
def test_a_form_of_another_site_is_known_by_its_headers(headers: dict[str, str], own: bool) -> None:
    """A program that says nothing passes here; it lacks the CSRF paper."""
    assert same_origin(asked(host="control.test", **headers)) is own
