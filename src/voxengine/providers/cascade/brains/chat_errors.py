"""What went wrong with a chat endpoint, as one of our errors."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from voxengine.errors import AuthenticationError, MessageError, ProviderError, RateLimitError

__all__ = ["complaint_of", "error_of_status", "error_of_stream", "retry_after"]

_SHOWN = 200


def complaint_of(body: str) -> str:
    """The server's own words in the body of an error, on one line and cut to a bearable length."""
    try:
        text = _message(msgspec.json.decode(body)) or body
    except msgspec.DecodeError:
        # A page of a proxy or of another server: its title and text say what it is.
        text = re.sub(
            r"<(script|style)\b.*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL | re.IGNORECASE
        )
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _message(data: Any) -> str | None:
    """The text in the shapes of OpenAI, FastAPI (vLLM) and Ollama."""
    if isinstance(data, str):
        return data
    if isinstance(data, list) and data:
        return _message(data[0])
    if not isinstance(data, Mapping):
        return None
    found = (_message(data.get(k)) for k in ("error", "message", "detail", "msg"))
    return next((m for m in found if m), None)


def error_of_status(
    status: int, headers: Mapping[str, str], complaint: str, *, where: str, model: str
) -> ProviderError:
    """The error for an HTTP status that is not 200. `where` is the endpoint as it may be shown."""
    text = f"{where} answered {status}" + (f": {complaint}" if complaint else "")
    if status in (401, 403):
        return AuthenticationError(f"{text} (check the API key of this endpoint)")
    if status == 404:
        hint = f"the model {model!r} is unknown there, or the address is not that of a chat API (it often ends in /v1)"
        return ProviderError(f"{text}: {hint}", code="model_not_found")
    if status == 429:
        return _rate_limit(text, retry_after(headers))
    if status in (408, 504):
        return ProviderError(text, code="timeout", retryable=True)
    if status >= 500:
        return ProviderError(text, code="server_error", retryable=True)
    if status in (400, 413, 422):
        return MessageError(
            text, code="context_length" if "context" in complaint else "bad_request"
        )
    return MessageError(text, code="bad_response")


def error_of_stream(error: Any, *, where: str, model: str) -> ProviderError:
    """The error for an error object that came inside of a stream."""
    complaint = _message(error) or str(error)
    code = error.get("code") if isinstance(error, Mapping) else None
    kind = str(error.get("type", "")) if isinstance(error, Mapping) else ""
    if isinstance(code, int) and 400 <= code < 600:
        return error_of_status(code, {}, complaint[:_SHOWN], where=where, model=model)
    text = f"{where} broke off: {complaint[:_SHOWN]}"
    if "rate_limit" in f"{kind} {code}" or "quota" in f"{kind} {code}":
        return _rate_limit(f"{text} ({code or kind})", None)
    return ProviderError(text, code="server_error", retryable=True)


def _rate_limit(text: str, retry_after: float | None) -> RateLimitError:
    if "quota" in text:
        return RateLimitError(text, code="quota", retryable=False, retry_after=retry_after)
    return RateLimitError(text, retry_after=retry_after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3: a number or a date; OpenAI also sends milliseconds)."""
    try:
        if ms := headers.get("retry-after-ms"):
            return max(0.0, float(ms) / 1000)
        value = headers.get("retry-after", "")
        if re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
