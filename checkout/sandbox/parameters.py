"""Parameters: what a call was given, read one by one; in the end ``done`` refuses what nobody has read.

All errors here come before anything is executed, so no key remembers them. Their codes are Stripe's.
Not here: rules that need to know how things stand (``intents``, ``returns``).
"""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from checkout.money import NoSuchCurrency, exponent
from checkout.sandbox.answers import ApiError
from checkout.sandbox.forms import Tree

TEXT_MOST = 500
METADATA_MOST = 50
METADATA_NAME_MOST = 40
AMOUNT_MOST = 999_999_999_999
"""Twelve digits, as for the currencies with the smallest units; Stripe takes fewer of most."""

PAGE = 10
PAGE_MOST = 100

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
"""A host and no more: it goes into the page's policy as it stands."""
_HUNDREDS = frozenset(("isk", "ugx"))
_TENS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


class Parameters:
    """The parameters of one call."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: set[str] = set()

    def text(self, name: str, most: int = TEXT_MOST) -> str | None:
        """Read a text; None if there is none."""
        given = self._take(name)
        if given is None:
            return None
        if not isinstance(given, str):
            raise ApiError(400, f"Invalid string: {name}", param=name)
        if not given:
            raise ApiError(
                400,
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
                f"parameter; however '{name}' cannot be unset.",
                code="parameter_invalid_empty",
                param=name,
            )
        if len(given) > most:
            raise ApiError(400, f"Invalid {name}: must be at most {most} characters", param=name)
        return given

    def must_text(self, name: str) -> str:
        """Read a text that must be there."""
        given = self.text(name)
        if given is None:
            raise _missing(name)
        return given

    def word(self, name: str, words: Collection[str]) -> str | None:
        """Read one of a few words."""
        given = self.text(name)
        if given is not None and given not in words:
            raise ApiError(400, f"Invalid {name}: must be one of {', '.join(sorted(words))}", param=name)
        return given

    def whole(self, name: str, least: int = 0, most: int = AMOUNT_MOST) -> int | None:
        """Read a whole number."""
        given = self.text(name)
        if given is None:
            return None
        if not _WHOLE.fullmatch(given):
            raise ApiError(400, f"Invalid integer: {given}", code="parameter_invalid_integer", param=name)
        if int(given) < least:
            raise ApiError(
                400, f"This value must be greater than or equal to {least}.",
                code="parameter_invalid_integer", param=name,
            )  # fmt: skip
        if int(given) > most:
            raise ApiError(400, f"This value must be at most {most}.", code="amount_too_large", param=name)
        return int(given)

    def flag(self, name: str) -> bool | None:
        """Read a yes or no."""
        given = self.word(name, ("true", "false"))
        return None if given is None else given == "true"

    def amount(self, name: str, currency: str) -> int | None:
        """Read an amount of a currency."""
        given = self.whole(name, least=1)
        if given is not None:
            _whole_enough(given, currency, name)
        return given

    def currency(self) -> str:
        """Read the currency."""
        given = self.must_text("currency")
        try:
            exponent(given.upper())
        except NoSuchCurrency as error:
            raise ApiError(400, f"Invalid currency: {given}", param="currency") from error
        return given.lower()

    def address(self, name: str) -> str | None:
        """Read a web address."""
        given = self.text(name, 2_048)
        if given is None:
            return None
        try:
            parts = urlsplit(given)
            is_good = parts.scheme in {"http", "https"} and bool(_HOST.fullmatch(parts.netloc))
        except ValueError:
            is_good = False
        if not is_good or not given.isascii() or not given.isprintable() or " " in given:
            raise ApiError(400, "Not a valid URL", code="url_invalid", param=name)
        return given

    def metadata(self) -> dict[str, str]:
        """Read the metadata; an empty value unsets."""
        given = self._take("metadata")
        if given in (None, ""):
            return {}
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise ApiError(400, "Invalid hash", param="metadata")
        if len(given) > METADATA_MOST:
            raise ApiError(400, f"Metadata can have at most {METADATA_MOST} keys.", param="metadata")
        for name, value in given.items():
            if len(name) > METADATA_NAME_MOST or len(value) > TEXT_MOST:
                raise ApiError(400, "Metadata keys or values are too long.", param=f"metadata[{name[:40]}]")
        return given

    def words(self, name: str) -> list[str]:
        """Read a list of texts."""
        given = self._take(name)
        if given is None:
            return []
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise ApiError(400, "Invalid array", param=name)
        return given

    def expand(self, allowed: Collection[str]) -> set[str]:
        """Read what is to be told in full."""
        wanted = set(self.words("expand"))
        for one in sorted(wanted - set(allowed)):
            raise ApiError(400, f"This property cannot be expanded ({one}).", param="expand")
        return wanted

    def since(self) -> dict[str, int]:
        """Read the filter ``created``: bounds by their names ``gt gte lt lte``."""
        given = self._take("created")
        if given is None:
            return {}
        bounds = given if isinstance(given, dict) else {"gte": given, "lte": given}
        for name, value in bounds.items():
            if name not in {"gt", "gte", "lt", "lte"}:
                raise _unknown(f"created[{name}]")
            if not isinstance(value, str) or not _WHOLE.fullmatch(value):
                raise ApiError(400, "Invalid integer", code="parameter_invalid_integer", param="created")
        return {name: int(value) for name, value in bounds.items()}

    def ignored(self, *names: str) -> None:
        """Pass over what makes no difference here."""
        self._read.update(names)

    def done(self) -> None:
        """Refuse what nobody has read."""
        for name in self._tree:
            if name not in self._read:
                raise _unknown(name)

    def _take(self, name: str) -> Any:
        self._read.add(name)
        return self._tree.get(name)


def must(given: int | None, name: str) -> int:
    """Refuse what is not there."""
    if given is None:
        raise _missing(name)
    return given


def _missing(name: str) -> ApiError:
    return ApiError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)


def _unknown(name: str) -> ApiError:
    return ApiError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def _whole_enough(amount: int, currency: str, name: str) -> None:
    """Refuse fractions that a currency does not have."""
    step = 100 if currency in _HUNDREDS else 10 if currency in _TENS else 1
    if amount % step:
        raise ApiError(
            400,
            f"Invalid amount: in {currency} it must be evenly divisible by {step}.",
            code="invalid_charge_amount",
            param=name,
        )
