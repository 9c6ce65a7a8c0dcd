"""The emulator of Ultravox: it creates calls, and says where they are joined."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.ultravox.session import UltravoxSession
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.ultravox import CREATE, CREATED, ultravox_judge

__all__ = ["UltravoxEmulator", "UltravoxSettings"]

#: Calls that are kept, joined or not.
_MAX_CALLS = 100


class UltravoxSettings(ModelSettings, frozen=True, kw_only=True):
    """How the agent behaves."""

    #: Voices that the account has; others are refused.
    voices: tuple[str, ...] = ("Mark", "Jessica")
    #: Seconds of the longest call.
    max_duration_s: float = 3600.0


class UltravoxEmulator(VendorEmulator):
    """Ultravox on a port of this machine. See `VendorEmulator`; settings are the fields of `UltravoxSettings`.

    Attributes:
        requests: the calls that were asked for, by their ids: bodies as they came.
        messages: what was said in each call, as (role, text).
    """

    path = "/api/calls"
    join_path = "/calls/"
    settings_type = UltravoxSettings

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        self.requests: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[tuple[str, str]]] = {}

    def make_judge(self) -> Judge:
        """The documented shape."""
        return ultravox_judge()

    def make_session(self, request: Request, session_id: str) -> UltravoxSession:
        """A call that is joined."""
        return UltravoxSession(self, request, session_id)

    def opens(self, request: Request) -> bool:
        """Whether a call is joined there, which needs no key."""
        return request.path.removeprefix(self.join_path) in self.requests

    def may_fail(self, request: Request) -> bool:
        """A connection begins with the request."""
        return request.path == self.path

    def authorized(self, request: Request) -> bool:
        """Who knows the address of a call may join it."""
        return self.opens(request) or super().authorized(request)

    def key_of(self, request: Request) -> str | None:
        """The key in its header."""
        return request.headers.get("x-api-key")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"detail": message})

    def http(self, request: Request) -> Answer | None:
        """A call is created."""
        if request.path != self.path or request.method != "POST":
            return None
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError as failure:
            return self.refusal(400, "bad_request", f"the body is no JSON object: {failure}")
        problems = self.judge.client({"type": CREATE, **body})
        earlier = request.query.get("priorCallId")
        if not problems and earlier is not None and earlier not in self.messages:
            problems = [f"priorCallId: there is no call {earlier}"]
        if earlier is not None and body.get("initialMessages"):
            problems = [*problems, "initialMessages: the call has those of the earlier one"]
        if body.get("voice") not in (None, *self.settings.voices):
            problems = [*problems, f"voice: there is no {body['voice']!r}"]
        if problems:
            return self.refusal(400, "bad_request", problems[0])
        return self._created(body, earlier)

    def _created(self, body: dict[str, Any], earlier: str | None) -> Answer:
        call_id = str(uuid.uuid4())
        self.requests[call_id] = body
        self.messages[call_id] = list(self.messages.get(earlier or "", ()))
        for kept in (self.requests, self.messages):
            if len(kept) > _MAX_CALLS:
                del kept[next(iter(kept))]
        told = {"callId": call_id, "joinUrl": f"{self.ws_url}{self.join_path}{call_id}"}
        for problem in self.judge.server({"type": CREATED, **told}):
            self.violated(problem)
        return json_answer(201, told)
