"""`voxengine talk --provider openai` and `voxengine emulate openai`, each a process, with real speech on both sides."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from voxengine.data import speech_path

pytest.importorskip("faster_whisper")
pytest.importorskip("hibari")

VOXENGINE = (sys.executable, "-c", "from voxengine.cli import main; main()")
LONG = (
    "I am on my way, ten meters forward. It will take a little while, because the floor is wet and I do not like "
    "to hurry. I shall tell you as soon as I am there."
)
ANSWERS: dict[str, Any] = {
    "re:ten meters|10 meters": {
        "tool": {"name": "move", "arguments": {"direction": "forward", "distance": 10}},
        "then": LONG,
    },
    "re:young man": "That is good to hear.",
}


@contextmanager
def emulator(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A running emulator; gives the line with which it begins, and fails if it was sent or has sent what is wrong."""
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    command = [*VOXENGINE, "emulate", "openai", "--speech", "local", "--json"]
    with subprocess.Popen(
        [*command, "--responses", str(answers)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    stopped = lines[-1]
    assert process.returncode == 0, out
    assert stopped["server_events_sent"] == stopped["server_events_valid"] > 0
    assert stopped["client_events"] > 0
    assert stopped["violations"] == 0


def talk(endpoint: str, *arguments: str) -> str:
    """Hold a conversation; returns what is shown."""
    done = subprocess.run(
        [*VOXENGINE, "talk", "--provider", "openai", "--set", f"endpoint={endpoint}", *arguments],
        env={**os.environ, "OPENAI_API_KEY": "sk-emulated", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sk-emulated" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(90)
def test_people_are_understood_answered_and_may_interrupt(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = [
        str(speech_path("go_forward_ten_meters")),
        str(speech_path("sense_and_sensibility_0880")),
    ]
    with emulator(tmp_path) as listening:
        shown = talk(
            listening["endpoint"],
            *("--file", files[0], "--file", files[1], "--barge-in", "2.0", "--out", str(out)),
        )
    items = json.loads((out / "transcript.json").read_text())["items"]
    first, call, result, cut, second, last = items
    assert re.search("(ten|10) meters", first["text"].lower())
    assert (call["name"], json.loads(call["arguments"])["distance"]) == ("move", 10)
    assert json.loads(result["output"])["seconds"] == 20
    # Cut to what was heard of it: more than nothing, and not all.
    assert cut["status"] == "incomplete"
    assert LONG.startswith(cut["text"])
    assert 1 <= len(cut["text"].split()) <= 20
    assert 2000 <= cut["heard_ms"] <= 5500
    assert "young man" in second["text"].lower()
    assert last["text"] == "That is good to hear."
    assert last["heard_ms"] == last["audio_ms"] > 500

    report = json.loads((out / "report.json").read_text())
    assert report["errors"] == []
    (interrupted,) = report["interruptions"]
    assert (interrupted["reason"], interrupted["heard_text"]) == ("speech", cut["text"])
    usage = report["usage"]
    assert usage["output_audio_tokens"] > 0
    assert usage["cost"] > 0
    for words in ("ten meters", "move", "young man", "That is good to hear.", "cost", "$"):
        assert words in shown, shown
