"""The provider: what is said to Azure Voice Live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.conversation.items import Item
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.azure_voice_live import shape
from voxengine.providers.azure_voice_live.connection import VoiceLiveConnection
from voxengine.providers.openai import encode
from voxengine.providers.openai.gate import PLAIN, REQUEST_ID
from voxengine.providers.openai.history import short_id

__all__ = ["AzureVoiceLiveProvider"]

_ROLES = ("user", "system", "assistant")


class AzureVoiceLiveProvider(VoiceLiveConnection):
    """Azure Voice Live, with a model or with an agent of Foundry.

    Where it is: `endpoint` (https://NAME.services.ai.azure.com), or `resource` (that NAME), or `region` ("eastus").
    The key is `api_key` or the option `speech_key`; or there is a `token_provider`, a function that returns a fresh
    token of Entra's.

    Options, as keywords or in `metadata`, beside the settings of every provider:

    - voice_options: settings of an Azure voice: type ("azure-custom" with endpoint_id, "azure-personal" with model),
      style, rate, pitch, volume, temperature, locale, ...; speed: how many times faster than usual it speaks.
    - semantic_vad: which of Azure's kinds "semantic_vad" is; turn_detection_options: threshold, prefix_padding_ms,
      silence_duration_ms, end_of_utterance_detection, and for the semantic kinds speech_duration_ms,
      remove_filler_words, languages; auto_truncate: the vendor itself cuts what it was interrupted in.
    - noise_reduction: True ("azure_deep_noise_suppression"), "near_field", "far_field"; echo_cancellation: True, or a
      dict with reference_source.
    - transcription_model ("azure-speech", "gpt-4o-transcribe", "whisper-1", ...), transcription_options.
    - word_timestamps: False does not ask where the words are; by default they are asked for of Azure's voices.
    - tool_choice, parallel_tool_calls, reasoning_effort, interim_response, include: as in the vendor's session.
    - session: a dict that is laid over the session as the vendor names its parts, for whatever has no option here.
    - agent_name and project_name, agent_version: an agent of Foundry answers. Its conversation outlives the
      connection: `resume_handle` is its id.
    - api_version.
    """

    capabilities = shape.CAPABILITIES
    key_variables = VoiceLiveConnection.key_variables

    # -- audio

    def encode_audio(self, audio: bytes) -> bytes:
        """`input_audio_buffer.append`."""
        return encode.append_audio(audio)

    async def commit_audio(self) -> None:
        """Declare the audio sent so far a turn of the user."""
        self.open_socket().send_text(encode.commit_audio("commit"))

    async def clear_audio(self) -> None:
        """Throw away audio sent that is not yet part of a turn."""
        self.open_socket().send_text(encode.clear_audio("clear"))

    # -- text, responses, tools

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation. The text of a user is answered, after what is being answered now.

        Raises:
            MessageError: the text is empty, or the role is unknown.
        """
        socket = self.open_socket()
        if role not in _ROLES:
            raise MessageError(
                f"role {role!r} is unknown; it is one of {', '.join(_ROLES)}", provider=self.name
            )
        self.need_text(text)
        socket.send_text(encode.create_item(shape.message_item(role, text), "text"))
        if role == "user":
            self._request(PLAIN)

    async def create_response(
        self,
        modalities: list[str] | None = None,
        *,
        instructions: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask for a response, after the present one. `instructions` stand in for the session's, for this one only."""
        self.open_socket()
        wanted = shape.response_of(self.config, modalities, instructions, overrides or {})
        self._request(encode.create_response(wanted, REQUEST_ID))

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word, after the present response. It is then part of the conversation.

        Raises:
            MessageError: the text is empty.
        """
        self.open_socket()
        self.need_text(text)
        item = shape.message_item("assistant", text)
        self._request(encode.create_response({"pre_generated_assistant_message": item}, REQUEST_ID))

    def _request(self, message: bytes) -> None:
        try:
            self._send_all(self._turns.gate.request(message))
        except ProviderError as failure:
            failure.provider = self.name
            raise

    async def interrupt(self) -> None:
        """Call off the response that is under way, or asked for. Without one, nothing happens."""
        self.open_socket()
        self._send_all(self._turns.gate.cancel())

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned; the answer to it is asked for apart."""
        # The vendor's own ids are as long as it likes; one of another vendor was told to it in short.
        its_id = call_id if call_id in self._turns.calls else short_id(call_id)
        item = {"type": "function_call_output", "call_id": its_id, "output": output}
        self.open_socket().send_text(encode.create_item(item, "tool_result"))

    # -- the conversation

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell it that of its own item only so much was heard; never more than it has sent.

        Raises:
            MessageError: it has sent no audio of such an item (`item_not_found`).
        """
        socket = self.open_socket()
        n_bytes, content_index = self._turns.audio.of(item_id)
        if not n_bytes:
            raise MessageError(
                f"no audio of an item {item_id!r} came on this connection",
                provider=self.name,
                code="item_not_found",
            )
        end = int(min(max(heard_ms, 0.0), self._taken.duration_ms(n_bytes)))
        socket.send_text(
            encode.truncate_item(item_id, end, "truncate", content_index=content_index)
        )

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from the conversation. That there is none is told by an error event."""
        if not item_id:
            raise MessageError("an item is deleted by its id", provider=self.name)
        self.open_socket().send_text(encode.delete_item(self._its_id(item_id), "delete"))

    def _its_id(self, item_id: str) -> str:
        """Its own ids are as long as it likes; those of another vendor were told to it in short."""
        return short_id(item_id) if item_id in self._told_long else item_id

    async def add_conversation_history(
        self, items: Sequence[Item], *, after: str | None = None
    ) -> None:
        """Give it an earlier conversation: words as text, tool calls with their results. Items keep their ids."""
        socket = self.open_socket()
        self._told_long.update(item.id for item in items if short_id(item.id) != item.id)
        place = None if after is None else self._its_id(after) or "root"
        for item in shape.vendor_items(items):
            socket.send_text(encode.create_item(item, "history", previous_item_id=place))
            place = None if place is None else item["id"]

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change settings, and wait until the vendor works with them.

        Raises:
            ConfigurationError: a setting is not allowed. MessageError: the vendor refuses one, or it is of the
                connection and cannot be changed while it is open (`fixed`, `format_fixed`).
            ProviderError: the vendor does not answer (`timeout`).
        """
        self.open_socket()
        # One after the other: each is the difference to what the one before it has left.
        async with self._changing:
            self.open_socket()
            after = self._changed(config)
            session = self._session_of(after)
            changed = shape.changes(self._session, session)
            if changed:
                await self._update(changed)
            self.config, self._session = after, session
            self.capabilities = shape.capabilities_of(after)
            self._configure(self._turns, after)
            self.open_socket()
            self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words.

        Raises:
            MessageError: it has no type, or cannot be JSON.
        """
        socket = self.open_socket()
        kind = event.get("type")
        if not isinstance(kind, str) or not kind:
            raise MessageError("a message of the vendor has a type", provider=self.name)
        message = self.as_json(event)
        if kind == "session.update":
            event_id, done = self._waits.update()
            done.cancel()  # nobody waits for it; its confirmation is not that of another one
            socket.send_text(msgspec.json.encode({**event, "event_id": event_id}))
        elif kind == "response.create":
            self._request(msgspec.json.encode({**event, "event_id": REQUEST_ID}))
        else:
            socket.send_text(message)

    # -- figures

    async def get_usage(self) -> dict[str, Any] | None:
        """What was used so far: tokens of text and of audio, cached ones apart."""
        return {"model": self._turns.model, **self._used}
