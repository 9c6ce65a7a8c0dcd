"""Microphone and loudspeaker for a conversation: `engine.listen()`.

What the microphone hears goes to the engine, what the engine says goes to the loudspeaker. When the user interrupts,
the loudspeaker falls silent at once, and the engine is told what was really played, by the sound card's own clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from voxengine.errors import SessionClosedError
from voxengine.events import (
    AudioDropped,
    AudioOutputChunk,
    AudioOutputStopped,
    EventType,
    ProviderEvent,
)

if TYPE_CHECKING:
    from typing import Self

    from voxengine.audio.duplex import Duplex
    from voxengine.audio.portaudio import Device
    from voxengine.config import VoiceEngineConfig

__all__ = ["ItemPositions", "Listening", "Talker"]

#: Items whose place in what was played is remembered.
_KEEP = 64


class Talker(Protocol):
    """What is needed of an engine."""

    @property
    def config(self) -> VoiceEngineConfig:
        """The formats of its audio are in it."""

    @property
    def is_connected(self) -> Any:
        """Whether audio can be sent."""

    async def send_audio(self, audio: bytes) -> None:
        """Take what the microphone heard."""

    def on(self, selector: Any, handler: Any = None) -> Any:
        """Call a function with events."""

    def acknowledge_playback(self, item_id: str, played_ms: float) -> None:
        """Be told what was really played."""


class _Stretch(NamedTuple):
    """Audio of one item, from `begin` to `end` of all that was played; `before`: how much of the item came earlier."""

    item_id: str
    begin: float
    end: float
    before: float


class ItemPositions:
    """Which item is where in what a loudspeaker plays. All positions are milliseconds of audio played."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque(maxlen=_KEEP)

    def wrote(self, item_id: str, begin: float, end: float) -> None:
        """Audio of an item was written, to be played from `begin` to `end`."""
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.item_id == item_id and abs(begin - last.end) < 1.0:
            self._stretches[-1] = last._replace(end=end)
            return
        earlier = [s for s in self._stretches if s.item_id == item_id]
        before = earlier[-1].before + earlier[-1].end - earlier[-1].begin if earlier else 0.0
        self._stretches.append(_Stretch(item_id, begin, end, before))

    def flushed(self, at: float) -> None:
        """What was written beyond `at` will not be played."""
        while self._stretches and self._stretches[-1].begin >= at:
            self._stretches.pop()
        if self._stretches:
            last = self._stretches[-1]
            self._stretches[-1] = last._replace(end=min(last.end, at))

    def at(self, position: float) -> tuple[str, float] | None:
        """The item that is heard at a position, and how much of it has been; None before the first."""
        for stretch in reversed(self._stretches):
            if stretch.begin <= position:
                heard = min(position, stretch.end) - stretch.begin
                return stretch.item_id, stretch.before + heard
        return None

    def heard_ms(self, item_id: str, position: float) -> float | None:
        """How much of an item has been heard at a position; None if nothing of it was written."""
        for stretch in reversed(self._stretches):
            if stretch.item_id == item_id and stretch.begin <= position:
                return stretch.before + min(position, stretch.end) - stretch.begin
        return 0.0 if any(s.item_id == item_id for s in self._stretches) else None


