"""The shared model and the shared emulator, as a vendor of a few lines uses them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import websockets

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.errors import ConfigurationError
from voxengine.testing.emulators.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Expire,
    Flap,
    Lag,
    Late,
    LateAudio,
    Malformed,
    Oversized,
    Refuse,
    Slow,
    Stall,
    UnknownEvent,
)
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.server import Pending, Streamed
from voxengine.testing.emulators.vendor import EmulatorFailed, VendorEmulator, VendorSession

FORMAT = AudioFormat("pcm16", 16000)
LONG = " ".join(f"word{n}" for n in range(10, 50))
ANSWERS: dict[str, Any] = {
    "tell me more": LONG,
    "write it": {"text": "black on white", "audio": False},
    "look it up": {"tool": {"name": "look", "arguments": {"what": "it"}}, "then": "found {output}"},
    "look twice": {"tools": ["look", "look"], "then": "found {output}"},
    "fail": {"error": "overloaded"},
}


# -- a vendor


class ToyJudge:
    """Takes messages that have a type which is not `bad`."""

    def __init__(self) -> None:
        self.violations: list[str] = []

    def client(self, message: Any) -> list[str]:
        kind = json.loads(message).get("type", "bad")
        return ["type: bad"] if kind == "bad" else []

    server = client


class ToySession(VendorSession):
    """Its protocol: JSON with a type, audio as binary frames."""

    def received(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "setup":
            model = self.make_model(FORMAT, FORMAT, **message.get("settings", {}))
            model.tools, model.instructions = message.get("tools", []), "be a toy"
            self.send({"type": "ready"})
            model.greet()
            return
        assert self.model is not None
        match kind:
            case "text":
                self.model.text(message["text"])
            case "result":
                self.model.tool_result(message["id"], message["output"])
            case "truncate":
                left = self.model.truncate(heard_ms=message["ms"])
                self.send({"type": "truncated", "text": left})
            case _:
                found = getattr(self.model, kind)(**message.get("with", {}))
                self.send({"type": f"{kind}_done", "found": found})

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        return {"type": "error", "code": code}

    def expiry_messages(self) -> list[dict[str, Any]]:
        return [{"type": "time_is_up"}]

    def on_speech_started(self, audio_ms: float) -> None:
        self.send({"type": "started", "ms": audio_ms})

    def on_speech_stopped(self, audio_ms: float) -> None:
        self.send({"type": "stopped", "ms": audio_ms})

    def on_user_partial(self, text: str) -> None:
        self.send({"type": "partial", "text": text})

    def on_pause(self, text: str) -> None:
        self.send({"type": "pause", "text": text})

    def on_resumed(self) -> None:
        self.send({"type": "resumed"})

    def on_user_text(self, text: str) -> None:
        self.send({"type": "user", "text": text})

    def on_reply_started(self, reply_id: str) -> None:
        self.send({"type": "reply", "id": reply_id})

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        self.send({"type": "word", "text": text, "start": start_ms, "end": end_ms})

    def on_written(self, piece: str) -> None:
        self.send({"type": "written", "text": piece})

    def on_audio(self, audio: bytes, words: Any) -> None:
        self.send(audio)

    def on_tool_calls(self, calls: Any) -> None:
        named = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in calls]
        self.send({"type": "calls", "calls": named})

    def on_tools_cancelled(self, call_ids: list[str]) -> None:
        self.send({"type": "cancelled", "ids": call_ids})

    def on_reply_ended(self, status: str, text: str) -> None:
        self.send({"type": "ended", "status": status, "text": text})


class Toy(VendorEmulator):
    path = "/toy"

    def make_judge(self) -> ToyJudge:
        return ToyJudge()

    def make_session(self, request: Request, session_id: str) -> ToySession:
        return ToySession(self, request, session_id)


# -- a client


class Client:
    """What came is in `log` as (seconds, message); audio has the type "audio"."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.log: list[tuple[float, dict[str, Any]]] = []
        self.audio = b""
        self._came = asyncio.Event()
        self.closed: tuple[int, str] | None = None
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                at = asyncio.get_running_loop().time()
                if isinstance(message, bytes):
                    self.audio += message
                    self.log.append((at, {"type": "audio", "audio": message}))
                else:
                    try:
                        self.log.append((at, json.loads(message)))
                    except ValueError:
                        self.log.append((at, {"type": "garbage"}))
                self._came.set()
        except websockets.ConnectionClosed:
            pass
        frame = self.socket.protocol.close_rcvd
        self.closed = (frame.code, frame.reason) if frame is not None else (1006, "")
        self._came.set()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def speak(self, text: str, pause_ms: float = 700, *, frame_ms: float = 20) -> None:
        """Talk as a microphone does."""
        audio = speak(text, FORMAT) + silence(pause_ms, FORMAT)
        size = FORMAT.n_bytes(frame_ms)
        for at in range(0, len(audio), size):
            await self.socket.send(audio[at : at + size])
            await asyncio.sleep(frame_ms / 1000)

    async def wait(self, kind: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                found = self.of(kind)
                if len(found) >= count:
                    return found[count - 1]
                self._came.clear()
                await self._came.wait()

    async def end(self) -> tuple[int, str]:
        async with asyncio.timeout(60):
            await self._reader
        assert self.closed is not None
        return self.closed

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for _, message in self.log if message["type"] == kind]

    def kinds(self) -> list[str]:
        """Types in their order; of equal neighbours, one."""
        found: list[str] = []
        for _, message in self.log:
            if not found or found[-1] != message["type"]:
                found.append(message["type"])
        return found

    def times(self, kind: str) -> list[float]:
        return [at for at, message in self.log if message["type"] == kind]


