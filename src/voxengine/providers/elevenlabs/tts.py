"""`elevenlabs/eleven_flash_v2_5`: text to speech from words as they come, with the places of the words.

One connection is kept for a session, and each answer is a context on it. An answer that is called off is a context that
is closed; what still comes of it is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.elevenlabs import speech
from voxengine.providers.elevenlabs.access import Access, format_of, voice_of
from voxengine.providers.elevenlabs.contexts import VoiceLine
from voxengine.providers.elevenlabs.voices import VOICES
from voxengine.providers.failures import error_of

__all__ = ["ElevenLabsSpeech", "ElevenLabsTTS", "make_tts"]

DEFAULT_MODEL = "eleven_flash_v2_5"
#: Seconds of silence that the vendor is asked to bear, the most that it does.
_INACTIVITY_S = 180
#: Characters that the vendor gathers before it speaks, piece by piece, unless it is told to flush; its own default
#: begins with 120.
_SCHEDULE = (50, 90, 120, 150)
#: What the pace of a voice may be.
_SLOWEST, _FASTEST = 0.7, 1.2
#: Pieces of speech that wait to be taken. If there are more, nobody takes them, and the answer fails.
_MAX_PIECES = 4096

_NAMES = tuple(voice.name for voice in VOICES)
_OPTIONS = (
    "voice",
    "language",
    "stability",
    "similarity_boost",
    "style",
    "use_speaker_boost",
    "chunk_length_schedule",
    "auto_mode",
    "output_format",
    "multi",
)


def make_tts(model: str, options: Mapping[str, Any]) -> ElevenLabsTTS:
    """The part "elevenlabs/MODEL".

    Raises:
        ConfigurationError: there is no key, or an option is not right.
    """
    return ElevenLabsTTS(model or DEFAULT_MODEL, **options)


class ElevenLabsTTS:
    """ElevenLabs' voices, a `StreamingTTS`.

    Args:
        model: "eleven_flash_v2_5", "eleven_multilingual_v2", ...
        options: `voice` (by name or id), `language`, the voice's settings (`stability`, `similarity_boost`, `style`,
            `use_speaker_boost`), `chunk_length_schedule` (characters that are gathered before they are spoken),
            `auto_mode` (whole sentences are sent, and spoken at once), `output_format` (pcm_16000, pcm_24000, ...),
            `multi` (False: a connection for each answer), and how it is reached: `api_key`, `endpoint`, `residency`,
            `connect_timeout`, `proxy`, `ssl_context`.

    Raises:
        ConfigurationError: there is no key, or an option is not right.
    """

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        self.name = f"elevenlabs/{model}"
        self.model = model
        self._options = options
        self._access = Access(self.name, options, _OPTIONS)
        self._output = options.get("output_format", "pcm_24000")
        format = format_of(self._output)
        if format.encoding != "pcm16":
            raise ConfigurationError(f"output_format is one of PCM, not {self._output!r}")
        self.sample_rate = format.sample_rate
        self.format = format
        self.multi = options.get("multi", True) is not False
        #: Whether only whole sentences are sent.
        self.by_sentence = options.get("auto_mode") is True
        own = options.get("voice")
        self.voices: tuple[str, ...] = tuple(dict.fromkeys([own, *_NAMES] if own else _NAMES))
        self._line: VoiceLine | None = None
        self._connecting = asyncio.Lock()

    async def load(self) -> None:
        """Connect, so that the first answer does not wait for that.

        Raises:
            ProviderError: it could not be connected.
        """
        if self.multi:
            await self._ready(voice_of(self.voices[0]).voice)

    async def open(self, *, voice: str | None, speed: float, session: str) -> ElevenLabsSpeech:
        """Begin an answer.

        Raises:
            ProviderError: it could not be connected.
        """
        line = await self._ready(voice_of(voice or self.voices[0]).voice)
        return ElevenLabsSpeech(self, line, self._settings(speed))

    async def close(self) -> None:
        """Close the connection."""
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _ready(self, voice: str) -> VoiceLine:
        """A connection on which an answer can be begun. Another than the last, if that has no room or another voice."""
        async with self._connecting:
            line = self._line
            if line is not None and line.voice == voice and line.has_room:
                return line
            if line is not None:
                self._line = None
                line.retire()
            line = VoiceLine(self._access, voice, multi=self.multi)
            kind = "multi-stream-input" if self.multi else "stream-input"
            language = self._options.get("language")
            await line.connect(
                f"/v1/text-to-speech/{voice}/{kind}",
                {
                    "model_id": self.model,
                    "output_format": self._output,
                    "inactivity_timeout": str(_INACTIVITY_S),
                    "sync_alignment": "true",
                    "auto_mode": "true" if self.by_sentence else None,
                    "language_code": str(language).partition("-")[0] if language else None,
                },
            )
            self._line = line
            return line

    def _settings(self, speed: float) -> dict[str, Any]:
        voice = {
            name: self._options[name]
            for name in ("stability", "similarity_boost", "style", "use_speaker_boost")
            if self._options.get(name) is not None
        }
        if speed != 1.0:
            voice["speed"] = min(_FASTEST, max(_SLOWEST, speed))
        settings: dict[str, Any] = {"voice_settings": voice} if voice else {}
        if not self.by_sentence:
            schedule = self._options.get("chunk_length_schedule") or _SCHEDULE
            settings["generation_config"] = {"chunk_length_schedule": list(schedule)}
        return settings


class ElevenLabsSpeech:
    """One answer, a `TTSStream`."""

    def __init__(self, tts: ElevenLabsTTS, line: VoiceLine, settings: Mapping[str, Any]) -> None:
        self._tts = tts
        self._line = line
        self._settings = settings
        self._context = line.begin(self)
        #: Whether text may still come; whether the vendor knows of the answer; whether it has text that it may hold.
        self._open = True
        self._begun = self._held = False
        #: Text that is not sent yet: a word that may go on, or the sentence under way.
        self._pending = ""
        self._ms = 0.0
        #: Speech, a failure, or None at the end.
        self._pieces: asyncio.Queue[Speech | ProviderError | None] = asyncio.Queue(_MAX_PIECES)

    # -- the contract

    def push(self, text: str) -> None:
        """Take a further piece of the text. Words are sent when they are whole."""
        if not self._open:
            return
        self._pending += text
        if self._tts.by_sentence:
            return
        cut = max(self._pending.rfind(blank) for blank in (" ", "\n", "\t")) + 1
        if self._pending[:cut].strip():
            ready, self._pending = self._pending[:cut], self._pending[cut:]
            self._send(ready)

    def flush(self) -> None:
        """Speak now what has been pushed."""
        if not self._open:
            return
        ready, self._pending = self._pending, ""
        if ready.strip() or self._held:
            self._send(ready, flush=True)

    def end(self) -> None:
        """No more text comes."""
        if not self._open:
            return
        self.flush()
        self._open = False
        if self._begun:
            self._line.send(speech.encode_end(self._context))
        else:
            self._line.leave(self._context, begun=False)
            self._put(None)

    async def __aiter__(self) -> AsyncIterator[Speech]:
        """The speech, and where its words are."""
        while (found := await self._pieces.get()) is not None:
            if isinstance(found, ProviderError):
                raise found
            yield found

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        """Speak no more. What was heard is known by the places of the words."""
        self._open = False
        self._line.leave(self._context, begun=self._begun)
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._put(None)
        return None

    # -- told by the connection

    @property
    def waits(self) -> bool:
        """Whether it has been begun, and text of it may still come."""
        return self._open and self._begun

    def spoke(self, piece: speech.Piece) -> None:
        """A piece of it was spoken."""
        try:
            samples = speech.samples_of(piece)
            words = speech.words_of(piece, self._ms)
        except ValueError as failure:
            self.failed(
                error_of("bad_message", f"speech that cannot be read: {failure}", self._tts.name)
            )
            return
        self._ms += self._tts.format.duration_ms(len(samples))
        self._put(Speech(samples, tuple(words)))

    def finished(self) -> None:
        """All of it was."""
        if self._open:
            # The vendor has given the context up before its text was complete.
            self.failed(error_of("session_expired", "the answer was ended", self._tts.name))
            return
        self._put(None)

    def failed(self, failure: ProviderError) -> None:
        """Nothing more comes."""
        self._open = False
        self._put(failure)

    # -- inside

    def _send(self, text: str, *, flush: bool = False) -> None:
        if not self._begun:
            self._begun = True
            self._line.send(speech.encode_begin(self._context, self._settings))
        if not text.endswith(" "):
            text += " "
        self._held = not flush
        self._line.send(speech.encode_text(self._context, text, flush=flush))

    def _put(self, piece: Speech | ProviderError | None) -> None:
        try:
            self._pieces.put_nowait(piece)
        except asyncio.QueueFull:
            self._line.leave(self._context, begun=self._begun)
            self._pieces.get_nowait()
            words = "nobody takes the speech"
            self._pieces.put_nowait(error_of("overloaded", words, self._tts.name))
