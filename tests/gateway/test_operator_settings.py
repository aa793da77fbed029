"""Settings of operators: a provider with all that it needs, over TLS, and the address of the console."""

import pytest

from gateway.settings import load
from kernel.errors import Misconfigured

OPERATOR = "WAITROOM_OPERATOR_"
WHOLE = {
    f"{OPERATOR}OIDC_ISSUER": "https://id.example",
    f"{OPERATOR}OIDC_CLIENT_ID": "control",
    f"{OPERATOR}OIDC_CLIENT_SECRET": "s",
    f"{OPERATOR}URL": "https://control.example",
    "WAITROOM_SECURE_COOKIES": "yes",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({f"{OPERATOR}OIDC_ISSUER": None}, "OIDC_ISSUER: operators who sign in there need it"),
        ({f"{OPERATOR}OIDC_CLIENT_ID": None}, "OIDC_CLIENT_ID: operators who sign in there need it"),
        ({f"{OPERATOR}OIDC_CLIENT_SECRET": None}, "OIDC_CLIENT_SECRET: operators who sign in there need it"),
        ({f"{OPERATOR}OIDC_ISSUER": "http://id.example"}, "is not an address such as https://id.example"),
        ({f"{OPERATOR}OIDC_ISSUER": "https://id.example?x"}, "is not an address such as https://id.example"),
        ({f"{OPERATOR}URL": None}, "over TLS only"),
        ({f"{OPERATOR}URL": "http://control.example"}, "over TLS only"),
        ({f"{OPERATOR}URL": "control"}, "is not an address such as https://control.example"),
        ({"WAITROOM_SECURE_COOKIES": "no"}, "over TLS only"),
        ({f"{OPERATOR}URL": None, f"{OPERATOR}OIDC_ISSUER": "http://127.0.0.1:9400"}, ""),
        ({f"{OPERATOR}LOGINS_DAYS": "0"}, "LOGINS_DAYS"),
    ],
)
def test_operators_sign_in_at_a_provider_with_all_of_its_settings(
    change: dict[str, str | None], fault: str
) -> None:
    """All three or none; without TLS only at a provider on this machine."""
    environ = {name: value for name, value in (WHOLE | change).items() if value is not None}
    try:
        load(environ)
        told = ""
    except Misconfigured as error:
        told = "\n".join(error.faults)

    assert fault in told
    assert bool(fault) is bool(told)


@pytest.mark.parametrize(
    ("environ", "page"),
    [
        ({}, "http://127.0.0.1:8081"),
        ({f"{OPERATOR}HOST": "0.0.0.0", f"{OPERATOR}PORT": "9000"}, "http://127.0.0.1:9000"),
        ({f"{OPERATOR}URL": "https://control.example/"}, "https://control.example"),
    ],
)
def test_links_lead_to_the_console(environ: dict[str, str], page: str) -> None:
    """As operators type it; without a setting as this machine reaches it."""
    assert load(environ).console == page
