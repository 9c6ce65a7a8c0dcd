"""The emulator of OpenAI's Realtime API and of its dialects: addresses, keys, sessions, and the verdict at the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from voxengine.clock import Clock
from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.providers.mock.faults import FaultLike, FaultPlan, Flap, Refuse
from voxengine.providers.mock.script import Responses, Script
from voxengine.realtime.errors import http_error
from voxengine.testing.emulators.faults import fault_plan
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.openai.dialects import Dialect, dialect_of
from voxengine.testing.emulators.openai.items import Conversation
from voxengine.testing.emulators.openai.keys import Keys, refusal
from voxengine.testing.emulators.openai.replies import Mind
from voxengine.testing.emulators.openai.responder import Pace
from voxengine.testing.emulators.openai.session import Session, World
from voxengine.testing.emulators.openai.settings import Settings
from voxengine.testing.emulators.server import Accept, EmulatorServer
from voxengine.testing.emulators.verdict import MAX_VIOLATIONS, EmulatorFailed
from voxengine.testing.emulators.voice import LocalVoice, Voice, voice_of

if TYPE_CHECKING:
    from voxengine.testing.oracles.judge import Judge

__all__ = ["EmulatorFailed", "OpenAIEmulator"]

#: Sessions that are remembered; the oldest that are over go first.
MAX_SESSIONS = 1000
_KINDS = ("bearer", "header", "query", "none")
#: Told of a session, and the event that it sends.
Watch: TypeAlias = "Callable[[Session, dict[str, Any] | None], None]"


class OpenAIEmulator:
    """A server on this machine that speaks OpenAI's Realtime API. An async context manager.

    Args:
        dialect: "openai", "azure", "xai" or "custom".
        responses: what it answers, as `mock_responses` of the mock: see `voxengine.providers.mock.script`.
        faults: what goes wrong, and when: see `voxengine.testing.emulators.faults`. A `FaultPlan` may be shared.
        key: the key that opens it.
        speech: ears and mouth: "signal" (the default), "local", or a `Voice`.
        judge: what judges each message; "vendor" is the vendor's own types where they are installed, None nothing.
        host, port: where it listens; port 0 is a free one.
        auth: how a `custom` endpoint wants its key: bearer, header, query or none.
        greeting: what it says if asked for a response before anybody said anything.
        transcripts: what it understands of speech that carries no words of ours, in rotation; None: nothing at all.
        pace: how many times faster than it plays audio is sent.
        latency_ms: from the request for a response to its first words.
        transcript_delay_ms: how long after the end of a turn its transcript comes.
        on_event: told of every event that a session sends; and, with None, that it has ended.

    Raises:
        ConfigurationError: a setting does not do.
        MissingDependencyError: what `speech` needs is not installed.
    """

    def __init__(
        self,
        dialect: str | Dialect = "openai",
        responses: Responses | None = None,
        faults: FaultPlan | Iterable[FaultLike] | FaultLike | None = (),
        key: str = "sk-emulated",
        speech: Voice | str | None = None,
        judge: Judge | str | None = "vendor",
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        auth: str = "bearer",
        greeting: str | None = None,
        transcripts: Sequence[str | None] = (),
        pace: float = 5.0,
        latency_ms: float = 100.0,
        transcript_delay_ms: float = 100.0,
        on_event: Watch | None = None,
    ) -> None:
        self.dialect = dialect_of(dialect)
        if auth not in _KINDS:
            raise ConfigurationError(f"auth is one of {', '.join(_KINDS)}, not {auth!r}")
        if auth != "bearer" and self.dialect.name != "custom":
            raise ConfigurationError(f"auth is for the dialect custom, not {self.dialect.name}")
        if pace <= 0:
            raise ConfigurationError(f"pace is above 0, not {pace}")
        self._keys = Keys(self.dialect, (auth,) if self.dialect.name == "custom" else None, key)
        self.faults = fault_plan(faults)
        #: What judges the messages, None if nothing does.
        self.judge: Judge | None = self._judge_of(judge)
        #: The sessions that were opened so far, in their order.
        self.sessions: list[Session] = []
        #: What the emulator did wrong.
        self.violations: list[str] = []
        #: Conversations that can be taken up again (xAI), by id.
        self.conversations: dict[str, Conversation] = {}
        script = Script(responses)
        then: dict[str, Any] = {}
        self._mark = secrets.token_hex(4)
        self._voice = voice_of(speech)
        self._world = World(
            dialect=self.dialect,
            mark=self._mark,
            mind=lambda: Mind(script, greeting, transcripts, then),
            voice=self._voice,
            pace=Pace(latency_ms=latency_ms, factor=pace),
            faults=self.faults,
            judge=self.judge,
            transcript_delay_ms=transcript_delay_ms,
            on_violation=self._violated,
            on_closed=self._closed,
            kept=self.conversations,
            watch=on_event,
        )
        self._server = EmulatorServer(self._route, host=host, port=port)
        self._count = 0

    # -- addresses

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def http_url(self) -> str:
        """The `base_url` for the vendor's own clients."""
        return f"http://{self._server.host}:{self.port}{self.dialect.path}"

    @property
    def endpoint(self) -> str:
        """What a provider's `endpoint` has to be."""
        base = f"ws://{self._server.host}:{self.port}{self.dialect.path}"
        return f"{base}/realtime" if self.dialect.name == "custom" else base

    @property
    def metadata(self) -> dict[str, Any]:
        """A provider's metadata that lead it here."""
        if self.dialect.name != "custom":
            return {"endpoint": self.endpoint}
        kind = self._keys.ways[0]
        named = {"auth_name": self.dialect.key_name} if kind in ("header", "query") else {}
        model = self.dialect.default_model
        return {"endpoint": self.endpoint, "auth_type": kind, **named, "model": model}

    # -- running

    async def start(self) -> None:
        """Open the port; after `kill` or `refuse`, the same again.

        Raises:
            OSError: the port is taken.
            MissingDependencyError, ModelError: the models of `speech` are not there.
        """
        if isinstance(self._voice, LocalVoice):
            await self._voice.load()
        await self._server.start()

    async def refuse(self) -> None:
        """Close the port: who connects is refused. Open sessions go on."""
        await self._server.stop_listening()

    async def kill(self) -> None:
        """Cut all connections without a close frame, and close the port."""
        await self._server.kill()
        await self._settle()

    async def close(self) -> None:
        """Close all sessions and the port.

        Raises:
            EmulatorFailed: it had sent what its vendor never would.
        """
        await self._server.close()
        await self._settle()
        if self.violations:
            raise EmulatorFailed(self.violations)

    async def __aenter__(self) -> OpenAIEmulator:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except EmulatorFailed as verdict:
            if failure is None:
                raise
            failure.add_note(str(verdict))

    async def _settle(self) -> None:
        running = {task for session in self.sessions for task in session.tasks}
        if running:
            await asyncio.wait(running)

    def _violated(self, violation: str) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(violation)

    def _closed(self, session: Session) -> None:
        if self._world.watch is not None:
            self._world.watch(session, None)
        if len(self.sessions) > MAX_SESSIONS:
            over = next((old for old in self.sessions if old.closed), None)
            if over is not None:
                self.sessions.remove(over)

    # -- requests

    def _route(self, request: Request) -> Answer | Accept | None:
        path = f"{self.dialect.path}/realtime"
        if request.path == f"{path}/client_secrets":
            return self._keys.answer(request, self._settings)
        if request.path != path or not request.upgrades or request.method != "GET":
            text = f"Invalid URL ({request.method} {request.path})"
            return json_answer(404, http_error("invalid_request_error", None, text))
        flaps = False
        for fault in self.faults.connecting():
            if isinstance(fault, Refuse):
                return refusal(fault)
            flaps = flaps or isinstance(fault, Flap)
        return self._open(request, flaps)

    def _open(self, request: Request, flaps: bool) -> Answer | Accept:
        token = self._keys.shown(request)
        known, first = self._keys.known(token)
        if not known:
            return self._keys.unauthorised(token)
        kind, model = self._wanted(request, first)
        if model is None:
            text = "You must provide a model parameter."
            return json_answer(400, http_error("invalid_request_error", "missing_model", text))
        if "call_id" in request.query:
            text = f"No call with id '{request.query['call_id']}' exists."
            return json_answer(404, http_error("invalid_request_error", "call_not_found", text))
        self._count += 1
        settings = self._settings(kind, model, f"sess_{self._mark}{self._count}")
        conversation = self.conversations.get(request.query.get("conversation_id", ""))
        session = Session(
            self._count,
            self._world,
            settings,
            conversation or Conversation(f"conv_{secrets.token_hex(8)}"),
            first,
            flaps,
        )
        self.sessions.append(session)
        offered = request.subprotocols
        return Accept(session, "realtime" if "realtime" in offered else None)

    def _wanted(self, request: Request, first: dict[str, Any] | None) -> tuple[str, str | None]:
        """The kind of session, and its model."""
        model = request.query.get("model") or (first or {}).get("model")
        intent = request.query.get("intent") == "transcription"
        if self.dialect.transcription_sessions and (
            intent or (first or {}).get("type") == "transcription"
        ):
            return "transcription", model or "gpt-4o-transcribe"
        return "realtime", model or self.dialect.default_model

    def _settings(self, kind: str, model: str, session_id: str) -> Settings:
        expires = int(Clock().wall() + self.dialect.max_session_s)
        return Settings(self.dialect, kind, model, session_id, expires)

    def _judge_of(self, judge: Judge | str | None) -> Judge | None:
        if not isinstance(judge, str):
            return judge
        if judge != "vendor":
            raise ConfigurationError(f"judge is a Judge, 'vendor' or None, not {judge!r}")
        from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

        try:
            return realtime_judge(XAI_EXCEPTIONS if self.dialect.flat else None)
        except MissingDependencyError:
            return None
