"""The least that can be done in Python: picows, msgspec, pybase64, and nothing else.

No session, no state, no errors, no events: a message is decoded with one struct of two fields, audio is handed to a
function as bytes, and an append is written by hand. It cannot be used for a conversation; it is what there is to pay in
any case.
"""

from __future__ import annotations

import asyncio

import msgspec
import pybase64
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.hot_path.harness import FRAME_S, Ear

UPDATE = (
    b'{"type":"session.update","session":{"type":"realtime","output_modalities":["audio"],'
    b'"audio":{"input":{"format":{"type":"audio/pcm","rate":24000}},'
    b'"output":{"format":{"type":"audio/pcm","rate":24000}}}}}'
)
_HEAD, _TAIL = b'{"type":"input_audio_buffer.append","audio":"', b'"}'
_TEXT = WSMsgType.TEXT


class _Message(msgspec.Struct, gc=False):
    type: str
    delta: str = ""


_decode = msgspec.json.Decoder(_Message).decode


class _Listener(WSListener):
    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self.ready = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not _TEXT:
            return
        message = _decode(frame.get_payload_as_memoryview())
        kind = message.type
        if kind == "response.output_audio.delta":
            self._ear.audio(pybase64.b64decode(message.delta, validate=True))
        elif kind == "response.output_audio_transcript.delta":
            self._ear.text(message.delta)
        elif kind == "session.updated":
            self.ready.set_result(None)


class _Line:
    def __init__(self, url: str, ear: Ear, chunk_ms: int) -> None:
        self._url = f"{url}/realtime?model=gpt-realtime"
        self._ear = ear
        self._group = round(chunk_ms / 1000 / FRAME_S)
        self._frames: list[bytes] = []

    async def connect(self) -> None:
        listener = _Listener(self._ear)
        self._transport, _ = await ws_connect(lambda: listener, self._url)
        self._transport.send(_TEXT, UPDATE)
        await listener.ready

    def send(self, frame: bytes) -> None:
        if self._group > 1:
            self._frames.append(frame)
            if len(self._frames) < self._group:
                return
            frame = b"".join(self._frames)
            self._frames.clear()
        self._transport.send(_TEXT, _HEAD + pybase64.b64encode(frame) + _TAIL)

    async def close(self) -> None:
        self._transport.disconnect()
        await self._transport.wait_disconnected()


LINES = {"floor": _Line}
