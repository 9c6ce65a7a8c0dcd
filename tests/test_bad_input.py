"""Bad input to a real conversation on this machine: each gives a clear error, and the conversation goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from voxengine import (
    AudioError,
    ConfigurationError,
    MessageError,
    ModelError,
    ProviderError,
    VoiceEngine,
)
from voxengine.audio import AudioFormat, load_speech, read_wav, write_wav
from voxengine.data import speech_path

pytestmark = [pytest.mark.models, pytest.mark.real_clock]

FORMAT = AudioFormat(sample_rate=16000)


async def answered(engine: VoiceEngine, ask: Callable[[], Awaitable[Any]]) -> str:
    """What the engine says after `ask`."""
    async with engine.events("response_completed", "response_error") as ends:
        await ask()
        async with asyncio.timeout(20):
            event = await anext(ends)
    assert event.type == "response_completed", event
    return engine.conversation.messages[-1].text


@pytest.fixture
async def engine() -> AsyncIterator[VoiceEngine]:
    made = VoiceEngine(provider="local", input_format=FORMAT)
    async with made:
        yield made
        assert await answered(made, lambda: made.send_text("help")), "the conversation goes on"


async def test_audio_that_is_none(engine: VoiceEngine, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="whole number"):
        await engine.send_audio(b"\x00" * 641)
    with pytest.raises(AudioError, match="at once"):
        await engine.send_audio(bytes(100_000_000))
    with pytest.raises(AudioError, match="WAV"):
        await engine.send_audio(speech_path("go_forward_ten_meters").read_bytes())
    with pytest.raises(AudioError, match="bytes"):
        await engine.send_audio("hello")  # type: ignore[arg-type]
    await engine.send_audio(b"")
    assert not engine.conversation.messages


async def test_wav_files_that_cannot_be_sent(tmp_path: Path) -> None:
    stereo, eight = tmp_path / "stereo.wav", tmp_path / "eight.wav"
    write_wav(stereo, bytes(640), AudioFormat(sample_rate=16000, channels=2))
    with pytest.raises(AudioError, match=r"stereo|channels|mono"):
        load_speech(stereo, FORMAT)
    import wave

    with wave.open(str(eight), "wb") as file:
        file.setparams((1, 1, 16000, 0, "NONE", "none"))
        file.writeframes(bytes(320))
    with pytest.raises(AudioError, match="8"):
        read_wav(eight)
    with pytest.raises(ConfigurationError, match="Hz"):
        VoiceEngine(provider="local", input_format="pcm16@123")


async def test_speech_at_another_rate_is_understood() -> None:
    async with VoiceEngine(provider="local", input_format="g711_ulaw@8000") as engine:
        audio = load_speech(speech_path("go_forward_ten_meters"), engine.config.input_format)
        quiet = b"\xff" * 160
        async with engine.events("transcript_completed") as transcripts:
            for start in range(0, len(audio), 160):
                await engine.send_audio(audio[start : start + 160].ljust(160, b"\xff"))
            for _ in range(100):
                await engine.send_audio(quiet)
            async with asyncio.timeout(20):
                said = (await anext(transcripts)).text
        assert "forward" in said.lower()
        assert "meters" in said.lower()


async def test_ten_minutes_of_silence(engine: VoiceEngine) -> None:
    second = bytes(FORMAT.bytes_per_second)
    for _ in range(600):
        await engine.send_audio(second)
    assert engine.state == "idle"
    assert not engine.conversation.messages
    usage = await engine.get_usage()
    assert usage["output_audio_seconds"] == 0


async def test_texts_that_cannot_be_spoken(engine: VoiceEngine) -> None:
    with pytest.raises(MessageError, match="not empty"):
        await engine.send_text("  ")
    for text in ("🙂🙂", "你好,世界"):
        await answered(engine, lambda text=text: engine.send_text(text))  # type: ignore[misc]
        async with engine.events("response_completed", "response_error") as ends:
            await engine.say(text)
            async with asyncio.timeout(20):
                await anext(ends)


@pytest.mark.parametrize("fault", ["raises", "hangs", "is_no_json"])
async def test_tools_that_fail(fault: str) -> None:
    engine = VoiceEngine(provider="local", input_format=FORMAT)

    async def move(direction: str, distance: float, unit: str = "meters") -> Any:
        if fault == "raises":
            raise RuntimeError("the wheels are stuck")
        if fault == "hangs":
            await asyncio.Event().wait()
        return object()

    engine.tool(timeout=0.2)(move)
    failed: list[Any] = []
    engine.on("function_failed", failed.append)
    async with engine:
        said = await answered(engine, lambda: engine.send_text("go forward ten meters"))
        assert [e.code for e in failed] == [
            {"raises": "raised", "hangs": "timeout", "is_no_json": "bad_result"}[fault]
        ]
        assert said, "the caller is told"
        assert await answered(engine, lambda: engine.send_text("help"))


async def test_a_model_that_is_missing_or_corrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxengine.providers.cascade.local.models import locate

    files = locate("whisper-tiny.en")
    folder = tmp_path / "whisper-tiny.en"
    shutil.copytree(files.file("model.bin").parent, folder)
    with (folder / "model.bin").open("r+b") as weights:
        weights.seek(1000)
        byte = weights.read(1)
        weights.seek(1000)
        weights.write(bytes([byte[0] ^ 1]))
    monkeypatch.setenv("VOXENGINE_MODEL_DIR", str(tmp_path))
    with pytest.raises(ModelError, match=r"model\.bin"):
        locate("whisper-tiny.en")
    (folder / "model.bin").unlink()
    with pytest.raises(ModelError, match=r"model\.bin"):
        locate("whisper-tiny.en")


async def test_a_brain_that_is_down_is_an_error_of_connect() -> None:
    options = {"base_url": "http://127.0.0.1:9/v1"}
    engine = VoiceEngine(
        provider="local", metadata={"llm": "openai-chat/none", "llm_options": options}
    )
    failures: list[Any] = []
    engine.on("connection_failed", failures.append)
    with pytest.raises(ProviderError) as caught:
        await engine.connect()
    assert caught.value.code == "refused"
    assert [e.code for e in failures] == ["refused"]
    assert engine.state == "disconnected"


@pytest.mark.parametrize(
    ("fault", "code"), [("garbage", "bad_response"), ("slow", "timeout"), ("gone", "refused")]
)
async def test_a_brain_that_fails_in_mid_conversation(fault: str, code: str) -> None:
    """The caller hears a sentence instead of silence, and the next question is taken."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if fault == "slow":
            await reader.read()  # until the other side gives up
            writer.close()
            return
        body = b"<html>no such thing</html>"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"base_url": f"http://127.0.0.1:{port}/v1", "warm_up": False, "timeout_s": 0.3}
    engine = VoiceEngine(
        provider="local", metadata={"llm": "openai-chat/x", "llm_options": options}
    )
    async with engine:
        if fault == "gone":
            server.close()
        for _ in range(2):
            async with engine.events("response_error", "response_completed") as ends:
                await engine.send_text("hello?")
                async with asyncio.timeout(20):
                    error = await anext(ends)
                    assert (error.type, error.code) == ("response_error", code), error
                    assert (await anext(ends)).type == "response_completed", "the apology"
            assert engine.conversation.messages[-1].role == "assistant"
    server.close()


async def test_no_word_of_the_key(caplog: pytest.LogCaptureFixture) -> None:
    engine = VoiceEngine(provider="local", api_key="sk-very-secret")
    assert "sk-very-secret" not in repr(engine.config) + repr(engine) + repr(
        engine.config.provider_config()
    )
    assert "sk-very-secret" not in os.linesep.join(caplog.messages)
