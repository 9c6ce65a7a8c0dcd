"""The one tree of errors.

Everything that VoxEngine raises on purpose derives from `VoiceEngineError`. What a provider did wrong, or could not do,
derives from `ProviderError`, which says which provider, with which `code`, and whether trying again can help.
"""

from __future__ import annotations

import builtins

__all__ = [
    "AudioError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionError",
    "MessageError",
    "MissingDependencyError",
    "ModelError",
    "ProviderError",
    "ProvidersExhaustedError",
    "RateLimitError",
    "SessionClosedError",
    "SlowConsumerError",
    "ToolError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "VoiceEngineError",
]


class VoiceEngineError(Exception):
    """Base of every error that VoxEngine raises on purpose."""


class ConfigurationError(VoiceEngineError, ValueError):
    """A setting is missing, unknown or contradicts another. The message names it and says what is allowed."""


class MissingDependencyError(VoiceEngineError, ImportError):
    """An optional part is not installed. The message holds the exact command that installs it."""

    def __init__(self, feature: str, extra: str, detail: str = "") -> None:
        """`feature` is what was asked for, `extra` the name of the extra that brings it."""
        self.feature = feature
        self.extra = extra
        text = f"{feature} needs the '{extra}' extra. Install it with: pip install 'voxengine[{extra}]'"
        super().__init__(f"{text} ({detail})" if detail else text)


class ModelError(VoiceEngineError):
    """A model file is missing, or is not the file that was pinned (its SHA-256 differs)."""


class SessionClosedError(VoiceEngineError):
    """The session is not open: it was never connected, or has ended."""


class SlowConsumerError(VoiceEngineError):
    """A consumer of events fell so far behind that its bounded queue is full of events that may not be dropped."""


class ToolError(VoiceEngineError):
    """A tool is declared wrongly, or was called with arguments that do not fit its schema."""


class ProviderError(VoiceEngineError):
    """Something that a provider did, or could not do.

    Attributes:
        provider: the registered name of the provider, "" where it is not known.
        code: a stable, lower-case word to branch on (`rate_limit`, `auth`, `refused`, `closed`, `timeout`, ...).
        retryable: whether the same call can succeed later without a change by the caller.
    """

    code: str = "provider_error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        code: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class ConnectionError(ProviderError, builtins.ConnectionError):
    """The connection could not be opened, or was lost. Also caught by the built-in `ConnectionError`."""

    code = "connection"
    retryable = True


class ProvidersExhaustedError(ConnectionError):
    """The provider failed, and so did all that were to take its place. The conversation can be taken up again."""

    code = "exhausted"


class AuthenticationError(ProviderError):
    """The provider did not accept the credentials."""

    code = "auth"


class RateLimitError(ProviderError):
    """The provider asks us to slow down, or the quota is used up (`code` is then `quota`).

    `retry_after` is in seconds, None where the provider does not say.
    """

    code = "rate_limit"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, code=code, retryable=retryable)
        self.retry_after = retry_after


class MessageError(ProviderError, ValueError):
    """A message that could not be sent or understood."""

    code = "message"


class AudioError(ProviderError, ValueError):
    """Audio that is not what was announced: an odd byte count, another rate, a container, too much at once."""

    code = "audio"


class UnsupportedFeatureError(ProviderError):
    """The provider cannot do this, and the session cannot stand in for it."""

    code = "unsupported"
    #: Of a setting: a session that begins with it could not do it either.
    never = False


class UnknownProviderError(ProviderError, LookupError):
    """No provider is registered under that name."""

    code = "unknown_provider"
