"""The order of OpenAI's server events, as far as every conversation has to keep it, whoever it is held with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Event = dict[str, Any]

#: Within one item of a response: what may come right before what. "" is nothing.
_BEFORE = {
    "output_item.added": {""},
    "content_part.added": {"output_item.added"},
    "output_audio.delta": {"content_part.added", "delta"},
    "output_audio_transcript.delta": {"content_part.added", "delta"},
    "output_text.delta": {"content_part.added", "delta"},
    "function_call_arguments.delta": {"output_item.added", "delta"},
    "output_audio.done": {"content_part.added", "delta"},
    "output_audio_transcript.done": {"output_audio.done"},
    "output_text.done": {"content_part.added", "delta"},
    "function_call_arguments.done": {"output_item.added", "delta"},
    "content_part.done": {"output_audio_transcript.done", "output_text.done"},
    "output_item.done": {"content_part.done", "function_call_arguments.done"},
}
#: Events that end what their deltas have told, and where they tell it whole.
_WHOLE = {
    "response.output_audio_transcript": "transcript",
    "response.output_text": "text",
    "response.function_call_arguments": "arguments",
}


class _Responses:
    """One after the other, but for those outside of the conversation; each has one beginning and one end."""

    def __init__(self) -> None:
        self._open: dict[str, Event] = {}
        self._over: set[str] = set()
        #: By response and item: what was told of it last.
        self._steps: dict[tuple[str, str], str] = {}
        self._deltas: dict[tuple[str, str], str] = {}
        self._heard_speech = False

    def take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.speech_started":
            self._heard_speech = True
        elif kind == "response.created":
            self._created(event["response"])
        elif kind == "response.done":
            self._done(event["response"])
        elif kind.startswith("response."):
            assert event["response_id"] in self._open, f"{kind} of a response that is not open"
            self._part(event)

    def _created(self, response: Event) -> None:
        assert response["id"] not in self._open
        assert response["id"] not in self._over
        assert response["status"] == "in_progress"
        if response.get("conversation_id") is not None:
            others = [r for r in self._open.values() if r.get("conversation_id") is not None]
            assert others == [], "two responses of the conversation at once"
        self._open[response["id"]] = response

    def _done(self, response: Event) -> None:
        assert self._open.pop(response["id"], None) is not None
        self._over.add(response["id"])
        assert response["status"] in ("completed", "cancelled", "failed", "incomplete")
        items = {item for of, item in self._steps if of == response["id"]}
        assert {item["id"] for item in response["output"]} == items
        for item in items:
            last = self._steps[response["id"], item]
            assert last == "output_item.done", "an item that was begun was not ended"
        details = response.get("status_details") or {}
        if details.get("reason") == "turn_detected":
            assert self._heard_speech, "cut by speech that nobody was told of"

    def _part(self, event: Event) -> None:
        kind: str = event["type"]
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        key = (event["response_id"], item_id)
        step = kind.removeprefix("response.")
        before = self._steps.get(key, "")
        assert before in _BEFORE[step], f"{kind} came after {before or 'nothing'}"
        self._steps[key] = "delta" if step.endswith(".delta") else step
        self._words(kind, key, event)

    def _words(self, kind: str, key: tuple[str, str], event: Event) -> None:
        head, _, end = kind.rpartition(".")
        if head not in _WHOLE:
            return
        if end == "delta":
            self._deltas[key] = self._deltas.get(key, "") + event["delta"]
        else:
            assert event[_WHOLE[head]] == self._deltas.get(key, ""), "deltas that make another text"

    def end(self) -> None:
        assert self._open == {}, "a response has no end"


class _Items:
    """Each item is added once, is done once and after that, and is not spoken of when it is gone.

    One of which nothing was heard is gone, and is there again when the client says that something of it was.
    """

    def __init__(self) -> None:
        self._added: dict[str, Event] = {}
        self._done: set[str] = set()

    def take(self, event: Event) -> None:
        kind = event["type"]
        match kind:
            case "conversation.item.added":
                item_id = event["item"]["id"]
                assert item_id not in self._added, "an item was added twice"
                assert event["previous_item_id"] in (None, *self._added)
                self._added[item_id] = event
            case "conversation.item.done":
                item_id = event["item"]["id"]
                assert item_id in self._added
                assert item_id not in self._done, "an item was done twice"
                self._done.add(item_id)
            case "conversation.item.deleted":
                assert event["item_id"] in self._added, "what is not there was deleted"
                del self._added[event["item_id"]]
                self._done.discard(event["item_id"])
            case "conversation.item.truncated":
                assert event["item_id"] in self._added
            case "conversation.item.retrieved":
                assert event["item"]["id"] in self._added

    def end(self) -> None:
        left = set(self._added) - self._done
        assert left == set(), f"items were added that were never done: {left}"


class _Input:
    """Speech starts, stops, is committed, becomes an item, and is written down: once each, in this order."""

    _ORDER = (
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.input_audio_transcription.completed",
    )

    def __init__(self, revising: bool) -> None:
        self._revising = revising
        self._last: dict[str, int] = {}
        self._words: dict[str, str] = {}

    def take(self, event: Event) -> None:
        kind = event["type"]
        item_id = event.get("item_id") or event.get("item", {}).get("id")
        if kind == "conversation.item.input_audio_transcription.delta":
            self._words[item_id] = self._words.get(item_id, "") + event["delta"]
        if kind not in self._ORDER or item_id is None:
            return
        step = self._ORDER.index(kind)
        if kind == "conversation.item.added" and item_id not in self._last:
            return  # not speech
        before = self._last.get(item_id, -1)
        assert step > before, f"{kind} came after {self._ORDER[before]}"
        assert step - before == 1 or (before == -1 and step == 2), f"{kind} came too early"
        self._last[item_id] = step
        if step == 4 and item_id in self._words and not self._revising:
            assert event["transcript"].split() == self._words[item_id].split()

    def end(self) -> None:
        pass


def check(events: Sequence[Event], *, revising: bool = False) -> None:
    """Raise an `AssertionError` where these events of one connection do not fit together.

    `revising`: who writes down what the user says takes words back.
    """
    rules: list[Any] = [_Responses(), _Items(), _Input(revising)]
    ids = [event["event_id"] for event in events]
    assert len(ids) == len(set(ids)), "an event id came twice"
    created = [i for i, event in enumerate(events) if event["type"] == "session.created"]
    assert created == [0], "session.created comes first, and once"
    for event in events:
        for rule in rules:
            _with(event, rule.take)
    for rule in rules:
        rule.end()


def _with(event: Event, take: Callable[[Event], None]) -> None:
    try:
        take(event)
    except AssertionError as failure:
        raise AssertionError(f"{failure}: {str(event)[:400]}") from None
