"""The connection of the mock: how it is opened, closed, refused and lost, and the faults that strike it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
    SessionClosedError,
)
from voxengine.events import ProviderEvent
from voxengine.providers.base import BaseProvider, ConnectionState
from voxengine.providers.mock.config import (
    MockConfig,
    answers_on_request,
    settings_of,
    speaks_on,
)
from voxengine.providers.mock.faults import (
    AnyFault,
    Drop,
    ErrorOnce,
    FaultPlan,
    Flap,
    Refuse,
    Slow,
    Stall,
)
from voxengine.providers.mock.listening import Listener
from voxengine.providers.mock.memory import Entry, Memory
from voxengine.providers.mock.script import Responses, Script
from voxengine.providers.mock.service import Ids, Vendor
from voxengine.providers.mock.wire import Wire

__all__ = ["FATAL", "MockCall", "MockConnection", "error_of"]

#: Codes of errors that cost the connection.
FATAL = frozenset({"closed", "connection", "session_expired", "going_away"})


class MockCall(NamedTuple):
    """A method that was called, and when (the loop's time). Of audio, `args` holds the number of bytes."""

    time: float
    method: str
    args: tuple[Any, ...]


# What the vendor keeps of sessions that may be taken up again, by handle.
_kept: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, list[Entry]]] = WeakKeyDictionary()

# Numbers are counted for each event loop, so that ids are unique where mocks meet, and a test always sees the same.
_numbers: WeakKeyDictionary[asyncio.AbstractEventLoop, Iterator[int]] = WeakKeyDictionary()


def error_of(
    code: str, provider: str, message: str = "", retry_after: float | None = None
) -> ProviderError:
    """The typed error that a vendor's refusal becomes."""
    text = message or f"the mock was told to fail with {code!r}"
    if code in ("rate_limit", "quota"):
        retryable = code != "quota"
        return RateLimitError(
            text, provider=provider, code=code, retryable=retryable, retry_after=retry_after
        )
    if code == "auth":
        return AuthenticationError(text, provider=provider)
    if code in FATAL or code in ("refused", "timeout"):
        return ConnectionError(text, provider=provider, code=code)
    return ProviderError(text, provider=provider, code=code, retryable=True)


