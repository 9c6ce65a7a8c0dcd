"""One short conversation with the real Voice Agent, and its ears and voices by themselves."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.line import live, one_answer
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.wav import load_speech
from voxengine.data import SPEECH
from voxengine.providers.cascade.parts import STTEvent, STTTurnEnded
from voxengine.providers.cascade.registry import create_part
from voxengine.providers.deepgram import DeepgramProvider

pytestmark = live("DEEPGRAM_API_KEY")


async def test_it_answers():
    await one_answer(DeepgramProvider({"instructions": "Answer with one short sentence."}))


async def test_it_hears():
    heard: list[STTEvent] = []
    format = AudioFormat("pcm16", 16000)
    audio = load_speech(SPEECH / "go_forward_ten_meters.wav", format, downmix=True)
    audio += silence(2000, format)
    stream = await create_part("stt", "deepgram").open(heard.append, session="live")
    for at in range(0, len(audio), 640):
        stream.feed(audio[at : at + 640])
        await asyncio.sleep(0.02)
    await asyncio.sleep(2)
    await stream.close()
    ends = [event for event in heard if isinstance(event, STTTurnEnded)]
    assert "forward" in ends[0].text.lower()


@pytest.mark.parametrize("model", ["aura-2-thalia-en", "flux-haley-en"])
async def test_it_speaks(model: str):
    part = create_part("tts", f"deepgram/{model}")
    stream = await part.open(voice=None, speed=1.0, session="live")
    stream.push("Good morning.")
    stream.end()
    audio = b"".join([speech.audio async for speech in stream])
    await part.close()
    assert len(audio) > 24000
