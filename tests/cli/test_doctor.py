"""`voxengine doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from voxengine.cli.doctor import run as doctor
from voxengine.cli.doctor import selftest
from voxengine.cli.doctor.checkup import Finding

Run = Callable[..., Result]
SECRET = "sk-secret-0123456789"


@pytest.fixture
def without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what needs no model: the mock's self-test."""

    def mock_only(provider: str) -> Any:
        yield selftest._run("mock conversation", selftest._mock(), needed=provider == "mock")

    monkeypatch.setattr(doctor, "self_tests", mock_only)


def findings(result: Result) -> dict[str, dict[str, Any]]:
    return {f"{f['section']}: {f['name']}": f for f in json.loads(result.stdout)["findings"]}


@pytest.mark.usefixtures("without_models")
def test_the_mock_can_work(run: Run) -> None:
    result = run("doctor", "--provider", "mock")
    assert result.exit_code == 0, result.output
    for words in (
        "Python",
        "msgspec",
        "extras",
        "event loop",
        "silero-vad",
        "You said: hello",
        "can work here",
    ):
        assert words in result.stdout


@pytest.mark.usefixtures("without_models")
def test_json(run: Run) -> None:
    result = run("doctor", "--provider", "mock", "--json")
    assert json.loads(result.stdout)["ok"] is True
    found = findings(result)
    assert found["self-test: mock conversation"]["timings"]["first_audio_ms"] > 0
    assert found["models: silero-vad"]["path"]
    assert len(found["models: silero-vad"]["sha256"]) == 64
    assert found["provider: configuration"]["state"] == "ok"


@pytest.mark.usefixtures("without_models")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_keys_are_named_and_never_shown(run: Run, form: list[str], tmp_path: Path) -> None:
    file = tmp_path / "voxengine.toml"
    file.write_text(f'provider = "mock"\napi_key = "{SECRET}-file"\ninstructions = "{SECRET}"\n')
    result = run(
        "doctor",
        "--config",
        str(file),
        *form,
        env={"OPENAI_API_KEY": SECRET, "MOCK_API_KEY": f"{SECRET}-mock"},
    )
    assert result.exit_code == 0, result.output
    assert "OPENAI_API_KEY" in result.stdout
    assert "MOCK_API_KEY" in result.stdout
    assert "sk-secret" not in result.output
    assert str(len(SECRET)) not in [w.strip(",.") for w in result.stdout.split()]


@pytest.mark.usefixtures("without_models")
def test_a_key_of_the_file_is_said_to_be_set(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "voxengine.toml"
    file.write_text(f'provider = "mock"\napi_key = "{SECRET}"\n')
    found = findings(run("doctor", "--config", str(file), "--json"))
    assert found["keys: key of the configuration"]["detail"] == "set"


@pytest.mark.usefixtures("without_models")
def test_a_wrong_configuration_fails(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "voxengine.toml"
    file.write_text('provider = "mock"\nmodee = "big"\n')
    result = run("doctor", "--config", str(file))
    assert result.exit_code == 1
    assert "did you mean 'mode'" in result.stdout.replace("\n", " ")


@pytest.mark.usefixtures("without_models")
def test_an_unknown_provider_fails(run: Run) -> None:
    result = run("doctor", "--provider", "nope")
    assert result.exit_code == 1
    assert "cannot work here" in result.stdout


@pytest.mark.usefixtures("without_models")
def test_a_missing_model_matters_to_who_needs_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hibari").mkdir()
    monkeypatch.setenv("VOXENGINE_MODEL_DIR", str(tmp_path))
    needed = run("doctor", "--provider", "local", "--json")
    assert needed.exit_code == 1
    assert findings(needed)["models: hibari"]["model_state"] == "missing"
    (tmp_path / "hibari" / "hibari.onnx").write_bytes(b"not a model")
    corrupted = run("doctor", "--provider", "local", "--json")
    assert findings(corrupted)["models: hibari"]["model_state"] == "corrupted"
    assert run("doctor", "--provider", "mock", "--json").exit_code == 0


@pytest.mark.usefixtures("without_models")
def test_devices(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from tests.audio.fake_portaudio import FakeSoundDevice

    def audio() -> list[dict[str, Any]]:
        result = run("doctor", "--provider", "mock", "--json")
        assert result.exit_code == 0
        return [f for f in findings(result).values() if f["section"] == "audio"]

    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert audio()[0]["remedy"] == "pip install 'voxengine[devices]'"
    fake = FakeSoundDevice(devices=[])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    assert "none" in audio()[0]["detail"]
    headset = {
        "name": "headset",
        "max_input_channels": 1,
        "max_output_channels": 2,
        "default_samplerate": 48000.0,
    }
    monkeypatch.setattr(fake, "query_devices", lambda: [headset])
    assert audio()[0]["detail"] == "1 input, 2 output, 48000 Hz"


def test_a_self_test_that_fails_is_a_finding() -> None:
    async def broken() -> tuple[str, dict[str, float]]:
        raise RuntimeError("no luck")

    finding = selftest._run("x", broken(), needed=True)
    assert finding.fails
    assert finding.detail == "RuntimeError: no luck"
    assert not Finding("a", "b", "broken").fails
    assert not Finding("a", "b", "note", needed=True).fails


@pytest.mark.models
def test_the_local_voice_hears_itself(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.output
    found = findings(result)["self-test: local speech round trip"]
    assert found["state"] == "ok"
    assert {"load_ms", "text_to_speech_ms", "speech_to_text_ms", "total_ms"} <= set(
        found["timings"]
    )
