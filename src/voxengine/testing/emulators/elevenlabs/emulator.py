"""The emulator of ElevenLabs' agents: who may connect, and what the one agent is that it has."""

from __future__ import annotations

import secrets
from typing import Any

from voxengine.testing.emulators.elevenlabs.session import AgentSession
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.elevenlabs import agents_judge
from voxengine.testing.oracles.shapes import ShapeJudge

__all__ = ["AGENT", "AgentSettings", "ElevenLabsEmulator"]

AGENT = "agent_emulated"
#: Addresses that were given out and not used.
_MAX_SIGNED = 1000
_SIGNING = "/v1/convai/conversation/get-signed-url"
#: Overrides that an agent may permit: paths in `conversation_config_override`.
_ALL = frozenset(
    {
        "agent.first_message",
        "agent.language",
        "agent.prompt.prompt",
        "agent.prompt.llm",
        "agent.native_mcp_server_ids",
        "asr.keywords",
        "tts.voice_id",
        "tts.stability",
        "tts.speed",
        "tts.similarity_boost",
        "conversation.text_only",
        "conversation.client_events",
    }
)


class AgentSettings(ModelSettings, frozen=True, kw_only=True):
    """What the agent is."""

    #: It hears a person out, and knows what was played of what it said.
    plays_out: bool = True
    #: Formats by the vendor's names.
    input_format: str = "pcm_16000"
    output_format: str = "pcm_16000"
    #: What it is told to be, where no override says otherwise.
    prompt: str = ""
    #: Overrides that it permits.
    overrides: frozenset[str] = _ALL
    #: Variables that a conversation has to give.
    variables: tuple[str, ...] = ()
    #: Client tools that it was given; None: any.
    tools: tuple[str, ...] | None = None
    #: Whether it says where the characters are, and marks the cut in a corrected text.
    aligned: bool = True
    dots: bool = False
    #: Whether anybody may talk to it who knows its id.
    public: bool = False
    #: Seconds from one ping to the next, and of the longest conversation.
    ping_s: float = 5.0
    max_duration_s: float = 600.0


class ElevenLabsEmulator(VendorEmulator):
    """An agent on a port of this machine. See `VendorEmulator`; settings are the fields of `AgentSettings`."""

    path = "/v1/convai/conversation"
    settings_type = AgentSettings

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        #: Signatures that open one conversation each.
        self.signed: dict[str, None] = {}

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which a provider finds it."""
        return {"endpoint": self.endpoint, "agent_id": AGENT}

    def make_judge(self) -> ShapeJudge:
        """The documented shape."""
        return agents_judge()

    def make_session(self, request: Request, session_id: str) -> AgentSession:
        """A conversation."""
        return AgentSession(self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """The key in its header."""
        return request.headers.get("xi-api-key")

    def authorized(self, request: Request) -> bool:
        """A conversation is opened by its signature, all else by the key."""
        if self.opens(request):
            signature = request.query.get("conversation_signature", "")
            return self.settings.public or signature in self.signed
        return super().authorized(request)

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"detail": {"status": code, "message": message}})

    def http(self, request: Request) -> Answer | None:
        """The address of a conversation is asked for."""
        if request.path != _SIGNING or request.method != "GET":
            return None
        agent = request.query.get("agent_id", "")
        if agent != AGENT:
            return self.refusal(404, "agent_not_found", f"there is no agent {agent}")
        signature = secrets.token_hex(16)
        self.signed[signature] = None
        if len(self.signed) > _MAX_SIGNED:
            del self.signed[next(iter(self.signed))]
        url = f"{self.endpoint}?agent_id={agent}&conversation_signature={signature}"
        return json_answer(200, {"signed_url": url})
