"""The emulator of Azure Voice Live: who may connect, and what all its sessions share."""

from __future__ import annotations

import secrets
from typing import Any

from voxengine.testing.emulators.azure_voice_live.session import VoiceLiveSession
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.memory import Memory
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.azure_voice_live import VoiceLiveJudge, voice_live_judge

__all__ = ["VoiceLiveEmulator", "VoiceLiveSettings"]

#: Conversations of agents that are kept. Beyond that the oldest is forgotten.
MAX_THREADS = 100


class VoiceLiveSettings(ModelSettings, frozen=True, kw_only=True):
    """How the service behaves."""

    #: Seconds of the longest session.
    session_s: float = 3600.0
    #: Whether it tells where the words are, when it is asked to.
    tells_places: bool = True


class VoiceLiveEmulator(VendorEmulator):
    """A Voice Live of one's own, on a port of this machine. See `VendorEmulator` for what it is made of.

    With `agent-name` in the address an agent answers. Its conversation is kept, and taken up again by its id.
    """

    path = "/voice-live/realtime"
    settings_type = VoiceLiveSettings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        #: Begins the ids of all that is made here, so that none is that of another emulator.
        self.mark = secrets.token_hex(3)
        #: What agents know of their conversations, by id.
        self.threads: dict[str, Memory] = {}

    def make_judge(self) -> VoiceLiveJudge:
        """By the vendor's own models."""
        return voice_live_judge()

    def make_session(self, request: Request, session_id: str) -> VoiceLiveSession:
        """A session for this request."""
        return VoiceLiveSession(self, request, f"{self.mark}_{session_id}")

    def key_of(self, request: Request) -> str | None:
        """A key has a header of its own, or stands in the address; a token of Entra's is a bearer."""
        return request.headers.get("api-key") or request.query.get("api-key") or request.bearer

    def http(self, request: Request) -> Answer | None:
        """There is nothing beside the WebSocket."""
        return None

    def opens(self, request: Request) -> bool:
        """The address names a version, and a model or an agent whose conversation is known."""
        query = request.query
        if request.path != self.path or "api-version" not in query:
            return False
        if "agent-name" not in query:
            return "model" in query
        return "agent-project-name" in query and self._is_known(query.get("conversation-id"))

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """A refusal in the vendor's form."""
        words = {"auth": "Unauthorized", "rate_limit": "TooManyRequests", "quota": "quota_exceeded"}
        return json_answer(status, {"error": {"code": words.get(code, code), "message": message}})

    def keep(self, thread_id: str, memory: Memory) -> None:
        """Remember an agent's conversation."""
        self.threads[thread_id] = memory
        if len(self.threads) > MAX_THREADS:
            del self.threads[next(iter(self.threads))]

    def _is_known(self, thread_id: str | None) -> bool:
        return thread_id is None or thread_id in self.threads
