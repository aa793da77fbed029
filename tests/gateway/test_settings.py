"""Settings: all faults at once, defaults that are safe, and children that get exactly what the parent has."""

from pathlib import Path

import pytest

from gateway.settings import DEMO, Settings, load, to_environ
from kernel.errors import Misconfigured
from kernel.settings import describe, read


def faults_of(**environ: str) -> list[str]:
    """Give the faults of an environment."""
    with pytest.raises(Misconfigured) as told:
        load({f"WAITROOM_{name.upper()}": text for name, text in environ.items()})
    return list(told.value.faults)


def test_nothing_listens_on_the_network_unless_it_is_told_to() -> None:
    """Loopback by default; opening the gate does not open the console."""
    settings = load({})
    opened = load({"WAITROOM_HOST": "0.0.0.0"})

    assert (settings.host, settings.operator_host) == ("127.0.0.1", "127.0.0.1")
    assert (opened.host, opened.operator_host) == ("0.0.0.0", "127.0.0.1")


def test_every_fault_of_the_fields_is_told_at_once() -> None:
    """Ten things are wrong, ten sentences come, each with its name."""
    faults = faults_of(
        port="70000",
        operator_port="x",
        workers="0",
        connect_s="0",
        keep_host="perhaps",
        log_level="loud",
        secure_cookies="maybe",
        drain_s="-1",
        stop_s="soon",
        prot="8080",
    )

    assert len(faults) == 10
    assert any(
        "WAITROOM_PROT: there is no such setting; did you mean WAITROOM_PORT?" in fault for fault in faults
    )


def test_every_fault_between_the_fields_is_told_at_once() -> None:
    """Networks, addresses, prefix, store, secrets and ports."""
    faults = faults_of(
        trusted_proxies="10.0.0.0/8,nonsense",
        public_url="tickets.example",
        default_origin="ftp://x",
        prefix="waitroom/",
        store_url="mysql://x",
        operator_token="short",
        backend_token="short",
        operator_port="8080",
    )

    assert len(faults) == 8
    assert not any("'short'" in fault for fault in faults)


@pytest.mark.parametrize("url", ["http://", "https://x:99999", "https://x?y=1", "//x", "http://[::1"])
def test_a_public_address_is_a_whole_site(url: str) -> None:
    """Scheme and host, and nothing after the path."""
    assert len(faults_of(public_url=url)) == 1


def test_cookies_are_secure_where_fans_come_by_https() -> None:
    """By itself from the public address; a TLS proxy on an unknown name can be told."""
    assert not load({}).secure
    assert load({"WAITROOM_PUBLIC_URL": "https://tickets.example"}).secure
    assert not load({"WAITROOM_PUBLIC_URL": "http://tickets.example"}).secure
    assert load({"WAITROOM_SECURE_COOKIES": "yes"}).secure
    assert not load({"WAITROOM_PUBLIC_URL": "https://a.example", "WAITROOM_SECURE_COOKIES": "no"}).secure


def test_environment_beats_file_beats_demo_beats_default(tmp_path: Path) -> None:
    """Four sources, one order."""
    file = tmp_path / "settings.toml"
    file.write_text('log_format = "json"\nport = 9001\n')

    settings = load({"WAITROOM_PORT": "9002"}, file=file, under=DEMO)

    assert (settings.port, settings.log_format, settings.drain_s, settings.host) == (
        9002,
        "json",
        0.5,
        "127.0.0.1",
    )


def test_a_settings_file_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    """Missing, not TOML."""
    broken = tmp_path / "broken.toml"
    broken.write_text("port = = 1")

    for file in (tmp_path / "none.toml", broken):
        with pytest.raises(Misconfigured) as told:
            load({}, file=file)
        assert len(told.value.faults) == 1
        assert str(file) in told.value.faults[0]


def test_the_demos_own_choices_are_valid_settings() -> None:
    """A renamed setting must not leave the demo behind."""
    assert read(Settings, {}, DEMO).log_format == "text"


def test_a_child_gets_exactly_the_settings_of_its_parent(tmp_path: Path) -> None:
    """Written as environment and read again: every field is the same, secrets too."""
    settings = load(
        {
            "WAITROOM_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "WAITROOM_OPERATOR_TOKEN": "0123456789abcdef",
            "WAITROOM_DATA": str(tmp_path),
            "WAITROOM_KEEP_HOST": "no",
            "WAITROOM_PUBLIC_URL": "https://tickets.example",
        },
        under=DEMO,
    )

    assert load(to_environ(settings)) == settings


