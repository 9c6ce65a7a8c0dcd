"""No key, token or password is ever seen: not in a log, a repr, an event, an error, its causes or a traceback."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.openai.calls import (
    DIALECTS,
    Call,
    Peer,
    Peers,
    calling,
    emulated,
    make,
    peers,
    polite,
    provider_of,
)
from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.errors import MessageError
from voxengine.testing.emulators.faults import Drop, Malformed, Oversized
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.openai import OpenAIEmulator

#: Common to all of them: it has to be seen nowhere.
MARK = "hUsH77"
KEY = f"sk-{MARK}-key-0123456789abcdef"
TOKEN = f"ey{MARK}.token.0123456789.signature"
PASSWORD = f"{MARK}-password!"
EPHEMERAL = f"ek_{MARK}_ephemeral_0123456789"
#: The form in which a user and a password travel.
BASIC = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()


def shows(text: str) -> bool:
    return MARK in text or BASIC in text


class Witness:
    """Sees all that anybody could see."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self._texts: list[str] = []
        self._handler = logging.StreamHandler(self._stream)
        self._handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)r"))

    def __enter__(self) -> Witness:
        root = logging.getLogger()
        self._before = [(root, root.level)]
        root.addHandler(self._handler)
        for name in (None, "voxengine", "voxengine.net", "picows", "picows.client", "asyncio"):
            logger = logging.getLogger(name)
            self._before.append((logger, logger.level))
            logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        for logger, level in self._before:
            logger.setLevel(level)

    def see(self, *things: Any) -> None:
        for thing in things:
            self._texts += [repr(thing), str(thing)]

    def see_call(self, call: Call) -> None:
        provider = call.provider
        self.see(provider, provider.config, provider.connection, provider._decoder, provider._waits)
        for event in call.events:
            self.see(event, event.data)

    def see_error(self, error: BaseException | None) -> None:
        """An error with all that it was caused by, and their tracebacks."""
        if error is not None:
            self._texts.append("".join(traceback.format_exception(error)))
        while error is not None:
            self.see(error, getattr(error, "args", ()))
            error = error.__cause__ or error.__context__

    def check(self) -> None:
        logged = self._stream.getvalue()
        assert logged, "nothing was logged: this saw nothing"
        assert [line for line in logged.splitlines() if shows(line)] == []
        assert [text for text in self._texts if shows(text)] == []
        assert self._texts


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as found:
        yield found
        found.check()


async def use(call: Call, witness: Witness) -> None:
    """Connect, say something, disconnect; whatever happens is looked at."""
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 0.0
    witness.see_call(call)
    try:
        await call.provider.connect()
        witness.see_call(call)
        await call.provider.update_session(instructions="Be brief.")
        await call.provider.send_audio(bytes(4800))
        await call.provider.send_text("say yes")
        await call.wait_ends()
        await call.provider.send_event({"type": "nonsense.of.ours"})
        await asyncio.sleep(1)
        await call.provider.update_session(speed=9)
    except Exception as failure:
        witness.see_error(failure)
        await asyncio.sleep(1)
    finally:
        await call.provider.disconnect()
    witness.see_call(call)


def secret_settings(kind: str, emulator: OpenAIEmulator | Peers) -> dict[str, Any]:
    endpoint = emulator.endpoint
    match kind:
        case "key":
            return {"api_key": KEY}
        case "token":
            return {"api_key": None, "token_provider": lambda: TOKEN}
        case "header":
            return {"api_key": KEY, "auth_type": "header", "auth_name": "X-Member"}
        case "query":
            return {"api_key": KEY, "auth_type": "query", "auth_name": "subscription"}
        case "user":
            return {"endpoint": endpoint.replace("ws://", f"ws://ada:{PASSWORD}@"), "api_key": KEY}
        case "headers":
            return {"api_key": KEY, "headers": {"X-Auth-Token": TOKEN, "Cookie": f"a={TOKEN}"}}
        case "metadata":
            return {"metadata": {"endpoint": f"{endpoint}?token={TOKEN}"}, "api_key": KEY}
    raise AssertionError(kind)


KINDS = ("key", "token", "header", "query", "user", "headers", "metadata")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_good_connection(dialect: str, witness: Witness):
    async with OpenAIEmulator(dialect, {"say yes": "yes"}, key=KEY) as emulator:
        await use(make(emulator, api_key=KEY), witness)


