"""What is known of an attempt, whom it counts for, and under which names."""

import pytest

from checkout.fraud.signals import Kind, Pseudonyms, is_weak, network, subjects, traits
from kernel.errors import Misconfigured
from tests.checkout.fraud.suspects import SECRET, attempt

HEADERS = [
    (b"host", b"tickets.example"),
    (b"user-agent", b"Mozilla/5.0"),
    (b"accept-language", b"en-GB"),
]


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("81.2.69.142", "81.2.69.142"),
        ("::ffff:81.2.69.142", "81.2.69.142"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", ""),
        ("", ""),
        ("81.2.69", ""),
    ],
)
def test_an_address_counts_by_its_household(address: str, counts_as: str) -> None:
    """An IPv4 address by itself, an IPv6 address by its /64, and what is no address not at all."""
    assert network(address) == counts_as


def test_traits_are_the_same_for_the_same_words_and_others_for_others() -> None:
    """The order and case of headers say nothing, headers of the connection are not looked at."""
    told = traits(HEADERS)

    assert told == traits([(name.upper(), value) for name, value in reversed(HEADERS)])
    assert told == traits([*HEADERS, (b"x-forwarded-for", b"1.2.3.4")])
    assert told != traits([*HEADERS[:2], (b"accept-language", b"de")])
    assert told != traits([HEADERS[0], (b"user-agent", b"curl")])


def test_a_line_break_does_not_make_two_browsers_one() -> None:
    """What stands in one header cannot look like the next one."""
    one = traits([(b"user-agent", b"a"), (b"accept", b"b")])

    assert one != traits([(b"user-agent", b"a b")])


def test_a_browser_that_does_not_name_itself_has_no_traits() -> None:
    """Else all of them would be one device."""
    assert traits([(b"accept", b"*/*")]) == ""
    assert traits([(b"user-agent", b"")]) == ""


def test_the_cookie_is_the_device_and_without_it_a_guess() -> None:
    """A guess is headers and network together; a cookie that looks like a guess is none."""
    known, guessed = attempt(), attempt(device="")
    posing = attempt(device=subjects(guessed)[Kind.DEVICE].removeprefix("weak:"))

    assert not is_weak(known)
    assert is_weak(guessed)
    assert len({subjects(one)[Kind.DEVICE] for one in (known, guessed, posing)}) == 3
    assert subjects(guessed)[Kind.DEVICE] == subjects(attempt(device="", account="gil"))[Kind.DEVICE]
    assert subjects(guessed)[Kind.DEVICE] != subjects(attempt(device="", address="1.2.3.4"))[Kind.DEVICE]
    assert subjects(guessed)[Kind.DEVICE] != subjects(attempt(device="", traits="chrome"))[Kind.DEVICE]


def test_who_is_not_known_is_missing() -> None:
    """Nobody counts for an empty name, which would be everybody's."""
    nobody = attempt(account="", address="local", device="", traits="firefox", card="")

    assert subjects(nobody) == {}
    assert subjects(attempt(device="", traits="")).keys() == {Kind.ACCOUNT, Kind.ADDRESS, Kind.CARD}


def test_a_pseudonym_is_the_same_for_the_same_name_of_the_same_kind() -> None:
    """And another for another name, kind or secret."""
    own, other = Pseudonyms(SECRET), Pseudonyms(SECRET + b"!")
    name = own.of("card", "card-1")

    assert name == Pseudonyms(SECRET).of("card", "card-1")
    assert len({name, own.of("card", "card-2"), own.of("account", "card-1"), other.of("card", "card-1")}) == 4
    assert len(name) == 16


def test_a_short_secret_is_no_secret() -> None:
    """All IPv4 addresses are tried within minutes by whoever has the secret."""
    with pytest.raises(Misconfigured, match="at least 16"):
        Pseudonyms(b"short")
