"""The mock provider: everything that the contract has, without a network, exact under a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig, as_format, masked
from voxengine.conversation.items import Item
from voxengine.errors import AudioError, MessageError
from voxengine.providers.mock.by_hand import ByHand
from voxengine.providers.mock.config import MOCK_CAPABILITIES
from voxengine.providers.mock.memory import Entry

__all__ = ["MockProvider"]


class MockProvider(ByHand):
    """A provider that simulates a vendor, for tests, demos and development.

    It hears words that `voxengine.audio.signal.speak` said (and that a human speaks, though not what), answers by a
    script, speaks its answers so that they can be read back, and fails when it is told to. Settings: `MockConfig`.

    Every method that sends raises a `ConnectionError` while it is not connected, and an `UnsupportedFeatureError` for
    what its capabilities exclude.
    """

    capabilities = MOCK_CAPABILITIES

    async def send_audio(self, audio_data: bytes) -> None:
        """Let it hear something.

        Raises:
            AudioError: this is not audio of the format of `get_audio_format`.
        """
        _, _, listener = self._at_work()
        if not isinstance(audio_data, (bytes, bytearray, memoryview)):
            raise AudioError(f"audio is bytes, not {type(audio_data).__name__}", provider=self.name)
        audio = bytes(audio_data)
        self.check_audio(audio)
        self._note("send_audio", len(audio))
        if self.settings.record:
            self.received_audio += audio
        listener.feed(audio)

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation; that of the user is answered.

        Raises:
            MessageError: there is no text, or no such role.
        """
        _, vendor, _ = self._at_work()
        if not isinstance(text, str) or not text:
            raise MessageError(
                "a text is a string that is not empty", provider=self.name, code="empty_text"
            )
        match role:
            case "user":
                self._need("text_input", "text from the user")
            case "system":
                self._need("system_messages", "notes in mid-conversation")
            case "assistant":
                pass
            case _:
                raise MessageError(
                    f"role {role!r} is none of user, assistant, system", provider=self.name
                )
        self._note("send_text", text, role)
        entry = vendor.remember(role, text)
        if role == "user":
            vendor.answer(entry)

    async def interrupt(self) -> None:
        """Call off the current response, and those that wait for its end."""
        _, vendor, _ = self._at_work()
        self._note("interrupt")
        if vendor.player.active is not None:
            self._need("cancel", "calling off a response")
        vendor.cancel("client_cancelled")

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Answer now. Instructions for which the script has a reply are answered by that.

        Raises:
            MessageError: a response is active already (`response_active`).
        """
        _, vendor, _ = self._at_work()
        self._need("response_on_request", "a response on request")
        self._check_modalities(modalities)
        self._note("create_response", modalities, instructions)
        vendor.respond(instructions, modalities is None or "audio" in modalities)

    async def generate_tts(self, text: str) -> None:
        """Speak this, word for word."""
        _, vendor, _ = self._at_work()
        self._need("say", "speaking a given text")
        self._note("generate_tts", text)
        vendor.say(text)

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change settings; `SessionUpdated` tells when they count.

        Raises:
            ConfigurationError: a value does not do; then nothing was changed.
        """
        wire, _, listener = self._at_work()
        settings = {k: as_format(k, v) if k.endswith("_format") else v for k, v in config.items()}
        self._check_config(ProviderConfig.of(settings))
        if "instructions" in settings:
            self._need("instructions_updatable", "a change of its instructions")
        self._note("configure_session", masked(settings))
        self.config.update(**settings)
        self._describe()
        listener.reconfigure(self.get_audio_format())
        wire.send(ev.SessionUpdated, settings=masked(settings))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send something in the vendor's own words: it comes back as a raw event.

        Raises:
            MessageError: it has no type, or cannot be JSON.
        """
        wire, _, _ = self._at_work()
        if not isinstance(event.get("type"), str) or not event["type"]:
            raise MessageError("a message of the vendor has a type", provider=self.name)
        try:
            msgspec.json.encode(event)
        except (TypeError, ValueError, OverflowError) as failure:
            raise MessageError(f"it cannot be JSON: {failure}", provider=self.name) from None
        self._note("send_event", dict(event))
        wire.send(ev.RawEvent, name=event["type"], payload=dict(event))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Tell it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        _, vendor, _ = self._at_work()
        self._need("tools", "tools")
        self._note("send_tool_result", call_id, output)
        vendor.tool_result(call_id, output)

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell it how much of its item was heard.

        Raises:
            MessageError: it knows no such item (`item_not_found`), or it is shorter than that (`truncate_range`).
        """
        _, vendor, _ = self._at_work()
        self._need("truncate", "truncation")
        self._note("truncate_item", item_id, heard_ms, heard_text)
        vendor.truncate(item_id, heard_ms, heard_text)

    async def commit_audio(self) -> None:
        """Declare the audio so far a turn. It is answered when `create_response` asks for it.

        Raises:
            MessageError: there is none (`audio_buffer_empty`).
        """
        _, _, listener = self._at_work()
        self._need("commit", "turns that the application ends")
        self._note("commit_audio")
        listener.commit()

    async def clear_audio(self) -> None:
        """Throw away the audio that is not yet a turn."""
        _, _, listener = self._at_work()
        self._need("clear", "throwing away input audio")
        self._note("clear_audio")
        listener.clear()

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from the conversation.

        Raises:
            MessageError: there is none of that id (`item_not_found`).
        """
        self._at_work()
        self._need("delete", "deleting items")
        self._note("delete_item", item_id)
        if not self.memory.remove(item_id):
            raise MessageError(
                f"there is no item {item_id!r}", provider=self.name, code="item_not_found"
            )

    async def add_conversation_history(
        self, items: Sequence[Item], *, after: str | None = None
    ) -> None:
        """Remember an earlier conversation, in the way that the capabilities state.

        Raises:
            MessageError: it comes too late (`history_late`), or is too much (`history_too_long`).
        """
        if not items:
            return
        self._need("history", "an earlier conversation")
        self._check_history_point()
        self._check_history_size(items)
        self._note("add_conversation_history", list(items))
        for item in items:
            entry = Entry(id=item.id, role=item.role, kind=item.kind, text=item.text)
            entry.call_id, entry.name, entry.arguments, entry.output = (
                item.call_id,
                item.name,
                item.arguments,
                item.output,
            )
            self.memory.add(entry, after)
            after = None if after is None else entry.id

    def _check_history_point(self) -> None:
        mode, listener = self.capabilities.history, self._listener
        if mode == "at_start":
            late = self._wire is not None
        else:
            self._at_work()
            late = (
                mode in ("before_audio", "prompt") and listener is not None and listener.heard_any
            )
        if late:
            point = "the connection" if mode == "at_start" else "the first audio"
            raise MessageError(
                f"history is given before {point}", provider=self.name, code="history_late"
            )

    def _check_history_size(self, items: Sequence[Item]) -> None:
        most, most_bytes = self.capabilities.history_max_items, self.capabilities.history_max_bytes
        size = sum(len(item.text.encode()) for item in items)
        if (most is not None and len(items) > most) or (
            most_bytes is not None and size > most_bytes
        ):
            raise MessageError(
                f"{len(items)} items of {size} bytes are more than the {most} items and {most_bytes} bytes allowed",
                provider=self.name,
                code="history_too_long",
            )

    async def get_usage(self) -> dict[str, Any] | None:
        """What was used so far, in the unit of the capabilities."""
        if self.capabilities.usage_unit == "none":
            return None
        used = {} if self._vendor is None else self._vendor.meter.total
        return {"model": self.config.model or "mock", **used}

    async def estimate_cost(self) -> float | None:
        """The minutes of audio in both directions, times their price."""
        seconds = 0.0 if self._vendor is None else self._vendor.meter.seconds
        return seconds / 60 * self.settings.price_per_minute
