"""Ears and mouth of an emulator: what it understands of audio, and what it makes of a text.

Two voices come with it. `SignalVoice` speaks synthetic speech whose words can be read back exactly
(`voxengine.audio.signal`): it needs no model and no thread, and so works on a virtual clock. `LocalVoice` is real:
Whisper hears and hibari speaks, on this machine (`pip install 'voxengine[local]'`), so that a recording of a person is
really understood. Anything with the methods of `Voice` does.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.audio.signal import MS_PER_WORD, SpokenWord, speak, timeline, understand
from voxengine.errors import ConfigurationError

__all__ = ["LocalVoice", "SignalVoice", "Voice", "voice_of"]


@runtime_checkable
class Voice(Protocol):
    """Ears and mouth."""

    async def hear(self, audio: bytes, format: AudioFormat) -> str:
        """The words in `audio`, "" if there are none."""

    async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
        """`text` as audio of that format; b"" if it has nothing to say."""


class SignalVoice:
    """Speaks and understands `voxengine.audio.signal`. `ms_per_word`: how long a word takes at speed 1."""

    def __init__(self, ms_per_word: float = MS_PER_WORD) -> None:
        self._ms_per_word = ms_per_word

    async def hear(self, audio: bytes, format: AudioFormat) -> str:
        """The words that are completely in `audio`."""
        return understand(audio, format)

    async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
        """`text` as synthetic speech."""
        return speak(text, format, ms_per_word=self._ms_per_word / speed)

    def timeline(self, text: str, *, speed: float = 1.0) -> list[SpokenWord]:
        """Where `say` says each word."""
        return timeline(text, ms_per_word=self._ms_per_word / speed)


class LocalVoice:
    """Whisper and hibari, shared with all else in the process that uses them. `name` marks its work there."""

    def __init__(self, name: str = "emulator") -> None:
        from voxengine.providers.cascade.local.hibari import HibariTTS
        from voxengine.providers.cascade.local.whisper import WhisperSTT

        self._stt = WhisperSTT()
        self._tts = HibariTTS()
        self._name = name

    async def load(self) -> None:
        """Load both models, so that the first turn does not wait for them.

        Raises:
            MissingDependencyError, ModelError: a model is not there, or is another one.
        """
        await self._stt.load()
        await self._tts.load()

    async def hear(self, audio: bytes, format: AudioFormat) -> str:
        """What Whisper makes of it."""
        import numpy as np

        from voxengine.providers.cascade.parts import INPUT_RATE

        converter = Converter(format, AudioFormat("pcm16", INPUT_RATE))
        pcm16 = converter.process(audio) + converter.flush()
        samples = np.frombuffer(pcm16, "<i2").astype(np.float32) / np.float32(32768)
        found = await self._stt.transcribe(samples, session=self._name)
        return found.text.strip()

    async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
        """What hibari says."""
        source = AudioFormat("pcm16", self._tts.sample_rate)
        pieces = [
            piece.audio
            async for piece in self._tts.synthesize(
                text, voice=None, speed=speed, session=self._name
            )
        ]
        converter = Converter(source, format)
        return b"".join([*map(converter.process, pieces), converter.flush()])


def voice_of(speech: Voice | str | None) -> Voice:
    """The voice that a setting means: None or "signal", "local", or a voice itself.

    Raises:
        ConfigurationError: there is no such voice.
        MissingDependencyError: "local", but what it needs is not installed.
    """
    if speech is None or speech == "signal":
        return SignalVoice()
    if speech == "local":
        return LocalVoice()
    if isinstance(speech, Voice):
        return speech
    raise ConfigurationError(f"speech is signal, local or a Voice, not {speech!r}")
