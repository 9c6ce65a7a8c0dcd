"""Items of the conversation: the log's form and OpenAI's, and what a client may do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import UNSET

from voxengine.conversation import Conversation, Item
from voxengine.errors import MessageError
from voxengine.events import ConversationUpdated
from voxengine.gateway.wire.audio import Speaker
from voxengine.gateway.wire.given import audio_of, content_of, item_of, speech_of
from voxengine.gateway.wire.outbox import Outbox
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.call import Call

__all__ = ["Items", "Talk", "TalkSettings"]

#: Where a provider is asked to put what stands before everything else.
_BEGINNING = ""


class TalkSettings(Protocol):
    """What of a session's settings matters here; in OpenAI's form."""

    kind: str
    values: dict[str, Any]
    output: dict[str, Any]

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """None where the client ends the turns."""


class Ear(Protocol):
    """A client's input audio."""

    async def take_item(self, item_id: str, audio: bytes) -> None:
        """Let speech be an item; raises a `Complaint` where that cannot be."""


class Talk(Protocol):
    """A client's session, as far as its output needs it."""

    @property
    def call(self) -> Call:
        """The call that it is a client of."""

    @property
    def settings(self) -> TalkSettings:
        """What the client has set."""

    @property
    def input(self) -> Ear:
        """Its audio."""

    @property
    def outbox(self) -> Outbox:
        """The way to the client."""

    @property
    def rtc(self) -> bool:
        """Whether the audio goes another way, and the gateway knows what is played of it."""

    @property
    def speaker(self) -> Speaker | None:
        """Where it goes then."""

    def new_id(self, prefix: str) -> str:
        """An id that nobody else has."""