@asynccontextmanager
async def calling(emulator: Toy, **setup: Any) -> AsyncIterator[Client]:
    """A client of a running emulator."""
    headers = {"Authorization": "Bearer k"}
    async with websockets.connect(
        emulator.endpoint, additional_headers=headers, compression=None, max_size=None
    ) as socket:
        client = Client(socket)
        await client.send("setup", **setup)
        yield client
        await socket.close()
        await client.end()


@asynccontextmanager
async def toy(
    faults: Any = None, tools: Any = (), setup: Any = None, **settings: Any
) -> AsyncIterator[tuple[Toy, Client]]:
    async with (
        Toy(ANSWERS, faults=faults, key="k", **settings) as emulator,
        calling(emulator, tools=list(tools), settings=setup or {}) as client,
    ):
        yield emulator, client


# -- turns


async def test_a_turn_is_heard_and_answered_in_order():
    async with toy() as (emulator, client):
        await client.speak("good morning")
        assert (await client.wait("ended"))["text"] == "You said: good morning"
        assert client.kinds()[:6] == ["ready", "started", "partial", "stopped", "user", "reply"]
        assert client.of("ended") == [
            {"type": "ended", "status": "completed", "text": "You said: good morning"}
        ]
        assert understand(client.audio, FORMAT) == "You said: good morning"
        assert emulator.session.model.memory == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
        ]
        assert all("good morning".startswith(message["text"]) for message in client.of("partial"))


@pytest.mark.parametrize("pace", [1.0, 4.0])
async def test_audio_comes_at_its_pace_and_words_have_their_places(pace: float):
    async with toy(pace=pace) as (_, client):
        await client.send("text", text="tell me more")
        await client.wait("ended")
        times = client.times("audio")
        length = FORMAT.duration_ms(len(client.audio)) / 1000
        assert times[-1] - times[0] == pytest.approx((length - 0.1) / pace, abs=0.2)
        words = client.of("word")
        assert "".join(word["text"] for word in words) == LONG
        for number, word in enumerate(words):
            cut = client.audio[: FORMAT.n_bytes(word["end"])]
            assert len(understand(cut, FORMAT).split()) == number + 1


async def test_the_user_interrupts():
    async with toy(pace=1.0) as (emulator, client):
        await client.send("text", text="tell me more")
        await client.wait("word", 8)
        await client.speak("stop please")
        assert (await client.wait("ended", 2))["text"] == "You said: stop please"
        first = client.of("ended")[0]
        assert first["status"] == "interrupted"
        assert 8 <= len(first["text"].split()) <= 10
        assert LONG.startswith(first["text"])
        assert emulator.session.model.memory[1] == ("assistant", first["text"])
        kinds = client.kinds()
        assert kinds.index("started") == kinds.index("ended") - 1


async def test_only_what_was_played_counts_where_the_clock_is_followed():
    async with toy(pace=10.0, plays_out=True) as (emulator, client):
        await client.send("text", text="tell me more")
        await client.wait("word", 30)
        begun = client.times("audio")[0]
        await client.send("text", text="hello")
        played = (await client.wait("ended"))["text"]
        seconds = client.times("ended")[0] - begun
        assert len(played.split()) == pytest.approx(seconds / 0.35, abs=1)
        assert ("assistant", played) in emulator.session.model.memory


