"""Documented snippets: every example that is meant to run, as it was written.

The code of a snippet is a string that is executed as it stands, `await` at the top included. What a snippet leaves
open (a key, some audio, a class that the reader writes) is given to it by the test. Where an example is a fragment, the
test puts its lines into the method or class that it is a fragment of.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import sys
import textwrap
import types
from collections.abc import AsyncIterator, Callable
from typing import Any, Optional

import picows
import pytest

import voxengine
from voxengine import (
    AudioError,
    AudioFormat,
    BaseProvider,
    ConnectionState,
    EventType,
    MessageError,
    MessageType,
    MockConfig,
    MockProvider,
    ProviderConfig,
    ProviderError,
    ProviderEvent,
    VoiceEngine,
    VoiceEngineConfig,
    register_provider,
)
from voxengine.audio.signal import speak
from voxengine.events import make_event
from voxengine.providers import registry
from voxengine.session.moments import When

AUDIO = speak("hello", AudioFormat())


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    for name in list(os.environ):
        if name.startswith("VOXENGINE_") or name.endswith("_KEY"):
            monkeypatch.delenv(name)


async def run(snippet: str, **names: Any) -> dict[str, Any]:
    """Execute a snippet with these names; returns all names as they are afterwards."""
    code = compile(
        textwrap.dedent(snippet), "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
    return names


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other code on the loop brings about."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is another's code that brings it about
            await asyncio.sleep(0.001)


# -- the interface of a provider


async def test_usage_example(capsys: pytest.CaptureFixture[str]) -> None:
    class OpenAIConfig(MockConfig): ...

    class OpenAIProvider(MockProvider): ...

    # Somebody says something, and falls silent.
    audio = AUDIO + bytes(48000)
    names: dict[str, Any] = {
        "OpenAIConfig": OpenAIConfig,
        "OpenAIProvider": OpenAIProvider,
        "audio_bytes": audio,
    }

    async def hang_up() -> None:
        # The loop of the example ends when the connection does.
        await asyncio.sleep(5)
        await names["provider"].disconnect()

    task = asyncio.ensure_future(hang_up())
    code = """
        # Create provider
        config = OpenAIConfig(api_key="your-key")
        provider = OpenAIProvider(config)

        # Connect
        await provider.connect()

        # Send messages
        await provider.send_text("Hello, AI!")
        await provider.send_audio(audio_bytes)

        # Handle events
        async for event in provider.events():
            if event.type == "text_chunk":
                print(event.data["text"])
            elif event.type == "audio_chunk":
                # Process audio
                pass

        # Disconnect
        await provider.disconnect()
    """
    compiled = compile(
        textwrap.dedent(code), "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    await eval(compiled, names)
    await task
    assert capsys.readouterr().out.split() == ["You", "said:", "hello"]
    assert names["provider"].calls("send_text") == [("Hello, AI!", "user")]
    assert names["provider"].calls("send_audio") == [(len(audio),)]


async def test_config_class_and_provider() -> None:
    names = await run(
        """
        class MyProviderConfig(ProviderConfig):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                # Add provider-specific config
        """,
        ProviderConfig=ProviderConfig,
    )
    config = names["MyProviderConfig"](api_key="k", voice="nova", region="eu")
    assert (config.api_key, config["voice"], config.option("region")) == ("k", "nova", "eu")
    names = await run(
        """
        class MyProvider(BaseProvider):
            async def connect(self) -> bool:
                # Establish connection
                # Set self.state = ConnectionState.CONNECTED
                # Generate self.session_id
                self.state = ConnectionState.CONNECTED
                self.session_id = "session-1"
                return True

            # Implement all abstract methods...
            async def disconnect(self): self.state = ConnectionState.DISCONNECTED
            async def send_audio(self, audio_data): pass
            async def send_text(self, text, role="user"):
                self.emit_event("text_chunk", {"text": text})
            async def interrupt(self): pass
        """,
        BaseProvider=BaseProvider,
        ConnectionState=ConnectionState,
    )
    provider = names["MyProvider"](config)
    assert await provider.connect() is True
    assert provider.is_connected()
    seen: list[Any] = []
    provider.on_event("text_chunk", seen.append)
    await provider.send_text("hi")
    assert [(e.type, e.data["text"], e.session_id) for e in seen] == [
        ("text_chunk", "hi", "session-1")
    ]
    # And as an application uses it.
    register_provider("my", names["MyProvider"])
    async with VoiceEngine(provider="my") as engine:
        await engine.send_text("hi")
        assert engine.conversation[-1].text == "hi"


#: The documented interface: a call of each method, as its signature says.
INTERFACE = """
    connected = await provider.connect()
    assert connected
    assert provider.is_connected()
    await provider.send_message(MessageType.SESSION_CREATE, {"instructions": "be brief"})
    await provider.send_message(MessageType.SESSION_UPDATE, {"voice": "alto"})
    await provider.send_message(MessageType.CONVERSATION_ITEM_CREATE, {"text": "noted", "role": "system"})
    await provider.send_message(MessageType.AUDIO_BUFFER_APPEND, {"audio": audio_data})
    await provider.send_audio(audio_data)
    await provider.send_text("hello", role="user")
    await provider.create_response(modalities=["text", "audio"])
    await provider.interrupt()
    await provider.update_session(instructions="be briefer")
    format = provider.get_audio_format()
    capabilities = provider.get_capabilities()
    provider.on_event("text_chunk", handler)
    events = provider.events()
    event = await events.__anext__()
    await provider.disconnect()
    assert not provider.is_connected()
