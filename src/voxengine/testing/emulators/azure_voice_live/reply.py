"""One answer on the wire: the events that open, fill and close it, in the vocabulary of the preview."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pybase64

from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model_types import Call

__all__ = ["Reply"]

#: What a place of a word does not name: the signs around it.
_SIGNS = re.compile(r"^\W+|\W+$")


class Reply:
    """An answer.

    Args:
        send: sends an event.
        new_id: makes an id of a kind.
        head: what every form of it on the wire has: modalities, voice, format.
        places: whether the places of its words are told.
        joined: is told of each item that it adds to the conversation.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        new_id: Callable[[str], str],
        head: dict[str, Any],
        joined: Callable[[dict[str, Any]], None],
        *,
        places: bool,
    ) -> None:
        self.id = new_id("resp")
        #: The item with its words, once there is one; and the same as long as it is open.
        self.message_id: str | None = None
        self.item_id: str | None = None
        self._send = send
        self._new_id = new_id
        self._head = head
        self._joined = joined
        self._places = places
        self._spoken = True
        self._text = ""
        self._output: list[dict[str, Any]] = []

    def begin(self) -> None:
        """`response.created`."""
        self._send({"type": "response.created", "response": self.wire("in_progress", None, None)})

    def wire(
        self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Its form on the wire."""
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": self._output,
            "usage": usage,
            **self._head,
        }

    def words(self, text: str, *, spoken: bool) -> None:
        """Further words."""
        if self.item_id is None:
            self._open(spoken)
        self._text += text
        kind = "response.audio_transcript.delta" if spoken else "response.text.delta"
        self._event(kind, content_index=0, delta=text)

    def audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """Further audio, and the places of the words that begin in it."""
        if self.item_id is None:
            self._open(True)
        for word in words if self._places else ():
            start = round(word.start_ms)
            self._event(
                "response.audio_timestamp.delta",
                content_index=0,
                audio_offset_ms=start,
                audio_duration_ms=max(1, round(word.end_ms) - start),
                text=_SIGNS.sub("", word.text),
                timestamp_type="word",
            )
        self._event(
            "response.audio.delta", content_index=0, delta=pybase64.b64encode(audio).decode()
        )

    def call(self, call: Call) -> dict[str, Any]:
        """A call of a function, whole; returns its item."""
        self.close("completed")
        item = {
            "id": self._new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
        }
        index = len(self._output)
        self._output.append(item)
        head = {"response_id": self.id, "item_id": item["id"], "output_index": index}
        self._send_item("response.output_item.added", index)
        self._joined(item)
        name = "response.function_call_arguments"
        self._send({"type": f"{name}.delta", **head, "call_id": call.id, "delta": call.text})
        self._send(
            {
                "type": f"{name}.done",
                **head,
                "call_id": call.id,
                "arguments": call.text,
                "name": call.name,
            }
        )
        item["arguments"], item["status"] = call.text, "completed"
        self._send_item("response.output_item.done", index)
        return item

    def close(self, status: str) -> None:
        """The end of its words, if it has any that are open."""
        if self.item_id is None:
            return
        text = self._text
        if self._spoken:
            if self._places:
                self._event("response.audio_timestamp.done", content_index=0)
            self._event("response.audio.done", content_index=0)
            self._event("response.audio_transcript.done", content_index=0, transcript=text)
            part = {"type": "audio", "transcript": text}
        else:
            self._event("response.text.done", content_index=0, text=text)
            part = {"type": "text", "text": text}
        self._event("response.content_part.done", content_index=0, part=part)
        item = self._output[-1]
        item["status"], item["content"] = status, [part]
        self._send_item("response.output_item.done", len(self._output) - 1)
        self.item_id = None

    def end(
        self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None
    ) -> None:
        """`response.done`."""
        self.close("completed" if status == "completed" else "incomplete")
        self._send({"type": "response.done", "response": self.wire(status, details, usage)})

    # -- inside

    def _open(self, spoken: bool) -> None:
        self._spoken, self._text = spoken, ""
        self.item_id = self.message_id = self._new_id("item")
        item = {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        self._output.append(item)
        self._send_item("response.output_item.added", len(self._output) - 1)
        self._joined(item)
        part = {"type": "audio", "transcript": ""} if spoken else {"type": "text", "text": ""}
        self._event("response.content_part.added", content_index=0, part=part)

    def _send_item(self, kind: str, index: int) -> None:
        item = dict(self._output[index])
        self._send({"type": kind, "response_id": self.id, "output_index": index, "item": item})

    def _event(self, kind: str, **fields: Any) -> None:
        head = {
            "type": kind,
            "response_id": self.id,
            "item_id": self.item_id,
            "output_index": len(self._output) - 1,
        }
        self._send({**head, **fields})