async def test_it_lasts_until_it_was_played_where_the_clock_is_followed():
    async with toy(pace=10.0, plays_out=True) as (_, client):
        await client.send("text", text="tell me more")
        await client.wait("ended")
        length = FORMAT.duration_ms(len(client.audio)) / 1000
        assert client.times("ended")[0] - client.times("audio")[0] == pytest.approx(length, abs=0.3)


async def test_one_that_does_not_yield_goes_on():
    async with toy(interrupts=False, pace=1.0) as (_, client):
        await client.send("text", text="tell me more")
        await client.wait("word", 3)
        await client.speak("hm")
        assert (await client.wait("ended"))["status"] == "completed"
        await asyncio.sleep(3)
        assert len(client.of("ended")) == 1
        assert len(client.of("user")) == 1


async def test_a_pause_is_told_and_that_it_was_none():
    async with toy(setup={"pause_ms": 400.0, "silence_ms": 1000.0}) as (_, client):
        await client.speak("one two", pause_ms=350)
        await client.speak("three", pause_ms=1500)
        assert (await client.wait("user"))["text"] == "one two three"
        told = [m.get("text") for m in (*client.of("pause"), *client.of("resumed"))]
        assert told == ["one two", "one two three", None]
        assert client.kinds().index("pause") < client.kinds().index("resumed")


async def test_turns_by_hand():
    async with toy(setup={"detects": False, "answers": False}) as (emulator, client):
        await client.send("commit")
        assert (await client.wait("commit_done"))["found"] is False
        await client.speak("good morning")
        await client.send("commit")
        await client.send("respond")
        assert (await client.wait("ended"))["text"] == "You said: good morning"
        assert client.of("started") == []
        await client.send("respond")
        await client.send("respond")
        assert (await client.wait("respond_done", 3))["found"] is False
        await client.send("cancel")
        assert (await client.wait("ended", 2))["status"] == "cancelled"
        assert emulator.session.model.active is None


# -- text, tools, memory


async def test_a_reply_can_be_written():
    async with toy() as (_, client):
        await client.send("text", text="write it")
        await client.wait("ended")
        assert "".join(m["text"] for m in client.of("written")) == "black on white"
        assert client.audio == b""


async def test_a_tool_is_called_and_its_result_is_spoken():
    async with toy(tools=["look"]) as (emulator, client):
        await client.send("text", text="look it up")
        call = (await client.wait("calls"))["calls"][0]
        assert (call["name"], call["arguments"]) == ("look", {"what": "it"})
        await asyncio.sleep(5)
        assert client.audio == b""
        await client.send("result", id=call["id"], output="treasure")
        assert (await client.wait("ended", 2))["text"] == "found treasure"
        assert emulator.session.model.memory == [
            ("user", "look it up"),
            ("tool_call", 'look {"what": "it"}'),
            ("tool", "treasure"),
            ("assistant", "found treasure"),
        ]


async def test_it_waits_for_all_results_in_any_order_of_their_coming():
    async with toy(tools=["look"]) as (_, client):
        await client.send("text", text="look twice")
        first, second = (await client.wait("calls"))["calls"]
        await client.send("result", id=second["id"], output="b")
        await asyncio.sleep(2)
        assert len(client.of("reply")) == 1
        await client.send("result", id=first["id"], output="a")
        assert (await client.wait("ended", 2))["text"] == "found b, a"


async def test_it_calls_no_tool_that_it_was_not_given():
    async with toy() as (_, client):
        await client.send("text", text="look it up")
        assert (await client.wait("ended"))["text"] == "I have no tool called look."
        assert client.of("calls") == []


async def test_calls_are_withdrawn_when_the_user_interrupts():
    async with toy(tools=["look"], cancels_tools=True) as (emulator, client):
        await client.send("text", text="look it up")
        call = (await client.wait("calls"))["calls"][0]
        await client.send("text", text="never mind")
        assert (await client.wait("cancelled"))["ids"] == [call["id"]]
        await client.send("result", id=call["id"], output="treasure")
        assert (await client.wait("ended", 2))["text"] == "You said: never mind"
        assert ("tool", "treasure") not in emulator.session.model.memory


async def test_what_was_not_heard_is_forgotten():
    async with toy() as (emulator, client):
        await client.send("text", text="tell me more")
        await client.wait("ended")
        await client.send("truncate", ms=1100)
        assert (await client.wait("truncated"))["text"] == "word10 word11 word12"
        assert emulator.session.model.memory[-1] == ("assistant", "word10 word11 word12")


