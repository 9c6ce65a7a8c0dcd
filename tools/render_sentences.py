"""Render the sentences that a session says by itself, with the voice that runs on this machine.

    .venv/bin/python tools/render_sentences.py

Writes a recording for each of `voxengine.data.SENTENCES`. The same words always give the same file.
"""

from __future__ import annotations

import asyncio

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.audio.wav import write_wav
from voxengine.data import SENTENCES, sentence_path
from voxengine.providers.cascade.local.hibari import SAMPLE_RATE, HibariTTS

#: What telephones can carry twice over, in a file of a reasonable size.
FORMAT = AudioFormat("pcm16", 16000)


async def render() -> None:
    """Speak each sentence, and write it down."""
    # A longer pause after each full stop: nobody waits for these to begin.
    voice = HibariTTS(first_chars=0, trail_ms=250.0)
    await voice.load()
    for name, text in SENTENCES.items():
        spoken = [
            piece.audio
            async for piece in voice.synthesize(text, voice=None, speed=1.0, session="render")
        ]
        converter = Converter(AudioFormat("pcm16", SAMPLE_RATE), FORMAT)
        audio = converter.process(b"".join(spoken)) + converter.flush()
        path = sentence_path(name)
        path.parent.mkdir(exist_ok=True)
        write_wav(path, audio, FORMAT)
        print(f"{path}: {FORMAT.duration_ms(len(audio)) / 1000:.1f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    asyncio.run(render())
