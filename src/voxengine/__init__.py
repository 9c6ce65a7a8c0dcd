"""VoxEngine: one realtime-voice interface over every voice AI provider.

    from voxengine import VoiceEngine

    async with VoiceEngine(provider="local") as engine:
        engine.on("text_chunk", lambda event: print(event.text, end=""))
        await engine.send_text("Hello!")

The names below are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxengine.audio.formats import AudioFormat
    from voxengine.config import ProviderConfig, VoiceEngineConfig
    from voxengine.conversation import Conversation, Item
    from voxengine.conversation.injection import Injection, InjectionResult
    from voxengine.engine import VoiceEngine
    from voxengine.errors import (
        AudioError,
        AuthenticationError,
        ConfigurationError,
        ConnectionError,
        MessageError,
        MissingDependencyError,
        ModelError,
        ProviderError,
        ProvidersExhaustedError,
        RateLimitError,
        SessionClosedError,
        SlowConsumerError,
        ToolError,
        UnknownProviderError,
        UnsupportedFeatureError,
        VoiceEngineError,
    )
    from voxengine.events import EventType, ProviderEvent
    from voxengine.providers.base import BaseProvider, ConnectionState, MessageType
    from voxengine.providers.capabilities import Capabilities
    from voxengine.providers.mock import MockConfig, MockProvider
    from voxengine.providers.registry import (
        create_provider,
        find_providers,
        list_providers,
        register_provider,
    )
    from voxengine.session.tools import Tool

__version__ = "0.1.0"

_HOME = {
    "AudioFormat": "audio.formats",
    "BaseProvider": "providers.base",
    "Capabilities": "providers.capabilities",
    "ConnectionState": "providers.base",
    "Conversation": "conversation",
    "EventType": "events",
    "Injection": "conversation.injection",
    "InjectionResult": "conversation.injection",
    "Item": "conversation",
    "MessageType": "providers.base",
    "MockConfig": "providers.mock",
    "MockProvider": "providers.mock",
    "ProviderConfig": "config",
    "ProviderEvent": "events",
    "Tool": "session.tools",
    "VoiceEngine": "engine",
    "VoiceEngineConfig": "config",
    "create_provider": "providers.registry",
    "find_providers": "providers.registry",
    "list_providers": "providers.registry",
    "register_provider": "providers.registry",
    **dict.fromkeys(
        (
            "AudioError",
            "AuthenticationError",
            "ConfigurationError",
            "ConnectionError",
            "MessageError",
            "MissingDependencyError",
            "ModelError",
            "ProviderError",
            "ProvidersExhaustedError",
            "RateLimitError",
            "SessionClosedError",
            "SlowConsumerError",
            "ToolError",
            "UnknownProviderError",
            "UnsupportedFeatureError",
            "VoiceEngineError",
        ),
        "errors",
    ),
}

__all__ = [
    "AudioError",
    "AudioFormat",
    "AuthenticationError",
    "BaseProvider",
    "Capabilities",
    "ConfigurationError",
    "ConnectionError",
    "ConnectionState",
    "Conversation",
    "EventType",
    "Injection",
    "InjectionResult",
    "Item",
    "MessageError",
    "MessageType",
    "MissingDependencyError",
    "MockConfig",
    "MockProvider",
    "ModelError",
    "ProviderConfig",
    "ProviderError",
    "ProviderEvent",
    "ProvidersExhaustedError",
    "RateLimitError",
    "SessionClosedError",
    "SlowConsumerError",
    "Tool",
    "ToolError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "VoiceEngine",
    "VoiceEngineConfig",
    "VoiceEngineError",
    "__version__",
    "create_provider",
    "find_providers",
    "list_providers",
    "register_provider",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'voxengine' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"voxengine.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
