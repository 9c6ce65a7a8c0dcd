"""The log: items in order, found by id, told of when they change, and shown as plain data."""

from __future__ import annotations

import json

import pytest

from voxengine.conversation import Conversation, Item


def user(id: str, text: str = "", **more: object) -> Item:
    return Item(id=id, text=text, **more)  # type: ignore[arg-type]


@pytest.fixture
def log() -> Conversation:
    conversation = Conversation("c1")
    conversation.add(user("u1", "hello", status="completed"))
    conversation.add(Item(id="a1", role="assistant", text="hi", status="completed"))
    return conversation


def ids(log: Conversation) -> list[str]:
    return [item.id for item in log]


def test_order_and_place(log: Conversation) -> None:
    log.add(user("u2"))
    log.add(user("u0"), before="u1")
    log.add(user("u1b"), after="u1")
    log.add(user("u3"), after="no such item")
    assert ids(log) == ["u0", "u1", "u1b", "a1", "u2", "u3"]
    assert log[0].id == "u0"
    assert len(log) == 6
    assert "a1" in log
    assert "no such item" not in log


def test_an_id_is_there_once(log: Conversation) -> None:
    with pytest.raises(ValueError, match="u1"):
        log.add(user("u1"))
    assert ids(log) == ["u1", "a1"]


def test_removed_items_are_gone_and_their_id_is_free(log: Conversation) -> None:
    item = log.remove("u1")
    assert item is not None
    assert log.remove("u1") is None
    assert log.get("u1") is None
    log.add(item)
    assert ids(log) == ["a1", "u1"]


def test_lookups(log: Conversation) -> None:
    log.add(Item(id="f1", kind="function_call", role="assistant", call_id="c1", name="move"))
    log.add(Item(id="o1", kind="function_output", role="tool", call_id="c1", output="{}"))
    assert log.get("u1") is log[0]
    assert log.get(None) is None
    assert [i.id for i in log.messages] == ["u1", "a1"]
    assert [i.id for i in log.items] == ["u1", "a1", "f1", "o1"]


def test_changes_are_told() -> None:
    told: list[tuple[str, str]] = []
    log = Conversation(on_change=lambda action, item: told.append((action, item.id)))
    item = log.add(user("u1"))
    log.changed(item)
    log.remove("u1")
    log.remove("u1")
    assert told == [("added", "u1"), ("changed", "u1"), ("removed", "u1")]


def test_a_refused_item_is_not_told_of() -> None:
    told: list[str] = []
    log = Conversation(on_change=lambda action, item: told.append(action))
    log.add(user("u1"))
    with pytest.raises(ValueError, match="already"):
        log.add(user("u1"))
    assert told == ["added"]


def test_the_views_do_not_let_one_change_the_order(log: Conversation) -> None:
    assert isinstance(log.items, tuple)
    assert isinstance(log.messages, tuple)


def test_transcript(log: Conversation) -> None:
    log.add(user("u2"))
    log.add(
        Item(id="f", kind="function_call", role="assistant", name="move", arguments='{"m": 10}')
    )
    log.add(Item(id="o", kind="function_output", role="tool", output="done"))
    cut = log.add(Item(id="a2", role="assistant", text="I went ten", status="incomplete"))
    log.add(Item(id="a3", role="assistant"))
    assert cut.interrupted
    assert log.transcript().splitlines() == [
        "user: hello",
        "assistant: hi",
        "user: (speech)",
        '[move({"m": 10})]',
        "[-> done]",
        "assistant: I went ten -",
    ]


def test_plain_data_is_json_and_says_its_version(log: Conversation) -> None:
    log.add(user("u2", "日本 🎉", status="completed", audio_ms=120.0))
    log[2].add_text(" x", 0.0)
    plain = json.loads(log.to_json())
    assert plain == log.as_dict()
    assert plain["version"] == 1
    assert plain["id"] == "c1"
    assert plain["items"][2]["text"] == "日本 🎉 x"
    assert "日本" in log.to_json(indent=2)
    assert plain["items"][2]["spans"] == [[4, 0.0, None]]
    assert all("spans" not in item for item in plain["items"][:2]), "what is empty is left out"


def test_what_is_empty_is_left_out_but_for_what_every_item_has() -> None:
    assert Item(id="u").as_dict() == {
        "id": "u",
        "kind": "message",
        "role": "user",
        "text": "",
        "status": "in_progress",
    }


def test_spans_are_an_items_own() -> None:
    one, two = Item(id="1"), Item(id="2")
    one.add_text("hello")
    assert two.spans == []
