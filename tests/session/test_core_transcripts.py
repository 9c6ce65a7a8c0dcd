"""Transcripts that a connection still owes when it ends: whoever waits for one is told that it will not come."""

from __future__ import annotations

import msgspec
import pytest

from tests.session.test_core_outage import TELLABLE, back, driver
from voxengine import events as ev
from voxengine.session import effects as fx


def test_words_that_were_lost_with_the_connection_are_told_of_once() -> None:
    d = driver()
    d.user_says(None)
    d.answer("hello to you")
    d.give(ev.ConnectionLost(), 2)
    assert not d.of(ev.TranscriptFailed), "they may yet be heard again"
    back(d)
    failed = d.one(ev.TranscriptFailed)
    assert failed.item_id == "u1"
    assert failed.error == "the connection was lost before the transcript came"
    assert d.item("u1").status == "completed"
    d.give(ev.ConnectionLost(), 2)
    back(d)
    d.one(ev.TranscriptFailed)


def test_words_that_the_next_connection_hears_are_not_lost() -> None:
    d = driver()
    d.user_says(None)
    d.give(ev.ConnectionLost())
    back(d)
    assert not d.of(ev.TranscriptFailed)
    d.user_says("hello", "v1")
    d.answer("hello to you", n=2)
    d.give(ev.ConnectionLost(), 2)
    back(d)
    assert not d.of(ev.TranscriptFailed)
    assert d.log == [("user", "hello"), ("assistant", "hello to you")]


@pytest.mark.parametrize("how", ["given up", "switched", "rotated"])
def test_words_are_lost_with_any_end_of_a_connection(how: str) -> None:
    d = driver()
    d.user_says(None)
    d.answer("hello to you")
    d.wait(2)
    if how == "given up":
        d.give(ev.ConnectionLost())
        d.give(fx.GaveUp("gone", "it is gone"))
    elif how == "switched":
        d.give(fx.Attached("other", TELLABLE))
    else:
        d.give(fx.Reattached("vendor", TELLABLE, "rotation", opened_at=d.now))
    failed = d.one(ev.TranscriptFailed)
    assert failed.item_id == "u1"
    assert str(failed.error).endswith("before the transcript came")


@pytest.mark.parametrize("how", ["not able", "not asked", "failed before"])
def test_words_that_would_not_have_come_are_not_lost(how: str) -> None:
    able = msgspec.structs.replace(TELLABLE, input_transcription=how != "not able")
    d = driver(able, transcripts=how != "not asked")
    d.user_says(None)
    if how == "failed before":
        d.give(ev.TranscriptFailed(item_id="u1", error="noise"))
    d.answer("hello to you")
    d.give(ev.ConnectionLost(), 2)
    back(d, able)
    assert len(d.of(ev.TranscriptFailed)) == (how == "failed before")
