"""How a response ended, in the wire's words."""

from __future__ import annotations

from typing import Any

from voxengine.events import ResponseCancelled, ResponseCompleted, ResponseError

__all__ = ["end_of", "failed"]

#: The reasons that the wire has for a response that was called off, and for one that is not whole.
_CANCELLED = ("turn_detected", "client_cancelled")
_INCOMPLETE = ("max_output_tokens", "content_filter")


def end_of(
    event: ResponseCompleted | ResponseCancelled | ResponseError,
) -> tuple[str, dict[str, Any] | None]:
    """The wire's `status` and `status_details` for an event that ends a response."""
    if isinstance(event, ResponseError):
        return "failed", failed(event.code, event.error or event.code)
    if isinstance(event, ResponseCancelled):
        return "cancelled", _because("cancelled", event.reason, _CANCELLED)
    if event.status == "completed":
        return "completed", None
    return "incomplete", _because("incomplete", event.reason, _INCOMPLETE)


def failed(code: str, message: str) -> dict[str, Any]:
    """The `status_details` of a response that failed."""
    return {
        "type": "failed",
        "error": {"type": "server_error", "code": code, "message": message},
    }


def _because(kind: str, reason: str, known: tuple[str, ...]) -> dict[str, Any]:
    return {"type": kind, "reason": reason} if reason in known else {"type": kind}
