"""Answers: errors in the form that Adyen's API has for them."""

from checkout.sandbox.answers import Answer, json_answer


class AdyenError(Exception):
    """An error that goes to the caller."""

    def __init__(self, status: int, code: str, message: str, kind: str = "validation") -> None:
        """`code` and `kind` are Adyen's ``errorCode`` and ``errorType``."""
        super().__init__(message)
        self.status = status
        self._plain = {"status": status, "errorCode": code, "message": message, "errorType": kind}

    def answer(self, *more: tuple[bytes, bytes]) -> Answer:
        """Write it."""
        made = json_answer(self._plain, self.status)
        return Answer(made.status, made.body, more)