def test_secrets_do_not_show() -> None:
    """Neither in ``repr`` nor in what ``check settings`` prints of them."""
    settings = load({"WAITROOM_OPERATOR_TOKEN": "0123456789abcdef"})

    assert "0123456789abcdef" not in repr(settings)
    assert {row.name for row in describe(Settings) if row.secret} == {
        "reminder_mail_password",
        "operator_token",
        "hcaptcha_secret",
        "recaptcha_secret",
        "turnstile_secret",
        "backend_token",
        "organiser_token",
        "stripe_secret_key",
        "stripe_webhook_secret",
        "adyen_api_key",
        "adyen_hmac_key",
        "adyen_webhook_password",
        "oidc_client_secret",
        "operator_oidc_client_secret",
        "room_oidc_client_secret",
        "staff_oidc_client_secret",
    }


OIDC = {
    "WAITROOM_OIDC_ISSUER": "https://id.example", "WAITROOM_OIDC_CLIENT_ID": "shop",
    "WAITROOM_OIDC_CLIENT_SECRET": "secret", "WAITROOM_PUBLIC_URL": "https://tickets.example",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"WAITROOM_OIDC_ISSUER": None}, "WAITROOM_OIDC_ISSUER: fans who log in need it"),
        ({"WAITROOM_OIDC_CLIENT_ID": None}, "WAITROOM_OIDC_CLIENT_ID: fans who log in need it"),
        ({"WAITROOM_OIDC_CLIENT_SECRET": None}, "WAITROOM_OIDC_CLIENT_SECRET: fans who log in need it"),
        ({"WAITROOM_OIDC_ISSUER": "http://id.example"}, "is not an address such as https://id.example"),
        ({"WAITROOM_OIDC_ISSUER": "https://id.example?x=1"}, "is not an address such as https://id.example"),
        ({"WAITROOM_PUBLIC_URL": None}, "WAITROOM_PUBLIC_URL: fans log in over TLS only"),
        ({"WAITROOM_PUBLIC_URL": None, "WAITROOM_OIDC_ISSUER": "http://127.0.0.1:9400"}, ""),
    ],
)
def test_fans_log_in_with_all_of_its_settings_and_over_tls(change: dict[str, str | None], fault: str) -> None:
    """All three or none; without TLS only at a provider on this machine."""
    environ = {name: value for name, value in (OIDC | change).items() if value is not None}
    try:
        told = "" if load(environ).has_accounts else "nobody logs in"
    except Misconfigured as error:
        told = str(error)

    assert fault in told
    assert bool(fault) is bool(told)


ADYEN = {
    "WAITROOM_PAYMENTS": "adyen", "WAITROOM_ADYEN_API_KEY": "key", "WAITROOM_ADYEN_MERCHANT": "ShopECOM",
    "WAITROOM_ADYEN_HMAC_KEY": "00" * 32, "WAITROOM_ADYEN_WEBHOOK_USER": "adyen",
    "WAITROOM_ADYEN_WEBHOOK_PASSWORD": "password",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        *(({name: ""}, [name]) for name in ADYEN if name != "WAITROOM_PAYMENTS"),
        *(
            ({"WAITROOM_ADYEN_HMAC_KEY": key}, ["WAITROOM_ADYEN_HMAC_KEY"])
            for key in (
                "zz" * 32,
                "00" * 8,
                "0" * 33,
                ",",
                f"{'00' * 32},",
                f"{'00' * 32},xyz",
                "\u0661" * 64,
            )
        ),
        ({"WAITROOM_ADYEN_HMAC_KEY": f"{'00' * 32}, {'aB' * 32}"}, []),
        ({"WAITROOM_ADYEN_WEBHOOK_USER": "a:b"}, ["WAITROOM_ADYEN_WEBHOOK_USER"]),
        ({"WAITROOM_ADYEN_ENDPOINT": "checkout-test.adyen.com"}, ["WAITROOM_ADYEN_ENDPOINT"]),
        ({"WAITROOM_ADYEN_ENDPOINT": "http://checkout-test.adyen.com/v71"}, ["WAITROOM_ADYEN_ENDPOINT"]),
        ({"WAITROOM_ADYEN_ENDPOINT": "http://127.0.0.1:8089/v71"}, []),
        (
            {"WAITROOM_ADYEN_API_KEY": "", "WAITROOM_ADYEN_HMAC_KEY": "xyz", "WAITROOM_ADYEN_ENDPOINT": "x"},
            ["WAITROOM_ADYEN_API_KEY", "WAITROOM_ADYEN_HMAC_KEY", "WAITROOM_ADYEN_ENDPOINT"],
        ),
    ],
)
def test_payments_by_adyen_need_an_account(changes: dict[str, str], faults: list[str]) -> None:
    """All that is missing is told at once; the sandbox of that shape needs nothing."""
    told: list[str] = []
    try:
        load(ADYEN | changes)
    except Misconfigured as error:
        told = list(error.faults)

    assert [fault.split(":")[0] for fault in told] == faults
    assert not any("zz" in fault or "xyz" in fault for fault in told)
    assert load({"WAITROOM_PAYMENTS": "adyen-sandbox"}).has_sandbox


