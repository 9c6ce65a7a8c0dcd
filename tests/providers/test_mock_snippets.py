"""The mock as a newcomer meets it."""

from __future__ import annotations

from voxengine.providers import EventType, MockConfig, MockProvider, ProviderEvent
from voxengine.testing import advance


async def test_the_quick_start(capsys):
    config = MockConfig(api_key="test-key")
    provider = MockProvider(config)
    await provider.connect()
    await provider.send_text("Hello, AI!")

    async for event in provider.events():
        if event.type == "text_chunk":
            print(event.data["text"], end="")  # noqa: T201
        elif event.type == "response_completed":
            await provider.disconnect()
    assert capsys.readouterr().out == "You said: Hello, AI!"


async def test_predefined_responses():
    mock_responses = {
        "Hello": "Hi there! How can I help?",
        "What's the weather?": "It's sunny today!",
    }
    provider = MockProvider(MockConfig(mock_responses=mock_responses))
    await provider.connect()
    for question, reply in mock_responses.items():
        await provider.send_text(question)
        said = ""
        async for event in provider.events():
            if event.type == EventType.TEXT_OUTPUT:
                said += event.data["text"]
            elif event.type == EventType.RESPONSE_COMPLETED:
                break
        assert said == reply
    provider.set_mock_responses({"Hello": "Good evening"})
    await provider.send_text("Hello")
    await provider.disconnect()


async def test_collecting_events():
    provider = MockProvider(MockConfig(api_key="test-key"))
    await provider.connect()
    assert provider.is_connected
    await provider.send_audio(bytes(960))
    events: list[ProviderEvent] = []
    provider.on_event = events.append
    await provider.send_text("Test")
    await advance(1)
    assert any(e.type == EventType.TEXT_OUTPUT for e in events)
    await provider.disconnect()