class Items:
    """The conversation's items, as one client sees them.

    The log decides on their order. A client is told of each item once, by `conversation.item.added` and `.done`, and
    when it is gone; nothing of that goes out before it is stored. Of an item that has only begun nothing was promised,
    so that the first audio of an answer does not wait for a disk.
    """

    def __init__(self, session: Talk) -> None:
        self._session = session
        self._conversation: Conversation = session.call.engine.conversation
        #: Those that the client knows: of a conversation that is resumed, all but speech that is not a turn yet.
        self._told = {item.id for item in self._conversation if not _is_being_spoken(item)}
        #: The user's that were spoken, the assistant's that were told as text though they were spoken, and the parts of
        #: those that were given as more than one.
        self._spoken: set[str] = set()
        self._written: set[str] = set()
        self._parts: dict[str, list[dict[str, Any]]] = {}
        #: Those that the client is about to add, and to delete.
        self._creating: set[str] = set()
        self._deleting: set[str] = set()

    # -- what is told

    def added(self, event: ConversationUpdated) -> None:
        """The log has an item that no response tells of, or speech, which is told when it is a turn."""
        item: Item = event.item
        if _is_being_spoken(item):
            self._spoken.add(item.id)
        elif item.id not in self._creating:
            self.tell(item)

    def removed(self, item_id: str) -> None:
        """The log has lost an item: its client is told, if it knew of it."""
        known = item_id in self._told
        self._forget(item_id)
        if known and item_id not in self._deleting:
            self._tell_deleted(item_id)

    def tell_user(self, item_id: str) -> None:
        """The user's speech is a turn: the client is told of its item."""
        item = self._conversation.get(item_id)
        if item is not None:
            self._spoken.add(item_id)
            self.tell(item)

    def tell(self, item: Item) -> None:
        """Tell of an item that is complete. Nothing happens if the client knows of it."""
        if item.id not in self._told:
            value = self.wire(item)
            self.tell_added(item.id, value, promised=True)
            self.tell_done(item.id, value)

    def tell_added(self, item_id: str, value: dict[str, Any], *, promised: bool = False) -> None:
        """Tell that an item is there, in the wire's form; if that is a promise, when it is stored."""
        self._told.add(item_id)
        self._send("conversation.item.added", promised, item_id, value)

    def tell_done(self, item_id: str, value: dict[str, Any]) -> None:
        """Tell that it is complete, if it is still there."""
        if item_id in self._told and item_id in self._conversation:
            self._send("conversation.item.done", True, item_id, value)

    def written(self, item_id: str) -> None:
        """What the assistant speaks in this item, the client gets in writing."""
        self._written.add(item_id)

    def keep_content(self, item_id: str, content: list[dict[str, Any]]) -> None:
        """The log has only the words of this item: these are its parts."""
        self._parts[item_id] = content

    def _send(self, kind: str, promised: bool, item_id: str, value: dict[str, Any]) -> None:
        event = {"type": kind, "previous_item_id": self.before(item_id), "item": value}
        self._session.outbox.send(event, after=self._saved() if promised else None)

    def _saved(self) -> Any:
        return self._session.call.record.saved()

    def _tell_deleted(self, item_id: str) -> None:
        event = {"type": "conversation.item.deleted", "item_id": item_id}
        self._session.outbox.send(event, after=self._saved())

    def before(self, item_id: str) -> str | None:
        """The nearest item before it that the client knows."""
        before = None
        for item in self._conversation:
            if item.id == item_id:
                break
            if item.id in self._told:
                before = item.id
        return before

    def _forget(self, item_id: str) -> None:
        self._told.discard(item_id)
        self._spoken.discard(item_id)
        self._written.discard(item_id)
        self._parts.pop(item_id, None)

    # -- the wire's form

    def wire(self, item: Item) -> dict[str, Any]:
        """An item of the log in OpenAI's form. What the assistant said is what was heard of it."""
        head = {"id": item.id, "object": "realtime.item", "status": item.status}
        if item.kind == "function_call":
            call = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments or "{}"}
            return {**head, "type": "function_call", **call}
        if item.kind == "function_output":
            output = {"call_id": item.call_id, "output": item.output or ""}
            return {**head, "type": "function_call_output", **output}
        content = self._parts.get(item.id) or [self._part(item)]
        return {**head, "type": "message", "role": item.role, "content": content}

    def _part(self, item: Item) -> dict[str, Any]:
        if item.role == "assistant":
            if item.audio_ms and item.id not in self._written:
                return {"type": "output_audio", "transcript": item.text}
            return {"type": "output_text", "text": item.text}
        if item.role == "user" and (item.id in self._spoken or item.audio_ms):
            return {"type": "input_audio", "transcript": item.text or None}
        return {"type": "input_text", "text": item.text}

    # -- what the client does

    async def create(self, event: schema.ItemCreate) -> None:
        """`conversation.item.create`.

        Raises:
            Complaint: it does not fit, or there is no place for it.
            VoiceEngineError: the provider does not take it.
        """
        given = event.item
        engine = self._session.call.engine
        wanted = getattr(given, "id", UNSET)
        item_id = self._session.new_id("item") if wanted is UNSET else str(wanted)
        if item_id in self._conversation:
            raise Complaint(
                f"Item with id '{item_id}' already exists.", "item_already_exists", "item.id"
            )
        after = self._place(event.previous_item_id)
        if isinstance(given, schema.FunctionCallOutput):
            self._check_call(given.call_id)
        item = item_of(given, item_id, self._session.new_id)
        if isinstance(given, schema.Message) and given.role == "user":
            spoken = speech_of(given)
            if spoken and not item.text:
                if after is not None:
                    raise Complaint(
                        "Speech without a transcript is taken at the end of the conversation only.",
                        "unsupported_content",
                        "previous_item_id",
                    )
                await self._session.input.take_item(item_id, audio_of(given))
                return
            if spoken:
                self._spoken.add(item_id)
        if isinstance(given, schema.Message) and len(given.content) > 1:
            self.keep_content(item_id, content_of(given))
        self._creating.add(item_id)
        try:
            await engine.add_item(item, after=after)
        except MessageError as failure:
            self._forget(item_id)
            raise _complaint(failure, "item") from None
        except BaseException:
            self._forget(item_id)
            raise
        finally:
            self._creating.discard(item_id)
        added = self._conversation.get(item_id)
        if added is not None:
            self.tell(added)

    def _place(self, previous: Any) -> str | None:
        if previous is UNSET or previous is None:
            return None
        if previous == "root":
            return _BEGINNING
        if previous not in self._conversation:
            raise Complaint(
                f"Previous item with id '{previous}' does not exist.",
                "item_not_found",
                "previous_item_id",
            )
        return str(previous)

    def _check_call(self, call_id: str) -> None:
        calls = (item for item in self._conversation if item.kind == "function_call")
        if all(call.call_id != call_id for call in calls):
            raise Complaint(
                f"Tool call ID '{call_id}' not found in conversation.",
                "invalid_tool_call_id",
                "item.call_id",
            )

    def retrieve(self, item_id: str) -> None:
        """`conversation.item.retrieve`.

        Raises:
            Complaint: there is no such item.
        """
        item = self._get(item_id)
        self._session.outbox.send(
            {"type": "conversation.item.retrieved", "item": self.wire(item)}, after=self._saved()
        )

    async def delete(self, item_id: str) -> None:
        """`conversation.item.delete`.

        Raises:
            Complaint: there is no such item.
            VoiceEngineError: the provider cannot be made to forget it.
        """
        self._get(item_id)
        self._deleting.add(item_id)
        try:
            await self._session.call.engine.delete_item(item_id)
        except MessageError as failure:
            raise _complaint(failure, "item_id") from None
        finally:
            self._deleting.discard(item_id)
        self._forget(item_id)
        self._tell_deleted(item_id)

    async def truncate(self, event: schema.ItemTruncate) -> None:
        """`conversation.item.truncate`: the client says how much of an item it has played.

        Raises:
            Complaint: it is no speech of the assistant's, or shorter than that.
            VoiceEngineError: the provider did not take it.
        """
        item = self._conversation.get(event.item_id)
        if item is not None and (item.kind != "message" or item.role != "assistant"):
            raise Complaint(
                "Only model output audio messages can be truncated.", "invalid_value", "item_id"
            )
        # One that the log has lost because nothing of it was heard may have been heard after all.
        silent = item is not None and (not item.audio_ms or item.id in self._written)
        if event.content_index != 0 or silent:
            raise Complaint(
                f"There is no audio at content index {event.content_index}.",
                "invalid_value",
                "content_index",
            )
        if event.audio_end_ms < 0:
            raise Complaint("audio_end_ms is at least 0.", "invalid_value", "audio_end_ms")
        try:
            await self._session.call.engine.truncate_item(event.item_id, event.audio_end_ms)
        except MessageError as failure:
            raise _complaint(failure, "audio_end_ms") from None
        self.tell_truncated(event.item_id, event.audio_end_ms)

    def tell_truncated(self, item_id: str, audio_end_ms: int) -> None:
        """Tell that of an item only so much was heard."""
        event = {
            "type": "conversation.item.truncated",
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": audio_end_ms,
        }
        self._session.outbox.send(event, after=self._saved())

    def _get(self, item_id: str) -> Item:
        item = self._conversation.get(item_id)
        if item is None:
            raise Complaint(
                f"Item with id '{item_id}' does not exist.", "item_not_found", "item_id"
            )
        return item


def _is_being_spoken(item: Item) -> bool:
    """Whether it is speech of the user's that is no turn yet."""
    return item.kind == "message" and item.role == "user" and item.status == "in_progress"


def _complaint(failure: MessageError, param: str) -> Complaint:
    """OpenAI's form of what the engine says of an item."""
    if failure.code == "item_not_found":
        return Complaint(str(failure), "item_not_found", "item_id")
    return Complaint(str(failure), "invalid_value", param)
