"""The providers of one call: mocks, or emulated vendors on real sockets of the same loop.

Each is registered under a name of its own while the call lasts, so that the engine can be told of it by name, and all
that is made of it can be reached here: to strike it, to take it down, and to see what it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from chaos.plan import ANSWERS, MS_PER_WORD, PROFILES, Line, Plan
from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.config import ProviderConfig
from voxengine.events import ProviderEvent
from voxengine.providers.base import BaseProvider
from voxengine.providers.mock import FaultPlan, MockProvider, Refuse
from voxengine.providers.registry import get_provider, register_provider, unregister_provider
from voxengine.testing.emulators.faults import KINDS
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai.session import Session
from voxengine.testing.emulators.openai.striking import strike
from voxengine.testing.emulators.voice import SignalVoice
from voxengine.testing.faults import parse_fault

__all__ = ["ChaosMock", "FarSide", "Vendor"]

KEY = "sk-emulated"
#: Milliseconds of silence that end a turn of the mock.
_SILENCE_MS = 300.0
#: What can be done to a vendor at any moment, as the faults that they are.
_STRIKES = {
    "drop 1011": "drop:close_code=1011",
    "drop 1006": "drop:close_code=1006",
    "drop 1012": "drop:close_code=1012",
    "expire": "drop:code=session_expired,close_code=1000",
    "stall 0.7": "stall:0.7",
    "stall 2.5": "stall:2.5",
}


class Vendor(Protocol):
    """One provider of a call, as it can be maltreated."""

    async def open(self) -> None:
        """Be there."""

    def make(self, config: ProviderConfig) -> BaseProvider:
        """A provider that leads there."""

    def strike(self, what: str) -> None:
        """Let a fault strike whatever connection there is."""

    def late_audio(self) -> None:
        """More audio comes of a response that was cancelled."""

    async def outage(self, seconds: float) -> None:
        """Lose all connections, and refuse others for so long."""

    async def close(self) -> None:
        """Be gone."""


class ChaosMock(MockProvider):
    """A mock that can be struck at any moment, and refuses connections while its vendor is `down`."""

    down: Callable[[], bool]

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._cancelled: list[str] = []

    async def connect(self) -> bool:
        """As the mock's; refused while the vendor is down."""
        if self.down():
            self.emit(ev.ConnectionStarting(**self.meta()))
            self._refuse(Refuse())
        return await super().connect()

    def emit(self, event: ProviderEvent) -> None:
        """As the mock's; remembers what was cancelled."""
        if isinstance(event, ev.ResponseCancelled) and event.response_id:
            self._cancelled.append(event.response_id)
        super().emit(event)

    def strike(self, what: str) -> None:
        """Let a fault strike now."""
        if not self.is_connected:
            return
        if what == "unknown":
            self.tell(ev.RawEvent, name="mood.updated", payload={"mood": "sunny"})
        else:
            self._strike(parse_fault(_STRIKES[what]))

    def late_audio(self) -> None:
        """More audio of the response that was cancelled last."""
        if self.is_connected and self._cancelled:
            format = self.capabilities.output_formats[0]
            self.tell(
                ev.AudioOutputChunk,
                audio_data=silence(100, format),
                sample_rate=format.sample_rate,
                encoding=format.encoding,
                item_id=f"{self._cancelled[-1]}_late_1",
                response_id=self._cancelled[-1],
            )


class MockVendor:
    """A vendor that is a mock."""

    def __init__(self, line: Line, mock: type[ChaosMock]) -> None:
        self._mock = mock
        self._down = False
        #: All that was made of it, in order.
        self.made: list[ChaosMock] = []
        self._settings: dict[str, Any] = {
            "mock_responses": dict(ANSWERS),
            "faults": FaultPlan(line.faults),
            "capabilities": dict(PROFILES[line.profile]),
            "latency_ms": {"connect": 50.0, "first": line.latency_ms, "network": line.network_ms},
            "realtime_factor": line.pace,
            "ms_per_word": MS_PER_WORD,
            "silence_ms": _SILENCE_MS,
            "transcript_delay_ms": line.transcript_delay_ms,
            "record": False,
        }

    async def open(self) -> None:
        """There is nothing to open."""

    def make(self, config: ProviderConfig) -> BaseProvider:
        """Another mock, with the settings and the faults of this vendor."""
        config.update(**self._settings)
        mock = self._mock(config)
        mock.down = lambda: self._down
        self.made.append(mock)
        return mock

    def strike(self, what: str) -> None:
        """Let a fault strike the mock that was made last."""
        for mock in self.made[-1:]:
            mock.strike(what)

    def late_audio(self) -> None:
        """More audio comes of what was cancelled."""
        for mock in self.made[-1:]:
            mock.late_audio()

    async def outage(self, seconds: float) -> None:
        """Nobody can be reached for so long."""
        self._down = True
        for mock in self.made:
            mock.strike("drop 1006")
        await asyncio.sleep(seconds)
        self._down = False

    async def close(self) -> None:
        """There is nothing to close."""


class EmulatedVendor:
    """A vendor of the OpenAI family, emulated."""

    def __init__(self, line: Line) -> None:
        self._dialect = line.kind
        self.emulator = OpenAIEmulator(
            line.kind,
            dict(ANSWERS),
            [parse_fault(fault, KINDS) for fault in line.faults],
            key=KEY,
            speech=SignalVoice(MS_PER_WORD),
            judge=None,
            pace=line.pace,
            latency_ms=line.latency_ms,
            transcript_delay_ms=line.transcript_delay_ms,
        )

    async def open(self) -> None:
        """Open the port."""
        await self.emulator.start()

    def make(self, config: ProviderConfig) -> BaseProvider:
        """The provider of that vendor, led to the emulator."""
        config.update(api_key=KEY, **self.emulator.metadata)
        return get_provider(self._dialect)(config)

    @property
    def _session(self) -> Session | None:
        sessions = self.emulator.sessions
        return sessions[-1] if sessions and not sessions[-1].closed else None

    def strike(self, what: str) -> None:
        """Let a fault strike the session that was opened last."""
        if self._session is not None:
            words = {"unknown": "unknown_event", "expire": "expire"}.get(what) or _STRIKES[what]
            strike(self._session, parse_fault(words, KINDS))

    def late_audio(self) -> None:
        """When a response is cancelled, more audio of it comes."""
        if self._session is not None:
            strike(self._session, parse_fault("late_audio", KINDS))

    async def outage(self, seconds: float) -> None:
        """Cut all connections, and keep the port closed for so long."""
        await self.emulator.kill()
        await asyncio.sleep(seconds)
        await self.emulator.start()

    async def close(self) -> None:
        """Close the port."""
        await self.emulator.close()


class FarSide:
    """All vendors of a call, by the names that they are registered under. An async context manager."""

    def __init__(self, plan: Plan, mock: type[ChaosMock] = ChaosMock) -> None:
        self.vendors: dict[str, Vendor] = {}
        for number, line in enumerate(plan.lines, 1):
            # No other call of this process has these names, so that nothing is known of them by name.
            name = f"chaos-{plan.seed}-{number}-{line.kind}"
            self.vendors[name] = (
                MockVendor(line, mock) if line.kind == "mock" else EmulatedVendor(line)
            )

    @property
    def names(self) -> list[str]:
        """The names, in the order of the plan."""
        return list(self.vendors)

    async def __aenter__(self) -> FarSide:
        for name, vendor in self.vendors.items():
            await vendor.open()
            register_provider(name, vendor.make)
        return self

    async def __aexit__(self, *_: object) -> None:
        for name, vendor in self.vendors.items():
            unregister_provider(name)
            await vendor.close()
