"""What is answered when a call cannot be opened because of what is behind the gateway."""

from __future__ import annotations

from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingDependencyError,
    ModelError,
    ProviderError,
    RateLimitError,
    UnknownProviderError,
    VoiceEngineError,
)
from voxengine.gateway.refusal import Refused

__all__ = ["refusal"]

#: Seconds after which a provider that asks to slow down may be tried again, where it does not say.
_LATER = 10.0


def refusal(failure: BaseException) -> Refused:
    """The answer: 504 too late, 503 try again later, 502 the provider does not do.

    What the provider said is in it as far as our own errors say it; of anything else only that it happened.
    """
    if isinstance(failure, Refused):
        return failure
    if isinstance(failure, TimeoutError):
        return _refused(504, "provider_timeout", "The provider took too long to be ready.")
    if isinstance(failure, RateLimitError):
        again = failure.retry_after if failure.retry_after is not None else _LATER
        return _refused(503, failure.code, str(failure), again)
    if isinstance(failure, (MissingDependencyError, ModelError, UnknownProviderError)):
        return _refused(503, "provider_not_available", str(failure))
    if isinstance(failure, ConfigurationError):
        return _refused(503, "provider_not_configured", str(failure))
    if isinstance(failure, AuthenticationError):
        # Not 401: it is the gateway that the provider does not let in, not the caller.
        return _refused(502, "provider_auth", "The provider did not accept the gateway's key.")
    if isinstance(failure, ProviderError):
        if failure.code == "timeout":
            return _refused(504, "provider_timeout", str(failure), _LATER)
        return _refused(502, failure.code, str(failure), _LATER if failure.retryable else None)
    if isinstance(failure, VoiceEngineError):
        code = getattr(failure, "code", None)
        return _refused(503, code if isinstance(code, str) else "unavailable", str(failure), _LATER)
    return _refused(500, "internal_error", "The server could not open the call.")


def _refused(status: int, code: str, message: str, retry_after: float | None = None) -> Refused:
    return Refused(status, code, message, "server_error", retry_after)
