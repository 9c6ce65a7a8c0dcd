"""Checks of responses: asked for, in all the ways that there are, called off, and interrupted."""

from __future__ import annotations

import json
from typing import Any

from voxengine.testing.conformance.checks import NotOffered, expect
from voxengine.testing.conformance.gateway.case import GatewayCase, words_of
from voxengine.testing.conformance.gateway.checks import Declined, check
from voxengine.testing.conformance.gateway.client import Event
from voxengine.testing.conformance.gateway.stands import FRUIT, ORDER

_NOTE = {"topic": "weather"}


async def _asked(case: GatewayCase, **response: Any) -> Event:
    """A response that was asked for with this; its end."""
    created = await case.client.ask("response.create", "response.created", response=response)
    response_id = created["response"]["id"]
    since = case.client.events.index(created)
    while True:
        done = await case.client.wait("response.done", since=since)
        if done["response"]["id"] == response_id:
            return dict(done["response"])
        since = case.client.events.index(done) + 1


def _log(case: GatewayCase) -> list[str]:
    return [item.id for item in case.engine.conversation]


@check("text_input", "response_on_request")
async def text_is_answered_when_asked(case: GatewayCase) -> None:
    """response.create answers the conversation once, in speech, and its item is in the log."""
    await case.write(case.scenario.hello)
    since = len(case.client.events)
    response = await _asked(case)
    await case.client.quiet()
    expect(response["status"] == "completed", f"the response is {response['status']}")
    expect(response["conversation_id"], "the response has no conversation")
    expect(words_of(response), "the answer has no words")
    expect(case.audio_of(since), "the answer has no audio")
    expect(response["output"][0]["id"] in _log(case), "its item is not in the log")
    expect(len(case.client.all("response.created", since=since)) == 1, "it was answered twice")


@check("text_input", "response_on_request")
async def one_response_in_text(case: GatewayCase) -> None:
    """output_modalities ["text"] of one response makes that one text; the next is spoken again."""
    await case.write(case.scenario.hello)
    since = len(case.client.events)
    response = await _asked(case, output_modalities=["text"])
    expect(response["output_modalities"] == ["text"], "the modality is not told back")
    expect(response["output"][0]["content"][0]["type"] == "output_text", "it is no text")
    expect(not case.audio_of(since), "audio came though text was asked for")
    await case.client.quiet()
    since = len(case.client.events)
    await case.write(case.scenario.hello)
    await _asked(case)
    expect(case.audio_of(since), "the next answer has no audio")


@check("text_input", "response_on_request")
async def one_response_with_instructions(case: GatewayCase) -> None:
    """The instructions of one response hold for it, and not for the session."""
    before = (await case.client.update())["instructions"]
    await case.write(case.scenario.hello)
    response = await _asked(case, instructions=ORDER)
    if case.stand.obeys:
        expect(words_of(response) == FRUIT, f"told to name a fruit it said {words_of(response)!r}")
    await case.client.quiet()
    expect((await case.client.update())["instructions"] == before, "the session has them now")
    if case.told is not None:
        expect(ORDER not in case.told.instructions(), "the model keeps them")
    await case.write(case.scenario.hello)
    again = words_of(await _asked(case))
    expect(again != FRUIT, "the next answer follows them, too")


@check("text_input", "response_on_request")
async def beside_the_conversation(case: GatewayCase) -> None:
    """A response with conversation "none" has its metadata, and leaves no trace in the log or with the model."""
    await case.write(case.scenario.hello)
    log = _log(case)
    response = await _asked(
        case, conversation="none", metadata=_NOTE, instructions=ORDER, output_modalities=["text"]
    )
    await case.client.quiet()
    expect(response["status"] == "completed", f"it is {response['status']}")
    expect(response["metadata"] == _NOTE, f"its metadata are {response['metadata']}")
    expect(response["conversation_id"] is None, "it has joined the conversation")
    expect(_log(case) == log, "it has changed the log")
    said = words_of(response)
    expect(said, "it has no words")
    expect(not case.stand.obeys or said == FRUIT, f"told to name a fruit it said {said!r}")
    case.knows_not(FRUIT, "the model of the conversation knows of it")


@check("text_input", "response_on_request", "history")
async def with_a_context_of_its_own(case: GatewayCase) -> None:
    """A response with its own input answers that instead of the conversation."""
    await case.write(case.scenario.hello)
    answer = words_of(await _asked(case, output_modalities=["text"]))
    await case.write("What came before.")
    content = [{"type": "input_text", "text": case.scenario.hello}]
    own = [{"type": "message", "role": "user", "content": content}]
    response = await _asked(case, conversation="none", input=own, output_modalities=["text"])
    expect(response["status"] == "completed", f"it is {response['status']}")
    said = words_of(response)
    expect(said == answer, f"it said {said!r}")


@check("response_on_request", "history")
async def two_at_a_time(case: GatewayCase) -> None:
    """Responses beside the conversation run beside each other, each told by its own id."""
    made = [{"conversation": "none", "instructions": ORDER, "output_modalities": ["text"]}] * 2
    since = len(case.client.events)
    for response in made:
        await case.client.send("response.create", response=response)
    first = await case.client.wait("response.done", "error", since=since)
    if first["type"] == "error":
        raise Declined(first["error"])
    place = case.client.events.index(first) + 1
    second = await case.client.wait("response.done", since=place)
    ids = {first["response"]["id"], second["response"]["id"]}
    expect(len(ids) == 2, "two responses have one id")
    states = {first["response"]["status"], second["response"]["status"]}
    expect(states == {"completed"}, f"they are {states}")


