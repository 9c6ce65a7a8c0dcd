"""What an application puts in: audio, text, requests; and what it gets when that will not do."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import ABLE, RATE, Desk, desk, tone
from voxengine import (
    AudioError,
    AudioFormat,
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    SessionClosedError,
    UnsupportedFeatureError,
    VoiceEngine,
)
from voxengine import events as ev
from voxengine.audio import g711
from voxengine.providers.base import BaseProvider


def wav(width: int = 2, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(8000)
        writer.writeframes(bytes(1600))
    return file.getvalue()


# -- not connected

METHODS: dict[str, Callable[[VoiceEngine], Any]] = {
    "send_audio": lambda e: e.send_audio(b"\0\0"),
    "send_text": lambda e: e.send_text("hi"),
    "create_response": lambda e: e.create_response(),
    "interrupt": lambda e: e.interrupt(),
    "say": lambda e: e.say("hi"),
    "generate_tts": lambda e: e.generate_tts("hi"),
    "commit_audio": lambda e: e.commit_audio(),
    "clear_audio": lambda e: e.clear_audio(),
    "update_session": lambda e: e.update_session(voice="x"),
}


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_goes_in_before_or_after_the_conversation(
    make_engine: MakeEngine, method: str
) -> None:
    engine = make_engine()
    with pytest.raises(SessionClosedError, match="connect"):
        await METHODS[method](engine)
    async with engine:
        await METHODS[method](engine)
    with pytest.raises(SessionClosedError):
        await METHODS[method](engine)


async def test_acknowledging_needs_a_conversation(make_engine: MakeEngine) -> None:
    with pytest.raises(SessionClosedError):
        make_engine().acknowledge_playback("a", 1.0)


# -- audio


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (b"\0" * 481, "audio_odd_bytes"),
        (b"\0", "audio_odd_bytes"),
        (wav(), "audio_container"),
        (wav(width=1), "audio_container"),
        (wav(channels=2), "audio_container"),
        (bytes(100 * 1024 * 1024), "audio_too_large"),
        ("text", "audio_type"),
        (None, "audio_type"),
        ([1, 2, 3], "audio_type"),
        (7, "audio_type"),
    ],
    ids=["odd", "one", "wav", "wav8", "wav-stereo", "100MB", "str", "None", "list", "int"],
)
async def test_what_cannot_be_audio_is_refused_and_the_conversation_goes_on(
    make_engine: MakeEngine, audio: Any, code: str
) -> None:
    kind = desk(send_text=lambda p, *_: p.answer("fine"))
    texts: list[str] = []
    async with make_engine(kind) as engine:
        engine.on("text_chunk", lambda e: texts.append(e.text))
        with pytest.raises(AudioError) as caught:
            await engine.send_audio(audio)
        assert caught.value.code == code
        assert kind.made[0].asked("send_audio") == []
        await engine.send_audio(tone(20))
        await engine.send_text("still there?")
        assert engine.is_connected
    assert kind.made[0].asked("send_audio") == [(tone(20),)]
    assert texts == ["fine"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_all_kinds_of_bytes(make_engine: MakeEngine, kind: Any) -> None:
    provider = desk()
    async with make_engine(provider) as engine:
        await engine.send_audio(kind(tone(20)))
    (sent,) = provider.made[0].asked("send_audio")
    assert sent == (tone(20),)
    assert type(sent[0]) is bytes


async def test_no_audio_is_no_call(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        await engine.send_audio(b"")
    assert kind.made[0].order == ["connect", "disconnect"]


async def test_ten_minutes_of_silence_are_just_sent(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        for _ in range(600):
            await engine.send_audio(bytes(RATE * 2))
            await asyncio.sleep(1)
        assert engine.state == "idle"
    assert len(kind.made[0].asked("send_audio")) == 600


@pytest.mark.parametrize(
    ("app", "provider"),
    [
        (AudioFormat("g711_ulaw", 8000), AudioFormat("pcm16", 24000)),
        (AudioFormat("g711_alaw", 8000), AudioFormat("pcm16", 16000)),
        (AudioFormat("pcm16", 16000), AudioFormat("g711_ulaw", 8000)),
        (AudioFormat("pcm16", 48000), AudioFormat("pcm16", 24000)),
        (AudioFormat("pcm16", 24000), AudioFormat("pcm16", 24000)),
    ],
    ids=str,
)
async def test_formats_are_converted_on_the_way_in_and_out(
    make_engine: MakeEngine, app: AudioFormat, provider: AudioFormat
) -> None:
    """A second each way arrives as a second, in the other's format, and is not silence."""
    spoken = sine(provider)

    def answer(p: Desk, *_: Any) -> None:
        p.begin()
        for start in range(0, len(spoken), provider.n_bytes(100)):
            p.audio(
                spoken[start : start + provider.n_bytes(100)],
                sample_rate=provider.sample_rate,
                encoding=provider.encoding,
            )
        p.end()

    able = msgspec.structs.replace(ABLE, input_formats=(provider,), output_formats=(provider,))
    kind = desk(able, send_text=answer)
    chunks: list[Any] = []
    async with make_engine(kind, input_format=app, output_format=app) as engine:
        engine.on("audio_chunk", chunks.append)
        heard = sine(app)
        for start in range(0, len(heard), app.n_bytes(20)):
            await engine.send_audio(heard[start : start + app.n_bytes(20)])
        await engine.send_text("go")
        await asyncio.sleep(2)
        item = engine.conversation[-1]
        assert item.audio_ms == pytest.approx(1000, abs=5)
        assert item.heard_ms == item.audio_ms
    sent = b"".join(args[0] for args in kind.made[0].asked("send_audio"))
    assert provider.duration_ms(len(sent)) == pytest.approx(1000, abs=30)
    assert loudness(sent, provider) == pytest.approx(0.35, abs=0.03)
    assert {(c.encoding, c.sample_rate) for c in chunks} == {(app.encoding, app.sample_rate)}
    got = b"".join(c.audio_data for c in chunks)
    assert app.duration_ms(len(got)) == pytest.approx(1000, abs=5)
    assert loudness(got, app) == pytest.approx(0.35, abs=0.03)
    assert {(c.item_id, c.response_id) for c in chunks} == {(item.id, item.response_id)}


