"""Answers: what the sandbox says, errors too, in the form that Stripe's API has for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Kind = Literal["api_error", "card_error", "idempotency_error", "invalid_request_error"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


class ApiError(Exception):
    """An error that goes to the caller.

    ``is_saved``: the call had begun to be executed, so a repeat under the same key hears the same.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: Kind = "invalid_request_error",
        code: str = "",
        param: str = "",
        is_saved: bool = False,
        **more: Any,
    ) -> None:
        """`more` are further members of the error."""
        super().__init__(message)
        self.status = status
        self.is_saved = is_saved
        self._error: dict[str, Any] = {"type": kind, "message": message, **more}
        if code:
            self._error["code"] = code
            self._error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            self._error["param"] = param

    def answer(self) -> Answer:
        """Write it."""
        return json_answer({"error": self._error}, self.status)


def json_answer(body: Mapping[str, Any], status: int = 200) -> Answer:
    """Write an answer."""
    return Answer(status, orjson.dumps(body))


def unknown(what: str, ident: str, param: str = "id") -> ApiError:
    """There is no such thing: 404 for what the address names, 400 for what a parameter does."""
    return ApiError(
        404 if param == "id" else 400,
        f"No such {what}: '{ident}'",
        code="resource_missing",
        param=param,
    )


def not_as_it_stands(message: str, code: str = "payment_intent_unexpected_state", **more: Any) -> ApiError:
    """It cannot be done in the state that the thing is in."""
    return ApiError(400, message, code=code, is_saved=True, **more)
