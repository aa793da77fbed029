"""Error: a failure, as opposed to an expected outcome (those are values).

Three kinds, told apart by whose fault it is: ``Misconfigured`` (the operator's, at start, all
faults told at once), ``Refused`` (the caller's, with a stable code and a public text) and
``Unavailable`` (ours, for now; a repeat may help). ``code`` is kebab-case and part of the API,
``public`` is a text for people that holds nothing internal. Not here: how they look in HTTP
(``kernel.problems``).
"""

from collections.abc import Sequence


class Misconfigured(Exception):
    """The process cannot start like this; ``faults`` lists everything that is wrong, not the first find."""

    code = "misconfigured"
    status = 500

    def __init__(self, faults: Sequence[str]) -> None:
        """Take whole sentences, each naming the setting, file or process at fault; a plain text is one."""
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        self.public = "The service is not set up correctly."
        super().__init__("\n".join(self.faults))


class Refused(Exception):
    """The caller asked for something that it must not or cannot have; the same request fails again."""

    def __init__(
        self, code: str, public: str, status: int = 400, retry_after_s: int | None = None, **extra: object
    ) -> None:
        """Keep ``extra`` as further members of the problem response."""
        self.code = code
        self.public = public
        self.status = status
        self.retry_after_s = retry_after_s
        self.extra: dict[str, object] = extra
        super().__init__(f"{code}: {public}")


class Unavailable(Exception):
    """Something that we depend on is away; the same request may succeed a little later."""

    status = 503

    def __init__(self, code: str, public: str, retry_after_s: int = 2) -> None:
        """Say in ``retry_after_s`` when a repeat makes sense."""
        self.code = code
        self.public = public
        self.retry_after_s = retry_after_s
        self.extra: dict[str, object] = {}
        super().__init__(f"{code}: {public}")
