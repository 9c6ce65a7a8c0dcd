"""What Gemini Live means by closing a connection: it has no message for errors, only the reason of the close frame."""

from __future__ import annotations

from voxengine.net import Closed
from voxengine.providers.failures import code_of_close as _code_of_close

__all__ = ["code_of_close"]

#: Words of a reason, in lower case, by what they mean; the first that is found counts. Where a reason names a status of
#: Google's APIs (google.rpc.Code), that is among them.
_REASONS = (
    ("quota", "quota"),
    ("billing", "quota"),
    ("resource_exhausted", "rate_limit"),
    ("resource has been exhausted", "rate_limit"),
    ("rate limit", "rate_limit"),
    ("too many", "rate_limit"),
    ("api key", "auth"),
    ("api_key", "auth"),
    ("unauthenticated", "auth"),
    ("authentication", "auth"),
    ("permission", "auth"),
    ("token expired", "auth"),
    ("not found", "not_found"),
    ("is not supported for bidigeneratecontent", "not_found"),
    ("deadline expired", "session_expired"),
    ("go away", "session_expired"),
    ("session duration", "session_expired"),
    ("unavailable", "server"),
    ("overloaded", "server"),
    ("internal error", "server"),
)

_CLOSE_CODES = {1007: "message", 1008: "refused_by_policy", 1011: "server", 1013: "server"}

#: After these, another connection cannot be hoped for.
_FINAL = frozenset({"auth", "quota", "not_found", "message", "refused_by_policy"})


def code_of_close(closed: Closed) -> tuple[str, bool]:
    """A word for the end of the connection, and whether another one can be hoped for."""
    reason = closed.reason.lower()
    for words, code in _REASONS:
        if words in reason:
            return code, code not in _FINAL
    code, retryable = _code_of_close(closed, _CLOSE_CODES)
    return code, retryable and code not in _FINAL
