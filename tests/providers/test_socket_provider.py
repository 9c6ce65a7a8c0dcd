"""What all providers on one WebSocket have in common, by the smallest vendor that there can be."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.errors import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
    SessionClosedError,
)
from voxengine.net import WebSocket
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.endpoints import http_url, websocket_url
from voxengine.providers.failures import code_of_status, error_of
from voxengine.providers.socket_provider import Address, SocketProvider
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.server import Accept, EmulatorServer, Socket

#: RFC 6455, section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "sk-feather-123456"
FORMAT = AudioFormat("pcm16", 16000)
_E = TypeVar("_E", bound=ev.ProviderEvent)


class ParrotProvider(SocketProvider):
    """A vendor that says `ready`, `say`, `used`, `bye`, and what goes wrong."""

    key_variables = ("PARROT_KEY",)
    capabilities = Capabilities(input_formats=(FORMAT,), output_formats=(FORMAT,), resume="handle")
    close_codes: ClassVar[Mapping[int, str]] = {4001: "auth", 4008: "session_expired"}
    binary_audio = True

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.response: str | None = None
        self.resets = 0
        self.waits_for_token: float = 0.0

    async def address(self) -> Address:
        await asyncio.sleep(self.waits_for_token)
        parameters = {"resume": self.resuming, "word": ["a", "b"]}
        url = self.url("wss://parrot.example/v1/talk", parameters)
        return Address(url=url, headers={"X-Key": self.key()}, subprotocols=("parrot",))

    def opened(self, socket: WebSocket) -> None:
        socket.send_text(b'{"type":"settings"}')

    def on_text(self, payload: memoryview) -> None:
        try:
            message = msgspec.json.decode(payload)
        except msgspec.DecodeError as failure:
            self.complain(f"no JSON: {failure}")
            return
        match message["type"]:
            case "ready":
                self.session_id = message.get("id")
                self.ready(resumed=message.get("resumed", False))
            case "say":
                self._say(message["text"])
            case "used":
                self.emit(ev.UsageUpdated(input_audio_seconds=message["seconds"], **self.meta()))
            case "error":
                code = message["code"]
                refused = code == "settings"
                told = error_of(code, message["words"], self.name, refused=refused)
                self.error(told, fatal=message.get("fatal", False))
            case "over":
                self.lose("session_expired", "an hour is over")
            case "bye":
                self.ended()
            case kind:
                self.raw(kind, message)

    def _say(self, text: str) -> None:
        if self.response is None:
            self.response = "response_1"
            self.emit(ev.ResponseStarted(response_id=self.response, **self.meta()))
        self.stream(ev.TextOutput(text=text, response_id=self.response, **self.meta()))

    async def goodbye(self, socket: WebSocket) -> None:
        socket.send_text(b'{"type":"bye"}')
        await self.until_ended()

    def end_response(self, code: str | None) -> None:
        response, self.response = self.response, None
        if response is not None:
            self.tell_end(response, code)

    def notes(self) -> Iterable[tuple[str, str]]:
        yield "parrot_voice", "it has one voice"

    def reset(self) -> None:
        self.resets += 1

    async def send_text(self, text: str, role: str = "user") -> None:
        self.open_socket().send_text(text.encode())

    async def interrupt(self) -> None:
        self.open_socket()


class Parrot:
    """The vendor's side. `first` is sent when the settings come, `at_once` together with the handshake's answer."""

    def __init__(
        self, *first: dict[str, Any] | str | bytes, at_once: Any = (), answer: Answer | None = None
    ) -> None:
        self.first = first
        self.at_once = at_once
        self.answer = answer
        self.reset = False
        #: The code of the close frame that answers the settings; whether one answers a handle.
        self.closes: int | None = None
        self.refuses_handle = False
        self.says_goodbye = True
        self.requests: list[Request] = []
        self.got: list[str | bytes] = []
        self.socket: Socket | None = None
        self.gone = asyncio.Event()

    def route(self, request: Request) -> Answer | Accept | None:
        self.requests.append(request)
        if self.reset:
            return None
        return self.answer or Accept(self, "parrot")

    def on_open(self, socket: Socket) -> None:
        self.socket = socket
        for message in self.at_once:
            self.say(message)

    def on_message(self, message: str | bytes) -> None:
        self.got.append(message)
        if message == '{"type":"settings"}':
            if self.closes is not None:
                self.now.close(self.closes, "not like this")
            if self.refuses_handle and "resume" in self.requests[-1].query:
                self.now.close(1008, "no such handle")
            for answer in self.first:
                self.say(answer)
        elif message == '{"type":"bye"}' and self.says_goodbye:
            self.say({"type": "used", "seconds": 1.5})
            self.say({"type": "say", "text": "too late"})
            self.say({"type": "bye"})

    def on_close(self) -> None:
        self.gone.set()

    @property
    def now(self) -> Socket:
        assert self.socket is not None
        return self.socket

    def say(self, message: Any) -> None:
        self.now.send(message if isinstance(message, str | bytes) else json.dumps(message))


READY = {"type": "ready", "id": "s1"}
SAY = {"type": "say", "text": "hello"}


class Heard:
    """A provider and what it told."""

    def __init__(self, provider: ParrotProvider, server: EmulatorServer) -> None:
        self.provider = provider
        self.server = server
        self.events: list[Any] = []
        self._came = asyncio.Event()
        provider.on_event = self._take

    def _take(self, event: Any) -> None:
        self.events.append(event)
        self._came.set()

    @property
    def kinds(self) -> list[type[ev.ProviderEvent]]:
        return [type(event) for event in self.events]

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if type(event) is kind]

    async def wait(self, kind: type[_E]) -> _E:
        async with asyncio.timeout(30):
            while not self.of(kind):
                self._came.clear()
                await self._came.wait()
        return self.of(kind)[0]


@asynccontextmanager
async def serving(parrot: Parrot, **settings: Any) -> AsyncIterator[Heard]:
    """A provider that is to be connected, and is disconnected at the end."""
    server = EmulatorServer(parrot.route)
    await server.start()
    values = {"api_key": KEY, "endpoint": f"http://127.0.0.1:{server.port}", **settings}
    heard = Heard(ParrotProvider(values), server)
    try:
        yield heard
    finally:
        await heard.provider.disconnect()
        await server.close()


BEGIN = [ev.ConnectionStarting, ev.ConnectionEstablished, ev.SystemWarning]
FAILED = [ev.ConnectionStarting, ev.ConnectionFailed]


# -- the ordinary life


async def test_it_is_opened_talked_to_and_closed():
    parrot = Parrot(READY, SAY)
    async with serving(parrot, headers={"X-More": "1", "x-key": "not this"}) as heard:
        provider = heard.provider
        assert await provider.connect() is True
        assert await provider.connect() is True
        request = parrot.requests[0]
        assert (request.path, request.query) == ("/v1/talk", {"word": "b"})
        assert request.headers["x-key"] == KEY
        assert request.headers["x-more"] == "1"
        await heard.wait(ev.TextOutput)
        assert heard.kinds == [*BEGIN, ev.ResponseStarted, ev.TextOutput]
        assert heard.events[1].session_id == "s1"
        await provider.send_audio(bytes(320))
        provider.take_audio(bytes(640))
        provider.take_audio(b"")
        assert provider.sent_ms == 30
        await provider.disconnect()
        assert parrot.got == ['{"type":"settings"}', bytes(320), bytes(640), '{"type":"bye"}']
        # What it used counts to the last; what it says does not.
        assert heard.kinds[5:] == [ev.ResponseCancelled, ev.UsageUpdated, ev.ConnectionClosed]
        await provider.disconnect()
        assert len(heard.events) == 8
        assert len(parrot.requests) == 1


async def test_what_comes_with_the_handshake_finds_a_session():
    async with serving(Parrot(at_once=[READY, SAY])) as heard:
        await heard.provider.connect()
        await heard.wait(ev.TextOutput)
        assert heard.kinds == [*BEGIN, ev.ResponseStarted, ev.TextOutput]


async def test_the_first_message_goes_out_before_one_is_read():
    order: list[str] = []

    class Noting(ParrotProvider):
        def opened(self, socket: WebSocket) -> None:
            order.append("opened")
            super().opened(socket)

        def on_text(self, payload: memoryview) -> None:
            order.append("read")
            super().on_text(payload)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split()[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")
        )
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        ready = json.dumps(READY).encode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + bytes([0x81, len(ready)]) + ready
        )
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        provider = Noting({"api_key": KEY, "endpoint": f"ws://127.0.0.1:{port}"})
        await provider.connect()
        assert order == ["opened", "read"]
        await provider.disconnect()


async def test_before_the_session_stands_nothing_is_told_of_it():
    async with serving(Parrot({"type": "hm"}, "no json", SAY, READY, {"type": "oh"})) as heard:
        await heard.provider.connect()
        raw = await heard.wait(ev.RawEvent)
        assert raw.name == "oh"
        assert not heard.of(ev.ErrorGeneral)
        assert not heard.of(ev.ResponseStarted)


async def test_unknown_and_malformed_messages_do_no_harm():
    parrot = Parrot(READY, "{", b"12", {"type": "mood", "mood": "sunny"}, SAY)
    async with serving(parrot) as heard:
        await heard.provider.connect()
        await heard.wait(ev.TextOutput)
        errors = heard.of(ev.ErrorGeneral)
        assert [e.code for e in errors] == ["bad_message", "bad_message"]
        assert "no JSON" in (errors[0].error or "")
        assert "2 bytes" in (errors[1].error or "")
        assert heard.of(ev.RawEvent)[0].payload == {"type": "mood", "mood": "sunny"}


async def test_audio_has_its_format_and_needs_a_session():
    async with serving(Parrot(READY)) as heard:
        provider = heard.provider
        with pytest.raises(ConnectionError) as early:
            await provider.send_audio(bytes(320))
        assert early.value.code == "not_connected"
        await provider.connect()
        with pytest.raises(AudioError):
            await provider.send_audio(bytes(3))
        await provider.disconnect()
        for send in (provider.take_audio, provider.open_socket):
            with pytest.raises(ConnectionError) as late:
                send(*[bytes(320)] * (send == provider.take_audio))
            assert late.value.code == "closed"
        with pytest.raises(SessionClosedError):
            await provider.connect()


async def test_audio_that_the_vendor_does_not_take_is_dropped_and_told():
    async with serving(Parrot(READY)) as heard:
        provider = heard.provider
        await provider.connect()
        provider.open_socket().pause()
        for _ in range(100):
            provider.take_audio(bytes(3200))
        dropped = await heard.wait(ev.AudioDropped)
        assert dropped.direction == "input"
        assert provider.sent_ms == 100 * 100 - dropped.audio_ms
        assert 0 < dropped.audio_ms < 100 * 100
        provider.open_socket().resume()


async def test_an_error_of_the_vendor_is_told_without_the_key():
    error = {"type": "error", "code": "server", "words": f"no room for {KEY}"}
    async with serving(Parrot(READY, error)) as heard:
        await heard.provider.connect()
        told = await heard.wait(ev.ErrorGeneral)
        assert (told.code, told.error, told.recoverable) == ("server", "no room for ***", True)
        assert KEY not in repr(told)


# -- opening that fails


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (401, AuthenticationError, "auth"),
        (403, AuthenticationError, "auth"),
        (404, ConnectionError, "not_found"),
        (429, RateLimitError, "rate_limit"),
        (500, ConnectionError, "server"),
    ],
)
async def test_a_refused_handshake_is_a_typed_error(
    status: int, error: type[ProviderError], code: str
):
    answer = json_answer(status, {"error": {"message": f"not with {KEY}"}})
    async with serving(Parrot(answer=answer)) as heard:
        with pytest.raises(error) as caught:
            await heard.provider.connect()
        assert caught.value.code == code
        assert KEY not in str(caught.value)
        assert heard.kinds == FAILED
        assert heard.events[1].code == code
        with pytest.raises(SessionClosedError):
            await heard.provider.connect()


async def test_a_reset_connection_and_a_closed_port_are_typed_errors():
    parrot = Parrot()
    parrot.reset = True
    async with serving(parrot) as heard:
        with pytest.raises(ConnectionError) as caught:
            await heard.provider.connect()
        assert caught.value.code == "closed"
        assert heard.kinds == FAILED
    async with serving(Parrot()) as heard:
        await heard.server.stop_listening()
        with pytest.raises(ConnectionError) as refused:
            await heard.provider.connect()
        assert refused.value.code == "refused"


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        ({"code": "settings", "words": "no such voice"}, MessageError, "settings"),
        ({"code": "auth", "words": "who?", "fatal": True}, AuthenticationError, "auth"),
        ({"code": "quota", "words": "all used"}, RateLimitError, "quota"),
    ],
)
async def test_a_refused_session_is_a_typed_error(
    words: dict[str, Any], error: type[ProviderError], code: str
):
    async with serving(Parrot({"type": "error", **words})) as heard:
        with pytest.raises(error, match=words["words"].replace("?", ".")) as caught:
            await heard.provider.connect()
        assert caught.value.code == code
        assert heard.kinds == FAILED


@pytest.mark.parametrize(
    ("close", "code", "retryable"),
    [(4001, "auth", False), (4008, "session_expired", True), (1008, "closed", False)],
)
async def test_a_close_before_the_session_stands_fails_it(close: int, code: str, retryable: bool):
    parrot = Parrot()
    parrot.closes = close
    async with serving(parrot) as heard:
        with pytest.raises(ConnectionError) as caught:
            await heard.provider.connect()
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert heard.kinds == FAILED


async def test_one_budget_is_for_all_of_it():
    clock = asyncio.get_running_loop().time
    async with serving(Parrot(), connect_timeout=3.0) as heard:  # no session
        began = clock()
        heard.provider.waits_for_token = 2.0
        with pytest.raises(ConnectionError, match="no session within 3 s") as caught:
            await heard.provider.connect()
        assert caught.value.code == "timeout"
        assert clock() - began == pytest.approx(3.0, abs=0.2)
        assert heard.kinds == FAILED
    async with serving(Parrot(READY), connect_timeout=3.0) as heard:
        heard.provider.waits_for_token = 60.0
        with pytest.raises(ConnectionError, match="no address or token") as caught:
            await heard.provider.connect()
        assert caught.value.code == "timeout"


async def test_a_silent_handshake_has_what_is_left_of_the_budget():
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    clock = asyncio.get_running_loop().time
    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        endpoint = f"ws://127.0.0.1:{port}"
        provider = ParrotProvider({"api_key": KEY, "endpoint": endpoint, "connect_timeout": 3})
        provider.waits_for_token = 2.0
        began = clock()
        with pytest.raises(ConnectionError) as caught:
            await provider.connect()
        assert caught.value.code == "timeout"
        assert clock() - began == pytest.approx(3.0, abs=0.2)
        await provider.disconnect()


async def test_a_first_message_that_cannot_be_made_fails_the_connection(
    monkeypatch: pytest.MonkeyPatch,
):
    def opened(_: WebSocket) -> None:
        raise ValueError(f"broken by {KEY}")

    async with serving(Parrot(READY)) as heard:
        monkeypatch.setattr(heard.provider, "opened", opened)
        with pytest.raises(ValueError, match="broken"):
            await heard.provider.connect()
        assert heard.events[-1].error == "ValueError"


async def test_what_is_wrong_with_the_configuration_is_found_early(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("PARROT_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"'parrot' needs an api_key.*PARROT_KEY"):
        ParrotProvider()
    with pytest.raises(ConfigurationError, match="no key") as bad:
        ParrotProvider({"api_key": "a b"})
    assert "a b" not in str(bad.value)
    monkeypatch.setenv("PARROT_KEY", f"{KEY}\n")
    assert ParrotProvider().key() == KEY
    for settings, words in (
        ({"connect_timeout": "soon"}, "connect_timeout"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"headers": "X: 1"}, "headers"),
        ({"endpoint": "ftp://x"}, "no address"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            await ParrotProvider(settings).connect()


# -- disconnected in the middle of it


@pytest.mark.parametrize("token", [60.0, 0.0], ids=["in the token", "in the session"])
async def test_disconnecting_ends_a_connecting(token: float):
    async with serving(Parrot()) as heard:
        heard.provider.waits_for_token = token
        connecting = asyncio.create_task(heard.provider.connect())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await heard.provider.disconnect()
        assert asyncio.get_running_loop().time() - began < 1
        with pytest.raises(SessionClosedError):
            await connecting
        assert heard.kinds == [ev.ConnectionStarting]


async def test_a_cancelled_connecting_leaves_nothing():
    parrot = Parrot()
    async with serving(parrot) as heard:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await heard.provider.connect()
        await asyncio.wait_for(parrot.gone.wait(), 5)
        assert heard.kinds == [ev.ConnectionStarting]
        assert not heard.provider.is_connected


async def test_disconnecting_when_it_has_just_been_established():
    async with serving(Parrot(READY)) as heard:
        provider, tasks = heard.provider, []
        taken = provider._sink

        def sink(event: Any) -> None:
            assert taken is not None
            taken(event)
            if type(event) is ev.ConnectionEstablished:
                tasks.append(asyncio.create_task(provider.disconnect()))

        provider.on_event = sink
        with suppress(SessionClosedError):
            await provider.connect()
        await asyncio.wait(tasks)
        ends = [k for k in heard.kinds if k in (ev.ConnectionClosed, ev.ConnectionLost)]
        assert ends == [ev.ConnectionClosed]
        assert ev.ConnectionFailed not in heard.kinds


# -- the end that nobody asked for


@pytest.mark.parametrize(
    ("close", "code", "retryable"),
    [
        (1011, "closed", True),
        (1008, "closed", False),
        (4001, "auth", False),
        (4008, "session_expired", True),
        (None, "closed", True),
    ],
)
async def test_a_loss_in_mid_answer_is_told_once(close: int | None, code: str, retryable: bool):
    parrot = Parrot(READY, SAY)
    async with serving(parrot) as heard:
        await heard.provider.connect()
        await heard.wait(ev.TextOutput)
        if close is None:
            parrot.now.kill()
        else:
            parrot.now.close(close, "good night")
        lost = await heard.wait(ev.ConnectionLost)
        assert (lost.code, lost.close_code, lost.retryable) == (code, close, retryable)
        assert heard.kinds[-2:] == [ev.ResponseError, ev.ConnectionLost]
        assert heard.of(ev.ResponseError)[0].code == code
        with pytest.raises(ConnectionError) as late:
            heard.provider.take_audio(bytes(320))
        assert late.value.code == "closed"
        await heard.provider.disconnect()
        assert heard.kinds[-1] is ev.ConnectionLost


async def test_an_end_that_a_message_tells_is_told_once():
    parrot = Parrot(READY, {"type": "over"}, SAY)
    async with serving(parrot) as heard:
        with pytest.raises(ConnectionError, match="an hour is over") as caught:
            await heard.provider.connect()
        assert caught.value.code == "session_expired"
        await asyncio.wait_for(parrot.gone.wait(), 5)  # we close what is over
        await heard.provider.disconnect()
        assert heard.kinds == [*BEGIN, ev.ConnectionLost]
        assert (heard.events[-1].code, heard.events[-1].reason) == (
            "session_expired",
            "an hour is over",
        )


async def test_what_is_over_is_closed():
    parrot = Parrot(READY)
    async with serving(parrot) as heard:
        await heard.provider.connect()
        parrot.say({"type": "over"})
        await heard.wait(ev.ConnectionLost)
        await asyncio.wait_for(parrot.gone.wait(), 5)
        assert heard.kinds == [*BEGIN, ev.ConnectionLost]


async def test_the_error_before_a_close_says_why():
    fatal = {"type": "error", "code": "quota", "words": "all used", "fatal": True}
    parrot = Parrot(READY, fatal)
    async with serving(parrot) as heard:
        await heard.provider.connect()
        assert not (await heard.wait(ev.ErrorGeneral)).recoverable
        parrot.now.close(1000)
        lost = await heard.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == ("quota", False)


async def test_a_vendor_that_says_no_goodbye_is_left_in_time():
    parrot = Parrot(READY)
    parrot.says_goodbye = False
    async with serving(parrot) as heard:
        await heard.provider.connect()
        began = asyncio.get_running_loop().time()
        await heard.provider.disconnect()
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.2)
        assert heard.kinds[-1] is ev.ConnectionClosed


# -- resuming


async def test_a_handle_is_taken_up():
    async with serving(Parrot({**READY, "resumed": True}), resume="h1") as heard:
        await heard.provider.connect()
        assert heard.provider.resumed
        assert heard.of(ev.ConnectionEstablished)[0].resumed
        assert heard.provider.resets == 0


async def test_a_refused_handle_gives_a_fresh_session(caplog: pytest.LogCaptureFixture):
    parrot = Parrot(READY)
    parrot.refuses_handle = True
    with caplog.at_level(logging.INFO, "voxengine.providers"):
        async with serving(parrot, resume="h1") as heard:
            await heard.provider.connect()
            assert heard.kinds == BEGIN
            assert [r.query.get("resume") for r in parrot.requests] == ["h1", None]
            assert not heard.provider.resumed
            assert heard.provider.resets == 1
    assert "h1" not in caplog.text


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_trouble_that_is_not_the_handles_is_not_tried_again(status: int):
    parrot = Parrot(answer=json_answer(status, {}))
    async with serving(parrot, resume="h1") as heard:
        with pytest.raises(ProviderError):
            await heard.provider.connect()
        assert len(parrot.requests) == 1


# -- words


def test_statuses_and_codes_have_their_errors():
    codes = {401: "auth", 402: "quota", 404: "not_found", 408: "timeout", 429: "rate_limit"}
    assert {status: code_of_status(status) for status in codes} == codes
    assert (code_of_status(503), code_of_status(422)) == ("server", "message")
    limited = error_of("rate_limit", "slow down", "parrot", retry_after=2.0)
    assert isinstance(limited, RateLimitError)
    assert (limited.retry_after, limited.retryable, str(limited)) == (
        2.0,
        True,
        "parrot: slow down",
    )
    assert isinstance(error_of("message", "no", "parrot"), MessageError)
    assert isinstance(error_of("session_expired", "", "parrot"), ConnectionError)
    assert error_of("server", "", "parrot").retryable
    assert not error_of("content_filter", "", "parrot").retryable


def test_an_endpoint_takes_the_vendors_place():
    own = "wss://api.vendor.com/v1/listen?version=2"
    for endpoint, url in (
        (None, own),
        ("http://127.0.0.1:80", "ws://127.0.0.1:80/v1/listen?version=2"),
        ("eu.vendor.com/v1/", "wss://eu.vendor.com/v1/listen?version=2"),
        ("https://proxy/other?x=1", "wss://proxy/other?x=1"),
    ):
        assert websocket_url(own, endpoint) == url
    parameters = {"key": ["a b", "c"], "no": None, "version": "9"}
    assert websocket_url(own, None, parameters) == f"{own}&key=a+b&key=c"
    assert http_url(own, "ws://h:1") == "http://h:1/v1/listen?version=2"
    assert http_url(own) == "https://api.vendor.com/v1/listen?version=2"
    for bad in ("", "ftp://x", "wss://user:pass@/x?token=1", "http://h:x", 5):
        with pytest.raises(ConfigurationError) as caught:
            websocket_url(own, bad)
        assert "pass" not in str(caught.value)
        assert "token" not in str(caught.value)
    assert KEY not in repr(Address(url=own, headers={"X": KEY}))
