from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from voxengine.providers.aws.hearing import LIMIT_S, SETTLE_S, Results
from voxengine.providers.cascade.parts import STTFinal, STTPartial


def result(*words: str, start: float = 0.0, step: float = 0.5, final: bool = False) -> Any:
    items, at = [], start
    for word in words:
        mark = word in ".,?"
        items.append(
            SimpleNamespace(
                content=word,
                type="punctuation" if mark else "pronunciation",
                start_time=at,
                end_time=at + step,
            )
        )
        at += 0 if mark else step
    best = SimpleNamespace(transcript=" ".join(words), items=items)
    return SimpleNamespace(
        is_partial=not final,
        start_time=start,
        end_time=at,
        language_code="en-US",
        alternatives=[best],
    )


def test_words_are_shown_and_then_final():
    results = Results()
    assert results.result(result("go"), 0.0) == [STTPartial("go")]
    assert results.result(result("go"), 0.1) == []
    assert results.result(result("go", "on"), 0.2) == [STTPartial("go on")]
    told = results.result(result("Go", "on", ".", final=True), 0.3)
    assert told == [STTFinal("Go on.", language="en-US")]
    assert results.deadline is None


def test_the_final_result_is_the_answer_to_being_asked():
    results = Results()
    results.result(result("go", "on"), 0.0)
    results.position_s = 1.2
    results.finalize(1.0)
    assert results.result(result("Go", "on", ".", final=True), 1.1) == [
        STTFinal("Go on.", asked=True)
    ]
    assert results.deadline is None


def test_without_a_final_result_what_has_settled_counts():
    results = Results()
    results.result(result("go"), 0.0)
    results.position_s = 1.2
    results.finalize(1.0)
    assert results.deadline == pytest.approx(1.0 + SETTLE_S)
    assert results.result(result("go", "on"), 1.2) == [STTPartial("go on")]
    assert results.tick(1.0 + SETTLE_S) == []
    assert results.tick(1.2 + SETTLE_S) == [STTFinal("go on", asked=True)]
    # The same result goes on: what was counted is not told again.
    assert results.result(result("go", "on", "and", "stop"), 3.0) == [STTPartial("stop")]


def test_words_that_change_and_change_are_waited_for_no_longer_than_that():
    results = Results()
    results.position_s = 1.0
    results.finalize(0.0)
    now = 0.0
    for n in range(20):
        now += 0.1
        results.result(result("word", str(n)), now)
        if results.tick(now):
            break
    assert now == pytest.approx(LIMIT_S, abs=0.11)


def test_being_asked_is_answered_though_nothing_was_said():
    results = Results()
    results.finalize(0.0)
    now = 0.0
    told: list[Any] = []
    while not told:
        assert results.deadline is not None
        now = results.deadline
        told = results.tick(now)
    assert told == [STTFinal("", asked=True)]
    assert now == pytest.approx(LIMIT_S)


def test_a_turn_whose_words_were_final_before_is_not_waited_for():
    results = Results()
    results.result(result("go", "on", final=True), 0.0)
    results.finalize(1.0)
    assert results.tick(1.0 + SETTLE_S) == [STTFinal("", asked=True)]


def test_what_was_said_after_the_end_of_the_turn_belongs_to_the_next():
    results = Results()
    results.result(result("one", "two"), 0.0)
    results.position_s = 1.0
    results.finalize(1.0)
    told = results.result(result("one", "two", "three", "four"), 1.1)
    assert told == [STTPartial("one two three four")]
    told = results.tick(1.1 + SETTLE_S)
    assert told == [STTFinal("one two", asked=True), STTPartial("three four")]
    assert results.result(result("one", "two", "three", "four", final=True), 2.0) == [
        STTFinal("three four", language="en-US")
    ]


def test_a_result_of_nothing_is_nothing():
    empty = SimpleNamespace(alternatives=[], is_partial=False)
    assert Results().result(empty, 0.0) == []