def test_a_trusted_proxy_may_be_one_address() -> None:
    """``10.1.2.3`` is a network of one; host bits are no fault."""
    networks = load({"WAITROOM_TRUSTED_PROXIES": "10.1.2.3,10.9.9.9/8"}).networks

    assert [str(network) for network in networks] == ["10.1.2.3/32", "10.0.0.0/8"]


def test_paths_follow_the_data_folder() -> None:
    """Key ring and operator's token lie there unless they are put elsewhere."""
    settings = load({"WAITROOM_DATA": "/srv/w"})

    assert settings.keyring_path == Path("/srv/w/keyring.json")
    assert settings.operator_token_path == Path("/srv/w/operator-token")
    assert load({"WAITROOM_KEYRING": "/etc/k.json"}).keyring_path == Path("/etc/k.json")


def test_faults_of_the_shops_settings_are_told_with_the_others() -> None:
    """Store, address, secret, port, bounds: a sentence each."""
    between = faults_of(
        shop_store_url="http://x", shop_url="tickets", organiser_token="short", shop_port="8081"
    )
    each = faults_of(shop_workers="0", offer_s="119", shop_demo="perhaps")

    assert len(between) == 4
    assert not any("'short'" in fault for fault in between)
    assert len(each) == 3


def test_the_shop_is_found_where_rooms_name_it() -> None:
    """Its port on this machine and a file in the data folder, or what is said."""
    plain = load({"WAITROOM_SHOP_PORT": "9000"})
    told = load(
        {"WAITROOM_SHOP_URL": "https://shop.internal/", "WAITROOM_SHOP_DATABASE_URL": "postgresql://x/y"}
    )

    assert plain.shop_address == "http://127.0.0.1:9000"
    assert plain.shop_database_address.endswith("/data/shop.db")
    assert (told.shop_address, told.shop_database_address) == ("https://shop.internal", "postgresql://x/y")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"STRIPE_PUBLISHABLE_KEY": ""}, "payments by Stripe need it"),
        ({"STRIPE_PUBLISHABLE_KEY": "sk_test_1"}, "it must begin with pk_"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_live_1"}, "it must be the test key"),
        ({"STRIPE_SECRET_KEY": "rk_live_1"}, "it must be the live key"),
        ({"STRIPE_SCRIPT": "js.stripe.com"}, "is not an address"),
    ],
)
def test_an_account_at_stripe_is_named_as_a_whole(changes: dict[str, str], fault: str) -> None:
    """A secret key never stands on a page, and keys of two modes do not meet."""
    own = {
        "PAYMENTS": "stripe", "STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_1",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    }  # fmt: skip

    assert load({f"WAITROOM_{name}": text for name, text in own.items()}).payments == "stripe"
    with pytest.raises(Misconfigured, match=fault):
        load({f"WAITROOM_{name}": text for name, text in (own | changes).items()})


STAFF = {
    "WAITROOM_STAFF_OIDC_ISSUER": "https://id.example", "WAITROOM_STAFF_OIDC_CLIENT_ID": "desk",
    "WAITROOM_STAFF_OIDC_CLIENT_SECRET": "secret", "WAITROOM_PUBLIC_URL": "https://tickets.example",
}  # fmt: skip
ROLE_CLAIM = {"WAITROOM_STAFF_ROLE_CLAIM": "groups", "WAITROOM_STAFF_ROLES": "a=b=support,box=organiser"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        (ROLE_CLAIM, ""),
        ({"WAITROOM_STAFF_URL": "https://desk.example"}, ""),
        ({"WAITROOM_STAFF_OIDC_ISSUER": "http://127.0.0.1:9000"}, ""),
        ({"WAITROOM_STAFF_OIDC_CLIENT_ID": None}, "WAITROOM_STAFF_OIDC_CLIENT_ID"),
        ({"WAITROOM_STAFF_OIDC_ISSUER": "http://id.example"}, "WAITROOM_STAFF_OIDC_ISSUER"),
        ({"WAITROOM_STAFF_OIDC_ISSUER": "https://id.example?x=1"}, "WAITROOM_STAFF_OIDC_ISSUER"),
        ({"WAITROOM_STAFF_URL": "desk.example"}, "WAITROOM_STAFF_URL"),
        ({"WAITROOM_STAFF_URL": "http://desk.example"}, "WAITROOM_STAFF_URL"),
        ({"WAITROOM_STAFF_URL": "http://localhost:8082"}, "WAITROOM_STAFF_URL"),
        ({"WAITROOM_SECURE_COOKIES": "no"}, "WAITROOM_SECURE_COOKIES"),
        ({**ROLE_CLAIM, "WAITROOM_STAFF_ROLE_CLAIM": None}, "WAITROOM_STAFF_ROLE_CLAIM"),
        ({**ROLE_CLAIM, "WAITROOM_STAFF_ROLES": "box=king"}, "WAITROOM_STAFF_ROLES"),
        ({**ROLE_CLAIM, "WAITROOM_STAFF_ROLES": "box"}, "WAITROOM_STAFF_ROLES"),
        ({**ROLE_CLAIM, "WAITROOM_STAFF_ROLES": "box=owner,box=viewer"}, "WAITROOM_STAFF_ROLES"),
    ],
)
def test_staff_log_in_where_everything_goes_together(change: dict[str, str | None], fault: str) -> None:
    """A provider over TLS, at an address of ours over TLS with cookies for it, and roles that there are."""
    given = {name: value for name, value in {**STAFF, **change}.items() if value is not None}
    if not fault:
        assert load(given).has_staff_logins
        return
    with pytest.raises(Misconfigured) as caught:
        load(given)

    assert any(line.startswith(fault) for line in caught.value.faults), caught.value.faults


