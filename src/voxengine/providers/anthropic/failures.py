"""What Anthropic's client raises, as one of our errors."""

from __future__ import annotations

from typing import Any

from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
    VoiceEngineError,
)
from voxengine.providers.cascade.brains.chat_errors import retry_after

__all__ = ["error_of", "is_stale", "refuses_temperature"]

_SHOWN = 300
#: Words for the types of errors that the vendor tells in the middle of an answer, where no status says it.
_STATUS = {
    "authentication_error": 401,
    "permission_error": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
    "invalid_request_error": 400,
}
#: How the vendor says in a bad request that there is nothing left to pay with, or that the conversation is too long.
_NO_CREDIT = "credit balance"
_TOO_LONG = ("prompt is too long", "context window", "context limit")


def error_of(failure: Exception, model: str, key: str) -> VoiceEngineError:
    """The error that the client's stands for. `key` is masked, should the vendor repeat it."""
    if isinstance(failure, VoiceEngineError):
        return failure
    import anthropic

    if isinstance(failure, anthropic.APIStatusError):
        return _of_status(failure, model, key)
    if isinstance(failure, anthropic.APITimeoutError):
        return ProviderError("Anthropic did not answer in time", code="timeout", retryable=True)
    if isinstance(failure, anthropic.APIConnectionError):
        cause = failure.__cause__ or failure
        if _is_refused(cause):
            return ConnectionError(f"Anthropic cannot be reached: {cause}", code="refused")
        return _lost(cause)
    if type(failure).__module__.partition(".")[0] in ("httpx2", "httpx", "httpcore", "httpcore2"):
        return _lost(failure)
    return MessageError(f"Anthropic sent garbage: {type(failure).__name__}", code="bad_response")


def is_stale(failure: Exception) -> bool:
    """Whether a connection that was kept open had been closed meanwhile: it does no harm to ask again."""
    import anthropic

    cause = failure.__cause__
    return (
        type(failure) is anthropic.APIConnectionError
        and cause is not None
        and not _is_refused(cause)
    )


def refuses_temperature(failure: Exception) -> bool:
    """Whether the model does not take `temperature`; those of today do not, with a 400 that names it."""
    status = getattr(failure, "status_code", None)
    return status == 400 and "temperature" in str(getattr(failure, "message", ""))


def _of_status(failure: Any, model: str, key: str) -> ProviderError:
    told = str(failure.api_message or failure.message).replace(key, "***")[:_SHOWN]
    status = failure.status_code
    if status < 400:  # in the middle of a stream
        status = _STATUS.get(failure.type, 500)
    text = f"Anthropic answered {status}: {told}"
    if status in (401, 403):
        return AuthenticationError(f"{text} (check the API key)")
    if status == 402 or (status == 400 and _NO_CREDIT in told):
        return RateLimitError(text, code="quota", retryable=False)
    if status == 404:
        return ProviderError(f"{text} (the model is {model!r})", code="model_not_found")
    if status == 429:
        return RateLimitError(text, retry_after=retry_after(failure.response.headers))
    if status in (408, 504):
        return ProviderError(text, code="timeout", retryable=True)
    if status == 529:
        return ProviderError(text, code="overloaded", retryable=True)
    if status >= 500:
        return ProviderError(text, code="server_error", retryable=True)
    too_long = status == 413 or any(words in told for words in _TOO_LONG)
    return MessageError(text, code="context_length" if too_long else "bad_request")


def _is_refused(cause: BaseException) -> bool:
    return type(cause).__name__ in ("ConnectError", "ConnectTimeout")


def _lost(cause: BaseException) -> ConnectionError:
    return ConnectionError(f"Anthropic was lost: {type(cause).__name__}", code="closed")
