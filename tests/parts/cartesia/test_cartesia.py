"""Cartesia as the voice of a cascade: our part, and the vendor's own client, against the emulator."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.cartesia.codec import (
    Chunk,
    Done,
    Failure,
    FlushDone,
    Timestamps,
    Unknown,
    VoiceSettings,
    decode,
    encode_cancel,
    encode_text,
)
from voxengine.providers.cartesia.places import Places
from voxengine.providers.cartesia.tts import CartesiaTTS
from voxengine.providers.cartesia.voices import VOICES
from voxengine.providers.cascade.parts import Speech, SpokenWord, StreamingTTS
from voxengine.providers.cascade.registry import create_part
from voxengine.testing.emulators.cartesia import CartesiaEmulator
from voxengine.testing.emulators.faults import (
    Drop,
    ErrorOnce,
    Flap,
    LateAudio,
    Malformed,
    Refuse,
    Slow,
    UnknownEvent,
)
from voxengine.testing.oracles.cartesia import cartesia_judge

pytest.importorskip("cartesia")

KEY = "sk_car_" + "4" * 20
MOUTH = AudioFormat("pcm16", 24000)
OWN_VOICE = "12345678-90ab-cdef-1234-567890abcdef"
VOICE: Any = {"mode": "id", "id": OWN_VOICE}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)


@pytest.fixture
async def vendor() -> AsyncIterator[CartesiaEmulator]:
    async with CartesiaEmulator(key=KEY) as emulator:
        yield emulator


def voice(emulator: CartesiaEmulator, spec: str = "cartesia/sonic-3", **more: Any) -> CartesiaTTS:
    made: CartesiaTTS = create_part("tts", spec, {"api_key": KEY, **emulator.metadata, **more})
    return made


async def heard(stream: Any) -> tuple[str, list[SpokenWord], list[Speech]]:
    pieces = [piece async for piece in stream]
    words = [word for piece in pieces for word in piece.words]
    return understand(b"".join(piece.audio for piece in pieces), MOUTH), words, pieces


async def begun(tts: CartesiaTTS, speed: float = 1.0, asked: str | None = None) -> Any:
    return await tts.open(voice=asked, speed=speed, session="call")


def inputs(emulator: CartesiaEmulator) -> list[dict[str, Any]]:
    return [message for session in emulator.sessions for message in session.events]


# -- messages


SETTINGS = VoiceSettings(model="sonic-3", voice=OWN_VOICE, sample_rate=24000)


def test_what_is_sent_is_what_the_vendor_declares() -> None:
    judge = cartesia_judge()
    full = VoiceSettings(
        model="sonic-3",
        voice=OWN_VOICE,
        sample_rate=8000,
        language="de",
        generation={"speed": 1.2, "volume": 0.7, "emotion": "calm"},
        buffer_ms=0,
        pronunciation="dict_1",
    )
    for sent in (
        encode_text(SETTINGS, "c-1", " hello"),
        encode_text(SETTINGS, "c-1", "", flush=True),
        encode_text(full, "c-2", "", more=False),
        encode_cancel("c-1"),
    ):
        assert judge.client(sent) == []
    assert judge.client_seen == {"input": 3, "cancel": 1}
    plain = json.loads(encode_text(SETTINGS, "c-1", " hello"))
    assert plain["continue"] is True
    assert "flush" not in plain
    assert "generation_config" not in plain
    assert json.loads(encode_text(full, "c-2", "", more=False))["continue"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"cancel": True},
        {"cancel": False, "context_id": "c"},
        {"context_id": "c", "transcript": "x", "mood": 1},
        {**json.loads(encode_text(SETTINGS, "c", "x")), "mood": "sunny"},
        {**json.loads(encode_text(SETTINGS, "c", "x")), "continue": "yes"},
        {**json.loads(encode_text(SETTINGS, "c", "x")), "generation_config": {"emotion": "odd"}},
        {"type": "input", "context_id": "c"},
    ],
)
def test_the_judge_sees_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert cartesia_judge().client(json.dumps(wrong))


def test_what_comes() -> None:
    head = {"context_id": "c", "done": False, "status_code": 206}

    def read(**fields: Any) -> Any:
        return decode(json.dumps({**head, **fields}).encode())

    assert read(type="chunk", data="AAAB", step_time=1.0, flush_id=2) == Chunk("c", b"\0\0\1", 2)
    assert read(type="flush_done", flush_done=True, flush_id=1) == FlushDone("c", 1)
    assert read(type="done") == Done("c")
    assert read(type="phoneme_timestamps") == Unknown("phoneme_timestamps")
    told = read(type="timestamps", word_timestamps={"words": ["a"], "start": [0], "end": [1]})
    assert isinstance(told, Timestamps)
    assert told.word_timestamps is not None
    failure = read(type="error", error="Old: words", title=None)
    assert isinstance(failure, Failure)
    assert failure.words == "Old: words"
    for broken in (
        b'{"type": "chunk"}',
        b"[]",
        b"{",
        b'{"type": "chunk", "context_id": "c", "data": 1}',
    ):
        with pytest.raises(ValueError, match=r".+"):
            decode(broken)


def told(*words: tuple[str, float, float], flush: int | None = None) -> Timestamps:
    return decode_timestamps([list(column) for column in zip(*words, strict=True)], flush)


def decode_timestamps(columns: list[list[Any]], flush: int | None) -> Timestamps:
    found = dict(zip(("words", "start", "end"), columns, strict=True))
    message = {"type": "timestamps", "context_id": "c", "word_timestamps": found, "flush_id": flush}
    read = decode(json.dumps(message).encode())
    assert isinstance(read, Timestamps)
    return read


def starts(words: tuple[SpokenWord, ...]) -> list[float]:
    return [word.start_ms for word in words]


def test_places_whatever_the_vendor_counts_from() -> None:
    places = Places("en")
    places.next_context()
    assert starts(places.words(told(("Hello", 0, 0.4), ("there", 0.5, 0.9)))) == [0, 500]
    places.audio_ms = 1000
    # From the beginning of the context on,
    assert starts(places.words(told(("how", 1.0, 1.2), flush=1))) == [1000]
    places.audio_ms = 2000
    # or from the flush on.
    assert starts(places.words(told(("are", 0.1, 0.2), flush=2))) == [2100]
    assert starts(places.words(told(("you", 0.3, 0.4), flush=2))) == [2300]
    places.audio_ms = 3000
    places.next_context()
    assert places.words(told(("now", 0.0, 0.4))) == (SpokenWord(" now", 3000, 3400),)
    assert Places("ja").words(told(("元", 0.0, 0.4)))[0].text == "元"
    assert Places(None).words(Timestamps("c")) == ()


# -- the part


async def test_words_as_they_come_are_spoken(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor, language="en-GB")
    assert isinstance(tts, StreamingTTS)
    await tts.load()
    stream = await begun(tts)
    for piece in ("", "Good", " morning,", " two", " sentences."):
        stream.push(piece)
    stream.flush()
    for piece in (" Here", " is", " the", " second."):
        stream.push(piece)
    stream.flush()
    stream.end()
    said, words, _ = await heard(stream)
    assert said == "Good morning, two sentences. Here is the second."
    assert "".join(word.text for word in words).strip() == said
    assert [w.start_ms for w in words] == sorted(w.start_ms for w in words)
    sent = inputs(vendor)
    assert [message["transcript"] for message in sent] == [
        *("Good", " morning,", " two", " sentences.", ""),
        *(" Here", " is", " the", " second.", "", ""),
    ]
    assert [message.get("flush", False) for message in sent].count(True) == 2
    assert [message["continue"] for message in sent] == [True] * 10 + [False]
    assert {message["language"] for message in sent} == {"en"}
    assert {message["voice"]["id"] for message in sent} == {VOICES[0].id}
    await tts.close()


async def test_it_speaks_before_the_text_is_complete(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    stream = await begun(tts)
    stream.push("One sentence.")
    stream.flush()
    first = await anext(aiter(stream))
    assert first.audio or first.words
    stream.push(" More.")
    stream.end()
    await tts.close()


async def test_one_socket_for_the_whole_session(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    await tts.load()
    for text in ("first", "second"):
        stream = await begun(tts)
        stream.push(text)
        stream.end()
        assert (await heard(stream))[0] == text
    assert len(vendor.sessions) == 1
    assert len(vendor.session.texts) == 2
    await tts.close()


async def test_a_socket_that_was_closed_meanwhile_is_opened_again(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    await tts.load()
    vendor.session.end(1000, "idle for five minutes")
    await asyncio.sleep(0.1)
    stream = await begun(tts)
    stream.push("still here")
    stream.end()
    assert (await heard(stream))[0] == "still here"
    assert len(vendor.sessions) == 2
    await tts.close()


async def test_a_brain_that_pauses_longer_than_a_context_lives(vendor: CartesiaEmulator) -> None:
    for pause in (1.05, 4.0):  # just before, and after the vendor has ended it
        tts = voice(vendor)
        stream = await begun(tts)
        gathered = asyncio.create_task(heard(stream))
        stream.push("one")
        stream.flush()
        await asyncio.sleep(pause)
        stream.push(" two")
        stream.flush()
        stream.end()
        said, words, _ = await gathered
        assert said == "one two"
        length = words[0].end_ms - words[0].start_ms
        assert words[1].start_ms >= words[0].end_ms > 0
        assert words[1].end_ms - words[1].start_ms == pytest.approx(length, rel=0.5)
        assert len(vendor.session.texts) == 2
        await tts.close()


async def test_an_end_after_the_vendor_has_ended_the_context(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    stream = await begun(tts)
    gathered = asyncio.create_task(heard(stream))
    stream.push("one")
    stream.flush()
    await asyncio.sleep(5)
    stream.end()
    async with asyncio.timeout(0.1):
        assert (await gathered)[0] == "one"
    await tts.close()


async def test_nothing_to_say_asks_for_nothing(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    stream = await begun(tts)
    stream.push(" ")
    stream.flush()
    stream.end()
    assert await heard(stream) == ("", [], [])
    assert inputs(vendor) == []
    await tts.close()


@pytest.mark.parametrize("from_flush", [False, True])
async def test_places_count_from_the_first_speech(from_flush: bool) -> None:
    async with CartesiaEmulator(key=KEY, from_flush=from_flush) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        gathered = asyncio.create_task(heard(stream))
        for text in ("one two three.", " four five six.", " seven."):
            stream.push(text)
            stream.flush()
            await asyncio.sleep(0.7)
        stream.end()
        _, words, pieces = await gathered
        assert len(words) == 7
        gaps = [b.start_ms - a.start_ms for a, b in pairwise(words)]
        assert all(gap > 50 for gap in gaps)
        audio_ms = MOUTH.duration_ms(sum(len(piece.audio) for piece in pieces))
        assert audio_ms - 400 < words[-1].end_ms <= audio_ms
        await tts.close()


async def test_speech_waits_a_little_for_the_places_of_its_words() -> None:
    async with CartesiaEmulator(key=KEY, words_late_s=0.1, chunk_ms=400, pace=50.0) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        stream.push("one two three four five six.")
        stream.flush()
        before = 0.0
        async for piece in stream:
            before += MOUTH.duration_ms(len(piece.audio))
            if piece.words:
                break
        assert 0 < before <= 240
        await tts.close()
    async with CartesiaEmulator(key=KEY, words_late_s=5.0, chunk_ms=400) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        stream.push("one two three.")
        stream.flush()
        source = aiter(stream)
        async with asyncio.timeout(1):  # for ever it does not wait
            first, second = await anext(source), await anext(source)
        assert MOUTH.duration_ms(len(first.audio)) == 240
        assert second.audio
        await source.aclose()
        await tts.close()


async def test_an_interruption_cancels_the_context() -> None:
    async with CartesiaEmulator(key=KEY, faults=LateAudio()) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        stream.push("a long answer that goes on and on for quite a while")
        stream.flush()
        source = aiter(stream)
        await anext(source)
        assert await stream.cancel(120.0) is None
        assert await stream.cancel() is None
        stream.push(" more")
        stream.end()
        assert [piece async for piece in source] == []
        await asyncio.sleep(0.2)
        assert vendor.session.cancelled == [*vendor.session.texts]
        # The next answer is not disturbed by what still came of it.
        stream = await begun(tts)
        stream.push("next")
        stream.end()
        assert (await heard(stream))[0] == "next"
        await tts.close()


async def test_settings_of_the_voice(
    vendor: CartesiaEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"volume": 1.5, "emotion": "curious", "buffer_ms": 0, "sample_rate": 16000}
    tts = voice(vendor, "cartesia", voice="Jameson", pronunciation="dict_1", **options)
    assert (tts.model, tts.name, tts.sample_rate) == ("sonic-3", "cartesia/sonic-3", 16000)
    for asked, speed in ((None, 9.0), ("katie", 1.0), (OWN_VOICE.upper(), 1.0), ("cedar", 1.0)):
        stream = await begun(tts, speed, asked)
        stream.push("hello")
        stream.end()
        await heard(stream)
    sent = [message for message in inputs(vendor) if message["transcript"]]
    katie, jameson = VOICES[0].id, VOICES[1].id
    assert [message["voice"]["id"] for message in sent] == [jameson, katie, OWN_VOICE, jameson]
    assert sent[0]["generation_config"] == {"speed": 1.5, "volume": 1.5, "emotion": "curious"}
    assert "speed" not in sent[1]["generation_config"]
    assert sent[0]["max_buffer_delay_ms"] == 0
    assert sent[0]["pronunciation_dict_id"] == "dict_1"
    assert sent[0]["output_format"]["sample_rate"] == 16000
    # What is replaced is told.
    caplog.clear()
    await (await begun(tts, asked="nobody")).cancel()
    assert "voice 'nobody' is not one of Katie, Jameson" in caplog.text
    await tts.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"colour": "red"}, "no option 'colour'"),
        ({"sample_rate": 11025}, "sample_rate"),
        ({"volume": 3}, "from 0.5 to 2"),
        ({"volume": True}, "volume"),
        ({"emotion": ""}, "emotion"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"endpoint": "nonsense://x"}, "endpoint"),
        ({"api_key": None}, "CARTESIA_API_KEY"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create_part("tts", "cartesia", {"api_key": KEY, **options})


# -- trouble


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("auth", AuthenticationError),
        ("rate_limit", RateLimitError),
        ("server_error", ConnectionError),
        ("refused", ConnectionError),
    ],
)
async def test_it_cannot_be_connected(code: str, error: type[Exception]) -> None:
    async with CartesiaEmulator(key=KEY, faults=Refuse(code)) as vendor:
        with pytest.raises(error) as raised:
            await voice(vendor).load()
        assert KEY not in str(raised.value)


async def test_a_wrong_key_is_not_shown(vendor: CartesiaEmulator) -> None:
    wrong = "sk_car_" + "9" * 20
    with pytest.raises(AuthenticationError) as raised:
        await voice(vendor, api_key=wrong).load()
    assert wrong not in str(raised.value)
    assert wrong not in repr(voice(vendor, api_key=wrong))


async def test_a_failure_of_one_answer_is_not_that_of_another() -> None:
    async with CartesiaEmulator(key=KEY, faults=ErrorOnce(response=1), pace=1.0) as vendor:
        tts = voice(vendor)
        broken, whole = await begun(tts), await begun(tts)
        for stream in (broken, whole):
            stream.push("hello")
            stream.end()
        with pytest.raises(ProviderError) as raised:
            await heard(broken)
        assert (raised.value.code, raised.value.retryable) == ("server", True)
        assert (await heard(whole))[0] == "hello"
        await tts.close()


async def test_too_many_answers_at_once() -> None:
    async with CartesiaEmulator(key=KEY, concurrency=1, pace=1.0) as vendor:
        tts = voice(vendor)
        one, two = await begun(tts), await begun(tts)
        one.push("the first one takes long")
        two.push("second")
        with pytest.raises(RateLimitError, match="concurrency"):
            await heard(two)
        await one.cancel()
        await tts.close()


@pytest.mark.parametrize(
    "fault", [Drop(close_code=1006), Drop(close_code=1011, after_chunks=1), Flap()]
)
async def test_the_line_is_lost(fault: Any) -> None:
    async with CartesiaEmulator(key=KEY, faults=fault) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        if isinstance(fault, Flap):
            await asyncio.sleep(0.1)
        stream.push("hello there")
        stream.flush()
        with pytest.raises(ConnectionError) as raised:
            await heard(stream)
        assert raised.value.retryable
        stream = await begun(tts)
        stream.push("once more")
        stream.end()
        assert (await heard(stream))[0] == "once more"
        await tts.close()


async def test_what_nobody_understands_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    faults = [UnknownEvent(after_chunks=0), Malformed(after_chunks=1), Slow(after_chunks=1)]
    async with CartesiaEmulator(key=KEY, faults=faults) as vendor:
        tts = voice(vendor)
        stream = await begun(tts)
        stream.push("hello there")
        stream.end()
        with caplog.at_level(logging.WARNING, "voxengine"):
            assert (await heard(stream))[0] == "hello there"
        assert "not understood" in caplog.text
        await tts.close()


async def test_an_invalid_input_is_refused(vendor: CartesiaEmulator) -> None:
    tts = voice(vendor)
    stream = await begun(tts)
    link = stream._link
    link.send(json.dumps({"context_id": "x", "transcript": "hello"}).encode())
    stream.push("hello")
    stream.end()
    assert (await heard(stream))[0] == "hello"
    assert any("model_id" in problem for problem in vendor.judge.violations)
    await tts.close()


# -- in a cascade


async def test_in_a_cascade_with_what_was_heard() -> None:
    answer = "This answer is long enough to be interrupted in the middle of it."
    brain = FakeBrain(lambda _: [answer[:20], 0.1, answer[20:]])
    async with CartesiaEmulator(key=KEY) as vendor:
        metadata = {
            "tts": "cartesia/sonic-3",
            "tts_options": {"api_key": KEY, **vendor.metadata},
        }
        async with Call(brain=brain, metadata=metadata) as call:
            await call.say("hello", pause_ms=6000)
            assert call.spoken() == answer
            texts = call.all(ev.TextOutput)
            assert texts[1].audio_start_ms is not None
            usage = call.all(ev.UsageUpdated)
            (mine,) = [event for event in usage if event.model == "cartesia/sonic-3"]
            assert mine.characters == len(answer)
        await asyncio.sleep(0.1)
        assert vendor.session.over


async def test_a_cascade_begins_a_sentence_again_after_a_loss() -> None:
    brain = FakeBrain(lambda _: ["All of it is said."])
    async with CartesiaEmulator(key=KEY, faults=Drop(response=1)) as vendor:
        options = {"api_key": KEY, **vendor.metadata}
        metadata = {"tts": "cartesia", "tts_options": options}
        async with Call(brain=brain, metadata=metadata) as call:
            await call.say("hello", pause_ms=6000)
            assert call.spoken() == "All of it is said."
            assert len(vendor.sessions) == 2


# -- the vendor's own client


async def test_the_official_client_speaks(vendor: CartesiaEmulator) -> None:
    from cartesia import AsyncCartesia

    client = AsyncCartesia(api_key=KEY, base_url=vendor.http_url, websocket_base_url=vendor.ws_url)
    async with client, client.tts.websocket_connect() as connection:
        context = connection.context(
            model_id="sonic-3",
            voice=VOICE,
            output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
            add_timestamps=True,
        )
        await context.push("Hello from ")
        await context.push("the vendor.")
        await context.push("", flush=True)
        await context.push(" And more.")
        await context.no_more_inputs()
        audio, words, kinds = b"", [], []
        async for event in context.receive():
            kinds.append(event.type)
            if event.type == "chunk":
                audio += event.audio or b""
            elif event.type == "timestamps":
                assert event.word_timestamps is not None
                words += event.word_timestamps.words
        assert understand(audio, MOUTH) == "Hello from the vendor. And more."
        assert words == ["Hello", "from", "the", "vendor.", "And", "more."]
        assert kinds[-1] == "done"
        assert "flush_done" in kinds
        refused = connection.context(model_id="sonic-3", voice=VOICE)
        await refused.push("", continue_=False)
        events = [event async for event in refused.receive()]
        assert [event.type for event in events] == ["error"]


async def test_the_official_client_is_interrupted(vendor: CartesiaEmulator) -> None:
    from cartesia import AsyncCartesia

    client = AsyncCartesia(api_key=KEY, base_url=vendor.http_url, websocket_base_url=vendor.ws_url)
    async with client, client.tts.websocket_connect() as connection:
        context = connection.context(
            context_id="mine",
            model_id="sonic-3",
            voice=VOICE,
            output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
        )
        await context.push("A long answer that nobody wants to hear to its end.")
        await context.push("", flush=True)
        async for event in context.receive():
            assert event.type == "chunk"
            break
        await context.cancel()
        await asyncio.sleep(0.2)
        assert vendor.session.cancelled == ["mine"]
        assert vendor.session.contexts == {}


# -- with another vendor's brain


async def test_it_speaks_while_claude_still_writes() -> None:
    pytest.importorskip("anthropic")
    from voxengine.testing.emulators.anthropic import AnthropicEmulator

    answer = "This is the first sentence. Here comes another one, and it is longer than the first."
    slow = Slow(10.0, after_chunks=0)
    async with (
        AnthropicEmulator({"hello": answer}, key=KEY, faults=slow) as claude,
        CartesiaEmulator(key=KEY) as vendor,
    ):
        metadata = {
            "llm": "anthropic/claude-haiku-5-5",
            "llm_options": {"api_key": KEY, **claude.metadata},
            "tts": "cartesia/sonic-3",
            "tts_options": {"api_key": KEY, **vendor.metadata},
        }
        async with Call(metadata=metadata) as call:
            await call.say("hello", pause_ms=12000)
            assert call.spoken() == answer
            stages = {e.stage: t for t, e in call.told if type(e) is ev.TimingStage}
            assert call.at(ev.AudioOutputChunk) < stages["last_token"] - 1.0
            models = {event.model for event in call.all(ev.UsageUpdated)}
            assert {"claude-haiku-5-5", "cartesia/sonic-3"} <= models
