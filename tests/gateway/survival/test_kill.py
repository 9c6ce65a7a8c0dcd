"""What a client was told of is there after `kill -9` of the gateway, and its call goes on with it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.auth.conftest import Doors
from tests.gateway.survival.callers import Caller, calling, status, words_of
from tests.gateway.survival.processes import Process, process
from tests.gateway.survival.stored import is_kept, lost, stored
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = pytest.mark.real_clock

KEY = "sk-emulated"
N_CALLS = 20
#: Seconds for which they talk.
TALK_S = 4.0
#: The gateway's log says so where its disk is so slow that a client is told sooner than it could be.
TOO_EARLY = "is told of what is not stored yet"


def configuration(folder: Path, vendor: OpenAIEmulator, keys: bool = False) -> Path:
    file = folder / "voxengine.toml"
    file.write_text(
        "[gateway]\nport = 0\nmax_loop_lag_ms = 60000\n"
        + ('[keys]\nfile = "keys.json"\n' if keys else "")
        + f'[providers.vendor]\nprovider = "openai"\napi_key_env = "VENDOR_KEY"\nendpoint = "{vendor.endpoint}"\n'
        '[routes.play]\nproviders = ["vendor"]\n[routes.other]\nproviders = ["vendor"]\n',
        encoding="utf-8",
    )
    return file


def running(file: Path) -> Any:
    return process(file, {"VENDOR_KEY": KEY})


def vendor(**options: Any) -> OpenAIEmulator:
    weather = {"tool": {"name": "weather", "arguments": {"city": "Oslo"}}}
    return OpenAIEmulator(responses={"*wants weather*": weather}, latency_ms=30, **options)


async def talk(callers: list[Caller], gateway: Process) -> bool:
    """Calls of all kinds; the gateway is killed in the middle of them. Whether it had time to store what it told."""
    doing = [caller.until_the_end(some_work(n, caller)) for n, caller in enumerate(callers)]
    talking = asyncio.gather(*doing)
    await asyncio.sleep(TALK_S - 1)
    before = len(gateway.log)
    await asyncio.sleep(1)
    await gateway.kill()
    await talking
    return TOO_EARLY not in gateway.log[before:]


def some_work(n: int, caller: Caller) -> Any:
    name = f"caller {n:02d}"
    match n % 4:
        case 0:
            return caller.chat(name)
        case 1:
            return caller.chat(name, aloud=True)
        case 2:
            return caller.speak(name)
    return caller.use_tools(name)


@pytest.mark.slow
async def test_calls_survive_the_process(tmp_path: Path) -> None:
    keys = Doors(tmp_path)
    mine, foreign = keys.key(), keys.key()
    async with AsyncExitStack() as stack, vendor() as far:
        file = configuration(tmp_path, far, keys=True)
        async with running(file) as gateway:
            callers = [
                await stack.enter_async_context(calling(gateway.port, key=mine))
                for _ in range(N_CALLS)
            ]
            in_time = await talk(callers, gateway)
        n_sessions = len(far.sessions)

        async with running(file) as gateway:
            for n, caller in enumerate(callers):
                missing = lost(caller, await stored(tmp_path, caller.session_id))
                if missing and not in_time:
                    pytest.skip("this machine's disk is too slow for what is promised")
                assert missing == [], f"call {n}"
                assert len(caller.items) >= 2, f"call {n} came to nothing"

            token = callers[0].session_id
            assert await status(gateway.port, "resume=sess_unknown", mine) == (
                404,
                "session_not_found",
            )
            assert await status(gateway.port, f"resume={token}", foreign) == (
                404,
                "session_not_found",
            )
            assert (await status(gateway.port, f"resume={token}"))[0] == 401
            for caller in callers[:8]:
                await go_on(gateway, caller, mine, far)
            assert len(far.sessions) == n_sessions + 8
            assert "Traceback" not in gateway.log
            await gateway.kill()

        pass_time(tmp_path, 60)
        async with running(file) as gateway:
            assert await status(gateway.port, f"resume={token}", mine) == (410, "session_expired")


def pass_time(folder: Path, seconds: float) -> None:
    """Let the last sign of life of all processes be so much older."""
    with closing(sqlite3.connect(folder / "voxengine-data" / "calls.db")) as db, db:
        assert db.execute("UPDATE runs SET seen_at = seen_at - ?", (seconds,)).rowcount > 0


async def go_on(gateway: Process, before: Caller, key: str, far: OpenAIEmulator) -> None:
    """The call goes on, and its model knows what was said."""
    resume = f"resume={before.session_id}"
    async with calling(gateway.port, resume, key, before) as caller:
        assert caller.session_id == before.session_id
        assert caller.instructions == before.instructions
        texts = [item.text for item in far.sessions[-1].conversation.items]
        for item_id, told in before.items.items():
            found = await caller.ask(
                "conversation.item.retrieve", "conversation.item.retrieved", item_id=item_id
            )
            assert is_kept(told, words_of(found["item"]))
            if told["type"] == "message" and told["role"] == "user" and words_of(told):
                assert words_of(told) in texts
        await caller.update(output_modalities=["text"])
        await caller.write("It goes on")
        answer = await caller.answer()
        assert answer["status"] == "completed"
        assert words_of(answer["output"][0]) == "You said: It goes on"