class Listening:
    """A conversation by microphone and loudspeaker, while it lasts.

        async with engine.listen():
            ...                      # they are open until the block ends
        await engine.listen()        # or: until the conversation does

    The engine has to be connected. When the conversation ends, so does this; when the provider is lost, `wait` (and
    `await`) raises what `send_audio` raised.
    """

    def __init__(
        self,
        engine: Talker,
        *,
        device: Device = None,
        echo_cancellation: bool = True,
        frame_ms: int = 20,
        publish: Callable[[ProviderEvent], None] | None = None,
    ) -> None:
        """Describe it; nothing is opened.

        Args:
            engine: whose ears and voice these are.
            device: a device's number or a part of its name, a pair of them (microphone, loudspeaker), or None.
            echo_cancellation: no platform does this for us; switch it off for headphones, or for a device that does.
            frame_ms: length of a frame of the microphone.
            publish: takes the event that tells of lost audio.
        """
        self._engine = engine
        self._options: dict[str, Any] = {"device": device, "echo_cancellation": echo_cancellation}
        self._frame_ms = frame_ms
        self._publish = publish
        self._duplex: Duplex | None = None
        self._pump: asyncio.Task[None] | None = None
        self._subscriptions: list[Any] = []
        self._positions = ItemPositions()
        self._acknowledged: tuple[str, float] | None = None
        self._dropped = {"input": 0.0, "output": 0.0}
        #: Gets each frame of the microphone (without the echo) before the engine does; for who wants to record.
        self.on_frame: Callable[[bytes], None] | None = None

    # -- life

    async def start(self) -> None:
        """Open the device and begin. A second call does nothing.

        Raises:
            SessionClosedError: the engine is not connected.
            MissingDependencyError: the `devices` extra is not installed.
            AudioError: there is no device, or it cannot be opened.
        """
        if self._duplex is not None:
            return
        if not self._engine.is_connected:
            raise SessionClosedError("the engine is not connected; connect it before it listens")
        from voxengine.audio.duplex import Duplex

        config = self._engine.config
        duplex = Duplex(config.input_format, config.output_format, self._frame_ms, **self._options)
        await duplex.start()
        self._duplex = duplex
        on = self._engine.on
        self._subscriptions = [
            on(EventType.AUDIO_OUTPUT_CHUNK, self._play),
            on(EventType.AUDIO_OUTPUT_STOPPED, self._stopped),
            on(EventType.CONVERSATION_ENDED, lambda _: self._end()),
        ]
        self._pump = asyncio.create_task(self._run(duplex), name="voxengine-listen")

    async def close(self) -> None:
        """Close the device. Whatever is still buffered is not played. A second call does nothing."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()
        duplex, pump = self._duplex, self._pump
        if duplex is not None:
            await duplex.close()
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()
            await asyncio.wait((pump,))

    async def wait(self) -> None:
        """Wait until it is over: the conversation has ended, or `close` was called.

        Raises:
            ProviderError: the provider was lost.
        """
        if self._pump is not None:
            await asyncio.wait((self._pump,))
            if not self._pump.cancelled() and (failure := self._pump.exception()) is not None:
                raise failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._whole().__await__()

    async def _whole(self) -> None:
        async with self:
            await self.wait()

    # -- what is heard, for whoever shows it

    def heard_ms(self, item_id: str) -> float | None:
        """Milliseconds of an item that the loudspeaker has played; None for one that it was not given."""
        duplex = self._duplex
        return self._positions.heard_ms(item_id, duplex.played_ms) if duplex is not None else None

    @property
    def silent(self) -> bool:
        """Whether nothing waits to be played."""
        return self._duplex is None or self._duplex.buffered_ms <= 0

    # -- inside

    async def _run(self, duplex: Duplex) -> None:
        try:
            async for frame in duplex:
                # Before the frame: if it is what interrupts, the engine knows what had been heard until then.
                self._acknowledge(duplex)
                self._report_losses(duplex)
                if self.on_frame is not None:
                    self.on_frame(frame)
                await self._engine.send_audio(frame)
        except SessionClosedError:
            pass  # disconnected: that is an end like any other
        finally:
            await duplex.close()

    def _acknowledge(self, duplex: Duplex) -> None:
        heard = self._positions.at(duplex.played_ms)
        if heard is not None and heard != self._acknowledged:
            self._acknowledged = heard
            self._engine.acknowledge_playback(*heard)

    def _play(self, event: AudioOutputChunk) -> None:
        duplex = self._duplex
        if duplex is None:
            return
        begin = duplex.accepted_ms
        duplex.write(event.audio_data)
        if event.item_id is not None:
            self._positions.wrote(event.item_id, begin, duplex.accepted_ms)

    def _stopped(self, event: AudioOutputStopped) -> None:
        duplex = self._duplex
        if duplex is None or not event.interrupted:
            return
        duplex.flush()
        self._positions.flushed(duplex.accepted_ms)

    def _end(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    def _report_losses(self, duplex: Duplex) -> None:
        losses = {
            "input": duplex.dropped_frames * float(self._frame_ms),
            "output": duplex.dropped_ms,
        }
        for direction, total in losses.items():
            lost = total - self._dropped[direction]
            if lost > 0 and self._publish is not None:
                self._dropped[direction] = total
                reason = "the audio device's buffer was full"
                self._publish(AudioDropped(direction=direction, audio_ms=lost, reason=reason))
