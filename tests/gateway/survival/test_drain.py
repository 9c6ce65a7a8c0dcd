"""A gateway that is told to stop lets its calls end; one that is told to read its configuration anew drops none."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.survival.callers import TEXT, calling, status, words_of
from tests.gateway.survival.processes import process
from tests.gateway.survival.stored import lost, stored

pytestmark = [pytest.mark.real_clock, pytest.mark.slow]

LONG = " ".join(f"word{n}" for n in range(200))


def configuration(folder: Path, routes: tuple[str, ...] = ("play",), **settings: Any) -> Path:
    """A file with these routes, all to the mock."""
    settings = {"port": 0, "max_loop_lag_ms": 60_000, **settings}
    lines = ["[gateway]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    for name in routes:
        lines += [f"[routes.{name}]", 'providers = ["toy"]']
    lines += ["[providers.toy]", 'provider = "mock"']
    lines += ["[providers.toy.metadata]", "latency_ms = 30"]
    lines += ["[providers.toy.metadata.mock_responses]", f'"*long*" = "{LONG}"']
    file = folder / "voxengine.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


async def test_calls_end_within_the_time_that_is_allowed(tmp_path: Path) -> None:
    async with process(configuration(tmp_path, drain_timeout=60)) as gateway:
        async with calling(gateway.port) as caller:
            await caller.update(**TEXT)
            gateway.send(signal.SIGTERM)
            await gateway.logged("no new calls")

            assert await status(gateway.port) == (503, "server_draining")
            async with httpx.AsyncClient(base_url=gateway.http) as http:
                assert (await http.get("/readyz")).status_code == 503
                assert (await http.get("/healthz")).status_code == 200
                refused = await http.get("/v1/realtime?model=play")
                assert refused.status_code in (404, 405, 426)
            await caller.write("May I end this?")
            answer = await caller.answer()
            assert words_of(answer["output"][0]) == "You said: May I end this?"
        began = time.monotonic()
        assert await gateway.wait() == 0
        assert time.monotonic() - began < 20
        kept = await stored(tmp_path, caller.session_id)
        assert kept.call.status == "ended"
        assert lost(caller, kept) == []


async def test_what_has_not_ended_by_then_is_ended_and_may_be_taken_up(tmp_path: Path) -> None:
    file = configuration(tmp_path, drain_timeout=2)
    async with AsyncExitStack() as stack, process(file) as gateway:
        talking, listening, away = [
            await stack.enter_async_context(calling(gateway.port)) for _ in range(3)
        ]
        await away.write("I was cut off")
        await away.cut()
        await listening.write("something long")
        await listening.send("response.create")
        await listening.told("response.output_audio.delta")
        doing = asyncio.create_task(talking.until_the_end(talking.chat("Ann")))

        gateway.send(signal.SIGTERM)
        began = time.monotonic()
        assert await gateway.wait() == 0
        assert 1.9 < time.monotonic() - began < 15
        await doing
        for caller in (talking, listening):
            await caller.over.wait()
            assert caller.socket.close_code == 1001
        assert "Traceback" not in gateway.log

        async with process(file) as gateway:
            for caller in (talking, listening, away):
                kept = await stored(tmp_path, caller.session_id)
                assert kept.call.status == "live"
                assert lost(caller, kept) == []
                query = f"resume={caller.session_id}"
                async with calling(gateway.port, query, before=caller) as again:
                    await again.update(**TEXT)
                    await again.write("Hello again")
                    answer = await again.answer()
                    assert words_of(answer["output"][0]) == "You said: Hello again"
                    assert again.instructions == caller.instructions


async def test_the_configuration_changes_under_load(tmp_path: Path) -> None:
    async with (
        AsyncExitStack() as stack,
        process(configuration(tmp_path, ("play", "route0"))) as gateway,
    ):
        callers = [await stack.enter_async_context(calling(gateway.port)) for _ in range(6)]
        doing = [asyncio.create_task(each.chat(f"caller {n}")) for n, each in enumerate(callers)]
        for n in range(1, 6):
            read = gateway.log.count("read anew")
            configuration(tmp_path, ("play", f"route{n}"))
            gateway.send(signal.SIGHUP)
            await gateway.logged("read anew", read + 1)
            async with calling(gateway.port, f"model=route{n}") as caller:
                await caller.write("Hello")
            assert await status(gateway.port, f"model=route{n - 1}") == (404, "model_not_found")

        for broken in (
            "[gatway]\n",
            "[routes.play]\nproviders = [",
            '[routes.a]\nproviders = ["no"]',
        ):
            kept = gateway.log.count("stays as it was")
            (tmp_path / "voxengine.toml").write_text(broken, encoding="utf-8")
            gateway.send(signal.SIGHUP)
            await gateway.logged("stays as it was", kept + 1)
            assert await status(gateway.port, "model=route5") == (101, "")

        said = [len(each.all("response.done")) for each in callers]
        for n, each in zip(said, callers, strict=True):
            await each.told("response.done", n + 3)
            assert each.all("error") == []
            assert {d["response"]["status"] for d in each.all("response.done")} == {"completed"}
        for task in doing:
            assert not task.done()
            task.cancel()
        await asyncio.wait(doing)
