from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.vendors.line import Line
from tests.vendors.nova.needs import needs_library
from voxengine import events as ev
from voxengine.conversation.items import Item
from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.providers.nova import NovaProvider
from voxengine.testing.emulators.faults import (
    Drop,
    Expire,
    Flap,
    Malformed,
    Refuse,
    Stall,
    UnknownEvent,
)
from voxengine.testing.emulators.nova import NovaEmulator

pytestmark = needs_library

SECRET = "the-secret-access-key"
LOOK = {"name": "look", "description": "Look it up.", "parameters": {"type": "object"}}
ANSWERS: dict[str, Any] = {
    "tell me more": "One two three. Four five six. Seven eight nine. Ten eleven twelve.",
    "look it up": {
        "text": "One moment.",
        "tool": {"name": "look", "arguments": {"a": 1}},
        "then": "Found {output}",
    },
}


@asynccontextmanager
async def running(faults: Any = None, **settings: Any) -> AsyncIterator[NovaEmulator]:
    async with NovaEmulator(ANSWERS, key=SECRET, faults=faults, **settings) as emulator:
        yield emulator
        assert emulator.judge.violations == []


def line_to(emulator: NovaEmulator, **settings: Any) -> Line:
    metadata = {**emulator.metadata, **settings.pop("metadata", {})}
    return Line(NovaProvider({"api_key": SECRET, "metadata": metadata, **settings}))


async def test_a_conversation():
    async with running() as emulator:
        line = line_to(emulator, instructions="Be brief.", voice="amy")
        await line.provider.connect()
        await line.say("tell me more")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == ANSWERS["tell me more"]
        assert line.sound() == ANSWERS["tell me more"].replace(".", "").lower() or line.sound()
        (told,) = line.of(ev.TranscriptCompleted)
        assert told.text == "tell me more"
        model = emulator.session.model
        assert (model.instructions, model.voice_name) == ("Be brief.", "amy")
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said().endswith("You said: good morning")
        assert len(line.of(ev.TranscriptCompleted)) == 1
        await line.provider.disconnect()
        assert line.of(ev.ErrorGeneral) == []
    assert list(emulator.session.order.contents) == []


