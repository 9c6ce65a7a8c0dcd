"""`voxengine emulate twilio`: a caller from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.gateway.twilio.calling import PCM24, TOKEN, mock, office
from voxengine.audio.signal import speak, understand
from voxengine.audio.wav import read_wav, write_wav
from voxengine.cli.app import app
from voxengine.cli.exits import ExitCode, InputProblem
from voxengine.cli.telephone import TOKEN_VARIABLE, telephone


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    write_wav(path, speak("hello there", PCM24), PCM24)
    return path


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_a_call_by_the_webhook(
    hello: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    async with office({**mock(), "twilio": {"auth_token_env": TOKEN_VARIABLE}}) as desk:
        heard = tmp_path / "heard.wav"
        code = await telephone(f"{desk.voice}?route=play", [hello], out=heard, as_json=True)
    assert code is ExitCode.OK
    lines = told(capsys.readouterr().out)
    assert [line["type"] for line in lines] == ["connected", "turn", "ended"]
    assert lines[1]["heard_ms"] == lines[2]["heard_ms"] > 1000
    assert understand(*read_wav(heard)) == "You said: hello there"


async def test_a_call_that_is_rejected(
    hello: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    async with office() as desk:
        code = await telephone(f"{desk.voice}?route=nobody", [hello], out=None, as_json=True)
    assert code is ExitCode.FAILED
    assert "model_not_found" in told(capsys.readouterr().out)[0]["reason"]


async def test_a_call_by_the_stream_that_ends_early(capsys: pytest.CaptureFixture[str]):
    async with office() as desk:
        code = await telephone(desk.stream, [], out=None, as_json=False)
    assert code is ExitCode.FAILED
    assert "heard_ms: 0" in capsys.readouterr().out


async def test_an_address_is_needed():
    with pytest.raises(InputProblem, match="--url"):
        await telephone(None, [], out=None, as_json=False)


def test_it_is_a_part_of_emulate():
    result = CliRunner().invoke(app, ["emulate", "twilio"])
    assert result.exit_code == 2
    assert "--url" in result.output
