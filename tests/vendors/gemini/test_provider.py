"""The provider against the emulated Gemini Live: what only it does. What all vendors' do is tested for all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.conversation.items import Item
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    ProviderError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.net import Closed
from voxengine.providers.base import AudioFormat
from voxengine.providers.gemini import place
from voxengine.providers.gemini.failures import code_of_close
from voxengine.providers.gemini.provider import MAX_NOTES, GeminiProvider
from voxengine.testing.emulators.faults import Drop
from voxengine.testing.emulators.gemini import GeminiEmulator
from voxengine.testing.emulators.gemini.session import GeminiSession

OUT = AudioFormat("pcm16", 24000)
LONG = " ".join(f"word{n}" for n in range(10, 50))
WEATHER = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
ANSWERS: dict[str, Any] = {
    "hello": "hi there",
    "tell me more": LONG,
    "look it up": {"tool": {"name": "look", "arguments": {"at": 1}}, "then": "found {output}"},
    "stop it": "all right",
}


class _Silent(GeminiSession):
    """A session that does not answer the setup."""

    def received(self, message: dict[str, Any]) -> None:
        """Nothing follows."""


class _Slow(GeminiEmulator):
    """It opens no session."""

    def make_session(self, request: Any, session_id: str) -> GeminiSession:
        """One that is silent."""
        return _Silent(self, request, session_id)


class Call:
    """One connection, and what came on it."""

    def __init__(self, emulator: GeminiEmulator, **settings: Any) -> None:
        metadata = {**emulator.metadata, **settings.pop("metadata", {})}
        self.emulator = emulator
        self.provider = GeminiProvider({"api_key": "k", "metadata": metadata, **settings})
        self.events: list[Any] = []
        self._came = asyncio.Event()
        self.provider.on_event = self._record

    def _record(self, event: Any) -> None:
        self.events.append(event)
        self._came.set()

    def of(self, kind: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    async def until(self, kind: type, count: int = 1) -> Any:
        async with asyncio.timeout(60):
            while len(self.of(kind)) < count:
                self._came.clear()
                await self._came.wait()
        return self.of(kind)[count - 1]

    async def speak(self, text: str) -> None:
        format = self.provider.get_audio_format()
        audio = speak(text, format) + silence(800, format)
        size = format.n_bytes(20)
        for at in range(0, len(audio), size):
            await self.provider.send_audio(audio[at : at + size])
            await asyncio.sleep(0.02)

    @property
    def said(self) -> str:
        return "".join(e.text for e in self.of(ev.TextOutput))

    @property
    def told(self) -> list[tuple[str, str]]:
        """What the model knows."""
        found: list[tuple[str, str]] = self.emulator.session.model.memory
        return found


@asynccontextmanager
async def calling(settings: dict[str, Any] | None = None, **config: Any) -> AsyncIterator[Call]:
    """A provider that is connected to an emulator of its own."""
    async with GeminiEmulator(ANSWERS, **(settings or {})) as emulator:
        call = Call(emulator, **config)
        await call.provider.connect()
        try:
            yield call
        finally:
            await call.provider.disconnect()


async def again(call: Call, history: list[Item] | None = None, **config: Any) -> Call:
    """Another connection to the same emulator."""
    other = Call(call.emulator, **config)
    await other.provider.add_conversation_history(history or [])
    await other.provider.connect()
    return other


HISTORY = [
    Item(id="1", role="user", text="my name is ada"),
    Item(id="2", role="assistant", text="hello"),
    Item(id="3", kind="function_call", call_id="c", name="look", arguments='{"at":2}'),
    Item(id="4", kind="function_output", call_id="c", output="far"),
    Item(id="5", role="system", text="she is in a car"),
]


@pytest.mark.parametrize("binary", [True, False])
async def test_frames_may_be_text_or_binary(binary: bool):
    async with calling({"binary": binary}) as call:
        await call.provider.send_text("hello")
        await call.until(ev.ResponseCompleted)
        assert call.said == "hi there"
        audio = b"".join(e.audio_data for e in call.of(ev.AudioOutputChunk))
        assert understand(audio, OUT) == "hi there"


async def test_thoughts_are_neither_said_nor_shown():
    async with calling({"thoughts": "they want a greeting, I think"}) as call:
        await call.provider.send_text("hello")
        await call.until(ev.UsageUpdated)
        assert "greeting" not in repr(call.events)
        assert call.said == "hi there"
        (usage,) = call.of(ev.UsageUpdated)
        # But they are paid for.
        assert usage.output_text_tokens > call.emulator.session.model.last_usage.output_text_tokens


async def test_usage_is_by_kind_and_adds_up():
    async with calling({"cached_tokens": 3}) as call:
        for count in (1, 2):
            await call.provider.send_text("hello")
            await call.until(ev.UsageUpdated, count)
        one, two = call.of(ev.UsageUpdated)
        assert one.model == "gemini-3.8-live"
        assert (one.cached_text_tokens, one.output_audio_tokens > 0) == (3, True)
        used = await call.provider.get_usage()
        assert used is not None
        assert used["output_audio_tokens"] == one.output_audio_tokens + two.output_audio_tokens
        assert used["cached_text_tokens"] == 6


async def test_who_hangs_up_in_an_answer_is_told_what_it_cost():
    async with calling() as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        await call.provider.disconnect()
        assert call.of(ev.UsageUpdated)
        assert isinstance(call.events[-1], ev.ConnectionClosed)


async def test_history_is_told_before_anything_is_heard():
    async with calling() as first:
        call = await again(first, HISTORY)
        assert call.told[:2] == [("user", "my name is ada"), ("assistant", "hello")]
        assert "look" in call.told[2][1]
        assert "far" in call.told[3][1]
        assert call.told[4] == ("system", "she is in a car")
        setup = call.emulator.session.setup
        assert setup["historyConfig"] == {"initialHistoryInClientContent": True}
        assert not call.of(ev.ResponseStarted)
        with pytest.raises(MessageError) as late:
            await call.provider.add_conversation_history(HISTORY)
        assert late.value.code == "history_late"
        await call.provider.disconnect()


async def test_an_older_model_is_told_history_without_announcement():
    async with calling() as first:
        call = await again(first, HISTORY, model="gemini-2.5-flash-native-audio")
        await asyncio.sleep(1)
        assert "historyConfig" not in call.emulator.session.setup
        assert call.told[0] == ("user", "my name is ada")
        assert not call.of(ev.ResponseStarted)
        await call.provider.disconnect()


async def test_a_session_is_taken_up_again():
    async with calling() as first:
        assert first.provider.resume_handle is None
        await first.provider.send_text("hello")
        await first.until(ev.UsageUpdated)
        await asyncio.sleep(0.1)
        handle = first.provider.resume_handle
        call = await again(first, HISTORY, metadata={"resume": handle})
        assert call.provider.resumed
        assert call.of(ev.ConnectionEstablished)[0].resumed
        assert call.told == [("user", "hello"), ("assistant", "hi there")]
        await call.provider.disconnect()


async def test_a_handle_that_is_refused_is_followed_by_a_fresh_session():
    async with calling({"forgets": True}) as first:
        call = await again(first, HISTORY, metadata={"resume": "old"})
        assert not call.provider.resumed
        assert len(call.of(ev.ConnectionStarting)) == len(call.of(ev.ConnectionEstablished)) == 1
        assert not call.of(ev.ConnectionFailed)
        assert call.told[0] == ("user", "my name is ada")
        await call.provider.send_text("hello")
        await call.until(ev.ResponseCompleted)
        await call.provider.disconnect()


async def test_the_end_is_announced():
    async with calling({"go_away_after_s": 5.0, "time_left_s": 50.0}) as call:
        told = await call.until(ev.ConnectionExpiring)
        assert told.seconds_left == 50.0
        assert call.provider.is_connected
        lost = await call.until(ev.ConnectionLost)
        assert (lost.code, lost.close_code, lost.retryable) == ("session_expired", 1011, True)


async def test_who_speaks_over_a_tool_takes_the_call_back():
    async with calling(tools=[WEATHER]) as call:
        await call.provider.send_text("look it up")
        invoked = await call.until(ev.FunctionInvoked)
        assert (invoked.name, invoked.arguments) == ("look", '{"at": 1}')
        await call.speak("stop it")
        assert (await call.until(ev.FunctionCancelled)).call_id == invoked.call_id
        await call.until(ev.ResponseCompleted, 2)
        assert call.said == "all right"
        with pytest.raises(MessageError) as late:
            await call.provider.send_tool_result(invoked.call_id, "5")
        assert late.value.code == "unknown_call"


async def test_tools_that_do_not_block():
    options = {"tool_behavior": "non_blocking", "tool_scheduling": "when_idle"}
    async with calling(tools=[WEATHER], metadata=options) as call:
        await call.provider.send_text("look it up")
        invoked = await call.until(ev.FunctionInvoked)
        await call.provider.send_tool_result(invoked.call_id, '{"far": true}')
        await call.until(ev.ResponseCompleted, 2)
        assert call.said == 'found {"far": true}'
        (declared,) = call.emulator.session.setup["tools"][0]["functionDeclarations"]
        assert declared["behavior"] == "NON_BLOCKING"
        result = call.emulator.session.events[-1]["toolResponse"]["functionResponses"][0]
        assert (result["scheduling"], result["response"]) == ("WHEN_IDLE", {"far": True})


async def test_a_written_question_waits_for_the_answer_under_way():
    async with calling() as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        await call.provider.send_text("hello")
        await call.until(ev.ResponseCompleted, 2)
        assert call.said == f"{LONG}hi there"
        assert not call.of(ev.ResponseCancelled)


async def test_an_interrupted_question_stays_known_and_is_not_answered():
    async with calling() as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        await call.provider.send_text("hello")
        await call.provider.interrupt()
        await asyncio.sleep(3)
        assert [e.reason for e in call.of(ev.ResponseCancelled)] == ["client_cancelled"]
        assert not call.of(ev.ResponseCompleted)
        assert ("user", "hello") in call.told
        await call.provider.send_text("stop it")
        await call.until(ev.ResponseCompleted)
        assert call.said.endswith("all right")


async def test_notes_are_a_part_of_the_instructions():
    async with calling(instructions="Be brief.") as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        await call.provider.send_text("The shop is closed.", "system")
        await call.until(ev.ResponseCompleted)
        model = call.emulator.session.model
        await asyncio.sleep(0.1)
        assert model.instructions == "Be brief.\n\nThe shop is closed."
        assert not call.of(ev.ResponseCancelled)
        await call.provider.update_session(instructions="Be long.", tools=[WEATHER])
        await asyncio.sleep(0.1)
        assert model.instructions == "Be long.\n\nThe shop is closed."
        assert model.tools == ["look"]
        for number in range(MAX_NOTES):
            await call.provider.send_text(f"note {number}", "system")
        assert [e.code for e in call.of(ev.SystemWarning)] == ["note_left_out"]


async def test_an_older_model_is_told_notes_when_it_has_spoken():
    async with calling(model="gemini-2.5-flash-native-audio") as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        await call.provider.send_text("The shop is closed.", "system")
        await call.until(ev.UsageUpdated)
        assert not call.of(ev.ResponseCancelled)
        await asyncio.sleep(0.1)
        assert call.told[-1] == ("system", "The shop is closed.")
        with pytest.raises(UnsupportedFeatureError):
            await call.provider.update_session(instructions="Be long.")


async def test_a_model_that_takes_the_users_words_alone():
    async with calling(model="gemini-3.1-flash-live-preview") as call:
        await call.provider.send_text("tell me more")
        await call.until(ev.AudioOutputChunk)
        assert call.emulator.session.events[-1] == {"realtimeInput": {"text": "tell me more"}}
        for refused in (
            call.provider.interrupt(),
            call.provider.send_text("x", "system"),
            call.provider.create_response(),
        ):
            with pytest.raises(UnsupportedFeatureError):
                await refused


async def test_what_was_heard_is_told_where_that_is_wanted():
    async with calling(metadata={"correct_heard": True}) as call:
        await call.provider.send_text("tell me more")
        item = (await call.until(ev.AudioOutputChunk, 5)).item_id
        await call.provider.interrupt()
        await call.provider.truncate_item(item, 300.0, "word10")
        await asyncio.sleep(0.5)
        assert call.told[-1][0] == "system"
        assert '"word10"' in call.told[-1][1]
        with pytest.raises(MessageError):
            await call.provider.truncate_item("nobody's", 1.0, "")


async def test_turns_that_are_ended_by_hand():
    async with calling(turn_detection="none") as call:
        with pytest.raises(MessageError) as empty:
            await call.provider.commit_audio()
        assert empty.value.code == "empty"
        await call.speak("hello")
        assert not call.of(ev.TurnDetected)
        await call.provider.commit_audio()
        await call.provider.create_response()  # which it gives in any case
        await call.until(ev.ResponseCompleted)
        await asyncio.sleep(3)
        assert call.said == "hi there"
        assert len(call.of(ev.ResponseStarted)) == len(call.of(ev.TurnDetected)) == 1
        kinds = [next(iter(e["realtimeInput"])) for e in call.emulator.session.events[1:]]
        assert kinds == ["activityStart", "activityEnd"]
    async with calling() as call:
        with pytest.raises(UnsupportedFeatureError):
            await call.provider.commit_audio()


async def test_settings_reach_the_vendor():
    config: dict[str, Any] = {
        "voice": "Kore",
        "temperature": 0.5,
        "max_response_tokens": 99,
        "language": "de-DE",
        "vocabulary": ["Vossberg"],
        "interruptions": False,
        "turn_options": {"threshold": 0.9, "silence_duration_ms": 300, "eagerness": "high"},
        "metadata": {
            "vad": {"prefix_padding_ms": 40, "end_of_speech_sensitivity": "low"},
            "compression": {"triggerTokens": "9000", "slidingWindow": {}},
            "thinking": {"thinkingBudget": 0},
            "setup": {"proactivity": {"proactiveAudio": True}},
        },
    }
    async with calling(**config) as call:
        setup = call.emulator.session.setup
        generation = setup["generationConfig"]
        assert call.emulator.session.model.voice_name == "Kore"
        assert (generation["temperature"], generation["maxOutputTokens"]) == (0.5, 99)
        assert generation["speechConfig"]["languageCode"] == "de-DE"
        assert setup["inputAudioTranscription"] == {
            "languageCodes": ["de-DE"],
            "customVocabulary": ["Vossberg"],
        }
        assert setup["realtimeInputConfig"] == {
            "activityHandling": "NO_INTERRUPTION",
            "automaticActivityDetection": {
                "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
                "silenceDurationMs": 300,
                "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
                "prefixPaddingMs": 40,
            },
        }
        assert setup["proactivity"] == {"proactiveAudio": True}
        assert not call.of(ev.SystemWarning)


@pytest.mark.parametrize(
    "config",
    [
        {"modalities": ["text"]},
        {"turn_detection": "semantic_vad"},
        {"metadata": {"vad": {"loudness": 1}}},
        {"metadata": {"vad": {"start_of_speech_sensitivity": "some"}}},
        {"metadata": {"vad": {"silence_duration_ms": -1}}},
        {"metadata": {"setup": "x"}},
        {"metadata": {"tool_behavior": "lazy"}},
        {"metadata": {"tool_scheduling": "now"}},
        {"metadata": {"token_provider": "x"}},
        {"metadata": {"headers": "x"}},
        {"api_key": "two words"},
        {"metadata": {"vertex": True}},
    ],
)
def test_settings_are_checked(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ConfigurationError):
        GeminiProvider({"api_key": "k", **config})


async def test_vertex_is_found_and_tells_of_voice_activity():
    async def token() -> str:
        return "t0ken"

    options = {"vertex": True, "project": "p", "location": "eu", "token_provider": token}
    async with calling({"key": "t0ken"}, api_key=None, metadata=options) as call:
        assert call.emulator.session.request.path.endswith("LlmBidiService/BidiGenerateContent")
        model = call.emulator.session.setup["model"]
        assert model == f"projects/p/locations/eu/publishers/google/models/{place.VERTEX_MODEL}"
        assert call.provider.capabilities.vad_events
        await call.speak("hello")
        await call.until(ev.ResponseCompleted)
        (began,), (ended,) = call.of(ev.VadSpeechStarted), call.of(ev.VadSpeechEnded)
        assert 0 <= began.audio_ms < ended.audio_ms
        assert began.item_id == ended.item_id == call.of(ev.TurnDetected)[0].item_id


async def test_tokens_that_cannot_be_had():
    def broken() -> str:
        raise OSError("s3cret")

    async with GeminiEmulator() as emulator:
        for provider in (broken, lambda: None):
            options = {"vertex": True, "project": "p", "token_provider": provider}
            call = Call(emulator, api_key=None, metadata=options)
            with pytest.raises(AuthenticationError) as refused:
                await call.provider.connect()
            assert "s3cret" not in str(refused.value)
            await call.provider.disconnect()


def test_addresses():
    def of(key: str | None = "k", **options: Any) -> str:
        provider = GeminiProvider({"api_key": key, "metadata": options})
        return place.address_of(provider.config, key)

    assert of().endswith("v1beta.GenerativeService.BidiGenerateContent")
    assert of("auth_tokens/x").endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
    assert of(None, vertex=True, project="p").startswith("wss://us-central1-aiplatform.")
    assert of(None, vertex=True, project="p", location="global").startswith("wss://aiplatform.")


async def test_an_ephemeral_token_opens_a_session():
    async with GeminiEmulator(key="auth_tokens/x") as emulator:
        call = Call(emulator, api_key="auth_tokens/x")
        await call.provider.connect()
        assert emulator.session.request.headers["authorization"] == "Token auth_tokens/x"
        await call.provider.disconnect()


@pytest.mark.parametrize(
    ("code", "reason", "ours", "retryable"),
    [
        (1007, "Request contains an invalid argument.", "message", False),
        (1008, "models/x is not found for API version v1beta", "not_found", False),
        (1008, "Operation is not allowed", "refused_by_policy", False),
        (1011, "You exceeded your current quota, please check your plan", "quota", False),
        (1011, "Resource has been exhausted (e.g. check quota).", "quota", False),
        (1011, "RESOURCE_EXHAUSTED: too many sessions", "rate_limit", True),
        (1007, "API key not valid. Please pass a valid API key.", "auth", False),
        (1011, "Deadline expired before operation could complete.", "session_expired", True),
        (1011, "Internal error encountered.", "server", True),
        (1011, "", "server", True),
        (1000, "", "closed", True),
    ],
)
def test_reasons_of_a_close(code: int, reason: str, ours: str, retryable: bool):
    closed = Closed(code=code, reason=reason, by_us=False, cause="closed")
    assert code_of_close(closed) == (ours, retryable)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("You exceeded your current quota", RateLimitError),
        ("API key expired. Please renew the API key.", AuthenticationError),
        ("Request contains an invalid argument.", MessageError),
        ("Internal error encountered.", ProviderError),
    ],
)
async def test_refusals_of_a_session_are_typed(reason: str, kind: type[ProviderError]):
    drop = Drop(close_code=1007 if kind is MessageError else 1011, reason=reason, after_s=0.0)
    async with _Slow(faults=[drop]) as emulator:
        call = Call(emulator)
        with pytest.raises(kind):
            await call.provider.connect()
        await call.provider.disconnect()


async def test_an_unknown_model_is_refused():
    async with GeminiEmulator() as emulator:
        call = Call(emulator, model="parrot-1")
        with pytest.raises(ProviderError) as refused:
            await call.provider.connect()
        assert (refused.value.code, refused.value.retryable) == ("not_found", False)
        await call.provider.disconnect()


async def test_what_the_vendor_sends_wrong_is_told():
    async with calling() as call:
        session = call.emulator.session
        odd = '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"AA=="}}]}}}'
        bad = odd.replace("AA==", "%")
        session.send_raw(odd)
        session.send_raw(bad)
        session.send_raw('{"mood":{}}')
        session.send_raw("{")
        await call.until(ev.ErrorGeneral, 3)
        assert {e.code for e in call.of(ev.ErrorGeneral)} == {"bad_message"}
        assert [e.name for e in call.of(ev.RawEvent)] == ["mood"]
        await call.provider.send_text("hello")
        await call.until(ev.ResponseCompleted)


async def test_messages_in_the_vendors_own_words():
    async with calling() as call:
        turns = [{"role": "user", "parts": [{"text": "hello"}]}]
        await call.provider.send_event({"clientContent": {"turns": turns, "turnComplete": True}})
        await call.until(ev.ResponseCompleted)
        assert not call.of(ev.TurnDetected)
        with pytest.raises(MessageError):
            await call.provider.send_event({"x": object()})
