"""`voxengine emulate`: a vendor that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from typer.testing import Result

from voxengine.cli.emulate import emulate, read_responses
from voxengine.cli.exits import ExitCode, InputProblem
from voxengine.errors import ConfigurationError
from voxengine.testing.emulators.catalogue import emulators
from voxengine.testing.oracles import openai_realtime

Run = Callable[..., Result]
SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "speech": "signal",
    "responses": None,
    "key": "sk-emulated",
    "faults": [],
    "as_json": True,
}


class Running:
    """A running emulator: its lines so far, and its end."""

    def __init__(self, task: asyncio.Task[ExitCode], capsys: pytest.CaptureFixture[str]) -> None:
        self.task = task
        self.out = ""
        self._capsys = capsys

    async def lines(self, kind: str) -> list[dict[str, Any]]:
        """Wait for a line of this type; returns all of that type."""
        while True:
            self.out += self._capsys.readouterr().out
            read = [json.loads(line) for line in self.out.splitlines()]
            found = [line for line in read if line["type"] == kind]
            if found:
                return found
            assert not self.task.done(), self.task.exception()
            await asyncio.sleep(0.01)

    async def stop(self, number: int = signal.SIGTERM) -> ExitCode:
        os.kill(os.getpid(), number)
        code = await self.task
        self.out += self._capsys.readouterr().out
        return code


@asynccontextmanager
async def running(
    capsys: pytest.CaptureFixture[str], name: str = "openai", **settings: Any
) -> AsyncIterator[Running]:
    task = asyncio.create_task(emulate(name, **{**SETTINGS, **settings}))
    yield Running(task, capsys)
    assert task.done()


@asynccontextmanager
async def client(endpoint: str, key: str = "sk-emulated") -> AsyncIterator[Any]:
    shown = {"Authorization": f"Bearer {key}"}
    url = f"{endpoint}/realtime?model=gpt-realtime"
    async with websockets.connect(url, additional_headers=shown) as connection:
        yield connection


async def talk(connection: Any, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await connection.send(json.dumps({"type": "response.create"}))
    while json.loads(await connection.recv())["type"] != "response.done":
        pass


async def test_it_tells_where_it_is_and_what_happens(capsys):
    async with running(capsys, responses={"hi": "hello you"}) as process:
        (listening,) = await process.lines("listening")
        assert listening["emulator"] == "openai"
        assert listening["judged_by"] == "vendor types"
        endpoint = listening["endpoint"]
        assert listening["command"] == (
            f"OPENAI_API_KEY=sk-emulated voxengine talk --provider openai --set endpoint={endpoint}"
        )
        async with client(endpoint) as connection:
            await talk(connection, "hi")
            await connection.send(json.dumps({"type": "make.coffee"}))
            (opened,) = await process.lines("session_opened")
            assert opened["model"] == "gpt-realtime"
            (turn,) = await process.lines("turn")
            assert turn["session"] == opened["session"]
            assert (turn["user"], turn["assistant"]) == ("hi", "hello you")
            assert turn["status"] == "completed"
            (error,) = await process.lines("error_sent")
            assert "make.coffee" in error["message"]
        (closed,) = await process.lines("session_closed")
        assert closed["responses"] == 1
        assert closed["tokens"] > 0
        assert await process.stop() == ExitCode.OK
        (stopped,) = await process.lines("stopped")
        assert stopped["sessions"] == 1
        assert stopped["server_events_sent"] == stopped["server_events_valid"] > 0


async def test_in_words(capsys):
    async with running(capsys, "azure", as_json=False) as process:
        while "voxengine talk" not in process.out:
            await asyncio.sleep(0.01)
            process.out += capsys.readouterr().out
        assert "azure at ws://127.0.0.1:" in process.out
        assert "AZURE_API_KEY=sk-emulated voxengine talk --provider azure" in process.out
        words = shlex.split(process.out.splitlines()[2])
        endpoint = words[-1].removeprefix("endpoint=")
        async with client(endpoint) as connection:
            await talk(connection, "hi")
        assert await process.stop(signal.SIGINT) == ExitCode.INTERRUPTED
        assert re.search(r"turn  session: sess_\w+  status: completed  user: hi", process.out)
        assert "stopped  sessions: 1" in process.out


async def test_a_key_of_ones_own_is_not_shown(capsys):
    async with running(capsys, key="sk-my-own-secret", as_json=False) as process:
        while "voxengine talk" not in process.out:
            await asyncio.sleep(0.01)
            process.out += capsys.readouterr().out
        endpoint = process.out.split("endpoint=")[1].split()[0]
        async with client(endpoint, "sk-my-own-secret") as connection:
            await connection.recv()
        with pytest.raises(websockets.InvalidStatus):
            async with client(endpoint):
                pass
        assert await process.stop() == ExitCode.OK
        assert "secret" not in process.out


async def test_faults_and_dialects(capsys):
    faults = ["flap", "drop:connect=2,close_code=1012"]
    async with running(capsys, "custom", faults=faults) as process:
        (listening,) = await process.lines("listening")
        assert "--set auth_type=bearer" in listening["command"]
        base = listening["endpoint"].removesuffix("/realtime")
        async with client(base) as connection:
            with pytest.raises(websockets.ConnectionClosedError):
                await connection.recv()
        (closed,) = await process.lines("session_closed")
        assert closed["responses"] == 0
        async with client(base) as connection:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await connection.recv()
            assert connection.close_code == 1012
        assert await process.stop() == ExitCode.OK


@pytest.mark.parametrize("name", emulators())
async def test_each_of_them_starts_and_stops(capsys, name):
    if not emulators()[name].ready:
        pytest.skip(f"{emulators()[name].needs} is not installed")
    async with running(capsys, name) as process:
        (listening,) = await process.lines("listening")
        assert "://127.0.0.1:" in listening["endpoint"]
        assert await process.stop() == ExitCode.OK


async def test_without_the_vendors_types_it_says_that_nothing_is_judged(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai.types.realtime", None)
    openai_realtime._vocabularies.cache_clear()
    async with running(capsys, as_json=False) as process:
        while "voxengine talk" not in process.out:
            await asyncio.sleep(0.01)
            process.out += capsys.readouterr().out
        assert (
            "messages are not judged: the types of the openai package are not installed"
            in process.out
        )
        assert await process.stop() == ExitCode.OK
    openai_realtime._vocabularies.cache_clear()


async def test_an_untrue_emulator_fails(capsys, monkeypatch):
    from voxengine.testing.emulators.openai.settings import Settings

    honest = Settings.wire
    monkeypatch.setattr(Settings, "wire", lambda self: {**honest(self), "mood": "sunny"})
    async with running(capsys) as process:
        (listening,) = await process.lines("listening")
        async with client(listening["endpoint"]) as connection:
            await connection.recv()
        assert await process.stop() == ExitCode.FAILED
        assert "session.mood: unknown field" in (await process.lines("violation"))[0]["message"]


async def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputProblem, match=f"cannot listen on 127.0.0.1:{port}"):
            await emulate("openai", **{**SETTINGS, "port": port})


async def test_what_there_is_not():
    for wrong in ({"faults": ["gremlin"]}, {"speech": "mime"}, {"responses": {"a": {"b": 1}}}):
        with pytest.raises(ConfigurationError):
            await emulate("openai", **{**SETTINGS, **wrong})


def test_replies_from_a_file(tmp_path: Path):
    assert read_responses(None) is None
    toml = tmp_path / "replies.toml"
    toml.write_text('"how are you?" = "fine"\n[weather]\ntext = "sunny"\n')
    assert read_responses(toml) == {"how are you?": "fine", "weather": {"text": "sunny"}}
    listed = tmp_path / "replies.json"
    listed.write_text('["one", "two"]')
    assert read_responses(listed) == ["one", "two"]
    listed.write_text("7")
    bad = tmp_path / "bad.toml"
    bad.write_text("= no")
    for path, words in (
        (listed, "table of replies"),
        (bad, "not what its name says"),
        (tmp_path / "x", "cannot be read"),
    ):
        with pytest.raises(InputProblem, match=words):
            read_responses(path)


def test_the_list(run: Run):
    result = run("emulate", "--list")
    assert result.exit_code == 0
    for name in ("openai", "azure", "xai", "custom", "openai-live"):
        assert name in result.output
    assert "xai" in json.loads(run("emulate", "--list", "--json").output)


def test_a_name_is_needed_and_known(run: Run):
    result = run("emulate")
    assert (result.exit_code, "--list" in result.output) == (ExitCode.USAGE, True)
    result = run("emulate", "klingon")
    assert result.exit_code == ExitCode.USAGE
    assert "no emulator 'klingon'" in result.output
    assert "--fault" in run("emulate", "--help").output


def test_the_process_ends_with_control_c():
    command = [
        sys.executable,
        "-c",
        "from voxengine.cli import main; main()",
        "emulate",
        "xai",
        "--json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "listening"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert json.loads(out.splitlines()[-1])["type"] == "stopped"
    assert "Traceback" not in err
