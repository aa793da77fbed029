"""Choices: what an address or a cookie chooses, what is remembered, and which links a page may give."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.site.choices import Choice, accepted_region, choice_of, link, offered, remembering
from kernel.asgi import Message, Scope
from kernel.languages import negotiate, region

CURRENCIES = ["EUR", "CHF", "JPY"]


def scope_of(
    query: str = "", cookie: str = "", method: str = "GET", path: str = "/events/x", **headers: str
) -> Scope:
    """Make a request."""
    given = {"cookie": cookie, **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), text.encode()) for name, text in given.items() if text],
    }


@pytest.mark.parametrize(
    ("query", "cookie", "language", "currency", "told"),
    [
        ("", "", "", "", {}),
        ("lang=ar", "", "ar", "", {"lang": "ar"}),
        ("lang=ar", "shop-language=de", "ar", "", {"lang": "ar"}),
        ("", "shop-language=de; shop-currency=JPY", "de", "JPY", {}),
        ("currency=KWD&lang=pl", "shop-currency=JPY", "pl", "KWD", {"currency": "KWD", "lang": "pl"}),
        ("lang=xx&currency=ZZZ", "shop-language=xx; shop-currency=eur", "", "", {}),
        ("lang=../de", "shop-language=%64e", "", "", {}),
        ("lang=de&lang=fr", "", "fr", "", {"lang": "fr"}),
        ("lang=de&" + "x" * 2_000, "", "", "", {}),
        ("", "shop-language=" + "d" * 20_000, "", "", {}),
    ],
)
def test_an_address_chooses_before_a_cookie_and_what_is_unknown_chooses_nothing(
    query: str, cookie: str, language: str, currency: str, told: dict[str, str]
) -> None:
    """Nothing in a query or a cookie is an error; only what this address chose is remembered."""
    choice = choice_of(scope_of(query, cookie), secure=False)

    assert (choice.language, choice.currency, dict(choice.told)) == (language, currency, told)


@pytest.mark.parametrize("secure", [True, False])
async def test_what_was_chosen_is_remembered_for_this_host_alone(secure: bool) -> None:
    """One cookie each, not for scripts; with TLS bound to the host. An answer to no choice carries none."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}
    await remembering(Choice("ar", told=(("lang", "ar"),)), send, secure=secure)(start)
    await remembering(Choice("ar"), send, secure=secure)(start)

    name = "__Host-shop-language" if secure else "shop-language"
    kept = f"{name}=ar; Path=/; SameSite=Lax; Max-Age=15552000; HttpOnly" + ("; Secure" if secure else "")
    assert sent[0]["headers"] == [(b"x", b"y"), (b"set-cookie", kept.encode())]
    assert sent[1]["headers"] == [(b"x", b"y")]
    assert choice_of(scope_of(cookie=f"{name}=ar"), secure=secure).language == "ar"


def test_cookies_in_several_headers_are_read_as_one() -> None:
    """HTTP/2 may split them."""
    scope = scope_of()
    scope["headers"] = [
        (b"cookie", b"a=b"),
        (b"cookie", b"shop-language=pl"),
        (b"cookie", b"shop-currency=PLN"),
    ]
    choice = choice_of(scope, secure=False)

    assert (choice.language, choice.currency) == ("pl", "PLN")


@pytest.mark.parametrize(
    ("scope", "address"),
    [
        (scope_of(), "/events/x?lang=ar"),
        (scope_of("hold=H1&lang=de&currency=JPY"), "/events/x?hold=H1&lang=ar"),
        (scope_of("q=a%26b&city="), "/events/x?q=a%26b&city=&lang=ar"),
        (scope_of(path="//evil.example/x"), "/evil.example/x?lang=ar"),
        (scope_of(path='/a"b'), "/a%22b?lang=ar"),
        (scope_of("k=v", method="POST", path="/events/x/order/O1/pay"), "/events/x?lang=ar"),
        (scope_of(method="POST", path="/finish"), "/?lang=ar"),
        (scope_of(method="POST", path="//evil.example/events/x"), "/?lang=ar"),
    ],
)
def test_a_link_leads_to_the_same_page_of_ours_with_another_choice(scope: Scope, address: str) -> None:
    """Other parameters stay; where a form has led, its event's page; never to another host."""
    assert link(scope, "lang", "ar") == address


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["GET", "POST"]))
def test_no_link_leaves_the_site(path: str, query: str, method: str) -> None:
    """Whatever was asked for."""
    address = link(
        {"path": "/" + path, "query_string": query.encode("utf-8", "replace"), "method": method}, "lang", "de"
    )

    assert address.startswith("/")
    assert not address.startswith("//")
    assert "\\" not in address.partition("?")[0]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("CH", "CHF"),
        ("JP", "JPY"),
        ("DE", "EUR"),
        ("US", ""),
        ("", ""),
        ("XX", ""),
        ("LI", "CHF"),
        ("ZZ", ""),
    ],
)
def test_a_region_is_offered_its_own_currency_if_the_event_is_sold_in_it(place: str, code: str) -> None:
    """And nothing where it is not."""
    assert offered(place, CURRENCIES) == code


@pytest.mark.parametrize(
    ("accept", "place"),
    [
        ("de-CH,de;q=0.9", "CH"),
        ("de,en-GB;q=0.5", "GB"),
        ("en;q=0.9,ja-JP;q=1", "JP"),
        ("zh-Hant-TW", "TW"),
        ("de-u-co-phonebk", ""),
        ("es-419", ""),
        ("ja-JP;q=0", ""),
        ("de", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_the_region_is_the_one_that_the_browsers_languages_name_first(accept: str, place: str) -> None:
    """A language without a region names none; neither does an extension or what is not wanted."""
    assert region(accept) == place
    assert accepted_region(scope_of(accept_language=accept)) == place


def test_one_negotiation_for_every_page_of_the_house() -> None:
    """Languages that are known are handed in; what is refused with q=0 is not spoken, whatever `*` says."""
    known = {"en", "de", "fr"}

    assert negotiate(known, "de;q=0, *") == "en"
    assert negotiate(known, "de_AT") == "de"
    assert negotiate(known, "sv, fr;q=0.1", default="de") == "fr"
    assert negotiate(known, "sv", default="de") == "de"
    assert negotiate(known, "sv", "fr-CA") == "fr"
