"""The emulator of Deepgram: which interfaces there are, and who may connect."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from voxengine.testing.emulators.deepgram.agent import AgentSession
from voxengine.testing.emulators.deepgram.aura import AuraSession
from voxengine.testing.emulators.deepgram.flux import FluxSession
from voxengine.testing.emulators.deepgram.flux_voice import FluxVoiceSession
from voxengine.testing.emulators.deepgram.nova import NovaSession
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.deepgram import SPEECH, agent_judge, speech_judge
from voxengine.testing.oracles.judge import Judge

__all__ = ["DeepgramEmulator", "DeepgramSettings"]

_SESSIONS: Mapping[str, type[VendorSession]] = {
    "/v1/agent/converse": AgentSession,
    "/v1/listen": NovaSession,
    "/v2/listen": FluxSession,
    "/v1/speak": AuraSession,
    "/v2/speak": FluxVoiceSession,
}


class DeepgramSettings(ModelSettings, frozen=True, kw_only=True):
    """How Deepgram behaves."""

    #: Seconds without a message of the client's after which a connection is closed.
    idle_s: float = 10.0
    #: Of Flux: silence after which a turn may be over, where it is asked to say so early.
    eager_ms: float = 250.0
    #: Of the agent: it says when it begins to speak, as it does where it is asked for experimental features.
    tells_beginning: bool = False


class DeepgramEmulator(VendorEmulator):
    """Deepgram on a port of this machine. See `VendorEmulator`; settings are the fields of `DeepgramSettings`.

    `judge` is that of the agent.

    Attributes:
        judges: those of the interfaces for speech, by name: "listen.v1", "listen.v2", "speak.v1", "speak.v2".
    """

    path = "/v1/agent/converse"
    settings_type = DeepgramSettings

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        self.judges: dict[str, Judge] = {name: speech_judge(name) for name in SPEECH}

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which the agent finds it."""
        return {"endpoint": self.ws_url}

    @property
    def part_options(self) -> dict[str, Any]:
        """Options with which the parts of a cascade find it."""
        return {"endpoint": self.ws_url, **({"api_key": self.key} if self.key else {})}

    def make_judge(self) -> Judge:
        """The vendor's types of the agent."""
        return agent_judge()

    def opens(self, request: Request) -> bool:
        """Whether it is one of the interfaces."""
        return request.path in _SESSIONS

    def make_session(self, request: Request, session_id: str) -> VendorSession:
        """A session of the interface that is asked for."""
        return _SESSIONS[request.path](self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """A key ("Token ...") or a token ("Bearer ...") in the header."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() in ("token", "bearer") else None

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of Deepgram's API."""
        names = {"auth": "INVALID_AUTH", "rate_limit": "TOO_MANY_REQUESTS", "quota": "ASR_PAYMENT"}
        told = names.get(code, code.upper())
        return json_answer(
            status, {"err_code": told, "err_msg": message, "request_id": str(uuid.uuid4())}
        )
