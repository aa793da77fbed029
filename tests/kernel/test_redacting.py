"""Tests of the second net: what is taken out of a text, what stays, and that the log has it."""

import json
import logging

import pytest

from kernel import log, redacting
from kernel.log import JsonLines, TextLines
from kernel.redacting import Known, is_secret, redacted

PERSONAL = [
    ("ann@fans.example", "[mail]"),
    ("Ann.O'Neil+x@mail.fans.example", "[mail]"),
    ("ann%40fans.example", "[mail]"),
    ("+49 170 1234567", "[phone]"),
    ("+491701234567", "[phone]"),
    ("0049 (170) 123-4567", "[phone]"),
    ("203.0.113.77", "203.0.113.0/24"),
    ("203.0.113.77:443", "203.0.113.0/24:443"),
    ("2001:db8:1:2::77", "2001:db8:1::/48"),
    ("::ffff:203.0.113.77", "::ffff:203.0.113.0/24"),
    ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl", "[token]"),
    ("sk_live_abcdefghijklmnop", "[token]"),
    ("whsec_MfKQ9r8GKYqrTwjUPD8I", "[token]"),
    ("Zk3vQ0pX8sT1aW7bN5cR2dL9eF4gH6jM", "[token]"),
]
HARMLESS = [
    "2026-11-30T01:02:03.123+00:00", "12:34:56", "127.0.0.1:8080", "10.0.0.5", "192.168.1.7:6379", "[::1]:8080",
    "fe80::1", "4bf92f3577b34da6a3ce929d0e0e4736", "O7Gq2aBcDeFg",
    "order-refunded.O7Gq2aBcDeFg.0123456789abcdef01234567",
    "version 1.2.3", "1.2.3.4.5", 'File "/srv/x.py", line 30', "room/main", "8,000,000,000", "300.1.1.1",
    "203.0.113.0/24", "+1", "@", "northern-lights-and-more-northern-lights", "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "instead"), PERSONAL)
@pytest.mark.parametrize("around", ["{}", "to {} now", "'{}'", "({})", "a={},", "<{}>"])
def test_what_is_somebodys_is_taken_out(around: str, text: str, instead: str) -> None:
    """By its form, wherever it stands."""
    assert redacted(around.format(text)) == around.format(instead)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_nobodys_stays(text: str) -> None:
    """Times, ids, places in an installation: a log without them helps nobody."""
    assert redacted(text) == text


@pytest.mark.parametrize("part", ["a-", "a", "%40", "1.", ":", "+1", "a'", "a@", "://", "sk_", "A1a"])
def test_a_long_text_is_looked_at_once(part: str) -> None:
    """Written by a stranger, perhaps: were each letter a new beginning, this would take minutes."""
    assert redacted(part * 20_000)


@pytest.mark.parametrize("name", ["operator_token", "Set-Cookie", "people-key", "PASSWORD"])
def test_a_field_named_like_a_secret_holds_one(name: str) -> None:
    """Word by word, not letter by letter."""
    assert is_secret(name)
    assert not is_secret(f"{name}ing".replace("-", "").replace("_", ""))


def test_known_values_are_found_the_longest_first() -> None:
    """And nothing so short that it stands in every word."""
    known = Known({"Ann": "[name]", "Ann Example": "[name]", "abc": "x"})
    assert (
        known.redacted("to Ann Example, Annabel, ann@fans.example, abc") == "to [name], Annabel, [mail], abc"
    )


def lines(text: str) -> str:
    """Log a text in every way there is."""
    raised = (ValueError, ValueError(text), None)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "told %s", (text,), raised)
    vars(record).update(error=text, detail={"deep": [text]}, thing=ValueError(text), number=float("nan"))
    told = JsonLines().format(record)
    json.loads(told, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return told + TextLines().format(record)


@pytest.mark.parametrize(("text", "_instead"), PERSONAL)
def test_every_line_of_the_log_passes_the_net(text: str, _instead: str) -> None:
    """Message, fields, what stands deep in them, exceptions; and each line is JSON."""
    assert text not in lines(text)


def test_a_log_without_the_net_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant."""
    monkeypatch.setattr(log, "redacted", lambda text: text)
    assert all(text in lines(text) for text, _ in PERSONAL)


def test_each_form_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutants: with any form left out something passes."""
    forms = redacting._FORMS
    for number in range(len(forms)):
        monkeypatch.setattr(redacting, "_FORMS", (*forms[:number], *forms[number + 1 :]))
        texts = [*(text for text, _ in PERSONAL), "redis://u:pass@h", "password=x"]
        wanted = [*(instead for _, instead in PERSONAL), "redis://[secret]@h", "password=[secret]"]
        assert [redacted(text) for text in texts] != wanted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql://u:p@ss@db/shop", "postgresql://[secret]@db/shop"),
        ("postgresql://db/shop?user=u&password=geheim1&sslmode=require", "postgresql://db/shop?user=u&password=[secret]&sslmode=require"),
        ("redis://h/0?PASSWORD=x", "redis://h/0?PASSWORD=[secret]"),
        ("host=db password=geheim1 dbname=shop", "host=db password=[secret] dbname=shop"),
        ("https://x.example/?access_token=abc", "https://x.example/?access_token=[secret]"),
        ("passwordless=yes and a key=value", "passwordless=yes and a key=value"),
    ],
)  # fmt: skip
def test_a_password_that_stands_behind_its_name(text: str, left: str) -> None:
    """As databases are named; an @ in a password ends nothing."""
    assert redacted(text) == left
