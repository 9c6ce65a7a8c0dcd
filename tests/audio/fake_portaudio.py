"""A stand-in for the package sounddevice: the same names, and streams that a test drives."""

from __future__ import annotations

import threading
from types import ModuleType, SimpleNamespace
from typing import Any


class PortAudioError(Exception):
    pass


class FakeStream:
    """A stream whose device is the test: `run` calls back as PortAudio does, in another thread."""

    latency: Any = 0.03

    def __init__(self, module: FakeSoundDevice, kind: str, **settings: Any) -> None:
        self.kind = kind
        self.settings = settings
        self.block = settings["blocksize"]
        self.time = 0.0
        self.state = "open"
        self.played = b""
        self._callback = settings["callback"]
        self._clock = 0
        module.streams.append(self)

    def start(self) -> None:
        self.state = "running"

    def abort(self) -> None:
        self.state = "stopped"

    def close(self) -> None:
        self.state = "closed"

    def run(self, captured: bytes = b"", blocks: int = 1) -> bytes:
        """So many blocks. Returns what was handed over to be played."""
        begun = len(self.played)
        thread = threading.Thread(target=self._run, args=(captured, blocks))
        thread.start()
        thread.join()
        return self.played[begun:]

    def _run(self, captured: bytes, blocks: int) -> None:
        size = self.block * 2
        for i in range(blocks):
            assert self.state == "running"
            now = self._clock / self.settings["samplerate"]
            times = SimpleNamespace(
                inputBufferAdcTime=now - 0.02, currentTime=now, outputBufferDacTime=now + 0.03
            )
            self._clock += self.block
            self.time = self._clock / self.settings["samplerate"]
            heard = memoryview(captured[i * size : (i + 1) * size].ljust(size, b"\0"))
            out = bytearray(size)
            arguments: list[Any] = [self.block, times, None]
            if self.kind != "RawInputStream":
                # As with PortAudio's buffers, only exactly as much fits.
                arguments.insert(0, memoryview(out))
            if self.kind != "RawOutputStream":
                arguments.insert(0, heard)
            self._callback(*arguments)
            self.played += out


class FakeSoundDevice(ModuleType):
    """The module. `rates` are those that its devices can do; None: all of them."""

    PortAudioError = PortAudioError

    def __init__(self, rates: set[int] | None = None, devices: list[str] | None = None) -> None:
        super().__init__("sounddevice")
        self.streams: list[FakeStream] = []
        self.rates = rates
        self.names = ["built-in"] if devices is None else devices
        for kind in ("RawInputStream", "RawOutputStream", "RawStream"):
            setattr(self, kind, self._opener(kind))

    def _opener(self, kind: str) -> Any:
        def open_stream(**settings: Any) -> FakeStream:
            if not self.names:
                raise PortAudioError("Error querying device -1")
            if self.rates is not None and settings["samplerate"] not in self.rates:
                raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
            stream = FakeStream(self, kind, **settings)
            if kind == "RawStream":
                stream.latency = (0.02, 0.03)
            return stream

        return open_stream

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return [{"name": name} for name in self.names]
        if not self.names:
            raise PortAudioError("Error querying device -1")
        return {"name": self.names[0], "default_samplerate": float(max(self.rates or {48000}))}