async def test_an_earlier_conversation_is_known_and_usage_is_counted():
    async with toy() as (emulator, client):
        await client.wait("ready")
        model = emulator.session.model
        model.history([("user", "I am Ada"), ("assistant", "Hello Ada")])
        await client.speak("hello")
        await client.wait("ended")
        first = model.last_usage
        await client.send("text", text="bye")
        await client.wait("ended", 2)
        assert model.memory[:2] == [("user", "I am Ada"), ("assistant", "Hello Ada")]
        assert first.input_audio_tokens > 0
        assert first.output_seconds == pytest.approx(3 * 0.35, abs=0.1)
        assert model.usage.replies == 2
        assert model.usage.total_tokens == first.total_tokens + model.last_usage.total_tokens
        assert model.usage.characters == len("You said: hello") + len("You said: bye")
        assert model.usage.input_seconds == pytest.approx(model.heard_ms / 1000, abs=0.05)


async def test_a_greeting_comes_unasked_and_something_else_after_it():
    async with toy(greeting="welcome") as (emulator, client):
        await client.wait("audio")
        emulator.session.model.say("and more", queue=True)
        await client.wait("ended", 2)
        assert [m["text"] for m in client.of("ended")] == ["welcome", "and more"]


# -- what goes wrong


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Drop(after_chunks=3), 1006), (Drop(close_code=1011, after_chunks=3), 1011)],
)
async def test_a_connection_is_lost_in_an_answer(fault: Drop, code: int):
    async with toy(faults=fault) as (_, client):
        await client.send("text", text="tell me more")
        assert (await client.end())[0] == code
        assert len(client.of("audio")) <= 3


async def test_a_session_expires_in_the_vendors_words():
    async with toy(faults=Expire(after_s=3)) as (_, client):
        assert await client.end() == (1001, "session expired")
        assert client.kinds()[-1] == "time_is_up"


async def test_silence_from_some_point_on():
    async with toy(faults=Stall(after_chunks=2)) as (_, client):
        await client.send("text", text="tell me more")
        await asyncio.sleep(30)
        assert len(client.of("audio")) == 2
        assert client.of("ended") == []


async def test_all_is_late():
    async with toy(faults=Lag(2.0, after_s=1)) as (_, client):
        await asyncio.sleep(2)
        before = asyncio.get_running_loop().time()
        await client.send("text", text="hello")
        await client.wait("reply")
        assert client.times("reply")[0] - before == pytest.approx(2.0, abs=0.05)


async def test_an_answer_takes_longer():
    async with toy(faults=Slow(3.0, response=1), pace=1.0) as (_, client):
        await client.send("text", text="hello there")
        await client.wait("ended")
        times = client.times("audio")
        length = FORMAT.duration_ms(len(client.audio)) / 1000
        assert times[-1] - times[0] == pytest.approx(3 * (length - 0.1), abs=0.4)


@pytest.mark.parametrize("text", ["fail", "hello"])
async def test_an_answer_fails(text: str):
    fault = ErrorOnce(code="overloaded", after_chunks=2) if text == "hello" else None
    async with toy(faults=fault) as (_, client):
        await client.send("text", text=text)
        assert (await client.wait("ended"))["status"] == "failed"
        assert client.of("error") == [{"type": "error", "code": "overloaded"}]
        await client.send("text", text="bye")
        assert (await client.wait("ended", 2))["status"] == "completed"


async def test_an_error_without_an_answer():
    async with toy(faults=ErrorOnce(after_s=1)) as (_, client):
        assert (await client.wait("error"))["code"] == "server_error"
        assert client.of("ended") == []


async def test_messages_that_are_strange_twice_late_or_none():
    faults = [
        UnknownEvent(event_type="mood", after_s=1),
        Malformed(after_s=2),
        Oversized(100_000, after_s=3),
        Duplicate("reply"),
        Late("ended", by=5.0),
    ]
    async with toy(faults=faults) as (_, client):
        await asyncio.sleep(4)
        assert client.kinds() == ["ready", "mood", "garbage", "large"]
        await client.send("text", text="hello")
        await client.wait("ended")
        assert len(client.of("reply")) == 2
        assert client.times("ended")[0] - client.times("audio")[-1] == pytest.approx(5, abs=0.2)


async def test_audio_that_comes_after_its_end():
    async with toy(faults=LateAudio(after_chunks=1)) as (_, client):
        await client.send("text", text="tell me more")
        await client.wait("audio", 3)
        await client.send("cancel")
        await client.wait("cancel_done")
        assert client.kinds()[-3:] == ["ended", "audio", "cancel_done"]