async def test_a_tool():
    async with running() as emulator:
        line = line_to(emulator, tools=[LOOK])
        provider = line.provider
        await provider.connect()
        await line.say("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, call.arguments) == ("look", '{"a": 1}')
        with pytest.raises(MessageError) as refused:
            await provider.send_tool_result("another", "{}")
        assert refused.value.code == "unknown_call"
        await provider.send_tool_result(call.call_id, "it")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "One moment.Found it"
        await provider.disconnect()


async def test_who_is_interrupted_is_told_what_was_heard():
    async with running() as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.say("tell me more")
        await line.wait(ev.ResponseCompleted)
        await line.say("stop it")
        (speech,) = line.of(ev.VadSpeechStarted)
        heard = await line.wait(ev.ConversationInterrupted)
        assert heard.heard_text.startswith("One two three.")
        assert ANSWERS["tell me more"].startswith(heard.heard_text)
        assert heard.heard_text != ANSWERS["tell me more"]
        await line.wait(ev.ResponseCompleted, 2)
        assert speech.item_id == line.of(ev.TranscriptCompleted)[-1].item_id
        assert "interrupted" not in line.said()
        await line.provider.disconnect()


async def test_an_earlier_conversation():
    items = [
        Item(id="a", role="assistant", text="Welcome."),
        Item(id="b", role="user", text="My name is Ada. " + "x" * 3000),
        Item(id="c", role="system", text="She is in Rome."),
    ]
    async with running() as emulator:
        line = line_to(emulator)
        await line.provider.add_conversation_history(items)
        await line.provider.connect()
        await line.provider.send_text("hello")
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(items)
        assert late.value.code == "history_late"
        await line.wait(ev.ResponseCompleted)
        await line.provider.disconnect()
        roles = [role for role, _ in emulator.session.model.memory]
        assert roles[:3] == ["user", "assistant", "user"]
        assert emulator.session.model.memory[2][1] == items[1].text
        assert "She is in Rome." in emulator.session.model.instructions


async def test_what_it_is_to_be_can_change_until_the_first_audio():
    async with running() as emulator:
        line = line_to(emulator)
        provider = line.provider
        await provider.connect()
        await provider.update_session(instructions="Be merry.", tools=[LOOK], voice="matthew")
        assert line.of(ev.SessionUpdated)[0].settings["voice"] == "matthew"
        await line.say("good morning")
        with pytest.raises(UnsupportedFeatureError):
            await provider.update_session(instructions="Be sad.")
        await provider.update_session(instructions="Be merry.", partials=False)
        model = emulator.session.model
        assert (model.instructions, model.voice_name) == ("Be merry.", "matthew")
        assert list(model.tools) == ["look"]
        await provider.disconnect()


async def test_silence_is_sent_where_nobody_speaks():
    async with running(idle_s=3.0) as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await asyncio.sleep(30)
        assert line.provider.is_connected
        assert 28_000 < emulator.session.model.heard_ms < 31_000
        # While somebody speaks, nothing is put in between.
        before = emulator.session.model.heard_ms
        await line.say("good morning", pause_ms=2000)
        words_ms = emulator.session.model.heard_ms - before
        await asyncio.sleep(0.1)
        assert words_ms < 5000
        await line.provider.disconnect()


async def test_usage_is_told_by_what_was_added():
    async with running() as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.say("tell me more")
        await line.wait(ev.ResponseCompleted)
        await line.say("good morning", pause_ms=8000)
        await line.wait(ev.ResponseCompleted, 2)
        await asyncio.sleep(5)
        used = await line.provider.get_usage()
        assert used is not None
        told = line.of(ev.UsageUpdated)
        assert len(told) >= 2
        for name in ("input_audio_tokens", "input_text_tokens", "output_audio_tokens"):
            assert sum(getattr(event, name) for event in told) == used[name] > 0
        assert {event.model for event in told} == {"amazon.nova-2-sonic-v1:0"}
        await line.provider.disconnect()


REFUSALS = [
    (Refuse("auth"), AuthenticationError, "auth"),
    (Refuse("forbidden"), AuthenticationError, "auth"),
    (Refuse("rate_limit"), RateLimitError, "rate_limit"),
    (Refuse("quota"), RateLimitError, "quota"),
    (Refuse("not_found"), ProviderError, "not_found"),
    (Refuse("server_error"), ConnectionError, "server"),
    (Refuse("refused"), ConnectionError, "connection"),
    (Flap(), ConnectionError, "connection"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), REFUSALS, ids=repr)
async def test_a_refusal_is_an_error_of_its_kind(fault: Any, kind: type[Exception], code: str):
    async with running(fault) as emulator:
        line = line_to(emulator)
        with pytest.raises(kind) as refused:
            await line.provider.connect()
        assert refused.value.code == code  # type: ignore[attr-defined]
        assert isinstance(line.events[-1], ev.ConnectionFailed)
        assert line.events[-1].code == code
        await line.provider.disconnect()


async def test_nobody_listens():
    async with running() as emulator:
        await emulator.refuse()
        line = line_to(emulator)
        with pytest.raises(ConnectionError) as refused:
            await line.provider.connect()
        assert refused.value.code == "refused"
        await line.provider.disconnect()


async def test_a_wrong_secret_is_refused_and_not_shown():
    async with running() as emulator:
        metadata = {"aws_secret_access_key": "wrong-but-secret"}
        line = line_to(emulator, api_key=None, metadata=metadata)
        with pytest.raises(AuthenticationError) as refused:
            await line.provider.connect()
        shown = f"{refused.value}{line.events}{line.provider!r}{line.provider.config!r}"
        assert "wrong-but-secret" not in shown
        await line.provider.disconnect()


LOSSES = [
    (Drop(close_code=1011, after_chunks=3), "server", True),
    (Drop(close_code=1012, after_chunks=3), "server", True),
    (Drop(close_code=1013, after_chunks=3), "rate_limit", True),
    (Drop(close_code=1001, after_chunks=3), "overloaded", True),
    (Drop(close_code=1014, after_chunks=3), "timeout", True),
    (Drop(close_code=1008, after_chunks=3), "message", False),
    (Drop(close_code=1006, after_chunks=3), "connection", True),
    (Drop(close_code=1000, after_chunks=3), "closed", True),
    (Expire(close_code=1014, after_s=2), "timeout", True),
]


@pytest.mark.parametrize(("fault", "code", "retryable"), LOSSES, ids=repr)
async def test_the_end_of_a_stream_is_a_loss(fault: Any, code: str, retryable: bool):
    async with running(fault) as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.provider.send_text("tell me more")
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == (code, retryable)
        if not isinstance(fault, Expire):
            assert [e.code for e in line.of(ev.ResponseError)] == [code]
        assert not line.provider.is_connected
        with pytest.raises(ConnectionError):
            await line.provider.send_text("hello")
        await line.provider.disconnect()


async def test_a_late_history_is_refused_by_the_vendor_as_it_does():
    async with running() as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.provider.send_text("hello")
        start = {
            "promptName": line.provider.session_id,
            "contentName": "late",
            "type": "TEXT",
            "interactive": False,
            "role": "ASSISTANT",
            "textInputConfiguration": {"mediaType": "text/plain"},
        }
        await line.provider.send_event({"event": {"contentStart": start}})
        lost = await line.wait(ev.ConnectionLost)
        assert lost.code == "message"
        assert "history" in lost.reason
        await line.provider.disconnect()


@pytest.mark.parametrize("fault", [UnknownEvent(after_s=1), Malformed(after_s=1)], ids=repr)
async def test_what_nobody_knows_is_told(fault: Any):
    async with running(fault) as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await asyncio.sleep(2)
        kinds = (ev.RawEvent, ev.ErrorGeneral)
        assert len([e for e in line.events if isinstance(e, kinds)]) == 1
        await line.say("tell me more")
        await line.wait(ev.ResponseCompleted)
        await line.provider.disconnect()


async def test_a_stream_that_says_nothing_more_can_be_left():
    async with running(Stall(after_chunks=2)) as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.say("tell me more")
        await asyncio.sleep(5)
        await line.provider.disconnect()
        assert [e.reason for e in line.of(ev.ResponseCancelled)] == ["client_cancelled"]
        assert isinstance(line.events[-1], ev.ConnectionClosed)


async def test_a_response_can_be_asked_for():
    async with running() as emulator:
        line = line_to(emulator)
        await line.provider.connect()
        await line.provider.create_response(instructions="tell me more")
        started = await line.wait(ev.ResponseStarted)
        with pytest.raises(MessageError) as refused:
            await line.provider.create_response()
        assert refused.value.code == "response_active"
        end = await line.wait(ev.ResponseCompleted)
        assert end.response_id == started.response_id
        assert line.said() == ANSWERS["tell me more"]
        assert line.of(ev.TranscriptCompleted) == []
        await line.provider.disconnect()


async def test_the_first_model_takes_nothing_in_writing():
    async with running() as emulator:
        line = line_to(emulator, model="amazon.nova-sonic-v1:0")
        await line.provider.connect()
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("hello")
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.create_response()
        await line.say("tell me more")
        await line.wait(ev.ResponseCompleted)
        assert emulator.session.model_id == "amazon.nova-sonic-v1:0"
        await line.provider.disconnect()


@pytest.mark.parametrize("rate", [8000, 24000])
async def test_other_rates(rate: int):
    from voxengine.audio.formats import AudioFormat

    format = AudioFormat("pcm16", rate)
    async with running() as emulator:
        line = line_to(emulator, input_format=format, output_format=format)
        await line.provider.connect()
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == "You said: good morning"
        assert {chunk.sample_rate for chunk in line.of(ev.AudioOutputChunk)} == {rate}
        await line.provider.disconnect()
