"""A request that the gateway does not grant, in the form that OpenAI's clients know."""

from __future__ import annotations

import math
from typing import Any

from voxengine.errors import VoiceEngineError
from voxengine.realtime.errors import http_error

__all__ = ["Refused"]


class Refused(VoiceEngineError):
    """Answered with this HTTP status; nothing else happens.

    Args:
        status: the HTTP status.
        code: what is wrong, for programs.
        message: what is wrong and what to do, for people. It holds no key.
        kind: OpenAI's class of errors.
        retry_after: seconds after which another try makes sense, where one does.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        kind: str = "invalid_request_error",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return http_error(self.kind, self.code, str(self))

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer: when to come again, and how to say who one is."""
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers
