"""The vendor's words for what went wrong, and ours."""

from __future__ import annotations

from voxengine.errors import ProviderError
from voxengine.providers import failures
from voxengine.providers.failures import is_retryable
from voxengine.providers.openai.messages import Failure

__all__ = ["FATAL", "code_of", "error_of", "is_retryable"]

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


def code_of(failure: Failure) -> str:
    """A word to branch on."""
    words = [str(word) for word in (failure.code, failure.type) if word]
    known = (_CODES[word] for word in words if word in _CODES)
    return next(known, words[0] if words else "error")


def error_of(failure: Failure, provider: str) -> ProviderError:
    """The vendor's refusal as an error to be raised."""
    code = code_of(failure)
    refused = failure.type == "invalid_request_error"
    return failures.error_of(code, failure.message or "", provider, refused=refused)
