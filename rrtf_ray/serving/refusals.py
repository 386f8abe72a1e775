"""Why a request gets no completion, in the format that OpenAI's clients know.

Input: what is wrong. Output: a status and `{"error": {"message", "type", "param", "code"}}`.
"""

from __future__ import annotations

import math
from typing import Any

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class Refusal(Exception):
    """A request that cannot be answered.

    param: the field of the request at fault. retry_after_s: when to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, message)  # what unpickling calls the class with
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        found = {} if self.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
        if self.status == 401:
            found["WWW-Authenticate"] = "Bearer"
        return found


def invalid(param: str | None, message: str, code: str | None = None) -> Refusal:
    """The request itself is invalid: 400."""
    return Refusal(400, message, param=param, code=code)
