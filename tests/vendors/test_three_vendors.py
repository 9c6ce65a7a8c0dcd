"""One conversation, three vendors: Deepgram hears, Anthropic thinks, ElevenLabs speaks, each an emulator of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.vendors.call import KEY, Call
from voxengine import events as ev
from voxengine.testing.emulators.catalogue import make_emulator

STORY = " ".join(f"This is sentence number {n} of a story that goes on." for n in range(1, 13))
ANSWERS: dict[str, Any] = {
    "tell me a story": STORY,
    "look it up": {"tool": "look", "then": "I found {output}"},
}


@asynccontextmanager
async def three(**config: Any) -> AsyncIterator[Call]:
    """A call to a cascade of all three."""
    async with (
        make_emulator("stt.deepgram", responses=None, key=KEY) as ears,
        make_emulator("brain.anthropic", responses=ANSWERS, key=KEY) as brain,
        make_emulator("tts.elevenlabs", responses=None, key=KEY) as voice,
    ):
        parts = {
            "vad": "energy",
            "stt": "deepgram/flux-general-en",
            "stt_options": {**ears.metadata, "api_key": KEY},
            "llm": "anthropic/claude-haiku-5-5",
            "llm_options": {**brain.metadata, "api_key": KEY},
            "tts": "elevenlabs/eleven_flash_v2_5",
            "tts_options": {**voice.metadata, "api_key": KEY},
        }
        call = Call(voice, provider="cascade", metadata=parts, **config)
        async with call:
            yield call


async def test_a_conversation():
    async with three() as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert await call.ask("look it up") == "I found it"
        assert call.looked == ["it"]
        assert await call.ask("and again") == "You said: and again"
        assert [role for role, _ in call.log] == ["user", "assistant"] * 3
        assert call.of(ev.ErrorGeneral) == []
        assert call.of(ev.ResponseError) == []
        call.check()


async def test_each_begins_before_the_one_before_has_ended():
    async with three() as call:
        await call.speak("tell me a story")
        await call.quiet()
        first = {e.stage: e.timestamp for e in reversed(call.of(ev.TimingStage))}
        written_down = call.of(ev.TranscriptCompleted)[0].timestamp
        # The brain has begun on the eager end of the turn, and speech is there long before its last word.
        assert first["brain_started"] < first["first_token"] < written_down
        assert first["first_audio"] + 1.0 < first["last_token"]
        told = call.of(ev.MetricsUpdated)[0]
        assert told.first_token_ms is not None
        assert told.transcript_ms is not None
        assert told.first_token_ms < told.transcript_ms
        assert call.answers[0].text == STORY


async def test_who_interrupts_hears_no_more_and_the_log_has_what_was_heard():
    async with three() as call:
        await call.speak("tell me a story")
        await call.wait(ev.AudioOutputChunk)
        await asyncio.sleep(4)
        await call.speak("good morning")
        await call.quiet()
        cut, answer = call.answers
        assert STORY.startswith(cut.text)
        assert 5 <= len(cut.text.split()) < 30
        assert answer.text == "You said: good morning"
        call.check()


async def test_words_to_listen_for_reach_the_ears():
    async with three(vocabulary=["Boromir"]) as call:
        assert call.engine.provider is not None
        assert call.engine.provider.supports_feature("vocabulary")
        assert not [e for e in call.of(ev.SystemWarning) if e.code == "vocabulary_unused"]
        assert await call.ask("good morning") == "You said: good morning"
