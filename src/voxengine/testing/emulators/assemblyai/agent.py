"""The emulator of the Voice Agent: who may connect, the agents that are stored, the sessions that may be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from voxengine.testing.emulators.assemblyai.session import AgentSession
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.assemblyai import agent_judge
from voxengine.testing.oracles.shapes import ShapeJudge

__all__ = ["AgentEmulator", "AgentSettings", "Kept"]

#: Sessions that are kept; the oldest goes first.
_MAX_KEPT = 100


class AgentSettings(ModelSettings, frozen=True, kw_only=True):
    """How the Voice Agent behaves. It counts as said what has been played, and sends audio little faster than that.

    `pace=1` is as the vendor does it.
    """

    pace: float = 1.5
    chunk_ms: float = 50.0
    plays_out: bool = True
    #: Seconds for which a session whose connection was lost can be resumed, and that a session may last.
    grace_s: float = 30.0
    lifetime_s: float = 3600.0
    #: Agents that are stored: what `session.update` would set, by their ids.
    agents: Mapping[str, Mapping[str, Any]] = {}


class Kept(msgspec.Struct):
    """A session whose connection was lost."""

    config: dict[str, Any]
    memory: list[tuple[str, str]]
    until: float


class AgentEmulator(VendorEmulator):
    """The Voice Agent on a port of this machine. See `VendorEmulator`; settings are the fields of `AgentSettings`.

    Attributes:
        kept: the sessions whose connection was lost, by their ids.
    """

    path = "/v1/ws"
    settings_type = AgentSettings

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        self.kept: dict[str, Kept] = {}

    def make_judge(self) -> ShapeJudge:
        """The documented shape."""
        return agent_judge()

    def make_session(self, request: Request, session_id: str) -> AgentSession:
        """A session."""
        return AgentSession(self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """A key in its header, with or without the scheme, or a token in the address."""
        shown = request.headers.get("authorization")
        return request.bearer or shown or request.query.get("token")

    def authorized(self, request: Request) -> bool:
        """Anybody may connect: that the key is wrong is told by a message."""
        return True

    def knows(self, request: Request) -> bool:
        """Whether the right key is shown."""
        return super().authorized(request)

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"detail": message})

    def keep(self, session_id: str, config: dict[str, Any], memory: list[tuple[str, str]]) -> None:
        """A session has lost its connection."""
        until = asyncio.get_running_loop().time() + self.settings.grace_s
        self.kept[session_id] = Kept(config, memory, until)
        if len(self.kept) > _MAX_KEPT:
            del self.kept[next(iter(self.kept))]

    def taken_up(self, session_id: str) -> Kept | None:
        """A session that is resumed; None if it is not known any more."""
        kept = self.kept.pop(session_id, None)
        if kept is None or kept.until < asyncio.get_running_loop().time():
            return None
        return kept
