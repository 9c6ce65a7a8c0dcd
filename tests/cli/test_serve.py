"""`voxengine serve`: what it says of itself, and how it begins and ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from typer.testing import Result

from tests.gateway.gateways import until
from voxengine.cli.exits import ExitCode, InputProblem, redacted
from voxengine.cli.serve import serve
from voxengine.gateway.config import GatewayConfig
from voxengine.observe.logs import JsonLine

Run = Callable[..., Result]

ROUTES: dict[str, Any] = {
    "providers": {"second": {"provider": "openai", "api_key_env": "SECOND_KEY"}},
    "routes": {
        "play": {"providers": ["mock"]},
        "desk": {"providers": ["second/gpt-realtime", "mock"]},
        "dark": {"providers": ["xai"]},
    },
}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECOND_KEY", "XAI_API_KEY", "OPENAI_API_KEY", "VOXENGINE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


class Running:
    """A gateway that is being served, and what it has said so far."""

    def __init__(self, task: asyncio.Task[ExitCode], capsys: pytest.CaptureFixture[str]) -> None:
        self.task = task
        self.out = ""
        self._capsys = capsys

    def read(self) -> str:
        self.out += self._capsys.readouterr().out
        return self.out

    async def line(self, kind: str) -> dict[str, Any]:
        """Wait for the line of this type."""
        while not self.task.done():
            for text in self.read().splitlines():
                line: dict[str, Any] = json.loads(text)
                if line["type"] == kind:
                    return line
            await asyncio.sleep(0.01)
        raise AssertionError(f"it ended without {kind!r}: {self.out}")

    async def stop(self, number: int = signal.SIGTERM) -> ExitCode:
        os.kill(os.getpid(), number)
        return await asyncio.wait_for(asyncio.shield(self.task), 20)


@asynccontextmanager
async def running(
    capsys: pytest.CaptureFixture[str], content: dict[str, Any], folder: Path, as_json: bool = True
) -> AsyncIterator[Running]:
    own = {"port": 0, "store": "memory"}
    config = GatewayConfig.from_dict({"gateway": own, **content}, folder=folder)
    task = asyncio.create_task(serve(config, as_json=as_json))
    try:
        yield Running(task, capsys)
        assert task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.real_clock
async def test_it_says_what_can_be_called(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    async with running(capsys, ROUTES, tmp_path) as server:
        line = await server.line("listening")
        assert line["keys"] is False
        assert line["routes"] == [
            {"name": "play", "default": True, "providers": {"mock": ""}},
            {
                "name": "desk",
                "default": False,
                "providers": {"second/gpt-realtime": "set SECOND_KEY", "mock": ""},
            },
            {"name": "dark", "default": False, "providers": {"xai": "set XAI_API_KEY"}},
        ]
        assert await server.line("ready") == {"type": "ready", "failed": {}}
        address = line["address"].replace("http://", "ws://")
        async with websockets.connect(f"{address}/v1/realtime") as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"

        assert await server.stop() is ExitCode.OK
        assert '"ended"' in server.read()


@pytest.mark.real_clock
async def test_it_says_so_in_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECOND_KEY", "sk-secret-of-the-second")
    monkeypatch.setenv("COLUMNS", "120")
    async with running(capsys, ROUTES, tmp_path, as_json=False) as server:
        await until(lambda: "no keys: loopback only" in server.read())
        assert "VoxEngine at http://localhost:" in server.out
        assert "play (default)" in server.out
        assert "xai (set XAI_API_KEY)" in server.out
        assert "cannot be used" in server.out
        assert "second/gpt-realtime" in server.out
        assert "set SECOND_KEY" not in server.out
        assert "sk-secret" not in server.out

        assert await server.stop(signal.SIGINT) is ExitCode.INTERRUPTED


@pytest.mark.real_clock
async def test_a_provider_that_cannot_be_loaded_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    content = {
        "providers": {"broken": {"provider": "mock", "metadata": {"faults": "refuse"}}},
        "routes": {"play": {"providers": ["broken", "mock"]}},
    }
    async with running(capsys, content, tmp_path) as server:
        line = await server.line("ready")
        assert line["failed"] == {"broken": "the connection was refused: refused"}
        await server.stop()


@pytest.mark.real_clock
async def test_a_port_that_is_taken(tmp_path: Path):
    other = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    config = GatewayConfig.from_dict(
        {"gateway": {"store": "memory", "port": port}}, folder=tmp_path
    )
    try:
        with pytest.raises(InputProblem, match=f"cannot listen on 127.0.0.1:{port}"):
            await serve(config)
    finally:
        other.close()
        await other.wait_closed()


def test_without_a_key_it_refuses_the_world(run: Run, tmp_path: Path):
    file = tmp_path / "voxengine.toml"
    file.write_text('[gateway]\nstore = "memory"\n')

    result = run("serve", "--config", str(file), "--host", "0.0.0.0")

    assert result.exit_code == ExitCode.USAGE
    assert "voxengine keys create" in result.stderr


def test_a_file_that_is_wrong(run: Run, tmp_path: Path):
    file = tmp_path / "voxengine.toml"
    file.write_text("[gateway]\nprot = 1\n")

    result = run("serve", "-c", str(file))

    assert result.exit_code == ExitCode.USAGE
    assert "did you mean 'port'" in result.stderr


def test_the_whole_process(tmp_path: Path):
    command = [sys.executable, "-c", "from voxengine.cli import main; main()"]
    options = ["serve", "--provider", "mock", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert listening["routes"] == [
            {"name": "default", "default": True, "providers": {"mock": ""}}
        ]
        assert listening["store"] == str(tmp_path / "voxengine-data" / "calls.db")
        assert json.loads(process.stdout.readline())["type"] == "ready"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == ExitCode.OK, err
    assert json.loads(out)["type"] == "ended"
    assert err == ""


def test_a_log_of_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DESK_API_KEY", "sk-desk-secret")
    try:
        raise ValueError("with sk-desk-secret")
    except ValueError:
        record = logging.LogRecord(
            "voxengine.gateway", logging.ERROR, "", 1, "key %s", ("sk-desk-secret",), sys.exc_info()
        )

    line = json.loads(JsonLine(redacted).format(record))

    assert (line["level"], line["logger"]) == ("error", "voxengine.gateway")
    assert line["message"] == "key ***"
    assert "ValueError: with ***" in line["exception"]
    assert line["time"].endswith("+00:00")
