"""`voxengine demo`: its checks, its pictures, and one whole run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from voxengine.audio import AudioFormat, read_wav
from voxengine.cli.conversation.figures import Turn
from voxengine.cli.conversation.waterfall import print_waterfall, segments
from voxengine.cli.demo.checks import checks, normalised
from voxengine.cli.demo.scenario import BargeIn
from voxengine.conversation import Conversation, Item
from voxengine.events import MetricsUpdated

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("said", "normal"),
    [
        ("Go forward 10 meters.", "go forward ten meters"),
        ("GO FORWARD, TEN METRES!", "go forward ten meters"),
        ("Go forwards 10m", "go forward ten meters"),
        ("I’ll take 2.5", "i'll take two point five"),
        ("", ""),
    ],
)
def test_normalised(said: str, normal: str) -> None:
    assert normalised(said) == normal


def log_of_a_good_run() -> Conversation:
    log = Conversation("c")
    log.add(Item(id="u1", role="user", text="Go forward 10 meters.", status="completed"))
    log.add(Item(id="u2", role="user", text="Tell me a story.", status="completed"))
    cut = Item(
        id="a2",
        role="assistant",
        text="Once there was",
        unheard_text=" a king.",
        status="incomplete",
    )
    cut.turn_id, cut.audio_ms, cut.heard_ms = "u2", 9000, 2500
    log.add(cut)
    log.add(Item(id="u3", role="user", text="Stop.", status="completed"))
    answer = Item(id="a3", role="assistant", text="All right.", status="completed", turn_id="u3")
    answer.audio_ms = answer.heard_ms = 800
    log.add(answer)
    return log


MOVED = {"direction": "forward", "distance": 10.0, "unit": "meters"}
CUT = BargeIn("a2", detected_at=1.0, silent_at=1.012, played_ms=2510)


def failed(log: Conversation, moves: list[dict[str, Any]], cut: BargeIn | None) -> list[int]:
    return [i for i, check in enumerate(checks(log, moves, cut)) if not check.passed]


def test_a_good_run_passes() -> None:
    assert failed(log_of_a_good_run(), [MOVED], CUT) == []


def test_what_goes_wrong_is_found() -> None:
    log = log_of_a_good_run()
    log[0].text = "Go forward two meters."
    assert failed(log, [MOVED], CUT) == [0]
    assert failed(log_of_a_good_run(), [], CUT) == [1]
    assert failed(log_of_a_good_run(), [{**MOVED, "distance": 2.0}], CUT) == [1]
    assert failed(log_of_a_good_run(), [MOVED], None) == [2, 3, 4]
    far = BargeIn("a2", played_ms=2700)
    assert failed(log_of_a_good_run(), [MOVED], far) == [2]


def test_an_item_that_is_whole_was_not_cut() -> None:
    log = log_of_a_good_run()
    log[2].unheard_text = ""
    assert failed(log, [MOVED], CUT) == [2]


def test_an_interruption_that_is_not_answered() -> None:
    log = log_of_a_good_run()
    log.remove("a3")
    assert failed(log, [MOVED], CUT) == [4]
    log[3].text = ""
    assert failed(log, [MOVED], CUT) == [3, 4]


def test_barge_in_is_never_negative() -> None:
    assert CUT.silent_ms == pytest.approx(12)
    assert BargeIn("x", detected_at=2.0, silent_at=1.0).silent_ms == 0


# --- the waterfall ---


def turn(text: str = "Hello.", spoken: bool = True, **stages: float | None) -> Turn:
    return Turn(MetricsUpdated(**{f"{name}_ms": ms for name, ms in stages.items()}), text, spoken)  # type: ignore[arg-type]


def test_stages_lie_end_to_end() -> None:
    found = segments(
        turn(turn_decided=300, transcript=250, first_token=None, first_audio=400, first_audible=420)
    )
    assert found == [
        ("turn_decided_ms", 0, 300),
        ("transcript_ms", 300, 300),
        ("first_audio_ms", 300, 400),
        ("first_audible_ms", 400, 420),
    ]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    turns = [turn(turn_decided=300, first_audible=600), turn("Typed", False, first_audible=300)]
    print_waterfall(Console(width=80), turns)
    shown = capsys.readouterr().out
    assert "Typed (typed)" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    long, short = (line for line in shown.splitlines() if "█" in line)
    assert long.count("█") == pytest.approx(2 * short.count("█"), abs=1)
    print_waterfall(Console(width=80), [])
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from voxengine.cli.demo.picture import draw_waterfall

    path = tmp_path / "waterfall.png"
    for turns in ([], [turn(turn_decided=300, first_audible=600), turn("", first_audible=0.0)]):
        draw_waterfall(turns, path, "a subtitle with $ and _")
        assert path.read_bytes().startswith(PNG)


# --- the whole ---


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demo(tmp_path: Path) -> None:
    code = "from voxengine.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "cut here" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    _check_figures(report, done.stdout)
    log = json.loads((tmp_path / "transcript.json").read_text())
    assert "go forward ten meters" in normalised(" ".join(i["text"] for i in log["items"]))
    assert (tmp_path / "waterfall.png").read_bytes().startswith(PNG)
    _check_recording(tmp_path / "conversation.wav", report)


def _check_figures(report: dict[str, Any], shown: str) -> None:
    """What was printed is what was measured."""
    assert len(report["turns"]) == 3
    for measured in report["turns"]:
        assert measured["end_of_speech_ms"] == 0
        assert (
            0
            < measured["turn_decided_ms"]
            <= measured["first_audio_ms"]
            <= measured["first_audible_ms"]
        )
        assert f"{measured['first_audible_ms']:.0f}" in shown
    silent = report["barge_in"]["silent_after_detection_ms"]
    printed = re.search(r"engine silent (\d+) ms after detection", shown)
    assert printed is not None
    assert abs(int(printed[1]) - silent) <= 0.6, "the same figure, rounded"
    assert all(report["checks"].values())


def _check_recording(path: Path, report: dict[str, Any]) -> None:
    """Both sides are in it, and the engine is silent while the caller's interruption goes on."""
    audio, format = read_wav(path)
    assert format == AudioFormat(sample_rate=format.sample_rate, channels=2)
    sides = np.frombuffer(audio, "<i2").reshape(-1, 2)
    end = round(report["turns"][2]["at_ms"] * format.sample_rate / 1000)
    before = sides[end - format.sample_rate : end].astype(int)
    assert np.abs(before[:, 0]).max() > 1000
    assert np.abs(before[:, 1]).max() == 0
    assert np.abs(sides[end:, 1].astype(int)).max() > 1000
