"""OpenAI's own Python client beyond one conversation: other models, client secrets, transcripts, the real process."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import msgspec
import pytest
from openai import AsyncOpenAI, omit

from tests.gateway.clients.callers import PCM24, Caller, calling, of, sound, spoken, user_words
from tests.gateway.clients.order import check
from tests.gateway.clients.providers import SAID, WHOLE, YOUNG_MAN
from tests.gateway.clients.servers import serving
from tests.gateway.survival.processes import process
from voxengine import register_provider
from voxengine.audio.signal import understand
from voxengine.events import ProviderEvent, TranscriptPartial
from voxengine.providers import registry
from voxengine.providers.mock import MockProvider
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.oracles.openai_realtime import realtime_judge

PAIRS = [("mock", "openai"), ("openai", "xai"), ("xai", "cascade"), ("cascade", "azure")]


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_another_model_takes_over_in_mid_call(first: str, second: str):
    async with serving(first, second) as server, calling(server, first) as caller:
        mine = await caller.type("remember the seven lamps")
        await caller.connection.response.create()
        assert "seven lamps" in spoken(await caller.answer())

        session = await caller.update(model=second)
        assert session["model"] == second
        (call,) = server.gateway.calls
        assert call.engine.config.provider == second
        await caller.type("what did you say")
        await caller.connection.response.create()
        seen = await caller.answer()
        assert understand(sound(seen), PCM24) != ""
        emulator = server.emulators[second]
        if isinstance(emulator, OpenAIEmulator):
            known = " ".join(str(item.wire()) for item in emulator.sessions[-1].items)
            assert "remember the seven lamps" in known
            assert "You said: remember" in known
        else:
            assert "seven lamps" in spoken(seen)
        await caller.connection.conversation.item.retrieve(item_id=mine["id"])
        assert (await caller.get("conversation.item.retrieved"))["item"] == mine


@pytest.mark.parametrize("name", WHOLE)
async def test_a_session_that_only_transcribes(name: str):
    async with (
        serving(name) as server,
        AsyncOpenAI(base_url=server.http, api_key="anything") as client,
        client.realtime.connect(model=name, extra_query={"intent": "transcription"}) as connection,
    ):
        caller = Caller(connection)
        created = await caller.get("session.created")
        assert created["session"]["type"] == "transcription"
        talking = asyncio.create_task(caller.say(YOUNG_MAN, pause_ms=3000))
        seen = await caller.until("conversation.item.input_audio_transcription.completed")
        await talking
        seen += await caller.quiet(5)
        assert user_words(seen) == [SAID[YOUNG_MAN]]
        assert [e["type"] for e in seen if e["type"].startswith("response.")] == []


async def test_a_browser_gets_a_secret_of_its_own():
    async with (
        serving("mock", "cascade") as server,
        AsyncOpenAI(base_url=server.http, api_key="anything") as backend,
    ):
        made = await backend.realtime.client_secrets.create(
            session={"type": "realtime", "model": "mock", "instructions": "Be brief."},
            expires_after={"anchor": "created_at", "seconds": 60},
        )
        assert type(made).model_validate(made.to_dict(), strict=True) == made
        async with (
            AsyncOpenAI(base_url=server.http, api_key=made.value) as browser,
            browser.realtime.connect(model=omit) as connection,
        ):
            caller = Caller(connection)
            created = await caller.get("session.created")
            assert created["session"]["model"] == "mock"
            assert created["session"]["instructions"] == "Be brief."
            await caller.type("hello")
            await connection.response.create()
            assert spoken(await caller.answer()) == "You said: hello"


@pytest.mark.real_clock
async def test_the_process_that_is_started_by_hand(tmp_path: Path):
    file = tmp_path / "voxengine.toml"
    file.write_text(
        '[gateway]\nport = 0\nstore = "memory"\nmax_loop_lag_ms = 60000\n'
        '[routes.play]\nproviders = ["mock"]\n'
    )
    judge = realtime_judge()
    raw: list[bytes] = []
    async with process(file) as server:
        async with (
            AsyncOpenAI(base_url=f"{server.http}/v1", api_key="anything") as client,
            client.realtime.connect(model="play") as connection,
        ):
            await connection.conversation.item.create(
                item={
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "good morning"}],
                }
            )
            await connection.response.create()
            while not raw or json.loads(raw[-1])["type"] != "response.done":
                raw.append(await asyncio.wait_for(connection.recv_bytes(), 20))
        server.send(signal.SIGTERM)
        assert await server.wait() == 0
    assert [problem for message in raw for problem in judge.server(message)] == []
    events = [json.loads(message) for message in raw]
    check(events)
    assert understand(sound(events), PCM24) == "You said: good morning"
    assert len(of(events, "response.done")) == 1


class Wavering(MockProvider):
    """A provider that takes back what it wrote."""

    def emit(self, event: ProviderEvent) -> None:
        if isinstance(event, TranscriptPartial) and event.text == "go forward":
            event = msgspec.structs.replace(event, text="go four")
        super().emit(event)


async def test_deltas_of_a_transcript_that_was_revised_make_no_nonsense(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(registry, "_registered", {})
    register_provider("wavering", lambda config: Wavering(config))
    content = {"routes": {"wavering": {"providers": ["wavering"]}}}
    async with (
        serving(content=content, revising=True) as server,
        calling(server, "wavering") as caller,
    ):
        await caller.transcribed()
        await caller.say("go forward ten meters")
        kind = "conversation.item.input_audio_transcription"
        seen = await caller.until(f"{kind}.completed")
        assert "".join(event["delta"] for event in of(seen, f"{kind}.delta")) == "go four"
        assert user_words(seen) == ["go forward ten meters"]
        await caller.answer()
