"""The contract that every provider keeps.

A `BaseProvider` is one live session with one vendor. Five methods have to be written (`connect`, `disconnect`,
`send_audio`, `send_text`, `interrupt`); all others have a default that is built on these or on the capabilities. What a
provider cannot do raises `UnsupportedFeatureError`; nothing is dropped in silence.

What happens at the vendor is told by `emit` (a typed event) or `emit_event` (a type and a dict). Whoever holds the
provider takes the events by setting `on_event`, by `on_event(type, handler)`, or by `async for event in events()`.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

import pybase64

from voxengine.audio.formats import AudioFormat as AudioFormat
from voxengine.audio.formats import check_audio
from voxengine.clock import Clock
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import AudioError, MessageError, UnsupportedFeatureError
from voxengine.events import (
    AudioOutputChunk,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionFailed,
    ConnectionLost,
    ConnectionStarting,
    EventBus,
    EventQueue,
    EventType,
    Handler,
    ProviderEvent,
    make_event,
)
from voxengine.providers.capabilities import Capabilities

__all__ = ["BaseProvider", "ConnectionState", "Flag", "MessageType"]

logger = logging.getLogger("voxengine.providers")


class ConnectionState(StrEnum):
    """Where a connection stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ERROR = "error"


class MessageType(StrEnum):
    """What `send_message` can be given. The values are the names of the events of a provider where they are events."""

    SESSION_CREATE = "session_create"
    SESSION_UPDATE = "session_update"
    CONVERSATION_ITEM_CREATE = "conversation_item_create"
    AUDIO_BUFFER_APPEND = "audio_buffer_append"
    AUDIO_BUFFER_COMMIT = "audio_buffer_commit"
    AUDIO_BUFFER_CLEAR = "audio_buffer_clear"
    RESPONSE_CREATE = "response_create"
    RESPONSE_CANCEL = "response_cancel"
    AUDIO_CHUNK = "audio_chunk"
    TEXT_CHUNK = "text_chunk"


class Flag(int):
    """A truth value that may also be called: `provider.is_connected` and `provider.is_connected()` are the same."""

    def __call__(self) -> bool:
        """The truth value."""
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


_STATE_AFTER: dict[type[ProviderEvent], ConnectionState] = {
    ConnectionStarting: ConnectionState.CONNECTING,
    ConnectionEstablished: ConnectionState.CONNECTED,
    ConnectionFailed: ConnectionState.ERROR,
    ConnectionLost: ConnectionState.ERROR,
    ConnectionClosed: ConnectionState.DISCONNECTED,
}