"""


async def test_the_interface_as_it_is_documented() -> None:
    provider = MockProvider(MockConfig(api_key="test-key", capabilities={"auto_response": False}))
    snippet = INTERFACE.replace(
        'send_text("hello", role="user")', 'send_text("hello", role="system")'
    )
    names = await run(
        snippet,
        provider=provider,
        MessageType=MessageType,
        audio_data=AUDIO,
        handler=print,
    )
    assert names["format"] == AudioFormat()
    assert isinstance(names["capabilities"], dict)
    json.dumps(names["capabilities"])
    assert isinstance(names["event"], ProviderEvent)
    assert isinstance(names["events"], AsyncIterator)
    assert provider.config.instructions == "be briefer"
    assert provider.config.voice == "alto"
    assert provider.calls("send_audio") == [(len(AUDIO),)] * 2


def test_the_standard_types() -> None:
    documented = {
        "SESSION_CREATE",
        "SESSION_UPDATE",
        "CONVERSATION_ITEM_CREATE",
        "AUDIO_BUFFER_APPEND",
        "RESPONSE_CREATE",
        "RESPONSE_CANCEL",
        "AUDIO_CHUNK",
        "TEXT_CHUNK",
    }
    assert documented <= {m.name for m in MessageType}
    assert [s.name for s in ConnectionState] == [
        "DISCONNECTED",
        "CONNECTING",
        "CONNECTED",
        "RECONNECTING",
        "ERROR",
    ]
    event = ProviderEvent(
        type="text_chunk", data={"a": 1}, timestamp=1.5, provider="p", session_id=None, error=None
    )
    assert (event.type, event.data, event.timestamp) == ("text_chunk", {"a": 1}, 1.5)
    assert AudioFormat(encoding="pcm16", sample_rate=24000, channels=1, frame_size=None) == (
        AudioFormat()
    )


@pytest.mark.parametrize("name", ["voxengine", "builtins"])
async def test_error_handling(name: str) -> None:
    error = vars(sys.modules[name]).get("ConnectionError") or voxengine.ConnectionError
    names = await run(
        """
        handled = False
        try:
            await provider.connect()
        except ConnectionError as e:
            # Handle connection failure
            handled = e
            pass
        """,
        provider=MockProvider(MockConfig(faults="refuse")),
        ConnectionError=error,
    )
    assert isinstance(names["handled"], voxengine.ConnectionError)
    assert issubclass(MessageError, ProviderError)
    assert issubclass(AudioError, ProviderError)


# -- the earlier name, and the modes


async def test_readme_of_the_earlier_name() -> None:
    names = await run(
        """
        from voicechatengine.v2 import MockProvider, MockConfig

        # Create and use a provider
        config = MockConfig(api_key="test-key")
        provider = MockProvider(config)
        await provider.connect()
        await provider.send_text("Hello, AI!")
        """
    )
    provider = names["provider"]
    assert type(provider) is MockProvider
    assert provider.calls("send_text") == [("Hello, AI!", "user")]
    await provider.disconnect()


async def test_provider_mode() -> None:
    register_provider("openai", MockProvider)
    names = await run(
        """
        from voxengine import VoiceEngine, VoiceEngineConfig

        # Use the new provider abstraction
        config = VoiceEngineConfig(
            api_key="your-api-key",
            provider="openai",  # or "mock" for testing
            mode="provider",    # Use provider mode
            voice="nova"
        )

        engine = VoiceEngine(config)
        await engine.connect()
        await engine.send_text("Hello!")
        """
    )
    engine = names["engine"]
    assert engine.provider.config.voice == "nova"
    await asyncio.sleep(5)
    assert engine.conversation[-1].text == "You said: Hello!"
    await engine.disconnect()


async def test_direct_provider_usage(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}

    async def hang_up() -> None:
        await asyncio.sleep(5)
        await names["provider"].disconnect()

    task = asyncio.ensure_future(hang_up())
    code = """
