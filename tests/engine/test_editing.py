"""Items, settings, tools and formats that the application changes in mid-call, on the mock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.caller import Caller
from tests.testing.profiles import PROFILES
from voxengine import Tool, VoiceEngine, register_provider
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import SHIPPED
from voxengine.audio.signal import understand
from voxengine.conversation import Item
from voxengine.errors import (
    ConfigurationError,
    MessageError,
    SessionClosedError,
    ToolError,
    UnsupportedFeatureError,
)
from voxengine.providers.mock import MockProvider, Refuse

SOUND = SHIPPED["apology"].audio
EARLY = {"capabilities": PROFILES["audio only"] | {"text_input": True, "delete": False}}
ULAW = AudioFormat("g711_ulaw", 8000)


def mock(call: Caller) -> MockProvider:
    provider = call.engine.provider
    assert isinstance(provider, MockProvider)
    return provider


def remembered(call: Caller) -> list[tuple[str, str]]:
    """What the provider at work believes was said."""
    return [(e.role, e.text) for e in mock(call).memory.entries if e.kind == "message"]


def message(text: str, item_id: str, role: Any = "user") -> Item:
    return Item(id=item_id, role=role, text=text)


def answered(call: Caller) -> list[str]:
    return [i.text for i in call.engine.conversation.messages if i.role == "assistant"]


# -- items


async def test_items_are_put_in_where_they_belong() -> None:
    async with Caller() as call:
        engine = call.engine
        await engine.add_item(message("are you there", "m3"))
        await engine.add_item(message("be polite", "m1", "system"), after="")
        await engine.add_item(message("hello", "m2", "assistant"), after="m1")
        await asyncio.sleep(1.0)
        said = [("system", "be polite"), ("assistant", "hello"), ("user", "are you there")]
        assert [(i.role, i.text) for i in engine.conversation] == said
        assert remembered(call) == said
        assert not call.of(ev.ResponseStarted)
        await engine.create_response()
        await call.quiet()
        assert answered(call) == ["hello", "yes i am"]


@pytest.mark.parametrize(
    ("item", "after", "code"),
    [
        (message("again", "m1"), None, "item_exists"),
        (message("lost", "m2"), "nowhere", "item_not_found"),
        (message(" ", "m2"), None, "invalid_value"),
        (message("who", "m2", "tool"), None, "invalid_value"),
        (message("no name", ""), None, "invalid_value"),
        (Item(id="m2", kind="function_call", name="look"), None, "invalid_value"),
        (Item(id="m2", kind="function_call", call_id="c"), None, "invalid_value"),
    ],
)
async def test_items_that_cannot_be_put_in(item: Item, after: str | None, code: str) -> None:
    async with Caller() as call:
        await call.engine.add_item(message("hello", "m1"))
        with pytest.raises(MessageError) as refusal:
            await call.engine.add_item(item, after=after)
        assert refusal.value.code == code
        assert [i.id for i in call.engine.conversation] == ["m1"]


async def test_an_item_that_the_provider_refuses_is_in_no_log() -> None:
    class Picky(MockProvider):
        async def add_conversation_history(self, items: Any, *, after: str | None = None) -> None:
            raise MessageError("not this one", provider=self.name)

    register_provider("picky", Picky)
    async with VoiceEngine(provider="picky") as engine:
        with pytest.raises(MessageError, match="not this one"):
            await engine.add_item(message("hello", "m1"))
        assert len(engine.conversation) == 0


async def test_nothing_is_changed_of_a_call_that_is_not_open() -> None:
    engine = VoiceEngine(provider="mock")
    for change in (
        engine.add_item(message("hello", "m1")),
        engine.delete_item("m1"),
        engine.truncate_item("m1", 0),
    ):
        with pytest.raises(SessionClosedError):
            await change
    assert not engine.responding


async def test_an_item_is_forgotten() -> None:
    async with Caller() as call:
        await call.engine.add_item(message("hello", "m1"))
        await call.engine.add_item(message("are you there", "m2"))
        await call.engine.delete_item("m1")
        assert remembered(call) == [("user", "are you there")]
        with pytest.raises(MessageError) as refusal:
            await call.engine.delete_item("m1")
        assert refusal.value.code == "item_not_found"


@pytest.mark.parametrize("metadata", [{}, EARLY], ids=["by name", "by another connection"])
async def test_what_was_said_is_forgotten(metadata: dict[str, Any]) -> None:
    async with Caller(**metadata) as call:
        await call.engine.send_text("my name is ann")
        await call.quiet()
        await call.engine.delete_item(call.engine.conversation[0].id)
        await call.quiet()
        await asyncio.sleep(3)
        assert remembered(call) == [("assistant", "You said: my name is ann")]
        assert [e.reason for e in call.of(ev.ConnectionRestored)] == ["memory"]
        await call.engine.send_text("are you there")
        await call.quiet()
        assert answered(call)[-1] == "yes i am"
        call.check_log()


async def test_a_request_waits_until_the_memory_is_right() -> None:
    async with Caller(**EARLY) as call:
        await call.engine.send_text("tell me")
        await call.quiet()
        await call.engine.send_text("are you there")
        await call.quiet()
        latest = next(i for i in call.engine.conversation if i.text == "are you there")
        await call.engine.delete_item(latest.id)
        await call.engine.create_response()
        await call.quiet()
        assert len(call.providers) == 2
        assert answered(call)[-1] == "one two three four five six"


async def test_a_memory_that_cannot_be_renewed() -> None:
    async with Caller(**EARLY) as call:
        await call.engine.send_text("tell me")
        await call.quiet()
        call.plan.add(Refuse("refused", times=9))
        await call.engine.delete_item(call.engine.conversation[0].id)
        await call.engine.create_response()
        await call.quiet()
        codes = [e.code for e in call.of(ev.SystemWarning)]
        assert codes == ["rotation_failed", "memory_not_renewed"]
        assert len(answered(call)) == 2
        assert len(call.providers) == 1


async def test_a_text_that_was_put_in_is_answered_without_items() -> None:
    async with Caller(**EARLY) as call:
        await call.engine.add_item(message("are you there", "m1"))
        await asyncio.sleep(1)
        assert not call.of(ev.ResponseStarted)
        await call.engine.create_response()
        await call.quiet()
        assert answered(call) == ["yes i am"]
        assert [i.id for i in call.engine.conversation if i.role == "user"] == ["m1"]


async def test_truncation_at_the_client_s_word() -> None:
    async with Caller() as call:
        await call.engine.send_text("tell me")
        started = await call.until(ev.AudioOutputStarted)
        await asyncio.sleep(1.0)
        await call.engine.truncate_item(started.item_id, 800)
        item = call.engine.conversation.get(started.item_id)
        assert item is not None
        assert item.status == "incomplete"
        assert item.heard_ms == pytest.approx(800.0)
        heard = understand(bytes(call.played[item.id])[: AudioFormat().n_bytes(800)], AudioFormat())
        assert item.text.split() == heard.split()[: len(item.text.split())]
        await call.quiet()
        entry = mock(call).memory.get(item.id)
        assert entry is not None
        assert entry.heard_ms == pytest.approx(800.0)
        assert entry.text == item.text
        await call.engine.truncate_item(item.id, 400)
        await asyncio.sleep(0.1)
        assert (item.heard_ms, entry.heard_ms) == (400.0, 400.0)
        assert (item.text + item.unheard_text).startswith("one two")


@pytest.mark.parametrize(
    ("item_id", "ms", "code", "words"),
    [
        ("nothing", 0, "item_not_found", "no item"),
        ("m1", 0, "invalid_value", "speech of the assistant"),
        (None, -1, "invalid_value", "at least 0"),
        (None, 60_000, "invalid_value", "is already shorter than 60000ms"),
    ],
)
async def test_truncations_that_make_no_sense(
    item_id: str | None, ms: float, code: str, words: str
) -> None:
    async with Caller() as call:
        await call.engine.add_item(message("tell me", "m1"))
        await call.engine.create_response()
        await call.quiet()
        with pytest.raises(MessageError, match=words) as refusal:
            await call.engine.truncate_item(item_id or call.engine.conversation[1].id, ms)
        assert refusal.value.code == code


# -- responses


async def test_a_call_says_whether_it_is_responding() -> None:
    async with Caller() as call:
        await call.engine.add_item(message("tell me", "m1"))
        assert not call.engine.responding
        await call.engine.create_response()
        assert call.engine.responding
        await call.engine.interrupt()
        assert not call.engine.responding
        await call.engine.interrupt()
        await call.engine.create_response()
        await call.until(ev.ResponseStarted)
        assert call.engine.responding
        await call.until(ev.ResponseCompleted)
        assert not call.engine.responding
        assert call.engine.state == "speaking"
        await call.quiet()
        assert answered(call) == ["one two three four five six"]


async def test_settings_of_one_response_are_taken_back() -> None:
    async with Caller(config={"voice": "alto"}) as call:
        await call.engine.add_item(message("are you there", "m1"))
        await call.engine.create_response(overrides={"voice": "tenor", "temperature": 0.2})
        assert mock(call).config.voice == "tenor"
        await call.quiet()
        assert (mock(call).config.voice, mock(call).config.temperature) == ("alto", None)
        assert call.engine.config.voice == "alto"
        changes = [args[0] for args in mock(call).calls("configure_session")]
        assert changes == [
            {"voice": "tenor", "temperature": 0.2},
            {"voice": "alto", "temperature": None},
        ]


async def test_a_response_without_tools() -> None:
    async with Caller() as call:
        await call.engine.add_item(message("are you there", "m1"))
        await call.engine.create_response(overrides={"tool_choice": "none"})
        assert mock(call).config.tools == []
        await call.quiet()
        assert [tool["name"] for tool in mock(call).config.tools or ()] == ["look"]


async def test_settings_that_a_response_cannot_have() -> None:
    async with Caller() as call:
        with pytest.raises(ConfigurationError, match="no setting 'speed'"):
            await call.engine.create_response(overrides={"speed": 2})
        with pytest.raises(UnsupportedFeatureError, match="choice of the tool"):
            await call.engine.create_response(overrides={"tool_choice": "required"})
        assert not call.engine.responding
        await call.engine.create_response(overrides={"voice": "tenor"})
        await call.quiet()
        assert len(answered(call)) == 1


# -- who answers


async def test_turns_that_are_answered_on_request() -> None:
    async with Caller(config={"auto_response": False}) as call:
        call.say("are you there")
        await call.until(ev.TranscriptCompleted)
        await asyncio.sleep(3)
        assert not call.of(ev.ResponseStarted)
        await call.engine.create_response()
        await call.quiet()
        assert answered(call) == ["yes i am"]
        await call.engine.update_session(auto_response=True)
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        assert answered(call) == ["yes i am"] * 2
        call.check_log()


async def test_speech_that_does_not_interrupt() -> None:
    async with Caller(config={"interruptions": False}) as call:
        await call.engine.send_text("tell me")
        await call.until(ev.AudioOutputStarted)
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        assert answered(call) == ["one two three four five six", "yes i am"]
        assert not call.of(ev.ConversationInterrupted)
        await call.engine.update_session(interruptions=True)
        await call.engine.send_text("tell me")
        await call.until(ev.AudioOutputStarted)
        call.say("are you there")
        await call.until(ev.ConversationInterrupted)
        await call.quiet()
        call.check_log()


@pytest.mark.parametrize("setting", ["auto_response", "interruptions"])
async def test_a_provider_that_cannot_be_told(setting: str) -> None:
    never = {"capabilities": {f"{setting}_optional": False}}
    with pytest.raises(UnsupportedFeatureError):
        async with Caller(config={setting: False}, **never):
            pass
    async with Caller(**never) as call:
        with pytest.raises(UnsupportedFeatureError):
            await call.engine.update_session(**{setting: False})
        assert getattr(call.engine.config, setting) is True
        await call.engine.update_session(turn_detection="none", **{setting: False})
        assert getattr(call.engine.config, setting) is False


async def test_settings_of_the_turn_detection() -> None:
    async with Caller(config={"turn_options": {"silence_duration_ms": 1500}}) as call:
        seconds = call.say("are you there")
        begin = asyncio.get_running_loop().time()
        await call.until(ev.TurnDetected)
        slow = asyncio.get_running_loop().time() - begin - seconds
        await call.quiet()
        await call.engine.update_session(turn_options={"silence_duration_ms": 300})
        seconds = call.say("are you there")
        begin = asyncio.get_running_loop().time()
        await call.until(ev.TurnDetected)
        quick = asyncio.get_running_loop().time() - begin - seconds
        assert slow - quick == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eagerness": "high"}, "has no 'eagerness'; it has threshold"),
        ({"create_response": False}, "is the setting 'auto_response'"),
    ],
)
async def test_settings_that_the_turn_detection_does_not_have(
    options: dict[str, Any], words: str
) -> None:
    async with Caller() as call:
        with pytest.raises(ConfigurationError, match=words):
            await call.engine.update_session(turn_options=options)
        await call.engine.update_session(turn_options={"eagerness": None})
    with pytest.raises(ConfigurationError, match=words):
        async with Caller(config={"turn_options": options}):
            pass


# -- formats


@pytest.mark.parametrize("chunking", ["latency", "density"])
async def test_formats_change_in_mid_call(chunking: str) -> None:
    async with Caller(config={"chunking": chunking}) as call:
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        await call.engine.update_session(input_format=ULAW, output_format="pcm16@8000")
        assert call.engine.config.input_format == ULAW
        call.events.clear()
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        heard = call.of(ev.TranscriptCompleted)
        assert [e.text for e in heard] == ["are you there"]
        chunks = call.of(ev.AudioOutputChunk)
        assert {(c.encoding, c.sample_rate) for c in chunks} == {("pcm16", 8000)}
        narrow = AudioFormat(sample_rate=8000)
        assert understand(b"".join(c.audio_data for c in chunks), narrow) == "yes i am"
        item = call.engine.conversation[-1]
        assert item.heard_ms == pytest.approx(item.audio_ms)
        assert item.audio_ms == pytest.approx(
            narrow.duration_ms(sum(len(c.audio_data) for c in chunks))
        )


async def test_the_format_changes_while_the_assistant_speaks() -> None:
    async with Caller() as call:
        await call.engine.send_text("tell me")
        await call.until(ev.AudioOutputStarted)
        await asyncio.sleep(0.1)
        await call.engine.update_session(output_format=ULAW)
        await call.quiet()
        chunks = call.of(ev.AudioOutputChunk)
        assert len({c.encoding for c in chunks}) == 2
        ms = sum(
            AudioFormat(c.encoding, c.sample_rate).duration_ms(len(c.audio_data)) for c in chunks
        )
        item = call.engine.conversation[-1]
        assert item.text == "one two three four five six"
        assert item.audio_ms == pytest.approx(ms, abs=1)
        assert item.heard_ms == item.audio_ms


async def test_another_connection_knows_the_formats() -> None:
    async with Caller() as call:
        await call.engine.update_session(input_format=ULAW, output_format=ULAW)
        call.lose()
        await call.until(ev.ConnectionRestored)
        call.events.clear()
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        assert {c.encoding for c in call.of(ev.AudioOutputChunk)} == {"g711_ulaw"}
        assert answered(call) == ["yes i am"]
        assert mock(call).get_audio_format() == ULAW


async def test_a_provider_that_stood_by_is_given_today_s_formats() -> None:
    config = {"fallback": [{"provider": "mock", "metadata": {}}], "warm_standby": True}
    async with Caller(config=config) as call:
        await asyncio.sleep(1)
        await call.engine.update_session(input_format=ULAW, output_format=ULAW)
        first = call.engine.provider
        call.lose()
        await call.until(ev.ProviderSwitched)
        assert call.engine.provider is not first
        assert call.engine.config.input_format == ULAW
        call.events.clear()
        call.say("are you there")
        heard = await call.until(ev.TranscriptCompleted)
        await call.quiet()
        assert heard.text == "are you there"
        assert {c.encoding for c in call.of(ev.AudioOutputChunk)} == {"g711_ulaw"}


async def test_what_is_said_without_a_provider_has_today_s_format() -> None:
    async with Caller() as call:
        await call.engine.update_session(output_format=ULAW)
        await call.engine.announce({"text": "hold on", "audio": SOUND})
        await call.quiet()
        assert {c.encoding for c in call.of(ev.AudioOutputChunk)} == {"g711_ulaw"}


# -- tools


async def find() -> str:
    """Find something."""
    return "found"


async def test_tools_are_replaced() -> None:
    async with Caller() as call:
        await call.engine.set_tools([Tool(find)])
        assert [t["name"] for t in mock(call).config.tools or ()] == ["find"]
        call.lose()
        await call.until(ev.ConnectionRestored)
        assert [t["name"] for t in mock(call).config.tools or ()] == ["find"]
        known = {"name": "find", "description": "as it is registered"}
        other = {"name": "other", "description": "not here", "parameters": {"type": "object"}}
        await call.engine.update_session(tools=[known, other, call.look])
        told = mock(call).config.tools or []
        assert [t["name"] for t in told] == ["find", "look", "other"]
        assert told[0]["description"] == "Find something."


async def test_tools_that_cannot_be_offered() -> None:
    async with Caller() as call:
        with pytest.raises(ConfigurationError, match="not int"):
            await call.engine.update_session(tools=[7])
        with pytest.raises(ToolError):
            await call.engine.update_session(tools=[lambda x: x])
        assert [t["name"] for t in mock(call).config.tools or ()] == ["look"]
    async with Caller(capabilities={"tools": False}) as call:
        with pytest.raises(UnsupportedFeatureError):
            await call.engine.set_tools([Tool(find)])
        await call.engine.set_tools([])


@pytest.mark.parametrize("continues", [True, False])
async def test_a_result_that_is_answered_on_request(continues: bool) -> None:
    waits = asyncio.Event()

    async def look() -> str:
        """Look something up."""
        await waits.wait()
        return "never"

    async with Caller(capabilities={"continues_after_tool": continues}) as call:
        await call.engine.set_tools([Tool(look, responds=False, timeout=600)])
        await call.engine.add_item(message("look it up", "m1"))
        await call.engine.create_response()
        invoked = await call.until(ev.FunctionInvoked)
        await call.quiet()
        assert not call.engine.responding
        call.say("are you there")
        await call.until(ev.TurnDetected)
        await call.quiet()
        assert answered(call)[-1] == "yes i am"
        result = Item(
            id="out", kind="function_output", role="tool", call_id=invoked.call_id, output="it"
        )
        await call.engine.add_item(result)
        await asyncio.sleep(3)
        assert len(call.of(ev.ResponseStarted)) == 2
        assert [e.output for e in call.of(ev.FunctionCompleted)] == ["it"]
        assert mock(call).calls("send_tool_result") == [(invoked.call_id, "it")]
        await call.engine.create_response()
        await call.quiet()
        assert answered(call)[-1] == "found it"
        assert not call.of(ev.ErrorGeneral)
