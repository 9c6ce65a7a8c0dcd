"""A cascade that hears by Scribe and speaks by ElevenLabs' voices holds a conversation."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.vendors.call import LONG, Call
from voxengine import events as ev
from voxengine.providers.cascade.parts import BrainText, Message
from voxengine.testing.emulators.elevenlabs import ScribeEmulator, SpeechEmulator

KEY = "xi-emulated"


class Brain:
    """Says what was said; of one thing it has more to tell."""

    name = "echo"
    on_device = True

    async def load(self) -> None:
        return None

    async def reply(self, messages: list[Message], tools: Any, **_: Any) -> Any:
        said = next(m.text for m in reversed(messages) if m.role == "user")
        text = LONG if said == "tell me more" else f"You said: {said}"
        for number, word in enumerate(text.split()):
            yield BrainText(f" {word}" if number else word)
            await asyncio.sleep(0.005)


async def test_a_conversation_with_an_interruption():
    async with ScribeEmulator(key=KEY) as ears, SpeechEmulator(key=KEY) as mouth:
        metadata = {
            "vad": "energy",
            "llm": Brain(),
            "stt": "elevenlabs/scribe_v2_realtime",
            "stt_options": {"api_key": KEY, **ears.metadata},
            "tts": "elevenlabs/eleven_flash_v2_5",
            "tts_options": {"api_key": KEY, **mouth.metadata},
        }
        call = Call(
            _Both(ears, mouth), provider="cascade", metadata=metadata, vocabulary=["Voxtral"]
        )
        async with call:
            assert await call.ask("good morning") == "You said: good morning"
            await call.speak("tell me more")
            await call.wait(ev.AudioOutputChunk, 1)
            await asyncio.sleep(5)
            await call.speak("stop it")
            await call.quiet()
        cut = call.answers[1]
        assert LONG.startswith(cut.text)
        assert 3 <= len(cut.text.split()) <= 20
        # What the log has is what was heard, to the word.
        assert call.ear.words(cut.id).split()[: len(cut.text.split()) - 1] == cut.text.split()[:-1]
        assert call.log[-2:] == [("user", "stop it"), ("assistant", "You said: stop it")]
        words = [e for e in call.of(ev.TextOutput) if e.text.strip()]
        assert [e.text for e in words if e.audio_end_ms is None] == []
        used = call.of(ev.UsageUpdated)
        assert sum(e.characters for e in used) > len("You said: good morning")
        assert sum(e.input_audio_seconds for e in used) > 1
        assert len(mouth.sessions) == 1
        assert ears.session.request.query["keyterms"] == "Voxtral"
        assert ears.judge.violations == mouth.judge.violations == []


class _Both:
    """Two emulators, as one to a call."""

    def __init__(self, ears: ScribeEmulator, mouth: SpeechEmulator) -> None:
        self.emulators = ears, mouth
        self.metadata: dict[str, Any] = {}
