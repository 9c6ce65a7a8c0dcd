"""What Google's gRPC services mean by a status, in our words."""

from __future__ import annotations

from typing import Any

from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)

__all__ = ["NAME", "error_of", "is_end", "is_masked"]

NAME = "google"

#: Statuses by which the vendor ends a stream that has lasted its time, or in which nobody spoke: another may follow.
_ENDS = frozenset({"ABORTED", "OUT_OF_RANGE", "CANCELLED"})
_SERVER = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})


def is_end(failure: Any) -> bool:
    """Whether this is the planned end of a stream."""
    return _status(failure) in _ENDS


def is_masked(failure: Any) -> bool:
    """Whether this is gRPC's own word for having sent something to a call that had been ended already."""
    return _status(failure) == "INTERNAL" and "from Core" in _words(failure)


def error_of(failure: Any) -> ProviderError:
    """The error that a failed call stands for."""
    if isinstance(failure, ProviderError):
        return failure
    status = _status(failure)
    text = f"{NAME}: {status}: {_words(failure)}"
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AuthenticationError(text, provider=NAME)
    if status == "RESOURCE_EXHAUSTED":
        quota = "quota" in text.lower()
        code = "quota" if quota else "rate_limit"
        return RateLimitError(text, provider=NAME, code=code, retryable=not quota)
    if status == "NOT_FOUND":
        return ProviderError(text, provider=NAME, code="not_found")
    if status in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNIMPLEMENTED"):
        return MessageError(text, provider=NAME)
    if status == "DEADLINE_EXCEEDED":
        return ConnectionError(text, provider=NAME, code="timeout")
    if status in _ENDS:
        return ConnectionError(text, provider=NAME, code="session_expired")
    if status in _SERVER:
        return ConnectionError(text, provider=NAME, code="server")
    return ConnectionError(text, provider=NAME, code="closed")


def _status(failure: Any) -> str:
    """The name of the gRPC status: of an error of gRPC's, or of the vendor's client, which wraps that."""
    wrapped = getattr(failure, "grpc_status_code", None)
    code = getattr(failure, "code", None)
    found = wrapped if wrapped is not None else code() if callable(code) else None
    return str(getattr(found, "name", "UNKNOWN"))


def _words(failure: Any) -> str:
    details = getattr(failure, "details", None)
    told = details() if callable(details) else getattr(failure, "message", None)
    return " ".join(str(told or type(failure).__name__).split())[:300]
