"""Operating: what a test changes at the operator's port of a running installation."""

from typing import Any

import httpx

TRIES = 20


def changed(operator: httpx.Client, method: str, room: str, path: str, plain: Any) -> httpx.Response:
    """Change a room as it stands; once more where somebody was faster, as the shop is that tells what is left."""
    for _ in range(TRIES):
        version = operator.get(room).raise_for_status().headers["etag"]
        answer = operator.request(method, f"{room}{path}", json=plain, headers={"if-match": version})
        if answer.status_code != httpx.codes.PRECONDITION_FAILED:
            break
    return answer.raise_for_status()
