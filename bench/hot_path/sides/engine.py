"""VoxEngine, as an application uses it: `send_audio` for every frame, a handler for audio and one for text."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal

from bench.hot_path.harness import Ear
from voxengine import VoiceEngine, VoiceEngineConfig
from voxengine.events import AudioOutputChunk, TextOutput

#: By the milliseconds of a message; 20 is what there is without any setting.
_SETTINGS: dict[int, dict[str, Any]] = {20: {}, 100: {"chunking": "density"}}


class _Line:
    mode: Literal["big", "fast"] = "big"

    def __init__(self, url: str, ear: Ear, chunk_ms: int) -> None:
        config = VoiceEngineConfig(
            provider="openai",
            api_key="sk-x",
            mode=self.mode,
            metadata={"endpoint": url},
            **_SETTINGS[chunk_ms],
        )
        self._engine = VoiceEngine(config)
        audio, text = ear.audio, ear.text

        def on_audio(event: AudioOutputChunk) -> None:
            audio(event.audio_data)

        def on_text(event: TextOutput) -> None:
            text(event.text)

        self._engine.on("audio_chunk", on_audio)
        self._engine.on("text_chunk", on_text)

    async def connect(self) -> None:
        await self._engine.connect()

    def send(self, frame: bytes) -> Awaitable[None]:
        return self._engine.send_audio(frame)

    async def close(self) -> None:
        await self._engine.disconnect()


class _FastLine(_Line):
    mode = "fast"


LINES = {"voxengine": _Line, "voxengine_fast": _FastLine}
