"""The judges of OpenAI's protocols: every type's valid messages pass, and nothing that is wrong in one place does."""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import Any

import pytest
from pydantic import BaseModel

from tests.oracles.examples import changed, example, places, wrong_of_its_kind
from voxengine.errors import MissingDependencyError
from voxengine.testing.oracles import openai_live, openai_realtime
from voxengine.testing.oracles.judge import UNKNOWN_TYPE, Judge, Vocabulary
from voxengine.testing.oracles.openai_live import live_judge
from voxengine.testing.oracles.openai_realtime import realtime_judge
from voxengine.testing.oracles.strict import problems_of
from voxengine.testing.oracles.vendor import models_by_type

Case = tuple[str, str, str, type[BaseModel]]


def _cases() -> list[Case]:
    cases: list[Case] = []
    for protocol, module in (("realtime", openai_realtime), ("live", openai_live)):
        vocabularies: tuple[Vocabulary, Vocabulary] = module._vocabularies()
        for side, vocabulary in zip(("client", "server"), vocabularies, strict=True):
            for kind, model in vocabulary.models.items():
                variants = vocabulary.by_session.get(kind, {"": model}).values()
                cases += [(protocol, side, kind, each) for each in variants]
    return cases


CASES = _cases()


def judge_of(protocol: str) -> Judge:
    return realtime_judge() if protocol == "realtime" else live_judge()


def judged(protocol: str, side: str, message: Any) -> list[str]:
    """The verdict, after checking that it does not depend on how the message is given."""
    judge = judge_of(protocol)
    verdict: list[str] = getattr(judge, side)(message)
    raw = json.dumps(message)
    for other in (raw, raw.encode(), memoryview(raw.encode())):
        assert bool(getattr(judge, side)(other)) == bool(verdict)
    return verdict


def test_every_type_that_the_vendor_publishes_is_known():
    from openai.types import live, realtime

    for union, side, protocol, count in (
        (realtime.RealtimeClientEvent, "client", "realtime", 11),
        (realtime.RealtimeServerEvent, "server", "realtime", 46),
        (live.ClientEvent, "client", "live", 15),
        (live.ServerEvent, "server", "live", 28),
    ):
        published = models_by_type(union)
        assert len(published) >= count
        assert {kind for p, s, kind, _ in CASES if (p, s) == (protocol, side)} == set(published)


@pytest.mark.parametrize("full", [False, True], ids=["required", "full"])
@pytest.mark.parametrize(("protocol", "side", "kind", "model"), CASES)
def test_a_valid_message_passes(
    protocol: str, side: str, kind: str, model: type[BaseModel], full: bool
):
    assert judged(protocol, side, example(model, full=full)) == []


@pytest.mark.parametrize(("protocol", "side", "kind", "model"), CASES)
def test_an_unknown_field_is_caught_wherever_a_model_is(
    protocol: str, side: str, kind: str, model: type[BaseModel]
):
    message = example(model, full=True)
    for place in places(model, message):
        wrong = changed(message, place.path, put={"surprise": {"a": [1]}})
        expected = ".".join(map(str, (*place.path, "surprise")))
        assert f"{expected}: unknown field" in judged(protocol, side, wrong)


@pytest.mark.parametrize(("protocol", "side", "kind", "model"), CASES)
def test_a_missing_field_is_caught_wherever_it_is_required(
    protocol: str, side: str, kind: str, model: type[BaseModel]
):
    message = example(model, full=False)
    for place in places(model, message):
        for name, field in place.model.model_fields.items():
            if field.is_required():
                key = field.alias or name
                wrong = changed(message, place.path, drop=key)
                assert judged(protocol, side, wrong), (place.path, key)


@pytest.mark.parametrize(("protocol", "side", "kind", "model"), CASES)
def test_a_value_of_another_type_or_outside_the_literals_is_caught(
    protocol: str, side: str, kind: str, model: type[BaseModel]
):
    message = example(model, full=False)
    for place in places(model, message):
        for name, field in place.model.model_fields.items():
            wrong_value = wrong_of_its_kind(field.annotation)
            if wrong_value is not None and field.is_required():
                change = {field.alias or name: wrong_value}
                wrong = changed(message, place.path, put=change)
                assert judged(protocol, side, wrong), (place.path, change)


