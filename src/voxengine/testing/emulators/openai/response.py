"""One response on the wire: what it holds so far, and the events that open and close each part of it.

Nothing here waits; `voxengine.testing.emulators.openai.responder` decides when.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.openai.items import Conversation, Item, text_tokens
from voxengine.testing.emulators.openai.outbox import Outbox

__all__ = ["Plan", "Response"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a response was asked to be: the session's settings, and what its own request changes."""

    instructions: str | None
    #: Of this response alone, None where it has none of its own.
    own_instructions: str | None
    tools: list[dict[str, Any]]
    tool_choice: Any
    parallel: bool
    #: "audio" or "text".
    modality: str
    format: AudioFormat
    #: The format as it is told, None where the dialect does not tell it.
    wire_format: dict[str, Any] | None
    voice: str
    speed: float
    max_tokens: int | None
    metadata: dict[str, str] | None
    #: Whether its items join the conversation.
    joins: bool
    context: list[Item]
    #: The user has said nothing for too long.
    idle: bool = False
    binary: bool = False


class Response:
    """One response.

    `number` counts from 1 over all sessions of the emulator; `item` and what begins with `part` are what is being sent.
    """

    def __init__(
        self, response_id: str, number: int, plan: Plan, outbox: Outbox, conversation: Conversation
    ) -> None:
        self.id = response_id
        self.number = number
        self.plan = plan
        self.status = "in_progress"
        self.status_details: dict[str, Any] | None = None
        self.usage: dict[str, Any] | None = None
        self.output: list[Item] = []
        #: Audio deltas that were sent (of a response without audio, text deltas).
        self.sent = 0
        self.task: asyncio.Task[None] | None = None
        #: The loop's time at which its first audio was sent.
        self.audio_since: float | None = None
        self._outbox = outbox
        self._conversation = conversation
        self._item: Item | None = None
        self._part: str | None = None

    @property
    def ended(self) -> bool:
        """Whether `response.done` was sent."""
        return self.status != "in_progress"

    @property
    def audio_ms(self) -> float:
        """How long all that it says lasts."""
        return sum(item.audio_ms for item in self.output)

    def wire(self) -> dict[str, Any]:
        """Its form on the wire."""
        plan = self.plan
        told: dict[str, Any] = {}
        if plan.wire_format is not None:
            told["audio"] = {"output": {"format": plan.wire_format, "voice": plan.voice}}
        return {
            **told,
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self.status_details,
            "output": [item.wire() for item in self.output],
            "conversation_id": self._conversation.id if plan.joins else None,
            "output_modalities": [plan.modality],
            "max_output_tokens": plan.max_tokens if plan.max_tokens is not None else "inf",
            "usage": self.usage,
            "metadata": plan.metadata,
        }

    def over_budget(self, audio_bytes: int, text: str) -> bool:
        """Whether so much more would be over the limit of its tokens."""
        limit = self.plan.max_tokens
        if limit is None:
            return False
        said = sum(
            text_tokens(item.text + str(item.value.get("arguments", ""))) for item in self.output
        )
        seconds = (self.audio_ms + self.plan.format.duration_ms(audio_bytes)) / 1000
        return said + text_tokens(text) + seconds * 20 > limit

    # -- a message

    def open_message(self, item_id: str) -> None:
        """Begin to say something."""
        spoken = self.plan.modality == "audio"
        value = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        item = Item(item_id, value)
        item.format = self.plan.format
        self._open(item)
        kind = "audio" if spoken else "text"
        self._part = kind
        part = {"type": kind, "transcript" if spoken else "text": ""}
        self._event("response.content_part.added", content_index=0, part=part)
        item.value["content"] = [
            {"type": "output_audio", "transcript": ""}
            if spoken
            else {"type": "output_text", "text": ""}
        ]

    def words(self, text: str) -> None:
        """Say, or write, these words."""
        assert self._item is not None
        part = self._item.content[0]
        if self._part == "audio":
            part["transcript"] += text
            self._event("response.output_audio_transcript.delta", content_index=0, delta=text)
        else:
            part["text"] += text
            self._event("response.output_text.delta", content_index=0, delta=text)
            self.sent += 1

    def audio(self, audio: bytes, now: float) -> None:
        """Send this audio."""
        assert self._item is not None
        self._item.audio += audio
        self.sent += 1
        if self.audio_since is None:
            self.audio_since = now
        if self.plan.binary:
            self._outbox.send_audio(audio)
        else:
            self._event(
                "response.output_audio.delta",
                content_index=0,
                delta=pybase64.b64encode(audio).decode(),
            )

    def late_audio(self) -> None:
        """Send a piece of audio although the response is over."""
        said = next((i for i, item in enumerate(self.output) if item.role == "assistant"), None)
        if said is None or self.plan.modality != "audio":
            return
        silence = bytes([0xFF if self.plan.format.encoding != "pcm16" else 0])
        self._outbox.send(
            {
                "type": "response.output_audio.delta",
                "response_id": self.id,
                "item_id": self.output[said].id,
                "output_index": said,
                "content_index": 0,
                "delta": pybase64.b64encode(silence * self.plan.format.n_bytes(100)).decode(),
            }
        )

    # -- a call

    def open_call(self, item_id: str, call_id: str, name: str) -> None:
        """Begin to call a function."""
        value = {
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": name,
            "arguments": "",
        }
        self._open(Item(item_id, value))
        self._part = "call"

    def arguments(self, text: str) -> None:
        """Go on with the arguments."""
        assert self._item is not None
        self._item.value["arguments"] += text
        self._event(
            "response.function_call_arguments.delta",
            call_id=self._item.value["call_id"],
            delta=text,
        )

    # -- the end

    def close_item(self, status: str) -> None:
        """End what was begun, whole or not. Nothing happens if nothing was."""
        item, part = self._item, self._part
        if item is None:
            return
        item.value["status"] = status
        if part == "call":
            value = item.value
            self._event(
                "response.function_call_arguments.done",
                call_id=value["call_id"],
                name=value["name"],
                arguments=value["arguments"],
            )
        elif part == "audio":
            said = item.content[0]["transcript"]
            self._event("response.output_audio.done", content_index=0)
            self._event("response.output_audio_transcript.done", content_index=0, transcript=said)
            closed = {"type": "audio", "transcript": said}
            self._event("response.content_part.done", content_index=0, part=closed)
        else:
            written = item.content[0]["text"]
            self._event("response.output_text.done", content_index=0, text=written)
            closed = {"type": "text", "text": written}
            self._event("response.content_part.done", content_index=0, part=closed)
        self._item_event("response.output_item.done", item)
        if self.plan.joins:
            self._joined("conversation.item.done", item)
        self._item = self._part = None

    def finish(self, status: str, details: dict[str, Any] | None, usage: dict[str, Any]) -> None:
        """It is over; the event that says so is the responder's."""
        self.status, self.status_details, self.usage = status, details, usage

    # -- inside

    def _open(self, item: Item) -> None:
        self._item = item
        self.output.append(item)
        self._item_event("response.output_item.added", item)
        if self.plan.joins:
            self._conversation.add(item)
            self._joined("conversation.item.added", item)

    def _joined(self, kind: str, item: Item) -> None:
        if item.id in self._conversation:  # the client may have deleted it meanwhile
            before = self._conversation.before(item)
            self._outbox.send({"type": kind, "previous_item_id": before, "item": item.wire()})

    def _item_event(self, kind: str, item: Item) -> None:
        self._outbox.send(
            {
                "type": kind,
                "response_id": self.id,
                "output_index": self.output.index(item),
                "item": item.wire(),
            }
        )

    def _event(self, kind: str, **fields: Any) -> None:
        assert self._item is not None
        head = {
            "type": kind,
            "response_id": self.id,
            "item_id": self._item.id,
            "output_index": self.output.index(self._item),
        }
        self._outbox.send({**head, **fields})
