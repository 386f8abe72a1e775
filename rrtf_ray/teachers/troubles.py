"""What went wrong with a request, and whether it is worth sending again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

import openai

_SAID = 300
"""Characters of an endpoint's own words in a message."""


class Kind(StrEnum):
    """What a trouble means for the request."""

    PASSING = "passing"
    """It may work when it is sent again."""
    OVERLOAD = "overload"
    """So it may, later: the endpoint limits its rate."""
    REJECTED = "rejected"
    """This request is not taken; others may be."""
    LASTING = "lasting"
    """No request will be taken: a wrong key, model or address, or an account without money."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """retry_after: seconds that the endpoint asks to wait."""

    kind: Kind
    text: str
    retry_after: float | None = None


def trouble_of(error: Exception, timeout_s: float) -> Trouble:
    """What the client's error means."""
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Trouble(Kind.PASSING, f"no answer within timeout_s={timeout_s:g} seconds")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        return Trouble(Kind.PASSING, f"the connection failed ({_line(str(cause or error)) or type(cause).__name__})")
    return Trouble(Kind.PASSING, f"broken data came back ({_line(str(error)) or type(error).__name__})")


def _of_status(error: openai.APIStatusError) -> Trouble:
    status, said = error.status_code, f"status {error.status_code}: {_line(error.message)}"
    if status == 429 and error.code != "insufficient_quota":
        return Trouble(Kind.OVERLOAD, said, retry_after(error.response.headers, time.time()))
    if status in (401, 402, 403, 404, 429):
        return Trouble(Kind.LASTING, f"{said}; {_REMEDIES[status]}")
    if status in (408, 409, 425) or status >= 500:
        return Trouble(Kind.PASSING, said, retry_after(error.response.headers, time.time()))
    return Trouble(Kind.REJECTED, said)


_REMEDIES = {
    401: "check the key in the environment variable that key_variable names",
    402: "the account has no money",
    403: "the key may not use this model",
    404: "check model and base_url (it often ends in /v1)",
    429: "the account has no money",
}


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that Retry-After (RFC 9110, 10.2.3) or retry-after-ms asks for; None where there is neither.

    now: seconds since 1970.
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers["retry-after"].strip()
        return max(0.0, float(text) if text[:1].isdigit() else parsedate_to_datetime(text).timestamp() - now)
    except (KeyError, ValueError, TypeError, IndexError):
        return None


def _line(text: str) -> str:
    return " ".join(text.split())[:_SAID]
