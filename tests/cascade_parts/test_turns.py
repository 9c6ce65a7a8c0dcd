"""The text rule as a table, and what the caller's own pauses do to the waits."""

from __future__ import annotations

import pytest

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.parts import TurnDetector
from voxengine.providers.cascade.turns import AdaptiveTurnDetector, Ending, ending_of


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("Go forward 10 meters.", Ending.COMPLETE),
        ("What time is it?", Ending.COMPLETE),
        ("Stop!", Ending.COMPLETE),
        ("Yes.", Ending.COMPLETE),
        ("Turn it on.", Ending.COMPLETE),
        ("Please go on.", Ending.COMPLETE),
        ("Who is it for?", Ending.COMPLETE),
        ("I am very well.", Ending.COMPLETE),
        ('He said "stop."', Ending.COMPLETE),
        ("go forward ten meters", Ending.UNKNOWN),
        ("and so my fellow Americans", Ending.UNKNOWN),
        ("My number is 555.", Ending.UNKNOWN),
        (None, Ending.UNKNOWN),
        ("I would like to", Ending.GOES_ON),
        ("I would like to.", Ending.GOES_ON),
        ("Turn on the", Ending.GOES_ON),
        ("The red one and", Ending.GOES_ON),
        ("Because.", Ending.GOES_ON),
        ("I'd like a table for", Ending.GOES_ON),
        ("So what if we?", Ending.GOES_ON),
        ("First of all,", Ending.GOES_ON),
        ("Well, let me think...", Ending.GOES_ON),
        ("Well, let me think…", Ending.GOES_ON),
        ("the thing is -", Ending.GOES_ON),
        ("I want the, um.", Ending.GOES_ON),
        ("I think I’ll", Ending.GOES_ON),
        ("um", Ending.GOES_ON),
        ("Uh, well.", Ending.GOES_ON),
        ("", Ending.GOES_ON),
        ("  ...  ", Ending.GOES_ON),
        ("😀", Ending.GOES_ON),
    ],
)
def test_text_rule(text, ending):
    assert ending_of(text) is ending


def test_waits_follow_the_text():
    detector = AdaptiveTurnDetector()
    assert isinstance(detector, TurnDetector)
    complete = detector.wait_ms("Stop.", 500)
    unknown = detector.wait_ms(None, 500)
    goes_on = detector.wait_ms("I want to", 500)
    assert 250 <= complete <= 300
    assert complete < unknown < goes_on
    assert 800 <= goes_on <= 1000


def test_a_caller_who_pauses_long_is_waited_for_longer():
    detector = AdaptiveTurnDetector()
    before = detector.wait_ms("Stop.", 500)
    detector.observe_pause(700, ended_turn=False)
    once = detector.wait_ms("Stop.", 500)
    for _ in range(5):
        detector.observe_pause(700, ended_turn=False)
    often = detector.wait_ms("Stop.", 500)
    assert before < once < often <= before * 2.5


def test_a_quick_caller_is_answered_sooner_but_never_at_once():
    detector = AdaptiveTurnDetector()
    for _ in range(50):
        detector.observe_pause(130, ended_turn=False)
    assert 200 <= detector.wait_ms("Stop.", 500) < 280


def test_waits_stay_within_bounds():
    detector = AdaptiveTurnDetector()
    for _ in range(50):
        detector.observe_pause(60_000, ended_turn=False)
    assert detector.wait_ms("I want to", 500) == 1500
    assert detector.wait_ms("Stop.", 500) <= 700


@pytest.mark.parametrize("pause", [0.0, 50.0, -3.0, float("nan"), float("inf")])
def test_gaps_inside_words_and_nonsense_teach_nothing(pause):
    detector = AdaptiveTurnDetector()
    detector.observe_pause(pause, ended_turn=False)
    assert detector.pace == 1.0


def test_turns_that_end_rightly_bring_the_ordinary_pace_back():
    detector = AdaptiveTurnDetector()
    detector.observe_pause(900, ended_turn=False)
    fast = detector.pace
    for _ in range(100):
        detector.observe_pause(300, ended_turn=True)
    assert 1.0 <= detector.pace < 1.02 < fast


def test_every_number_is_an_option():
    detector = AdaptiveTurnDetector(
        complete_ms=100, unknown_ms=110, goes_on_ms=120, min_ms=0, learn=0
    )
    detector.observe_pause(900, ended_turn=False)
    assert [detector.wait_ms(text, 0) for text in ("Stop.", "stop", "and")] == [100, 110, 120]


@pytest.mark.parametrize(
    "options", [{"min_ms": 400}, {"goes_on_ms": 100}, {"learn": 2}, {"least_pace": 0}]
)
def test_numbers_that_contradict_are_refused(options):
    with pytest.raises(ConfigurationError, match="turn detector"):
        AdaptiveTurnDetector(**options)
