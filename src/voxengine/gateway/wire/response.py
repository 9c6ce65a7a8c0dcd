"""One response on the wire: the events that open and close each part of it, in OpenAI's order.

An engine tells of text, audio and calls; the wire has items with parts that begin and end. An item begins with the
first of it that comes, and ends with the next message, or with the response. Nothing is told of a response that has
ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from voxengine.events import AudioOutputChunk, TextOutput, UsageUpdated
from voxengine.gateway.wire.audio import Sound, Sounding, Speaker
from voxengine.gateway.wire.outbox import Outbox
from voxengine.gateway.wire.plan import Plan

__all__ = ["Joins", "Response"]


class Joins(Protocol):
    """Is told of the items of a response that joins the conversation."""

    def tell_added(self, item_id: str, value: dict[str, Any]) -> None:
        """An item has begun."""

    def tell_done(self, item_id: str, value: dict[str, Any]) -> None:
        """It has ended."""

    def written(self, item_id: str) -> None:
        """It is speech that is told as text."""


class _Begun:
    """An item that is under way."""

    def __init__(self, item_id: str, index: int, value: dict[str, Any]) -> None:
        self.id = item_id
        self.index = index
        self.value = value
        self.words: list[str] = []
        self.sound: Sounding | None = None


class Response:
    """One response; made when it begins.

    `joins` is None for one beside the conversation. `silent`: the messages have no audio; `speaker` is where it goes
    then, if it goes anywhere. `item_id` gives the wire's id of an item of the engine's.
    """

    def __init__(
        self,
        response_id: str,
        plan: Plan,
        outbox: Outbox,
        joins: Joins | None,
        *,
        silent: bool = False,
        speaker: Speaker | None = None,
        item_id: Callable[[str], str] = lambda known: known,
    ) -> None:
        self.id = response_id
        self.plan = plan
        self.status = "in_progress"
        self._outbox = outbox
        self._joins = joins
        self._silent = silent
        self._speaker = speaker
        self._item_id = item_id
        self._details: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._output: list[dict[str, Any]] = []
        self._message: _Begun | None = None
        #: The engine's ids of its items, each with the milliseconds of it that were not passed on.
        self.items: dict[str, float] = {}
        #: The audio of the item that is being spoken, where the client is sent it.
        self.sound: Sounding | None = None
        outbox.send({"type": "response.created", "response": self.wire()})

    def wire(self) -> dict[str, Any]:
        """Its form on the wire."""
        plan = self.plan
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": list(self._output),
            "conversation_id": plan.conversation_id,
            "output_modalities": [plan.modality],
            "max_output_tokens": plan.max_tokens,
            "audio": {"output": {"format": plan.wire_format, "voice": plan.voice}},
            "usage": self._usage,
            "metadata": plan.metadata,
        }

    # -- what comes of it

    def begin(self, item_id: str, response_id: str | None) -> None:
        """An item of the engine's has begun; of a message that is under way nothing happens."""
        if item_id in self.items:
            return
        self.end_message("completed")
        self.items[item_id] = 0.0
        spoken = self.plan.modality == "audio"
        part: dict[str, Any] = (
            {"type": "output_audio", "transcript": ""}
            if spoken
            else {"type": "output_text", "text": ""}
        )
        told_id = self._item_id(item_id)
        value = {"type": "message", "role": "assistant", "content": []}
        message = self._open(told_id, value)
        self._message = message
        field = "transcript" if spoken else "text"
        kind = "audio" if spoken else "text"
        self._event(
            "response.content_part.added", message, content_index=0, part={"type": kind, field: ""}
        )
        message.value["content"] = [part]
        if spoken and self._speaker is not None:
            message.sound = self.sound = self._speaker.begin(item_id, response_id)
        elif spoken and not self._silent:
            place = {**self._place(message), "content_index": 0}
            message.sound = self.sound = Sound(
                self._outbox, self.plan.format, item_id, response_id, place
            )
        elif not spoken and self._joins is not None:
            self._joins.written(item_id)

    def words(self, event: TextOutput) -> None:
        """Words of an item."""
        item_id = event.item_id or ""
        self.begin(item_id, event.response_id)
        message = self._message
        if message is None or message.id != self._item_id(item_id) or not event.text:
            return  # of an item that has ended
        message.words.append(event.text)
        spoken = self.plan.modality == "audio"
        kind = "response.output_audio_transcript.delta" if spoken else "response.output_text.delta"
        self._event(kind, message, content_index=0, delta=event.text)

    def audio(self, event: AudioOutputChunk, ms: float) -> None:
        """Audio of an item, `ms` milliseconds of it."""
        item_id = event.item_id or ""
        self.begin(item_id, event.response_id)
        if self.plan.modality == "text":
            self.items[item_id] += ms
        elif self.sound is not None and self.sound.item_id == item_id:
            self.sound.push(event)

    def call(self, item_id: str, call_id: str, name: str, arguments: str) -> None:
        """A call of a function, with all of its arguments."""
        self.items[item_id] = 0.0
        value = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        call = self._open(self._item_id(item_id), value)
        self._event(
            "response.function_call_arguments.delta", call, call_id=call_id, delta=arguments
        )
        call.value["arguments"] = arguments
        told = {"call_id": call_id, "name": name, "arguments": arguments}
        self._event("response.function_call_arguments.done", call, **told)
        self._close(call, "completed")

    def used(self, event: UsageUpdated) -> None:
        """What it has used, where that is counted in tokens."""
        given = {
            "text_tokens": event.input_text_tokens,
            "audio_tokens": event.input_audio_tokens,
            "image_tokens": event.input_image_tokens,
        }
        cached = {
            "text_tokens": event.cached_text_tokens,
            "audio_tokens": event.cached_audio_tokens,
            "image_tokens": event.cached_image_tokens,
        }
        out = {"text_tokens": event.output_text_tokens, "audio_tokens": event.output_audio_tokens}
        n_in, n_out = sum(given.values()), sum(out.values())
        if not n_in + n_out:
            return
        usage = {
            "total_tokens": n_in + n_out,
            "input_tokens": n_in,
            "output_tokens": n_out,
            "input_token_details": {
                **given,
                "cached_tokens": sum(cached.values()),
                "cached_tokens_details": cached,
            },
            "output_token_details": out,
        }
        self._usage = usage if self._usage is None else _sum(self._usage, usage)

    # -- the end

    def end_message(self, status: str) -> None:
        """What is being said has ended, whole or not."""
        message, self._message = self._message, None
        self.sound = None
        if message is None:
            return
        if message.sound is not None and status == "completed":
            message.sound.finish()
        said = "".join(message.words)
        part = message.value["content"][0]
        if part["type"] == "output_audio":
            part["transcript"] = said
            self._event("response.output_audio.done", message, content_index=0)
            kind = "response.output_audio_transcript.done"
            self._event(kind, message, content_index=0, transcript=said)
            closed = {"type": "audio", "transcript": said}
        else:
            part["text"] = said
            self._event("response.output_text.done", message, content_index=0, text=said)
            closed = {"type": "text", "text": said}
        self._event("response.content_part.done", message, content_index=0, part=closed)
        self._close(message, status)

    def finish(self, status: str, details: dict[str, Any] | None = None) -> None:
        """It is over: completed, incomplete, cancelled or failed; `details` are the wire's `status_details`."""
        if self.status != "in_progress":
            return
        self.end_message("completed" if status == "completed" else "incomplete")
        self.status, self._details = status, details
        self._outbox.send({"type": "response.done", "response": self.wire()})

    # -- inside

    def _open(self, told_id: str, value: dict[str, Any]) -> _Begun:
        head = {"id": told_id, "object": "realtime.item", "status": "in_progress"}
        message = _Begun(told_id, len(self._output), {**head, **value})
        self._output.append(message.value)
        self._item_event("response.output_item.added", message)
        if self._joins is not None:
            self._joins.tell_added(told_id, message.value)
        return message

    def _close(self, message: _Begun, status: str) -> None:
        message.value["status"] = status
        self._item_event("response.output_item.done", message)
        if self._joins is not None:
            self._joins.tell_done(message.id, message.value)

    def _place(self, message: _Begun) -> dict[str, str | int]:
        return {"response_id": self.id, "item_id": message.id, "output_index": message.index}

    def _event(self, kind: str, message: _Begun, **fields: Any) -> None:
        self._outbox.send({"type": kind, **self._place(message), **fields})

    def _item_event(self, kind: str, message: _Begun) -> None:
        place = {"response_id": self.id, "output_index": message.index}
        self._outbox.send({"type": kind, **place, "item": message.value})


def _sum(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return {k: _sum(v, b[k]) if isinstance(v, dict) else v + b[k] for k, v in a.items()}
