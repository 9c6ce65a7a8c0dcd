"""The emulator of Hume's EVI: who may connect, and the chat groups that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.hume.session import HumeSession
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.hume import evi_judge
from voxengine.testing.oracles.judge import Judge

__all__ = ["HumeEmulator", "HumeSettings"]


class HumeSettings(ModelSettings, frozen=True, kw_only=True):
    """How EVI behaves."""

    #: How the user sounds, in every turn: scores by the vendor's names; those that are not named are small.
    emotions: Mapping[str, float] = {}
    #: It keeps chats, so that they can be resumed (an account may forbid that).
    retains: bool = True


class HumeEmulator(VendorEmulator):
    """EVI on a port of this machine. See `VendorEmulator`; settings are the fields of `HumeSettings`.

    Attributes:
        groups: what was said in each chat group, as (role, text).
    """

    path = "/v0/evi/chat"
    settings_type = HumeSettings

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        self.groups: dict[str, list[tuple[str, str]]] = {}

    @property
    def evi_url(self) -> str:
        """The `evi` of a `HumeClientEnvironment` for the official client."""
        return f"{self.ws_url}/v0/evi"

    def make_judge(self) -> Judge:
        """The vendor's types."""
        return evi_judge()

    def make_session(self, request: Request, session_id: str) -> HumeSession:
        """A chat."""
        return HumeSession(self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """A key in its header or the address, or a token there."""
        query = request.query
        shown = request.headers.get("x-hume-api-key")
        return shown or query.get("api_key") or query.get("access_token")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of Hume's API."""
        return json_answer(status, {"message": message})
