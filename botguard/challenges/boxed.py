"""Boxed: PyPI ``hcaptcha``, with what it does not do done around it.

As it is (0.2.1) the package returns a dict for a failure where it says bool, so that ``if await verify(...)`` lets
everybody pass; it writes secret and token into a log when it is given one; it waits for ever, opens a client for each
call, throws whatever JSON throws, does not send the site's key, and drops the host, on which everything depends.

So it runs as a copy of its own, whose HTTP client is ours (``siteverify.Wire``: time limit, size limit, our address),
which adds the site's key and keeps the whole reply; it gets no logger; whatever it throws is ``Away``; and what counts
is the reply, if the package and the reply both say ``True`` (``judging`` does the rest).
"""

import importlib.util
from collections.abc import Mapping
from contextvars import ContextVar
from types import ModuleType, TracebackType
from typing import Any, Self

from botguard.challenges.port import Away
from botguard.challenges.siteverify import Site, Wire

_heard: ContextVar[list[Mapping[str, object]]] = ContextVar("heard")
"""The replies of the call that this task is in."""


class Boxed:
    """hCaptcha asked through its package."""

    def __init__(self, site: Site, wire: Wire) -> None:
        """Ask about tokens of `site`."""
        package = _copy()
        package.aiohttp = _Client(site, wire)
        self._fault: type[Exception] = package.HCaptchaVerificationError
        self._verifier = package.HCaptchaVerifier(site.secret, logger=None)
        self._verifier.verification_url = site.url

    async def __call__(self, token: str) -> Mapping[str, object]:
        """Return the provider's reply; its ``success`` is true only if the package says so too. Raises Away."""
        heard: list[Mapping[str, object]] = []
        mark = _heard.set(heard)
        try:
            told: object = await self._verifier.verify(token)
        except (self._fault, LookupError, TypeError, ValueError, AttributeError) as error:
            raise Away(type(error).__name__) from None
        finally:
            _heard.reset(mark)
        if len(heard) != 1:
            raise Away("no reply")
        passed = isinstance(told, dict) and told.get("success") is True
        success = heard[0].get("success")
        return {**heard[0], "success": passed if success is True else success}


class _Client:
    """Stands where the package looks for the module aiohttp."""

    def __init__(self, site: Site, wire: Wire) -> None:
        self._site = site
        self._wire = wire

    def ClientSession(self) -> "_Client":  # noqa: N802 (the package calls it so)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def post(self, url: str, *, data: Mapping[str, str]) -> "_Exchange":
        return _Exchange(self._wire, url, {**data, "sitekey": self._site.sitekey})


class _Exchange:
    """One question: sent on entering, read by ``json``."""

    def __init__(self, wire: Wire, url: str, form: Mapping[str, str]) -> None:
        self._wire, self._url, self._form = wire, url, form
        self._reply: Mapping[str, object] = {}

    async def __aenter__(self) -> Self:
        self._reply = await self._wire.ask(self._url, self._form)
        _heard.get().append(self._reply)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def json(self) -> Mapping[str, object]:
        return self._reply


def _copy() -> Any:
    """Load the package's module once more, for us alone: what is changed in it changes nothing for others."""
    spec = importlib.util.find_spec("hcaptcha.hcaptcha")
    if spec is None or spec.loader is None:
        raise ImportError("hcaptcha is not installed: pip install 'waitroom[server]'")
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
