"""One session of the emulated Voice Live: what each event of the client does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pybase64

from voxengine.testing.emulators.azure_voice_live.items import Entry, Unknown
from voxengine.testing.emulators.azure_voice_live.state import VoiceLiveState, names_of
from voxengine.testing.emulators.memory import Note

__all__ = ["VoiceLiveSession"]

#: Audio that may be committed.
MIN_COMMIT_MS = 100.0
_ROLES = {"text": "text", "input_text": "text", "audio": "transcript", "input_audio": "transcript"}


class _Refusal(Exception):
    """Something that the client asks for cannot be done."""

    def __init__(self, code: str, words: str, param: str | None = None) -> None:
        super().__init__(words)
        self.code, self.param = code, param


class VoiceLiveSession(VoiceLiveState):
    """One session. `config` is the session as it is, `items` the conversation."""

    def received(self, message: dict[str, Any]) -> None:
        """Do what the client asks for."""
        command = _COMMANDS.get(message["type"])
        try:
            if command is None:
                raise _Refusal("unsupported", f"no {message['type']} is emulated", "type")
            command(self, message)
        except _Refusal as refusal:
            self._refuse(refusal.code, str(refusal), message.get("event_id"), refusal.param)
        except Unknown as missing:
            words = f"Item with item_id not found: {missing}"
            self._refuse("item_not_found", words, message.get("event_id"), "item_id")

    def _on_update(self, event: dict[str, Any]) -> None:
        if event["session"].get("model") not in (None, self.request.query.get("model")):
            raise _Refusal("model_fixed", "The model of a session cannot be changed.", "session")
        self.config.update(event["session"])
        self._configure()
        self.send({"type": "session.updated", "session": self._wire()})

    # -- the client's audio

    def _on_append(self, event: dict[str, Any]) -> None:
        try:
            audio = pybase64.b64decode(event["audio"], validate=True)
        except ValueError:
            raise _Refusal("invalid_audio", "The audio is no base64.", "audio") from None
        self.mind.hear(audio)

    def _on_commit(self, event: dict[str, Any]) -> None:
        held = self.mind.held_ms
        if held < MIN_COMMIT_MS:
            words = f"The input audio buffer is too small: it has {held:.0f}ms of audio."
            raise _Refusal("input_audio_buffer_commit_empty", words)
        self.mind.commit(answer=False)

    def _on_clear(self, event: dict[str, Any]) -> None:
        self.mind.clear()
        self._speaking = None
        self.send({"type": "input_audio_buffer.cleared"})

    # -- the conversation

    def _on_create(self, event: dict[str, Any]) -> None:
        given = event.get("item") or {}
        item = {"id": self.new_id("item"), "object": "realtime.item", **given}
        if item["id"] in self.items:
            raise _Refusal("item_exists", f"There is an item {item['id']} already.", "item.id")
        item["status"] = "completed"
        if item["type"] == "function_call_output":
            if self.items.call(item["call_id"]) is None:
                words = f"Tool call ID '{item['call_id']}' not found in conversation."
                raise _Refusal("invalid_tool_call_id", words, "item.call_id")
            item.pop("status")
        elif item["type"] == "message":
            item["content"] = [_told_back(part) for part in item["content"]]
        note = _note_of(item)
        if item["type"] == "function_call_output" and item["call_id"] in self.mind.pending:
            self.mind.withdraw(item["call_id"])
        entry = Entry(item["id"], item, note)
        before = self.items.add(entry, event.get("previous_item_id"))
        self._created(item, before)

    def _on_retrieve(self, event: dict[str, Any]) -> None:
        item = self.items.get(event["item_id"]).wire
        self.send({"type": "conversation.item.retrieved", "item": item})

    def _on_delete(self, event: dict[str, Any]) -> None:
        self.items.delete(event["item_id"])
        self.send({"type": "conversation.item.deleted", "item_id": event["item_id"]})

    def _on_truncate(self, event: dict[str, Any]) -> None:
        entry = self.items.get(event["item_id"])
        if entry.reply_id is None:
            raise _Refusal("invalid_item", "Only what was spoken can be truncated.", "item_id")
        if event["audio_end_ms"] > entry.audio_ms + 1:
            words = f"Audio content of {entry.audio_ms:.0f}ms is already shorter than that."
            raise _Refusal("invalid_value", words, "audio_end_ms")
        self._truncate(entry, event["audio_end_ms"])

    # -- answers that are asked for

    def _on_respond(self, event: dict[str, Any]) -> None:
        wanted = event.get("response") or {}
        if self.mind.active is not None:
            if wanted.get("cancel_previous") is False:
                words = "Conversation already has an active response in progress."
                raise _Refusal("conversation_already_has_active_response", words)
            self.mind.cancel()
        self._override(wanted)
        said = wanted.get("pre_generated_assistant_message")
        if said is not None:
            self.mind.say(_text_of(said))
            return
        more = event.get("additional_instructions")
        self.mind.respond(" ".join(filter(None, (wanted.get("instructions"), more))) or None)

    def _override(self, wanted: dict[str, Any]) -> None:
        """Settings of one answer."""
        model = self.mind
        before = (model.settings.speaks, model.tools, model.tool_choice)
        if wanted.get("modalities") is not None:
            model.configure(speaks="audio" in wanted["modalities"])
        if wanted.get("tools") is not None:
            model.tools = names_of(wanted["tools"])
        if wanted.get("tool_choice") is not None:
            model.tool_choice = wanted["tool_choice"]

        def restore() -> None:
            model.configure(speaks=before[0])
            model.tools, model.tool_choice = before[1], before[2]

        self._restore = restore

    def _on_cancel(self, event: dict[str, Any]) -> None:
        which = event.get("response_id")
        running = self._reply is not None and which in (None, self._reply.id)
        if not running or not self.mind.cancel():
            words = "Cancellation failed: no active response found"
            raise _Refusal("response_cancel_not_active", words)


def _text_of(item: dict[str, Any]) -> str:
    return " ".join(part.get(_ROLES.get(part["type"], "text")) or "" for part in item["content"])


def _told_back(part: dict[str, Any]) -> dict[str, Any]:
    """What of a part of an item comes back."""
    return {name: value for name, value in part.items() if name != "audio"} | (
        {"audio": ""} if part["type"] == "input_audio" else {}
    )


def _note_of(item: dict[str, Any]) -> Note | None:
    match item["type"]:
        case "message":
            return Note(item["role"], _text_of(item))
        case "function_call":
            return Note("tool_call", f"{item['name']} {item['arguments']}", item["call_id"])
        case "function_call_output":
            return Note("tool", item["output"], item["call_id"])
    return None


_COMMANDS: dict[str, Callable[[VoiceLiveSession, dict[str, Any]], None]] = {
    "session.update": VoiceLiveSession._on_update,
    "input_audio_buffer.append": VoiceLiveSession._on_append,
    "input_audio_buffer.commit": VoiceLiveSession._on_commit,
    "input_audio_buffer.clear": VoiceLiveSession._on_clear,
    "conversation.item.create": VoiceLiveSession._on_create,
    "conversation.item.retrieve": VoiceLiveSession._on_retrieve,
    "conversation.item.truncate": VoiceLiveSession._on_truncate,
    "conversation.item.delete": VoiceLiveSession._on_delete,
    "response.create": VoiceLiveSession._on_respond,
    "response.cancel": VoiceLiveSession._on_cancel,
}
