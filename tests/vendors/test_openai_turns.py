"""Who ends a turn, who asks for an answer, and what is put in in writing."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import DIALECTS, LONG, call_to, until
from voxengine import events as ev

each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


# -- turns


async def test_semantic_turns():
    async with call_to(turn_detection="semantic_vad") as call:
        assert await call.ask("good morning.") == "You said: good morning."
        call.check()
        call.check_vendor()


@each_dialect
async def test_turns_that_the_application_ends(dialect: str):
    async with call_to(dialect, turn_detection="none") as call:
        for words in ("good morning", "and again"):
            await call.speak(words)
            await call.engine.commit_audio()
            await asyncio.sleep(0.5)
            assert call.engine.state == "idle"
            await call.engine.create_response()
            await call.quiet()
        assert call.log == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
            ("user", "and again"),
            ("assistant", "You said: and again"),
        ]
        assert call.ear.words() == "You said: good morning You said: and again"
        call.check()
        call.check_vendor()


@each_dialect
async def test_commit_and_ask_in_one_breath(dialect: str):
    async with call_to(dialect, turn_detection="none") as call:
        await call.speak("good morning")
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        call.check()
        call.check_vendor()


async def test_audio_that_is_thrown_away_is_no_turn():
    async with call_to(turn_detection="none") as call:
        await call.speak("never mind")
        await call.engine.clear_audio()
        await call.speak("good morning")
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        call.check_vendor()


async def test_answers_that_the_vendor_does_not_begin_are_asked_for():
    metadata = {"turn_detection_options": {"create_response": False}}
    async with call_to(metadata=metadata) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert call.session.received.count("response.create") == 1
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted, 2)
        await asyncio.sleep(2)
        await call.speak("stop please")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: stop please")
        call.check()
        call.check_vendor()


async def test_a_vendor_that_does_not_stop_by_itself_is_stopped():
    metadata = {"turn_detection_options": {"interrupt_response": False}}
    async with call_to(metadata=metadata) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await call.speak("stop please")
        await call.quiet()
        assert "response.cancel" in call.session.received
        assert len(call.of(ev.ConversationInterrupted)) == 1
        assert call.log[-2:] == [("user", "stop please"), ("assistant", "You said: stop please")]
        call.check()


# -- texts


@each_dialect
async def test_a_text_is_answered(dialect: str):
    async with call_to(dialect) as call:
        await call.engine.send_text("good morning")
        await call.quiet()
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        assert call.ear.words() == "You said: good morning"
        call.check()
        call.check_vendor()


@each_dialect
async def test_two_texts_at_once(dialect: str):
    async with call_to(dialect) as call:
        await asyncio.gather(call.engine.send_text("one"), call.engine.send_text("two"))
        await call.quiet()
        assert call.log == [("user", "one"), ("user", "two"), ("assistant", "You said: two")]
        assert call.ear.words() == "You said: two"
        call.check()


@each_dialect
async def test_a_text_during_the_greeting(dialect: str):
    async with call_to(dialect, vendor_settings={"greeting": LONG}) as call:
        await call.engine.create_response()
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await call.engine.send_text("good morning")
        await call.quiet()
        assert [role for role, _ in call.log] == ["assistant", "user", "assistant"]
        greeting, answer = call.answers
        assert LONG.startswith(greeting.text)
        assert 2 <= len(greeting.text.split()) <= 7
        assert answer.text == "You said: good morning"
        assert call.vendor_item(greeting.id).audio_ms == pytest.approx(greeting.heard_ms, abs=1)
        call.check()


async def test_a_text_before_the_greeting_has_begun():
    async with call_to() as call:
        await call.engine.create_response()
        await call.engine.send_text("good morning")
        await call.quiet()
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        assert call.ear.words() == "You said: good morning"
        call.check()


@each_dialect
async def test_a_note_of_the_system_is_known_and_not_answered(dialect: str):
    async with call_to(dialect) as call:
        await call.engine.send_text("The caller is called Ada.", role="system")
        await asyncio.sleep(2)
        assert call.engine.state == "idle"
        assert [(i.role, i.text) for i in call.session.items] == [
            ("system", "The caller is called Ada.")
        ]
        assert await call.ask("good morning") == "You said: good morning"
        call.check_vendor()


async def test_a_note_of_the_system_while_it_speaks():
    async with call_to() as call:
        await call.speak("please say one two three four five six")
        await call.wait(ev.AudioOutputStarted)
        await call.engine.send_text("The caller is called Ada.", role="system")
        await call.quiet()
        assert call.ear.words() == "one two three four five six"
        assert call.of(ev.ConversationInterrupted) == []
        call.check_vendor()


@each_dialect
async def test_words_that_the_application_wants_spoken(dialect: str):
    answers = {"re:nothing else: (.*)": "{1}"}
    async with call_to(dialect, answers) as call:
        await call.engine.say("your table is ready")
        await call.quiet()
        assert call.ear.words() == "your table is ready"
        assert call.log == [("assistant", "your table is ready")]
        call.check()
        call.check_vendor()


async def test_a_response_with_instructions_of_its_own():
    async with call_to(responses={"greet the caller": "welcome"}) as call:
        await call.engine.create_response(instructions="greet the caller")
        await call.quiet()
        assert call.ear.words() == "welcome"
        call.check_vendor()


async def test_settings_that_change_in_mid_call():
    async with call_to(instructions="Be brief.") as call:
        await call.ask("good morning")
        await call.engine.update_session(instructions="Be kind.", turn_detection="none")
        assert call.session.config["instructions"] == "Be kind."
        await call.speak("and again")
        await asyncio.sleep(3)
        assert len(call.answers) == 1
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: and again")
        call.check_vendor()


async def test_the_vendor_notices_that_nobody_speaks():
    metadata = {"turn_detection_options": {"idle_timeout_ms": 5000}}
    async with call_to(metadata=metadata) as call:
        await call.ask("good morning")
        await until(lambda: len(call.answers) == 2, 20)
        await call.quiet()
        assert call.answers[1].text == "Are you still there?"
        assert call.ear.words().endswith("Are you still there?")
        names = [e.name for e in call.of(ev.RawEvent)]
        assert "input_audio_buffer.timeout_triggered" in names
        call.check()