from voxengine.providers import MockProvider, MockConfig

config = MockConfig(api_key="test-key")
provider = MockProvider(config)
await provider.connect()
await provider.send_text("Hello!")

async for event in provider.events():
    print(f"Event: {event.type}")
"""
    compiled = compile(code, "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(compiled, names)
    await task
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Event: connection_starting", "Event: connection_established"]
    assert "Event: text_chunk" in lines
    assert "Event: audio_chunk" in lines
    assert lines[-1] == "Event: connection_closed"


# -- the system of providers

CONFIGS = {
    "openai": """
        config = VoiceEngineConfig(
            api_key="sk-...",
            provider="openai",
            mode="fast"
        )
    """,
    "mock": """
        config = VoiceEngineConfig(
            provider="mock",
            mode="fast"
        )
    """,
    "custom": """
        config = VoiceEngineConfig(
            provider="custom",
            mode="provider",
            metadata={
                "endpoint": "wss://your-api.com/realtime",
                "auth_type": "bearer",
                "model": "custom-voice-v1"
            }
        )
    """,
    "azure": """
        # Use custom provider
        config = VoiceEngineConfig(
            provider="azure",
            api_key="your-azure-key",
            metadata={
                "endpoint": "wss://speech.azure.com/realtime",
                "region": "westus2"
            }
        )
    """,
}


@pytest.mark.parametrize("name", CONFIGS)
async def test_configurations(name: str) -> None:
    names = await run(CONFIGS[name], VoiceEngineConfig=VoiceEngineConfig)
    config = names["config"]
    assert config.provider == name
    # Making the engine needs no provider yet; connecting does.
    engine = VoiceEngine(config)
    made: list[Any] = []

    class StandIn(MockProvider):
        def __init__(self, config: Any) -> None:
            made.append(config)
            super().__init__({"api_key": config.get("api_key")})

    register_provider(name, StandIn)
    async with engine:
        assert engine.is_connected
    for key, value in config.metadata.items():
        assert made[0]["metadata"][key] == made[0].metadata[key] == value
    assert made[0].get("api_key") == config.api_key


METADATA = """
    # OpenAI specific
    metadata = {
        "model": "gpt-4-turbo",
        "temperature": 0.7,
        "max_tokens": 150
    }
    configure(metadata)

    # AWS Transcribe specific
    metadata = {
        "region": "us-east-1",
        "language_code": "en-US",
        "vocabulary_name": "medical-terms"
    }
    configure(metadata)

    # Google Cloud Speech specific
    metadata = {
        "language_code": "en-US",
        "enable_word_time_offsets": True,
        "model": "latest_long"
    }
    configure(metadata)
