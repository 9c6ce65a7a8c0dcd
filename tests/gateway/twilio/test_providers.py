"""Telephone calls on other providers: what takes u-law gets the very bytes, what does not gets them converted."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.field.lines import pipeline
from tests.gateway.gateways import until
from tests.gateway.twilio.calling import Office, human, mock, office, words
from voxengine.audio.signal import understand
from voxengine.gateway.twilio.messages import TELEPHONE
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.twilio import TwilioCall

KEY = "OPENAI_KEY_OF_TESTS"


class Vendor:
    """An emulator, with the bytes of audio that went in and came out."""

    def __init__(self, dialect: str) -> None:
        self.emulator = OpenAIEmulator(
            dialect, responses={"*": "good evening"}, on_event=self._told, transcripts=["ask not"]
        )
        self.heard = bytearray()
        self.said = bytearray()

    def _told(self, session: Any, event: dict[str, Any] | None) -> None:
        if event is None:
            return
        if event["type"] == "session.created":
            append = session.hearing.append

            def listen(audio: bytes) -> None:
                self.heard += audio
                append(audio)

            session.hearing.append = listen
        if event["type"] == "response.output_audio.delta":
            self.said += base64.b64decode(event["delta"])


@asynccontextmanager
async def vendor(
    dialect: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Office, Vendor]]:
    monkeypatch.setenv(KEY, "sk-emulated")
    made = Vendor(dialect)
    async with made.emulator:
        content = {
            "providers": {
                "one": {
                    "provider": dialect,
                    "api_key_env": KEY,
                    "metadata": made.emulator.metadata,
                }
            },
            "routes": {"play": {"providers": ["one"]}},
        }
        async with office(content) as desk:
            yield desk, made


@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_the_vendor_gets_and_gives_the_very_bytes(
    dialect: str, monkeypatch: pytest.MonkeyPatch
):
    async with vendor(dialect, monkeypatch) as (desk, made), TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(human())
        await until(lambda: phone.received)
        await until(lambda: not phone.left_ms and call.engine.state == "idle")
        # The caller's frames, without a gap or a change; and what the vendor said, as it said it.
        heard = bytes(made.heard)
        assert len(heard) > 8000 * 10
        assert bytes(phone.sent).startswith(heard)
        assert made.said
        assert bytes(phone.received) == bytes(made.said)
        assert "good evening" in understand(phone.heard, TELEPHONE)
        assert phone.violations == []


async def test_barge_in_on_a_vendor(monkeypatch: pytest.MonkeyPatch):
    async with vendor("openai", monkeypatch) as (desk, made), TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(words("hello"))
        await until(lambda: phone.heard_ms > 200)
        await phone.say(words("stop"))
        (clear,) = phone.clears
        cut = call.engine.conversation.items[1]
        assert cut.heard_ms == pytest.approx(clear.heard_ms, abs=120)
        assert "conversation.item.truncate" in made.emulator.sessions[0].received


@pytest.mark.parametrize(
    "formats",
    [
        {"input_formats": ["pcm16@16000"], "output_formats": ["pcm16@24000"]},
        {"input_formats": ["g711_alaw@8000"], "output_formats": ["pcm16@8000"]},
    ],
)
async def test_a_provider_with_other_formats(formats: dict[str, Any]):
    async with office(mock(capabilities=formats)) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(words("hello there"))
        await until(lambda: phone.received)
        await until(lambda: not phone.left_ms)
        assert understand(phone.heard, TELEPHONE) == "You said: hello there"
        assert call.engine.conversation.items[0].text == "hello there"


async def test_a_cascade():
    content = {
        "providers": {"one": {"provider": "cascade", "metadata": pipeline()}},
        "routes": {"play": {"providers": ["one"]}},
    }
    async with office(content) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(words("hello there"))
        await until(lambda: phone.received)
        await until(lambda: not phone.left_ms and call.engine.state == "idle")
        assert [i.text for i in call.engine.conversation.items] == [
            "hello there",
            "You said: hello there",
        ]
        assert understand(phone.heard, TELEPHONE) == "You said: hello there"
