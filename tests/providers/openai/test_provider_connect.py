"""Opening and closing, and all that can go wrong meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.openai.calls import (
    DIALECTS,
    KEY,
    call_of,
    emulated,
    make,
    until,
)
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.base import ConnectionState
from voxengine.testing.emulators.faults import Refuse

TOOL = {
    "name": "weather",
    "description": "tells the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def kinds(call: Any) -> list[str]:
    return [type(event).__name__ for event in call.events]


# -- the session is what the configuration says


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_session_is_what_the_configuration_says(dialect: str):
    settings = {
        "instructions": "Be brief.",
        "voice": "eve" if dialect == "xai" else "cedar",
        "tools": [TOOL],
        "tool_choice": "auto",
        "max_response_tokens": 500,
        "language": "en-GB",
        "speed": 1.2,
        "turn_detection": "server_vad",
        "turn_detection_options": {"threshold": 0.6, "silence_duration_ms": 700},
        "transcription_model": "gpt-4o-transcribe",
    }
    async with call_of(dialect, **settings) as (call, emulator):
        session = emulator.sessions[0].settings
        assert session.values["instructions"] == "Be brief."
        assert session.values["max_output_tokens"] == 500
        assert [tool["name"] for tool in session.values["tools"]] == ["weather"]
        assert session.output["voice"] == settings["voice"]
        assert session.output["speed"] == 1.2
        vad = session.turn_detection
        assert vad is not None
        assert (vad["threshold"], vad["silence_duration_ms"]) == (0.6, 700)
        heard = session.transcription
        assert heard is not None
        assert heard["model"] == "gpt-4o-transcribe"
        assert heard["language_hint" if dialect == "xai" else "language"] == "en"
        assert call.of(ev.ConnectionEstablished)[0].session_id == emulator.sessions[0].id
        assert call.provider.session_id == emulator.sessions[0].id
        assert emulator.sessions[0].received == ["session.update"]
        assert kinds(call) == ["ConnectionStarting", "ConnectionEstablished"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_bare_configuration_is_enough(dialect: str):
    async with call_of(dialect) as (call, emulator):
        wire = emulator.sessions[0].config
        assert wire["output_modalities"] == ["audio"]
        assert wire["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        assert emulator.sessions[0].settings.transcription is not None
        assert call.provider.get_audio_format() == AudioFormat("pcm16", 24000)
        assert call.provider.is_connected


async def test_settings_of_the_vendor_are_laid_over_the_session():
    extra = {"audio": {"output": {"speed": 0.8}}, "truncation": "disabled"}
    async with call_of(session=extra, instructions="Be brief.", voice="cedar") as (_, emulator):
        session = emulator.sessions[0].settings
        assert session.values["truncation"] == "disabled"
        assert (session.output["speed"], session.output["voice"]) == (0.8, "cedar")


async def test_what_cannot_be_done_as_it_stands_is_told():
    async with call_of(temperature=0.4, voice="eve") as (call, emulator):
        warnings = {event.code for event in call.of(ev.SystemWarning)}
        assert warnings == {"temperature_ignored", "voice_mapped"}
        assert emulator.sessions[0].settings.output["voice"] != "eve"


@pytest.mark.parametrize(
    "settings",
    [
        {"turn_detection": "telepathy"},
        {"turn_detection_options": {"eagerness": "high"}},
        {"modalities": ["video"]},
        {"intent": "mischief"},
        {"api_key": ""},
        {"auth_type": "handshake"},
    ],
)
async def test_a_configuration_that_cannot_do_is_refused_before_anything_is_opened(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with emulated() as emulator:
        with pytest.raises(ConfigurationError):
            make(emulator, **settings)
        assert emulator.sessions == []


# -- refusals


async def test_settings_that_the_vendor_refuses():
    async with emulated(valid=False) as emulator:
        call = make(emulator, session={"audio": {"output": {"speed": 9}}})
        with pytest.raises(MessageError, match="speed") as caught:
            await call.provider.connect()
        assert caught.value.provider == "openai"
        assert not call.provider.is_connected
        assert call.provider.state == ConnectionState.ERROR
        failed = call.of(ev.ConnectionFailed)[0]
        assert (failed.code, failed.retryable) == (caught.value.code, False)
        await until(lambda: emulator.sessions[0].closed)
        await call.provider.disconnect()
        assert kinds(call) == ["ConnectionStarting", "ConnectionFailed"]


@pytest.mark.parametrize(
    ("code", "kind", "word", "retryable"),
    [
        ("auth", AuthenticationError, "auth", False),
        ("forbidden", AuthenticationError, "auth", False),
        ("not_found", ConnectionError, "not_found", False),
        ("rate_limit", RateLimitError, "rate_limit", True),
        ("quota", RateLimitError, "quota", False),
        ("server_error", ConnectionError, "server", True),
        ("refused", ConnectionError, "closed", True),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_handshake_that_is_refused(
    dialect: str, code: str, kind: type[ProviderError], word: str, retryable: bool
):
    async with emulated(dialect, faults=Refuse(code, retry_after=7)) as emulator:
        call = make(emulator)
        with pytest.raises(kind) as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == (word, retryable)
        assert caught.value.provider == dialect
        if isinstance(caught.value, RateLimitError):
            assert caught.value.retry_after == 7
        failed = call.of(ev.ConnectionFailed)[0]
        assert (failed.code, failed.retryable) == (word, retryable)
        assert KEY not in str(caught.value)
        # The fault was for once: the same provider may try again.
        await call.provider.connect()
        assert call.provider.is_connected
        await call.provider.disconnect()


async def test_a_wrong_key():
    async with emulated() as emulator:
        call = make(emulator, api_key="sk-quite-another-one-77")
        with pytest.raises(AuthenticationError) as caught:
            await call.provider.connect()
        assert "sk-quite" not in str(caught.value)
        assert emulator.sessions == []


async def test_nobody_listens():
    async with emulated() as emulator:
        await emulator.refuse()
        call = make(emulator)
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == ("refused", True)