def test_words_of_a_claim_are_roles() -> None:
    """A word may have any sign; the last = is ours."""
    settings = load({**STAFF, **ROLE_CLAIM})

    assert settings.roles_of_words == {"a=b": "support", "box": "organiser"}
    assert settings.staff_site("https://tickets.example/") == "https://tickets.example"
    assert not load({}).has_staff_logins


SENDER = {"WAITROOM_REMINDER_MAIL_FROM": "Aurora Hall <line@aurora.example>"}
PUBLIC = {"WAITROOM_PUBLIC_URL": "https://tickets.example"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"WAITROOM_REMINDER_MAIL_HOST": "mx", **SENDER}, "need the address of their page"),
        ({"WAITROOM_REMINDER_PUSH_CONTACT": "mailto:a@x.example"}, "need the address of their page"),
        ({"WAITROOM_REMINDER_MAIL_FOLDER": "mails"}, "need a sender"),
        ({"WAITROOM_REMINDER_MAIL_HOST": "mx", **PUBLIC}, "need a sender"),
        ({"WAITROOM_REMINDER_MAIL_FOLDER": "m", "WAITROOM_REMINDER_MAIL_HOST": "mx"} | SENDER | PUBLIC, "not to both"),
    ],
)  # fmt: skip
def test_mails_of_the_room_need_all_that_belongs_to_them(given: dict[str, str], fault: str) -> None:
    """A server, or a folder to try things out, never both; who sends; and where the page is that they link to."""
    with pytest.raises(Misconfigured) as told:
        load(given)

    assert len(told.value.faults) == 1
    assert fault in told.value.faults[0]


def test_the_demo_keeps_the_rooms_mails_in_its_folder(tmp_path: Path) -> None:
    """Unless fans are told in a way that was chosen."""
    plain = load({"WAITROOM_DATA": str(tmp_path)}, under=DEMO).to_try_out()
    chosen = load({"WAITROOM_REMINDER_MAIL_HOST": "mx", **SENDER, **PUBLIC}, under=DEMO)

    assert plain.reminds
    assert plain.reminder_mail_folder == tmp_path / "mails"
    assert load(to_environ(plain)) == plain
    assert chosen.to_try_out() is chosen


ROOM_LOGIN = {
    "public_url": "https://tickets.example",
    "room_oidc_issuer": "https://id.example",
    "room_oidc_client_id": "line",
    "room_oidc_client_secret": "s",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"room_oidc_client_id": None}, "WAITROOM_ROOM_OIDC_CLIENT_ID"),
        ({"room_oidc_client_secret": None}, "WAITROOM_ROOM_OIDC_CLIENT_SECRET"),
        ({"room_oidc_issuer": None}, "WAITROOM_ROOM_OIDC_ISSUER"),
        ({"room_oidc_issuer": "http://id.example"}, "WAITROOM_ROOM_OIDC_ISSUER"),
        ({"room_oidc_issuer": "https://id.example?x"}, "WAITROOM_ROOM_OIDC_ISSUER"),
        ({"public_url": None}, "WAITROOM_PUBLIC_URL"),
        ({"public_url": "http://tickets.example"}, "WAITROOM_PUBLIC_URL"),
    ],
)
def test_fans_log_in_for_a_place_where_everything_goes_together(
    change: dict[str, str | None], fault: str
) -> None:
    """All three of the provider, over TLS, with an address to come back to; each fault names its setting."""
    load({f"WAITROOM_{name.upper()}": text for name, text in ROOM_LOGIN.items()})
    given = {name: text for name, text in (ROOM_LOGIN | change).items() if text is not None}

    assert any(told.startswith(fault) for told in faults_of(**given))
