"""The mock provider: everything that the contract has, without a network, exact under a virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig, _as_format, masked
from voxengine.conversation.items import Item
from voxengine.errors import (
    AudioError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    SessionClosedError,
    UnsupportedFeatureError,
)
from voxengine.events import ProviderEvent
from voxengine.providers.mock.by_hand import ByHand, error_of
from voxengine.providers.mock.config import MockConfig, settings_of
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
from voxengine.providers.mock.vendor import Vendor
from voxengine.providers.mock.wire import Wire

__all__ = ["MockCall", "MockProvider"]


class MockCall(NamedTuple):
    """A method that was called, and when (the loop's time). Of audio, `args` holds the number of bytes."""

    time: float
    method: str
    args: tuple[Any, ...]


# Numbers are counted for each event loop, so that ids are unique where mocks meet, and a test always sees the same.
_numbers: WeakKeyDictionary[asyncio.AbstractEventLoop, Iterator[int]] = WeakKeyDictionary()


class MockProvider(ByHand):
    """A provider that simulates a vendor, for tests, demos and development.

    It hears words that `voxengine.audio.signal.speak` said (and that a human speaks, though not what), answers by a
    script, speaks its answers so that they can be read back, and fails when it is told to. Settings: `MockConfig`.
    """

    config_class: ClassVar[type[ProviderConfig]] = MockConfig

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.settings = settings_of(self.config)
        self.capabilities = self.settings.capabilities
        self.script = Script(self.settings.mock_responses, self.settings.default_response)
        #: All calls of its methods, and all audio that it got.
        self.history: list[MockCall] = []
        self.received_audio = bytearray()
        self._memory = Memory()
        self._wire: Wire | None = None
        self._vendor: Vendor | None = None
        self._listener: Listener | None = None
        self._open: dict[str, None] = {}
        self._closed = False
        self._check_config(self.config)

    # -- for tests

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong, and how often it did."""
        plan: FaultPlan = self.settings.faults
        return plan

    @property
    def memory(self) -> Memory:
        """What the vendor remembers."""
        return self._memory

    def get_message_history(self) -> list[dict[str, Any]]:
        """What the vendor remembers of the conversation, as plain dicts."""
        return self._memory.as_messages()

    def set_mock_responses(self, responses: Responses | None) -> None:
        """Answer by another script from now on."""
        self.script = Script(responses, self.settings.default_response)

    def calls(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of a method."""
        return [call.args for call in self.history if call.method == method]

    # -- connection

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
        loop = asyncio.get_running_loop()
        self.emit_event(ev.EventType.CONNECTION_STARTING)
        await asyncio.sleep(self.settings.latency_ms.connect / 1000)
        if self._closed:
            raise SessionClosedError("the provider was disconnected while it was being connected")
        struck = self.faults.connecting()
        for fault in struck:
            if isinstance(fault, Refuse):
                self._refuse(fault)
        number = next(_numbers.setdefault(loop, itertools.count(1)))
        self.session_id = f"{self.name}_{number}"
        self._begin(self.session_id)
        self.emit(ev.ConnectionEstablished(**self.meta()))
        if any(isinstance(fault, Flap) for fault in struck):
            self._lose("closed", 1011, "flap", True)
        return True

    def _begin(self, prefix: str) -> None:
        wire = self._wire = Wire(self.emit, self.meta, self.faults, self.settings.latency_ms.network / 1000)
        vendor = self._vendor = Vendor(self.settings, self.config, wire, self._script, prefix, self._strike, self._memory)
        self._listener = Listener(self.settings, self.config, wire, vendor, self.get_audio_format())
        self.connection = wire
        for after, fault in self.faults.connected():
            wire.later(after, self._strike, fault)
        limit = self.capabilities.max_connection_seconds
        if limit is not None:
            wire.later(limit, self._lose, "session_expired", 1000, "the longest time of a session is over", True)

    def _script(self) -> Script:
        return self.script

    def _refuse(self, fault: Refuse) -> None:
        error = error_of(fault.code, self.name, f"the connection was refused: {fault.code}", fault.retry_after)
        self.emit(
            ev.ConnectionFailed(code=error.code, retryable=error.retryable, error=str(error), **self.meta())
        )
        raise error

    async def disconnect(self) -> None:
        """Close the connection, and end the stream of events."""
        self._note("disconnect")
        if self._closed:
            return
        self._closed = True
        ever_opened = self.session_id is not None
        self._stop("client_cancelled")
        if ever_opened:
            self.emit(ev.ConnectionClosed(**self.meta()))
        else:
            self.state = type(self.state).DISCONNECTED
            self._backlog.close()

    def _stop(self, reason: str, code: str | None = None) -> None:
        """Nothing more comes from the vendor. Each response that we know to have begun gets its end."""
        if self._wire is not None:
            self._wire.close()
        if self._vendor is not None:
            self._vendor.active = None
        for response_id in list(self._open):
            if code is None:
                self.emit(ev.ResponseCancelled(response_id=response_id, reason=reason, **self.meta()))
            else:
                self.emit(ev.ResponseError(response_id=response_id, code=code, error=reason, **self.meta()))

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

    def _strike(self, fault: AnyFault) -> None:
        wire, vendor = self._at_work()
        match fault:
            case Drop():
                self._lose(fault.code, fault.close_code, fault.reason, fault.retryable)
            case Stall():
                wire.stall(fault.seconds)
            case Slow():
                vendor.slow_down(fault)
            case ErrorOnce():
                if not vendor.fail(fault.code, fault.message, fault.retryable):
                    vendor.complain(error_of(fault.code, self.name, fault.message))

    def emit(self, event: ProviderEvent) -> None:
        """Tell of an event; keeps count of the responses that are under way."""
        match event:
            case ev.ResponseStarted(response_id=str(response_id)):
                self._open[response_id] = None
            case ev.ResponseCompleted() | ev.ResponseCancelled() | ev.ResponseError():
                self._open.pop(event.response_id or "", None)
        super().emit(event)

    def _at_work(self) -> tuple[Wire, Vendor]:
        if self._wire is None or self._vendor is None or not self.is_connected:
            code = "closed" if self._wire is not None else "not_connected"
            raise ConnectionError(f"provider {self.name!r} is not connected", provider=self.name, code=code)
        return self._wire, self._vendor

    # -- what is sent to it

    async def send_audio(self, audio_data: bytes) -> None:
        """Let it hear something."""
        self._at_work()
        assert self._listener is not None
        if not isinstance(audio_data, (bytes, bytearray, memoryview)):
            raise AudioError(f"audio is bytes, not {type(audio_data).__name__}", provider=self.name)
        audio = bytes(audio_data)
        self.check_audio(audio)
        self._note("send_audio", len(audio))
        if self.settings.record:
            self.received_audio += audio
        self._listener.feed(audio)

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation; that of the user is answered."""
        _, vendor = self._at_work()
        if not isinstance(text, str) or not text:
            raise MessageError("a text is a string that is not empty", provider=self.name, code="empty_text")
        if role not in ("user", "assistant", "system"):
            raise MessageError(f"role {role!r} is none of user, assistant, system", provider=self.name)
        if role == "user":
            self._need("text_input", "text from the user")
        if role == "system":
            self._need("system_messages", "notes in mid-conversation")
        self._note("send_text", text, role)
        entry = vendor.remember(role, text)
        if role == "user":
            vendor.answer(entry)

    async def interrupt(self) -> None:
        """Call off the current response."""
        _, vendor = self._at_work()
        self._note("interrupt")
        if vendor.active is not None:
            self._need("cancel", "calling off a response")
        vendor.cancel("client_cancelled")

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Answer now."""
        _, vendor = self._at_work()
        self._check_modalities(modalities)
        self._note("create_response", modalities, instructions)
        vendor.respond(instructions, modalities is None or "audio" in modalities)

    async def generate_tts(self, text: str) -> None:
        """Speak this, word for word."""
        _, vendor = self._at_work()
        self._need("say", "speaking a given text")
        self._note("generate_tts", text)
        vendor.say(text)

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change settings; `SessionUpdated` says when they count."""
        wire, _ = self._at_work()
        settings = {k: _as_format(k, v) if k.endswith("_format") else v for k, v in config.items()}
        self._check_config(ProviderConfig(**settings))
        self._note("configure_session", masked(settings))
        self.config.update(**settings)
        assert self._listener is not None
        self._listener.reconfigure(self.get_audio_format())
        wire.send(ev.SessionUpdated, settings=masked(settings))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Remember an earlier conversation, in the way that the capabilities state."""
        if not items:
            return
        mode = self.capabilities.history
        self._need("history", "an earlier conversation")
        if mode == "at_start":
            if self._wire is not None:
                raise MessageError("history is given before the connection", provider=self.name, code="history_late")
        else:
            self._at_work()
        if mode in ("before_audio", "prompt") and self._listener is not None and self._listener.heard_any:
            raise MessageError("history is given before the first audio", provider=self.name, code="history_late")
        self._check_history(items)
        self._note("add_conversation_history", list(items))
        for item in items:
            self._memory.add(
                Entry(
                    id=item.id,
                    role=item.role,
                    kind=item.kind,
                    text=item.text,
                    call_id=item.call_id,
                    name=item.name,
                    arguments=item.arguments,
                    output=item.output,
                    answered=True,
                )
            )

    def _check_history(self, items: Sequence[Item]) -> None:
        most, most_bytes = self.capabilities.history_max_items, self.capabilities.history_max_bytes
        size = sum(len(item.text.encode()) for item in items)
        if (most is not None and len(items) > most) or (most_bytes is not None and size > most_bytes):
            raise MessageError(
                f"{len(items)} items of {size} bytes are more than the {most} items and {most_bytes} bytes allowed",
                provider=self.name,
                code="history_too_long",
            )

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send something in the vendor's own words: it comes back as a raw event."""
        wire, _ = self._at_work()
        self._note("send_event", dict(event))
        wire.send(ev.RawEvent, name=str(event.get("type", "")), payload=dict(event))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Tell it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting.
        """
        _, vendor = self._at_work()
        self._need("tools", "tools")
        self._note("send_tool_result", call_id, output)
        vendor.tool_result(call_id, output)

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell it how much of its item was heard.

        Raises:
            MessageError: it knows no such item, or the item is shorter than that.
        """
        _, vendor = self._at_work()
        self._need("truncate", "truncation")
        self._note("truncate_item", item_id, heard_ms, heard_text)
        vendor.truncate(item_id, heard_ms, heard_text)

    async def commit_audio(self) -> None:
        """Declare the audio so far a turn.

        Raises:
            MessageError: there is none.
        """
        self._at_work()
        self._need("commit", "turns that the application ends")
        self._note("commit_audio")
        assert self._listener is not None
        self._listener.commit()

    async def clear_audio(self) -> None:
        """Throw away the audio that is not yet a turn."""
        self._at_work()
        self._need("clear", "throwing away input audio")
        self._note("clear_audio")
        assert self._listener is not None
        self._listener.clear()

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from the conversation.

        Raises:
            MessageError: there is none of that id.
        """
        self._at_work()
        self._need("delete", "deleting items")
        self._note("delete_item", item_id)
        if not self._memory.remove(item_id):
            raise MessageError(f"there is no item {item_id!r}", provider=self.name, code="item_not_found")

    async def get_usage(self) -> dict[str, Any] | None:
        """What was used so far, in the unit of the capabilities."""
        if self.capabilities.usage_unit == "none":
            return None
        used = {} if self._vendor is None else dict(self._vendor.usage)
        used.pop("seconds", None)
        return {"model": self.config.model or "mock", **used}

    async def estimate_cost(self) -> float | None:
        """The minutes of audio, times their price."""
        seconds = 0.0 if self._vendor is None else self._vendor.usage.get("seconds", 0.0)
        return seconds / 60 * self.settings.price_per_minute

    # -- checks

    def _need(self, feature: str, what: str) -> None:
        if not self.capabilities.supports(feature):
            raise self.unsupported(what)

    def _check_modalities(self, modalities: Sequence[str] | None) -> None:
        if modalities is None:
            return
        if "audio" in modalities and not self.capabilities.audio_output:
            raise UnsupportedFeatureError(f"provider {self.name!r} does not speak", provider=self.name)
        if "audio" not in modalities and not self.capabilities.text_output:
            raise UnsupportedFeatureError(f"provider {self.name!r} does not answer in text alone", provider=self.name)

    def _check_config(self, config: ProviderConfig) -> None:
        detection = config.turn_detection
        kinds = ("none", *self.capabilities.turn_detection)
        if detection is not None and detection not in kinds:
            raise ConfigurationError(f"turn_detection {detection!r} is none of {', '.join(kinds)}")
        for name in ("input_format", "output_format"):
            wish: AudioFormat | None = getattr(config, name)
            if wish is not None and not isinstance(wish, AudioFormat):
                raise ConfigurationError(f"{name} is an AudioFormat, not {type(wish).__name__}")

    def _note(self, method: str, *args: Any) -> None:
        if self.settings.record:
            self.history.append(MockCall(asyncio.get_running_loop().time(), method, args))
