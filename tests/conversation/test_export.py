"""A conversation as JSON: what is written is read again, what is broken is refused, and the form is pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voxengine import ConfigurationError, Conversation, Item
from voxengine.conversation import Span, conversation_schema

DATA = Path(__file__).parents[1] / "data" / "conversation"


def a_call() -> Conversation:
    """A conversation with one of everything."""
    conversation = Conversation("1a2b3c4d")
    for item in (
        Item(id="s1", role="system", text="The caller is a guest.", status="completed"),
        Item(
            id="u1",
            text="How is the weather?",
            status="completed",
            audio_ms=1400.0,
            provider="local",
            created_at=1750000000.25,
        ),
        Item(
            id="f1",
            kind="function_call",
            role="assistant",
            status="completed",
            call_id="c1",
            name="weather",
            arguments="{}",
            turn_id="u1",
            response_id="r1",
        ),
        Item(
            id="o1",
            kind="function_output",
            role="tool",
            status="completed",
            call_id="c1",
            name="weather",
            output="",
            turn_id="u1",
            response_id="r1",
        ),
        Item(
            id="a1",
            role="assistant",
            text="It is",
            unheard_text=" sunny \u2600",
            status="incomplete",
            audio_ms=900.0,
            heard_ms=400.0,
            turn_id="u1",
            response_id="r2",
            spans=[Span(0, 0.0, 300.0), Span(3, 300.0)],
        ),
        Item(id="u2", text="Thank", status="in_progress"),
    ):
        conversation.add(item)
    return conversation


def same(one: Conversation, other: Conversation) -> bool:
    return (one.id, one.items) == (other.id, other.items)


def test_what_is_written_is_read_again() -> None:
    conversation = a_call()
    assert same(Conversation.from_dict(conversation.as_dict()), conversation)
    assert same(Conversation.from_json(conversation.to_json()), conversation)
    assert same(Conversation.from_json(conversation.to_json(indent=2).encode()), conversation)
    assert same(Conversation.from_json(Conversation().to_json()), Conversation())
    copy = Conversation.from_dict(conversation.as_dict())
    copy[1].text = "changed"
    assert conversation[1].text == "How is the weather?"


def test_version_1_is_read_and_written_as_it_was() -> None:
    text = (DATA / "version-1.json").read_text(encoding="utf-8")
    conversation = Conversation.from_json(text)
    assert same(conversation, a_call())
    assert conversation.to_json(indent=2) + "\n" == text


def without_words(schema: Any) -> Any:
    """A schema without its descriptions, which may be put better at any time."""
    if isinstance(schema, dict):
        return {k: without_words(v) for k, v in schema.items() if k != "description"}
    return [without_words(v) for v in schema] if isinstance(schema, list) else schema


def test_the_schema_of_version_1_is_the_one_that_was_published() -> None:
    published = json.loads((DATA / "version-1.schema.json").read_text(encoding="utf-8"))
    assert without_words(conversation_schema()) == published


def test_fields_of_later_programs_are_passed_over() -> None:
    data = a_call().as_dict()
    data["mood"] = "fine"
    data["items"][0]["mood"] = {"of": "the caller"}
    assert same(Conversation.from_dict(data), a_call())


def changed(*path: Any, to: Any) -> Any:
    data: Any = a_call().as_dict()
    place = data
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed("version", to=2), "version 2; this program reads version 1"),
        (changed("version", to="1"), "version"),
        (changed("version", to=True), "version"),
        ({"items": []}, "version"),
        ({"version": 1}, "items"),
        ([], "array"),
        (None, "null"),
        (changed("items", to={}), r"\$\.items"),
        (changed("items", 1, to="hello"), r"\$\.items\[1\]"),
        (changed("items", 1, "role", to="nobody"), r"nobody.*items\[1\]\.role"),
        (changed("items", 1, "text", to=None), r"items\[1\]\.text"),
        (changed("items", 1, "audio_ms", to="long"), r"items\[1\]\.audio_ms"),
        (changed("items", 1, "audio_ms", to=float("nan")), r"items\[1\] \('u1'\): a time"),
        (changed("items", 4, "spans", to=[[0]]), r"items\[4\]\.spans\[0\]"),
        (changed("items", 4, "spans", 0, 1, to=float("inf")), "a time"),
        (changed("items", 1, "id", to=""), r"items\[1\] has an empty id"),
        (changed("items", 1, "id", to="s1"), "same id"),
        (changed("items", 2, "call_id", to=None), "call_id"),
        (changed("items", 1, "text", to="\ud800"), "UTF-8"),
    ],
)
def test_broken_data_is_refused_with_its_place(data: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Conversation.from_dict(data)


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000, "NaN", "[1"])
def test_broken_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"JSON|no exported"):
        Conversation.from_json(text)


def test_what_was_left_open_is_closed_when_nobody_goes_on_with_it() -> None:
    conversation = Conversation()
    answer = Item(id="a1", role="assistant")
    answer.audio_ms = 100.0
    answer.add_text("far more words than a tenth of a second can hold", 0.0)
    for item in (
        Item(id="u0"),
        Item(id="u1", text="well"),
        answer,
        Item(id="a2", role="assistant", text="in writing"),
        Item(id="f1", kind="function_call", role="assistant", call_id="c1", name="look"),
        Item(id="u2", text="done", status="completed"),
    ):
        conversation.add(item)
    told: list[tuple[str, str]] = []
    conversation.on_change = lambda action, item: told.append((action, item.id))
    conversation.settle()
    assert [(i.id, i.status) for i in conversation] == [
        ("u1", "completed"),
        ("a1", "incomplete"),
        ("a2", "incomplete"),
        ("f1", "incomplete"),
        ("u2", "completed"),
    ]
    assert len(answer.text) < 5
    assert conversation[2].text == "in writing"
    assert told[0] == ("removed", "u0")
    conversation.settle()
    assert len(told) == 5
