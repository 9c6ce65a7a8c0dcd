"""The vendor's words for what went wrong, and ours."""

from __future__ import annotations

from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.net import Closed
from voxengine.providers.openai.messages import Failure

__all__ = ["FATAL", "code_of", "code_of_close", "error_of", "is_retryable"]

#: Of the vendor's codes and types, those for which there is a word of ours.
_CODES = {
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "rate_limits_exceeded": "rate_limit",
    "too_many_requests": "rate_limit",
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "invalid_api_key": "auth",
    "incorrect_api_key": "auth",
    "authentication_error": "auth",
    "permission_denied": "auth",
    "model_not_found": "not_found",
    "server_error": "server",
    "internal_error": "server",
    "service_unavailable": "server",
}

#: Codes after which the vendor closes the connection.
FATAL = frozenset({"session_expired", "auth", "quota"})
_FINAL = frozenset({"auth", "quota", "not_found"})

#: Close codes that say that the same connection would fail again (RFC 6455, section 7.4.1): the data was wrong, not
#: the moment.
_REJECTED = frozenset({1002, 1003, 1007, 1008, 1009, 1010})


def code_of(failure: Failure) -> str:
    """A word to branch on."""
    words = [str(word) for word in (failure.code, failure.type) if word]
    known = (_CODES[word] for word in words if word in _CODES)
    return next(known, words[0] if words else "error")


def is_retryable(code: str) -> bool:
    """Whether the same can succeed later."""
    return code in ("rate_limit", "server", "session_expired", "timeout")


def error_of(failure: Failure, provider: str) -> ProviderError:
    """The vendor's refusal as an error to be raised."""
    code = code_of(failure)
    words = f"{provider}: {failure.message or code}"
    if code in ("rate_limit", "quota"):
        return RateLimitError(words, provider=provider, code=code, retryable=code != "quota")
    if code == "auth":
        return AuthenticationError(words, provider=provider)
    if code == "session_expired":
        return ConnectionError(words, provider=provider, code=code)
    if failure.type == "invalid_request_error":
        return MessageError(words, provider=provider, code=code)
    return ProviderError(words, provider=provider, code=code, retryable=is_retryable(code))


def code_of_close(closed: Closed, told: str | None) -> tuple[str, bool]:
    """A word for the end of the connection, and whether another one can be hoped for.

    `told` is the code of an error that announced it.
    """
    if told is not None:
        return told, told not in _FINAL
    code = "closed" if closed.cause == "aborted" else closed.cause
    return code, closed.code not in _REJECTED
