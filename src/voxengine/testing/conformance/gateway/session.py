"""Checks of the session: `session.created`, and `session.update` with all that it changes."""

from __future__ import annotations

from voxengine.testing.conformance.checks import expect
from voxengine.testing.conformance.gateway.case import OTHER, ROUTE, GatewayCase, words_of
from voxengine.testing.conformance.gateway.checks import check
from voxengine.testing.conformance.gateway.client import Event

_INSTRUCTIONS = "Answer as a sailor would."


@check()
async def session_is_created(case: GatewayCase) -> None:
    """The first event is session.created, with the route as the model and an id that nobody can guess."""
    session = case.client.events[0]["session"]
    expect(session["model"] == ROUTE, f"the model is {session['model']!r}")
    expect(session["id"].startswith("sess_"), f"the id is {session['id']!r}")
    expect(len(session["id"]) >= 25, "the id is short enough to be guessed")
    async with case.another(f"model={ROUTE}") as other:
        expect(other.events[0]["session"]["id"] != session["id"], "two sessions have one id")


@check("turn_options.silence_duration_ms")
async def settings_are_told_back(case: GatewayCase) -> None:
    """session.updated has the whole session: what was changed as it was given, and all else as it was."""
    before = case.client.events[0]["session"]
    vad = {"type": "server_vad", "silence_duration_ms": 700}
    transcription = {"model": "whisper-1"}
    after = await case.client.update(
        audio={"input": {"transcription": transcription, "turn_detection": vad}}
    )
    heard = after["audio"]["input"]
    expect(heard["turn_detection"]["silence_duration_ms"] == 700, "silence_duration_ms is not")
    expect(heard["turn_detection"]["type"] == "server_vad", "the kind of turn detection is not")
    expect(heard["transcription"]["model"] == "whisper-1", "the transcription is not")
    for name in ("id", "model", "instructions", "output_modalities", "max_output_tokens", "tools"):
        expect(after[name] == before[name], f"{name} has changed by itself")
    expect(after["audio"]["output"] == before["audio"]["output"], "audio.output has changed")


@check("instructions_updatable")
async def instructions_reach_the_model(case: GatewayCase) -> None:
    """New instructions are told back, and the model has them."""
    session = await case.client.update(instructions=_INSTRUCTIONS)
    expect(session["instructions"] == _INSTRUCTIONS, "the instructions are not told back")
    given = await case.has(lambda model: _INSTRUCTIONS in model.instructions())
    expect(given, "the model does not have them")


@check("voices")
async def voice_reaches_the_model(case: GatewayCase) -> None:
    """A voice is told back, and the model speaks with it; once it has spoken, another is refused."""
    voices = case.can.voices
    voice = voices[-1] if voices else "alloy"
    session = await case.client.update(audio={"output": {"voice": voice}})
    expect(session["audio"]["output"]["voice"] == voice, "the voice is not told back")
    expect(await case.has(lambda model: model.voice() == voice), "the model has another voice")
    response = await case.answer(await case.provoke(case.scenario.hello))
    expect(response["audio"]["output"]["voice"] == voice, "the response has another voice")
    another = voices[0] if len(voices) > 1 else "ash"
    given = {"type": "realtime", "audio": {"output": {"voice": another}}}
    error = await case.client.error("session.update", session=given)
    expect(error["type"] == "invalid_request_error", f"the error is {error}")


@check()
async def text_alone_holds_for_the_session(case: GatewayCase) -> None:
    """With output_modalities ["text"] answers are text, and no audio comes."""
    session = await case.client.update(output_modalities=["text"])
    expect(session["output_modalities"] == ["text"], "the modality is not told back")
    since = await case.provoke(case.scenario.hello)
    response = await case.answer(since)
    expect(response["status"] == "completed", f"the response is {response['status']}")
    expect(words_of(response), "the answer has no words")
    audio = case.client.all("response.output_audio.delta", since=since)
    expect(not audio, "audio came though text was asked for")
    expect(
        case.client.all("response.output_text.done", since=since), "no response.output_text.done"
    )


@check()
async def wrong_settings_change_nothing(case: GatewayCase) -> None:
    """A session.update with one wrong value is refused by its path, and the good ones in it are not taken."""
    wrong: list[tuple[Event, str, str]] = [
        ({"instructions": "x", "speed": 2}, "unknown_parameter", "session.speed"),
        (
            {"instructions": "x", "output_modalities": ["smell"]},
            "invalid_value",
            "session.output_modalities",
        ),
        ({"instructions": 5}, "invalid_type", "session.instructions"),
    ]
    before = case.client.events[0]["session"]["instructions"]
    for given, code, param in wrong:
        text = {"type": "realtime", **given}
        error = await case.client.error("session.update", session=text)
        expect(error["code"] == code, f"{given} is refused with {error['code']!r}")
        expect(str(error["param"]).startswith(param), f"{given} is refused for {error['param']!r}")
    session = await case.client.update()
    expect(session["instructions"] == before, "a refused session.update has changed something")


@check()
async def another_model_takes_over(case: GatewayCase) -> None:
    """A session.update with the model of another route goes on with that one, which knows what was said."""
    since = await case.provoke(case.scenario.hello)
    said = words_of(await case.answer(since))
    await case.client.quiet()
    before = case.engine.provider
    session = await case.client.update(model=OTHER)
    expect(session["model"] == OTHER, f"the model is {session['model']!r}")
    provider = case.engine.provider
    expect(provider is not None and provider.name == "mock", "the other provider is not at work")
    expect(provider is not before, "the same provider is at work as before")
    texts = [item.text for item in case.engine.conversation if item.role == "assistant"]
    expect(said in texts, "the conversation has lost an answer")
    await case.write("Are you there?")
    since = len(case.client.events)
    await case.client.send("response.create")
    response = await case.answer(since)
    expect(words_of(response) == "You said: Are you there?", f"the other says {words_of(response)}")


@check()
async def unknown_model_is_refused(case: GatewayCase) -> None:
    """A session.update with a model that is no route is an error, and the call goes on with its own."""
    error = await case.client.error(
        "session.update", session={"type": "realtime", "model": "nobody/nothing"}
    )
    expect(error["code"] == "model_not_found", f"the code is {error['code']!r}")
    session = await case.client.update()
    expect(session["model"] == ROUTE, f"the model is {session['model']!r}")
