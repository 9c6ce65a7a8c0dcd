"""Sessions that only transcribe, also on providers that answer whatever they hear."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.wire.talking import Talker, talking
from tests.gateway.wire.test_input import words
from tests.testing.profiles import PROFILES

#: They answer each turn, and cannot be told not to.
TALKATIVE: dict[str, dict[str, Any]] = {
    "takes turns": {"auto_response_optional": False},
    "finds turns alone": {**PROFILES["like a vendor of streams"], "auto_response_optional": False},
    "answers on request": {"auto_response": False, "auto_response_optional": False},
    "can be silent": {},
}


def said(client: Talker) -> list[str]:
    return [item.text for item in client.call.engine.conversation if item.role == "assistant"]


def check_silent(client: Talker) -> None:
    """Nothing was answered, as far as anybody can tell."""
    assert client.types("response.", "output_audio_buffer.", "error") == []
    roles = [e["item"]["role"] for e in client.all("conversation.item.added")]
    assert roles == ["user"] * len(roles)
    assert said(client) == []


@pytest.mark.parametrize("kind", TALKATIVE)
async def test_turns_are_written_down_and_not_answered(kind: str):
    async with talking({"capabilities": TALKATIVE[kind]}, transcription=True) as client:
        for n, text in enumerate(("hello there", "and good bye"), 1):
            await client.speak(text)
            await client.told("conversation.item.input_audio_transcription.completed", n)
        await asyncio.sleep(20)
        assert words(client) == "hello there and good bye"
        assert len(client.all("input_audio_buffer.committed")) == 2
        check_silent(client)


@pytest.mark.parametrize("kind", TALKATIVE)
async def test_turns_by_hand_are_written_down_and_not_answered(kind: str):
    async with talking({"capabilities": TALKATIVE[kind]}, transcription=True) as client:
        by_hand = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        client.say("session.update", session=by_hand)
        await client.told("session.updated")
        for n, text in enumerate(("hello there", "and good bye"), 1):
            await client.speak(text, pause_ms=200)
            client.say("input_audio_buffer.commit")
            await client.told("conversation.item.input_audio_transcription.completed", n)
        await asyncio.sleep(20)
        assert words(client) == "hello there and good bye"
        assert len(client.all("input_audio_buffer.committed")) == 2
        check_silent(client)
