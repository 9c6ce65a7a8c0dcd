"""What every emulated vendor is: an address, keys, sessions, faults, and a verdict at the end.

A vendor derives its emulator from `VendorEmulator` and its sessions from `VendorSession`, and adds what only it says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeAlias

from voxengine.errors import ConfigurationError
from voxengine.providers.mock.script import Responses, Script
from voxengine.testing.emulators.faults import REFUSALS, FaultLike, FaultPlan, Refuse, fault_plan
from voxengine.testing.emulators.http import MAX_BODY, Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.server import Accept, EmulatorServer, Pending, Streamed
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.emulators.verdict import MAX_VIOLATIONS, EmulatorFailed
from voxengine.testing.emulators.voice import LocalVoice, Voice, voice_of

__all__ = ["EmulatorFailed", "Judging", "VendorEmulator", "VendorSession", "Watch"]

#: Sessions that are remembered; the oldest that are over go first.
MAX_SESSIONS = 1000

#: Told of a session, and the message that it sends; None when it is over.
Watch: TypeAlias = "Callable[[Any, Mapping[str, Any] | None], None]"


class Judging(Protocol):
    """Judges messages. A `voxengine.testing.oracles.judge.Judge` does."""

    #: What was wrong, of both sides.
    violations: list[str]

    def client(self, message: Any) -> list[str]:
        """What is wrong with a message of the client."""

    def server(self, message: Any) -> list[str]:
        """What is wrong with a message of the server."""


class VendorEmulator:
    """A vendor of one's own, on a port of this machine. An async context manager.

    Args:
        responses: what it answers, see `voxengine.providers.mock.script`.
        default: the reply where the script has none.
        faults: what goes wrong, see `voxengine.testing.emulators.faults`. A `FaultPlan` may be shared.
        speech: its ears and mouth, see `voxengine.testing.emulators.voice`.
        key: the only key that is accepted; None takes any.
        judge: judges all messages; by default one of its own.
        host, port: where it listens; port 0 is a free one.
        tls: its certificate, for clients that insist on one.
        on_event: told of every message that a session sends; and, with None, that it has ended.
        settings: fields of `settings_type`.

    Leaving it raises an `EmulatorFailed` if it has sent anything that is not valid.

    Raises:
        ConfigurationError: a setting does not do.
        MissingDependencyError: what it judges or speaks with is not installed.
    """

    #: Where its WebSocket is.
    path: ClassVar[str] = "/"
    settings_type: ClassVar[type[ModelSettings]] = ModelSettings
    #: Bytes of a request's body that are taken.
    max_body: ClassVar[int] = MAX_BODY

    def __init__(
        self,
        responses: Responses | None = None,
        *,
        default: Any = "You said: {text}",
        faults: FaultPlan | Iterable[FaultLike] | FaultLike | None = None,
        speech: Voice | str | None = None,
        key: str | None = None,
        judge: Any = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        on_event: Watch | None = None,
        **settings: Any,
    ) -> None:
        self.script = Script(responses, default)
        self.faults = fault_plan(faults)
        self.voice = voice_of(speech)
        self.key = key
        try:
            self.settings: Any = self.settings_type(**settings)
        except TypeError as failure:
            raise ConfigurationError(f"a setting of the emulator: {failure}") from None
        #: Judges all messages of all sessions; and what was wrong with our own.
        self.judge: Any = judge if judge is not None else self.make_judge()
        self.violations: list[str] = []
        #: All sessions so far, the latest last.
        self.sessions: list[Any] = []
        #: What follows the result of each call, by its id: of all sessions.
        self.thens: dict[str, Any] = {}
        self._watch = on_event
        self._count = 0
        self._server = EmulatorServer(
            self._route, host=host, port=port, tls=tls, max_body=self.max_body
        )

    # -- what a vendor says

    def make_judge(self) -> Judging | None:
        """What judges the messages; None judges nothing."""
        return None

    def make_session(self, request: Request, session_id: str) -> VendorSession:
        """A session for a request whose key is right."""
        return VendorSession(self, request, session_id)

    def opens(self, request: Request) -> bool:
        """Whether a WebSocket is at the address that is asked for."""
        return request.path == self.path

    def may_fail(self, request: Request) -> bool:
        """Whether this is an attempt to connect, as the faults `Refuse` and `Flap` count them."""
        return self.opens(request)

    def http(self, request: Request) -> Answer | Streamed | Pending | None:
        """The answer to a request that is not for a WebSocket, its key being right; None: there is nothing."""
        return None

    def key_of(self, request: Request) -> str | None:
        """The key that is shown."""
        return request.bearer

    def authorized(self, request: Request) -> bool:
        """Whether the right key is shown."""
        shown = self.key_of(request)
        return bool(shown) and self.key in (None, shown)

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """A refusal in the vendor's form. `code` is auth, not_found, bad_request, or that of a `Refuse`."""
        return json_answer(status, {"error": {"code": code, "message": message}})

    def subprotocol(self, request: Request) -> str | None:
        """The subprotocol that is chosen of those which are offered."""
        return None

    # -- addresses

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def http_url(self) -> str:
        """Its address for plain requests, without a path."""
        scheme = "http" if self._server.tls is None else "https"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Its address for WebSockets, without a path."""
        scheme = "ws" if self._server.tls is None else "wss"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The address of the WebSocket."""
        return f"{self.ws_url}{self.path}"

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which a provider finds it."""
        return {"endpoint": self.endpoint}

    @property
    def session(self) -> Any:
        """The session that was opened last."""
        return self.sessions[-1]

    # -- running

    async def start(self) -> None:
        """Open the port; after `kill` or `refuse`, the same again.

        Raises:
            OSError: the port is taken.
            MissingDependencyError, ModelError: the models of `speech` are not there.
        """
        if isinstance(self.voice, LocalVoice):
            await self.voice.load()
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

    async def __aenter__(self) -> Self:
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

    def violated(self, violation: str) -> None:
        """Something of our own was wrong."""
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(violation)

    def tell(self, session: Any, message: Mapping[str, Any] | None) -> None:
        """A session sends a message, or is over."""
        if self._watch is not None:
            self._watch(session, message)
        if message is None and len(self.sessions) > MAX_SESSIONS:
            over = next((old for old in self.sessions if old.over), None)
            if over is not None:
                self.sessions.remove(over)

    # -- inside

    async def _settle(self) -> None:
        running = {task for session in self.sessions for task in session.tasks}
        if running:
            await asyncio.wait(running)

    def _route(self, request: Request) -> Answer | Streamed | Pending | Accept | None:
        opens = self.opens(request)
        for fault in self.faults.connecting() if self.may_fail(request) else ():
            if not isinstance(fault, Refuse):
                return Accept(_Flapping()) if request.upgrades else None
            status = REFUSALS.get(fault.code, 500)
            if status is None:
                return None
            return self.refusal(status, fault.code, "told to refuse")
        if not self.authorized(request):
            return self.refusal(401, "auth", "the key is not right")
        if not opens:
            found = self.http(request)
            return found or self.refusal(404, "not_found", f"there is no {request.path}")
        if not request.upgrades:
            return self.refusal(400, "bad_request", "this is the address of a WebSocket")
        self._count += 1
        session = self.make_session(request, f"session_{self._count}")
        self.sessions.append(session)
        return Accept(session, self.subprotocol(request))


class _Flapping:
    """A connection that is dropped at once."""

    def on_open(self, socket: Any) -> None:
        """Here it is, and gone."""
        socket.kill()

    def on_message(self, message: str | bytes) -> None:
        """Too late."""

    def on_close(self) -> None:
        """As intended."""
