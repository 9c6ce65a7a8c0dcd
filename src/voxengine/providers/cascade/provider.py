"""The cascade as a provider: any VAD, recogniser, brain and voice behind the contract of all providers."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation import Item
from voxengine.errors import (
    AudioError,
    ConnectionError,
    MessageError,
    ProviderError,
    UnsupportedFeatureError,
)
from voxengine.providers.base import BaseProvider, ConnectionState
from voxengine.providers.cascade.abilities import CASCADE, check_config, of_instance
from voxengine.providers.cascade.assembly import Parts, connection_error, streaming_stt
from voxengine.providers.cascade.dialogue import Dialogue
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.watch import within

__all__ = ["CascadeProvider"]

#: Settings that count from the next answer on; all others hold for the whole connection.
_LIVE = frozenset(
    (
        "voice",
        "instructions",
        "temperature",
        "tools",
        "modalities",
        "turn_detection",
        "turn_options",
        "auto_response",
        "interruptions",
        "transcription",
        "partials",
        "vad_events",
    )
)


class CascadeProvider(BaseProvider):
    """VAD, turn detection, speech recognition, a brain and a voice, put together.

    What it is made of is in `metadata` (`vad`, `turn`, `stt`, `llm`, `tts`, each by name or as an object, with
    `llm_options` and so on) together with all of `CascadeSettings`.

    With `turn_detection="none"` the application ends each turn (`commit_audio`) and asks for the answer
    (`create_response`); otherwise turns are found here, and answered.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    capabilities = CASCADE

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.settings = CascadeSettings.of(self.config)
        self._ears = streaming_stt(self.settings, self.config)
        check_config(self.config, self._detects)
        self._dialogue: Dialogue | None = None
        self._used = False
        self._ids = itertools.count(1)
        self._prefix = uuid.uuid4().hex[:8]
        self.load_timeout = self.settings.load_timeout
        self._describe()

    def _describe(self) -> None:
        """Say in `capabilities` what this instance can do."""
        self.capabilities = of_instance(self.capabilities, self.settings, self.config, self._ears)

    @property
    def _detects(self) -> bool:
        return self._ears is not None and self._ears.detects_turns

    # -- connection

    async def connect(self) -> None:
        """Load and warm up all parts.

        Raises:
            ConnectionError: it took too long, or a part failed.
            MissingDependencyError, ModelError: a part is not installed, or a model is not the right one.
            ConfigurationError: a part or an option is unknown.
        """
        if self._used:
            raise ConnectionError(
                f"provider {self.name!r} was connected before; make a new one",
                provider=self.name,
                code="used",
                retryable=False,
            )
        self._used = True
        self.emit(ev.ConnectionStarting(**self.meta()))
        parts: Parts | None = None
        try:
            parts = Parts.make(self.settings, self.config)
            await within(parts.load(), self.settings.load_timeout, "loading the models")
            dialogue = self._open(parts)
            await dialogue.hearing.open()
        except Exception as failure:
            if parts is not None:
                await parts.close()
            error, code, retryable = connection_error(failure, self.name)
            self.emit(
                ev.ConnectionFailed(code=code, retryable=retryable, error=str(error), **self.meta())
            )
            raise error from failure
        except BaseException:
            # Cancelled: nobody waits for an event, but this is not a connection that is being opened any more.
            if parts is not None:
                await parts.close()
            self.state = ConnectionState.DISCONNECTED
            raise
        self._dialogue = self.connection = dialogue
        self.emit(ev.ConnectionEstablished(**self.meta()))
        self._choose_voice(dialogue)

    def _open(self, parts: Parts) -> Dialogue:
        self.session_id = f"{self.name}_{self._prefix}"
        if parts.tts is not None:
            self.capabilities = msgspec.structs.replace(
                self.capabilities,
                output_formats=(AudioFormat(sample_rate=parts.tts.sample_rate),),
                voices=tuple(parts.tts.voices),
            )
        return Dialogue(
            parts,
            self.config,
            self.settings,
            self._tell,
            format=self.get_audio_format(),
            session=self.session_id,
            new_id=lambda kind: f"{kind}_{self._prefix}_{next(self._ids)}",
            wall=self.wall,
            deaf=self._lost,
        )

    def _lost(self, failure: ProviderError) -> None:
        """The recogniser's connection is lost, and cannot be had again."""
        if self.is_connected:
            self._tell(
                ev.ConnectionLost,
                code=failure.code,
                reason=str(failure),
                retryable=failure.retryable,
                error=str(failure),
            )

    async def disconnect(self) -> None:
        """Stop everything. No task is left when this returns."""
        dialogue, self._dialogue, self.connection = self._dialogue, None, None
        if dialogue is not None:
            self.state = ConnectionState.DISCONNECTED
            await dialogue.close()
            self.emit(ev.ConnectionClosed(**self.meta()))
        self._used = True

    @property
    def _live(self) -> Dialogue:
        if self._dialogue is None or not self.is_connected:
            raise ConnectionError(
                f"provider {self.name!r} is not connected",
                provider=self.name,
                code="not_connected",
                retryable=False,
            )
        return self._dialogue

    @contextlib.contextmanager
    def _named(self) -> Iterator[Dialogue]:
        """The live conversation; an error in it is told in this provider's name."""
        dialogue = self._live
        try:
            yield dialogue
        except ProviderError as failure:
            failure.provider = failure.provider or self.name
            raise

    def _tell(self, kind: type[ev.ProviderEvent], **fields: Any) -> None:
        self.emit(kind(**{**self.meta(), **fields}))

    # -- audio in

    async def send_audio(self, audio_data: bytes) -> None:
        """Take what the microphone heard, in the format of `get_audio_format`, in pieces of any size.

        Raises:
            AudioError: it cannot be audio of that format; nothing of it was taken.
            ConnectionError: not connected.
        """
        dialogue = self._live
        if not isinstance(audio_data, (bytes, bytearray, memoryview)):
            raise AudioError(
                f"audio is bytes, not {type(audio_data).__name__}",
                provider=self.name,
                code="audio_type",
            )
        self.check_audio(audio_data if isinstance(audio_data, bytes) else bytes(audio_data))
        if len(audio_data):
            with self._named():
                await dialogue.hearing.feed(bytes(audio_data))

    async def commit_audio(self) -> None:
        """End the user's turn.

        Raises:
            MessageError: no audio was sent since the last turn.
        """
        with self._named() as dialogue:
            await dialogue.hearing.commit()

    async def clear_audio(self) -> None:
        """Forget what was said and is not a turn yet."""
        await self._live.hearing.clear()

    # -- text, and what is asked for

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation; the user's is answered, instead of what is being answered.

        Raises:
            MessageError: the text is empty, or the role unknown.
        """
        dialogue = self._live
        self._check_text(text)
        if role == "user":
            dialogue.user_wrote(text)
        elif role in ("system", "developer", "assistant"):
            dialogue.memory.said(
                self._new_id(), text, "assistant" if role == "assistant" else "system"
            )
        else:
            raise MessageError(
                f"role {role!r} is none of user, system, assistant", provider=self.name
            )

    def _new_id(self) -> str:
        return f"item_{self._prefix}_{next(self._ids)}"

    def _check_text(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise MessageError(
                "a text that is put into the conversation is not empty", provider=self.name
            )

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Answer the conversation as it is; `instructions` come on top of the session's, for this answer only.

        Raises:
            MessageError: `response_active`, one is under way; or a modality is unknown.
        """
        unknown = set(modalities or ()) - {"audio", "text"}
        if unknown:
            raise MessageError(
                f"modalities are audio and text, not {', '.join(sorted(unknown))}",
                provider=self.name,
            )
        with self._named() as dialogue:
            dialogue.respond(None if modalities is None else "audio" in modalities, instructions)

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word; the brain remembers it as its own.

        Raises:
            MessageError: the text is empty, or a response is under way (`response_active`).
        """
        self._check_text(text)
        with self._named() as dialogue:
            dialogue.say(text)

    async def interrupt(self) -> None:
        """Call off the response, and what is still playing."""
        self._live.interrupt()

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """What a tool returned. When all calls of a response have their results, it goes on.

        Raises:
            MessageError: `unknown_call`, or `call_has_result`.
        """
        if not isinstance(output, str):
            raise MessageError(
                f"the result of a tool is text, not {type(output).__name__}", provider=self.name
            )
        with self._named() as dialogue:
            dialogue.tool_returned(call_id, output)

    # -- the conversation

    async def add_conversation_history(
        self, items: Sequence[Item], *, after: str | None = None
    ) -> None:
        """Tell the brain an earlier conversation."""
        with self._named() as dialogue:
            dialogue.memory.add_history(items, after)

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Of this item of the assistant, only `heard_text` was heard.

        Raises:
            MessageError: `unknown_item`.
        """
        with self._named() as dialogue:
            dialogue.heard(item_id, heard_ms, heard_text)

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from the brain's memory.

        Raises:
            MessageError: `unknown_item`.
        """
        with self._named() as dialogue:
            dialogue.memory.delete(item_id)

    # -- settings and figures

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change settings; they count from the next answer on.

        Raises:
            UnsupportedFeatureError: the setting holds for the whole connection.
            ConfigurationError: a value is wrong; nothing is changed.
        """
        fixed = [name for name in config if name not in _LIVE]
        if fixed and self._dialogue is not None:
            raise UnsupportedFeatureError(
                f"{', '.join(sorted(fixed))} cannot be changed while connected; "
                f"what can is {', '.join(sorted(_LIVE))}",
                provider=self.name,
            )
        check_config(ProviderConfig(**dict(config)), self._detects)
        self.config.update(**dict(config))
        if fixed:
            self.settings = CascadeSettings.of(self.config)
            self._ears = streaming_stt(self.settings, self.config)
        self._describe()
        if self._dialogue is not None:
            self._dialogue.hearing.choose(self.config.turn_detection)
            if "turn_options" in config:
                self._dialogue.hearing.configure(self.config.turn_options or {})
            self._dialogue.hearing.partials = self.config.partials is not False
            if "voice" in config:
                self._choose_voice(self._dialogue)
        self._tell(ev.SessionUpdated, settings=dict(config))

    def _choose_voice(self, dialogue: Dialogue) -> None:
        """Speak with the configured voice; another provider's voice is replaced by the default one."""
        wanted, voices = self.config.voice, self.capabilities.voices
        # A voice that lists none takes any name.
        replaced = bool(wanted and voices and wanted not in voices)
        dialogue.mouth.voice = None if replaced else wanted
        if replaced and self.capabilities.audio_output:
            there = f"there is no voice {wanted!r} here, only {', '.join(voices)}"
            self._tell(
                ev.SystemWarning, code="voice_replaced", message=f"{there}; the default one speaks"
            )

    async def get_usage(self) -> dict[str, Any] | None:
        """Seconds heard and spoken, characters spoken, and tokens where the brain counts them; None when not open."""
        dialogue = self._dialogue
        if dialogue is None:
            return None
        mouth = dialogue.mouth
        return dialogue.usage.total(dialogue.hearing.seconds, mouth.seconds, mouth.characters)