class BaseProvider(ABC):
    """One live session with one vendor.

    A provider is made with a `ProviderConfig` or a plain dict, connected once, and thrown away after `disconnect`.
    All methods are called on one event loop.
    """

    #: What it can do. A class attribute where it is always the same, else set by `__init__`.
    capabilities: Capabilities = Capabilities()
    #: The class of configuration that documents its settings.
    config_class: ClassVar[type[ProviderConfig]] = ProviderConfig
    #: Environment variables that it takes its key from, where none is configured.
    key_variables: ClassVar[tuple[str, ...]] = ()
    #: Whether `take_audio` does what `send_audio` does: for a provider that never has to wait when audio is sent.
    takes_audio: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        self.config: ProviderConfig = ProviderConfig.of(config)
        #: The name it is registered under.
        self.name: str = type(self).__name__.removesuffix("Provider").lower() or "provider"
        #: The open connection, whatever it is for this provider.
        self.connection: Any = None
        #: The vendor's id of the session, once connected.
        self.session_id: str | None = None
        #: By which a later provider, made with the option `resume`, can take up this session; None where there is no
        #: such thing, or not yet. It may change while the session lasts.
        self.resume_handle: str | None = None
        #: Whether the vendor, once connected, still knows the conversation: all of it up to its last complete answer.
        #: A provider whose option `resume` is refused opens a fresh session by itself, and leaves this False.
        self.resumed: bool = False
        self.state: ConnectionState = ConnectionState.DISCONNECTED
        #: Seconds that `connect` may take where that is not a matter of the network but of loading models; None
        #: leaves it to the engine's `connect_timeout`.
        self.load_timeout: float | None = None
        self._clock: Clock | None = None
        self._sink: Callable[[ProviderEvent], Any] | None = None
        self._bus: EventBus | None = None
        self._backlog = EventQueue()
        #: As `emit`, for what says nothing about the connection: audio and words, of which there is most. Where one
        #: holds the provider and nobody else listens, it is that one's function itself.
        self.stream: Callable[[ProviderEvent], Any] = self._hand_on

    # -- required

    @abstractmethod
    async def connect(self) -> Any:
        """Open the connection and configure the session; what it returns is not used, unless it is False.

        Raises:
            ConnectionError: it could not be opened.
            AuthenticationError: the credentials were not accepted.
        """

    @abstractmethod
    async def disconnect(self) -> None:
        """Close the connection. May be called again, and at any time."""

    @abstractmethod
    async def send_audio(self, audio_data: bytes) -> None:
        """Send what the user's microphone heard, in the format of `get_audio_format`."""

    @abstractmethod
    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation. The text of a user is answered; that of another role is not."""

    @abstractmethod
    async def interrupt(self) -> None:
        """Call off the current response, and what was asked for and has not begun. Without any, nothing happens.

        Of a response that had not begun either nothing is told any more (the capability `cancel_requested`), or it
        begins all the same and is ended.
        """

    # -- with a default

    async def send_message(
        self, message_type: MessageType | str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Send by kind: each `MessageType` is one of the other methods, `data` its arguments.

        Raises:
            MessageError: the kind is unknown, is one that only comes from the provider, or lacks something.
        """
        try:
            kind = MessageType(message_type)
        except ValueError:
            words = (
                f"message type {message_type!r} is unknown; it is one of {', '.join(MessageType)}"
            )
            raise MessageError(words, provider=self.name) from None
        values = dict(data or {})
        match kind:
            case MessageType.SESSION_CREATE | MessageType.SESSION_UPDATE:
                await self.update_session(**values.get("session", values))
            case MessageType.CONVERSATION_ITEM_CREATE:
                text, role = _text_of(values, self.name)
                await self.send_text(text, role)
            case MessageType.AUDIO_BUFFER_APPEND:
                await self.send_audio(_audio_of(values, self.name))
            case MessageType.AUDIO_BUFFER_COMMIT:
                await self.commit_audio()
            case MessageType.AUDIO_BUFFER_CLEAR:
                await self.clear_audio()
            case MessageType.RESPONSE_CREATE:
                await self.create_response(
                    values.get("modalities"), instructions=values.get("instructions")
                )
            case MessageType.RESPONSE_CANCEL:
                await self.interrupt()
            case _:
                raise MessageError(
                    f"{kind} comes from a provider and cannot be sent to one", provider=self.name
                )

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response now. `instructions` are for this one only.

        A provider with the capability `response_overrides` takes `overrides` as well: a dict of the settings that this
        names, by the names of `ProviderConfig`, and `tool_choice`.
        """
        raise self.unsupported("a response on request")

    def take_audio(self, audio_data: bytes) -> None:
        """As `send_audio`, at once, of audio that was checked: the audio path, where the class says `takes_audio`."""
        raise self.unsupported("taking audio at once")

    async def update_session(self, **kwargs: Any) -> None:
        """Change settings of the session, by the names of `ProviderConfig`."""
        await self.configure_session(kwargs)

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """As `update_session`. The default keeps the settings in `config` and says so by an event."""
        self.config.update(**dict(config))
        self.emit_event(EventType.SESSION_UPDATED, {"settings": dict(config)})

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before the first audio.

        Where `history` is "at_start" that is before `connect`; then it is given also to one that is to be resumed,
        which makes no use of it unless resuming is refused. Where it is "items", more may be given at any time: a call
        of a tool and its result, say, that came over another connection. A provider with the capability
        `history_places` takes `after` as well: the id of the item that they follow, "" for the beginning.
        """
        if items:
            raise self.unsupported("an earlier conversation")

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word."""
        raise self.unsupported("speaking a given text")

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words."""
        raise self.unsupported("messages in the vendor's own words")

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned (JSON text, or plain text)."""
        raise self.unsupported("tools")

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell it that of its own item only so much was heard."""
        raise self.unsupported("truncation")

    async def commit_audio(self) -> None:
        """Declare the audio sent so far a turn of the user."""
        raise self.unsupported("turns that the application ends")

    async def clear_audio(self) -> None:
        """Throw away audio sent that is not yet part of a turn."""
        raise self.unsupported("throwing away input audio")

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from the conversation."""
        raise self.unsupported("deleting items")

    def get_audio_format(self) -> AudioFormat:
        """The format that `send_audio` takes."""
        wish = self.config.input_format
        formats = self.capabilities.input_formats
        return wish if wish in formats and wish is not None else formats[0]

    def get_capabilities(self) -> dict[str, Any]:
        """The capabilities as plain data; `capabilities` has them with types."""
        return self.capabilities.as_dict()

    def supports_feature(self, feature: str) -> bool:
        """Whether it can do what a field of `Capabilities` names."""
        return self.capabilities.supports(feature)

    async def get_usage(self) -> dict[str, Any] | None:
        """What this session used so far; None where the vendor does not say."""
        return None

    async def estimate_cost(self) -> float | None:
        """What this session cost so far, in US dollars; None where that is not known."""
        return 0.0 if self.capabilities.on_device else None

    @property
    def is_connected(self) -> Flag:
        """Whether audio can be sent. May be read or called."""
        return Flag(self.state == ConnectionState.CONNECTED)

    # -- events, for the one who holds the provider

    @property
    def on_event(self) -> Callable[..., Any]:
        """`provider.on_event = fn` takes all events; `provider.on_event(type, fn)` adds a handler for one type."""
        return self._subscribe

    @on_event.setter
    def on_event(self, sink: Callable[[Any], Any] | None) -> None:
        self._sink = sink
        self.stream = sink if sink is not None and self._bus is None else self._hand_on
        if sink is not None:
            while len(self._backlog):
                sink(self._backlog.get_nowait())

    def events(self) -> AsyncIterator[Any]:
        """All events, from those on that nobody has taken yet. Ends when the provider is disconnected."""
        return _Events(self._backlog)

    def _subscribe(self, event_type: str, handler: Handler) -> Any:
        if self._bus is None:
            self._bus = EventBus()
            self.stream = self._hand_on
        return self._bus.on(event_type, handler)

    # -- events, for the one who writes a provider

    def emit(self, event: ProviderEvent) -> None:
        """Tell of an event. It reaches its handlers before this returns."""
        kind = type(event)
        if kind is AudioOutputChunk:
            self.stream(event)
            return
        if kind in _STATE_AFTER:
            self.state = _STATE_AFTER[kind]
        self._hand_on(event)
        if kind is ConnectionClosed:
            self._backlog.close()

    def _hand_on(self, event: ProviderEvent) -> None:
        if self._sink is not None:
            self._sink(event)
        else:
            self._backlog.put(event)
        if self._bus is not None:
            self._bus.publish(event)

    def emit_event(
        self, type: str, data: dict[str, Any] | None = None, **meta: Any
    ) -> ProviderEvent:
        """Tell of an event by its type and a dict; see `voxengine.events.make_event`."""
        event = make_event(type, data, **{**self.meta(), **meta})
        self.emit(event)
        return event

    def meta(self) -> dict[str, Any]:
        """The fields that all events of this provider have: timestamp, provider, session_id."""
        return {"timestamp": self.wall(), "provider": self.name, "session_id": self.session_id}

    def wall(self) -> float:
        """Unix time in seconds, by the event loop's clock."""
        if self._clock is None:
            try:
                self._clock = Clock()
            except RuntimeError:  # no loop is running yet
                return time.time()
        return self._clock.wall()

    def check_audio(self, audio: bytes) -> None:
        """Raise an `AudioError` if this cannot be audio of the format that `send_audio` takes."""
        check_audio(audio, self.get_audio_format(), self.name)

    def unsupported(self, what: str) -> UnsupportedFeatureError:
        """The error for something that this provider cannot do."""
        return UnsupportedFeatureError(
            f"provider {self.name!r} does not offer {what}", provider=self.name
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.state}>"


class _Events(AsyncIterator[Any]):
    """`async for` over a provider's own queue."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> Any:
        return await self._queue.get()


def _text_of(values: Mapping[str, Any], provider: str) -> tuple[str, str]:
    """The text and role of an item, given flat or in the form of OpenAI's items."""
    item = values.get("item", values)
    text = item.get("text")
    if text is None:
        text = "".join(
            part.get("text") or part.get("transcript") or "" for part in item.get("content") or ()
        )
    if not isinstance(text, str) or not text:
        raise MessageError("an item of the conversation needs a text", provider=provider)
    return text, str(item.get("role", "user"))


def _audio_of(values: Mapping[str, Any], provider: str) -> bytes:
    audio = values.get("audio", values.get("audio_data"))
    if isinstance(audio, str):
        try:
            return pybase64.b64decode(audio, validate=True)
        except ValueError:
            raise AudioError(
                "audio given as text is base64, and this is not", provider=provider
            ) from None
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return bytes(audio)
    raise MessageError(
        f"audio is bytes or base64 text, not {type(audio).__name__}", provider=provider
    )
