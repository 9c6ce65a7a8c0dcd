"""OpenAI's own Python client holds whole conversations, with every provider behind the gateway.

The server's side of each is judged message by message, and for its order, when the gateway ends (`servers.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.clients.callers import Caller, calling, of, sound, spoken, user_words
from tests.gateway.clients.providers import (
    ALL,
    FORWARD,
    MOVE,
    SAID,
    STORY,
    VENDORS,
    WHOLE,
    YOUNG_MAN,
)
from tests.gateway.clients.servers import serving
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import peak, rms_db, silence
from voxengine.audio.signal import speak, understand

PCM24 = AudioFormat()
ABOUT = "that is from Sense and Sensibility"

every = pytest.mark.parametrize("name", [*ALL, *VENDORS])
#: All that call functions and can be interrupted, which is all but one that does both in its own way.
conversing = pytest.mark.parametrize("name", [*WHOLE, *VENDORS])
whole = pytest.mark.parametrize("name", WHOLE)


@asynccontextmanager
async def called(name: str, recording: Path = YOUNG_MAN) -> AsyncIterator[Caller]:
    async with serving(name, recording=recording) as server, calling(server, name) as caller:
        yield caller


def words(text: str) -> list[str]:
    return text.lower().replace(",", "").replace(".", "").split()


@every
async def test_a_person_speaks_and_is_answered(name: str):
    async with called(name) as caller:
        await caller.transcribed()
        talking = asyncio.create_task(caller.say(YOUNG_MAN, pause_ms=3000))
        seen = await caller.answer()
        await talking
        seen += await caller.quiet(5)

        assert user_words(seen) == [SAID[YOUNG_MAN]]
        said = understand(sound(seen), PCM24)
        assert "sensibility" in words(said)
        assert words(spoken(seen)) == words(said)
        assert peak(sound(seen), PCM24) > 0.05
        (done,) = of(seen, "response.done")
        assert done["response"]["status"] == "completed"
        assert done["response"]["output"][0]["content"][0]["transcript"] == spoken(seen)


@conversing
async def test_a_spoken_command_calls_a_function_of_the_clients(name: str):
    async with called(name, FORWARD) as caller:
        await caller.transcribed(tools=[MOVE])
        talking = asyncio.create_task(caller.say(FORWARD, pause_ms=3000))
        seen = await caller.until("response.function_call_arguments.done")
        call = seen[-1]
        assert call["name"] == "move"
        assert json.loads(call["arguments"])["distance"] == 10
        seen += await caller.answer()
        (item,) = seen[-1]["response"]["output"]
        assert (item["type"], item["call_id"]) == ("function_call", call["call_id"])
        await talking

        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "{}"}
        await caller.connection.conversation.item.create(item=output)
        await caller.until("conversation.item.done")
        await caller.connection.response.create()
        seen = await caller.answer()
        assert "ten meters" in spoken(seen).lower()
        assert understand(sound(seen), PCM24) != ""


@conversing
async def test_a_person_interrupts_a_long_answer(name: str):
    async with called(name) as caller:
        await caller.transcribed()
        talking = asyncio.create_task(caller.say("tell me a story", pause_ms=1500))
        seen = await caller.until("response.output_audio.delta")
        item_id = seen[-1]["item_id"]
        await talking
        listening = asyncio.create_task(caller.quiet(20))
        await caller.play(silence(500, PCM24))
        await caller.say("stop it", pause_ms=3000)
        # The client has played so much of it, and says so.
        await caller.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=2000
        )
        seen += await listening

        kinds = [event["type"] for event in seen]
        ((end, cut),) = [
            (i, event["response"])
            for i, event in enumerate(seen)
            if event["type"] == "response.done" and event["response"]["status"] == "cancelled"
        ]
        assert cut["status_details"]["reason"] == "turn_detected"
        first_word = len(kinds) - 1 - kinds[::-1].index("input_audio_buffer.speech_started")
        assert first_word < end
        (truncated,) = of(seen, "conversation.item.truncated")
        assert (truncated["item_id"], truncated["audio_end_ms"]) == (item_id, 2000)
        assert of(seen, "response.done")[-1]["response"]["status"] == "completed"

        await caller.connection.conversation.item.retrieve(item_id=item_id)
        item = (await caller.get("conversation.item.retrieved"))["item"]
        heard = item["content"][0]["transcript"]
        assert STORY.startswith(heard)
        assert 2 <= len(heard.split()) <= 8
        assert len(spoken(seen).split()) > len(heard.split())


@whole
async def test_it_is_written_to_and_writes(name: str):
    async with called(name) as caller:
        session = await caller.update(output_modalities=["text"])
        assert session["output_modalities"] == ["text"]
        await caller.type(SAID[YOUNG_MAN])
        await caller.connection.response.create()
        seen = await caller.answer()
        assert of(seen, "response.output_audio.delta") == []
        (text,) = of(seen, "response.output_text.done")
        assert "sensibility" in words(text["text"])
        content = seen[-1]["response"]["output"][0]["content"]
        assert content == [{"type": "output_text", "text": text["text"]}]


@whole
async def test_a_typed_turn_is_answered_aloud(name: str):
    async with called(name) as caller:
        mine = await caller.type(SAID[YOUNG_MAN], id="item_of_mine")
        assert mine["id"] == "item_of_mine"
        await caller.connection.response.create()
        seen = await caller.answer()
        assert "sensibility" in words(spoken(seen))
        assert words(understand(sound(seen), PCM24)) == words(spoken(seen))


@whole
async def test_an_item_is_deleted_and_forgotten(name: str):
    async with called(name) as caller:
        gone = await caller.type("my name is Ada")
        await caller.type(SAID[YOUNG_MAN])
        await caller.connection.conversation.item.delete(item_id=gone["id"])
        await caller.until("conversation.item.deleted")
        await caller.connection.conversation.item.retrieve(item_id=gone["id"])
        error = (await caller.get("error"))["error"]
        assert error["code"] == "item_not_found"
        await caller.connection.response.create()
        assert "sensibility" in words(spoken(await caller.answer()))


@whole
async def test_turns_by_hand(name: str):
    async with called(name) as caller:
        await caller.transcribed(audio={"input": {"turn_detection": None}})
        await caller.play(speak("forget this", PCM24))
        await caller.connection.input_audio_buffer.clear()
        await caller.until("input_audio_buffer.cleared")
        await caller.say(YOUNG_MAN, pause_ms=200)
        assert await caller.quiet(3) == []
        await caller.connection.input_audio_buffer.commit()
        seen = await caller.until("conversation.item.input_audio_transcription.completed")
        assert user_words(seen) == [SAID[YOUNG_MAN]]
        assert await caller.quiet(3) == []
        await caller.connection.response.create()
        assert "sensibility" in words(spoken(await caller.answer()))
        await caller.connection.input_audio_buffer.commit()
        assert (await caller.get("error"))["error"]["code"] == "input_audio_buffer_commit_empty"


@whole
async def test_a_response_beside_the_conversation(name: str):
    async with called(name) as caller:
        await caller.type("tell me a story")
        question = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": SAID[YOUNG_MAN]}],
        }
        await caller.connection.response.create(
            response={
                "conversation": "none",
                "metadata": {"topic": "classification"},
                "output_modalities": ["text"],
                "input": [question],
            }
        )
        seen = await caller.answer()
        response = seen[-1]["response"]
        assert response["status"] == "completed"
        assert response["metadata"] == {"topic": "classification"}
        assert response["conversation_id"] is None
        assert "sensibility" in words(response["output"][0]["content"][0]["text"])
        assert of(seen, "conversation.item.added") == []


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
@whole
async def test_by_telephone(name: str, kind: str):
    phone = AudioFormat({"audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}[kind], 8000)
    async with called(name) as caller:
        form = {"format": {"type": kind}}
        session = await caller.transcribed(audio={"input": form, "output": form})
        assert session["audio"]["output"]["format"] == {"type": kind}
        talking = asyncio.create_task(caller.say(YOUNG_MAN, phone, pause_ms=3000))
        seen = await caller.answer()
        await talking
        seen += await caller.quiet(3)
        assert user_words(seen) == [SAID[YOUNG_MAN]]
        assert words(understand(sound(seen), phone)) == words(spoken(seen)) != []
        assert rms_db(sound(seen), phone) > -40


@pytest.mark.parametrize("voice", ["marin", "shimmer"])
@whole
async def test_voices_of_openais(name: str, voice: str):
    async with called(name) as caller:
        session = await caller.update(audio={"output": {"voice": voice}})
        assert session["audio"]["output"]["voice"] == voice
        await caller.type(SAID[YOUNG_MAN])
        await caller.connection.response.create()
        seen = await caller.answer()
        assert "sensibility" in words(spoken(seen))
        assert seen[-1]["response"]["audio"]["output"]["voice"] == voice


@whole
async def test_a_response_is_cancelled(name: str):
    async with called(name) as caller:
        await caller.type("tell me a story")
        await caller.connection.response.create()
        await caller.until("response.output_audio.delta")
        await caller.connection.response.cancel()
        seen = await caller.answer()
        assert seen[-1]["response"]["status"] == "cancelled"
        assert seen[-1]["response"]["status_details"]["reason"] == "client_cancelled"
        assert [e["type"] for e in await caller.quiet(5) if e["type"].startswith("response.")] == []
        await caller.connection.response.cancel()
        assert (await caller.get("error"))["error"]["code"] == "response_cancel_not_active"
