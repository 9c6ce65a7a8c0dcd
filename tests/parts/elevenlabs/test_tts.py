"""ElevenLabs' voices: what is spoken at the emulator, and the vendor's own client there."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.errors import AuthenticationError, ConfigurationError, ProviderError
from voxengine.providers.cascade.parts import Speech, StreamingTTS
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.providers.elevenlabs.alignment import words_in
from voxengine.testing.emulators.elevenlabs import SpeechEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Refuse

FORMAT = AudioFormat("pcm16", 24000)
KEY = "xi-emulated"
SARAH, GEORGE = "EXAVITQu4vr4xnSDxMaL", "JBFqnCBsd6RMkjVDRZzb"
LONG = " ".join(f"word{n}" for n in range(10, 40))
both = pytest.mark.parametrize("multi", [True, False], ids=["multi", "single"])


def made(emulator: SpeechEmulator, **options: Any) -> Any:
    return create_part("tts", "elevenlabs", {**emulator.metadata, "api_key": KEY, **options})


async def begin(tts: Any, **settings: Any) -> Any:
    return await tts.open(**{"voice": None, "speed": 1.0, "session": "s", **settings})


def push(stream: Any, text: str) -> None:
    """Word by word, as a brain finds them."""
    for number, word in enumerate(text.split()):
        stream.push(f" {word}" if number else word)


async def spoken(stream: Any) -> list[Speech]:
    return [piece async for piece in stream]


async def say(tts: Any, text: str, **settings: Any) -> list[Speech]:
    stream = await begin(tts, **settings)
    push(stream, text)
    stream.end()
    return await spoken(stream)


def heard(pieces: list[Speech], format: AudioFormat = FORMAT) -> str:
    return understand(b"".join(piece.audio for piece in pieces), format).replace(".", "")


def words(pieces: list[Speech]) -> list[Any]:
    return [word for piece in pieces for word in piece.words]


async def test_it_is_a_part():
    assert "elevenlabs" in list_parts("tts")
    tts = create_part("tts", "elevenlabs/eleven_turbo_v2_5", {"api_key": KEY, "voice": GEORGE})
    assert isinstance(tts, StreamingTTS)
    assert (tts.name, tts.sample_rate, tts.voices[0]) == (
        "elevenlabs/eleven_turbo_v2_5",
        24000,
        GEORGE,
    )
    assert "Sarah" in tts.voices
    for options, told in (
        ({"output_format": "mp3_44100"}, "a format is one of"),
        ({"output_format": "ulaw_8000"}, "one of PCM"),
        ({"pitch": 3}, "no option 'pitch'"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            create_part("tts", "elevenlabs", {"api_key": KEY, **options})


@both
async def test_words_are_spoken_and_placed(multi: bool):
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator, multi=multi)
        await tts.load()
        pieces = await say(tts, "hello there my friend")
        assert heard(pieces) == "hello there my friend"
        found = words(pieces)
        assert [word.text.strip() for word in found] == ["hello", "there", "my", "friend"]
        ends = [word.end_ms for word in found]
        assert ends == sorted(ends)
        length = FORMAT.duration_ms(sum(len(piece.audio) for piece in pieces))
        assert found[0].start_ms < 100
        assert length - 250 < ends[-1] <= length + 1
        assert emulator.session.voice_id == SARAH
        assert emulator.session.multi is multi
        await tts.close()
        assert emulator.judge.violations == []


async def test_speech_comes_before_the_text_is_complete_and_all_of_it_in_order():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        push(stream, "one two three.")
        stream.flush()
        async with asyncio.timeout(5):
            first = await anext(aiter(stream))
        assert first.audio
        push(stream, " four five six.")
        stream.flush()
        stream.flush()  # there is nothing more to flush
        stream.end()
        pieces = [first, *await spoken(stream)]
        assert heard(pieces).split() == ["one", "two", "three", "four", "five", "six"]
        starts = [word.start_ms for word in words(pieces)]
        assert starts == sorted(starts)
        assert [c.text.split() for c in emulator.session.gone] == [
            ["one", "two", "three.", "four", "five", "six."]
        ]
        await tts.close()


async def test_one_connection_is_kept_and_each_answer_is_a_context():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        for text in ("one", "two", "three"):
            assert heard(await say(tts, text)) == text
        assert len(emulator.sessions) == 1
        assert [context.name for context in emulator.session.gone] == [
            "answer_1",
            "answer_2",
            "answer_3",
        ]
        # Another voice is another address.
        await say(tts, "four", voice="George")
        assert [session.voice_id for session in emulator.sessions] == [SARAH, GEORGE]
        await asyncio.sleep(0.1)
        assert emulator.sessions[0].over
        await tts.close()


async def test_an_answer_of_no_words_is_no_context():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        stream.push("  ")
        stream.flush()
        stream.end()
        assert await spoken(stream) == []
        called_off = await begin(tts)
        assert await called_off.cancel() is None
        await asyncio.sleep(0.1)
        assert emulator.session.events == []
        await tts.close()


async def test_what_is_called_off_is_not_spoken_and_the_next_answer_is():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        push(stream, LONG)
        stream.end()
        given = aiter(stream)
        await anext(given)
        assert await stream.cancel(100.0) is None
        assert [piece async for piece in given] == []
        assert heard(await say(tts, "stopped")) == "stopped"
        assert len(emulator.sessions) == 1
        await tts.close()


async def test_many_interruptions_do_not_end_the_connection():
    """The vendor counts a context until its end: with a sixth one it would close the connection."""
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        for _ in range(12):
            stream = await begin(tts)
            push(stream, LONG)
            stream.end()
            await anext(aiter(stream))
            await stream.cancel()
        assert heard(await say(tts, "still here")) == "still here"
        sent = [e for session in emulator.sessions for e in session.events]
        assert len([e for e in sent if e.get("close_context")]) >= 12
        assert 1 < len(emulator.sessions) <= 4
        await tts.close()
        assert emulator.judge.violations == []


async def test_a_context_in_which_nothing_is_said_for_long_is_kept():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        push(stream, "let me see.")
        stream.flush()
        await asyncio.sleep(40)
        assert emulator.session.contexts["answer_1"].kept_alive == 2
        push(stream, " here it is")
        stream.end()
        assert heard(await spoken(stream)) == "let me see here it is"
        await tts.close()


async def test_a_connection_that_was_closed_meanwhile_is_opened_again():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator)
        await say(tts, "one")
        await asyncio.sleep(200)
        assert emulator.session.over
        assert heard(await say(tts, "two")) == "two"
        assert len(emulator.sessions) == 2
        await tts.close()


async def test_settings_of_the_voice_are_told():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator, stability=0.4, chunk_length_schedule=[60, 80], language="en-US")
        slow = await say(tts, "hello there", speed=0.5)
        settings = emulator.session.settings_of["answer_1"]
        assert settings["voice_settings"] == {"stability": 0.4, "speed": 0.7}
        assert settings["generation_config"] == {"chunk_length_schedule": [60, 80]}
        query = emulator.session.request.query
        assert query["language_code"] == "en"
        assert query["model_id"] == "eleven_flash_v2_5"
        usual = await say(tts, "hello there")
        assert len(b"".join(p.audio for p in slow)) > 1.2 * len(b"".join(p.audio for p in usual))
        await tts.close()


async def test_sentences_are_sent_whole_where_that_is_wanted():
    async with SpeechEmulator(key=KEY) as emulator:
        tts = made(emulator, auto_mode=True, output_format="pcm_16000")
        assert tts.sample_rate == 16000
        stream = await begin(tts)
        push(stream, "one two.")
        await asyncio.sleep(0.2)
        assert emulator.session.events == []
        stream.end()
        assert heard(await spoken(stream), AudioFormat("pcm16", 16000)) == "one two"
        assert [e["text"] for e in emulator.session.events if e.get("text")] == [" ", "one two. "]
        await tts.close()


async def test_without_places_the_words_are_spoken_all_the_same():
    async with SpeechEmulator(key=KEY, aligned=False) as emulator:
        tts = made(emulator)
        pieces = await say(tts, "hello there")
        assert (heard(pieces), words(pieces)) == ("hello there", [])
        await tts.close()


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Drop(close_code=1011, response=1, after_chunks=1), "server", True),
        (Drop(close_code=1006, response=1, after_chunks=1), "closed", True),
        (ErrorOnce(code="quota_exceeded", response=1, after_chunks=1), "quota", False),
    ],
    ids=repr,
)
async def test_failures_are_told_in_our_words(fault: Any, code: str, retryable: bool):
    async with SpeechEmulator(key=KEY, faults=fault) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        push(stream, LONG)
        stream.end()
        with pytest.raises(ProviderError) as failed:
            await spoken(stream)
        assert failed.value.code in (code, "closed")
        assert failed.value.retryable is retryable
        assert heard(await say(tts, "again")) == "again"
        await tts.close()


async def test_it_is_refused_as_it_should_be():
    async with SpeechEmulator(key="another") as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator).load()
        assert KEY not in str(refused.value)
    async with SpeechEmulator(key=KEY, faults=Refuse("server_error")) as emulator:
        with pytest.raises(ProviderError):
            await begin(made(emulator))
    async with SpeechEmulator(key=KEY, voices=(GEORGE,)) as emulator:
        tts = made(emulator)
        stream = await begin(tts)
        push(stream, "hello there")
        stream.end()
        with pytest.raises(ProviderError) as failed:
            await spoken(stream)
        assert failed.value.code == "not_found"
        await tts.close()


def test_characters_become_words_and_parts_of_words():
    first = words_in(list("Hi the"), [0, 50, 100, 150, 200, 250], [50] * 6, 0.0)
    assert [(word.text, word.start_ms, word.end_ms) for word in first] == [
        ("Hi", 0, 100),
        (" the", 150, 300),
    ]
    second = words_in(list("re "), [0, 50, 100], [50] * 3, 300.0)
    assert [(word.text, word.start_ms, word.end_ms) for word in second] == [("re", 300, 400)]
    assert words_in([" "], [0], [50], 0.0) == []
    with pytest.raises(ValueError, match="zip"):
        words_in(["a"], [], [], 0.0)


@contextlib.contextmanager
def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A certificate for this machine that clients in this process trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    yield context


@pytest.mark.real_clock
@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated")  # of the vendor's client
async def test_the_vendors_own_client_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Against the emulator, over TLS, which it insists on: what it sends is valid, and it plays what comes."""
    from elevenlabs import ElevenLabs

    with trusted(tmp_path, monkeypatch) as context:
        async with SpeechEmulator(key=KEY, tls=context, pace=100.0) as emulator:

            def speak_to_it() -> bytes:
                client = ElevenLabs(api_key=KEY, base_url=f"https://localhost:{emulator.port}")
                audio = client.text_to_speech.convert_realtime(
                    SARAH,
                    text=iter(["hello ", "there ", "my friend"]),
                    model_id="eleven_flash_v2_5",
                    output_format="pcm_24000",
                )
                return b"".join(audio)

            audio = await asyncio.to_thread(speak_to_it)
            assert understand(audio, FORMAT) == "hello there my friend"
            assert emulator.judge.violations == []
            assert set(emulator.judge.client_seen) == {
                "InitializeConnection",
                "SendText",
                "CloseConnection",
            }
