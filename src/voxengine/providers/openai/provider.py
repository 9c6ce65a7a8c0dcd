"""The providers of the OpenAI family: one class, and a row of the table for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pybase64 import b64encode

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation.items import Item
from voxengine.errors import MessageError, ProviderError
from voxengine.net import TEXT
from voxengine.providers.openai import encode, shape
from voxengine.providers.openai.client_secrets import ClientSecret, request_secret
from voxengine.providers.openai.connection import OpenAIConnection
from voxengine.providers.openai.dialects import AZURE, CUSTOM, OPENAI, XAI
from voxengine.providers.openai.gate import PLAIN, REQUEST_ID
from voxengine.providers.openai.history import message_item, short_id, vendor_items
from voxengine.providers.openai.intake import ASIDE_ID

__all__ = [
    "AzureProvider",
    "CustomProvider",
    "OpenAIProvider",
    "XAIProvider",
]


class OpenAIProvider(OpenAIConnection):
    """OpenAI Realtime, and whoever speaks its protocol.

    Options, as keywords or in `metadata`, beside the settings of every provider:

    - endpoint: where to connect, `wss://host[/path]`; `headers`, `proxy`, `ssl_context`, `connect_timeout` (seconds).
    - auth_type: "bearer", "header" or "query" (with `auth_name`), or "none"; token_provider: a function that returns a
      fresh bearer token.
    - turn_detection_options: threshold, prefix_padding_ms, silence_duration_ms, idle_timeout_ms; eagerness; both:
      create_response, interrupt_response.
    - transcription_model, transcription_options; noise_reduction ("near_field", "far_field"); speed.
    - tool_choice, parallel_tool_calls, reasoning, truncation, tracing, prompt, include: as in the vendor's session.
    - session: a dict that is laid over the session as the vendor names its parts, for whatever has no option here.
    - intent: "transcription" for a session that only writes down what it hears.
    - base_model: the model behind a deployment's name, for its price.
    """

    dialect = OPENAI
    capabilities = OPENAI.capabilities
    key_variables = OPENAI.key_variables
    takes_audio = True

    def get_audio_format(self) -> AudioFormat:
        """The format that `send_audio` takes."""
        return self._given

    # -- audio

    async def send_audio(self, audio_data: bytes) -> None:
        """Send what the user's microphone heard.

        Raises:
            AudioError: it cannot be audio of the format. ConnectionError: not connected.
        """
        self._at_work()
        self.check_audio(audio_data)
        self.take_audio(audio_data)

    def take_audio(self, audio_data: bytes) -> None:
        """As `send_audio`, of audio that was checked."""
        socket = self._socket
        n = len(audio_data)
        if socket is None or not n:
            self._at_work()
            return
        self._sent_bytes += n
        if self._binary:
            socket.send_audio(audio_data, n, binary=True)
            return
        # `encode.append_audio`, and the shorter half of `send_audio`: between frames the calls of others push all this
        # out of the processor's caches, and each function less is a twentieth of what a frame costs.
        message = b"".join((encode.APPEND_HEAD, b64encode(audio_data), encode.APPEND_TAIL))
        send = socket.send_now
        if send is not None:
            send(TEXT, message)
        else:
            socket.send_audio(message, n)

    async def commit_audio(self) -> None:
        """Declare the audio sent so far a turn of the user."""
        self._at_work().send_text(encode.commit_audio("commit"))

    async def clear_audio(self) -> None:
        """Throw away audio sent that is not yet part of a turn."""
        self._at_work().send_text(encode.clear_audio("clear"))

    # -- text, responses, tools

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation. The text of a user is answered, after what is being answered now.

        Raises:
            MessageError: the text is empty, or the role is unknown.
            UnsupportedFeatureError: the session only transcribes.
        """
        socket = self._at_work()
        if not self.capabilities.text_input:
            raise self.unsupported("texts in a session that only transcribes")
        if role not in ("user", "system", "assistant"):
            raise MessageError(
                f"role {role!r} is unknown; it is user, system or assistant", provider=self.name
            )
        if not text:
            raise MessageError("a text that is sent is not empty", provider=self.name)
        socket.send_text(encode.create_item(message_item(role, text), "text"))
        self._meter.messages += 1
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
        self._at_work()
        self._need_answers()
        wanted = shape.response_of(self.dialect, modalities, instructions, overrides or {})
        self._request(encode.create_response(wanted, REQUEST_ID))

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word, where the vendor has a way to; after the present response.

        Raises:
            MessageError: the text is empty. UnsupportedFeatureError: the vendor has none.
        """
        if self.dialect.say_item is None or not self.capabilities.say:
            raise self.unsupported("speaking a given text word for word")
        self._at_work()
        if not text:
            raise MessageError("a text that is spoken is not empty", provider=self.name)
        item = {**message_item("assistant", text), "type": self.dialect.say_item}
        self._request(encode.create_item(item, REQUEST_ID))

    def _request(self, message: bytes) -> None:
        """Ask for a response when there is none.

        Raises:
            ProviderError: too many wait for that (`code` is "overloaded").
        """
        try:
            self._send_all(self._gate.request(message))
        except ProviderError as failure:
            failure.provider = self.name
            raise

    async def interrupt(self) -> None:
        """Call off the response that is under way, or asked for. Without one, nothing happens."""
        self._at_work()
        self._send_all(self._gate.cancel())

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned; the answer to it is asked for apart."""
        if not self.capabilities.tools:
            raise self.unsupported("tools in a session that only transcribes")
        # The vendor's own ids are as long as it likes; one of another vendor was told to it in short.
        known = call_id in self._decoder.told_calls
        its_id = call_id if known else short_id(call_id)
        item = {"type": "function_call_output", "call_id": its_id, "output": output}
        self._at_work().send_text(encode.create_item(item, "tool_result"))

    # -- the conversation

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell it that of its own item only so much was heard; never more than it has sent.

        Raises:
            MessageError: it has sent no audio of such an item (`item_not_found`).
        """
        if not self.capabilities.truncate:
            raise self.unsupported("cutting items in a session that only transcribes")
        socket = self._at_work()
        n_bytes, content_index = self._decoder.audio.of(item_id)
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
        self._at_work().send_text(encode.delete_item(self._its_id(item_id), "delete"))

    def _its_id(self, item_id: str) -> str:
        """Its own ids are as long as it likes; those of another vendor were told to it in short."""
        return short_id(item_id) if item_id in self._told_long else item_id

    async def add_conversation_history(
        self, items: Sequence[Item], *, after: str | None = None
    ) -> None:
        """Give it an earlier conversation: words as text, tool calls with their results. Items keep their ids."""
        socket = self._at_work()
        if not items:
            return
        if self.capabilities.history == "none":
            raise self.unsupported("an earlier conversation in a session that only transcribes")
        self._told_long.update(item.id for item in items if short_id(item.id) != item.id)
        place = None if after is None else self._its_id(after) or "root"
        for item in vendor_items(items):
            socket.send_text(encode.create_item(item, "history", previous_item_id=place))
            self._meter.messages += item["type"] == "message"
            place = None if place is None else item["id"]

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change settings, and wait until the vendor works with them.

        Raises:
            ConfigurationError: a setting is not allowed. MessageError: the vendor refuses one.
        """
        self._at_work()
        # One after the other: each is the difference to what the one before it has left.
        async with self._changing:
            self._at_work()
            after, changed = self._changed(config)
            if changed:
                await self._update(changed)
            self.config = after
            self._session = self._session_of(after)
            self.capabilities = shape.capabilities_of(self.dialect, after)
            self._configure_decoder(self._decoder, after)
            self._at_work()
            self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words. A response outside of the conversation comes back as raw events.

        Raises:
            MessageError: it has no type, or cannot be JSON.
        """
        socket = self._at_work()
        kind = event.get("type")
        if not isinstance(kind, str) or not kind:
            raise MessageError("a message of the vendor has a type", provider=self.name)
        try:
            message = msgspec.json.encode(event)
        except (TypeError, ValueError, OverflowError) as failure:
            raise MessageError(f"{kind} cannot be JSON: {failure}", provider=self.name) from None
        if kind == "session.update":
            self._send_update(event)
        elif kind == "response.create":
            self._send_request(event)
        else:
            socket.send_text(message)

    def _send_update(self, event: Mapping[str, Any]) -> None:
        """A change of the session that nobody waits for; its confirmation is not that of another one."""
        given = event.get("event_id")
        event_id, done = self._waits.update(given if isinstance(given, str) else None)
        done.cancel()
        self._send(msgspec.json.encode({**event, "event_id": event_id}))

    def _send_request(self, event: Mapping[str, Any]) -> None:
        self._need_answers()
        settings = event.get("response")
        if isinstance(settings, Mapping) and settings.get("conversation") == "none":
            given = event.get("event_id")
            event_id = given if isinstance(given, str) and given else ASIDE_ID
            self._send(msgspec.json.encode({**event, "event_id": event_id}))
            self._decoder.asides += 1
            self._asides.append(event_id)
        else:
            self._request(msgspec.json.encode({**event, "event_id": REQUEST_ID}))

    def _need_answers(self) -> None:
        if not self.capabilities.answers:
            raise self.unsupported("responses in a session that only transcribes")

    # -- figures

    async def get_usage(self) -> dict[str, Any] | None:
        """What was used so far: tokens of text and of audio, cached ones apart; seconds of transcription."""
        return {"model": self._decoder.model, **self._used}

    async def create_client_secret(self, expires_after: int = 600) -> ClientSecret:
        """A key for a browser or a device: it opens this session, for `expires_after` seconds (10 to 7200).

        Needs no open connection.

        Raises:
            ProviderError: the vendor did not give one.
        """
        return await request_secret(self.dialect, self.config, self._session, expires_after)


class AzureProvider(OpenAIProvider):
    """OpenAI's models on Azure: `endpoint` is the resource, `model` the deployment. A key, or a `token_provider`."""

    dialect = AZURE
    capabilities = AZURE.capabilities
    key_variables = AZURE.key_variables


class XAIProvider(OpenAIProvider):
    """xAI Grok Voice. `transport="binary"` sends and takes audio as bare bytes; a lost connection is taken up again."""

    dialect = XAI
    capabilities = XAI.capabilities
    key_variables = XAI.key_variables


class CustomProvider(OpenAIProvider):
    """An endpoint of one's own that speaks OpenAI's protocol.

    `metadata={"endpoint": "wss://...", "auth_type": "bearer" | "header" | "query" | "none", "model": ...}`.
    """

    dialect = CUSTOM
    capabilities = CUSTOM.capabilities
    key_variables = CUSTOM.key_variables