class MockConnection(BaseProvider):
    """What of the mock is there before a word is said."""

    config_class: ClassVar[type[ProviderConfig]] = MockConfig

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.settings = settings_of(self.config)
        self._describe()
        self._check_config(self.config)
        self.script = Script(self.settings.mock_responses, self.settings.default_response)
        #: What the vendor remembers.
        self.memory = Memory()
        #: All calls of its methods, and all audio that it got.
        self.history: list[MockCall] = []
        self.received_audio = bytearray()
        self._wire: Wire | None = None
        self._vendor: Vendor | None = None
        self._listener: Listener | None = None
        #: Responses that were told to have begun, and not yet to have ended.
        self._open: dict[str, None] = {}
        self._closed = False

    # -- for tests

    def forget_session(self) -> None:
        """The vendor forgets how to take this session up again."""
        _kept.get(asyncio.get_running_loop(), {}).pop(self.resume_handle or "", None)

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong, and how often it did."""
        plan: FaultPlan = self.settings.faults
        return plan

    def get_message_history(self) -> list[dict[str, Any]]:
        """What the vendor remembers of the conversation, as plain dicts."""
        return self.memory.as_messages()

    def set_mock_responses(self, responses: Responses | None) -> None:
        """Answer by another script from now on."""
        self.script = Script(responses, self.settings.default_response)

    def calls(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of a method."""
        return [call.args for call in self.history if call.method == method]

    def _note(self, method: str, *args: Any) -> None:
        if self.settings.record:
            self.history.append(MockCall(asyncio.get_running_loop().time(), method, args))

    # -- opening

    async def connect(self) -> bool:
        """Open the connection; True.

        Raises:
            ConnectionError, AuthenticationError, RateLimitError: a fault says so.
            SessionClosedError: it was connected before; a new session needs a new provider.
        """
        self._note("connect")
        if self.is_connected:
            return True
        if self._closed or self._wire is not None:
            raise SessionClosedError("a provider is connected once; create a new one")
        self.emit(ev.ConnectionStarting(**self.meta()))
        await asyncio.sleep(self.settings.latency_ms.connect / 1000)
        if self._closed:
            raise SessionClosedError("the provider was disconnected while it was being connected")
        struck = self.faults.connecting()
        for fault in struck:
            if isinstance(fault, Refuse):
                self._refuse(fault)
        number = next(_numbers.setdefault(asyncio.get_running_loop(), itertools.count(1)))
        self.session_id = f"{self.name}_{number}"
        self._begin(self.session_id)
        self._resume()
        self.emit(ev.ConnectionEstablished(resumed=self.resumed, **self.meta()))
        if any(isinstance(fault, Flap) for fault in struck):
            self._lose("closed", 1011, "flap", True)
        return True

    def _begin(self, prefix: str) -> None:
        settings, config = self.settings, self.config
        wire = Wire(self.emit, self.meta, self.faults, settings.latency_ms.network / 1000)
        vendor = Vendor(
            self.name, settings, config, wire, Ids(prefix), self.memory, lambda: self.script
        )
        vendor.player.strike = self._strike
        self._wire, self._vendor, self.connection = wire, vendor, wire
        self._listener = Listener(settings, config, wire, vendor, self.get_audio_format())
        for after, fault in self.faults.connected():
            wire.later(after, self._strike, fault)
        limit = self.capabilities.max_connection_seconds
        if limit is not None:
            wire.later(
                limit,
                self._lose,
                "session_expired",
                1000,
                "the longest time of a session is over",
                True,
            )

    def _resume(self) -> None:
        """Take up the session that the configuration names, if the vendor still has it; and have this one kept."""
        if self.capabilities.resume == "none":
            return
        known = _kept.setdefault(asyncio.get_running_loop(), {}).get(self.settings.resume or "")
        if known is not None:
            self.memory.entries[:] = known
            self.resumed = True
        self.resume_handle = f"resume_{self.session_id}"
        self._keep()

    def _keep(self) -> None:
        """A session can be taken up as it was after its last complete answer."""
        if self.resume_handle is not None:
            _kept[asyncio.get_running_loop()][self.resume_handle] = self.memory.copy()

    def _refuse(self, fault: Refuse) -> None:
        error = error_of(
            fault.code, self.name, f"the connection was refused: {fault.code}", fault.retry_after
        )
        failed = ev.ConnectionFailed(
            code=error.code, retryable=error.retryable, error=str(error), **self.meta()
        )
        self.emit(failed)
        raise error

    # -- closing

    async def disconnect(self) -> None:
        """Close the connection, and end the stream of events."""
        self._note("disconnect")
        if self._closed:
            return
        self._closed = True
        self._stop("client_cancelled")
        if self.session_id is not None:
            self.emit(ev.ConnectionClosed(**self.meta()))
        else:
            # There never was a connection to tell of; who waits for events must not wait on.
            self.state = ConnectionState.DISCONNECTED
            self._backlog.close()

    def _lose(self, code: str, close_code: int | None, reason: str, retryable: bool) -> None:
        """The connection is lost."""
        if not self.is_connected:
            return
        self._stop(reason or code, code)
        self.emit(
            ev.ConnectionLost(
                code=code,
                close_code=close_code,
                reason=reason,
                retryable=retryable,
                error=reason or code,
                **self.meta(),
            )
        )

    def _stop(self, reason: str, code: str | None = None) -> None:
        """Nothing more comes from the vendor. Each response that was told to have begun gets its end."""
        if self._wire is not None and self._vendor is not None:
            self._wire.close()
            self._vendor.player.halt()
        for response_id in list(self._open):
            if code is None:
                self.emit(
                    ev.ResponseCancelled(response_id=response_id, reason=reason, **self.meta())
                )
            else:
                self.emit(
                    ev.ResponseError(
                        response_id=response_id, code=code, error=reason, **self.meta()
                    )
                )

    # -- while it is open

    def emit(self, event: ProviderEvent) -> None:
        """Tell of an event; keeps count of the responses that are under way."""
        match event:
            case ev.ResponseStarted(response_id=str(response_id)):
                self._open[response_id] = None
            case ev.ResponseCompleted() | ev.ResponseCancelled() | ev.ResponseError():
                self._open.pop(event.response_id or "", None)
                if isinstance(event, ev.ResponseCompleted):
                    self._keep()
        super().emit(event)

    def _at_work(self) -> tuple[Wire, Vendor, Listener]:
        wire, vendor, listener = self._wire, self._vendor, self._listener
        if wire is None or vendor is None or listener is None or not self.is_connected:
            code = "not_connected" if wire is None else "closed"
            raise ConnectionError(
                f"provider {self.name!r} is not connected", provider=self.name, code=code
            )
        return wire, vendor, listener

    def _strike(self, fault: AnyFault) -> None:
        wire, vendor, _ = self._at_work()
        match fault:
            case Drop():
                vendor.player.halt()
                wire.after_what_was_sent(
                    self._lose, fault.code, fault.close_code, fault.reason, fault.retryable
                )
            case Stall(seconds=seconds):
                wire.stall(seconds)
            case Slow(factor=factor):
                vendor.player.slowness *= factor
            case ErrorOnce(code=code, message=message):
                if not vendor.player.fail(code, message, fault.retryable):
                    vendor.complain(error_of(code, self.name, message))

    def _describe(self) -> None:
        """Say in `capabilities` what it does by itself with this configuration."""
        can, config = self.settings.capabilities, self.config
        answers = can.auto_response and not answers_on_request(can, config)
        stops = can.self_interrupting and not speaks_on(can, config)
        self.capabilities = msgspec.structs.replace(
            can, auto_response=answers, self_interrupting=stops
        )

    # -- checks

    def _need(self, feature: str, what: str) -> None:
        if not self.capabilities.supports(feature):
            raise self.unsupported(what)

    def _check_modalities(self, modalities: Sequence[str] | None) -> None:
        if modalities is None:
            return
        if "audio" in modalities:
            self._need("audio_output", "speech")
        else:
            self._need("text_output", "answers in text alone")

    def _check_config(self, config: ProviderConfig) -> None:
        kinds = ("none", *self.capabilities.turn_detection)
        if config.turn_detection is not None and config.turn_detection not in kinds:
            raise ConfigurationError(
                f"turn_detection {config.turn_detection!r} is none of {', '.join(kinds)}"
            )
        for name in ("input_format", "output_format"):
            wish = getattr(config, name)
            if wish is not None and not isinstance(wish, AudioFormat):
                raise ConfigurationError(f"{name} is an AudioFormat, not {type(wish).__name__}")
        self._check_modalities(config.modalities)
