"""What holds for the events of every connection, whatever was said in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from voxengine.testing.conformance.checks import expect

__all__ = ["keep_the_laws"]

_Event = dict[str, Any]

#: Pieces of an item's content, and the event and the field that hold the whole.
_PIECES = {
    "response.output_text.delta": ("response.output_text.done", "text"),
    "response.output_audio_transcript.delta": (
        "response.output_audio_transcript.done",
        "transcript",
    ),
    "response.function_call_arguments.delta": (
        "response.function_call_arguments.done",
        "arguments",
    ),
}


def keep_the_laws(events: list[_Event]) -> None:
    """Fail unless ids, order and pieces fit together.

    Raises:
        ConformanceFailure: they do not; it says where.
    """
    twice = [i for i, n in Counter(e.get("event_id") for e in events).items() if n > 1]
    expect(not twice, f"the event_id {twice[:1]} is not unique")
    expect(events[0]["type"] == "session.created", f"the first event is {events[0]['type']}")
    _responses(events)
    _items(events)


def _responses(events: list[_Event]) -> None:
    """A response begins once and ends once; all else of it is between, each item within its own beginning and end."""
    begun: set[str] = set()
    ended: set[str] = set()
    for event in events:
        kind = event["type"]
        if not kind.startswith("response."):
            continue
        response_id = event["response"]["id"] if "response" in event else event["response_id"]
        if kind == "response.created":
            expect(response_id not in begun, f"{response_id} begins twice")
            begun.add(response_id)
        expect(response_id in begun, f"{kind} of a response that was not created")
        expect(response_id not in ended, f"{kind} after response.done of the same response")
        if kind == "response.done":
            ended.add(response_id)
            _output(event, events)
    for response_id in begun:
        _parts([e for e in events if e.get("response_id") == response_id])


def _output(done: _Event, events: list[_Event]) -> None:
    """The items of a response.done are those that its own events told of."""
    response = done["response"]
    told = [
        event["item"]["id"]
        for event in events
        if event["type"] == "response.output_item.done" and event["response_id"] == response["id"]
    ]
    listed = [item["id"] for item in response["output"]]
    expect(listed == told, f"response.done lists {listed}, its events told of {told}")


def _parts(events: list[_Event]) -> None:
    open_items: set[str] = set()
    pieces: dict[tuple[str, str], str] = {}
    for event in events:
        kind = event["type"]
        item_id = event["item"]["id"] if "item" in event else event.get("item_id", "")
        if kind == "response.output_item.added":
            open_items.add(item_id)
            continue
        expect(item_id in open_items, f"{kind} of an item that is not under way")
        if kind == "response.output_item.done":
            open_items.discard(item_id)
        if kind in _PIECES:
            key = (_PIECES[kind][0], item_id)
            pieces[key] = pieces.get(key, "") + event["delta"]
        whole = next((field for done, field in _PIECES.values() if done == kind), None)
        if whole is not None:
            said = pieces.pop((kind, item_id), "")
            expect(said == event[whole], f"{kind} says {event[whole]!r}, its pieces were {said!r}")
    expect(not open_items, "an item of a response was never ended")
    expect(not pieces, "the pieces of an item were never put together")


def _items(events: list[_Event]) -> None:
    """An item of the conversation is told of once, behind one that is known."""
    known: set[str] = set()
    done: set[str] = set()
    for event in events:
        kind = event["type"]
        if kind == "conversation.item.added":
            item_id = event["item"]["id"]
            expect(item_id not in known, f"the item {item_id} is added twice")
            _behind_known(event, known)
            known.add(item_id)
        elif kind == "conversation.item.done":
            item_id = event["item"]["id"]
            expect(item_id in known, f"the item {item_id} is done before it was added")
            expect(item_id not in done, f"the item {item_id} is done twice")
            done.add(item_id)
        elif kind == "conversation.item.deleted":
            expect(event["item_id"] in known, "an item is deleted that was never told of")
            known.discard(event["item_id"])
            done.discard(event["item_id"])


def _behind_known(event: _Event, known: set[str]) -> None:
    before = event.get("previous_item_id")
    expect(before is None or before in known, f"previous_item_id {before!r} is unknown")
