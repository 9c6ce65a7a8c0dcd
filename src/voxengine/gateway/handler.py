"""`Handler`: many conversations at once, each by an id of the application's choice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation
from voxengine.engine import VoiceEngine
from voxengine.errors import ConfigurationError

__all__ = ["Handler"]


class Handler:
    """Makes, keeps and closes the engines of connections.

        handler = Handler(VoiceEngineConfig(provider="openai"))
        engine = await handler.initialize_connection("caller-1")

    `provider` takes the place of the configuration's, and may be "provider/model".

    Raises:
        ConfigurationError: a setting is not allowed.
    """

    def __init__(
        self,
        config: VoiceEngineConfig | Mapping[str, Any] | None = None,
        *,
        provider: str | None = None,
    ) -> None:
        if not isinstance(config, VoiceEngineConfig):
            config = VoiceEngineConfig.load(**dict(config or {}))
        #: What a connection is made with that brings no configuration of its own.
        self.config = config if provider is None else config.for_provider(provider)
        #: The engines that are open, or being opened, by the id of their connection.
        self.connections: dict[str, VoiceEngine] = {}

    async def initialize_connection(
        self,
        connection_id: str,
        config: VoiceEngineConfig | None = None,
        *,
        conversation: Conversation | None = None,
        prepare: Callable[[VoiceEngine], Awaitable[object]] | None = None,
    ) -> VoiceEngine:
        """Make an engine and connect it. `prepare` is awaited before, to subscribe and to register tools.

        Raises:
            ConfigurationError: the id is in use, or a setting is not allowed.
            ProviderError: the provider, and all that stand in for it, could not be connected.
        """
        if connection_id in self.connections:
            raise ConfigurationError(f"there is a connection {connection_id!r} already")
        engine = VoiceEngine(config or self.config, conversation=conversation)
        self.connections[connection_id] = engine
        try:
            if prepare is not None:
                await prepare(engine)
            await engine.connect()
        except BaseException:
            self.connections.pop(connection_id, None)
            await engine.disconnect("not connected")
            raise
        return engine

    def get_connection(self, connection_id: str) -> VoiceEngine | None:
        """The engine of this connection; None where there is none."""
        return self.connections.get(connection_id)

    async def close(self, connection_id: str | None = None, *, reason: str = "") -> None:
        """Close one connection, or all. What is not open is closed."""
        if connection_id is not None:
            engine = self.connections.pop(connection_id, None)
            if engine is not None:
                await engine.disconnect(reason)
            return
        engines, self.connections = list(self.connections.values()), {}
        done = await asyncio.gather(
            *(engine.disconnect(reason) for engine in engines), return_exceptions=True
        )
        for failure in done:
            if isinstance(failure, BaseException):
                raise failure
