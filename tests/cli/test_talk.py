"""`voxengine talk` on the mock: by file, by text, by a pipe."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from tests.cli.conftest import QUICK
from voxengine.audio import AudioFormat, read_wav
from voxengine.audio.signal import understand

Run = Callable[..., Result]
WriteWav = Callable[..., Path]


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text(run: Run) -> None:
    result = run("talk", *QUICK, "--text", "hello", "--text", "again")
    assert result.exit_code == 0, result.output
    for words in (
        "hello (typed)",
        "You said: hello",
        "You said: again",
        "audible",
        "Summary",
        "cost",
    ):
        assert words in result.stdout


def test_text_from_a_pipe(run: Run) -> None:
    result = run("talk", *QUICK, input="one\n\n  two  \n")
    assert result.exit_code == 0, result.output
    assert "You said: one" in result.stdout
    assert "You said: two" in result.stdout


def test_an_empty_pipe(run: Run) -> None:
    result = run("talk", *QUICK, input="")
    assert result.exit_code == 2
    assert "nothing to say" in result.stderr


def test_a_pipe_that_is_no_text(run: Run) -> None:
    result = run("talk", *QUICK, input=b"\xff\xfe\x00\n")
    assert result.exit_code == 2
    assert "not text" in result.stderr


@pytest.mark.parametrize("fast", [False, True])
def test_a_recording_is_heard_and_answered(
    run: Run, spoken: Callable[[str], Path], tmp_path: Path, fast: bool
) -> None:
    out = tmp_path / "out"
    options = ["--fast"] if fast else []
    result = run("talk", *QUICK, "--file", str(spoken("go on")), "--out", str(out), *options)
    assert result.exit_code == 0, result.output
    assert "You said: go on" in result.stdout
    transcript = json.loads((out / "transcript.json").read_text())
    said = [(i["role"], i["text"]) for i in transcript["items"]]
    assert said == [("user", "go on"), ("assistant", "You said: go on")]
    report = json.loads((out / "report.json").read_text())
    (turn,) = report["turns"]
    assert turn["spoken"] is True
    assert turn["end_of_speech_ms"] == 0
    assert turn["turn_decided_ms"] <= turn["first_audio_ms"] <= turn["first_audible_ms"]
    assert report["errors"] == []


def test_the_recording_of_the_call_holds_both_sides_in_their_time(
    run: Run, spoken: Callable[[str], Path], tmp_path: Path
) -> None:
    run("talk", *QUICK, "--file", str(spoken("left")), "--out", str(tmp_path))
    audio, format = read_wav(tmp_path / "conversation.wav")
    assert format.channels == 2
    samples = np.frombuffer(audio, "<i2").reshape(-1, 2)
    mono = AudioFormat(sample_rate=format.sample_rate)
    caller, engine = (np.ascontiguousarray(samples[:, side]).tobytes() for side in (0, 1))
    assert understand(caller, mono) == "left"
    assert understand(engine, mono) == "You said: left"
    first = [int(np.argmax(np.abs(samples[:, side].astype(int)) > 300)) for side in (0, 1)]
    assert first[0] < first[1]


def test_two_recordings_are_two_turns(run: Run, spoken: Callable[[str], Path]) -> None:
    files = ["--file", str(spoken("one")), "--file", str(spoken("two"))]
    result = run("talk", *QUICK, *files, "--fast")
    assert result.exit_code == 0, result.output
    assert result.stdout.index("You said: one") < result.stdout.index("You said: two")


def test_json_is_one_event_a_line(run: Run) -> None:
    result = run("talk", *QUICK, "--text", "hi 🙂", "--json")
    assert result.exit_code == 0, result.output
    events = lines(result)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "connection_starting"
    assert kinds[-1] == "summary"
    assert {
        "text_input",
        "text_chunk",
        "audio_chunk",
        "metrics_updated",
        "conversation_ended",
    } <= set(kinds)
    chunk = next(event for event in events if event["type"] == "audio_chunk")
    assert chunk["audio_bytes"] > 0
    assert "audio_data" not in chunk
    assert next(e for e in events if e["type"] == "text_input")["text"] == "hi 🙂"
    assert events[-1]["provider"] == "mock"


def test_tools(run: Run) -> None:
    reply = '{go={tool={name="move", arguments={direction="forward", distance=10}}, then="moved: {output}"}}'
    result = run("talk", *QUICK, "--set", f"mock_responses={reply}", "--text", "go", "--json")
    assert result.exit_code == 0, result.output
    (call,) = lines(result)[-1]["tools"]
    assert call["name"] == "move"
    assert call["status"] == "completed"
    assert call["output"]["meters"] == 10


def test_fast_mode_needs_no_transcripts(run: Run) -> None:
    result = run("talk", *QUICK, "--mode", "fast", "--text", "hi")
    assert result.exit_code == 0, result.output
    assert "You said: hi" in result.stdout


def test_a_lost_connection(run: Run) -> None:
    result = run("talk", *QUICK, "--set", "faults=drop:after_chunks=1", "--text", "hello there you")
    assert result.exit_code == 3
    assert "the connection to 'mock' was lost" in result.stderr


def test_an_answer_that_fails(run: Run) -> None:
    result = run(
        "talk", *QUICK, "--set", 'mock_responses={hi={error="rate_limit"}}', "--text", "hi"
    )
    assert result.exit_code == 1
    assert "no answer" in result.stdout


def test_a_microphone_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    result = run("talk", *QUICK, "--mic")
    assert result.exit_code == 2
    assert "voxengine[devices]" in result.stderr
    assert "--file" in result.stderr


# --- files that cannot be used ---


@pytest.mark.parametrize(
    ("settings", "audio", "words"),
    [
        ({"width": 1}, b"\x80" * 1600, "8-bit"),
        ({"channels": 2}, bytes(6400), "2 channels"),
        ({}, b"", "empty"),
        ({"width": 3}, bytes(4800), "24-bit"),
    ],
)
def test_wrong_recordings(
    run: Run, write_wav: WriteWav, settings: dict[str, int], audio: bytes, words: str
) -> None:
    result = run("talk", *QUICK, "--file", str(write_wav("wrong.wav", audio, **settings)))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert "downmix" not in result.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no bytes"),
        (b"ID3\x04" + bytes(64), "MP3"),
        (b"RIFF\x00\x00\x00\x00WAVE", "no format chunk"),
    ],
)
def test_no_recordings(run: Run, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    result = run("talk", *QUICK, "--file", str(path))
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_truncated_recording(run: Run, write_wav: WriteWav) -> None:
    path = write_wav("cut.wav", bytes(3200))
    path.write_bytes(path.read_bytes()[:-101])  # also in mid-sample
    result = run("talk", *QUICK, "--file", str(path))
    assert result.exit_code == 2
    assert "truncated" in result.stderr


def test_missing_and_folder(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.wav", tmp_path):
        result = run("talk", *QUICK, "--file", str(path))
        assert result.exit_code == 2
        assert "cannot be read" in result.stderr


def test_a_recording_without_speech_has_no_answer(run: Run, write_wav: WriteWav) -> None:
    path = write_wav("silence.wav", bytes(32000))
    with wave.open(str(path)) as file:
        assert file.getnframes() == 16000
    result = run("talk", *QUICK, "--file", str(path), "--fast", "--set", "response_timeout=1")
    assert result.exit_code == 1
    assert "there was no answer" in result.stderr
