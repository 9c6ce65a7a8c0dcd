"""When a note's moment has come, and how it goes in: the core, driven by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.session.driver import SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.conversation import Conversation
from voxengine.conversation.injection import InjectionResult, Note
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx
from voxengine.session.telling import tellable

NOTES = msgspec.structs.replace(
    SERVER_VAD, system_messages=True, history="items", say=True, instructions_updatable=True
)
#: It answers when it is asked to.
ON_REQUEST = msgspec.structs.replace(NOTES, auto_response=False)


class Desk(Driver):
    """A driver whose provider takes notes at once, unless `slow`."""

    def __init__(self, capabilities: Capabilities = NOTES, **options: Any) -> None:
        self.slow = False
        super().__init__(capabilities, **options)

    def _apply(self, event: Any) -> list[Any]:
        done = super()._apply(event)
        if not self.slow:
            for effect in list(done):
                if isinstance(effect, fx.GiveNote) and effect.injection_id:
                    self.give(fx.NoteTaken(effect.injection_id))
        return done

    def put(self, id: str = "n1", text: str = "it rains", **options: Any) -> str:
        self.give(fx.Inject(Note(id=id, text=text, **options)))
        return id

    def result(self, id: str = "n1") -> InjectionResult | None:
        found = [e.result for e in self.of(fx.NoteSettled) if e.result.injection_id == id]
        told = [e for e in self.of(ev.ContextInjected) if e.injection_id == id]
        assert len(found) == len(told) <= 1, found
        if found:
            assert (told[0].status, told[0].degraded_to) == (found[0].status, found[0].degraded_to)
        return found[0] if found else None

    def status(self, id: str = "n1") -> str:
        result = self.result(id)
        return result.status if result is not None else "queued"

    @property
    def given(self) -> list[str]:
        return [effect.injection_id for effect in self.of(fx.GiveNote)]

    def kinds(self, *kinds: type[Any]) -> list[type[Any]]:
        """The classes of those effects, in their order."""
        return [type(e) for e in self.effects if type(e) in kinds]


def without(can: Capabilities = NOTES, **fields: Any) -> Capabilities:
    return msgspec.structs.replace(can, **fields)


# -- now


def test_now_is_now_and_nothing_is_said():
    d = Desk()
    d.put()
    assert d.one(fx.GiveNote).means == "system"
    assert d.log == [("system", "it rains")]
    result = d.result()
    assert result is not None
    assert (result.status, result.degraded_to, result.reason) == ("applied", None, "")
    assert result.item_id == d.core.conversation[0].id
    d.wait(60)
    assert not d.of(fx.RequestResponse)


def test_now_is_also_in_the_middle_of_a_response():
    d = Desk()
    d.user_says()
    d.answer(done=False)
    d.put()
    assert d.status() == "applied"
    assert not d.of(fx.CancelResponse)


def test_it_counts_when_the_provider_has_it():
    d = Desk()
    d.slow = True
    d.put()
    assert d.status() == "queued"
    assert tellable(d.core.conversation) == []
    d.give(fx.NoteTaken("n1"))
    assert d.status() == "applied"
    assert [i.text for i in tellable(d.core.conversation)] == ["it rains"]
    d.give(fx.NoteTaken("n1"))
    assert d.status() == "applied"


def test_what_the_provider_refuses_is_not_in_the_log():
    d = Desk()
    d.slow = True
    d.put(speak=True)
    d.give(fx.NoteRefused("n1", "too long"))
    result = d.result()
    assert result is not None
    assert (result.status, result.reason) == ("rejected", "too long")
    assert d.log == []
    d.wait(60)
    assert not d.of(fx.RequestResponse)


# -- by which means

MEANS = [
    ("system", {}, "system", "system", None),
    ("system", {"system_messages": False}, "items", "user", "items"),
    (
        "system",
        {"system_messages": False, "history": "none"},
        "instructions",
        "user",
        "instructions",
    ),
    ("user", {}, "items", "user", None),
    ("user", {"history": "none"}, "system", "system", "system"),
    (
        "user",
        {"history": "prompt", "system_messages": False},
        "instructions",
        "user",
        "instructions",
    ),
    ("assistant", {}, "items", "assistant", None),
    ("assistant", {"history": "at_start"}, "system", "system", "system"),
]


@pytest.mark.parametrize(("role", "lacks", "means", "told_as", "degraded_to"), MEANS)
def test_each_role_goes_in_by_the_next_best_means(
    role: str, lacks: dict[str, Any], means: str, told_as: str, degraded_to: str | None
):
    d = Desk(without(**lacks))
    d.put(role=role)
    effect = d.one(fx.GiveNote)
    assert (effect.means, effect.role) == (means, told_as)
    assert "it rains" in effect.text
    result = d.result()
    assert result is not None
    assert result.status == ("degraded" if degraded_to else "applied")
    assert result.degraded_to == degraded_to
    assert bool(result.reason) == bool(degraded_to)
    assert d.log == [(role, "it rains")]
    d.wait(60)
    assert not d.of(fx.RequestResponse)


WRITING = without(system_messages=False, history="none", instructions_updatable=False)


def test_where_there_is_no_way_it_rides_with_the_next_text():
    d = Desk(WRITING)
    d.put("n1", "it rains", ttl=60)
    d.put("n2", "and thunders", priority=1)
    assert (d.status("n1"), d.status("n2")) == ("queued", "queued")
    d.give(fx.Text("hello"))
    sent = d.one(fx.SendText)
    assert sent.role == "user"
    assert sent.text.index("and thunders") < sent.text.index("it rains") < sent.text.index("hello")
    assert d.log == [("system", "and thunders"), ("system", "it rains"), ("user", "hello")]
    for id in ("n1", "n2"):
        result = d.result(id)
        assert result is not None
        assert (result.status, result.degraded_to) == ("degraded", "prefix")
    d.give(fx.Text("again"))
    assert d.of(fx.SendText)[1].text == "again"


def test_where_there_is_no_way_at_all_it_says_so():
    d = Desk(without(WRITING, text_input=False))
    d.put()
    result = d.result()
    assert result is not None
    assert result.status == "rejected"
    assert result.reason.startswith("no_means")
    assert "vendor" in result.reason


def test_the_instructions_hold_all_notes_and_not_too_many():
    d = Desk(without(system_messages=False, history="none"))
    for n in range(65):
        d.put(f"n{n}", f"note {n}.")
    assert d.of(fx.GiveNote)[-1].instructions[0] == "note 0."
    assert len(d.of(fx.GiveNote)[-1].instructions) == 64
    result = d.result("n64")
    assert result is not None
    assert result.status == "rejected"
    assert result.reason.startswith("instructions_full")


def test_what_was_refused_is_not_in_the_instructions():
    d = Desk(without(system_messages=False, history="none"))
    d.slow = True
    d.put("n1", "too long")
    d.give(fx.NoteRefused("n1", "too long"))
    d.put("n2", "short")
    assert d.of(fx.GiveNote)[-1].instructions == ("short",)


# -- the other moments


def test_before_a_response_that_we_ask_for():
    d = Desk(ON_REQUEST)
    d.put(when="before_response")
    assert d.status() == "queued"
    d.user_says()
    assert d.status() == "applied"
    assert d.kinds(fx.GiveNote, fx.RequestResponse) == [fx.GiveNote, fx.RequestResponse]


@pytest.mark.parametrize("when", ["before_response", "next_turn"])
def test_before_the_answer_to_a_text(when: Any):
    d = Desk()
    d.put(when=when)
    d.give(fx.Text("hello"))
    assert d.status() == "applied"
    assert d.kinds(fx.GiveNote, fx.SendText) == [fx.GiveNote, fx.SendText]
    assert d.log == [("system", "it rains"), ("user", "hello")]


def test_before_a_response_that_the_application_asks_for():
    d = Desk(manual_turns=True)
    d.put("n1", when="before_response")
    d.put("n2", when="next_turn")
    d.give(fx.CreateResponse())
    assert (d.status("n1"), d.status("n2")) == ("applied", "applied")
    assert d.kinds(fx.GiveNote, fx.RequestResponse)[-1] is fx.RequestResponse


def test_a_response_without_a_turn_is_not_the_next_turn():
    d = Desk(ON_REQUEST)
    d.put("n2", when="next_turn")
    d.give(fx.CreateResponse())
    assert d.status("n2") == "queued"


def test_before_what_follows_a_tool():
    d = Desk(without(ON_REQUEST, continues_after_tool=True))
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.FunctionInvoked(call_id="c1", name="look", arguments="{}", response_id="r1"))
    d.put(when="before_response")
    assert d.status() == "queued"
    d.give(fx.ToolFinished("c1", "found"))
    assert d.status() == "applied"
    assert d.kinds(fx.GiveNote, fx.SendToolResult) == [fx.GiveNote, fx.SendToolResult]


def test_the_end_of_a_tool_that_was_called_off_is_no_such_moment():
    d = Desk(without(ON_REQUEST, continues_after_tool=True))
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.FunctionInvoked(call_id="c1", name="look", arguments="{}", response_id="r1"))
    d.put(when="before_response")
    d.give(fx.Interrupt())
    assert d.one(fx.SendToolResult).best_effort
    assert d.status() == "queued"


def test_who_answers_by_itself_is_told_while_the_user_speaks():
    d = Desk()
    d.put("n1", when="before_response")
    d.put("n2", when="next_turn")
    d.put("n3", when="after_response")
    d.user_speaks()
    assert (d.status("n1"), d.status("n3")) == ("applied", "queued")
    result = d.result("n2")
    assert result is not None
    assert (result.status, result.degraded_to) == ("degraded", "before_turn")
    assert "at once" in result.reason


def test_who_answers_by_itself_and_tells_of_no_speech_is_told_in_advance():
    d = Desk(without(vad_events=False))
    d.give(ev.TurnDetected(item_id="u1"))
    d.put("n1", when="before_response")
    d.put("n2", when="next_turn")
    assert (d.status("n1"), d.status("n2")) == ("queued", "queued")
    d.answer(done=False)
    assert d.status("n1") == "queued"
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert (d.status("n1"), d.status("n2")) == ("applied", "degraded")


def test_after_the_turn_of_one_that_is_asked():
    d = Desk(ON_REQUEST)
    d.put(when="next_turn")
    d.user_speaks()
    d.give(ev.VadSpeechEnded(item_id="u1"), 0.5)
    assert d.status() == "queued"
    d.give(ev.TurnDetected(item_id="u1"), 0.2)
    assert d.status() == "applied"
    assert d.kinds(fx.GiveNote, fx.RequestResponse) == [fx.GiveNote, fx.RequestResponse]
    assert [role for role, _ in d.log] == ["user", "system"]


def test_after_the_response_is_when_it_was_heard():
    d = Desk()
    d.put("n1", when="after_response")
    d.wait(30)
    d.user_says()
    assert d.status("n1") == "queued"
    d.answer(ms=2000)
    d.put("n2", when="after_response")
    d.wait(1.5)
    assert (d.status("n1"), d.status("n2")) == ("queued", "queued")
    d.wait(1)
    assert (d.status("n1"), d.status("n2")) == ("applied", "applied")
    d.put("n3", when="after_response")
    d.wait(30)
    assert d.status("n3") == "queued"


@pytest.mark.parametrize("how", ["speech", "error", "request"])
def test_after_the_response_is_also_when_it_was_cut_short(how: str):
    d = Desk()
    d.user_says()
    d.answer(ms=2000, done=False)
    d.put(when="after_response")
    if how == "speech":
        d.give(ev.VadSpeechStarted(item_id="u2"), 0.5)
    elif how == "error":
        d.give(ev.ResponseError(response_id="r1", code="x", error="x"), 0.5)
        d.wait(2)
    else:
        d.give(fx.Interrupt(), 0.5)
    assert d.status() == "applied"


def test_on_silence():
    d = Desk()
    d.user_says()
    d.answer(ms=1000)
    d.put(when="on_silence", silence_s=3)
    d.wait(3.9)
    assert d.status() == "queued"
    d.wait(0.2)
    assert d.status() == "applied"


def test_silence_that_was_there_counts_and_speech_ends_it():
    d = Desk()
    d.wait(10)
    d.put("n1", when="on_silence")
    assert d.status("n1") == "applied"
    d.put("n2", when="on_silence", silence_s=12)
    d.wait(1)
    d.user_says()
    d.answer()
    d.wait(12.9)
    assert d.status("n2") == "queued"
    d.wait(0.2)
    assert d.status("n2") == "applied"


# -- order, time, keys, conditions


def test_the_urgent_goes_first():
    d = Desk(ON_REQUEST)
    for id, priority in (("a", 0), ("b", 9), ("c", 0), ("d", 9)):
        d.put(id, priority=priority, when="next_turn")
    d.user_says()
    assert d.given == ["b", "d", "a", "c"]


def test_it_expires_while_it_waits():
    d = Desk()
    d.put("n1", when="next_turn", ttl=3)
    d.put("n2", when="next_turn", ttl=6)
    d.wait(2.9)
    assert d.status("n1") == "queued"
    d.wait(0.2)
    assert (d.status("n1"), d.status("n2")) == ("expired", "queued")
    d.wait(3)
    assert d.status("n2") == "expired"
    assert "injections" not in d.timers
    d.user_says()
    assert d.given == []


@pytest.mark.parametrize(("early", "status"), [(0.0003, "expired"), (0.01, "queued")])
def test_a_timer_may_be_early(early: float, status: str):
    d = Desk()
    d.put(when="next_turn", ttl=3)
    d.wait(3 - early)
    del d.timers["injections"]
    d.give(fx.TimerFired("injections"))
    assert d.status() == status
    d.wait(early * 2)
    assert d.status() == "expired"


def test_it_is_cancelled_while_it_waits_and_not_after():
    d = Desk()
    d.put("n1", when="after_response", ttl=60)
    d.give(fx.CancelInjection("n1"))
    assert d.status("n1") == "cancelled"
    assert "injections" not in d.timers
    d.slow = True
    d.put("n2")
    d.give(fx.CancelInjection("n2"))
    d.give(fx.NoteTaken("n2"))
    assert d.status("n2") == "applied"


def test_a_condition_that_says_no_is_asked_again_at_the_next_such_moment():
    d = Desk(ON_REQUEST)
    asked: list[int] = []

    def long_enough(conversation: Conversation) -> bool:
        asked.append(len(conversation))
        return len(conversation.messages) >= 3

    d.put(when="next_turn", condition=long_enough)
    d.user_says()
    d.answer()
    d.wait(3)
    assert (d.status(), len(asked)) == ("queued", 1)
    d.user_says(item="u2")
    assert (d.status(), len(asked)) == ("applied", 2)


def test_a_condition_is_asked_once_for_a_moment_that_lasts():
    d = Desk()
    asked: list[int] = []

    def no(number: int) -> Callable[[Conversation], bool]:
        def condition(_: Conversation) -> bool:
            asked.append(number)
            return False

        return condition

    d.put("n1", when="before_response", condition=no(1))
    d.put("n2", when="on_silence", ttl=60, condition=no(2))
    d.user_speaks()
    d.give(ev.TranscriptPartial(text="a", item_id="u1"))
    d.give(ev.TranscriptPartial(text="a b", item_id="u1"))
    assert asked == [1]
    d.user_stops()
    d.answer()
    d.wait(30)
    assert asked == [1, 2]
    d.wait(40)
    assert (d.status("n1"), d.status("n2")) == ("queued", "expired")


def test_now_with_a_condition_is_as_soon_as_it_holds():
    d = Desk()
    d.put(condition=lambda conversation: len(conversation) > 0)
    assert d.status() == "queued"
    d.user_speaks()
    assert d.status() == "applied"


def test_a_condition_that_fails_is_told_in_words():
    d = Desk()
    d.put(condition=lambda conversation: conversation[7].text == "x")
    result = d.result()
    assert result is not None
    assert result.status == "rejected"
    assert "IndexError" in result.reason


# -- speaking


def test_a_response_is_asked_for_when_the_provider_has_the_note():
    d = Desk()
    d.slow = True
    d.put(speak=True)
    assert not d.of(fx.RequestResponse)
    d.give(fx.NoteTaken("n1"))
    d.one(fx.RequestResponse)
    d.answer()
    d.wait(60)
    d.one(fx.RequestResponse)


def test_it_waits_for_the_response_under_way():
    d = Desk()
    d.user_says()
    d.answer(ms=500, done=False)
    d.put("n1", speak=True)
    d.put("n2", speak=True)
    assert not d.of(fx.RequestResponse)
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.one(fx.RequestResponse)
    d.answer(n=2)
    d.wait(60)
    d.one(fx.RequestResponse)


def test_a_user_who_speaks_is_not_answered_before_the_turn_is_over():
    d = Desk()
    d.user_speaks()
    d.put(speak=True)
    d.give(ev.VadSpeechEnded(item_id="u1"), 0.5)
    assert not d.of(fx.RequestResponse)
    d.give(ev.TurnDetected(item_id="u1"), 1.0)
    d.answer()
    d.wait(60)
    assert not d.of(fx.RequestResponse)  # the answer to the turn has it


def test_a_user_who_speaks_for_long_is_heard_to_the_end():
    d = Desk()
    d.user_speaks()
    d.put(speak=True)
    d.wait(30)
    assert not d.of(fx.RequestResponse)


def test_a_response_that_was_asked_for_since_is_the_one():
    d = Desk()
    d.slow = True
    d.put(speak=True)
    d.user_says()
    d.give(fx.NoteTaken("n1"))
    d.answer()
    d.wait(60)
    assert not d.of(fx.RequestResponse)


def test_speech_that_never_becomes_a_turn_does_not_keep_it_waiting():
    d = Desk()
    d.user_speaks()
    d.put(speak=True)
    d.give(ev.VadSpeechEnded(item_id="u1"), 0.5)
    d.wait(2.9)
    assert not d.of(fx.RequestResponse)
    d.wait(0.2)
    d.one(fx.RequestResponse)


def test_a_note_in_front_of_a_response_wants_no_other():
    d = Desk(ON_REQUEST)
    d.put(when="next_turn", speak=True)
    d.user_says()
    d.answer()
    d.wait(60)
    d.one(fx.RequestResponse)


def test_a_response_that_is_wanted_has_its_own_notes_in_front():
    d = Desk()
    d.put("n1", when="before_response")
    d.put("n2", speak=True)
    assert d.given == ["n2", "n1"]
    assert d.kinds(fx.GiveNote, fx.RequestResponse)[-1] is fx.RequestResponse


def test_interrupt_wants_silence():
    d = Desk()
    d.user_says()
    d.answer(done=False)
    d.put(speak=True)
    d.give(fx.Interrupt())
    d.wait(60)
    assert not d.of(fx.RequestResponse)


def test_on_silence_the_assistant_speaks_first():
    d = Desk()
    d.put("n1", "ask whether somebody is there", when="on_silence", speak=True)
    d.put("n2", "be kind", when="on_silence", priority=1)
    d.wait(5.1)
    assert d.given == ["n2", "n1"]
    d.one(fx.RequestResponse)
    assert d.core.state == "thinking"


def test_the_assistant_says_it_word_for_word_when_nobody_speaks():
    d = Desk()
    d.user_says()
    d.answer(ms=500, done=False)
    d.put("n1", "One moment.", role="assistant", speak=True)
    d.put("n2", "Still here.", role="assistant", speak=True)
    assert d.given == []
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert d.given == ["n1"]
    assert d.one(fx.GiveNote).means == "say"
    assert d.status("n1") == "applied"
    d.answer("One moment.", n=2)
    assert d.given == ["n1", "n2"]
    assert not d.of(fx.CancelResponse)
    assert not d.of(fx.RequestResponse)


def test_words_that_the_provider_does_not_speak_are_not_waited_for():
    d = Desk()
    d.slow = True
    d.put("n1", "One moment.", role="assistant", speak=True)
    assert d.core.state == "thinking"
    d.give(fx.NoteRefused("n1", "no voice"))
    assert d.status() == "rejected"
    assert d.core.state == "idle"
    d.wait(60)
    assert not d.of(ev.ErrorGeneral)


@pytest.mark.parametrize(
    ("lacks", "means", "degraded_to"),
    [
        ({"say": False}, "say", "response_instructions"),
        ({"say": False, "response_on_request": False}, "system", "silent"),
    ],
)
def test_words_for_one_that_cannot_say_them(lacks: dict[str, Any], means: str, degraded_to: str):
    d = Desk(without(**lacks))
    d.put("n1", "One moment.", role="assistant", speak=True)
    result = d.result()
    assert result is not None
    assert (result.status, result.degraded_to) == ("degraded", degraded_to)
    assert d.one(fx.GiveNote).means == means


def test_of_one_that_answers_only_by_itself_no_response_is_wanted():
    d = Desk(without(response_on_request=False))
    d.put(speak=True)
    result = d.result()
    assert result is not None
    assert (result.status, result.degraded_to) == ("degraded", "silent")
    d.wait(60)
    assert not d.of(fx.RequestResponse)


# -- other connections


def restored(can: Capabilities = NOTES, **fields: Any) -> fx.Reattached:
    return fx.Reattached("vendor", can, "closed", **fields)


def lost() -> ev.ConnectionLost:
    return ev.ConnectionLost(code="closed", error="gone")


def test_it_waits_for_the_end_of_an_outage():
    d = Desk(recovers=True)
    d.give(lost())
    d.put("n1")
    d.put("n2", ttl=1)
    d.wait(2)
    assert (d.given, d.status("n1"), d.status("n2")) == ([], "queued", "expired")
    d.give(restored())
    assert (d.given, d.status("n1")) == (["n1"], "applied")


def test_what_was_not_taken_is_given_to_the_next_connection():
    d = Desk(recovers=True)
    d.slow = True
    d.put("n1", speak=True)
    d.give(lost())
    assert d.core.conversation.items == ()
    assert d.status() == "queued"
    d.slow = False
    d.give(restored())
    assert d.given == ["n1", "n1"]
    assert d.log == [("system", "it rains")]
    assert d.status() == "applied"
    d.one(fx.RequestResponse)


def test_a_switch_takes_the_queue_along():
    d = Desk()
    d.put("n1", when="after_response")
    d.give(fx.Attached("other", WRITING))
    d.give(fx.Text("hello"))
    d.answer()
    d.wait(3)
    d.give(fx.Text("well"))
    result = d.result("n1")
    assert result is not None
    assert (result.status, result.degraded_to) == ("degraded", "prefix")


def test_after_the_connection_was_given_up_it_waits_on():
    d = Desk(recovers=True)
    d.put("n1", when="after_response")
    d.give(lost())
    d.give(fx.GaveUp("reconnect_timeout", "no"))
    d.put("n2")
    assert (d.status("n1"), d.status("n2")) == ("queued", "queued")
    d.give(fx.Attached("vendor", NOTES))
    assert (d.status("n1"), d.status("n2")) == ("queued", "applied")


def test_one_that_takes_no_history_is_told_the_notes_again():
    d = Desk(recovers=True)
    d.put("n1", "it rains")
    d.put("n2", "be brief", when="before_response")
    d.give(lost())
    d.give(restored(without(history="none")))
    again = d.of(fx.GiveNote)[1:]
    assert [(e.injection_id, e.text) for e in again] == [("", "it rains")]
    assert d.log == [("system", "it rains")]


@pytest.mark.parametrize(("resumed", "told"), [(False, []), (True, ["new"])])
def test_one_that_knows_the_conversation_is_told_what_came_since(resumed: bool, told: list[str]):
    d = Desk(recovers=True)
    d.put("n1", "old")
    d.user_says()
    d.answer()
    d.wait(3)
    d.put("n2", "new")
    d.give(lost())
    before = len(d.of(fx.GiveNote))
    d.give(restored(resumed=resumed))
    assert [e.text for e in d.of(fx.GiveNote)[before:]] == told


def test_notes_in_the_instructions_are_in_those_of_a_session_that_is_taken_up_again():
    can = without(system_messages=False, history="prompt")
    d = Desk(can, recovers=True)
    d.put("n1", "old")
    d.user_says()
    d.answer()
    d.wait(3)
    d.give(lost())
    d.give(restored(can, resumed=True))
    assert d.of(fx.GiveNote)[-1].instructions == ("old",)
    d.give(lost())
    d.give(restored(can))
    assert len(d.of(fx.GiveNote)) == 2  # the log has told it


def test_words_that_were_being_handed_over_are_said_once_by_the_next():
    d = Desk(recovers=True)
    d.slow = True
    d.put("n1", "One moment.", role="assistant", speak=True)
    d.give(lost())
    assert d.status() == "applied"
    d.give(restored())
    assert [e.text for e in d.of(fx.Speak)] == ["One moment."]
    assert d.given == ["n1"]


# -- the end


def test_the_end_of_the_conversation_is_the_end_of_all():
    d = Desk()
    d.put("n1", when="after_response", ttl=60)
    d.slow = True
    d.put("n2")
    d.give(fx.Close("bye"))
    assert (d.status("n1"), d.status("n2")) == ("cancelled", "cancelled")
    assert d.log == []
    ends = d.kinds(ev.ContextInjected, ev.ConversationEnded)
    assert ends[-1] is ev.ConversationEnded
    assert d.timers == {}
