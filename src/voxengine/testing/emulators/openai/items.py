"""The conversation as the vendor keeps it: items in an order, with the audio that belongs to them."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.realtime.errors import Complaint

__all__ = ["Conversation", "Item", "Tokens", "item_of"]

#: Tokens of a second of audio, of what the user says and of what the assistant says; and of a picture.
INPUT_TOKENS_S = 10
OUTPUT_TOKENS_S = 20
IMAGE_TOKENS = 85
_CONTENT = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text",),
}


class Tokens(msgspec.Struct, frozen=True):
    """A number of tokens of each kind."""

    text: int = 0
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.text + other.text, self.audio + other.audio, self.image + other.image)


def text_tokens(text: str) -> int:
    """About four characters make a token."""
    return math.ceil(len(text) / 4)


class Item:
    """One item of a conversation.

    `value` is its form on the wire, but for its audio, which is in `audio`. `heard` is done when the words of a user's
    audio are known, with None if they cannot be.
    """

    def __init__(self, item_id: str, value: dict[str, Any]) -> None:
        self.id = item_id
        self.value = {**value, "id": item_id, "object": "realtime.item"}
        self.audio = b""
        self.format = AudioFormat()
        #: Which of its parts the audio belongs to.
        self.audio_part = 0
        self.heard: asyncio.Future[str | None] | None = None
        #: Whether its audio was cut to what was heard.
        self.truncated = False

    def __repr__(self) -> str:
        return f"<Item {self.id} {self.type} {self.role or ''} {self.text!r}>"

    @property
    def type(self) -> str:
        """message, function_call, function_call_output, ..."""
        return str(self.value["type"])

    @property
    def role(self) -> str | None:
        """Who said it, of a message."""
        return self.value.get("role")

    @property
    def status(self) -> str | None:
        """in_progress, completed or incomplete."""
        return self.value.get("status")

    @property
    def content(self) -> list[dict[str, Any]]:
        """The parts of a message."""
        parts: list[dict[str, Any]] = self.value.get("content", [])
        return parts

    @property
    def text(self) -> str:
        """What it says: texts, and transcripts of what was spoken."""
        words = [part.get("text") or part.get("transcript") or "" for part in self.content]
        return " ".join(word for word in words if word)

    @property
    def words(self) -> str:
        """What it says, as far as it is known: its text, or what was understood of its audio."""
        if self.text or self.heard is None or not self.heard.done():
            return self.text
        return self.heard.result() or ""

    @property
    def audio_ms(self) -> float:
        """How long its audio lasts."""
        return self.format.duration_ms(len(self.audio))

    @property
    def tokens(self) -> Tokens:
        """What it costs as a part of the context."""
        seconds = self.audio_ms / 1000
        rate = OUTPUT_TOKENS_S if self.role == "assistant" else INPUT_TOKENS_S
        words = "".join(part.get("text") or "" for part in self.content)
        words += "".join(str(self.value.get(k) or "") for k in ("name", "arguments", "output"))
        if self.audio and self.role == "assistant":
            words += self.text
        images = sum(part["type"] == "input_image" for part in self.content)
        return Tokens(text_tokens(words), math.ceil(seconds * rate), images * IMAGE_TOKENS)

    def wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """Its form on the wire; audio only where it was asked for."""
        value = {**self.value}
        if "content" in value:
            value["content"] = [dict(part) for part in self.content]
            if with_audio and self.audio:
                part = value["content"][self.audio_part]
                part["audio"] = pybase64.b64encode(self.audio).decode()
        return value

    def truncate(self, content_index: int, audio_end_ms: int) -> None:
        """Forget what was not heard, the transcript included.

        Raises:
            Complaint: there is no such audio, or less of it.
        """
        if self.type != "message" or self.role != "assistant":
            raise Complaint(
                "Only model output audio messages can be truncated.", "invalid_value", "item_id"
            )
        if not 0 <= content_index < len(self.content) or (
            self.content[content_index]["type"] != "output_audio"
        ):
            raise Complaint(
                f"There is no audio at content index {content_index}.",
                "invalid_value",
                "content_index",
            )
        if audio_end_ms < 0:
            raise Complaint("audio_end_ms is at least 0.", "invalid_value", "audio_end_ms")
        has = math.floor(self.audio_ms)
        if audio_end_ms > has:
            raise Complaint(
                f"Audio content of {has}ms is already shorter than {audio_end_ms}ms",
                "invalid_value",
                "audio_end_ms",
            )
        self.audio = self.audio[: self.format.n_bytes(audio_end_ms)]
        self.content[content_index]["transcript"] = ""
        self.truncated = True


def item_of(given: dict[str, Any], item_id: str, format: AudioFormat) -> Item:
    """An item that a client gives; `format` is that of audio in it.

    Raises:
        Complaint: its content does not fit its role, or its audio is none.
    """
    item = Item(item_id, given)
    item.value.setdefault("status", "completed")
    if item.type != "message":
        return item
    item.value["content"] = [
        {k: v for k, v in part.items() if v is not None} for part in item.content
    ]
    allowed = _CONTENT[str(item.role)]
    for i, part in enumerate(item.content):
        if part["type"] not in allowed:
            raise Complaint(
                f"Invalid value: '{part['type']}'. Supported values are: {', '.join(map(repr, allowed))}.",
                "invalid_value",
                f"item.content[{i}].type",
            )
        if part["type"].endswith("_text") and "text" not in part:
            raise Complaint(
                f"Missing required parameter: 'item.content[{i}].text'.",
                "missing_required_parameter",
                f"item.content[{i}].text",
            )
        if part["type"] == "input_audio":
            item.audio, item.format, item.audio_part = (
                decode_audio(part.pop("audio", "")),
                format,
                i,
            )
    return item


def decode_audio(text: str) -> bytes:
    """The bytes of base64.

    Raises:
        Complaint: it is none.
    """
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        raise Complaint(
            "Invalid 'audio'. Expected base64-encoded audio bytes but got an invalid value.",
            "invalid_value",
            "audio",
        ) from None


class Conversation:
    """Items in their order."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.items: list[Item] = []

    def get(self, item_id: str) -> Item:
        """The item of that id.

        Raises:
            Complaint: there is none.
        """
        for item in self.items:
            if item.id == item_id:
                return item
        raise Complaint(f"Item with id '{item_id}' does not exist.", "item_not_found", "item_id")

    def __contains__(self, item_id: str) -> bool:
        return any(item.id == item_id for item in self.items)

    def before(self, item: Item) -> str | None:
        """The id of the item before it, None for the first one."""
        index = self.items.index(item)
        return self.items[index - 1].id if index else None

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return self.items[-1].id if self.items else None

    def add(self, item: Item, after: str | None = None) -> None:
        """Put an item at the end, or behind the one named ("root": at the beginning).

        Raises:
            Complaint: there is no such item, or one of that id already.
        """
        if item.id in self:
            raise Complaint(
                f"Item with id '{item.id}' already exists.", "item_already_exists", "item.id"
            )
        if after is None:
            self.items.append(item)
        elif after == "root":
            self.items.insert(0, item)
        elif after in self:
            self.items.insert(self.items.index(self.get(after)) + 1, item)
        else:
            raise Complaint(
                f"Previous item with id '{after}' does not exist.",
                "item_not_found",
                "previous_item_id",
            )

    def delete(self, item_id: str) -> None:
        """Take an item away.

        Raises:
            Complaint: there is none.
        """
        self.items.remove(self.get(item_id))
