"""The emulator of OpenAI's Live API: who may connect, and what all its sessions share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from voxengine.providers.mock.script import Responses, Script
from voxengine.testing.emulators.faults import REFUSALS, FaultLike, FaultPlan, Refuse, fault_plan
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.openai.emulator import EmulatorFailed
from voxengine.testing.emulators.openai_live.session import LiveSession
from voxengine.testing.emulators.server import Accept, EmulatorServer
from voxengine.testing.emulators.voice import Voice, voice_of
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.openai_live import live_judge

__all__ = ["LiveEmulator", "LiveSettings"]

PATH = "/v1/live/sessions"


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the model behaves. Times are milliseconds, except those that say so."""

    #: What it says first, without being spoken to; "" is nothing.
    greeting: str = ""
    #: From the end of the user's turn to the first sound of the answer.
    latency_ms: float = 200.0
    #: Silence of the user's that ends a turn.
    silence_ms: float = 500.0
    #: Length of a chunk of audio. Audio is sent at the pace at which it is spoken.
    chunk_ms: float = 100.0
    #: Send silence while it does not speak, as a call does.
    sends_silence: bool = False
    #: It stops when the user speaks; otherwise it goes on, as a person does at a nod.
    yields: bool = True
    #: Seconds between reports of usage, and seconds of the longest session.
    usage_every_s: float = 5.0
    session_s: float = 3600.0


class LiveEmulator:
    """A Live API of one's own, on a port of this machine.

    Args:
        responses: what it answers, see `voxengine.providers.mock.script`. A reply with tools delegates one task.
        default: the reply where the script has none.
        faults: what goes wrong, see `voxengine.testing.emulators.faults`.
        speech: its ears and mouth, see `voxengine.testing.emulators.voice`.
        key: the only key that is accepted; None takes any.
        judge: judges all messages; by default one of its own, by the vendor's types.
        host, port: where it listens; port 0 is a free one.
        settings: fields of `LiveSettings`.

    Leaving it raises an `EmulatorFailed` if it has sent anything that is not valid.

    Raises:
        MissingVendorTypesError: the `openai` package, by whose types it judges, is not there.
    """

    def __init__(
        self,
        responses: Responses | None = None,
        *,
        default: Any = "You said: {text}",
        faults: FaultPlan | Iterable[FaultLike] | FaultLike | None = None,
        speech: Voice | str | None = None,
        key: str | None = None,
        judge: Judge | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **settings: Any,
    ) -> None:
        self.script = Script(responses, default)
        self.faults = fault_plan(faults)
        self.voice = voice_of(speech)
        self.settings = LiveSettings(**settings)
        #: Judges all messages of all sessions; and what it found wrong in our own.
        self.judge = judge or live_judge()
        self.violations: list[str] = []
        #: All sessions so far, the latest last.
        self.sessions: list[LiveSession] = []
        self._key = key
        self._server = EmulatorServer(self._route, host=host, port=port)

    @property
    def endpoint(self) -> str:
        """The address of the WebSocket."""
        return f"ws://{self._server.host}:{self._server.port}{PATH}"

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which a provider finds it."""
        return {"endpoint": self.endpoint}

    @property
    def base_url(self) -> str:
        """The `base_url` for the official client."""
        return f"http://{self._server.host}:{self._server.port}/v1"

    @property
    def session(self) -> LiveSession:
        """The session that was opened last."""
        return self.sessions[-1]

    async def __aenter__(self) -> LiveEmulator:
        await self._server.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._server.close()
        if kind is None and self.violations:
            raise EmulatorFailed(self.violations)

    # -- inside

    def _route(self, request: Request) -> Answer | Accept | None:
        if request.path != PATH:
            return _refusal(404, "not_found", f"there is no {request.path}")
        for fault in self.faults.connecting():
            if isinstance(fault, Refuse):
                status = REFUSALS.get(fault.code, 500)
                return None if status is None else _refusal(status, fault.code, "told to refuse")
            return Accept(_Flapping())
        if request.bearer is None or (self._key is not None and request.bearer != self._key):
            return _refusal(401, "invalid_api_key", "Incorrect API key provided.")
        if not request.upgrades:
            return _refusal(400, "invalid_request", "this is a WebSocket")
        session = LiveSession(self, f"live_{len(self.sessions) + 1}")
        self.sessions.append(session)
        return Accept(session)


class _Flapping:
    """A connection that is dropped at once."""

    def on_open(self, socket: Any) -> None:
        """Here it is, and gone."""
        socket.kill()

    def on_message(self, message: str | bytes) -> None:
        """Too late."""

    def on_close(self) -> None:
        """As intended."""


def _refusal(status: int, code: str, message: str) -> Answer:
    kind = "invalid_request_error" if status < 500 else "server_error"
    vendor = {"auth": "invalid_api_key", "quota": "insufficient_quota"}.get(code, code)
    error = {"message": message, "type": kind, "param": None, "code": vendor}
    return json_answer(status, {"error": error})