class Echo:
    """A server that repeats what it is shown: in its refusals, its complaints and its last words."""

    def __init__(self, kind: str, witness: Witness) -> None:
        self._kind = kind
        self._witness = witness
        self._shown = ""
        #: The kinds of events that had something to say of what went wrong.
        self.told: set[type] = set()

    async def meet(self, answer: Any, react: Any = polite) -> None:
        async with peers(react, answer) as server:
            settings = {"endpoint": server.endpoint, **secret_settings(self._kind, server)}
            if "metadata" in settings:
                del settings["endpoint"]
            call = Call(provider_of("custom", settings))
            await use(call, self._witness)
            self.told |= {type(event) for event in call.events if event.error is not None}

    def words(self, request: Request) -> str:
        self._shown = " ".join([*request.headers.values(), *request.query.values()])
        return self._shown

    def refuse(self, status: int) -> Any:
        message = "No: "
        return lambda r: json_answer(status, {"error": {"message": message + self.words(r)}})

    def accept(self, request: Request) -> None:
        self.words(request)

    def complain(self, peer: Peer, event: dict[str, Any]) -> None:
        error = {"type": "invalid_request_error", "code": "bad", "message": f"Bad {self._shown}"}
        answered = "response.create" in peer.types()
        match event["type"]:
            case "(open)":
                polite(peer, event)
            case "session.update" if not answered:
                polite(peer, event)
                peer.send("error", error=error)
            case "session.update":
                peer.send("error", error={**error, "event_id": event["event_id"]})
                peer.close(1008, self._shown.encode()[:100].decode())
            case "response.create":
                failed = {"type": "failed", "error": error}
                done = {"id": "r", "status": "failed", "status_details": failed}
                peer.send("response.created", response={"id": "r"})
                peer.send("response.done", response=done)
                name = "conversation.item.input_audio_transcription.failed"
                peer.send(name, item_id="i", error=error)
                peer.send("error", error={**error, "event_id": "truncate"})

    def complain_at_once(self, peer: Peer, event: dict[str, Any]) -> None:
        peer.send("error", error={"code": "invalid_api_key", "message": self._shown})


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_repeats_what_it_is_shown(kind: str, witness: Witness):
    echo = Echo(kind, witness)
    for status in (401, 403, 404, 429, 500, 418):
        await echo.meet(echo.refuse(status))
    await echo.meet(lambda request: Answer(400, f"<html>{echo.words(request)}".encode()))
    await echo.meet(echo.accept, echo.complain)
    await echo.meet(echo.accept, echo.complain_at_once)
    assert echo.told >= {ev.ConnectionFailed, ev.ConnectionLost, ev.ErrorGeneral, ev.ResponseError}
    assert ev.TranscriptFailed in echo.told


@pytest.mark.parametrize(
    "fault", [Drop(close_code=1011, after_chunks=1), Malformed(after_chunks=1), Oversized()]
)
async def test_a_connection_with_a_fault(fault: Any, witness: Witness):
    async with OpenAIEmulator("openai", {"say yes": "yes"}, key=KEY, faults=fault) as emulator:
        await use(make(emulator, api_key=KEY), witness)


async def test_a_server_that_is_not_there(witness: Witness):
    for settings in (
        {"endpoint": f"ws://ada:{PASSWORD}@127.0.0.1:9/v1", "api_key": KEY},
        {"endpoint": f"ws://ada:{PASSWORD}@no-such-host.invalid/v1?sig={TOKEN}", "api_key": KEY},
        {"endpoint": "ws://x.test", "api_key": KEY, "proxy": f"http://ada:{PASSWORD}@127.0.0.1:9"},
        {"endpoint": "ws://x.test", "api_key": KEY, "proxy": f"ada:{PASSWORD}@127.0.0.1:9"},
    ):
        call = Call(provider_of("openai", {**settings, "connect_timeout": 3}))
        await use(call, witness)
        try:
            await call.provider.create_client_secret()
        except Exception as failure:
            witness.see_error(failure)


