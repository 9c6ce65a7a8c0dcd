"""The models of this machine behind the gateway, and OpenAI's own clients in front: nothing is emulated."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.clients.callers import PCM24, calling, of, sound, spoken, user_words
from tests.gateway.clients.providers import FORWARD, MOVE
from tests.gateway.clients.servers import serving
from voxengine.audio.level import peak, rms_db

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]
pytest.importorskip("faster_whisper")
pytest.importorskip("hibari")


async def test_a_whole_conversation_with_a_person():
    async with serving("local", revising=True) as server, calling(server, "local") as caller:
        await caller.transcribed(tools=[MOVE])
        talking = asyncio.create_task(caller.say(FORWARD, pause_ms=2500))
        seen = await caller.until("response.function_call_arguments.done")
        call = seen[-1]
        assert json.loads(call["arguments"])["distance"] == 10
        seen += await caller.answer()
        await talking
        assert user_words(seen)[0].lower().strip(".") in (
            "go forward ten meters",
            "go forward 10 meters",
        )

        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "{}"}
        await caller.connection.conversation.item.create(item=output)
        await caller.connection.response.create()
        seen = await caller.answer()
        assert "ten meters" in spoken(seen).lower()
        assert peak(sound(seen), PCM24) > 0.1
        assert rms_db(sound(seen), PCM24) > -40

        # A story, which the person interrupts.
        await caller.type("tell me a story")
        await caller.connection.response.create()
        seen = await caller.until("response.output_audio.delta")
        item_id = seen[-1]["item_id"]
        await caller.quiet(2)
        talking = asyncio.create_task(caller.say(FORWARD, pause_ms=2500))
        seen = await caller.until("input_audio_buffer.speech_started")
        cut = await caller.answer()
        assert cut[-1]["response"]["status"] == "cancelled"
        await caller.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=1500
        )
        seen = await caller.until("conversation.item.truncated")
        await caller.connection.conversation.item.retrieve(item_id=item_id)
        item = (await caller.get("conversation.item.retrieved"))["item"]
        heard = item["content"][0]["transcript"]
        assert "let me tell you about the lighthouse".startswith(
            heard.lower().removeprefix("then").strip()[:20]
        )
        assert 1 <= len(heard.split()) <= 10
        await talking
        rest = await caller.quiet(10)
        assert of(rest, "error") == []
