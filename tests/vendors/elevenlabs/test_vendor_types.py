"""What the judge of the agents accepts is valid by the vendor's own types, which are for TypeScript.

A JSON schema is made of these (`make node`), with no fields but those that they have. All that is said in the
conformance suite, by the provider and by the emulator, has to be valid by both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tools.node_clients import SCHEMA, installed
from voxengine.testing import run_conformance
from voxengine.testing.oracles import elevenlabs as oracle
from voxengine.testing.oracles.elevenlabs_shapes import CLIENT, SERVER, name_of
from voxengine.testing.oracles.shapes import ShapeJudge

pytestmark = pytest.mark.skipif(
    not installed(), reason="@elevenlabs/types is not installed: run `make node`"
)


@cache
def validators() -> dict[str, Any]:
    """By the name of a message: what judges it by the vendor's types."""
    definitions = json.loads(SCHEMA.read_text())["definitions"]
    found: dict[str, Any] = {}
    for title, definition in definitions.items():
        properties = definition.get("properties", {})
        kind = properties.get("type", {}).get("const")
        name = "user_audio_chunk" if "user_audio_chunk" in properties else kind
        if name is not None:
            whole = {"$ref": f"#/definitions/{title}", "definitions": definitions}
            found[name] = jsonschema.Draft7Validator(whole)
    return found


def problems(message: Mapping[str, Any]) -> list[str]:
    validator = validators().get(name_of(message) or "")
    if validator is None:
        return ["the vendor has no such message"]
    return [error.message for error in validator.iter_errors(dict(message))]


class Both(ShapeJudge):
    """Judges by the documented shape, and by the vendor's types."""

    judged = 0

    def _judge(self, side: str, shapes: Mapping[str, Any], seen: Any, message: Any) -> list[str]:
        found = super()._judge(side, shapes, seen, message)
        if found:
            return found
        plain = message if isinstance(message, Mapping) else json.loads(message)
        Both.judged += 1
        wrong = [f"by the vendor's types: {words}" for words in problems(plain)]
        self.violations += [f"{side} {words}" for words in wrong]
        return wrong


def test_every_message_has_a_type_of_the_vendors():
    assert {*CLIENT, *SERVER} <= validators().keys()


def test_the_types_find_what_is_wrong():
    assert problems({"type": "pong", "event_id": 1}) == []
    assert problems({"type": "pong", "event_id": "1"}) != []
    assert problems({"type": "pong", "event_id": 1, "mood": "good"}) != []
    assert problems({"type": "interruption", "interruption_event": {}}) != []


def test_all_that_is_said_in_the_suite_is_valid_by_them(monkeypatch: pytest.MonkeyPatch):
    def judge() -> Both:
        return Both(client=CLIENT, server=SERVER, name_of=name_of)

    monkeypatch.setattr(oracle, "agents_judge", judge)
    monkeypatch.setattr(Both, "judged", 0)
    report = run_conformance("elevenlabs")
    assert [result.reason for result in report.results if result.outcome == "failed"] == []
    assert Both.judged > 500
