"""What each event of the client does to a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint
from voxengine.testing.emulators.openai.items import Item, decode_audio, item_of
from voxengine.testing.emulators.openai.planning import plan_response

if TYPE_CHECKING:
    from voxengine.testing.emulators.openai.session import Session

__all__ = ["Commands", "parsed"]


class Commands:
    """The eleven events of the client, done to one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._handlers: dict[str, Callable[[Any, dict[str, Any]], None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": lambda *_: session.hearing.commit(),
            "input_audio_buffer.clear": lambda *_: session.hearing.clear(),
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._item_retrieve,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
            "output_audio_buffer.clear": self._output_clear,
        }

    def do(self, event: dict[str, Any], wrong: list[str]) -> None:
        """Do what an event asks for. `wrong` is what the judge has against it.

        Raises:
            Complaint: it cannot be done.
        """
        value = schema.decode(event, self._shape(event))
        if wrong:
            self._look_closer(event)
            # What only the vendor's own types know.
            raise Complaint(f"Invalid event: {wrong[0]}.", "invalid_value")
        self._handlers[event["type"]](value, event)

    def _look_closer(self, event: dict[str, Any]) -> None:
        """The complaint about what is wrong inside of an event, if we have one of our own."""
        if event["type"] == "session.update":
            self._session.settings.check(
                event["session"], has_spoken=self._session.responder.has_spoken
            )
        elif event["type"] == "conversation.item.create":
            item_of(event["item"], "", self._session.settings.input_format)

    def _shape(self, event: dict[str, Any]) -> type[schema.ClientEvent]:
        shapes = self._session.world.dialect.events
        kind = event.get("type")
        if kind is None:
            raise Complaint(
                "Missing required parameter: 'type'.", "missing_required_parameter", "type"
            )
        if not isinstance(kind, str) or kind not in shapes:
            allowed = ", ".join(f"'{name}'" for name in shapes)
            raise Complaint(
                f"Invalid value: '{kind}'. Supported values are: {allowed}.",
                "invalid_value",
                "type",
            )
        return shapes[kind]

    def _session_update(self, value: schema.SessionUpdate, event: dict[str, Any]) -> None:
        before = (self._session.settings.input_format, self._session.settings.turn_detection)
        self._session.settings.update(value.session, has_spoken=self._session.responder.has_spoken)
        if before != (self._session.settings.input_format, self._session.settings.turn_detection):
            self._session.hearing.configure()
        resumption = self._session.settings.values.get("resumption") or {}
        if self._session.world.dialect.resumable and resumption.get("enabled"):
            self._session.world.kept[self._session.conversation.id] = self._session.conversation
        self._session.send({"type": "session.updated", "session": self._session.settings.wire()})

    def _append(self, value: schema.Append, event: dict[str, Any]) -> None:
        self._session.hearing.append(decode_audio(value.audio))

    def _item_create(self, value: schema.ItemCreate, event: dict[str, Any]) -> None:
        given = event["item"]
        item_id = given.get("id") or self._session.new_id("item")
        if given["type"] == "force_message":
            self._force(item_id, given)
            return
        if given["type"] == "function_call_output":
            self._check_call(given["call_id"])
        item = item_of(given, item_id, self._session.settings.input_format)
        self._session.conversation.add(item, event.get("previous_item_id"))
        if item.audio:
            self._session.hearing.listen_to(item)
        self._session.tell("conversation.item.added", item)
        self._session.tell("conversation.item.done", item)

    def _check_call(self, call_id: str) -> None:
        calls = (i for i in self._session.items if i.type == "function_call")
        if all(call.value.get("call_id") != call_id for call in calls):
            raise Complaint(
                f"Tool call ID '{call_id}' not found in conversation.",
                "invalid_tool_call_id",
                "item.call_id",
            )

    def _force(self, item_id: str, given: dict[str, Any]) -> None:
        """Speak a text word for word."""
        text = " ".join(part.get("text") or "" for part in given["content"])
        self._session.hearing.stop_waiting()
        plan = plan_response(self._session.settings, {}, list(self._session.items))
        self._session.responder.create(plan, verbatim=text)

    def _item_retrieve(self, value: schema.ItemOf, event: dict[str, Any]) -> None:
        item = self._session.conversation.get(value.item_id)
        self._session.send(
            {"type": "conversation.item.retrieved", "item": item.wire(with_audio=True)}
        )

    def _item_truncate(self, value: schema.ItemTruncate, event: dict[str, Any]) -> None:
        item = self._session.conversation.get(value.item_id)
        item.truncate(value.content_index, value.audio_end_ms)
        self._session.send(
            {
                "type": "conversation.item.truncated",
                "item_id": item.id,
                "content_index": value.content_index,
                "audio_end_ms": value.audio_end_ms,
            }
        )

    def _item_delete(self, value: schema.ItemOf, event: dict[str, Any]) -> None:
        self._session.conversation.delete(value.item_id)
        self._session.send({"type": "conversation.item.deleted", "item_id": value.item_id})

    def _output_clear(self, value: schema.ClientEvent, event: dict[str, Any]) -> None:
        raise Complaint(
            "output_audio_buffer.clear is only supported for WebRTC and SIP connections.",
            "invalid_value",
            "type",
        )

    def _response_create(self, value: schema.ResponseCreate, event: dict[str, Any]) -> None:
        if self._session.settings.kind == "transcription":
            raise Complaint(
                "Responses cannot be created in a transcription session.", "invalid_value", "type"
            )
        self._session.hearing.stop_waiting()
        asked = event.get("response") or {}
        self._session.responder.create(
            plan_response(self._session.settings, asked, self._context(asked))
        )

    def _response_cancel(self, value: schema.ResponseCancel, event: dict[str, Any]) -> None:
        wanted = None if value.response_id is UNSET else value.response_id
        self._session.responder.cancel(wanted)

    def _context(self, asked: dict[str, Any]) -> list[Item]:
        """The items that a response starts from: the conversation, or those that it brings."""
        given = asked.get("input")
        if given is None:
            return list(self._session.items)
        made = []
        for value in given:
            item_id = value.get("id") or self._session.new_id("item")
            item = item_of(value, item_id, self._session.settings.input_format)
            if item.audio:
                self._session.hearing.listen_to(item)
            made.append(item)
        return made


def parsed(message: str) -> dict[str, Any]:
    """The object that a message means.

    Raises:
        Complaint: it means none.
    """
    try:
        event = json.loads(message)
    except ValueError:
        raise Complaint("The message is not valid JSON.", "invalid_json") from None
    if not isinstance(event, dict):
        raise Complaint("The message is not a JSON object.", "invalid_json")
    return event