"""


async def test_metadata_of_several_providers() -> None:
    made: list[ProviderConfig] = []

    def configure(metadata: dict[str, Any]) -> None:
        config = VoiceEngineConfig(provider="custom", metadata=metadata).provider_config()
        assert {name: config.option(name) for name in metadata} == metadata
        made.append(config)

    await run(METADATA, configure=configure)
    assert len(made) == 3
    assert made[0].metadata["max_tokens"] == 150


ABSTRACT = '''
    class DocumentedProvider(BaseProvider):
        """Base interface for all voice providers"""

        def __init__(self, config: Dict[str, Any]):
            super().__init__(config)
            self.connection = None
            self.session_id = None

        async def connect(self) -> None:
            """Establish connection to provider"""
            calls.append("connect")

        async def disconnect(self) -> None:
            """Close connection cleanly"""
            calls.append("disconnect")

        async def send_audio(self, audio_data: bytes) -> None:
            """Send audio data to provider"""
            calls.append(("audio", len(audio_data)))

        async def send_text(self, text: str) -> None:
            """Send text message to provider"""
            calls.append(("text", text))
            self.emit_event(EventType.TEXT_OUTPUT, {"text": "yes"})

        async def interrupt(self) -> None:
            """Interrupt current response"""
            calls.append("interrupt")

        async def configure_session(self, config: Dict[str, Any]) -> None:
            """Configure provider session"""
            calls.append(("configure", config))
'''


async def test_the_abstract_class_as_it_is_documented() -> None:
    calls: list[Any] = []
    names = await run(
        ABSTRACT, BaseProvider=BaseProvider, Dict=dict, Any=Any, EventType=EventType, calls=calls
    )
    cls = names["DocumentedProvider"]
    provider = cls({"api_key": "k", "metadata": {"endpoint": "e"}})
    assert provider.config["api_key"] == "k"
    assert provider.config["metadata"]["endpoint"] == provider.config.metadata["endpoint"] == "e"
    # The optional methods.
    assert await provider.get_usage() is None
    assert await provider.estimate_cost() is None
    register_provider("documented", cls)
    async with VoiceEngine(provider="documented") as engine:
        await engine.send_audio(AUDIO)
        await engine.send_text("Hello")
        assert engine.conversation[-1].text == "yes"
        await engine.update_session(voice="nova")
        await engine.interrupt()
        assert await engine.estimate_cost() is None
    assert calls == [
        "connect",
        ("audio", len(AUDIO)),
        ("text", "Hello"),
        ("configure", {"voice": "nova"}),
        "interrupt",
        "disconnect",
    ]
    # Each of the methods that have to be written is missed by name.
    for name in ("connect", "disconnect", "send_audio", "send_text", "interrupt"):
        body = {k: v for k, v in vars(cls).items() if inspect.isfunction(v) and k != name}
        with pytest.raises(TypeError, match=name):
            type("Incomplete", (BaseProvider,), body)({})


async def test_optional_methods_that_are_written_count() -> None:
    calls: list[Any] = []
    names = await run(
        ABSTRACT
        + '''
        # Optional methods
        async def get_usage(self) -> Optional[Dict[str, Any]]:
            """Get usage statistics if available"""
            return {"seconds": 3}

        async def estimate_cost(self) -> Optional[float]:
            """Estimate cost if available"""
            return 0.25
        ''',
        BaseProvider=BaseProvider,
        Dict=dict,
        Any=Any,
        Optional=Optional,
        EventType=EventType,
        calls=calls,
    )
    register_provider("documented", names["DocumentedProvider"])
    async with VoiceEngine(provider="documented") as engine:
        assert await engine.estimate_cost() == 0.25
        assert engine.provider is not None
        assert await engine.provider.get_usage() == {"seconds": 3}


# -- a custom provider over a real WebSocket

AZURE = '''
from voxengine.providers.base import BaseProvider
from voxengine import EventType
import websockets
import json

class AzureProvider(BaseProvider):
    """Azure Cognitive Services Speech provider"""

    def __init__(self, config: Dict[str, Any]):
        super().__init__(config)
        self.endpoint = config['metadata']['endpoint']
        self.api_key = config['api_key']
        self.region = config['metadata'].get('region', 'eastus')

    async def connect(self):
        """Connect to Azure Speech Services"""
        headers = {
            'Ocp-Apim-Subscription-Key': self.api_key,
            'X-Region': self.region
        }

        self.connection = await websockets.connect(
            self.endpoint,
            extra_headers=headers
        )

        # Send initial configuration
        await self._configure_azure_session()

        # Start listening for responses
        self._start_response_handler()

        # Emit connection event
        self.emit_event(EventType.CONNECTION_ESTABLISHED, {
            'provider': 'azure',
            'region': self.region
        })

    async def send_audio(self, audio_data: bytes):
        """Send audio to Azure"""
        # Azure expects specific audio format
        formatted_audio = self._format_audio_for_azure(audio_data)

        message = {
            'type': 'audio',
            'audio': formatted_audio.hex()
        }

        await self.connection.send(json.dumps(message))

    async def send_text(self, text: str):
        """Send text for TTS"""
        message = {
            'type': 'text',
            'text': text,
            'voice': self.config.get('voice', 'en-US-JennyNeural')
        }

        await self.connection.send(json.dumps(message))

    def _format_audio_for_azure(self, audio_data: bytes) -> bytes:
        """Convert audio to Azure's expected format"""
        # Implementation depends on Azure's requirements
        return audio_data
'''

EVENTS = '''
class CustomProvider(BaseProvider):
    async def _handle_provider_message(self, message):
        """Handle messages from provider"""

        if message['type'] == 'transcription':
            self.emit_event(EventType.TEXT_OUTPUT, {
                'text': message['text'],
                'is_partial': message.get('partial', False)
            })

        elif message['type'] == 'audio':
            self.emit_event(EventType.AUDIO_OUTPUT_CHUNK, {
                'audio_data': message['audio'],
                'sample_rate': 24000
            })

        elif message['type'] == 'error':
            self.emit_event(EventType.ERROR_GENERAL, {
                'error': Exception(message['error']),
                'recoverable': message.get('recoverable', False)
            })
