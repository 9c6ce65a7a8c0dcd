"""The load server: plays the vendor to many calls at once, in a process of its own.

Run as `python -m bench.hot_path.server [core]`; it prints its port and works until its input ends. From its
`session.update` on every connection gets turns in real time (see `bench.hot_path.messages`), and all that it appends is
counted. The path `/control` is for the one who measures: `begin` starts a window, `end` ends it, and `stop` ends all
turns; the last two are answered with a `records.Report`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import msgspec
import pybase64
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from bench.hot_path.messages import DELTA_MS, TURN_TICKS, session_event, timeline
from bench.hot_path.records import Report

__all__ = ["LoadServer"]

#: The golden ratio spreads any number of calls evenly over the turn, and over the tick.
_GOLDEN = 0.6180339887
_BYTES_PER_MS = 48
#: The ticks of a call's first turn of which so many are left out.
_SKIP_FROM, _SKIPPABLE = 12, 60


class _Call(WSListener):
    """One connection."""

    def __init__(self, server: LoadServer, number: int) -> None:
        self._server = server
        self._number = number
        self._events = 0
        self._turn = 0
        self._tick = 0
        self._skip = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.deltas = 0
        self.audio_bytes = 0
        self.others: list[str] = []
        self.arrivals: list[tuple[int, int]] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(WSMsgType.TEXT, session_event("session.created", self._number))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type is not WSMsgType.TEXT:
            return
        payload = frame.get_payload_as_bytes()
        if payload.find(b'"input_audio_buffer.append"', 0, 120) < 0:
            self._other(payload)
            return
        if not self.audio_bytes:
            self._check(payload)
        # The audio is the longest string of the message, so it holds its middle.
        middle = len(payload) // 2
        text = payload[payload.rindex(b'"', 0, middle) + 1 : payload.index(b'"', middle)]
        self.audio_bytes += len(text) // 4 * 3 - text.count(b"=", -2)
        if self._server.window is not None:
            self.arrivals.append((self.audio_bytes, time.monotonic_ns()))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.stop()
        self._server.calls.pop(self._number, None)

    def stop(self) -> None:
        """No more of turns."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lateness_us(self) -> list[int]:
        """See `Report.append_late_us`."""
        ideal = [at - n * 1_000_000 // _BYTES_PER_MS for n, at in self.arrivals]
        best = min(ideal, default=0)
        return [(at - best) // 1000 for at in ideal]

    @staticmethod
    def _check(payload: bytes) -> None:
        """The first append of a call is read in full; one that is not right ends the connection."""
        message = msgspec.json.decode(payload)
        if len(pybase64.b64decode(message["audio"], validate=True)) % 2:
            raise ValueError("half a sample")

    def _other(self, payload: bytes) -> None:
        message: dict[str, Any] = msgspec.json.decode(payload)
        if message["type"] != "session.update":
            self.others.append(message["type"])
            return
        answer = session_event("session.updated", self._number, message["session"])
        self._transport.send(WSMsgType.TEXT, answer)
        if self._timer is None:
            self._begin()

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        phase = self._number * _GOLDEN % 1
        # The first answer is cut short by as much: from then on the calls are at different places of their turns.
        self._skip = int(phase * _SKIPPABLE)
        self._due = loop.time() + phase * 10 % 1 * DELTA_MS / 1000
        self._timer = loop.call_at(self._due, self._on_tick)

    def _on_tick(self) -> None:
        transport, turn, heard_ms = self._transport, self._turn, self.audio_bytes // _BYTES_PER_MS
        for template in self._server.timeline[self._tick]:
            self._events += 1
            self.deltas += template.is_audio
            message = template.fill(self._events, turn, time.monotonic_ns(), heard_ms)
            transport.send(WSMsgType.TEXT, message)
        self._tick += 1
        if self._tick == _SKIP_FROM and not turn:
            self._tick += self._skip
        if self._tick == TURN_TICKS:
            self._tick = 0
            self._turn += 1
        self._due += DELTA_MS / 1000
        self._timer = asyncio.get_running_loop().call_at(self._due, self._on_tick)


class _Control(WSListener):
    """The connection of the one who measures."""

    def __init__(self, server: LoadServer) -> None:
        self._server = server

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            transport.disconnect()
            return
        answer = self._server.command(frame.get_payload_as_utf8_text())
        transport.send(WSMsgType.TEXT, msgspec.json.encode(answer))


class LoadServer:
    """All calls of the process."""

    def __init__(self) -> None:
        self.timeline = timeline()
        self.calls: dict[int, _Call] = {}
        #: Time and CPU seconds at which the window began.
        self.window: tuple[float, float] | None = None
        self._count = 0

    def accept(self, request: WSUpgradeRequest) -> WSListener:
        """The listener for a new connection."""
        if request.path.startswith(b"/control"):
            return _Control(self)
        # Numbers begin anew for each client, so that all sides get the same calls.
        self._count = self._count + 1 if self.calls else 0
        call = self.calls[self._count] = _Call(self, self._count)
        return call

    def command(self, name: str) -> Report | None:
        """What came by the control connection."""
        now, calls = (time.monotonic(), time.process_time()), self.calls.values()
        if name == "begin":
            for call in calls:
                call.arrivals.clear()
            self.window = now
            return None
        began, self.window = self.window or now, None
        if name == "stop":
            for call in calls:
                call.stop()
        return Report(
            calls=len(calls),
            deltas_sent=sum(call.deltas for call in calls),
            audio_bytes=sum(call.audio_bytes for call in calls),
            others=sorted({kind for call in calls for kind in call.others}),
            append_late_us=[late for call in calls for late in call.lateness_us()],
            window_s=now[0] - began[0],
            cpu_s=now[1] - began[1],
        )


async def _main() -> None:
    server = LoadServer()
    listening = await ws_create_server(server.accept, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    uvloop.run(_main())
