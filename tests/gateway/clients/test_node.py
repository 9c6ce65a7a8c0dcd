"""OpenAI's clients for JavaScript, under Node, against the gateway. `make node` installs them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.gateway.clients.providers import FORWARD, SAID, STORY
from tests.gateway.clients.servers import serving
from tools.node_clients import FOLDER, SCRIPTS, installed
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.audio.wav import load_speech

pytestmark = [
    pytest.mark.real_clock,
    pytest.mark.skipif(
        shutil.which("node") is None or not installed(),
        reason="the clients for JavaScript are not installed: run 'make node' (it needs Node, npm and its registry)",
    ),
]
PCM24 = AudioFormat()
NAMES = ["mock", "openai"]


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """A command by a person, and an interruption, as files of pcm16 at 24 kHz."""
    files = {"command": load_speech(FORWARD, PCM24), "interruption": speak("stop it", PCM24)}
    for name, audio in files.items():
        (tmp_path / name).write_bytes(audio)
    return [str(tmp_path / name) for name in files]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def run(script: str, *arguments: str, **environment: str) -> Any:
    """What a script tells in the end. It is run where the packages are, so that it finds them."""
    shutil.copy(SCRIPTS / script, FOLDER)
    shutil.copy(SCRIPTS / "speech.mjs", FOLDER)
    node = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        async with asyncio.timeout(45):
            out, err = await node.communicate()
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()
    assert node.returncode == 0, err.decode()
    return json.loads(out)


def words(audio: str) -> str:
    return understand(base64.b64decode(audio), PCM24).lower()


@pytest.mark.parametrize("name", NAMES)
async def test_openai_holds_a_whole_conversation(
    name: str, recordings: list[str], authority: trustme.CA, tmp_path: Path
):
    # It takes TLS only, whatever its base URL says.
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    async with serving(name, recording=FORWARD, tls=tls) as server:
        told = await run(
            "openai_client.mjs",
            server.http,
            name,
            *recordings,
            NODE_EXTRA_CA_CERTS=str(trusted),
        )

    assert told["call"]["name"] == "move"
    assert told["call"]["arguments"]["distance"] == 10
    assert words(told["moved"]["audio"]) == told["moved"]["said"].lower()
    assert "ten meters" in words(told["moved"]["audio"])
    assert told["written"] == "You said: good morning"
    assert told["cut"]["status"] == "cancelled"
    assert told["cut"]["details"]["reason"] == "turn_detected"
    assert told["truncated"] == 1400
    assert STORY.startswith(told["heard"])
    assert 2 <= len(told["heard"].split()) <= 6
    assert told["transcripts"][0] == SAID[FORWARD]


@pytest.mark.parametrize("name", NAMES)
async def test_the_agents_hold_a_whole_conversation(name: str, recordings: list[str]):
    async with serving(name, recording=FORWARD) as server:
        url = f"{server.websocket}?model={name}"
        told = await run("agents_client.mjs", url, name, *recordings)
        (record,) = server.records

    assert told["moves"] == [["forward", 10]]
    assert "ten meters" in words(told["answer"])
    roles = [role for role, _ in told["history"]]
    assert roles == ["user", "tool", "assistant", "user", "assistant", "user", "assistant"]
    assert told["history"][0][1] == SAID[FORWARD]
    assert told["history"][5][1] == "stop it"
    asked = [event["type"] for event in record.asked]
    assert asked.count("conversation.item.truncate") == 1
