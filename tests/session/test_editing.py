"""Items that the application puts in, takes out and shortens; who answers; tools that are answered on request."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.session.driver import SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx

ITEMS = replace(SERVER_VAD, history="items", delete=True, system_messages=True)
#: Answers by itself until it is told not to.
ON_REQUEST = replace(ITEMS, auto_response=False, auto_response_optional=True)
#: Is told the conversation with the connection, and takes the user's texts.
EARLY = replace(SERVER_VAD, history="at_start", text_input=True)


def message(text: str, item_id: str = "x1", role: Any = "user") -> Item:
    return Item(id=item_id, role=role, text=text, status="completed")


# -- adding


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_an_item_is_told_and_not_answered(role: str):
    d = Driver(ITEMS)
    out = d.give(fx.AddItem(message("hello", role=role)))
    assert d.one(fx.TellItems) == fx.TellItems(("x1",), None, waited_for=True)
    assert not [e for e in out if isinstance(e, (fx.RequestResponse, fx.SendText))]
    assert d.log == [(role, "hello")]
    assert not d.core.answering


def test_a_response_that_is_asked_for_answers_the_item():
    d = Driver(ITEMS)
    d.give(fx.AddItem(message("hello")))
    d.give(fx.CreateResponse())
    d.answer("hi", 100)
    assert d.item("a1").turn_id == "x1"


def test_a_place_between_others():
    d = Driver(replace(ITEMS, history_places=True))
    for n, word in enumerate(("one", "three")):
        d.give(fx.AddItem(message(word, f"m{n}")))
    d.effects.clear()
    d.give(fx.AddItem(message("two"), after="m0"))
    assert d.one(fx.TellItems).after == "m0"
    d.give(fx.AddItem(message("zero", "x0"), after=""))
    assert d.of(fx.TellItems)[-1].after == ""
    assert [text for _, text in d.log] == ["zero", "one", "two", "three"]


def test_a_place_that_the_provider_does_not_have_makes_its_memory_anew():
    d = Driver(ITEMS)
    for n, word in enumerate(("one", "three")):
        d.give(fx.AddItem(message(word, f"m{n}")))
    d.effects.clear()
    d.give(fx.AddItem(message("two"), after="m0"))
    assert not d.of(fx.TellItems)
    assert len(d.of(fx.RenewMemory)) == 1


def test_a_text_waits_for_the_request_where_there_are_no_items():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("good morning", "x1")))
    d.give(fx.AddItem(message("are you there?", "x2")))
    assert not d.effects or not d.of(fx.SendText)
    d.give(fx.CreateResponse())
    assert d.one(fx.SendText) == fx.SendText("good morning\n\nare you there?", "user")
    assert not d.of(fx.RequestResponse)
    d.answer("yes", 100)
    assert d.item("a1").turn_id == "x2"
    d.give(fx.CreateResponse(), 1.0)
    assert len(d.of(fx.SendText)) == 1


@pytest.mark.parametrize(
    ("can", "asked"),
    [
        (EARLY, fx.CreateResponse(("text",))),
        (replace(EARLY, history="none"), fx.CreateResponse(None, "be short")),
        (replace(EARLY, response_on_request=False), fx.CreateResponse(None, "be short")),
    ],
)
def test_what_cannot_go_with_a_text_is_told(can: Capabilities, asked: fx.CreateResponse):
    d = Driver(can)
    d.give(fx.AddItem(message("hello")))
    d.give(asked)
    assert d.one(ev.SystemWarning).code == "response_options_left_out"
    assert d.one(fx.SendText).text == "hello"
    assert not d.of(fx.RenewMemory)


def test_instructions_of_a_response_to_a_text_go_in_after_it_as_a_note():
    d = Driver(replace(EARLY, system_messages=True))
    d.give(fx.AddItem(message("good morning", "x1")))
    d.give(fx.AddItem(message("are you there?", "x2")))
    d.give(fx.CreateResponse(None, "be short"))
    told = [e for e in d.effects if isinstance(e, (fx.GiveNote, fx.RequestResponse))]
    assert [type(e) for e in told] == [fx.GiveNote, fx.GiveNote, fx.RequestResponse]
    assert "good morning" in told[0].text  # type: ignore[union-attr]
    assert "are you there?" in told[1].text  # type: ignore[union-attr]
    assert told[2] == fx.RequestResponse(None, "be short", None)
    assert not d.of(fx.SendText)
    d.answer("yes", 100)
    assert d.item("a1").turn_id == "x2"
    d.give(fx.CreateResponse(), 1.0)
    assert len(d.of(fx.GiveNote)) == 2


def test_where_every_text_is_answered_they_wait_for_a_connection_that_knows_it():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("hello")))
    d.give(fx.CreateResponse(None, "be short"))
    assert len(d.of(fx.RenewMemory)) == 1
    assert not d.of(fx.SendText) + d.of(fx.RequestResponse)
    assert d.core.owes_answer
    d.give(fx.Reattached("vendor", EARLY, "memory", outage=False))
    assert d.one(fx.RequestResponse) == fx.RequestResponse(None, "be short", None)
    assert not d.of(fx.SendText)
    assert d.core.answering


def test_without_such_a_connection_the_text_is_answered_as_it_is():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("hello")))
    d.give(fx.CreateResponse(None, "be short"))
    d.give(fx.RenewalFailed())
    assert d.one(fx.SendText) == fx.SendText("hello", "user")
    assert [w.code for w in d.of(ev.SystemWarning)] == [
        "memory_not_renewed",
        "response_options_left_out",
    ]
    assert len(d.of(fx.RenewMemory)) == 1
    assert d.core.answering


def test_nothing_is_owed_when_what_waits_was_called_off():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("hello")))
    d.give(fx.CreateResponse(None, "be short"))
    d.give(fx.Interrupt())
    assert not d.core.owes_answer
    d.give(fx.Reattached("vendor", EARLY, "memory", outage=False))
    assert not d.of(fx.RequestResponse)


def test_a_text_that_waits_is_told_before_the_user_is_answered():
    d = Driver(replace(EARLY, system_messages=True))
    d.give(fx.AddItem(message("my name is Ann")))
    d.user_speaks()
    note = d.one(fx.GiveNote)
    assert (note.means, note.injection_id) == ("system", "")
    assert "my name is Ann" in note.text


@pytest.mark.parametrize(
    ("can", "expected"),
    [
        (replace(EARLY, system_messages=True), fx.GiveNote),
        (replace(EARLY, instructions_updatable=True), fx.GiveNote),
        (EARLY, fx.RenewMemory),
        (replace(EARLY, text_input=False), fx.RenewMemory),
        (replace(EARLY, text_input=False, history="none"), ev.SystemWarning),
    ],
)
def test_ways_to_tell_what_the_assistant_is_to_have_said(can: Capabilities, expected: type[Any]):
    d = Driver(can)
    d.give(fx.AddItem(message("I said so", role="assistant")))
    assert [type(e) for e in d.effects if isinstance(e, (fx.GiveNote, fx.RenewMemory))] == (
        [expected] if expected is not ev.SystemWarning else []
    )
    assert bool(d.of(ev.SystemWarning)) == (expected is ev.SystemWarning)
    assert d.log == [("assistant", "I said so")]


def test_words_that_have_no_way_of_their_own_go_with_the_next_text():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("the caller is Ann", role="system")))
    d.give(fx.Text("hello"))
    assert "the caller is Ann" in d.one(fx.SendText).text
    assert d.one(fx.SendText).text.endswith("\n\nhello")


def test_what_another_connection_knows_goes_with_no_text():
    d = Driver(EARLY)
    d.give(fx.AddItem(message("the caller is Ann", role="system")))
    d.give(fx.Reattached("vendor", EARLY, "memory", outage=False))
    d.give(fx.Text("hello"))
    assert d.one(fx.SendText).text == "hello"


# -- taking out


def test_an_item_is_taken_out_at_the_provider():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two", 200)
    d.wait(1.0)
    d.give(fx.DeleteItem("u1"))
    assert d.one(fx.ForgetItem).item_id == "u1"
    assert d.log == [("assistant", "one two")]


def test_what_is_told_of_an_item_that_was_taken_out_does_not_bring_it_back():
    d = Driver(ITEMS)
    d.user_says(None)
    d.give(fx.DeleteItem("u1"))
    d.give(ev.TranscriptCompleted(item_id="u1", text="hello"))
    assert d.log == []


def test_a_text_that_has_no_name_there_makes_the_memory_anew():
    d = Driver(ITEMS)
    d.give(fx.Text("hello"))
    d.answer("hi", 100)
    d.wait(1.0)
    item = d.core.conversation[0]
    d.give(fx.DeleteItem(item.id))
    assert not d.of(fx.ForgetItem)
    assert len(d.of(fx.RenewMemory)) == 1


def test_the_response_goes_on_when_its_item_is_taken_out():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000, done=False)
    d.wait(0.3)
    d.give(fx.DeleteItem("a1"))
    d.give(d.chunk())
    d.wait(2.0)  # so that the next chunk begins anew
    d.give(d.chunk())
    d.give(ev.TextOutput(text=" five", item_id="a1", response_id="r1"))
    assert d.log == [("user", "hello")]
    assert len(d.of(ev.AudioOutputChunk)) == 12
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.wait(2.0)
    assert d.log == [("user", "hello")]
    assert not d.of(ev.ResponseCancelled)
    assert not d.of(fx.CancelResponse)
    assert d.one(ev.ResponseCompleted).status == "completed"
    assert d.core.state == "idle"


def test_an_item_that_was_taken_out_while_it_played_can_be_interrupted():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000)
    d.wait(0.3)
    d.give(fx.DeleteItem("a1"))
    d.user_speaks("u2")
    assert d.one(ev.AudioOutputStopped).interrupted
    assert not d.of(fx.Truncate)
    assert [role for role, _ in d.log] == ["user", "user"]


def test_an_answer_that_was_not_announced_ends_when_it_is_taken_out():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.give(ev.TextOutput(text="one two", item_id="a1"))
    d.give(ev.AudioOutputChunk(audio_data=bytes(9600), item_id="a1"))
    d.give(fx.DeleteItem("a1"))
    assert len(d.of(ev.ResponseCancelled)) == 1
    assert d.log == [("user", "hello")]


def test_a_provider_that_cannot_forget_is_connected_anew_when_nobody_speaks():
    d = Driver(EARLY)
    d.user_says("hello")
    d.answer("one two", 1000)
    d.give(fx.DeleteItem("u1"))
    assert not d.of(fx.RenewMemory)  # the answer still plays
    d.wait(2.0)
    assert len(d.of(fx.RenewMemory)) == 1
    d.wait(5.0)
    assert len(d.of(fx.RenewMemory)) == 1


def test_a_response_waits_for_the_memory():
    d = Driver(EARLY)
    d.user_says("hello")
    d.answer("one two", 100)
    d.wait(1.0)
    d.give(fx.DeleteItem("u1"))
    d.give(fx.CreateResponse())
    assert not d.of(fx.RequestResponse)
    d.give(fx.Reattached("vendor", EARLY, "memory", outage=False))
    assert len(d.of(fx.RequestResponse)) == 1


def test_a_memory_that_cannot_be_renewed_is_told_and_waited_for_no_longer():
    d = Driver(EARLY)
    d.user_says("hello")
    d.answer("one two", 100)
    d.wait(1.0)
    d.give(fx.DeleteItem("u1"))
    d.give(fx.CreateResponse())
    d.give(fx.RenewalFailed(busy=True))
    assert len(d.of(fx.RenewMemory)) == 1
    d.wait(1.1)
    assert len(d.of(fx.RenewMemory)) == 2
    d.give(fx.RenewalFailed())
    assert d.one(ev.SystemWarning).code == "memory_not_renewed"
    assert len(d.of(fx.RequestResponse)) == 1


def test_a_provider_without_any_memory_is_left_as_it_is():
    d = Driver(replace(EARLY, history="none"))
    d.user_says("hello")
    d.give(fx.DeleteItem("u1"))
    assert d.one(ev.SystemWarning).code == "item_not_forgotten"


# -- shortening


def test_an_item_that_was_heard_is_cut_later():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000)
    d.wait(2.0)
    d.give(fx.TruncateItem("a1", 500.0))
    item = d.item("a1")
    assert (item.text, item.heard_ms, item.status) == ("one two", 500.0, "incomplete")
    assert d.one(fx.Truncate) == fx.Truncate("a1", 500.0, "one two")


def test_an_item_that_plays_ends_where_the_client_says():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000)
    d.wait(0.9)
    d.give(fx.TruncateItem("a1", 500.0))
    assert d.item("a1").text == "one two"
    assert d.core.state == "idle"
    assert [t.heard_ms for t in d.of(fx.Truncate)] == [500.0]


def test_an_item_that_is_being_made_is_cut_and_its_response_goes_on():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000, done=False)
    d.wait(0.8)
    d.give(fx.TruncateItem("a1", 500.0))
    assert d.core.state == "thinking"
    d.give(d.chunk())
    d.give(ev.TextOutput(text=" five", item_id="a1", response_id="r1"))
    assert len(d.of(ev.AudioOutputChunk)) == 11
    d.give(ev.FunctionInvoked(call_id="c1", name="look", arguments="{}", response_id="r1"))
    d.give(ev.ResponseCompleted(response_id="r1"))
    item = d.item("a1")
    assert (item.text, item.heard_ms, item.status) == ("one two", 500.0, "incomplete")
    assert d.one(fx.Truncate) == fx.Truncate("a1", 500.0, "one two")
    assert not d.of(ev.ResponseCancelled)
    assert not d.of(fx.CancelResponse)
    assert d.one(fx.RunTool).call_id == "c1"


def test_an_item_that_the_clock_has_cut_is_cut_to_the_client_s_word():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000)
    d.wait(0.8)
    d.user_speaks("u2")
    assert d.item("a1").text == "one two three"
    d.give(fx.TruncateItem("a1", 500.0))
    assert d.item("a1").text == "one two"
    assert [t.heard_ms for t in d.of(fx.Truncate)][-1] == 500.0
    d.give(fx.TruncateItem("a1", 900.0))
    assert d.item("a1").heard_ms == 900.0
    assert len(d.of(fx.Truncate)) == 2
    assert d.one(ev.SystemWarning).code == "item_already_shorter"


def test_an_item_of_which_the_clock_says_that_nothing_was_heard_comes_back():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two three four", 1000)
    d.user_speaks("u2")
    assert d.core.conversation.get("a1") is None
    d.give(fx.TruncateItem("a1", 500.0))
    assert d.log == [("user", "hello"), ("assistant", "one two"), ("user", "")]


# -- who answers


def test_a_turn_is_not_answered_by_itself():
    d = Driver(ON_REQUEST, auto_response=False)
    d.user_says("hello")
    assert not d.core.answering
    assert not d.of(fx.RequestResponse)
    d.wait(60.0)
    assert not d.of(ev.ErrorGeneral)
    d.give(fx.CreateResponse())
    d.answer("hi", 100)
    assert d.item("a1").turn_id == "u1"


def test_it_can_be_turned_off_and_on():
    d = Driver(ITEMS)
    d.give(fx.Configured(ON_REQUEST, auto_response=False))
    d.user_says("hello")
    assert not d.core.answering
    d.give(fx.Configured(ITEMS, auto_response=True))
    d.user_says("hello", "u2")
    assert d.core.answering


def test_what_was_asked_for_during_an_answer_comes_after_the_turn():
    d = Driver(ON_REQUEST, auto_response=False)
    d.user_says("hello")
    d.give(fx.CreateResponse())
    d.answer("one two three four", 1000, done=False)
    d.give(fx.CreateResponse(instructions="say more"))
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert len(d.of(fx.RequestResponse)) == 2


def test_speech_does_not_cut_the_answer():
    d = Driver(replace(ITEMS, self_interrupting=False), interruptions=False)
    d.user_says("hello")
    d.answer("one two three four", 1000, done=False)
    d.wait(0.3)
    d.user_speaks("u2")
    d.give(d.chunk())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.wait(3.0)
    assert not d.of(ev.ResponseCancelled)
    assert not d.of(fx.CancelResponse)
    assert d.item("a1").status == "completed"
    assert d.item("a1").heard_ms == 1100.0


def test_a_turn_during_an_answer_is_answered_after_it():
    d = Driver(replace(ITEMS, self_interrupting=False), interruptions=False)
    d.user_says("hello")
    d.answer("one two three four", 1000, done=False)
    d.user_says("and again", "u2")
    assert not d.of(fx.RequestResponse)
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert len(d.of(fx.RequestResponse)) == 1


def test_an_answer_that_begins_while_the_user_speaks_is_heard():
    d = Driver(replace(ITEMS, self_interrupting=False), interruptions=False)
    d.user_says("hello")
    d.user_speaks("u2")
    d.answer("one two", 200)
    assert ("assistant", "one two") in d.log


# -- tools that are answered on request


def call_of(d: Driver, name: str = "look") -> None:
    d.user_says("look it up")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.FunctionInvoked(call_id="c1", name=name, arguments="{}", response_id="r1"))
    d.give(ev.ResponseCompleted(response_id="r1"))


def test_a_result_is_told_and_not_answered():
    d = Driver(ITEMS, silent_tools=frozenset({"look"}))
    call_of(d)
    assert d.one(fx.RunTool).call_id == "c1"
    assert not d.core.answering
    d.give(fx.ToolFinished("c1", "it"))
    assert d.one(fx.SendToolResult) == fx.SendToolResult("c1", "it")
    assert not d.of(fx.RequestResponse)
    d.give(fx.CreateResponse())
    assert len(d.of(fx.RequestResponse)) == 1


def test_other_tools_are_answered_as_ever():
    d = Driver(ITEMS, silent_tools=frozenset({"look"}))
    call_of(d, "find")
    d.give(fx.ToolFinished("c1", "it"))
    assert len(d.of(fx.RequestResponse)) == 1


@pytest.mark.parametrize("what", ["speech", "interrupt"])
def test_neither_speech_nor_silence_calls_it_off(what: str):
    d = Driver(ITEMS, silent_tools=frozenset({"look"}))
    call_of(d)
    if what == "speech":
        d.user_speaks("u2")
    else:
        d.give(fx.Interrupt())
    assert not d.of(fx.CancelTool)
    d.give(fx.ToolFinished("c1", "it"))
    assert d.one(fx.SendToolResult).output == "it"
    assert len(d.of(ev.FunctionCompleted)) == 1


def test_a_response_can_be_asked_for_while_it_runs():
    d = Driver(ITEMS, silent_tools=frozenset({"look"}))
    call_of(d)
    d.give(fx.CreateResponse())
    assert len(d.of(fx.RequestResponse)) == 1


def test_a_result_that_is_put_in_ends_the_call():
    d = Driver(ITEMS, silent_tools=frozenset({"look"}))
    call_of(d)
    result = Item(id="out1", kind="function_output", role="tool", call_id="c1", output="it")
    d.give(fx.AddItem(result))
    assert d.one(fx.CancelTool).call_id == "c1"
    assert d.one(fx.SendToolResult) == fx.SendToolResult("c1", "it")
    assert d.one(ev.FunctionCompleted).output == "it"
    assert not d.of(fx.TellItems)
    assert not d.of(fx.RequestResponse)
    assert [i.id for i in d.core.conversation if i.kind == "function_output"] == ["out1"]
    d.give(fx.ToolFinished("c1", "late"))
    assert len(d.of(fx.SendToolResult)) == 1


def test_a_result_of_an_earlier_call_is_an_item_like_any_other():
    d = Driver(ITEMS)
    d.give(
        fx.AddItem(
            Item(
                id="c",
                kind="function_call",
                role="assistant",
                call_id="k",
                name="f",
                arguments="{}",
            )
        )
    )
    d.give(fx.AddItem(Item(id="o", kind="function_output", role="tool", call_id="k", output="it")))
    assert [e.item_ids for e in d.of(fx.TellItems)] == [("c",), ("o",)]


# -- formats


def test_audio_that_comes_in_another_format_is_counted_by_it():
    d = Driver(ITEMS)
    d.user_says("hello")
    d.answer("one two", 200, done=False)
    d.give(fx.Configured(new_format=True))
    half = ev.AudioOutputChunk(
        audio_data=b"\x55" * 800,
        item_id="a1",
        response_id="r1",
        sample_rate=8000,
        encoding="g711_ulaw",
    )
    d.give(half)
    d.give(half)
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.wait(1.0)
    assert d.item("a1").audio_ms == pytest.approx(400.0)
    assert d.item("a1").heard_ms == pytest.approx(400.0)


# -- results that would be answered unasked

GOES_ON = replace(EARLY, continues_after_tool=True, system_messages=True)
LOOK = frozenset({"look"})
RESULT = fx.SendToolResult("c1", "it")


def returned(can: Capabilities = GOES_ON) -> Driver:
    """A tool whose result is not to be answered has returned."""
    d = Driver(can, silent_tools=LOOK)
    call_of(d)
    d.give(fx.ToolFinished("c1", "it"))
    return d


@pytest.mark.parametrize(
    ("can", "kept"),
    [
        (GOES_ON, True),
        (replace(GOES_ON, response_on_request=False), True),
        (replace(GOES_ON, silent_results=True), False),
        (replace(GOES_ON, continues_after_tool=False), False),
    ],
)
def test_a_result_is_kept_from_who_would_go_on(can: Capabilities, kept: bool):
    d = returned(can)
    assert bool(d.of(fx.SendToolResult)) == (not kept)
    assert d.one(ev.FunctionCompleted).output == "it"
    assert not d.core.answering
    assert [i.output for i in d.core.conversation if i.kind == "function_output"] == ["it"]


@pytest.mark.parametrize("on_request", [True, False])
def test_the_response_that_is_asked_for_is_the_one_that_follows(on_request: bool):
    d = returned(replace(GOES_ON, response_on_request=on_request))
    d.give(fx.CreateResponse())
    assert d.one(fx.SendToolResult) == RESULT
    assert not d.of(fx.RequestResponse)
    assert d.core.answering
    d.answer("found it", 100, n=2)
    assert not d.core.answering
    assert d.log[-1] == ("assistant", "found it")
    d.give(fx.CreateResponse(), 1.0)
    assert len(d.of(fx.SendToolResult)) == 1


def test_what_that_response_cannot_be_like_is_told():
    d = returned()
    d.give(fx.CreateResponse(None, "be short"))
    assert d.one(ev.SystemWarning).code == "response_options_left_out"
    assert d.one(fx.SendToolResult) == RESULT


def test_the_user_speaks_and_the_results_are_told_before():
    d = returned()
    d.user_speaks("u2")
    assert d.one(fx.SendToolResult) == fx.SendToolResult("c1", "it", best_effort=True)
    d.user_stops("u2", "and now?")
    d.answer("now this", 100, n=2)
    assert d.item("a2").turn_id == "u2"
    assert len(d.of(fx.SendToolResult)) == 1


def test_who_does_not_wait_for_a_result_any_more_is_told_in_words():
    d = returned()
    d.give(ev.FunctionCancelled(call_id="c1", name="look"))
    assert d.one(fx.SendText) == fx.SendText(
        "The call of the tool 'look' has returned: it", "system"
    )
    d.give(fx.CreateResponse())
    assert not d.of(fx.SendToolResult) + d.of(ev.FunctionCancelled)
    assert len(d.of(fx.RequestResponse)) == 1


def test_a_result_that_was_taken_out_is_not_told():
    d = returned()
    kept = next(i.id for i in d.core.conversation if i.kind == "function_output")
    d.give(fx.DeleteItem(kept))
    d.give(fx.Reattached("vendor", GOES_ON, "memory", outage=False))
    d.give(fx.CreateResponse())
    assert not d.of(fx.SendToolResult)
    assert len(d.of(fx.RequestResponse)) == 1


@pytest.mark.parametrize(("history", "notes"), [("at_start", 0), ("none", 1)])
def test_another_connection_knows_the_result_from_the_log(history: Any, notes: int):
    can = replace(GOES_ON, history=history)
    d = returned(can)
    d.give(fx.Reattached("vendor", can, "rotation", outage=False))
    d.give(fx.CreateResponse())
    words = [text.text for text in d.of(fx.SendText) if text.role == "system"]
    assert len(words) == notes
    assert not d.of(fx.SendToolResult)
    assert len(d.of(fx.RequestResponse)) == 1