async def test_connections_are_refused_in_the_vendors_form():
    faults: list[Any] = [
        Refuse("rate_limit", connect=1),
        Refuse("refused", connect=2),
        Flap(connect=3),
    ]
    async with Toy(faults=faults, key="k") as emulator:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with calling(emulator):
                pass
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body)["error"]["code"] == "rate_limit"
        with pytest.raises((OSError, websockets.InvalidMessage)):
            async with calling(emulator):
                pass
        with pytest.raises(websockets.ConnectionClosed):
            async with calling(emulator):
                pass
        async with calling(emulator) as client:
            await client.wait("ready")
        assert len(emulator.sessions) == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}])
async def test_a_key_is_needed(headers: dict[str, str]):
    async with Toy(key="k") as emulator:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(emulator.endpoint, additional_headers=headers)
        assert refused.value.response.status_code == 401


async def test_what_is_invalid_is_answered_or_told_at_the_end():
    async def run() -> None:
        async with toy() as (emulator, client):
            await client.send("bad")
            await client.socket.send("[]")
            await client.wait("error", 2)
            emulator.session.send({"type": "bad"})

    with pytest.raises(EmulatorFailed, match="bad: type: bad"):
        await run()


async def test_a_mistake_of_the_emulator_is_told_at_the_end():
    async def run() -> None:
        async with toy() as (_, client):
            await client.send("dance")
            assert (await client.end())[0] == 1011

    with pytest.raises(EmulatorFailed, match="ToySession failed: AttributeError"):
        await run()


async def test_a_mistake_while_it_answers_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch):
    def fall(*_: Any) -> None:
        raise KeyError("stumbled")

    async def run() -> None:
        async with toy() as (_, client):
            await client.send("text", text="hello")
            await client.end()

    monkeypatch.setattr(ToySession, "on_words", fall)
    with pytest.raises(EmulatorFailed, match="stumbled"):
        await run()


async def test_settings_that_there_are_not():
    with pytest.raises(ConfigurationError, match="mood"):
        Toy(mood="sunny")


# -- beside the WebSocket


class Shop(Toy):
    """Answers plain requests, too."""

    def http(self, request: Request) -> Answer | Streamed | Pending | None:
        match request.path:
            case "/size":
                return json_answer(200, len(request.body))
            case "/words":
                return Pending(self._words(request.body))
            case "/speech":
                return Streamed(200, {"Content-Type": "audio/pcm"}, self._speech())
            case "/torn":
                return Streamed(200, {}, self._torn())
        return None

    async def _words(self, audio: bytes) -> Answer:
        return json_answer(200, await self.voice.hear(audio, FORMAT))

    async def _speech(self) -> AsyncGenerator[bytes]:
        for word in ("one", "two"):
            await asyncio.sleep(1)
            yield await self.voice.say(word, FORMAT)

    async def _torn(self) -> AsyncGenerator[bytes]:
        yield b"half"
        raise ConnectionResetError


async def fetch(emulator: Shop, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """A request by hand; the status, and all bytes after the head."""
    reader, writer = await asyncio.open_connection(emulator.host, emulator.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status, _, rest = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), rest


async def test_plain_requests():
    async with Shop(key="k") as emulator:
        assert await fetch(emulator, "/size", b"12345") == (200, b"5")
        spoken = speak("good morning", FORMAT)
        assert await fetch(emulator, "/words", spoken) == (200, b'"good morning"')
        assert (await fetch(emulator, "/nothing"))[0] == 404
        assert (await fetch(emulator, "/toy"))[0] == 400


async def test_answers_that_come_in_pieces():
    async with Shop(key="k") as emulator:
        before = asyncio.get_running_loop().time()
        status, body = await fetch(emulator, "/speech")
        assert asyncio.get_running_loop().time() - before == pytest.approx(2, abs=0.1)
        assert status == 200
        assert body.endswith(b"\r\n0\r\n\r\n")
        assert len(body) > FORMAT.n_bytes(700)
        _, torn = await fetch(emulator, "/torn")
        assert torn == b"4\r\nhalf\r\n"


async def test_over_tls():
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with Toy(key="k", tls=server) as emulator:
        assert emulator.endpoint.startswith("wss://")
        headers = {"Authorization": "Bearer k"}
        async with websockets.connect(
            emulator.endpoint, ssl=trusting, additional_headers=headers
        ) as socket:
            await socket.send(json.dumps({"type": "setup"}))
            assert json.loads(await socket.recv()) == {"type": "ready"}


async def test_everything_that_is_sent_is_told_to_who_wants_to_know():
    told: list[str | None] = []

    def watch(_: Any, message: Any) -> None:
        told.append(None if message is None else message["type"])

    async with Toy(key="k", on_event=watch) as emulator, calling(emulator) as client:
        await client.wait("ready")
    assert told == ["ready", None]
