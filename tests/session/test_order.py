"""The order of the log, whatever the order of the events: property tests on the core.

A script of what people do (speak, answer, call tools, interrupt, wait) is played by one of several kinds of provider,
with transcripts that come early, late or never. Each turn's words name the turn, so that the log can be judged.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.session.driver import OBEDIENT, SERVER_VAD, Driver
from voxengine import Conversation, Item
from voxengine import events as ev
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx

TELLS = msgspec.structs.replace(SERVER_VAD, history="items", system_messages=True)
#: The session asks for each answer, and stops it.
ASKED = msgspec.structs.replace(OBEDIENT, auto_response=False, history="items", input_transcription=True)  # fmt: skip
#: It goes on by itself after a tool.
GOES_ON = msgspec.structs.replace(TELLS, continues_after_tool=True)
#: It only writes down what was said, and answers by itself.
SILENT = Capabilities(auto_response=True, input_transcription=True, tools=True, history="items")


class Vendor:
    """Plays a provider of some habits.

    Its ids are counted: "on", by each connection "anew", or there are "none". Then its transcripts are never late.
    """

    def __init__(self, capabilities: Capabilities, ids: str = "on") -> None:
        self.d = Driver(capabilities, recovers=True)
        self.can = capabilities
        self.habit = ids
        self.ids = itertools.count(1)
        self.turns = 0
        #: Transcripts that are to come: the item, and the words.
        self.late: list[tuple[str | None, str]] = []
        #: Whether a response is under way, and its id.
        self.speaks = False
        self.response: str | None = None

    def new(self, kind: str) -> str | None:
        return None if self.habit == "none" else f"{kind}{next(self.ids)}"

    # -- what may happen

    def turn(self, transcript: str) -> None:
        """The user speaks; the transcript comes "first", "now", "late" or "never"."""
        item = self.new("u")
        self.turns += 1
        words = f"turn {self.turns}"
        if self.habit == "none" and transcript == "late":
            transcript = "now"
        if self.can.vad_events:
            self.d.give(ev.VadSpeechStarted(item_id=item))
            if self.can.self_interrupting and self.speaks:
                self.d.give(ev.ResponseCancelled(response_id=self.response, reason="turn_detected"))
            self.speaks = False
            self.d.give(ev.VadSpeechEnded(item_id=item), 0.4)
        if transcript == "first":
            self.d.give(ev.TranscriptCompleted(item_id=item, text=words))
        self.d.give(ev.TurnDetected(item_id=item), 0.2)
        if transcript == "now":
            self.d.give(ev.TranscriptCompleted(item_id=item, text=words))
        elif transcript == "late":
            self.late.append((item, words))

    def transcripts(self) -> None:
        """What is late comes, the newest first."""
        while self.late:
            item, words = self.late.pop()
            self.d.give(ev.TranscriptCompleted(item_id=item, text=words))

    def answer(self, whole: bool) -> None:
        """An answer to the present turn comes; all of it, or only its beginning."""
        self.finish()
        self.speaks, self.response = True, self.new("r")
        item = self.new("a")
        self.d.give(ev.ResponseStarted(response_id=self.response))
        words: dict[str, Any] = {"item_id": item, "response_id": self.response}
        self.d.give(ev.TextOutput(text=f"answer {self.turns}", **words))
        audio = b"\x00\x20" * 24 * 100
        for _ in range(3):
            self.d.give(ev.AudioOutputChunk(audio_data=audio, **words), 0.05)
        if whole:
            self.finish()

    def finish(self) -> None:
        """The answer under way is complete."""
        if self.speaks:
            self.d.give(ev.ResponseCompleted(response_id=self.response))
        self.speaks = False

    def call(self) -> None:
        """The assistant calls a tool."""
        self.finish()
        self.speaks, self.response = True, self.new("r")
        call = f"c{next(self.ids)}"
        self.d.give(ev.ResponseStarted(response_id=self.response))
        self.d.give(
            ev.FunctionInvoked(
                call_id=call, name="look", arguments=f'{{"turn": {self.turns}, "n": "{call}"}}',
                response_id=self.response,
            )
        )  # fmt: skip
        self.finish()

    def returns(self) -> None:
        """All tools return."""
        for run in self.d.of(fx.RunTool):
            self.d.give(fx.ToolFinished(run.call_id, "found"))

    def writes(self) -> None:
        """The application puts in a text of the user."""
        self.turns += 1
        self.speaks = False
        self.d.give(fx.Text(f"turn {self.turns}"))

    def wait(self) -> None:
        """Nothing happens for a while."""
        self.d.wait(3)

    def interrupt(self) -> None:
        """The application wants silence."""
        self.speaks = False
        self.d.give(fx.Interrupt())

    def reconnect(self) -> None:
        """The connection is lost, and another is there that was told the log."""
        self.d.give(ev.ConnectionLost())
        self.another()
        self.d.give(fx.Reattached("vendor", self.can, "closed", opened_at=self.d.now), 0.3)

    def switch(self) -> None:
        """Another provider takes over."""
        self.another()
        self.d.give(fx.Attached("other", self.can, opened_at=self.d.now), 0.3)

    def another(self) -> None:
        """Another connection, which knows nothing of what this one was about to tell."""
        self.speaks = False
        self.late.clear()
        if self.habit == "anew":
            self.ids = itertools.count(1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.sampled_from(["first", "now", "late", "never"])),
        st.tuples(st.just("answer"), st.booleans()),
        st.sampled_from(
            [
                "transcripts",
                "finish",
                "call",
                "returns",
                "writes",
                "wait",
                "interrupt",
                "reconnect",
                "switch",
            ]
        ).map(lambda name: (name,)),
    ),
    max_size=14,
)


def play(vendor: Vendor, steps: list[tuple[object, ...]]) -> Conversation:
    for name, *arguments in steps:
        getattr(vendor, str(name))(*arguments)
        check(vendor.d.core.conversation)
    return vendor.d.core.conversation


def number(item: Item) -> int | None:
    found = re.search(r"\d+", item.text) if item.kind == "message" else None
    return int(found[0]) if found else None


def check(log: Conversation) -> None:
    """What has to be true of the log at any time."""
    shown = log.transcript()
    ids = [item.id for item in log]
    assert len(set(ids)) == len(ids), shown
    place = {item_id: n for n, item_id in enumerate(ids)}
    asked = [n for i in log if i.role == "user" and (n := number(i)) is not None]
    assert asked == sorted(asked), f"turns are out of order:\n{shown}"
    assert len(set(asked)) == len(asked), f"a turn is there twice:\n{shown}"
    by_text = {number(i): i for i in log if i.role == "user" and i.text}
    for item in log:
        if item.turn_id in place:
            assert place[item.turn_id] < place[item.id], f"{item.id} before its turn:\n{shown}"
        turn = by_text.get(number(item)) if item.role == "assistant" else None
        if turn is not None:
            assert place[turn.id] < place[item.id], f"an answer before its question:\n{shown}"
    calls: dict[str | None, int] = {}
    for n, item in enumerate(log):
        if item.kind == "function_call":
            assert item.call_id not in calls, f"two calls of one id:\n{shown}"
            calls[item.call_id] = n
        elif item.kind == "function_output":
            assert calls.get(item.call_id) == n - 1, f"a result away from its call:\n{shown}"
    copy = Conversation.from_json(log.to_json())
    assert (copy.id, copy.items) == (log.id, log.items), "the export lost something"


HABITS = {"server": TELLS, "asked": ASKED, "goes on": GOES_ON, "silent": SILENT}


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("ids", ["on", "anew", "none"])
@given(steps=STEPS)
@settings(max_examples=150, deadline=None)
def test_the_log_is_in_order_at_any_time(
    habit: str, ids: str, steps: list[tuple[object, ...]]
) -> None:
    play(Vendor(HABITS[habit], ids), steps)


# -- what the properties found, and its neighbours


def counting_anew() -> Driver:
    """A connection that was lost after a turn and its answer, and another one, which counts from 1 again."""
    d = Driver(TELLS, recovers=True)
    d.user_says("turn 1")
    d.answer("answer 1")
    d.give(ev.ConnectionLost(), 3)
    d.give(fx.Reattached("vendor", TELLS, "closed", opened_at=d.now), 0.3)
    d.effects.clear()
    return d


def test_a_connection_that_counts_anew_does_not_write_over_what_was_said() -> None:
    d = counting_anew()
    d.user_says("turn 2")
    d.answer("answer 2", ms=500)
    assert d.log == [
        ("user", "turn 1"),
        ("assistant", "answer 1"),
        ("user", "turn 2"),
        ("assistant", "answer 2"),
    ]
    _, _, question, answer = d.core.conversation
    assert answer.turn_id == question.id
    assert answer.audio_ms == 500
    # The application is told the ids of the log, and the same in all events.
    assert d.one(ev.TranscriptCompleted).item_id == question.id
    assert {e.item_id for e in d.of(ev.AudioOutputChunk)} == {answer.id}
    assert {e.item_id for e in d.of(ev.TextOutput)} == {answer.id}


def test_the_vendor_is_told_of_its_item_by_its_own_id() -> None:
    d = counting_anew()
    d.user_says("turn 2")
    d.answer("answer 2 and so on", ms=2000, done=False)
    d.wait(1)
    d.user_speaks("u2")
    assert d.one(fx.Truncate).item_id == "a1"
    assert d.one(ev.ConversationInterrupted).item_id == d.core.conversation[3].id


def test_one_that_resumes_means_the_items_that_it_knows() -> None:
    d = Driver(TELLS, recovers=True)
    d.user_says(None)
    d.answer("answer 1")
    d.give(ev.ConnectionLost(), 3)
    again = fx.Reattached("vendor", TELLS, "closed", opened_at=d.now, resumed=True)
    d.give(again, 0.3)
    d.give(ev.TranscriptCompleted(item_id="u1", text="turn 1"))
    assert d.log == [("user", "turn 1"), ("assistant", "answer 1")]


def test_calls_of_an_earlier_conversation_are_not_those_of_this_one() -> None:
    conversation = Conversation("c")
    for _ in range(2):
        d = Driver(TELLS, conversation=conversation)
        d.user_says("turn 1" if not conversation else "turn 2")
        d.give(ev.ResponseStarted(response_id="r1"))
        d.give(ev.FunctionInvoked(call_id="c1", name="look", arguments="{}", response_id="r1"))
        d.give(fx.ToolFinished(d.one(fx.RunTool).call_id, "found"))
        assert d.one(fx.SendToolResult).call_id == "c1", "the vendor knows it by its own id"
    calls = [item.call_id for item in conversation if item.kind == "function_call"]
    assert len(calls) == len(set(calls)) == 2
    check(conversation)
