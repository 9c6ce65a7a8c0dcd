"""An emulated vendor as a process: `Vendor` starts, watches and kills one; run as a program, this is one.

The process is told by a JSON object what it is to be, says where it listens, and then what it sends, and when. Times
are those of the machine's monotonic clock, which all its processes share, and event loops too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from chaos.plan import MS_PER_WORD
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai.session import Session
from voxengine.testing.emulators.voice import SignalVoice

__all__ = ["KEY", "Sent", "Vendor"]

KEY = "sk-emulated"
#: Seconds that the process may take to begin, to say what is waited for, and to end.
_BEGIN_BUDGET, _SAY_BUDGET, _END_BUDGET = 30.0, 30.0, 10.0
_TOLD = frozenset({"session.updated", "response.created"})
_AUDIO = "response.output_audio.delta"


class Sent(msgspec.Struct, frozen=True):
    """What a vendor sent, and when; of the audio of a response only the first piece is told."""

    at: float
    kind: str


class Vendor:
    """A process that emulates the vendor of `dialect`; `settings` are those of `OpenAIEmulator` that JSON can say."""

    def __init__(self, dialect: str, **settings: Any) -> None:
        self.dialect = dialect
        #: What it sent, in order.
        self.sent: list[Sent] = []
        self._settings = {"dialect": dialect, **settings}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._endpoint = ""
        self._new = asyncio.Event()

    @property
    def settings(self) -> dict[str, Any]:
        """What an engine has to be told to be led there, as an entry of `fallback` is written."""
        return {
            "provider": self.dialect,
            "api_key": KEY,
            "metadata": {"endpoint": self._endpoint},
        }

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            TimeoutError: it does not.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chaos.kill.vendor",
            json.dumps(self._settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout is not None, "it was asked for"
        async with asyncio.timeout(_BEGIN_BUDGET):
            self._endpoint = (await self._process.stdout.readline()).decode().strip()
        self._reader = asyncio.create_task(self._read(self._process.stdout), name="chaos-vendor")

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.sent.append(msgspec.json.decode(line, type=Sent))
            self._new.set()

    def kill(self) -> float:
        """Kill it, as `kill -9` does: nothing of it is said or closed any more. Returns when that was."""
        assert self._process is not None, "it was started"
        at = asyncio.get_running_loop().time()
        self._process.kill()
        return at

    async def close(self) -> None:
        """End it, if it has not ended; also one that was killed has to be."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(ConnectionError):
                await process.stdin.wait_closed()
        try:
            async with asyncio.timeout(_END_BUDGET):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader

    async def __aenter__(self) -> Vendor:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def until(self, look: Callable[[], float | None]) -> float:
        """Wait until `look()` finds something in what it sent, and return that.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(_SAY_BUDGET):
            while (found := look()) is None:
                self._new.clear()
                await self._new.wait()
        return found

    def first(self, kind: str, since: float) -> float | None:
        """When it first sent something of this kind after that time."""
        return next((sent.at for sent in self.sent if sent.kind == kind and sent.at >= since), None)

    def thinking(self, since: float) -> float | None:
        """Seconds that it took from the beginning of its first response after that time to its first sound."""
        began = self.first("response.created", since)
        spoke = None if began is None else self.first(_AUDIO, began)
        return None if began is None or spoke is None else spoke - began


class _Teller:
    """Writes down what is sent, as the process of the vendor."""

    def __init__(self) -> None:
        self._spoke = ""

    def event(self, session: Session, event: dict[str, Any] | None) -> None:
        """A session sends this, or has ended."""
        kind = "" if event is None else event["type"]
        if event is not None and kind == _AUDIO:
            if event["response_id"] == self._spoke:
                return
            self._spoke = event["response_id"]
        elif kind not in _TOLD:
            return
        line = msgspec.json.encode(Sent(time.monotonic(), kind))
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


async def _serve(settings: dict[str, Any]) -> None:
    emulator = OpenAIEmulator(
        responses={"re:.*": "{text}"},
        key=KEY,
        speech=SignalVoice(MS_PER_WORD),
        judge=None,
        on_event=_Teller().event,
        **settings,
    )
    async with emulator:
        print(emulator.endpoint, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
