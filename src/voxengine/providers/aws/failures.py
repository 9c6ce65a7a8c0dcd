"""What went wrong at one of Amazon's services, in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from voxengine.errors import ConnectionError, ProviderError
from voxengine.providers.failures import code_of_status, error_of, is_retryable

__all__ = ["code_of", "failure_of", "words_of"]

#: The beginnings of Amazon's names for errors, and our codes.
_CODES: Mapping[str, str] = {
    "AccessDenied": "auth",
    "UnrecognizedClient": "auth",
    "InvalidSignature": "auth",
    "SignatureDoesNotMatch": "auth",
    "IncompleteSignature": "auth",
    "ExpiredToken": "auth",
    "InvalidClientTokenId": "auth",
    "MissingAuthenticationToken": "auth",
    "Throttling": "rate_limit",
    "TooManyRequests": "rate_limit",
    "LimitExceeded": "rate_limit",
    "ServiceQuotaExceeded": "quota",
    "ResourceNotFound": "not_found",
    "Validation": "message",
    "BadRequest": "message",
    "Conflict": "message",
    "ModelTimeout": "timeout",
    "ModelNotReady": "overloaded",
    "ServiceUnavailable": "overloaded",
    "InternalServer": "server",
    "InternalFailure": "server",
    "ServiceFailure": "server",
    "ModelStreamError": "server",
    "ModelError": "server",
}
_STATUS = re.compile(r"status: (\d{3})")
_NAME = re.compile(r"\b([A-Z][A-Za-z]+(?:Exception|DoesNotMatch))\b")
#: What the network is found to be, by a word in the name or the message of the transport's error.
_NETWORK = {
    "dns": "dns",
    "host_name": "dns",
    "tls": "tls",
    "negotiat": "tls",
    "certificate": "tls",
    "refused": "refused",
    "timeout": "timeout",
    "timed out": "timeout",
    "unreachable": "unreachable",
    "no_route": "unreachable",
}


def code_of(name: str, status: int | None = None) -> str | None:
    """Our code for an error of that name; without a name that is known, for the status."""
    for beginning, code in _CODES.items():
        if name.startswith(beginning):
            return code
    return code_of_status(status) if status is not None else None


def words_of(failure: BaseException) -> str:
    """What it says."""
    return str(getattr(failure, "message", "") or failure) or type(failure).__name__


def failure_of(failure: BaseException, provider: str) -> ProviderError:
    """The error of ours for one that AWS's library raised."""
    if isinstance(failure, ProviderError):
        return failure
    words = words_of(failure)
    stated = _STATUS.search(words)
    status = int(stated[1]) if stated else None
    # What the library has no class for, it names in the text.
    named = _NAME.search(words)
    code = code_of(type(failure).__name__) or code_of(named[1] if named else "", status)
    if code is None:
        told = f"{type(failure).__name__} {getattr(failure, 'name', '')} {words}".lower()
        cause = failure.__cause__
        told += f" {type(cause).__name__} {cause}".lower() if cause is not None else ""
        code = next((c for word, c in _NETWORK.items() if word in told), "connection")
        return ConnectionError(f"{provider}: {words}", provider=provider, code=code)
    if code == "message":
        return error_of(code, words, provider, refused=True)
    if is_retryable(code) and code not in ("rate_limit",):
        return ConnectionError(f"{provider}: {words}", provider=provider, code=code)
    return error_of(code, words, provider)
