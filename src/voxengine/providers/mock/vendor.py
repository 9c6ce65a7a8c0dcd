"""The mock's vendor: hears, remembers, decides on answers, and plays them out. No connection, no contract.

It speaks through a `Wire`, and its faults strike through `strike`. What the provider calls here never emits within the
call: events come later on the loop, as a real vendor's do.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.mock.config import MockSettings
from voxengine.providers.mock.faults import AnyFault, Slow
from voxengine.providers.mock.memory import Entry, Memory
from voxengine.providers.mock.plan import (
    AudioStep,
    CallStep,
    EndStep,
    Pace,
    Step,
    TextStep,
    plan_response,
)
from voxengine.providers.mock.script import Reply, Script, ToolUse
from voxengine.providers.mock.wire import Wire

__all__ = ["Response", "Vendor"]


class Response(msgspec.Struct, kw_only=True):
    """A response that is being sent."""

    id: str
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


class _Call(msgspec.Struct):
    """A tool call that is out; all calls of one response share `group`."""

    id: str
    use: ToolUse
    group: list[_Call]
    then: Any = None
    output: str | None = None


class Vendor:
    """One session at the vendor's."""

    def __init__(
        self,
        settings: MockSettings,
        config: ProviderConfig,
        wire: Wire,
        script: Callable[[], Script],
        prefix: str,
        strike: Callable[[AnyFault], None],
        memory: Memory,
    ) -> None:
        self.settings = settings
        self.config = config
        self.wire = wire
        self.memory = memory
        self.active: Response | None = None
        #: All that was used so far, by the names of `UsageUpdated`.
        self.usage: dict[str, float] = {}
        self.slowness = 1.0
        self._script = script
        self._strike = strike
        self._prefix = prefix
        self._count = {"item": 0, "resp": 0, "call": 0}
        self._random = random.Random(settings.seed)  # noqa: S311 - chosen to be repeatable
        self._waiting: deque[Callable[[], None]] = deque()
        self._calls: dict[str, _Call] = {}
        self._returned: list[_Call] = []
        self._heard_s = 0.0
        self._input_text = ""

    # -- what it is told

    def new_id(self, kind: str) -> str:
        """An id that no other mock on this event loop uses."""
        self._count[kind] += 1
        return f"{self._prefix}_{kind}_{self._count[kind]}"

    def remember(self, role: str, text: str, **more: Any) -> Entry:
        """Put a message into its memory."""
        return self.memory.add(Entry(id=self.new_id("item"), role=role, text=text, **more))

    def heard(self, seconds: float) -> None:
        """Count audio that came in."""
        self._heard_s += seconds

    def answer(self, entry: Entry, instructions: str | None = None, audio: bool = True) -> None:
        """Answer something that the user said, when the current response has ended."""
        entry.answered = True
        self._input_text += entry.text
        told = self._script().find(instructions) if instructions else None
        self._when_free(lambda: self._begin(told or self._script().reply_to(entry.text), audio))

    def say(self, text: str) -> None:
        """Speak a text word for word."""
        self._when_free(lambda: self._begin(Reply(text=text)))

    def respond(self, instructions: str | None, audio: bool) -> None:
        """Answer what there is to answer.

        Raises:
            MessageError: a response is active already.
        """
        if self.active is not None:
            raise MessageError("a response is active already", code="response_active", retryable=True)
        if self._returned:
            self._go_on(audio)
            return
        last = self.memory.last_of_user()
        if last is not None:
            self.answer(last, instructions, audio)
        else:
            found = self._script().find(instructions) if instructions else None
            self._begin(found or Reply(text=self.settings.greeting), audio)

    def tool_result(self, call_id: str, output: str) -> None:
        """A tool returned.

        Raises:
            MessageError: no call of that id is out.
        """
        call = self._calls.pop(call_id, None)
        if call is None:
            raise MessageError(f"no call {call_id!r} is waiting for a result", code="unknown_call")
        call.output = output
        self.memory.add(Entry(id=self.new_id("item"), role="tool", kind="function_output", call_id=call_id, output=output))
        if all(c.output is not None for c in call.group):
            self._returned += call.group
            if self.settings.capabilities.continues_after_tool:
                self._when_free(self._go_on)

    def _go_on(self, audio: bool = True) -> None:
        if not self._returned:
            return
        calls, self._returned = self._returned, []
        outputs = [c.output or "" for c in calls]
        self._begin(self._script().after_tools(calls[-1].then, outputs), audio)

    def cancel(self, reason: str) -> None:
        """Call off the active response, and those that wait for it."""
        self._waiting.clear()
        response = self.active
        if response is None:
            return
        self.wire.forget(response.timer)
        self.active = None
        self._count_usage(response)
        self.wire.send(ev.ResponseCancelled, response_id=response.id, reason=reason)

    def barge_in(self) -> None:
        """The user began to speak."""
        capabilities = self.settings.capabilities
        if self.settings.cancels_tools:
            for call in self._calls.values():
                self.wire.send(ev.FunctionCancelled, call_id=call.id, name=call.use.name, reason="turn_detected")
            self._calls.clear()
        if capabilities.self_interrupting:
            self.cancel("turn_detected")

    # -- a response

    def _when_free(self, begin: Callable[[], None]) -> None:
        if self.active is None:
            begin()
        else:
            self._waiting.append(begin)

    def _begin(self, reply: Reply, audio: bool = True) -> None:
        number = self.wire.faults.responding()
        if self.settings.error_rate and self._random.random() < self.settings.error_rate:
            reply = msgspec.structs.replace(reply, error="mock_error")
        if not self.settings.capabilities.tools:
            reply = msgspec.structs.replace(reply, tools=())
        format = self.output_format() if audio and self.settings.capabilities.audio_output else None
        steps = plan_response(reply, format, self._pace(), self.config.max_response_tokens)
        entry = Entry(id=self.new_id("item"), role="assistant")
        response = Response(
            id=self.new_id("resp"), number=number, entry=entry, reply=reply, steps=steps, format=format
        )
        self.active = response
        self.wire.send(ev.ResponseStarted, response_id=response.id)
        self.wire.send(ev.RawEvent, name="rate_limits.updated", payload={"requests_left": 1000 - number})
        self._schedule(response, self.wire.now(), 0.0)

    def _pace(self) -> Pace:
        settings = self.settings
        return Pace(
            first_ms=settings.latency_ms.first + settings.response_delay_ms,
            chunk_latency_ms=settings.latency_ms.chunk,
            chunk_ms=settings.chunk_ms,
            realtime_factor=settings.realtime_factor,
            ms_per_word=settings.ms_per_word,
        )

    def output_format(self) -> AudioFormat | None:
        """The format that it speaks in; None if the session is text only."""
        if self.config.modalities is not None and "audio" not in self.config.modalities:
            return None
        formats = self.settings.capabilities.output_formats
        wish = self.config.output_format
        return wish if wish is not None and wish in formats else formats[0]

    def _schedule(self, response: Response, after: float, at_ms: float) -> None:
        delay = (response.steps[response.index].at_ms - at_ms) / 1000 * self.slowness
        response.due = after + delay
        response.timer = self.wire.at(response.due, self._play, response)

    def _play(self, response: Response) -> None:
        """Take the steps that are due."""
        response.timer = None
        while self.active is response:
            step = response.steps[response.index]
            for fault in self.wire.faults.at_chunk(response.number, response.sent):
                self._strike(fault)
            if self.active is not response:
                return
            self._take(response, step)
            response.index += 1
            if self.active is response and response.steps[response.index].at_ms > step.at_ms:
                self._schedule(response, response.due, step.at_ms)
                return

    def _take(self, response: Response, step: Step) -> None:
        entry = response.entry
        if response.index == 0:
            self._first_step(response)
            if self.active is not response:
                return
        match step:
            case TextStep():
                entry.text += step.text
                response.sent += response.format is None
                self.wire.send(
                    ev.TextOutput,
                    text=step.text,
                    is_partial=step.more,
                    item_id=entry.id,
                    response_id=response.id,
                    audio_start_ms=step.start_ms,
                    audio_end_ms=step.end_ms,
                )
            case AudioStep(audio=audio):
                self._send_audio(response, audio)
            case CallStep():
                self._call(response, step.tools)
            case EndStep():
                self._end(response, step.reason)

    def _first_step(self, response: Response) -> None:
        if response.reply.error is not None:
            self.fail(response.reply.error)
            return
        if response.reply.text.strip():
            self.memory.add(response.entry)
        self.wire.send(ev.TimingStage, stage="first_token", response_id=response.id)

    def _send_audio(self, response: Response, audio: bytes) -> None:
        format = response.format
        assert format is not None
        response.entry.audio_ms += format.duration_ms(len(audio))
        response.sent += 1
        self.wire.send(
            ev.AudioOutputChunk,
            audio_data=audio,
            sample_rate=format.sample_rate,
            encoding=format.encoding,
            item_id=response.entry.id,
            response_id=response.id,
        )

    def _call(self, response: Response, tools: Sequence[ToolUse]) -> None:
        group: list[_Call] = []
        for use in tools if self.settings.capabilities.parallel_tools else tools[:1]:
            call = _Call(self.new_id("call"), use, group, response.reply.then)
            group.append(call)
            self._calls[call.id] = call
            item = self.memory.add(
                Entry(
                    id=self.new_id("item"),
                    role="assistant",
                    kind="function_call",
                    call_id=call.id,
                    name=use.name,
                    arguments=use.arguments,
                )
            )
            self.wire.send(
                ev.FunctionInvoked,
                call_id=call.id,
                name=use.name,
                arguments=use.arguments,
                item_id=item.id,
                response_id=response.id,
            )
        if len(group) < len(tools):
            # One at a time: the reply to the first result is the call of the next.
            rest = [{"name": t.name, "arguments": t.arguments} for t in tools[1:]]
            group[0].then = {"tools": rest, "then": response.reply.then}

    def _end(self, response: Response, reason: str) -> None:
        self.active = None
        self._count_usage(response)
        status = "incomplete" if reason else "completed"
        self.wire.send(ev.ResponseCompleted, response_id=response.id, status=status, reason=reason)
        self._next()

    def fail(self, code: str, message: str = "", retryable: bool = True) -> bool:
        """Let the active response fail; False if there is none."""
        response = self.active
        if response is None:
            return False
        self.wire.forget(response.timer)
        self.active = None
        self._count_usage(response)
        error = message or f"the response failed: {code}"
        self.wire.send(ev.ResponseError, response_id=response.id, code=code, retryable=retryable, error=error)
        self._next()
        return True

    def _next(self) -> None:
        while self._waiting and self.active is None:
            self._waiting.popleft()()

    # -- figures

    def _count_usage(self, response: Response) -> None:
        """Tell what was used since the last time."""
        unit = self.settings.capabilities.usage_unit
        spoken = response.entry.audio_ms / 1000
        heard, self._heard_s = self._heard_s, 0.0
        told, self._input_text = self._input_text, ""
        values: dict[str, float] = {}
        if unit == "seconds":
            values = {"input_audio_seconds": heard, "output_audio_seconds": spoken}
        elif unit == "tokens":
            values = {
                "input_text_tokens": _tokens(told),
                "input_audio_tokens": round(heard * 10),
                "output_text_tokens": _tokens(response.entry.text),
                "output_audio_tokens": round(spoken * 20),
            }
        elif unit == "characters":
            values = {"characters": len(response.entry.text)}
        # Seconds are counted whatever the vendor's unit is: the price is by the minute.
        self.usage["seconds"] = self.usage.get("seconds", 0.0) + heard + spoken
        for name, value in values.items():
            self.usage[name] = self.usage.get(name, 0) + value
        if unit != "none":
            self.wire.send(ev.UsageUpdated, response_id=response.id, model=self.config.model or "mock", **values)

    def slow_down(self, fault: Slow) -> None:
        """From here on everything takes longer."""
        self.slowness *= fault.factor

    def truncate(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Forget what was not heard of an item.

        Raises:
            MessageError: there is no such item of the assistant's, or it has less audio than that.
        """
        entry = self.memory.get(item_id)
        if entry is None or entry.role != "assistant":
            raise MessageError(f"there is no item {item_id!r} of the assistant's", code="item_not_found")
        if not 0 <= heard_ms <= entry.audio_ms + 0.5:
            raise MessageError(
                f"audio content of {entry.audio_ms:g} ms is already shorter than {heard_ms:g} ms", code="truncate_range"
            )
        entry.heard_ms, entry.text = heard_ms, heard_text

    def complain(self, error: ProviderError) -> None:
        """An error of the vendor's that belongs to no response."""
        self.wire.send(ev.ErrorGeneral, exception=error, code=error.code, recoverable=True, error=str(error))


def _tokens(text: str) -> int:
    return (len(text.encode()) + 3) // 4
