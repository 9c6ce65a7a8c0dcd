"""The Voice Agent's messages and settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item, ItemStatus
from voxengine.errors import ConfigurationError
from voxengine.providers.deepgram import DeepgramProvider, codec
from voxengine.providers.deepgram import session as shape
from voxengine.testing.oracles.deepgram import SPEECH, agent_judge, speech_judge

PCM24 = AudioFormat("pcm16", 24000)
LOOK = {"name": "look", "description": "Look up.", "parameters": {"type": "object"}}


def settings(history: Any = (), **given: Any) -> dict[str, Any]:
    made = shape.settings_of(ProviderConfig.of(given), PCM24, history)
    assert agent_judge().client(codec.encode_event(made)) == []
    return made


def test_what_is_sent_is_valid_by_the_vendors_types():
    judge = agent_judge()
    for message in (
        codec.KEEP_ALIVE,
        codec.encode_user("hello"),
        codec.encode_say("hello"),
        codec.encode_tool_result("call_1", "look", "{}"),
    ):
        assert judge.client(message) == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "InjectUserMessage"},
        {"type": "InjectUserMessage", "content": "hello", "mood": "sunny"},
        {"type": "InjectAgentMessage", "message": "hello", "behavior": "shout"},
        {"type": "Settings", "audio": {"input": {"encoding": "bogus", "sample_rate": 1}}},
        {"type": "UpdateSpeak", "speak": {"provider": {"type": "deepgram", "model": "x"}}},
        {"type": "Hello"},
    ],
)
def test_the_judge_is_not_lenient(message: dict[str, Any]):
    assert agent_judge().client(json.dumps(message)) != []


@pytest.mark.parametrize("interface", SPEECH)
def test_neither_are_those_of_the_interfaces_for_speech(interface: str):
    judge = speech_judge(interface)
    assert judge.client({"type": "Speak", "text": 7}) != []
    assert judge.client({"type": "CloseStream", "mood": "sunny"}) != []
    assert judge.server({"type": "TurnInfo"}) != []


def test_every_type_of_the_server_has_a_place():
    from voxengine.testing.oracles.deepgram import _vocabularies

    _, server = _vocabularies("agent.v1")
    assert set(server.models) == codec.TRANSLATED | set(codec.PASSED_ON) | codec.LET_GO


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"type": 7}',
        b"{",
        b'{"type": "ConversationText", "content": 7}',
        b"\xff",
        b'{"type": "Warning", "code": []}',
    ],
)
def test_what_is_no_message(payload: bytes):
    assert isinstance(codec.decode(payload), codec.Malformed)


def test_what_nobody_knows():
    found = codec.decode(b'{"type": "Mood", "content": 7}')
    assert found == codec.Unknown("Mood", {"type": "Mood", "content": 7})
    assert isinstance(codec.decode(b'{"type": "LatencyReport"}'), codec.Unknown)


def test_settings_without_any_wish():
    agent = settings()["agent"]
    assert agent["listen"]["provider"] == {
        "type": "deepgram",
        "version": "v2",
        "model": "flux-general-en",
    }
    assert agent["think"]["provider"] == {"type": "open_ai", "model": "gpt-4o-mini"}
    speaks = {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}}
    assert agent["speak"] == speaks
    assert "context" not in agent


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-5-mini", {"type": "open_ai", "model": "gpt-5-mini"}),
        ("open_ai/gpt-5", {"type": "open_ai", "model": "gpt-5"}),
        ("google/gemini-2.5-flash", {"type": "google", "model": "gemini-2.5-flash"}),
        ("openai/gpt-oss-20b", {"type": "groq", "model": "openai/gpt-oss-20b"}),
    ],
)
def test_whose_model_thinks(model: str, provider: dict[str, Any]):
    assert settings(model=model)["agent"]["think"]["provider"] == provider


def test_settings_with_wishes():
    made = settings(
        instructions="Be brief.",
        temperature=0.5,
        voice="aura-2-zeus-en",
        tools=[LOOK],
        vocabulary=["Deepgram"],
        turn_options={"eagerness": "high", "silence_duration_ms": 200},
        output_format=AudioFormat("g711_ulaw", 8000),
        metadata={
            "greeting": "Hello.",
            "session": {"tags": ["test"], "agent": {"language": "en"}},
        },
    )
    agent = made["agent"]
    assert made["tags"] == ["test"]
    assert agent["language"] == "en"
    assert made["audio"]["output"] == {
        "encoding": "mulaw",
        "sample_rate": 8000,
        "container": "none",
    }
    listens = agent["listen"]["provider"]
    assert (listens["eot_threshold"], listens["eot_timeout_ms"]) == (0.5, 500)
    assert listens["keyterms"] == ["Deepgram"]
    assert agent["think"]["prompt"].startswith("Be brief.\n\n")
    assert agent["think"]["provider"]["temperature"] == 0.5
    assert agent["think"]["functions"] == [LOOK]
    assert agent["speak"]["provider"]["model"] == "aura-2-zeus-en"
    assert agent["greeting"] == "Hello."


def test_parts_in_the_vendors_own_words():
    other = {"type": "open_ai", "model": "tts-1", "voice": "alloy"}
    where = {"url": "https://example.com", "headers": {}}
    agent = settings(
        metadata={
            "listen": {"model": "nova-3", "smart_format": True},
            "think": {"provider": {"type": "open_ai", "model": "gpt-4o"}, "endpoint": where},
            "speak": {"provider": other, "endpoint": where},
        }
    )["agent"]
    assert agent["listen"]["provider"]["version"] == "v1"
    assert agent["think"]["endpoint"] == where
    assert agent["speak"]["provider"] == other
    flux = settings(voice="flux-haley-en")["agent"]["speak"]["provider"]
    assert (flux["model"], flux["version"]) == ("flux-haley-en", "v2")
    german = settings(language="de")["agent"]["listen"]["provider"]
    assert (german["model"], german["language_hints"]) == ("flux-general-multi", ["de"])
    nova = settings(language="de", metadata={"listen": "nova-3"})["agent"]["listen"]["provider"]
    assert (nova["model"], nova["language"]) == ("nova-3", "de")


def test_a_part_that_is_none():
    with pytest.raises(ConfigurationError, match="listen is the name of a model"):
        settings(metadata={"listen": 7})


def test_what_cannot_be_done_is_told():
    config = ProviderConfig.of({"voice": "marin", "max_response_tokens": 5})
    codes = [code for code, _ in shape.notes_of(config)]
    assert codes == ["max_response_tokens_ignored", "voice_mapped"]


def test_ears_that_find_no_turns_by_what_is_said():
    provider = DeepgramProvider({"api_key": "k", "metadata": {"listen": "nova-3"}})
    assert provider.capabilities.turn_options == ()
    assert provider.capabilities.turn_detection == ("server_vad",)


def test_an_earlier_conversation():
    done: ItemStatus = "completed"
    history = [
        Item(id="0", role="system", text="It rains.", status=done),
        Item(id="1", role="user", text="Look it up.", status=done),
        Item(id="2", kind="function_call", call_id="c", name="look", arguments="{}", status=done),
        Item(id="3", kind="function_output", call_id="c", output="a book", status=done),
        Item(id="4", role="assistant", text="Found", unheard_text=" it.", status="incomplete"),
    ]
    agent = settings(history)["agent"]
    call = {"id": "c", "name": "look", "client_side": True, "arguments": "{}"}
    assert agent["context"]["messages"] == [
        {"type": "History", "role": "user", "content": "Look it up."},
        {"type": "History", "function_calls": [{**call, "response": "a book"}]},
        {"type": "History", "role": "assistant", "content": "Found"},
    ]
    assert "It rains." in agent["think"]["prompt"]
