"""The configuration as a session: valid for every dialect, and changed by saying only what changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.openai import encode, shape
from voxengine.providers.openai.dialects import AZURE, CUSTOM, DIALECTS, OPENAI, XAI, Dialect
from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

PCM = AudioFormat("pcm16", 24000)
TOOL = {"name": "lookup", "description": "d", "parameters": {"type": "object"}}

_milliseconds = st.integers(0, 5000)
_SERVER_VAD = st.fixed_dictionaries(
    {},
    optional={
        "threshold": st.floats(0.1, 0.9),
        "prefix_padding_ms": _milliseconds,
        "silence_duration_ms": _milliseconds,
        "idle_timeout_ms": st.none() | _milliseconds,
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
    },
)
_SEMANTIC_VAD = st.fixed_dictionaries(
    {},
    optional={
        "eagerness": st.sampled_from(["low", "medium", "high", "auto"]),
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
    },
)
_TURNS = {"server_vad": _SERVER_VAD, "semantic_vad": _SEMANTIC_VAD}


@st.composite
def _configurations(draw: st.DrawFn, dialect: Dialect) -> ProviderConfig:
    kinds = dialect.capabilities.turn_detection
    kind = draw(st.sampled_from([None, "none", *kinds]))
    options = {} if kind == "none" else draw(_TURNS[kind or kinds[0]])
    common = st.fixed_dictionaries(
        {},
        optional={
            "voice": st.sampled_from(["marin", "Ara", "nobody", "voice_1", "Kore"]),
            "instructions": st.text(max_size=20),
            "temperature": st.floats(0, 2),
            "max_response_tokens": st.integers(1, 4096) | st.just("inf"),
            "modalities": st.sampled_from([["audio"], ["text"], ["audio", "text"]]),
            "language": st.sampled_from(["en", "de-DE", "pt_BR"]),
            "transcription": st.booleans(),
            "partials": st.booleans(),
            "tools": st.sampled_from([[], [TOOL], [{"type": "function", **TOOL}]]),
            "transcription_model": st.sampled_from(["whisper-1", "gpt-transcribe"]),
            "transcription_options": st.sampled_from([{}, {"prompt": "x"}, {"keywords": ["x"]}]),
            "noise_reduction": st.sampled_from(
                ["near_field", {"type": "far_field", "strength": 0.5}]
            ),
            "speed": st.floats(0.25, 1.5),
            "tool_choice": st.sampled_from(["auto", {"type": "function", "name": "lookup"}]),
            "parallel_tool_calls": st.booleans(),
            "reasoning": st.just({"effort": "high"}),
            "truncation": st.sampled_from(
                ["auto", {"type": "retention_ratio", "retention_ratio": 0.5}]
            ),
            "tracing": st.sampled_from(["auto", {"workflow_name": "w"}]),
            "include": st.just(["item.input_audio_transcription.logprobs"]),
            "prompt": st.just({"id": "p"}),
            "intent": st.sampled_from(["conversation", "transcription"]),
            "transport": st.just("binary"),
        },
    )
    settings: dict[str, Any] = draw(common)
    if kind is not None:
        settings["turn_detection"] = kind
    if options:
        settings["turn_detection_options"] = options
    return ProviderConfig(**settings)


def _session(dialect: Dialect, config: ProviderConfig, format: AudioFormat = PCM) -> dict[str, Any]:
    return shape.session_of(dialect, config, given=format, taken=format)


def _problems(dialect: Dialect, session: Mapping[str, Any]) -> list[str]:
    judge = realtime_judge(XAI_EXCEPTIONS if dialect is XAI else None)
    return judge.client(encode.update_session(session))


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=50)
@given(data=st.data())
def test_every_session_is_valid(name: str, data: st.DataObject):
    dialect = DIALECTS[name]
    config = data.draw(_configurations(dialect))
    format = data.draw(st.sampled_from(dialect.capabilities.input_formats))
    session = _session(dialect, config, format)
    assert _problems(dialect, session) == []
    assert json.loads(json.dumps(session)) == session  # plain data
    shape.notes_of(dialect, config)
    can = shape.capabilities_of(dialect, config)
    assert can.auto_response <= can.answers


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=50)
@given(data=st.data())
def test_what_changed_makes_one_session_of_the_other(name: str, data: st.DataObject):
    dialect = DIALECTS[name]
    before, after = (_session(dialect, data.draw(_configurations(dialect))) for _ in range(2))
    assume(before.get("type") == after.get("type"))
    untouched = json.dumps((before, after))
    changed = shape.changes(before, after)
    assert json.dumps((before, after)) == untouched
    assert _without_empty(_applied(before, changed)) == _without_empty(after)
    assert shape.changes(after, after) == {}
    # What is sent is a message like any other.
    kind = {"type": after["type"]} if "type" in after else {}
    assert _problems(dialect, {**kind, **changed}) == []


def _applied(session: Any, changed: Any) -> Any:
    """What a vendor does with a change: field by field, as far down as both have objects."""
    if not isinstance(session, dict) or not isinstance(changed, dict):
        return changed
    if session.get("type") != changed.get("type", session.get("type")):
        return changed  # another kind of the same thing, such as of a turn detection
    result = dict(session)
    for name, value in changed.items():
        result[name] = _applied(session.get(name), value)
    return result


def _without_empty(value: Any) -> Any:
    """Without what is as it is where nothing is said."""
    if not isinstance(value, dict):
        return value
    plain = {name: _without_empty(each) for name, each in value.items()}
    return {
        name: each
        for name, each in plain.items()
        if each not in (None, "", [], {}) and each != STANDARD.get(name)
    }


#: What the vendor's types say of a setting that is not given.
STANDARD = {
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_output_tokens": "inf",
    "truncation": "auto",
    "speed": 1.0,
    "transport": "json",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
    "eagerness": "auto",
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
def test_settings_that_are_taken_back_are_cleared(dialect: Dialect):
    full = ProviderConfig(
        instructions="Be brief.",
        tools=[TOOL],
        max_response_tokens=100,
        language="de",
        turn_detection="server_vad",
        turn_detection_options={"threshold": 0.5, "idle_timeout_ms": 6000},
        tool_choice="required",
        noise_reduction={"type": "near_field", "strength": 0.5},
    )
    before = _session(dialect, full)
    changed = shape.changes(before, _session(dialect, ProviderConfig()))
    assert changed["instructions"] == ""
    assert changed["tools"] == []
    assert changed["max_output_tokens"] == "inf"
    assert changed["tool_choice"] == "auto"
    turns = changed if dialect is XAI else changed["audio"]["input"]
    assert turns["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "idle_timeout_ms": None,
    }
    transcription = changed["audio"]["input"]["transcription"]
    assert transcription["language_hint" if dialect is XAI else "language"] is None
    # Whether the vendor takes an object whole or field by field, its model stays.
    assert transcription.get("model") == dialect.transcription_model
    if dialect is not XAI:
        assert changed["audio"]["input"]["noise_reduction"] is None


def test_the_rest_of_an_object_is_said_with_what_changes_of_it():
    noise = {"type": "near_field", "strength": 0.5}
    before = _session(OPENAI, ProviderConfig(noise_reduction=noise, language="de"))
    after = _session(OPENAI, ProviderConfig(noise_reduction="near_field", language="fr"))
    assert shape.changes(before, after) == {
        "audio": {
            "input": {
                "noise_reduction": {"type": "near_field", "strength": None},
                "transcription": {"model": OPENAI.transcription_model, "language": "fr"},
            }
        }
    }


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
def test_turns_that_the_application_ends(dialect: Dialect):
    config = ProviderConfig(turn_detection="none")
    session = _session(dialect, config)
    turns = session if dialect is XAI else session["audio"]["input"]
    assert turns["turn_detection"] is None
    assert ("turn_detection" in session["audio"]["input"]) == (dialect is not XAI)
    assert shape.silence_ms(dialect, config) == 0.0
    can = shape.capabilities_of(dialect, config)
    assert (can.vad_events, can.auto_response, can.self_interrupting) == (False, False, False)
    back = shape.changes(session, _session(dialect, ProviderConfig(turn_detection="server_vad")))
    turns = back if dialect is XAI else back["audio"]["input"]
    assert turns == {"turn_detection": {"type": "server_vad"}}


@pytest.mark.parametrize("dialect", [OPENAI, AZURE, CUSTOM], ids=lambda dialect: dialect.name)
def test_a_session_that_only_transcribes(dialect: Dialect):
    config = ProviderConfig(
        intent="transcription", transcription=False, voice="marin", tools=[TOOL], language="en-GB"
    )
    session = _session(dialect, config)
    assert _problems(dialect, session) == []
    assert session.keys() == {"type", "audio"}
    assert session["audio"].keys() == {"input"}
    assert session["audio"]["input"]["transcription"]["language"] == "en"
    can = shape.capabilities_of(dialect, config)
    assert not any((can.answers, can.tools, can.audio_output, can.auto_response, can.cancel))
    assert (can.vad_events, can.history) == (True, "none")


def test_where_things_stand_with_xai():
    session = _session(XAI, ProviderConfig(voice="Eve", language="en-US", transport="binary"))
    assert session["voice"] == "eve"
    assert session["turn_detection"] == {"type": "server_vad"}
    assert session["resumption"] == {"enabled": True}
    assert "type" not in session
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transport": "binary",
    }
    assert session["audio"]["input"]["transport"] == "binary"
    assert session["audio"]["input"]["transcription"]["language_hint"] == "en"


@pytest.mark.parametrize(
    ("format", "wire"),
    [
        (AudioFormat("g711_ulaw", 8000), {"type": "audio/pcmu"}),
        (AudioFormat("g711_alaw", 8000), {"type": "audio/pcma"}),
        (PCM, {"type": "audio/pcm", "rate": 24000}),
    ],
)
def test_formats(format: AudioFormat, wire: dict[str, Any]):
    audio = _session(OPENAI, ProviderConfig(), format)["audio"]
    assert audio["input"]["format"] == audio["output"]["format"] == wire
    formats = OPENAI.capabilities.input_formats
    assert shape.format_of(format, formats) == format
    assert shape.format_of(AudioFormat(format.encoding, format.sample_rate, 1, 160), formats) == (
        format
    )
    assert shape.format_of(AudioFormat("pcm16", 16000), formats) == formats[0]
    assert shape.format_of(None, formats) == formats[0]


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [(None, "audio"), (["audio", "text"], "audio"), (["text"], "text"), (("text",), "text")],
)
def test_speech_or_text_never_both(wanted: Any, sent: str):
    assert _session(OPENAI, ProviderConfig(modalities=wanted))["output_modalities"] == [sent]


def test_voices():
    assert _session(OPENAI, ProviderConfig(voice="Marin"))["audio"]["output"]["voice"] == "marin"
    own = _session(OPENAI, ProviderConfig(voice="voice_1"))["audio"]["output"]["voice"]
    assert own == {"id": "voice_1"}
    assert _session(CUSTOM, ProviderConfig(voice="Hal"))["audio"]["output"]["voice"] == "Hal"
    mapped = ProviderConfig(voice="Kore", temperature=0.5)
    assert _session(OPENAI, mapped)["audio"]["output"]["voice"] in OPENAI.capabilities.voices
    assert [code for code, _ in shape.notes_of(OPENAI, mapped)] == [
        "temperature_ignored",
        "voice_mapped",
    ]
    assert shape.notes_of(OPENAI, ProviderConfig(voice="marin")) == []


def test_the_vendors_own_words_have_the_last_say():
    extra = {"audio": {"output": {"speed": 1.5}}, "max_output_tokens": 7}
    session = _session(OPENAI, ProviderConfig(voice="marin", max_response_tokens=5, session=extra))
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["output"]["speed"] == 1.5
    assert session["max_output_tokens"] == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn_detection": "client"},
        {"turn_detection": "semantic_vad", "turn_detection_options": {"threshold": 0.5}},
        {"turn_detection_options": {1: 2}},
        {"turn_detection_options": "fast"},
        {"turn_detection_options": {"silence_duration_ms": "long"}},
        {"intent": "dictation"},
        {"modalities": ["video"]},
        {"modalities": []},
        {"modalities": [["audio"]]},
        {"session": "x"},
        {"transcription_options": "x"},
    ],
    ids=str,
)
def test_wrong_settings_are_named(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError) as refused:
        _session(OPENAI, ProviderConfig(**wrong))
    assert any(
        name in str(refused.value) for name in (*wrong, "semantic_vad", "server_vad", "silence_")
    )


def test_what_the_application_asks_of_turns_is_what_the_session_is_told():
    options = {"create_response": False, "interrupt_response": False}
    can = shape.capabilities_of(OPENAI, ProviderConfig(turn_detection_options=options))
    assert (can.vad_events, can.auto_response, can.self_interrupting) == (True, False, False)
    quick = ProviderConfig(turn_detection_options={"silence_duration_ms": 200})
    assert shape.silence_ms(OPENAI, quick) == 200.0
    assert shape.silence_ms(OPENAI, ProviderConfig()) == 500.0
    assert shape.silence_ms(OPENAI, ProviderConfig(turn_detection="semantic_vad")) == 0.0


def test_a_response_without_a_limit_says_so():
    told = shape.response_of(OPENAI, None, None, {"max_response_tokens": None})
    assert told["max_output_tokens"] == "inf"
    assert "max_output_tokens" not in shape.response_of(OPENAI, None, None, {})