'''

#: What the examples leave to the reader.
REST = """
class Azure(CustomProvider, AzureProvider):
    async def _configure_azure_session(self):
        await self.connection.send(json.dumps({'type': 'config', 'format': 'pcm16'}))

    def _start_response_handler(self):
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self):
        async for text in self.connection:
            message = json.loads(text)
            if 'audio' in message:
                message['audio'] = bytes.fromhex(message['audio'])
            await self._handle_provider_message(message)

    async def disconnect(self):
        if self.connection is not None:
            await self.connection.close()
            await self._reader

    async def interrupt(self):
        await self.connection.send(json.dumps({'type': 'stop'}))
"""


class Connection(picows.WSListener):
    """The part of the `websockets` library's connection that the example uses, on real sockets."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self.transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            self._messages.put_nowait(frame.get_payload_as_utf8_text())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def on_ws_disconnected(self, transport: Any) -> None:
        self._messages.put_nowait(None)

    async def send(self, text: str) -> None:
        self.transport.send(picows.WSMsgType.TEXT, text.encode())

    async def close(self) -> None:
        self.transport.send_close(picows.WSCloseCode.OK)
        self.transport.disconnect()
        await self.transport.wait_disconnected()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._messages.get()) is not None:
            yield text


async def connect(uri: str, *, extra_headers: dict[str, str] | None = None) -> Connection:
    """As `websockets.connect`."""
    _, connection = await picows.ws_connect(Connection, uri, extra_headers=extra_headers)
    assert isinstance(connection, Connection)
    return connection


class SpeechServer:
    """A server of the speech service's wire, on loopback."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.received: list[dict[str, Any]] = []
        self._server: Any = None
        self.port = 0

    async def __aenter__(self) -> SpeechServer:
        self._server = await picows.ws_create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _accept(self, request: Any) -> Any:
        headers = {_text(k).lower(): _text(v) for k, v in request.headers.items()}
        self.headers.append(headers)
        server = self

        class Client(picows.WSListener):
            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                if frame.msg_type == picows.WSMsgType.CLOSE:
                    transport.send_close(picows.WSCloseCode.OK)
                    transport.disconnect()
                elif frame.msg_type == picows.WSMsgType.TEXT:
                    message = json.loads(frame.get_payload_as_utf8_text())
                    server.received.append(message)
                    for reply in server.replies(message):
                        transport.send(picows.WSMsgType.TEXT, json.dumps(reply).encode())

        return Client()

    @staticmethod
    def replies(message: dict[str, Any]) -> list[dict[str, Any]]:
        if message["type"] == "text" and message["text"] == "fail":
            return [{"type": "error", "error": "the speech service is busy", "recoverable": True}]
        if message["type"] == "text":
            words = f"{message['voice']} says {message['text']}"
            return [
                {"type": "transcription", "text": words, "partial": True},
                {"type": "audio", "audio": AUDIO.hex()},
            ]
        return []


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.fixture
def my_providers(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module that the examples import their providers from."""
    library = types.ModuleType("websockets")
    library.connect = connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "websockets", library)
    module = types.ModuleType("my_providers")
    module.__dict__.update(Dict=dict, Any=Any, asyncio=asyncio)
    exec(AZURE + EVENTS + REST, module.__dict__)
    module.AzureProvider = module.Azure  # type: ignore[attr-defined]
    module.GoogleProvider = MockProvider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_providers", module)
    return module


REGISTERING = """
    from voxengine import register_provider
    from my_providers import AzureProvider, GoogleProvider

    # Register providers
    register_provider("azure", AzureProvider)
    register_provider("google", GoogleProvider)
"""


@pytest.mark.real_clock
@pytest.mark.usefixtures("my_providers")
async def test_the_custom_provider_holds_a_conversation_over_a_real_websocket() -> None:
    await run(REGISTERING)
    names = await run(CONFIGS["azure"], VoiceEngineConfig=VoiceEngineConfig)
    assert voxengine.list_providers().count("azure") == 1
    assert "google" in voxengine.list_providers()
    async with SpeechServer() as server:
        config = names["config"].with_changes(
            metadata={"endpoint": f"ws://127.0.0.1:{server.port}/realtime", "region": "westus2"}
        )
        events: list[Any] = []
        engine = VoiceEngine(config)
        engine.on("*", events.append)
        async with engine:
            await engine.send_audio(AUDIO)
            await engine.send_text("Hello")
            await until(lambda: any(e.type == "audio_chunk" for e in events))
            await engine.send_text("fail")
            await until(lambda: any(e.type == "error" for e in events))
            assert engine.is_connected
        await until(lambda: len(server.received) == 5)
    (headers,) = server.headers
    assert headers["ocp-apim-subscription-key"] == "your-azure-key"
    assert headers["x-region"] == "westus2"
    assert server.received == [
        {"type": "config", "format": "pcm16"},
        {"type": "audio", "audio": AUDIO.hex()},
        {"type": "text", "text": "Hello", "voice": "en-US-JennyNeural"},
        # The first answer is still being heard when the next text comes.
        {"type": "stop"},
        {"type": "text", "text": "fail", "voice": "en-US-JennyNeural"},
    ]
    established = next(e for e in events if e.type == EventType.CONNECTION_ESTABLISHED)
    assert established.data["region"] == "westus2"
    text = next(e for e in events if e.type == EventType.TEXT_OUTPUT)
    assert (text.text, text.is_partial) == ("en-US-JennyNeural says Hello", True)
    audio = next(e for e in events if e.type == EventType.AUDIO_OUTPUT_CHUNK)
    assert (audio.audio_data, audio.sample_rate) == (AUDIO, 24000)
    error = next(e for e in events if e.type == EventType.ERROR_GENERAL)
    assert str(error.data["error"]) == "the speech service is busy"
    assert error.recoverable is True


@pytest.mark.real_clock
@pytest.mark.usefixtures("my_providers")
async def test_a_server_that_is_not_there_is_a_typed_error() -> None:
    await run(REGISTERING)
    metadata = {"endpoint": "ws://127.0.0.1:9/realtime"}
    engine = VoiceEngine(VoiceEngineConfig(provider="azure", api_key="k", metadata=metadata))
    with pytest.raises(voxengine.ConnectionError) as caught:
        await engine.connect()
    assert (caught.value.provider, caught.value.code) == ("azure", "refused")


async def test_the_events_of_a_custom_provider() -> None:
    names = await run(EVENTS, BaseProvider=BaseProvider, EventType=EventType)
    nothing = {
        name: lambda self, *args: asyncio.sleep(0)
        for name in ("connect", "disconnect", "send_audio", "send_text", "interrupt")
    }
    provider = type("Custom", (names["CustomProvider"],), nothing)({})
    seen: list[Any] = []
    provider.on_event = seen.append
    for message in (
        {"type": "transcription", "text": "Hel", "partial": True},
        {"type": "transcription", "text": "lo"},
        {"type": "audio", "audio": b"\x01\x00"},
        {"type": "error", "error": "overheated"},
        {"type": "unheard of"},
    ):
        await provider._handle_provider_message(message)
    texts, audio, error = seen[:2], seen[2], seen[3]
    assert [(t.type, t.text, t.is_partial) for t in texts] == [
        ("text_chunk", "Hel", True),
        ("text_chunk", "lo", False),
    ]
    assert (audio.type, audio.audio_data, audio.data["sample_rate"]) == (
        "audio_chunk",
        b"\x01\x00",
        24000,
    )
    assert isinstance(error.data["error"], Exception)
    assert (error.type, error.error, error.recoverable) == ("error", "overheated", False)
    assert len(seen) == 4


# -- choosing and changing

MODE = """
    # Fast mode - optimized for latency
    if config.mode == "fast":
        # Use lightweight provider features
        # Disable transcription, minimize processing
        chosen = "fast"

    # Big mode - full features
    elif config.mode == "big":
        # Enable all provider capabilities
        # Transcription, emotion detection, etc.
        chosen = "big"

    # Provider mode - custom implementation
    elif config.mode == "provider":
        # Use provider-specific optimizations
        chosen = "provider"
"""


@pytest.mark.parametrize("mode", ["fast", "big", "provider"])
async def test_mode_based_selection(mode: Any) -> None:
    names = await run(MODE, config=VoiceEngineConfig(mode=mode))
    assert names["chosen"] == mode


async def test_dynamic_switching() -> None:
    register_provider("azure", MockProvider)
    new_config = VoiceEngineConfig(
        provider="azure", api_key="azure-key", metadata={"mock_responses": "Hello from Azure."}
    )
    engines: list[VoiceEngine] = []

    class Watched(VoiceEngine):
        async def connect(self) -> bool:
            engines.append(self)
            return await super().connect()

        async def switch_provider(self, name: str, config: Any = None, when: When = "now") -> None:
            # Some conversation, so that there is something to maintain.
            await self.send_text("Hi there")
            await asyncio.sleep(3)
            await super().switch_provider(name, config, when)

    await run(
        """
        # Start with one provider
        engine = VoiceEngine(config)
        await engine.connect()

        # Switch providers mid-session
        await engine.switch_provider("azure", new_config)
        # Maintains conversation context
        """,
        VoiceEngine=Watched,
        config=VoiceEngineConfig(provider="mock"),
        new_config=new_config,
    )
    (engine,) = engines
    provider = engine.provider
    assert isinstance(provider, MockProvider)
    assert provider.name == "azure"
    assert [m["text"] for m in provider.get_message_history()] == [
        "Hi there",
        "You said: Hi there",
    ]
    await engine.send_text("And now?")
    await asyncio.sleep(3)
    assert engine.conversation[-1].text == "Hello from Azure."
    await engine.disconnect()


async def test_provider_agnostic_code() -> None:
    async with VoiceEngine(provider="mock") as engine:
        await run(
            """
            # Good: Use provider-agnostic code
            await engine.send_text("Hello")
            await engine.send_audio(audio_data)
            """,
            engine=engine,
            audio_data=AUDIO,
        )
        assert isinstance(engine.provider, MockProvider)
        assert engine.provider.calls("send_text") == [("Hello", "user")]
        assert engine.provider.calls("send_audio") == [(len(AUDIO),)]


CENTRAL = """
    # Good: Centralized provider configs
    PROVIDER_CONFIGS = {
        "openai": {
            "api_key": os.getenv("OPENAI_KEY"),
            "mode": "fast"
        },
        "azure": {
            "api_key": os.getenv("AZURE_KEY"),
            "metadata": {...}
        }
    }

    # Select based on environment
    provider = os.getenv("VOICE_PROVIDER", "openai")
    config = PROVIDER_CONFIGS[provider]
"""


async def test_central_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_KEY", "sk-1")
    names = await run(CENTRAL, os=os)
    engine = VoiceEngine(provider=names["provider"], **names["config"])
    assert (engine.config.provider, engine.config.api_key, engine.config.mode) == (
        "openai",
        "sk-1",
        "fast",
    )
    monkeypatch.setenv("VOICE_PROVIDER", "azure")
    monkeypatch.setenv("AZURE_KEY", "az-1")
    names = await run(CENTRAL.replace("{...}", '{"region": "eastus"}'), os=os)
    config = VoiceEngineConfig(provider=names["provider"], **names["config"])
    assert (config.provider, config.api_key, config.metadata) == (
        "azure",
        "az-1",
        {"region": "eastus"},
    )


SWITCH_ON_ERROR = """
    # Handle provider-specific errors
    try:
        await engine.connect()
    except ProviderError as e:
        if e.provider == "openai" and e.code == "rate_limit":
            # Switch to backup provider
            await engine.switch_provider("azure")
        else:
            raise
"""


async def test_a_backup_provider_after_a_refusal() -> None:
    register_provider("openai", MockProvider)
    register_provider("azure", MockProvider)
    engine = VoiceEngine(provider="openai", metadata={"faults": ["refuse:rate_limit"]})
    await run(SWITCH_ON_ERROR, engine=engine, ProviderError=ProviderError)
    assert engine.is_connected
    assert engine.config.provider == "azure"
    await engine.send_text("Hello")
    await asyncio.sleep(3)
    assert engine.conversation[-1].text == "You said: Hello"
    await engine.disconnect()


async def test_other_errors_are_raised() -> None:
    register_provider("openai", MockProvider)
    engine = VoiceEngine(provider="openai", metadata={"faults": ["refuse:auth"]})
    with pytest.raises(ProviderError) as caught:
        await run(SWITCH_ON_ERROR, engine=engine, ProviderError=ProviderError)
    assert (caught.value.provider, caught.value.code) == ("openai", "auth")
    assert not engine.is_connected


TESTING = """
    # Development/testing configuration
    if os.getenv("ENVIRONMENT") == "test":
        config = VoiceEngineConfig(provider="mock")
    else:
        config = VoiceEngineConfig(provider="openai")

    # Mock provider responses
    mock_responses = {
        "Hello": "Hi there! How can I help?",
        "What's the weather?": "It's sunny today!"
    }
"""


async def test_mock_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    names = await run(TESTING, os=os, VoiceEngineConfig=VoiceEngineConfig)
    assert names["config"].provider == "openai"
    monkeypatch.setenv("ENVIRONMENT", "test")
    names = await run(TESTING, os=os, VoiceEngineConfig=VoiceEngineConfig)
    config = names["config"].with_changes(metadata={"mock_responses": names["mock_responses"]})
    async with VoiceEngine(config) as engine:
        for text in names["mock_responses"]:
            await engine.send_text(text)
            await asyncio.sleep(5)
        assert [i.text for i in engine.conversation] == [
            "Hello",
            "Hi there! How can I help?",
            "What's the weather?",
            "It's sunny today!",
        ]


# -- the development guide

GUIDE = """
    class MyProvider(BaseProvider):
        # Implement all abstract methods

        async def connect(self):
            # 1. Establish connection
            self.connection = asyncio.Queue()
            # 2. Authenticate
            assert self.config["api_key"] == "test-key"
            # 3. Configure session
            # 4. Start event handlers
            # 5. Emit CONNECTION_ESTABLISHED
            self.emit_event(EventType.CONNECTION_ESTABLISHED, {})

        async def disconnect(self):
            self.connection = None

        async def send_audio(self, audio_data: bytes):
            # 1. Validate audio format
            self.check_audio(audio_data)
            # 2. Apply any required transformations
            # 3. Send to provider
            # 4. Handle backpressure
            sent.append(audio_data)

        async def send_text(self, text):
            self.connection.put_nowait({"kind": "answer", "words": f"You said {text}"})
            await self.step()

        async def interrupt(self): pass

        async def receive_message(self):
            return await self.connection.get()

        def translate_event(self, message):
            return make_event("text_chunk", {"text": message["words"]})

        async def step(self):
            # Translate provider events to VoxEngine events
            provider_event = await self.receive_message()
            voxengine_event = self.translate_event(provider_event)
            self.emit_event(voxengine_event.type, voxengine_event.data)
"""

GUIDE_TEST = """
    # Test provider implementation
    async def test_provider():
        provider = MyProvider(test_config)

        # Test connection
        await provider.connect()
        assert provider.is_connected

        # Test audio
        await provider.send_audio(test_audio)

        # Test events
        events = []
        provider.on_event = events.append
        await provider.send_text("Test")

        assert any(e.type == EventType.TEXT_OUTPUT for e in events)
"""


@pytest.mark.parametrize("config", [{"api_key": "test-key"}, ProviderConfig(api_key="test-key")])
async def test_the_guide_and_its_test(config: Any) -> None:
    sent: list[bytes] = []
    names = await run(
        GUIDE + GUIDE_TEST,
        BaseProvider=BaseProvider,
        EventType=EventType,
        asyncio=asyncio,
        make_event=make_event,
        sent=sent,
        test_config=config,
        test_audio=AUDIO,
    )
    await names["test_provider"]()
    assert sent == [AUDIO]
    # The test can fail: one that says nothing does not pass it.
    silent = type("Silent", (names["MyProvider"],), {"step": lambda self: asyncio.sleep(0)})
    names["MyProvider"] = silent
    with pytest.raises(AssertionError):
        await names["test_provider"]()


def test_what_the_guides_test_checks_is_not_always_true() -> None:
    """`assert provider.is_connected` has no parentheses: it must not be a method's truth."""
    assert not MockProvider({}).is_connected
    assert not MockProvider({}).is_connected()


async def test_migration() -> None:
    names = await run(
        """
        # Step 1: Update configuration
        old_config = VoiceEngineConfig(
            provider="openai",
            api_key="sk-..."
        )

        new_config = VoiceEngineConfig(
            provider="azure",
            api_key="azure-key",
            metadata={
                "region": "eastus",
                "voice": "en-US-JennyNeural"
            }
        )

        # Step 2: Map voice names
        voice_mapping = {
            "alloy": "en-US-JennyNeural",
            "nova": "en-US-AriaNeural",
            "echo": "en-US-GuyNeural"
        }

        # Step 3: Update application code (if needed)
        # Most code should work unchanged due to abstraction
        """,
        VoiceEngineConfig=VoiceEngineConfig,
    )
    for name in ("openai", "azure"):
        register_provider(name, MockProvider)
    answers = []
    for config in (names["old_config"], names["new_config"]):
        config = config.with_changes(
            metadata={k: v for k, v in config.metadata.items() if k not in ("region", "voice")}
        )
        async with VoiceEngine(config) as engine:
            await engine.send_text("Same code")
            await asyncio.sleep(3)
            answers.append(engine.conversation[-1].text)
    assert answers == ["You said: Same code"] * 2
    assert names["new_config"].provider_config().option("voice") == "en-US-JennyNeural"
