"""The caller's voice for the one sentence of the demo that nobody recorded: made here, and said to be."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter

__all__ = ["synthetic_caller"]

#: The voice is spoken faster and played slower: as long as before, but deeper than the engine's, which is the same.
_DEEPER = 0.85


async def synthetic_caller(text: str, target: AudioFormat) -> bytes:
    """Speak a sentence as somebody who is not the engine.

    Raises:
        VoiceEngineError: the voice cannot be loaded.
    """
    from voxengine.providers.cascade.registry import create_part

    tts = create_part("tts", "hibari")
    await tts.load()
    spoken = tts.synthesize(text, voice=None, speed=1 / _DEEPER, session="demo-caller")
    audio = b"".join([piece.audio async for piece in spoken])
    converter = Converter(AudioFormat(sample_rate=round(tts.sample_rate * _DEEPER)), target)
    return converter.process(audio) + converter.flush()
