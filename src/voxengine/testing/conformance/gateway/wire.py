"""Checks of the wire itself: errors in OpenAI's form, and clients of the beta."""

from __future__ import annotations

import json
from typing import Any

from voxengine.testing.conformance.checks import expect
from voxengine.testing.conformance.gateway.case import ROUTE, GatewayCase
from voxengine.testing.conformance.gateway.checks import check

#: What only the present form has.
_NEW_NAMES = (
    "conversation.item.added",
    "conversation.item.done",
    "response.output_text.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
)


@check()
async def errors_name_the_event(case: GatewayCase) -> None:
    """What is wrong is answered by one error with type, code, param and the client's event_id; the session goes on."""
    wrong: list[tuple[dict[str, Any], str, str | None]] = [
        ({"type": "no.such.event"}, "invalid_value", "type"),
        ({}, "missing_required_parameter", "type"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "response.cancel", "why": "x"}, "unknown_parameter", "why"),
        ({"type": "input_audio_buffer.append", "audio": "~"}, "invalid_value", "audio"),
        ({"type": "conversation.item.retrieve", "item_id": 5}, "invalid_type", "item_id"),
    ]
    for n, (event, code, param) in enumerate(wrong):
        since = len(case.client.events)
        event_id = f"wrong_{n}"
        await case.client.send_text(json.dumps({**event, "event_id": event_id}))
        error = (await case.client.wait("error", since=since))["error"]
        expect(error["event_id"] == event_id, f"the error names {error['event_id']!r}")
        expect(error["type"] == "invalid_request_error", f"the type is {error['type']!r}")
        expect(error["code"] == code, f"{event} is refused with {error['code']!r}")
        expect(error["param"] == param, f"{event} is refused for {error['param']!r}")
    expect(len(case.client.errors) == len(wrong), "an error was told twice")
    await case.alive()


@check()
async def what_is_no_json_is_an_error(case: GatewayCase) -> None:
    """A message that is no JSON, or no object, is answered by an error, and the session goes on."""
    for message in ("{", "[]", '"x"', "", "{" * 2000):
        since = len(case.client.events)
        await case.client.send_text(message)
        error = (await case.client.wait("error", since=since))["error"]
        expect(error["type"] == "invalid_request_error", f"{message[:20]!r}: {error}")
        expect(error["event_id"] is None, "the error names an event")
    await case.alive()


@check()
async def output_audio_buffer_is_not_for_sockets(case: GatewayCase) -> None:
    """output_audio_buffer.clear is an error on a WebSocket, as with OpenAI, and stops nothing."""
    since = await case.provoke(case.scenario.hello)
    await case.client.wait("response.created", since=since)
    error = await case.client.error("output_audio_buffer.clear")
    expect(error["type"] == "invalid_request_error", f"the error is {error}")
    response = await case.answer(since)
    expect(response["status"] == "completed", f"the answer is {response['status']}")


@check()
async def beta_clients_get_the_betas_names(case: GatewayCase) -> None:
    """A client with the header OpenAI-Beta sends the flat session and is told all in the beta's form."""
    async with case.another(f"model={ROUTE}", beta=True) as client:
        created = client.events[0]["session"]
        expect(created["input_audio_format"] == "pcm16", "the session is not the beta's")
        since = len(client.events)
        session = {
            "modalities": ["audio", "text"],
            "input_audio_transcription": {"model": "whisper-1"},
        }
        await client.send("session.update", session=session)
        told = (await client.wait("session.updated", since=since))["session"]
        written = told["input_audio_transcription"]
        expect(written["model"] == "whisper-1", "the setting is not told back")
        await client.speak(case.speech())
        done = await client.wait("response.done", since=since)
        kinds = {event["type"] for event in client.events}
        new = sorted(kinds.intersection(_NEW_NAMES))
        expect(not new, f"it was told {', '.join(new)}")
        wanted = {
            "input_audio_buffer.committed",
            "conversation.item.created",
            "response.audio.delta",
            "response.audio_transcript.delta",
            "response.audio.done",
        }
        missing = sorted(wanted - kinds)
        expect(not missing, f"it was not told {', '.join(missing)}")
        expect("modalities" in done["response"], "response.done is not in the beta's form")
        part = done["response"]["output"][0]["content"][0]
        expect(part["type"] == "audio", f"a part is {part['type']!r}")
        expect(not client.errors, f"errors came: {client.errors}")
