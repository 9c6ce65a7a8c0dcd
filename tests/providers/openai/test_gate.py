"""One response at a time, whatever crosses whatever on the wire."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voxengine.errors import ProviderError
from voxengine.providers.openai import encode
from voxengine.providers.openai.gate import CANCEL_ID, REQUEST_ID, ResponseGate

PLAIN = encode.create_response(event_id=REQUEST_ID)


def create(words: str) -> bytes:
    return encode.create_response({"instructions": words}, REQUEST_ID)


def cancel(response_id: str) -> bytes:
    return encode.cancel_response(response_id, CANCEL_ID + response_id)


A, B = create("a"), create("b")

#: Calls in order, each with what is sent then.
TABLE: dict[str, list[tuple[str, tuple[Any, ...], list[bytes]]]] = {
    "one after the other": [
        ("request", (A,), [A]),
        ("request", (B,), []),
        ("started", ("r1",), []),
        ("ended", ("r1",), [B]),
        ("started", ("r2",), []),
        ("ended", ("r2",), []),
    ],
    "the vendor's own is under way": [
        ("started", ("r1",), []),
        ("request", (A,), []),
        ("ended", ("r1",), [A]),
    ],
    "one answers all that is there": [
        ("started", ("r1",), []),
        ("request", (), []),
        ("request", (), []),
        ("request", (A,), []),
        ("request", (), []),
        ("ended", ("r1",), [PLAIN]),
        ("started", ("r2",), []),
        ("ended", ("r2",), [A]),
        ("started", ("r3",), []),
        ("ended", ("r3",), [PLAIN]),
    ],
    "nothing to cancel": [("cancel", (), []), ("request", (A,), [A])],
    "cancel what is under way, and all that waits": [
        ("request", (A,), [A]),
        ("request", (B,), []),
        ("started", ("r1",), []),
        ("cancel", (), [cancel("r1")]),
        ("cancel", (), []),
        ("ended", ("r1",), []),
        ("request", (B,), [B]),
    ],
    "cancel before it has begun": [
        ("request", (A,), [A]),
        ("cancel", (), []),
        ("request", (B,), []),
        ("started", ("r1",), [cancel("r1")]),
        ("cancel", (), []),
        ("ended", ("r1",), []),
    ],
    "what is asked for after a cancel is answered": [
        ("request", (A,), [A]),
        ("cancel", (), []),
        ("started", ("r1",), [cancel("r1")]),
        ("request", (B,), []),
        ("ended", ("r1",), [B]),
        ("started", ("r2",), []),
    ],
    "refused, for the vendor's own was quicker": [
        ("request", (A,), [A]),
        ("started", ("own",), []),
        ("refused", (), []),
        ("ended", ("own",), [A]),
        ("started", ("r1",), []),
        ("ended", ("r1",), []),
    ],
    "refused, and cancelled before that was known": [
        ("request", (A,), [A]),
        ("started", ("own",), []),
        ("cancel", (), [cancel("own")]),
        ("refused", (), []),
        ("ended", ("own",), []),
    ],
    "refused before the vendor's own was told of": [
        ("request", (A,), [A]),
        ("cancel", (), []),
        ("refused", (), []),
        ("started", ("own",), []),
        ("ended", ("own",), []),
    ],
    "refused for a response that is not known": [
        ("request", (A,), [A]),
        ("refused", (), [A]),
        ("refused", (), [A]),
        ("refused", (), [A]),
        ("refused", (), []),
        ("ended", ("unknown",), [A]),
        ("refused", (), [A]),
        ("refused", (), [A]),
        ("refused", (), [A]),
        ("refused", (), []),
        ("request", (B,), [A]),
        ("started", ("r1",), []),
        ("ended", ("r1",), [B]),
    ],
    "refused for what it asks": [
        ("request", (A,), [A]),
        ("request", (B,), []),
        ("failed", (), [B]),
        ("failed", (), []),
    ],
    "the end was never told": [
        ("request", (A,), [A]),
        ("started", ("r1",), []),
        ("cancel", (), [cancel("r1")]),
        ("request", (B,), []),
        ("nothing_to_cancel", ("cancel_r1",), [B]),
        ("nothing_to_cancel", ("cancel_r1",), []),
    ],
    "the end was never told, and the refusal names no message": [
        ("started", ("r1",), []),
        ("cancel", (), [cancel("r1")]),
        ("request", (A,), []),
        ("nothing_to_cancel", (None,), [A]),
        ("nothing_to_cancel", (None,), []),
    ],
    "the refusal of a cancel comes late": [
        ("started", ("r1",), []),
        ("cancel", (), [cancel("r1")]),
        ("ended", ("r1",), []),
        ("started", ("r2",), []),
        ("cancel", (), [cancel("r2")]),
        ("request", (A,), []),
        ("nothing_to_cancel", ("cancel_r1",), []),
        ("ended", ("r2",), [A]),
    ],
    "the end and the cancel crossed": [
        ("request", (A,), [A]),
        ("started", ("r1",), []),
        ("cancel", (), [cancel("r1")]),
        ("ended", ("r1",), []),
        ("request", (B,), [B]),
        ("nothing_to_cancel", ("cancel_r1",), []),
        ("started", ("r2",), []),
        ("nothing_to_cancel", ("cancel_r1",), []),
        ("request", (A,), []),
    ],
    "the vendor never ended one": [
        ("request", (A,), [A]),
        ("started", ("r1",), []),
        ("started", ("r2",), []),
        ("request", (B,), []),
        ("ended", ("r1",), []),
        ("ended", ("r2",), [B]),
    ],
}


@pytest.mark.parametrize("steps", TABLE.values(), ids=list(TABLE))
def test_what_is_sent_when(steps: list[tuple[str, tuple[Any, ...], list[bytes]]]):
    gate = ResponseGate()
    for number, (name, arguments, sent) in enumerate(steps):
        assert getattr(gate, name)(*arguments) == sent, f"step {number}: {name}"


def test_what_was_called_off_before_it_began_is_muted_until_it_ends():
    gate = ResponseGate()

    def stands() -> tuple[str | None, str | None]:
        return gate.muted, gate.active

    gate.request()
    gate.cancel()
    gate.started("r1")
    assert stands() == ("r1", "r1")
    gate.ended("other")
    assert stands() == ("r1", "r1")
    gate.ended("r1")
    assert stands() == (None, None)
    gate.request()
    gate.started("r2")
    assert stands() == (None, "r2")


def test_only_so_many_wait():
    gate = ResponseGate()
    gate.started("r0")
    for n in range(gate.LIMIT):
        gate.request(create(str(n)))
    with pytest.raises(ProviderError) as refused:
        gate.request()
    assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
    assert gate.ended("r0") == [create("0")]
    assert gate.request() == []  # there is room again


class Conversation(RuleBasedStateMachine):
    """An application, the gate, a wire that takes its time, and a vendor that answers one request at a time.

    The vendor may begin a response by itself; all responses last longer than a message takes there and back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = ResponseGate()
        self.up: deque[dict[str, Any]] = deque()
        self.down: deque[tuple[str, str]] = deque()
        self.count = 0
        #: The vendor's: what is under way, and which request each response answers.
        self.active: str | None = None
        self.answers: dict[str, str] = {}
        #: The application's: its requests that are neither answered nor called off, and what it was told has begun.
        self.open: list[str] = []
        self.called_off: set[str] = set()
        self.told: list[str] = []
        self.refusals = 0

    def send(self, messages: list[bytes]) -> None:
        self.up.extend(json.loads(message) for message in messages)

    # -- the application

    @precondition(lambda self: len(self.open) < 8)
    @rule()
    def asks(self) -> None:
        self.count += 1
        self.open.append(f"request {self.count}")
        self.send(self.gate.request(create(self.open[-1])))

    @rule()
    def interrupts(self) -> None:
        self.called_off.update(self.open)
        self.open.clear()
        before = self.gate.active
        messages = self.gate.cancel()
        assert len(messages) <= 1
        if messages:
            assert json.loads(messages[0])["response_id"] == before
        self.send(messages)

    # -- the wire, and the vendor

    @precondition(lambda self: self.up)
    @rule()
    def arrives(self) -> None:
        message = self.up.popleft()
        if message["type"] == "response.cancel":
            if self.active == message["response_id"]:
                self.end()
            else:
                self.down.append(("nothing_to_cancel", message["event_id"]))
        elif self.active is not None:
            self.down.append(("refused", ""))
        else:
            self.begin(message["response"]["instructions"])

    @precondition(lambda self: self.down)
    @rule()
    def comes_back(self) -> None:
        kind, response_id = self.down.popleft()
        call = getattr(self.gate, kind)
        self.send(call(response_id) if response_id else call())
        self.refusals += kind == "refused"
        if kind == "started" and self.gate.muted != response_id:
            self.told.append(response_id)
            if self.answers.get(response_id) in self.open:
                self.open.remove(self.answers[response_id])

    @precondition(lambda self: self.active is None)
    @rule()
    def begins_by_itself(self) -> None:
        self.begin(None)

    @precondition(lambda self: self.active is not None and not self.is_news())
    @rule()
    def finishes(self) -> None:
        self.end()

    def begin(self, request: str | None) -> None:
        self.count += 1
        self.active = f"response {self.count}"
        if request is not None:
            assert request not in self.answers.values(), "answered twice"
            self.answers[self.active] = request
        self.down.append(("started", self.active))

    def end(self) -> None:
        assert self.active is not None
        self.down.append(("ended", self.active))
        self.active = None

    def is_news(self) -> bool:
        """Whether the application's side has yet to hear of the response, or to be heard of about it."""
        return bool(self.requests_on_their_way()) or ("started", self.active) in self.down

    def requests_on_their_way(self) -> int:
        return sum(message["type"] == "response.create" for message in self.up)

    # -- what always holds

    @invariant()
    def no_two_requests_are_outstanding(self) -> None:
        assert self.requests_on_their_way() <= 1

    @invariant()
    def what_was_called_off_before_it_began_is_not_told(self) -> None:
        begun = {self.answers[each] for each in self.told if each in self.answers}
        assert not self.called_off & begun

    def teardown(self) -> None:
        for _ in range(200):
            if self.up:
                self.arrives()
            elif self.down:
                self.comes_back()
            elif self.active is not None:
                self.end()
        assert (len(self.up), len(self.down), self.active) == (0, 0, None)
        assert self.open == [], "waits for ever"
        assert self.gate.active is self.gate.muted is None
        assert self.gate.request(PLAIN) == [PLAIN]


Conversation.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestConversation = Conversation.TestCase


def test_a_request_that_is_never_answered_does_not_hold_up_the_next_for_ever():
    now = 0.0
    gate = ResponseGate(lambda: now)
    assert gate.request(b"first") == [b"first"]
    now = ResponseGate.ANSWER_BUDGET - 1
    assert gate.request(b"second") == []
    now = ResponseGate.ANSWER_BUDGET + 1
    assert gate.request(b"third") == [b"second"]


def test_a_response_whose_cancel_is_never_answered_does_not_hold_up_the_next_for_ever():
    now = 0.0
    gate = ResponseGate(lambda: now)
    gate.request(b"first")
    gate.started("r1")
    assert len(gate.cancel()) == 1
    now = 1.0
    assert gate.request(b"second") == []
    now = 1.0 + ResponseGate.CANCEL_BUDGET
    assert gate.request(b"third") == [b"second"]