@check("tools", "instructions_updatable")
async def tools_are_called_and_answered(case: GatewayCase) -> None:
    """A function of the session is called; with its output the model knows the result, and answers when asked."""
    tools = [{"type": "function", **tool} for tool in case.scenario.tools]
    session = await case.client.update(tools=tools)
    expect([t["name"] for t in session["tools"]] == [t["name"] for t in tools], "not told back")
    call, output_of = await _called(case)
    expect(call["name"] == tools[0]["name"], f"{call['name']!r} was called")
    expect(isinstance(json.loads(call["arguments"]), dict), "the arguments are no JSON object")
    expect(output_of == "function_call", f"the response has a {output_of}")
    await case.client.quiet()
    since = len(case.client.events)
    result = {
        "type": "function_call_output",
        "call_id": call["call_id"],
        "output": case.scenario.tool_output,
    }
    await case.add(result)
    await case.client.quiet(2.0)
    expect(not case.client.all("response.created", since=since), "it went on unasked")
    response = await _asked(case)
    case.knows(case.scenario.tool_output, "the model was not told the result")
    expect(words_of(response), "the answer after the function has no words")


async def _called(case: GatewayCase) -> tuple[Event, str]:
    """Make it call a function; the event that tells of the call, and the kind of the item in response.done."""
    if not case.can.text_input or case.scenario.tool is None:
        since = len(case.client.events)
        await case.client.speak(case.speech(str(case.scenario.tool)))
    else:
        since = await case.provoke(case.scenario.tool)
    call = await case.client.wait("response.function_call_arguments.done", since=since)
    response = await case.answer(since)
    kinds = [item["type"] for item in response["output"] if item["type"] == "function_call"]
    return call, kinds[0] if kinds else "response without a call"


@check("text_input", "response_on_request", "tools", "response_overrides")
async def tools_of_one_response(case: GatewayCase) -> None:
    """Functions of one response can be called in it, and are none of the session's."""
    tools = [{"type": "function", **tool} for tool in case.scenario.tools]
    await case.write(str(case.scenario.tool))
    response = await _asked(case, tools=tools, tool_choice="auto")
    kinds = [item["type"] for item in response["output"]]
    expect("function_call" in kinds, f"the response has {kinds}")
    expect((await case.client.update())["tools"] == [], "the session has them now")


@check("cancel")
async def cancelled_once(case: GatewayCase) -> None:
    """response.cancel ends a response as cancelled, once, and nothing of it comes afterwards."""
    since = await case.provoke(case.scenario.long)
    delta = await case.client.wait("response.output_audio.delta", since=since)
    response_id = delta["response_id"]
    event_id = await case.client.send("response.cancel", response_id=response_id)
    end = await case.client.wait("response.done", "error", since=since)
    if end["type"] == "error":
        expect(end["error"].get("event_id") == event_id, "an error came that nobody asked for")
        raise Declined(end["error"])
    await case.client.quiet(4.0)
    dones = case.client.all("response.done", since=since)
    expect(len(dones) == 1, f"response.done came {len(dones)} times")
    response = dones[0]["response"]
    expect(response["status"] == "cancelled", f"it is {response['status']}")
    expect(response["status_details"]["reason"] == "client_cancelled", "the reason is another")
    error = await case.client.error("response.cancel")
    expect(error["code"] == "response_cancel_not_active", f"then the code is {error['code']!r}")
    again = await case.answer(await case.provoke(case.scenario.hello))
    expect(again["status"] == "completed", f"the next answer is {again['status']}")


@check()
async def nothing_to_cancel_is_an_error(case: GatewayCase) -> None:
    """response.cancel without a response is OpenAI's error."""
    error = await case.client.error("response.cancel")
    expect(error["code"] == "response_cancel_not_active", f"the code is {error['code']!r}")


@check()
async def one_response_at_a_time(case: GatewayCase) -> None:
    """response.create while a response is under way is OpenAI's error, and that one goes on."""
    since = await case.provoke(case.scenario.long)
    created = await case.client.wait("response.created", since=since)
    await case.client.wait("response.output_audio.delta", since=since)
    error = await case.client.error("response.create")
    code = "conversation_already_has_active_response"
    expect(error["code"] == code, f"the code is {error['code']!r}")
    response = await case.answer(since)
    expect(response["id"] == created["response"]["id"], "another response has ended")
    expect(response["status"] == "completed", f"it is {response['status']}")


@check()
async def interrupted_exactly_once(case: GatewayCase) -> None:
    """Speech ends an answer as cancelled by turn_detected, once; the log keeps what was heard of it."""
    if not case.can.vad_events:
        raise NotOffered(
            "the provider does not tell when speech begins, and ends its answers itself"
        )
    since = await case.provoke(case.scenario.long)
    delta = await case.client.wait("response.output_audio.delta", since=since)
    await case.client.speak(case.speech())
    cut = await case.client.wait("response.done", since=since)
    expect(cut["response"]["id"] == delta["response_id"], "another response has ended")
    expect(cut["response"]["status"] == "cancelled", f"it is {cut['response']['status']}")
    reason = cut["response"]["status_details"]["reason"]
    expect(reason == "turn_detected", f"the reason is {reason!r}")
    await case.client.wait("response.done", since=case.client.events.index(cut) + 1)
    await case.client.quiet()
    dones = [
        event
        for event in case.client.all("response.done", since=since)
        if event["response"]["id"] == delta["response_id"]
    ]
    expect(len(dones) == 1, f"it has ended {len(dones)} times")
    started = case.client.all("input_audio_buffer.speech_started", since=since)
    mine = case.client.events.index(cut)
    expect(any(case.client.events.index(e) < mine for e in started), "speech was not told first")
    item = case.engine.conversation.get(delta["item_id"])
    if item is not None:  # otherwise nothing was heard of it
        expect(item.status == "incomplete", f"the log has it as {item.status}")