def sine(format: AudioFormat, ms: int = 1000) -> bytes:
    """400 Hz at half of full scale."""
    t = np.arange(format.sample_rate * ms // 1000) / format.sample_rate
    pcm = (16384 * np.sin(2 * np.pi * 400 * t)).astype("<i2").tobytes()
    return pcm if format.encoding == "pcm16" else g711.encode(pcm, format.encoding)


def loudness(audio: bytes, format: AudioFormat) -> float:
    """Root mean square, full scale being 1."""
    pcm = audio if format.encoding == "pcm16" else g711.decode(audio, format.encoding)
    samples = np.frombuffer(pcm, "<i2").astype("f4") / 32768
    return float(np.sqrt((samples**2).mean()))


# -- text


@pytest.mark.parametrize("text", ["", "   ", "\n\t", None, 5, b"bytes", ["hi"]])
async def test_a_text_that_is_none_is_refused(make_engine: MakeEngine, text: Any) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        for method in (engine.send_text, engine.say):
            with pytest.raises(MessageError):
                await method(text)
        assert engine.state == "idle"
        assert len(engine.conversation) == 0
    assert kind.made[0].order == ["connect", "disconnect"]


async def test_a_text_that_is_too_long_is_refused(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        await engine.send_text("x" * 100_000)
        for method in (engine.send_text, engine.say):
            with pytest.raises(MessageError, match="100001 characters"):
                await method("x" * 100_001)
    assert len(kind.made[0].asked("send_text")) == 1


@pytest.mark.parametrize("text", ["🎉🎉", "你好", "👩‍👩‍👧‍👦", "אבג", "\u200b!", "ą́"])
async def test_any_script_goes_in_and_into_the_log(make_engine: MakeEngine, text: str) -> None:
    kind = desk(send_text=lambda p, t, *_: p.answer(t))
    async with make_engine(kind) as engine:
        await engine.send_text(text)
        await asyncio.sleep(1)
        assert [(i.role, i.text) for i in engine.conversation] == [
            ("user", text),
            ("assistant", text),
        ]
        assert text in engine.conversation.to_json()
    assert kind.made[0].asked("send_text") == [(text, "user")]


async def test_a_text_that_utf8_cannot_hold_is_refused(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        for method in (engine.send_text, engine.say):
            with pytest.raises(MessageError, match="UTF-8"):
                await method("\ud800")


async def test_only_the_users_text_is_answered(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        await engine.send_text("be brief", role="system")
        await engine.send_text("I said so", role="assistant")
        assert engine.state == "idle"
        await engine.send_text("hi")
        assert engine.state == "thinking"
        assert [(i.role, i.text) for i in engine.conversation] == [
            ("system", "be brief"),
            ("assistant", "I said so"),
            ("user", "hi"),
        ]
    assert kind.made[0].asked("send_text") == [
        ("be brief", "system"),
        ("I said so", "assistant"),
        ("hi", "user"),
    ]


@pytest.mark.parametrize("role", ["tool", "", "User", None])
async def test_roles_that_are_none(make_engine: MakeEngine, role: Any) -> None:
    async with make_engine() as engine:
        with pytest.raises(MessageError, match="'user', 'system' or 'assistant'"):
            await engine.send_text("hi", role=role)


# -- what a provider may fail at


async def test_what_the_provider_raises_comes_to_the_caller(make_engine: MakeEngine) -> None:
    failure = RuntimeError("not today")

    def refuse(*_: Any) -> None:
        raise failure

    async with make_engine(desk(send_text=refuse)) as engine:
        events: list[Any] = []
        engine.on("*", events.append)
        with pytest.raises(RuntimeError) as caught:
            await engine.send_text("hi")
        assert caught.value is failure
        assert engine.state == "idle"
        assert [e.state for e in events if isinstance(e, ev.StateChanged)] == ["thinking", "idle"]
        await asyncio.sleep(60)
        # The caller was told; nobody else is told again.
        assert not [e for e in events if e.type in ("error", "response_error")]


@pytest.mark.parametrize(
    ("method", "hook"),
    [
        ("send_text", "send_text"),
        ("create_response", "create_response"),
        ("say", "generate_tts"),
        ("commit_audio", "commit_audio"),
        ("clear_audio", "clear_audio"),
        ("update_session", "configure_session"),
    ],
)
async def test_a_provider_that_takes_too_long(
    make_engine: MakeEngine, method: str, hook: str
) -> None:
    hooks: dict[str, Any] = {hook: lambda *_: asyncio.sleep(1000)}
    kind = desk(**hooks)
    async with make_engine(kind) as engine:
        with pytest.raises(ProviderError, match="took longer than 10 s") as caught:
            await METHODS[method](engine)
        assert (caught.value.code, caught.value.provider) == ("timeout", "desk")
        assert asyncio.get_running_loop().time() == 10.0
        assert engine.state == "idle"


async def test_an_answer_that_never_comes(make_engine: MakeEngine) -> None:
    errors: list[Any] = []
    async with make_engine(response_timeout=7.0) as engine:
        engine.on("error", errors.append)
        await engine.send_text("hi")
        await asyncio.sleep(6.9)
        assert engine.state == "thinking"
        await asyncio.sleep(0.2)
        assert engine.state == "idle"
    assert [(e.code, e.recoverable) for e in errors] == [("response_timeout", True)]


async def test_an_answer_that_stops_in_the_middle(make_engine: MakeEngine) -> None:
    def half(p: Desk, *_: Any) -> None:
        p.begin()
        p.words("and then")
        p.audio(tone(500))

    kind = desk(send_text=half)
    events: list[Any] = []
    async with make_engine(kind, stall_timeout=5.0) as engine:
        engine.on(["error", "response_error"], events.append)
        await engine.send_text("hi")
        await asyncio.sleep(30)
        assert engine.state == "idle"
        assert engine.conversation[-1].status == "incomplete"
    assert [(e.type, e.code) for e in events] == [
        ("response_error", "response_stalled"),
        ("error", "response_stalled"),
    ]
    assert "interrupt" in kind.made[0].order


# -- a provider that does only what it must


class OnlyMust(BaseProvider):
    """As a provider is written from the guide: no ids, no starts and ends, a text without a role."""

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def send_audio(self, audio_data: bytes) -> None: ...

    async def interrupt(self) -> None: ...

    async def send_text(self, text: str) -> None:  # type: ignore[override]
        self.emit_event("text_chunk", {"text": f"You said {text}."})
        self.emit_event("audio_chunk", {"audio_data": tone(300), "sample_rate": RATE})


class Writes(OnlyMust):
    """One that does not speak, though its capabilities do not say so."""

    async def send_text(self, text: str) -> None:  # type: ignore[override]
        self.emit_event("text_chunk", {"text": "Yes."})


async def test_a_provider_written_from_the_guide(make_engine: MakeEngine) -> None:
    kinds: list[str] = []
    async with make_engine(OnlyMust) as engine:
        engine.on("*", lambda e: kinds.append(str(e.type)))
        await engine.send_text("one")
        assert engine.state == "speaking"
        await asyncio.sleep(1)
        assert engine.state == "idle"
        await engine.send_text("two")
        await asyncio.sleep(1)
        assert [i.text for i in engine.conversation] == [
            "one",
            "You said one.",
            "two",
            "You said two.",
        ]
    assert kinds.count("response_started") == kinds.count("response_completed") == 2
    assert "error" not in kinds


async def test_one_that_answers_in_text_alone_is_not_thought_stalled(
    make_engine: MakeEngine,
) -> None:
    kinds: list[str] = []
    async with make_engine(Writes) as engine:
        engine.on("*", lambda e: kinds.append(str(e.type)))
        await engine.send_text("one")
        await asyncio.sleep(120)
        assert engine.state == "idle"
        assert engine.conversation[-1].status == "completed"
    assert "error" not in kinds
    assert kinds.count("response_completed") == 1


@pytest.mark.parametrize("method", ["create_response", "say", "commit_audio", "clear_audio"])
async def test_what_it_cannot_do_is_refused_in_words(make_engine: MakeEngine, method: str) -> None:
    async with make_engine(OnlyMust) as engine:
        with pytest.raises(UnsupportedFeatureError, match="'desk' does not offer"):
            await METHODS[method](engine)
        assert engine.state == "idle"


async def test_a_note_for_one_that_takes_none_is_refused(make_engine: MakeEngine) -> None:
    async with make_engine(OnlyMust) as engine:
        with pytest.raises(UnsupportedFeatureError, match="'system'"):
            await engine.send_text("be brief", role="system")
        assert len(engine.conversation) == 0


# -- requests


async def test_a_response_on_request(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        await engine.create_response(["text"], instructions="greet")
        assert engine.state == "thinking"
    assert kind.made[0].asked("create_response") == [(["text"], "greet")]


async def test_say_word_for_word(make_engine: MakeEngine) -> None:
    kind = desk(generate_tts=lambda p, text: p.answer(text))
    async with make_engine(kind) as engine:
        await engine.say("Hold the line.")
        await asyncio.sleep(1)
        assert [(i.role, i.text) for i in engine.conversation] == [("assistant", "Hold the line.")]
        await engine.generate_tts("Still there?")
    assert kind.made[0].asked("generate_tts") == [("Hold the line.",), ("Still there?",)]


async def test_say_where_the_provider_cannot(make_engine: MakeEngine) -> None:
    kind = desk(msgspec.structs.replace(ABLE, say=False))
    async with make_engine(kind) as engine:
        await engine.say("Hold the line.")
    ((modalities, instructions),) = kind.made[0].asked("create_response")
    assert modalities is None
    assert "word for word" in instructions
    assert "Hold the line." in instructions


async def test_interrupting_where_there_is_nothing(make_engine: MakeEngine) -> None:
    kind = desk()
    kinds: list[str] = []
    async with make_engine(kind) as engine:
        engine.on("*", lambda e: kinds.append(str(e.type)))
        await engine.interrupt()
        await engine.interrupt()
        assert kinds == []
    assert kind.made[0].order == ["connect", "disconnect"]


async def test_interrupting_an_answer(make_engine: MakeEngine) -> None:
    def answer(p: Desk, *_: Any) -> None:
        p.begin()
        p.words("one two three four")
        p.audio(tone(1000))

    kind = desk(send_text=answer)
    events: list[Any] = []
    async with make_engine(kind) as engine:
        engine.on(["audio_output_stopped", "conversation_interrupted"], events.append)
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        await engine.interrupt()
        assert engine.state == "idle"
        item = engine.conversation[-1]
        assert (item.text, item.heard_ms, item.status) == ("one two", 500, "incomplete")
    stopped, interrupted = events
    assert (stopped.interrupted, stopped.heard_ms) == (True, 500)
    assert (interrupted.heard_text, interrupted.reason) == ("one two", "request")
    (provider,) = kind.made
    assert provider.order[:4] == ["connect", "send_text", "interrupt", "truncate_item"]
    assert provider.asked("truncate_item") == [(item.id, 500.0, "one two")]


async def test_what_is_decided_first_reaches_the_provider_first(make_engine: MakeEngine) -> None:
    """A text in mid-answer: the answer is called off and cut before the provider gets the text."""

    def answer(p: Desk, *_: Any) -> None:
        p.begin()
        p.words("one two three four")
        p.audio(tone(1000))

    kind = desk(send_text=answer)
    async with make_engine(kind) as engine:
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        await engine.send_text("stop that")
    assert kind.made[0].order == [
        "connect",
        "send_text",
        "interrupt",
        "truncate_item",
        "send_text",
        "disconnect",
    ]


async def test_the_clients_word_on_what_was_heard_counts(make_engine: MakeEngine) -> None:
    def answer(p: Desk, *_: Any) -> None:
        p.begin()
        p.words("one two three four")
        p.audio(tone(1000))

    async with make_engine(desk(send_text=answer)) as engine:
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        engine.acknowledge_playback(engine.conversation[-1].id, 250.0)
        await engine.interrupt()
        assert engine.conversation[-1].heard_ms == pytest.approx(250)


# -- settings in mid-conversation


async def test_settings_can_be_changed(make_engine: MakeEngine) -> None:
    kind = desk()
    updates: list[Any] = []
    async with make_engine(kind, voice="alto") as engine:
        engine.on("session_updated", updates.append)
        await engine.update_session()
        await engine.update_session(instructions="be brief", temperature=0.2, region="eu")
        assert engine.config.instructions == "be brief"
        assert engine.config.voice == "alto"
        provider = kind.made[0]
        assert provider.config.instructions == "be brief"
        assert provider.config.option("region") == "eu"
    assert provider.asked("configure_session") == [
        ({"instructions": "be brief", "temperature": 0.2, "region": "eu"},)
    ]
    assert [u.settings["instructions"] for u in updates] == ["be brief"]


async def test_changed_settings_are_those_of_the_next_provider(make_engine: MakeEngine) -> None:
    kind = desk()
    engine = make_engine(kind, instructions="be kind")
    async with engine:
        await engine.update_session(instructions="be brief")
    async with engine:
        assert kind.made[1].config.instructions == "be brief"
        await engine.switch_provider("desk")
        assert kind.made[2].config.instructions == "be brief"


async def test_settings_that_were_refused_are_not_kept(make_engine: MakeEngine) -> None:
    def refuse(*_: Any) -> None:
        raise ProviderError("no such voice", code="voice")

    async with make_engine(desk(configure_session=refuse), voice="alto") as engine:
        with pytest.raises(ProviderError, match="no such voice"):
            await engine.update_session(voice="bass")
        assert engine.config.voice == "alto"


@pytest.mark.parametrize(
    "settings",
    [
        {"output_format": "mp3"},
        {"input_format": AudioFormat(channels=2)},
        {"modalities": ["video"]},
        {"auto_response": "no"},
        {"turn_options": "slow"},
    ],
)
async def test_settings_that_will_not_do(make_engine: MakeEngine, settings: dict[str, Any]) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        with pytest.raises(ConfigurationError):
            await engine.update_session(**settings)
    assert kind.made[0].asked("configure_session") == []


async def test_turns_that_the_application_ends(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind, turn_detection="none") as engine:
        await engine.send_audio(tone(100))
        await engine.commit_audio()
        await engine.clear_audio()
        assert kind.made[0].config.turn_detection == "none"
    assert kind.made[0].order == [
        "connect",
        "send_audio",
        "commit_audio",
        "clear_audio",
        "disconnect",
    ]


async def test_a_connection_that_was_closed_under_our_hands(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind, reconnect_timeout=0) as engine:
        kind.made[0].lose()
        for method in METHODS.values():
            with pytest.raises(ConnectionError, match="is lost") as caught:
                await method(engine)
            assert caught.value.code == "closed"


async def test_a_text_that_the_provider_cannot_take_is_not_in_the_log():
    settings = {"capabilities": {"text_input": False}}
    async with VoiceEngine(provider="mock", metadata=settings) as engine:
        with pytest.raises(UnsupportedFeatureError):
            await engine.send_text("hello")
        assert not len(engine.conversation)
