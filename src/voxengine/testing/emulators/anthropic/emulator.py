"""The emulated Messages API: who may ask, and what it is like."""

from __future__ import annotations

from typing import Any

from voxengine.testing.emulators.anthropic.messages import Claude
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.server import Streamed
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.anthropic import AnthropicJudge, anthropic_judge

__all__ = ["AnthropicEmulator", "AnthropicSettings"]

#: The vendor's word for an error, by its status and by the code of a `Refuse`.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicSettings(ModelSettings, frozen=True, kw_only=True):
    """How it behaves."""

    #: What it thinks before it answers; "" is nothing.
    thoughts: str = ""
    #: It declines to answer a user's text in which this stands.
    refuses: str = ""
    #: The fewest tokens that it remembers.
    cache_minimum: int = 1024
    #: Seconds that it asks to wait when it refuses for the rate.
    retry_after_s: float = 3.0


class AnthropicEmulator(VendorEmulator):
    """Anthropic on a port of this machine. See `VendorEmulator`; it speaks no audio.

    Attributes:
        requests: the bodies of requests that were answered, the latest last.
    """

    path = "/v1/messages"
    settings_type = AnthropicSettings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.requests: list[dict[str, Any]] = []
        self.model = Claude(self)

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the brain finds it."""
        return {"base_url": self.http_url}

    def make_judge(self) -> AnthropicJudge:
        """By the vendor's own types."""
        return anthropic_judge()

    def opens(self, request: Request) -> bool:
        """There is no WebSocket."""
        return False

    def may_fail(self, request: Request) -> bool:
        """Any request may be refused."""
        return True

    def key_of(self, request: Request) -> str | None:
        """The key in either of its two places."""
        return request.headers.get("x-api-key") or request.bearer

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """The vendor's form of an error."""
        status = 402 if code == "quota" else 529 if code == "overloaded" else status
        kind = _TYPES.get(status, "api_error")
        body = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_emulated",
        }
        if self.judge is not None:
            for problem in self.judge.server(body):
                self.violated(f"error: {problem}")
        headers = {"request-id": "req_emulated"}
        if status == 429:
            headers["retry-after"] = f"{self.settings.retry_after_s:g}"
        return json_answer(status, body, headers)

    def http(self, request: Request) -> Answer | Streamed | None:
        """The two things that can be asked for."""
        match request.method, request.path:
            case "POST", "/v1/messages":
                return self.model.answer(request)
            case "GET", "/v1/models":
                return json_answer(200, self.model.listed())
        return None