UPDATE: dict[str, Any] = {"type": "session.update", "session": {"type": "realtime"}}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            {
                "type": "session.update",
                "session": {
                    "modalities": ["audio"],
                    "voice": "alloy",
                    "input_audio_format": "pcm16",
                },
            },
            "session.type: Field required",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}},
            "session.voice: unknown field",
        ),
        (
            {
                "type": "session.update",
                "session": {
                    "type": "realtime",
                    "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}},
                },
            },
            "session.audio.input.format.rate: Input should be 24000",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "text", "text": "earlier"}],
                },
            },
            "item.content.0.type: Input should be 'output_text' or 'output_audio'",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "force_message"}},
            "item: fits none of ",
        ),
        ({"type": "session.update", "session": 5}, "session: Input should be a valid dictionary"),
        ({"type": "session.rewind"}, "type: unknown"),
    ],
)
def test_what_people_get_wrong_is_told_in_one_line(message: dict[str, Any], problem: str):
    verdict = judged("realtime", "client", message)
    assert len(verdict) == 1
    assert verdict[0].startswith(problem)


def test_a_transcription_session_is_judged_as_one():
    session: dict[str, Any] = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    }
    assert judged("realtime", "client", {"type": "session.update", "session": session}) == []
    session["instructions"] = "Be brief."
    assert judged("realtime", "client", {"type": "session.update", "session": session}) == [
        "session.instructions: unknown field"
    ]


def test_a_session_that_was_made_has_an_id():
    message: dict[str, Any] = {
        "type": "session.created",
        "event_id": "event_1",
        "session": {"type": "realtime", "id": "sess_1", "object": "realtime.session"},
    }
    assert judged("realtime", "server", message) == []
    del message["session"]["id"]
    assert judged("realtime", "server", message) == ["session.id: Field required"]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"text"', b"{}", b'{"type": 5}', b"\xff\xfe", "no"]
)
def test_what_is_no_message_is_told(raw: bytes | str):
    judge = live_judge()
    assert judge.client(raw) == ["the message: not a JSON object with a type"]
    assert judge.client_seen == {UNKNOWN_TYPE: 1}


def test_broken_json_behind_a_readable_type_is_told():
    assert problems_of(openai_live._vocabularies()[0].models["session.close"], b'{"type":') == [
        "the message: not JSON"
    ]


def test_the_judge_counts_and_keeps_the_first_violations():
    client, server = openai_live._vocabularies()
    judge = Judge(client=client, server=server, kept=2)
    judge.client({"type": "session.close"})
    for _ in range(3):
        judge.server({"type": "session.output_audio.delta", "delta": 5})
    judge.server({"type": "session.output_audio.delta", "delta": "AAAA"})
    judge.server({"type": "invented.1"})
    judge.server({"type": "invented.2"})
    assert judge.client_seen == {"session.close": 1}
    assert judge.server_seen == {"session.output_audio.delta": 4, UNKNOWN_TYPE: 2}
    assert (
        judge.violations
        == ["server session.output_audio.delta: delta: Input should be a valid string"] * 2
    )
    assert judge.violation_count == 5
    assert judge.figures() == {
        "client_events": 1,
        "server_events_sent": 6,
        "server_events_valid": 1,
        "violations": 5,
        "oracle": "vendor types",
    }


def test_judging_audio_is_cheap():
    audio = base64.b64encode(bytes(4800)).decode()
    message = json.dumps(
        {
            "type": "response.output_audio.delta",
            "event_id": "event_1",
            "response_id": "resp_1",
            "item_id": "item_1",
            "output_index": 0,
            "content_index": 0,
            "delta": audio,
        }
    ).encode()
    judge = realtime_judge()
    assert judge.server(message) == []
    start = time.process_time()
    for _ in range(1000):
        judge.server(message)
    # About 15 µs on one core of 2024. A second of audio in such pieces would then cost 0.15 ms.
    assert (time.process_time() - start) / 1000 < 300e-6


def test_without_the_vendors_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openai.types.live", None)
    openai_live._vocabularies.cache_clear()
    with pytest.raises(MissingDependencyError, match="pip install openai") as caught:
        live_judge()
    assert "voxengine[" not in str(caught.value)
