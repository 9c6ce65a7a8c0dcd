"""`Handler`: conversations by the id of their connection."""

from __future__ import annotations

import asyncio

import pytest

from voxengine.config import VoiceEngineConfig
from voxengine.engine import VoiceEngine
from voxengine.errors import ConfigurationError, ProviderError
from voxengine.events import EventType
from voxengine.gateway.handler import Handler


async def test_many_connections():
    handler = Handler(VoiceEngineConfig(provider="mock", instructions="Be short."))

    first = await handler.initialize_connection("first")
    second = await handler.initialize_connection("second", VoiceEngineConfig(provider="mock"))

    assert first.is_connected()
    assert first.config.instructions == "Be short."
    assert second.config.instructions is None
    assert handler.connections == {"first": first, "second": second}
    assert handler.get_connection("first") is first
    assert handler.get_connection("third") is None

    await handler.close("first")
    await handler.close("first")
    assert not first.is_connected()
    assert second.is_connected()
    await handler.close()
    assert not second.is_connected()
    assert handler.connections == {}


async def test_a_provider_by_name():
    config = VoiceEngineConfig(provider="openai", api_key="sk-1", instructions="Be short.")
    handler = Handler(config, provider="mock/small")

    engine = await handler.initialize_connection("first")

    assert (engine.config.provider, engine.config.model) == ("mock", "small")
    assert engine.config.instructions == "Be short."
    # A key belongs to one provider.
    assert engine.config.api_key is None
    await handler.close()


async def test_settings_instead_of_a_configuration():
    handler = Handler({"provider": "mock", "voice": "tenor"})

    assert (handler.config.provider, handler.config.voice) == ("mock", "tenor")
    with pytest.raises(ConfigurationError, match="did you mean 'provider'"):
        Handler({"provder": "mock"})


async def test_one_connection_for_an_id():
    handler = Handler({"provider": "mock"})
    first = await handler.initialize_connection("first")

    with pytest.raises(ConfigurationError, match="'first' already"):
        await handler.initialize_connection("first")

    assert first.is_connected()
    await handler.close()


async def test_one_that_cannot_be_connected_is_not_kept():
    handler = Handler({"provider": "mock", "metadata": {"faults": "refuse"}})

    with pytest.raises(ProviderError):
        await handler.initialize_connection("first")

    assert handler.connections == {}
    await handler.initialize_connection("first", VoiceEngineConfig(provider="mock"))
    await handler.close()


async def test_one_that_is_called_off_is_not_kept():
    handler = Handler({"provider": "mock", "metadata": {"latency_ms": {"connect": 5000}}})
    opening = asyncio.create_task(handler.initialize_connection("first"))
    await asyncio.sleep(1)
    assert handler.get_connection("first") is not None

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert handler.connections == {}


async def test_what_is_prepared_is_there_from_the_first_event_on():
    heard: list[str] = []

    async def prepare(engine: VoiceEngine) -> None:
        engine.on("*", lambda event: heard.append(event.type))

    handler = Handler({"provider": "mock"})
    await handler.initialize_connection("first", prepare=prepare)
    await handler.close(reason="enough")

    assert EventType.CONNECTION_ESTABLISHED in heard
    assert heard.index(EventType.CONNECTION_ESTABLISHED) < heard.index(EventType.CONVERSATION_ENDED)