async def test_addresses_that_are_none(witness: Witness):
    logging.getLogger("voxengine").debug("so that something was logged")
    for endpoint in (
        f"ftp://ada:{PASSWORD}@host",
        f"ws://ada:{PASSWORD}@",
        f"ws://ada:{PASSWORD}@host:port",
        f"ws://ada:{PASSWORD}@[::1",
    ):
        try:
            provider = provider_of("custom", {"endpoint": endpoint, "api_key": KEY})
            await provider.connect()
        except Exception as failure:
            witness.see_error(failure)
        else:
            raise AssertionError(endpoint)


async def test_a_proxy_that_refuses(witness: Witness):
    def answer(request: Request) -> Answer:
        shown = " ".join(request.headers.values())
        return Answer(407, f"No, {shown}".encode())

    async with peers(answer=answer) as proxy:
        for scheme in ("ws", "wss"):
            settings = {
                "endpoint": f"{scheme}://api.example.test/v1",
                "api_key": KEY,
                "proxy": f"http://ada:{PASSWORD}@127.0.0.1:{proxy.server.port}",
            }
            call = Call(provider_of("openai", settings))
            await use(call, witness)
            try:
                await call.provider.create_client_secret()
            except Exception as failure:
                witness.see_error(failure)


async def test_keys_that_do_not_last(witness: Witness):
    secret = {"value": EPHEMERAL, "expires_at": 99, "session": {"type": "realtime"}}
    async with peers(answer=lambda _: json_answer(200, secret)) as server:
        provider = server.call(api_key=KEY).provider
        found = await provider.create_client_secret()
        assert found.value == EPHEMERAL
        witness.see(found, [found], {"secret": found})
    broken = Answer(200, f'{{"value": 5, "key": "{EPHEMERAL}"'.encode())
    refused = json_answer(401, {"error": {"message": f"Bad {KEY}"}})
    for answer in (broken, refused):
        async with peers(answer=lambda _, answer=answer: answer) as server:  # type: ignore[misc]
            try:
                await server.call(api_key=KEY).provider.create_client_secret()
            except Exception as failure:
                witness.see_error(failure)
    logging.getLogger("voxengine").debug("so that something was logged")


async def test_tokens_that_are_none(witness: Witness):
    for token in (f"{TOKEN}\n{TOKEN}", f"{TOKEN} {TOKEN}", f"{TOKEN}é", [TOKEN]):
        async with peers() as server:
            call = server.call(
                "azure",
                api_key=None,
                token_provider=lambda token=token: token,
            )
            await use(call, witness)
    logging.getLogger("voxengine").debug("so that something was logged")


async def test_a_key_that_is_given_to_an_open_session_is_refused_and_not_told_of():
    async with emulated() as emulator, calling(emulator) as call:
        for settings in ({"api_key": KEY}, {"headers": {"Cookie": TOKEN}, "speed": 1.2}):
            with pytest.raises(MessageError) as caught:
                await call.provider.update_session(**settings)
            assert caught.value.code == "fixed"
            assert MARK not in str(caught.value)
        assert call.of(ev.SessionUpdated) == []
        assert MARK not in repr(call.provider.config)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"proxy": f"http://ada:{PASSWORD}@h:1"}, "http://***@h:1"),
        ({"proxy": f"ada:{PASSWORD}@h:1"}, "***@h:1"),
        ({"endpoint": f"wss://ada:{PASSWORD}@h/v1?model=m"}, "wss://***@h/v1?model=m"),
        ({"endpoint": f"h/v1?model=m&api-key={KEY}&x=1"}, "h/v1?model=m&api-key=***&x=1"),
        ({"metadata": {"endpoint": f"wss://h/?sig={TOKEN}"}}, "wss://h/?sig=***"),
        ({"metadata": {"headers": {"Cookie": TOKEN, "X-Api-Key": KEY}}}, "'Cookie': '***'"),
        ({"instructions": "Write to ada:x@example.test"}, "Write to ada:x@example.test"),
    ],
)
def test_a_configuration_shows_addresses_without_what_is_secret(given: dict[str, Any], shown: str):
    text = repr(ProviderConfig(**given))
    assert shown in text
    assert MARK not in text


async def test_nothing_that_is_sent_holds_a_key():
    """The key is shown once, at the door."""
    async with peers() as server:
        call = server.call(api_key=KEY)
        await call.provider.connect()
        await call.provider.send_text("Hello")
        await asyncio.sleep(1)
        assert server.peer.received
        assert MARK not in repr(server.peer.received)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        await call.provider.disconnect()
