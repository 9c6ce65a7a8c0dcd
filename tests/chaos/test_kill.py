"""Vendors that are killed as processes: the calls go on, and the figures that are made of them say so."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from chaos.kill.failover import MOMENTS, Kill, Moment, kill, vendors
from chaos.kill.planned import PLANS, Gap, Plan, change, missing_frames
from chaos.kill.report import failed, figures, table
from chaos.kill.vendor import Vendor
from chaos.kill.words import Understood, understand_all
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat

FORMAT = AudioFormat()
KILL = Kill("speaking", True, 70.0, 50.0, 0.0, 20.0, 5.0, 6.0, {})
GAP = Gap("after_turn", 0, 100, 0, 50.0, {})
UNDERSTOOD = Understood("speech", 20, 1, 1, "", "")


def found(**changed: Any) -> dict[str, Any]:
    """Figures of calls in which all went well, but for these fields of one kind of them."""
    replace = msgspec.structs.replace
    kills = [replace(KILL, moment=m, warm=w) for m in MOMENTS for w in (True, False)]
    gaps = [replace(GAP, when=when) for when in PLANS]
    words = [UNDERSTOOD]
    if "kill" in changed:
        kills[0] = replace(kills[0], **changed["kill"])
    if "gap" in changed:
        gaps[1] = replace(gaps[1], **changed["gap"])
    if "words" in changed:
        words[0] = replace(words[0], **changed["words"])
    return {"seconds": 1.0, **figures(kills, gaps, words)}


# -- calls


@pytest.mark.slow
@pytest.mark.real_clock
@pytest.mark.parametrize(
    ("moment", "warm"), [("speaking", True), ("waiting", False), ("answering", True)]
)
async def test_another_vendor_answers_when_one_is_killed(moment: Moment, warm: bool) -> None:
    victim, successor = vendors(moment)
    async with victim, successor:
        killed = await kill(victim, successor, moment, warm, "w0001 w0002 w0003")
    assert killed.violations == {}
    assert 0 < killed.noticed_ms <= killed.switched_ms <= killed.total_ms
    assert killed.thinking_ms >= 50, "so slow it was made"
    if moment == "speaking":
        # Half of the second word, the third, and the silence after that, of which the last word's own pause is a part.
        assert killed.speaking_ms == pytest.approx(760, abs=200)
    else:
        assert killed.speaking_ms == 0
    assert -20 < killed.own_ms < 1000, "the parts are not more than the whole"


@pytest.mark.slow
@pytest.mark.real_clock
@pytest.mark.parametrize("when", ["now", "after_response"])
async def test_nothing_is_missing_of_an_answer_while_another_takes_over(when: Plan) -> None:
    speaker = {"latency_ms": 50, "pace": 1.25}
    async with Vendor("openai", **speaker) as old, Vendor("azure", **speaker) as new:
        gap = await change(old, new, when)
    assert gap.violations == {}
    assert gap.missing_words == 0
    assert (gap.frames == 120) is (when == "after_response")
    assert (gap.switched_ms > 1000) is (when == "after_response")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.real_clock
async def test_words_of_a_person_that_are_heard_again_are_understood_as_well() -> None:
    (understood,) = await understand_all(["sense_and_sensibility_0880"])
    assert understood.words == 8
    assert understood.errors_killed <= understood.errors


@pytest.mark.real_clock
async def test_a_vendor_that_is_killed_says_nothing_more() -> None:
    async with Vendor("openai") as vendor:
        async with VoiceEngine(**vendor.settings, reconnect_timeout=0) as engine:
            lost = engine.events(ev.ConnectionLost)
            vendor.kill()
            async with asyncio.timeout(10):
                event = await anext(lost)
            lost.close()
        assert event.code != "1000"
        assert [sent.kind for sent in vendor.sent] == ["session.updated"]


# -- figures


@pytest.mark.parametrize(
    ("ms", "frames"),
    [
        ((0, 100, 200), 0),
        ((0, 20, 40), 0),
        ((0, 140, 240), 0),  # what was waited for at first is used up
        ((0, 141, 242), 2),
        ((0, 100, 260, 360), 1),
        ((0, 500), 18),
    ],
)
def test_frames_that_are_not_there_in_time_are_missing(ms: tuple[int, ...], frames: int) -> None:
    chunk = FORMAT.n_bytes(100)
    assert missing_frames([(at / 1000, chunk) for at in ms], FORMAT) == frames


def test_figures_in_which_nothing_is_wrong() -> None:
    good = found()
    assert failed(good) == []
    assert good["warm_ms"]["speaking"]["own"] == {"median": 20.0, "p90": 20.0, "max": 20.0}
    assert table(good).row_count == 2 * 2 * len(MOMENTS) + len(PLANS) + 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kill": {"own_ms": 51.0}}, "warm, speaking"),
        ({"kill": {"violations": {"turns_lost": ["turn 1"]}}}, "turns_lost: 1"),
        ({"gap": {"missing_frames": 1}}, "after_response"),
        ({"gap": {"missing_words": 1}}, "after_response"),
        ({"gap": {"violations": {"answered_twice": ["a", "b"]}}}, "answered_twice: 2"),
        ({"words": {"errors_killed": 2}}, "speech"),
    ],
)
def test_what_is_wrong_is_said(changed: dict[str, Any], words: str) -> None:
    (said,) = failed(found(**changed))
    assert words in said
