"""The application's own ear tells when the user speaks, and not the provider."""

from __future__ import annotations

import msgspec
import pytest

from tests.session.driver import SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx

#: One that finds no turns, but says of itself that it would stop when it hears the user.
DEAF = msgspec.structs.replace(SERVER_VAD, auto_response=False, commit=True)


def deaf(capabilities: Capabilities = DEAF) -> Driver:
    return Driver(capabilities, manual_turns=True)


def test_the_turn_keeps_the_id_that_was_told_when_it_began() -> None:
    d = deaf()
    d.give(fx.HearSpeech(True, "mine", 200.0))
    assert d.one(ev.VadSpeechStarted).item_id == "mine"
    assert d.item("mine").status == "in_progress"
    d.give(fx.HearSpeech(False, "mine", 900.0, 500.0), after=1)
    assert d.one(ev.VadSpeechEnded).item_id == "mine"
    d.give(fx.NameTurn("mine"))
    d.give(ev.TurnDetected(item_id="theirs"), after=0.1)
    assert d.one(ev.TurnDetected).item_id == "mine"
    d.give(ev.TranscriptCompleted(item_id="theirs", text="hello"))
    assert d.one(ev.TranscriptCompleted).item_id == "mine"
    assert [(i.id, i.text, i.status) for i in d.core.conversation] == [
        ("mine", "hello", "completed")
    ]
    assert d.item("mine").audio_ms == pytest.approx(700)


def test_a_provider_that_does_not_listen_is_told_to_stop() -> None:
    d = deaf()
    d.give(fx.CreateResponse())
    d.answer("one two three", ms=1000, done=False)
    d.wait(0.5)
    d.effects.clear()
    d.give(fx.HearSpeech(True, "mine"))
    assert d.one(ev.ResponseCancelled).reason == "turn_detected"
    assert d.one(fx.CancelResponse).response_id == "r1"
    assert d.one(ev.ConversationInterrupted).reason == "speech"


def test_a_turn_that_could_not_be_made_gives_its_name_to_no_other() -> None:
    d = deaf()
    d.give(fx.HearSpeech(True, "mine"))
    d.give(fx.HearSpeech(False, "mine"), after=1)
    d.give(fx.NameTurn("mine"))
    d.give(fx.NameTurn("mine", made=False))
    d.give(ev.TurnDetected(item_id="theirs"), after=1)
    assert d.one(ev.TurnDetected).item_id == "theirs"


def test_a_turn_that_is_made_by_hand_is_answered_by_nobody() -> None:
    d = Driver()  # whose server answers the turns that it finds by itself
    d.give(fx.NameTurn())
    d.give(ev.TurnDetected(item_id="u1"))
    d.wait(60)
    assert d.core.state == "idle"
    assert [e for e in d.effects if isinstance(e, (ev.ErrorGeneral, ev.ResponseError))] == []
    d.give(ev.TurnDetected(item_id="u2"))
    assert d.core.answering, "the next one is its own again"


def test_a_turn_that_is_sent_later_is_told_at_once_and_only_once() -> None:
    d = Driver()
    d.give(fx.HearTurn("mine", 800.0, 700.0))
    assert d.one(ev.TurnDetected).item_id == "mine"
    assert not d.core.answering
    assert d.item("mine").audio_ms == 700
    d.wait(60)
    d.effects.clear()

    d.give(ev.VadSpeechStarted(item_id="theirs"))
    d.give(ev.VadSpeechEnded(item_id="theirs"), after=0.5)
    d.give(ev.TurnDetected(item_id="theirs"), after=0.5)
    assert [e for e in d.effects if isinstance(e, ev.TurnDetected)] == []
    assert d.core.answering
    d.give(ev.TranscriptCompleted(item_id="theirs", text="hello"))
    assert [(i.id, i.text) for i in d.core.conversation] == [("mine", "hello")]
