"""The session object: how it begins, what `session.update` makes of it, and what reaches the engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.wire.talking import talking
from tests.gateway.wire.test_commands import TWO
from tests.testing.profiles import PROFILES
from voxengine import events as ev
from voxengine.gateway.grants import Grant
from voxengine.testing.emulators.openai import OpenAIEmulator

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {}},
}


def route(**settings: Any) -> dict[str, Any]:
    return {"routes": {"play": {"providers": ["mock"], **settings}}}


# -- how it begins


async def test_it_begins_with_what_the_route_says():
    content = route(instructions="Be kind.", voice="tenor", max_response_tokens=99)
    async with talking(content=content) as client:
        session = client.events[0]["session"]
        assert session["id"] == client.call.session_id
        assert session["object"] == "realtime.session"
        assert session["instructions"] == "Be kind."
        assert session["audio"]["output"]["voice"] == "tenor"
        assert session["max_output_tokens"] == 99
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        assert session["model"] == "play"
        assert "expires_at" not in session


async def test_a_call_that_may_not_last_says_when_it_ends():
    async with talking(content=route(max_duration=600)) as client:
        expires_at = client.events[0]["session"]["expires_at"]
        assert expires_at == pytest.approx(client.call.started_at + 600, abs=1)


async def test_settings_of_a_client_secret_are_there_from_the_beginning():
    secret = {
        "type": "realtime",
        "model": "play",
        "instructions": "Be brief.",
        "tools": [TOOL],
        "audio": {"input": {"turn_detection": None}},
    }
    grant = Grant(key_id="k", session=secret)
    async with talking(grant=grant) as client:
        session = client.events[0]["session"]
        assert session["instructions"] == "Be brief."
        assert session["tools"] == [TOOL]
        assert session["audio"]["input"]["turn_detection"] is None
        assert client.call.engine.config.instructions == "Be brief."
        assert client.call.engine.config.turn_detection == "none"
        assert client.types() == ["session.created"]


async def test_settings_of_a_client_secret_that_do_not_do_are_told():
    grant = Grant(key_id="k", session={"type": "realtime", "nonsense": 1})
    async with talking(grant=grant) as client:
        await client.told("error")
        assert client.errors[0]["param"] == "session.nonsense"
        assert client.types() == ["session.created", "error"]


# -- what session.update makes of it


async def test_what_is_not_given_stays():
    async with talking(content=route(instructions="Be kind.")) as client:
        client.update(max_output_tokens=50)
        updated = (await client.told("session.updated"))["session"]
        before = client.events[0]["session"]
        assert updated == {**before, "max_output_tokens": 50}
        assert client.call.engine.config.max_response_tokens == 50


async def test_objects_are_taken_field_by_field_and_null_clears():
    async with talking() as client:
        client.update(
            audio={
                "input": {
                    "transcription": {"model": "whisper-1"},
                    "turn_detection": {"type": "server_vad", "create_response": False},
                }
            }
        )
        first = (await client.told("session.updated"))["session"]["audio"]["input"]
        assert first["turn_detection"]["create_response"] is False
        assert first["turn_detection"]["threshold"] == 0.5
        assert first["transcription"] == {"model": "whisper-1"}
        client.update(audio={"input": {"transcription": None}})
        second = (await client.told("session.updated", 2))["session"]["audio"]["input"]
        assert second == {**first, "transcription": None}
        client.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        third = (await client.told("session.updated", 3))["session"]["audio"]["input"]
        assert third["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "auto",
            "create_response": True,
            "interrupt_response": True,
        }


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        ({"tool_choice": "never"}, "invalid_value", "session.tool_choice"),
        ({"instructions": None}, "invalid_type", "session.instructions"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"output": {"speed": 9}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        ({"type": "transcription"}, "invalid_value", "session.type"),
    ],
)
async def test_what_does_not_do_changes_nothing(session: dict[str, Any], code: str, param: str):
    async with talking() as client:
        client.update(**{"instructions": "new", **session})
        await client.told("error")
        assert [(e["code"], e["param"]) for e in client.errors] == [(code, param)]
        client.update()
        updated = (await client.told("session.updated"))["session"]
        assert updated == client.events[0]["session"]
        assert client.call.engine.config.instructions is None


async def test_what_the_provider_cannot_do_is_named_and_the_rest_is_done():
    async with talking() as client:
        client.say(
            "session.update",
            event_id="mine",
            session={
                "type": "realtime",
                "instructions": "new",
                "tool_choice": "required",
                "truncation": "disabled",
                "audio": {
                    "input": {"noise_reduction": {"type": "near_field"}},
                    "output": {"speed": 1.2},
                },
            },
        )
        updated = await client.told("session.updated")
        assert {(e["code"], e["param"], e["event_id"]) for e in client.errors} == {
            ("unsupported_setting", f"session.{name}", "mine")
            for name in (
                "tool_choice",
                "truncation",
                "audio.input.noise_reduction",
                "audio.output.speed",
            )
        }
        assert updated["session"]["instructions"] == "new"


async def test_a_voice_of_another_vendors_is_mapped():
    async with talking({"capabilities": {"voices": ["ara", "rex"]}}) as client:
        client.update(audio={"output": {"voice": "cedar"}})
        updated = await client.told("session.updated")
        assert updated["session"]["audio"]["output"]["voice"] == "cedar"
        assert client.call.engine.config.voice == "rex"
        assert client.errors == []


async def test_the_voice_stays_once_it_was_heard():
    async with talking() as client:
        client.update(audio={"output": {"voice": "tenor"}})
        await client.speak("hello")
        await client.told("response.done")
        client.update(audio={"output": {"voice": "tenor"}})
        await client.told("session.updated", 2)
        client.update(audio={"output": {"voice": "alto"}})
        await client.told("error")
        assert client.errors[0]["code"] == "cannot_update_voice"


async def test_tools_are_the_clients():
    setup = {"mock_responses": {"weather": {"tools": [{"name": "weather"}]}}}
    async with talking(setup) as client:
        client.update(tools=[TOOL])
        await client.told("session.updated")
        await client.speak("weather")
        done = await client.told("response.function_call_arguments.done")
        assert done["name"] == "weather"
        client.update(tool_choice="none")
        await client.told("session.updated", 2)
        assert client.errors == []


# -- another model


async def test_another_model_is_another_provider():
    async with talking(content=TWO) as client:
        await client.speak("hello")
        await client.told("response.done")
        client.update(model="other", instructions="Go on.")
        updated = await client.told("session.updated")
        assert updated["session"]["model"] == "other"
        await client.speak("hello")
        answer = await client.told("response.done", 2)
        assert answer["response"]["output"][0]["content"][0]["transcript"] == "two"
        assert client.call.engine.config.instructions == "Go on."
        assert client.errors == []


@pytest.mark.parametrize(
    ("model", "code"), [("nothing/at-all", "model_not_found"), ("forbidden", "route_not_allowed")]
)
async def test_a_model_that_may_not_be_called_changes_nothing(model: str, code: str):
    grant = Grant(key_id="k", routes=("play", "other", "nothing/at-all"))
    async with talking(content=TWO, grant=grant) as client:
        client.update(model=model, instructions="new")
        await client.told("error")
        assert client.errors[0]["code"] == code
        assert client.session.settings.values["model"] == "play"
        assert client.call.engine.config.instructions is None


@pytest.mark.parametrize("limits", [{"max_output_tokens": "inf"}, {"max_output_tokens": 5}, {}])
async def test_one_response_may_have_another_limit_or_none(limits: dict[str, Any]):
    async with talking() as client:
        client.update(max_output_tokens=50)
        await client.told("session.updated")
        provider = client.call.engine.provider
        assert provider is not None
        at_work = [provider.config.max_response_tokens]

        def note(event: ev.ProviderEvent) -> None:
            at_work.append(provider.config.max_response_tokens)

        client.call.engine.on([ev.ResponseStarted, ev.ResponseCompleted], note)
        part = {"type": "input_text", "text": "hello"}
        client.say(
            "conversation.item.create",
            item={"type": "message", "role": "user", "content": [part]},
        )
        client.say("response.create", response=limits)
        done = await client.told("response.done")
        await asyncio.sleep(20)

        wanted = limits.get("max_output_tokens", 50)
        assert done["response"]["max_output_tokens"] == wanted
        assert at_work == [50, *[None if wanted == "inf" else wanted] * 2]
        assert provider.config.max_response_tokens == 50
        assert client.errors == []


FAILOVER = {
    "providers": {
        "one": {"provider": "mock", "metadata": {"faults": ["drop:after_chunks=1"]}},
        "two": {"provider": "mock", "metadata": {"default_response": "I am two."}},
    },
    "routes": {"play": {"providers": ["one", "two"], "reconnect_timeout": 0}},
}


async def test_the_client_is_told_of_the_model_that_takes_over():
    async with talking(content=FAILOVER) as client:
        client.update(instructions="Be kind.")
        await client.speak("hello")
        updated = await client.told("session.updated", 2)
        assert updated["session"]["model"] == "two"
        assert updated["session"]["instructions"] == "Be kind."
        await asyncio.sleep(30)
        assert len(client.all("session.updated")) == 2

        client.update(model="two")  # it is that already
        again = await client.told("session.updated", 3)
        assert again["session"]["model"] == "two"
        switched: list[Any] = []
        client.call.engine.on(ev.ProviderSwitched, switched.append)
        client.update(model="play")
        back = await client.told("session.updated", 4)
        assert back["session"]["model"] == "play"
        assert len(switched) == 1
        await asyncio.sleep(5)
        assert len(client.all("session.updated")) == 4


async def test_the_client_is_told_of_the_model_that_an_operator_wants():
    async with talking(content=TWO) as client:
        call, gateway = client.call, client.gateway
        config = gateway.routes.resolve("other").config(call.grant)
        await call.engine.switch_provider(config.provider, config)
        updated = await client.told("session.updated")
        assert updated["session"]["model"] == "other"
        client.update(instructions="new")
        updated = await client.told("session.updated", 2)
        assert updated["session"]["model"] == "other"


# -- transcription sessions


async def test_a_session_that_only_transcribes():
    async with talking(transcription=True) as client:
        session = client.events[0]["session"]
        assert session["type"] == "transcription"
        assert session["object"] == "realtime.transcription_session"
        client.say(
            "session.update",
            session={
                "type": "transcription",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            },
        )
        await client.told("session.updated")
        await client.speak("hello there")
        done = await client.told("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "hello there"
        client.say("response.create")
        await client.told("error")
        assert client.types("response.") == []


# -- the beta


async def test_a_client_of_the_beta_is_told_a_flat_session():
    async with talking(beta=True) as client:
        session = client.events[0]["session"]
        assert session["modalities"] == ["audio", "text"]
        assert session["input_audio_format"] == "pcm16"
        assert session["voice"] == "alto"
        assert session["turn_detection"]["type"] == "server_vad"
        assert "audio" not in session
        client.say(
            "session.update",
            session={
                "instructions": "new",
                "modalities": ["text"],
                "voice": "tenor",
                "input_audio_format": "g711_ulaw",
                "input_audio_transcription": {"model": "whisper-1"},
                "turn_detection": None,
                "temperature": 0.8,
                "max_response_output_tokens": 50,
            },
        )
        updated = (await client.told("session.updated"))["session"]
        assert updated["modalities"] == ["text"]
        assert updated["voice"] == "tenor"
        assert updated["input_audio_format"] == "g711_ulaw"
        assert updated["input_audio_transcription"] == {"model": "whisper-1"}
        assert updated["turn_detection"] is None
        assert updated["max_response_output_tokens"] == 50
        assert client.call.engine.config.max_response_tokens == 50
        await client.told("error")
        assert [(e["code"], e["param"]) for e in client.errors] == [
            ("unsupported_setting", "session.temperature")
        ]
        client.say("session.update", session={"input_audio_format": "mp3"})
        await client.told("error", 2)
        assert client.errors[1]["param"] == "session.input_audio_format"


async def test_the_betas_temperature_is_that_of_a_provider_that_has_one():
    can = {"session_options": ["temperature"]}
    async with talking({"capabilities": can}, beta=True) as client:
        assert "temperature" not in client.events[0]["session"]
        client.say("session.update", session={"temperature": 0.7})
        updated = (await client.told("session.updated"))["session"]
        assert updated["temperature"] == client.call.engine.config.temperature == 0.7
        client.say("session.update", session={"temperature": "hot"})
        await client.told("error")
        assert client.errors[0]["param"] == "session.temperature"
        # It lasts, also beyond the connection of this client, but is nothing that today's sessions have.
        assert client.session.settings.as_given()["temperature"] == 0.7
        assert "temperature" not in client.session.settings.wire()


@pytest.mark.parametrize("can", [{}, {"session_options": ["temperature"]}])
async def test_the_temperature_of_one_response_of_the_beta(can: dict[str, Any]):
    async with talking({"capabilities": can}, beta=True) as client:
        client.say(
            "conversation.item.create",
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}],
            },
        )
        seen: list[Any] = []
        provider = client.call.engine.provider
        assert provider is not None
        update = provider.update_session

        async def watched(**settings: Any) -> Any:
            seen.append(settings.get("temperature"))
            return await update(**settings)

        provider.update_session = watched  # type: ignore[method-assign]
        client.say("response.create", response={"temperature": 0.3})
        done = await client.told("response.done")
        await asyncio.sleep(20)
        assert done["response"]["status"] == "completed"
        assert [e["param"] for e in client.errors] == ([] if can else ["response.temperature"])
        assert seen == ([0.3, None] if can else [])


async def test_a_temperature_is_nothing_that_todays_clients_may_set():
    async with talking() as client:
        client.update(temperature=0.7)
        await client.told("error")
        client.say("response.create", response={"temperature": 0.7})
        await client.told("error", 2)
        params = ["session.temperature", "response.temperature"]
        assert [e["param"] for e in client.errors] == params
        assert client.types("session.updated", "response.") == []


async def test_tracing_is_only_promised_by_those_who_do_it():
    async with talking() as client:
        client.update(tracing="auto")
        await client.told("session.updated")
        assert (
            client.errors == []
        )  # OpenAI's agents ask for it by themselves, and take an error for the end
        client.update(tracing={"workflow_name": "support"})
        await client.told("error")
        assert [(e["code"], e["param"]) for e in client.errors] == [
            ("unsupported_setting", "session.tracing")
        ]


# -- a provider that speaks the same wire


async def test_what_openai_can_do_is_handed_on_to_it():
    async with OpenAIEmulator() as emulator:
        content = {
            "providers": {
                "one": {"provider": "openai", "metadata": emulator.metadata},
            },
            "routes": {"play": {"providers": ["one"]}},
        }
        async with talking(content=content, settings={"api_key": "sk-emulated"}) as client:
            client.update(
                instructions="new",
                tool_choice="required",
                tools=[TOOL],
                truncation="disabled",
                max_output_tokens=100,
                tracing="auto",
                audio={
                    "input": {
                        "noise_reduction": {"type": "near_field"},
                        "transcription": {"model": "whisper-1", "language": "en"},
                        "turn_detection": {
                            "type": "semantic_vad",
                            "eagerness": "high",
                            "interrupt_response": False,
                        },
                    },
                    "output": {"voice": "cedar", "speed": 1.2},
                },
            )
            updated = await client.told("session.updated")
            assert client.errors == []
            there = emulator.sessions[0].config
            here = updated["session"]
            for name in (
                "instructions",
                "tool_choice",
                "tools",
                "truncation",
                "max_output_tokens",
                "tracing",
            ):
                assert there[name] == here[name], name
            assert there["audio"]["output"]["voice"] == "cedar"
            assert there["audio"]["output"]["speed"] == 1.2
            for name in ("noise_reduction", "transcription", "turn_detection"):
                assert there["audio"]["input"][name] == here["audio"]["input"][name], name


@pytest.mark.parametrize("profile", list(PROFILES))
async def test_every_setting_of_openais_is_answered_on_every_provider(profile: str):
    async with talking({"capabilities": PROFILES[profile]}) as client:
        full = {
            "output_modalities": ["text"],
            "instructions": "x",
            "tools": [TOOL],
            "tool_choice": {"type": "function", "name": "weather"},
            "parallel_tool_calls": False,
            "max_output_tokens": 7,
            "reasoning": {"effort": "low"},
            "tracing": "auto",
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
            "include": ["item.input_audio_transcription.logprobs"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcma"},
                    "noise_reduction": {"type": "far_field"},
                    "transcription": {"model": "whisper-1", "language": "en", "prompt": "names"},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 700},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "ash", "speed": 0.8},
            },
        }
        client.update(**full)
        updated = (await client.told("session.updated"))["session"]
        assert {e["code"] for e in client.errors} <= {"unsupported_setting"}
        assert updated["instructions"] == "x"
        assert updated["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 700
