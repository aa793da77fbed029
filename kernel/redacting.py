"""Redacting: takes out of a text what looks like a person's or like a secret. The second net, never the first.

The first is not to write such things. But an exception quotes what it fell over, and a package logs what it likes; so
every log line passes here, and everything that goes into a support bundle does so once more.

What is known by its form: mail addresses, telephone numbers, tokens (JWT, our tickets, providers' keys, whatever is
long and random), passwords in addresses. **A network address is shortened**: to its /24 of IPv4, its /48 of IPv6;
those of the own machine and of private networks stay: they are places in an installation, not people. Names of people
have no form: who knows them hands them in (``Known``).
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from kernel.addresses import network_of, parsed

MAIL, PHONE, TOKEN, SECRET = "[mail]", "[phone]", "[token]", "[secret]"
SECRET_WORDS = frozenset(
    {"authorization", "cookie", "hmac", "key", "passwd", "password", "pin", "secret", "ticket", "token"}
)
"""A field whose name has one of these words holds a secret, whatever its value looks like."""

_FORMS = (
    # user:password@ of an address of a server, up to the last @; and a password that stands behind its name
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s]+(?=@)"), SECRET),
    (
        re.compile(
            r"(?i)(?<![A-Za-z0-9])((?:[a-z]{1,16}[_-])?(?:password|passwd|pwd|secret|token|apikey|api[_-]key)=)[^\s&;\"',]+"
        ),
        rf"\1{SECRET}",
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+(?:'[A-Za-z0-9._%+-]+){0,3}(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
        ),
        MAIL,
    ),
    (re.compile(r"\b(?:sk|rk|pk|whsec|AQE)[_A-Za-z0-9+/=-]{12,}"), TOKEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+){0,4}"), TOKEN),
    # Long and mixed: at least one digit, one capital and one small letter. Hashes and ids in hex are none of these.
    (
        re.compile(
            r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*[a-z])[A-Za-z0-9_-]{32,}"
        ),
        TOKEN,
    ),
    (re.compile(r"(?<![\w.:/-])(?:\+|00)[1-9](?:[ ()/.-]{0,2}\d){6,14}(?![\w:])"), PHONE),
)
"""Each begins where a run of its letters does, so that a long text without a match costs one look at each letter."""

_NUMBERS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\.\d)(?!/\d)(?!\w)")
_SIXES = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![:/]|\.?\w)")
_HERE = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                 "::1/128", "::/128", "fc00::/7", "fe80::/10")
)  # fmt: skip


def redacted(text: str) -> str:
    """Return a text without what looks like a person's or a secret."""
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    if "." in text:
        text = _NUMBERS.sub(_shortened, text)
    if ":" in text:
        text = _SIXES.sub(_shortened, text)
    return text


def is_secret(name: str) -> bool:
    """Tell whether a field is named like one that holds a secret.

    >>> is_secret("operator_token"), is_secret("Set-Cookie"), is_secret("keyring")
    (True, True, False)
    """
    return not SECRET_WORDS.isdisjoint(name.lower().replace("-", "_").split("_"))


class Known:
    """Values that are known to be secret or somebody's: they are found wherever they stand."""

    def __init__(self, values: Mapping[str, str] | Iterable[str]) -> None:
        """`values`: those to find, each with what stands there instead; shorter than four letters are left out."""
        named = values if isinstance(values, Mapping) else dict.fromkeys(values, SECRET)
        self._named = {value: instead for value, instead in named.items() if len(value) > 3}
        longest = sorted(self._named, key=len, reverse=True)
        self._form = re.compile("|".join(map(re.escape, longest))) if longest else None

    def redacted(self, text: str) -> str:
        """Return a text without these values, and without what looks like one."""
        if self._form is not None:
            text = self._form.sub(lambda found: self._named[found[0]], text)
        return redacted(text)


def _shortened(found: re.Match[str]) -> str:
    address = parsed(found[0])
    if address is None or any(address in network for network in _HERE):
        return found[0]
    return network_of(address)
