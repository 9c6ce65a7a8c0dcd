"""A leg of the conversation: one provider, connected, with what lies between its audio and the application's."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter, converter_for
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Fitted
from voxengine.errors import ConnectionError, ProviderError, VoiceEngineError
from voxengine.events import (
    AudioOutputChunk,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionFailed,
    ConnectionLost,
    ConnectionStarting,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    SystemWarning,
    TextOutput,
)
from voxengine.providers.base import BaseProvider
from voxengine.providers.registry import create_provider
from voxengine.session.outbox import Outbox
from voxengine.session.recovery import code_of
from voxengine.session.wishes import check_wishes

__all__ = ["Leg"]

#: Seconds that closing may take.
CLOSE_BUDGET = 5.0
#: Seconds that any other call to a provider may take; such a call only hands something over.
CALL_BUDGET = 10.0
#: Milliseconds of audio that go out together where few messages matter more than the least delay.
GATHER_MS = 100.0


class Leg:
    """Owns a provider from its connection to its end.

    `receive(leg, event)` gets its events, with audio in the application's format; `on_error(leg, failure)` is told of
    calls that failed. `resume` is the handle of a session that it may take up again. Of a `hidden` one the application
    is not told that it comes and goes: it stands in for another.
    """

    def __init__(
        self,
        name: str,
        config: VoiceEngineConfig,
        tools: list[dict[str, Any]],
        receive: Callable[[Leg, ProviderEvent], None],
        on_error: Callable[[Leg, Exception], None],
        *,
        resume: str | None = None,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.hidden = hidden
        options = {} if resume is None else {"resume": resume}
        self.provider: BaseProvider = create_provider(
            name, config.provider_config(tools=tools or None, **options)
        )
        self.outbox = Outbox(name, CALL_BUDGET, lambda failure: on_error(self, failure))
        #: Set when the connection is lost.
        self.gone = asyncio.Event()
        #: How it was lost, None while it is not.
        self.lost: ConnectionLost | None = None
        #: The settings that it knows, and the schemas of the tools.
        self.config = config
        self.tools = tools
        #: The loop's time at which it was connected.
        self.opened_at = 0.0
        #: Ids of the items of the log that it was told.
        self.told: set[str] = set()
        #: Those that it was not told for want of room; a summary may stand for them.
        self.left_out: set[str] = set()
        #: A call failed as if the connection were gone, and it was not.
        self.doubted = False
        #: Another has taken its place: nothing that it says counts any more, but what it has used.
        self.retired = False
        #: Whether anything of the conversation has come over it.
        self.worked = False
        #: The audio path, while this leg is at work: `SessionCore.next_chunk` and `next_words`, and where they go then.
        self.next_chunk: Callable[[AudioOutputChunk], bool] | None = None
        self.next_words: Callable[[TextOutput], bool] | None = None
        self.publish: Callable[[ProviderEvent], None] = lambda _: None
        self._receive = receive
        self._told: set[type[ProviderEvent]] = set()
        self._closed = False
        self._target = config.output_format
        self._rate, self._encoding = self._target.sample_rate, self._target.encoding
        self._source: AudioFormat | None = None
        self._down: Converter | None = None
        self._up: Converter | None = None
        self._last_chunk: AudioOutputChunk | None = None
        #: Bytes of the user's audio that go out together (0: all at once), and those that wait for it.
        gathers = config.chunking == "density"
        self._gather = config.input_format.n_bytes(GATHER_MS) if gathers else 0
        self._gathered = bytearray()
        provider = self.provider
        self._push = provider.take_audio if provider.takes_audio else None

    async def open(
        self,
        history: Callable[[], Awaitable[Fitted]],
        *,
        settings: dict[str, Any] | None = None,
        budget: float | None = None,
    ) -> None:
        """Connect, change `settings`, and give it the conversation so far, unless it resumes one that it knows.

        All of it may take `budget` seconds, if that is less than it may take anyhow.

        Raises:
            ProviderError: it could not be connected; nothing is left open.
        """
        self.provider.on_event = self._on_event
        self._tell(ConnectionStarting)
        seconds = self._connect_budget if budget is None else min(budget, self._connect_budget)
        try:
            async with asyncio.timeout(seconds):
                await self._connect(history, settings or {})
            self.check()
        except BaseException as failure:
            await self.close(quiet=True)
            if not isinstance(failure, Exception):
                raise
            error = self._as_provider_error(failure, seconds)
            self._tell(
                ConnectionFailed,
                error=str(error),
                code=code_of(error),
                retryable=getattr(error, "retryable", False),
            )
            if error is failure:
                raise
            raise error from failure
        self._up = converter_for(self.config.input_format, self.provider.get_audio_format())
        self._tell(ConnectionEstablished)
        if self.config.vocabulary and not self.provider.capabilities.vocabulary:
            words = f"provider {self.name!r} takes no words to listen for; vocabulary has no effect"
            self._tell(SystemWarning, code="vocabulary_unused", message=words)

    async def _connect(
        self, history: Callable[[], Awaitable[Fitted]], settings: dict[str, Any]
    ) -> None:
        provider = self.provider
        check_wishes(provider, self.config)
        early = provider.capabilities.history == "at_start"
        if early:
            await self._tell_history(await history())
        if await provider.connect() is False:
            raise ConnectionError(f"provider {self.name!r} did not connect", provider=self.name)
        self.opened_at = asyncio.get_running_loop().time()
        if settings and self.lost is None:
            await provider.update_session(**settings)
        if not early and not provider.resumed and self.lost is None:
            await self._tell_history(await history())

    async def _tell_history(self, history: Fitted) -> None:
        if history.told:
            await self.provider.add_conversation_history(history.told)
        self.knows(history)

    def knows(self, history: Fitted) -> None:
        """It was told so much of the log."""
        self.told.update(item.id for item in history.items)
        self.left_out.update(item.id for item in (*history.left_out, *history.summed_up))

    def check(self) -> None:
        """Raise a `ConnectionError` if the provider was lost."""
        if self.lost is not None:
            raise self._as_error(self.lost)

    @property
    def _connect_budget(self) -> float:
        return self.provider.load_timeout or self.config.connect_timeout

    async def close(self, quiet: bool = False) -> None:
        """Disconnect, within a budget. Raises nothing: there is nobody left to do anything about it.

        May be called again, and has to be where it was cancelled.
        """
        self.outbox.close()
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_BUDGET):
                await self.provider.disconnect()
        except asyncio.CancelledError:
            self._closed = False
            raise
        except Exception as failure:
            if not quiet:
                self._receive(self, _warning(self.provider, failure))
        if not quiet and ConnectionEstablished in self._told and ConnectionLost not in self._told:
            self._tell(ConnectionClosed)

    def change_formats(self, given: AudioFormat, taken: AudioFormat) -> None:
        """From here on the application sends audio of the format `given`, and gets it as `taken`."""
        config = self.config
        if (given, taken) == (config.input_format, config.output_format):
            return
        if given != config.input_format:
            between = converter_for(config.input_format, given)
            if self._gathered and between is not None:
                waits = bytes(self._gathered)
                self._gathered[:] = between.process(waits) + between.flush()
            self._up = converter_for(given, self.provider.get_audio_format())
            if self._gather:
                self._gather = given.n_bytes(GATHER_MS)
        if taken != config.output_format:
            if self._down is not None:
                self._flush()
            self._target = taken
            self._rate, self._encoding = taken.sample_rate, taken.encoding
            self._source = self._down = None
        self.config = config.with_changes(input_format=given, output_format=taken)

    @property
    def direct(self) -> Callable[[bytes], None] | None:
        """What takes the user's audio as it is, where nothing has to be done with it, and nothing awaited."""
        return self._push if self._up is None and not self._gather else None

    async def send_audio(self, audio: bytes) -> None:
        """Send audio in the application's format, at once or when there is enough of it."""
        waits = self.take_audio(audio)
        if waits is not None:
            await waits

    def take_audio(self, audio: bytes) -> Awaitable[None] | None:
        """As `send_audio`, without a coroutine where none is needed: returns what has to be waited for."""
        if self._gather:
            self._gathered += audio
            if len(self._gathered) < self._gather:
                return None
            audio = bytes(self._gathered)
            self._gathered.clear()
        if self._up is not None:
            audio = self._up.process(audio)
            if not audio:
                return None
        if self._push is None:
            return self.provider.send_audio(audio)
        self._push(audio)
        return None

    async def commit_audio(self) -> None:
        """Declare what was sent a turn, also what still waits to be."""
        audio, self._gathered = bytes(self._gathered), bytearray()
        if audio and self._up is not None:
            audio = self._up.process(audio)
        if audio:
            await self.provider.send_audio(audio)
        await self.provider.commit_audio()

    async def clear_audio(self) -> None:
        """Throw away what is not yet a turn."""
        self._gathered.clear()
        await self.provider.clear_audio()

    def _on_event(self, event: ProviderEvent) -> None:
        kind = type(event)
        if kind is AudioOutputChunk:
            if event.sample_rate == self._rate and event.encoding == self._encoding:  # type: ignore[attr-defined]
                # Each call less is a tenth of what a chunk costs between the provider and the handler.
                next_chunk = self.next_chunk
                if next_chunk is not None and next_chunk(event):  # type: ignore[arg-type]
                    self.publish(event)
                else:
                    self._receive(self, event)
            else:
                self._convert(event)  # type: ignore[arg-type]
            return
        if kind is TextOutput:
            next_words = self.next_words
            if next_words is not None and next_words(event):  # type: ignore[arg-type]
                self.publish(event)
            else:
                self._receive(self, event)
            return
        if kind in _ONCE:
            if kind in self._told:
                return
            self._told.add(kind)
            if kind is ConnectionLost:
                self.lost = event  # type: ignore[assignment]
                self.gone.set()
        elif kind is ResponseCompleted and self._down is not None:
            self._flush()
        elif kind is ResponseCancelled and self._down is not None:
            self._down.reset()
        self._receive(self, event)

    def _convert(self, event: AudioOutputChunk) -> None:
        source = self._source
        if source is None or (event.sample_rate, event.encoding) != (
            source.sample_rate,
            source.encoding,
        ):
            self._source = source = AudioFormat(event.encoding, event.sample_rate)
            self._down = converter_for(source, self._target)
        if self._down is None:
            self._receive(self, event)
            return
        last, self._last_chunk = self._last_chunk, event
        if last is not None and last.item_id != event.item_id:
            self._flush(last)
            self._last_chunk = event
        self._forward(event, self._down.process(event.audio_data))

    def _flush(self, chunk: AudioOutputChunk | None = None) -> None:
        """Hand on what the resampler still holds of the item."""
        chunk = chunk or self._last_chunk
        if chunk is not None and self._down is not None:
            self._last_chunk = None
            self._forward(chunk, self._down.flush())
            self._down.reset()

    def _forward(self, event: AudioOutputChunk, audio: bytes) -> None:
        if audio:
            target = self._target
            changed = msgspec.structs.replace(
                event, audio_data=audio, sample_rate=target.sample_rate, encoding=target.encoding
            )
            self._receive(self, changed)

    def _tell(self, kind: type[ProviderEvent], **fields: Any) -> None:
        """Tell of the connection what the provider did not tell itself."""
        if kind not in self._told:
            self.provider.emit(kind(**self.provider.meta(), **fields))

    def _as_error(self, lost: ConnectionLost) -> ConnectionError:
        words = lost.error or lost.reason or "the connection was lost"
        return ConnectionError(
            f"provider {self.name!r}: {words}",
            provider=self.name,
            code=lost.code,
            retryable=lost.retryable,
        )

    def _as_provider_error(self, failure: Exception, seconds: float) -> VoiceEngineError:
        if isinstance(failure, VoiceEngineError):
            if isinstance(failure, ProviderError):
                failure.provider = failure.provider or self.name
            return failure
        if isinstance(failure, TimeoutError):
            words, code = f"no connection within {seconds:g} s", "timeout"
        elif isinstance(failure, builtins.ConnectionRefusedError):
            words, code = str(failure), "refused"
        else:
            words, code = f"{type(failure).__name__}: {failure}", "connection"
        return ConnectionError(f"provider {self.name!r}: {words}", provider=self.name, code=code)


_ONCE = frozenset(
    {ConnectionStarting, ConnectionEstablished, ConnectionFailed, ConnectionLost, ConnectionClosed}
)


def _warning(provider: BaseProvider, failure: Exception) -> ProviderEvent:
    words = f"closing provider {provider.name!r} failed: {type(failure).__name__}: {failure}"
    return SystemWarning(code="close_failed", message=words, **provider.meta())
