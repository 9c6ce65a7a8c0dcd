"""Plays a response out, step by step, each at its time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.providers.mock.config import MockSettings
from voxengine.providers.mock.faults import AnyFault
from voxengine.providers.mock.memory import Entry, Memory
from voxengine.providers.mock.meter import Meter
from voxengine.providers.mock.plan import (
    AudioStep,
    CallStep,
    EndStep,
    Pace,
    Step,
    TextStep,
    plan_response,
)
from voxengine.providers.mock.script import Reply
from voxengine.providers.mock.wire import Wire

if TYPE_CHECKING:
    from voxengine.providers.mock.service import Ids

__all__ = ["Player", "Response"]


class Response(msgspec.Struct, kw_only=True):
    """A response that is being sent."""

    id: str
    #: Which one it is, as the plan of faults counts them.
    number: int
    entry: Entry
    reply: Reply
    steps: list[Step]
    format: AudioFormat | None
    #: The next step, and the loop's time at which it is due.
    index: int = 0
    due: float = 0.0
    #: Chunks sent (of a response without audio, pieces of text).
    sent: int = 0
    timer: asyncio.TimerHandle | None = None


class Player:
    """Sends one response at a time.

    `strike` lets a fault do its work; `call_tools` is told of a response that wants tools; `on_end` of the end of one,
    however it came.
    """

    def __init__(
        self,
        settings: MockSettings,
        config: ProviderConfig,
        wire: Wire,
        ids: Ids,
        memory: Memory,
        meter: Meter,
    ) -> None:
        self._settings = settings
        self._config = config
        self._wire = wire
        self._ids = ids
        self._memory = memory
        self._meter = meter
        self._random = random.Random(settings.seed)  # noqa: S311 - chosen to be repeatable
        #: The response that is being sent.
        self.active: Response | None = None
        #: How many times longer than planned everything takes.
        self.slowness = 1.0
        self.strike: Callable[[AnyFault], None] = lambda _: None
        self.call_tools: Callable[[Response], None] = lambda _: None
        self.on_end: Callable[[], None] = lambda: None

    def begin(self, reply: Reply, audio: bool = True) -> None:
        """Send this; none may be active."""
        number = self._wire.faults.responding()
        if self._settings.error_rate and self._random.random() < self._settings.error_rate:
            reply = msgspec.structs.replace(reply, error="mock_error")
        if not self._settings.capabilities.tools:
            reply = msgspec.structs.replace(reply, tools=())
        format = self.output_format() if audio else None
        steps = plan_response(reply, format, self._pace(), self._config.max_response_tokens)
        entry = Entry(id=self._ids.new("item"), role="assistant")
        response = Response(
            id=self._ids.new("resp"),
            number=number,
            entry=entry,
            reply=reply,
            steps=steps,
            format=format,
        )
        self.active = response
        self._wire.send(ev.ResponseStarted, response_id=response.id)
        # What vendors also tell, and nobody has a name for.
        self._wire.send(ev.RawEvent, name="queue.position", payload={"place": 0})
        self._schedule(response, self._wire.now(), 0.0)

    def cancel(self, reason: str) -> None:
        """Call off the active response, if there is one."""
        response = self._end()
        if response is not None:
            self._wire.send(ev.ResponseCancelled, response_id=response.id, reason=reason)

    def fail(self, code: str, message: str = "", retryable: bool = True) -> bool:
        """Let the active response fail; False if there is none."""
        response = self._end()
        if response is None:
            return False
        error = message or f"the response failed: {code}"
        self._wire.send(
            ev.ResponseError, response_id=response.id, code=code, retryable=retryable, error=error
        )
        self.on_end()
        return True

    def output_format(self) -> AudioFormat | None:
        """The format that it speaks in; None if the session is text only."""
        capabilities = self._settings.capabilities
        wanted = self._config.modalities
        if not capabilities.audio_output or (wanted is not None and "audio" not in wanted):
            return None
        wish, formats = self._config.output_format, capabilities.output_formats
        return wish if wish is not None and wish in formats else formats[0]

    # -- inside

    def _pace(self) -> Pace:
        settings = self._settings
        return Pace(
            first_ms=settings.latency_ms.first + settings.response_delay_ms,
            chunk_latency_ms=settings.latency_ms.chunk,
            chunk_ms=settings.chunk_ms,
            realtime_factor=settings.realtime_factor,
            ms_per_word=settings.ms_per_word,
        )

    def _schedule(self, response: Response, after: float, at_ms: float) -> None:
        delay = (response.steps[response.index].at_ms - at_ms) / 1000 * self.slowness
        response.due = after + delay
        response.timer = self._wire.at(response.due, self._play, response)

    def _play(self, response: Response) -> None:
        """Take the steps that are due."""
        response.timer = None
        if response.index == 0:
            self._faults(response)
            if self.active is response:
                self._open(response)
        while self.active is response:
            step = response.steps[response.index]
            sent = response.sent
            self._take(response, step)
            if response.sent > sent:
                self._faults(response)
            response.index += 1
            if self.active is response and response.steps[response.index].at_ms > step.at_ms:
                self._schedule(response, response.due, step.at_ms)
                return

    def _faults(self, response: Response) -> None:
        for fault in self._wire.faults.at_chunk(response.number, response.sent):
            if self.active is response:  # the fault before this one may have ended it
                self.strike(fault)

    def halt(self) -> None:
        """Send no more, and tell nobody: the connection is lost."""
        if self.active is not None:
            self._wire.forget(self.active.timer)
            self.active = None

    def _open(self, response: Response) -> None:
        if response.reply.error is not None:
            self.fail(response.reply.error)
            return
        if response.reply.text.strip():
            self._memory.add(response.entry)
        self._wire.send(ev.TimingStage, stage="first_token", response_id=response.id)

    def _take(self, response: Response, step: Step) -> None:
        match step:
            case TextStep():
                self._send_text(response, step)
            case AudioStep(audio=audio):
                self._send_audio(response, audio)
            case CallStep():
                self.call_tools(response)
            case EndStep(reason=reason):
                self._end()
                status = "incomplete" if reason else "completed"
                self._wire.send(
                    ev.ResponseCompleted, response_id=response.id, status=status, reason=reason
                )
                self.on_end()

    def _send_text(self, response: Response, step: TextStep) -> None:
        response.entry.text += step.text
        response.sent += response.format is None
        self._wire.send(
            ev.TextOutput,
            text=step.text,
            is_partial=step.more,
            item_id=response.entry.id,
            response_id=response.id,
            audio_start_ms=step.start_ms,
            audio_end_ms=step.end_ms,
        )

    def _send_audio(self, response: Response, audio: bytes) -> None:
        format = response.format
        assert format is not None
        response.entry.audio_ms += format.duration_ms(len(audio))
        response.sent += 1
        self._wire.send(
            ev.AudioOutputChunk,
            audio_data=audio,
            sample_rate=format.sample_rate,
            encoding=format.encoding,
            item_id=response.entry.id,
            response_id=response.id,
        )

    def _end(self) -> Response | None:
        """No response is active any more; tells what the one that was has used."""
        response, self.active = self.active, None
        if response is None:
            return None
        self._wire.forget(response.timer)
        used = self._meter.response(response.entry.text, response.entry.audio_ms / 1000)
        if used is not None:
            model = self._config.model or "mock"
            self._wire.send(ev.UsageUpdated, response_id=response.id, model=model, **used)
        return response
