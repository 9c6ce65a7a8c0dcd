"""What every provider that has an emulator does in a call, whichever vendor it is: one test, asked of each."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.cascade.test_local import Held
from tests.vendors.call import ANSWERS, KEY, LONG, Call
from tests.vendors.vendors import NAMES, need, ringing, running
from voxengine import VoiceEngineError
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.wav import load_speech
from voxengine.data import SPEECH
from voxengine.providers.registry import get_provider
from voxengine.testing.emulators.faults import (
    Drop,
    ErrorOnce,
    Expire,
    Flap,
    Malformed,
    Refuse,
    Stall,
    UnknownEvent,
)
from voxengine.testing.emulators.voice import LocalVoice, SignalVoice

every = pytest.mark.parametrize("name", NAMES)

#: The one tool that a full-duplex model has is to hand a task over.
DELEGATES = {"openai-live"}
MOCK = {"provider": "mock", "metadata": {"mock_responses": ANSWERS}}


class RealEars(SignalVoice):
    """Whisper for ears, on a clock that stands still while it works; its voice is synthetic."""

    def __init__(self) -> None:
        super().__init__()
        self._real: Any = Held(LocalVoice())

    async def hear(self, audio: bytes, format: AudioFormat) -> str:
        with asyncio.get_running_loop().hold():  # type: ignore[attr-defined]
            words: str = await self._real.hear(audio, format)
        return words.lower().strip(" .")


def plain(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@every
@pytest.mark.models
async def test_a_recording_of_a_person(name: str):
    need(name)
    answers = {"re:.*forward.*": "Going forward ten meters"}
    async with running(name, answers, speech=RealEars()) as emulator:
        async with ringing(name, emulator) as call:
            format = call.engine.config.input_format
            audio = load_speech(SPEECH / "go_forward_ten_meters.wav", format, downmix=True)
            call.play(audio)
            await asyncio.sleep(format.duration_ms(len(audio)) / 1000)
            await call.quiet()
        (user, answer) = call.log
        assert user[0] == "user"
        assert {"forward", "meters"} <= set(plain(user[1]))
        assert answer == ("assistant", "Going forward ten meters")
        assert call.ear.words() == "Going forward ten meters"
        call.check()


@every
async def test_a_tool_is_called_and_its_result_is_spoken(name: str):
    need(name)
    asked: list[str] = []
    async with running(name) as emulator:
        call = ringing(name, emulator)
        if name in DELEGATES:

            async def delegate(task: str) -> str:
                """Do something."""
                asked.append(task)
                return "it"

            call.engine.tool(delegate)
        async with call:
            assert await call.ask("look it up") == "found it"
        assert len(asked or call.looked) == 1
        assert len(call.of(ev.FunctionCompleted)) == 1
        call.check()


@every
async def test_who_is_interrupted_has_said_what_was_heard(name: str):
    need(name)
    async with running(name) as emulator, ringing(name, emulator) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputChunk)
        await asyncio.sleep(4)
        await call.speak("stop it")
        await call.quiet()
        cut = call.answers[0]
        assert LONG.startswith(cut.text)
        assert 3 <= len(cut.text.split()) <= 20
        assert len(cut.text) < len(LONG)
        assert call.log[-2:] == [("user", "stop it"), ("assistant", "You said: stop it")]
        call.check()


FAULTS = [
    Refuse("rate_limit"),
    Refuse("server_error"),
    Refuse("refused"),
    Flap(times=9),
    Drop(close_code=1011, after_chunks=3),
    Drop(close_code=1006, after_s=5),
    Stall(after_chunks=3),
    Expire(after_s=6),
]


@every
@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_whatever_goes_wrong_the_caller_is_answered(name: str, fault: Any):
    """Another takes over within the budget; a vendor that comes back in time may keep the call."""
    need(name)
    can = get_provider(name).capabilities  # type: ignore[union-attr]
    if isinstance(fault, Stall) and not can.vad_events:
        pytest.skip("it does not tell of speech: that it is dead shows when it owes an answer")
    async with running(name, faults=fault) as emulator:
        async with ringing(name, emulator, fallback=[MOCK], stall_timeout=3.0) as call:
            await call.speak("tell me more")
            await asyncio.sleep(12)
            await call.quiet()
            assert await call.ask("are you there") == "You said: are you there"
        said = [text for role, text in call.log if role == "user"]
        assert said == ["tell me more", "are you there"]
        assert any(item.text for item in call.answers)
        call.check()


@every
@pytest.mark.parametrize("fault", [UnknownEvent(after_s=3), Malformed(after_s=3)], ids=repr)
async def test_what_nobody_knows_does_no_harm(name: str, fault: Any):
    need(name)
    async with running(name, faults=fault) as emulator, ringing(name, emulator) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert await call.ask("and again") == "You said: and again"
        told = [e for e in call.events if isinstance(e, (ev.RawEvent, ev.ErrorGeneral))]
        assert told, "it was told"
        assert call.of(ev.ConnectionLost) == []
        call.check()


@every
async def test_an_error_in_an_answer_is_told_and_the_next_one_comes(name: str):
    need(name)
    fault = ErrorOnce(response=1)
    async with running(name, faults=fault) as emulator, ringing(name, emulator) as call:
        await call.speak("good morning")
        await asyncio.sleep(8)
        assert await call.ask("and again") == "You said: and again"
        kinds = (ev.ResponseError, ev.ErrorGeneral, ev.ConnectionLost)
        assert [e for e in call.events if isinstance(e, kinds)], "it was told"
        call.check()


@every
async def test_a_wrong_key_is_an_error_that_does_not_show_it(name: str):
    need(name)
    if not getattr(get_provider(name), "key_variables", ()):
        pytest.skip("it has no key of its own")
    async with running(name) as emulator:
        call = Call(emulator, provider=name, microphone=False)
        call.engine.config.api_key = "sk-wrong-but-secret"
        with pytest.raises(VoiceEngineError) as refused:
            await call.engine.connect()
        await call.engine.disconnect()
    shown = str(refused.value) + repr(call.events)
    assert "sk-wrong-but-secret" not in shown
    assert KEY not in shown
