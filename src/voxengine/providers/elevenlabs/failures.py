"""What went wrong in an agent's conversation, in our words."""

from __future__ import annotations

from voxengine.errors import ProviderError
from voxengine.providers.elevenlabs.codec import Error
from voxengine.providers.failures import error_of

__all__ = ["code_of_reason", "failure_of"]

#: The vendor's types of errors for which there is a word of ours. After all of them it closes the connection.
_CODES = {
    "max_duration_exceeded": "session_expired",
    "transport_receive_timeout": "session_expired",
    "safety_violation": "content_filter",
    "llm_timeout": "timeout",
    "asyncio_timeout": "timeout",
    "redis_timeout_error": "timeout",
}
#: Those that say that what we have sent was wrong, and would be again.
_WRONG = frozenset(
    {
        "invalid_message",
        "value_error",
        "missing_fields",
        "override_error",
        "missing_dynamic_variable",
        "missing_dynamic_variable_transfer",
        "telephony_agent_error",
        "mcp_tool_error",
        "mcp_https_error",
    }
)
#: What in the reason of a close means which of our codes; the first that is in it counts.
_REASONS = (
    ("quota", "quota"),
    ("credit", "quota"),
    ("concurren", "rate_limit"),
    ("too many", "rate_limit"),
    ("authori", "auth"),
    ("signature", "auth"),
    ("api key", "auth"),
    ("does not exist", "not_found"),
    ("not found", "not_found"),
)


def failure_of(error: Error, provider: str, *, at_work: bool) -> ProviderError:
    """The error that a message tells of; `at_work`: the conversation had begun."""
    kind = error.error_type or "unknown"
    words = error.message or error.reason or kind
    wrong = kind in _WRONG
    code = ("message" if at_work else kind) if wrong else _CODES.get(kind, "server")
    return error_of(code, f"{words} ({kind})", provider, refused=wrong)


def code_of_reason(reason: str) -> str | None:
    """A word for the end of a connection, by the reason that was given for it; None if that says nothing."""
    lower = reason.lower()
    return next((code for part, code in _REASONS if part in lower), None)
