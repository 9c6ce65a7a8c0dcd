"""What went wrong at a vendor, in our words: codes, and the error that each of them is.

A refused handshake is told by `voxengine.net` already (`connect_websocket`). This is for what comes later: messages
that tell of an error, and the end of a connection.
"""

from __future__ import annotations

from collections.abc import Mapping

from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.net import Closed

__all__ = ["NETWORK", "code_of_close", "code_of_status", "error_of", "is_retryable"]

#: Failures of the network, which say nothing about what was asked for.
NETWORK = frozenset({"refused", "unreachable", "dns", "tls", "proxy", "timeout", "server"})

#: Codes after which the same can succeed later, and those after which no other connection can be hoped for.
_RETRYABLE = frozenset({"rate_limit", "server", "session_expired", "timeout", "overloaded"})
_FINAL = frozenset({"auth", "quota", "not_found", "content_filter", "message"})

#: Close codes that say that the same connection would fail again (RFC 6455, section 7.4.1): the data was wrong, not
#: the moment.
_REJECTED = frozenset({1002, 1003, 1007, 1008, 1009, 1010})


def is_retryable(code: str) -> bool:
    """Whether the same can succeed later."""
    return code in _RETRYABLE


def error_of(
    code: str,
    words: str,
    provider: str,
    *,
    refused: bool = False,
    retry_after: float | None = None,
) -> ProviderError:
    """The error that a code of ours stands for, to be raised or told.

    Args:
        code: "auth", "rate_limit", "quota", "session_expired", "server", ..., or the vendor's own word.
        words: what the vendor says.
        provider: its name, which is put before that.
        refused: what we sent was wrong, whatever the code.
        retry_after: seconds, of "rate_limit" and "quota".
    """
    text = f"{provider}: {words or code}"
    if code in ("rate_limit", "quota"):
        return RateLimitError(
            text,
            provider=provider,
            code=code,
            retryable=code != "quota",
            retry_after=retry_after,
        )
    if code == "auth":
        return AuthenticationError(text, provider=provider)
    if code == "session_expired":
        return ConnectionError(text, provider=provider, code=code)
    if refused or code == "message":
        return MessageError(text, provider=provider, code=code)
    return ProviderError(text, provider=provider, code=code, retryable=is_retryable(code))


def code_of_status(status: int) -> str:
    """A word for an HTTP status that a vendor states in a message."""
    match status:
        case 401 | 403:
            return "auth"
        case 402:
            return "quota"
        case 404:
            return "not_found"
        case 408 | 504:
            return "timeout"
        case 429:
            return "rate_limit"
    return "server" if status >= 500 else "message"


def code_of_close(
    closed: Closed, codes: Mapping[int, str] | None = None, told: str | None = None
) -> tuple[str, bool]:
    """A word for the end of a connection, and whether another one can be hoped for.

    Args:
        closed: how it ended.
        codes: the words for the vendor's own close codes.
        told: the code of an error that announced it, which says more.
    """
    if told is not None:
        return told, told not in _FINAL
    own = (codes or {}).get(closed.code) if closed.code is not None else None
    if own is not None:
        return own, own not in _FINAL
    code = "closed" if closed.cause == "aborted" else closed.cause
    return code, closed.code not in _REJECTED
