"""The emulator of OpenAI's Live API: who may connect, and what all its sessions share."""

from __future__ import annotations

from typing import ClassVar

from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.openai_live.session import LiveSession
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.openai_live import live_judge

__all__ = ["LiveEmulator", "LiveSettings"]


class LiveSettings(ModelSettings, frozen=True, kw_only=True):
    """How the model behaves. Times are milliseconds, except those that say so."""

    latency_ms: float = 200.0
    #: Audio is sent at the pace at which it is spoken.
    pace: float = 1.0
    #: Send silence while it does not speak, as a call does.
    sends_silence: bool = False
    #: Seconds between reports of usage, and seconds of the longest session.
    usage_every_s: float = 5.0
    session_s: float = 3600.0


class LiveEmulator(VendorEmulator):
    """A Live API of one's own, on a port of this machine. A reply with tools delegates one task.

    Raises:
        MissingVendorTypesError: the `openai` package, by whose types it judges, is not there.
    """

    path: ClassVar[str] = "/v1/live/sessions"
    settings_type: ClassVar[type[ModelSettings]] = LiveSettings

    @property
    def base_url(self) -> str:
        """The `base_url` for the official client."""
        return f"{self.http_url}/v1"

    def make_judge(self) -> Judge:
        """By the types of the vendor's package."""
        return live_judge()

    def make_session(self, request: Request, session_id: str) -> LiveSession:
        """A session."""
        return LiveSession(self, request, f"live_{session_id}")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """A refusal in the vendor's form."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        vendor = {"auth": "invalid_api_key", "quota": "insufficient_quota"}.get(code, code)
        error = {"message": message, "type": kind, "param": None, "code": vendor}
        return json_answer(status, {"error": error})
