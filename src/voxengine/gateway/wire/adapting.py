"""From a session's settings to an engine that works with them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from voxengine.errors import ProviderError, UnsupportedFeatureError
from voxengine.gateway.wire.functions import client_tool
from voxengine.gateway.wire.settings import Settings, unsupported
from voxengine.gateway.wire.turns import plan_turns
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.voices import map_voice
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.call import Call
    from voxengine.gateway.routes import Route, Routes
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Adapter"]

#: Settings that change together, or not at all: without them the session would not be what the client was told.
_NEEDED = frozenset(
    {
        "input_format",
        "output_format",
        "turn_detection",
        "turn_options",
        "auto_response",
        "interruptions",
    }
)
#: Where a setting of the engine stands in the session.
_PATHS = {
    "max_response_tokens": "max_output_tokens",
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "noise_reduction": "audio.input.noise_reduction",
    "language": "audio.input.transcription.language",
    "transcription_options": "audio.input.transcription",
}

#: Settings that tell one provider of a route from another.
_WHO = ("provider", "model", "metadata")


class Adapter:
    """Keeps one session's engine in step with its settings."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        #: Options beyond the engine's configuration that the provider was given.
        self._options: dict[str, Any] = {}
        #: Whether another provider is being connected because the client wants it.
        self.switching = False
        #: The model that is at work: the name of a route, or what a route calls one of its other providers.
        self.at_work = session.call.route.name
        self._tools: list[dict[str, Any]] = []

    async def change(self, given: dict[str, Any]) -> list[Complaint]:
        """Take the session of a `session.update`; returns what of it the provider cannot do.

        What was set before, and refused then, is not told again, unless another provider was asked for.

        Raises:
            Complaint, VoiceEngineError: it does not do; nothing was changed.
        """
        session = self._session
        new = session.settings.changed(given, has_spoken=self._has_spoken)
        for tool in given.get("tools") or ():
            client_tool(tool)  # also while none of them may be called
        model = given.get("model")
        if model is not None and model != session.settings.values["model"]:
            route = session.gateway.routes.resolve(model)
            if route.name != self.at_work:
                await self._switch(route)
        known = self._known
        return [c for c in await self.apply(new) if str(c) not in known or _is_about(c, given)]

    async def apply(self, settings: Settings) -> list[Complaint]:
        """Let the engine work with these settings, which are the session's from then on.

        Raises:
            VoiceEngineError: the engine cannot; it works as before.
        """
        session = self._session
        can = self._can
        wanted, refused = settings.for_engine(can)
        plan = plan_turns(settings, can)
        turns = plan.for_engine()
        if plan.detection is None:
            del turns["turn_detection"]
        wanted |= turns
        present = {**self._present(can), **self._options}
        changes = {k: v for k, v in wanted.items() if present.get(k) != v}
        refused += await self._update(changes)
        if settings.kind == "realtime":
            refused += await self._offer(settings.offered_tools)
        await session.input.configure(settings, plan)
        session.settings = settings
        session.call.record.put_session(settings.as_given())
        refused += plan.refused
        self._known = {str(complaint) for complaint in refused}
        return refused

    async def _offer(self, tools: list[dict[str, Any]]) -> list[Complaint]:
        """Let the assistant call these functions of the client's."""
        if tools == self._tools:
            return []
        try:
            await self._session.output.set_tools(tools)
        except UnsupportedFeatureError:
            return [unsupported("tools", "functions")]
        self._tools = list(tools)
        return []

    async def _update(self, changes: dict[str, Any]) -> list[Complaint]:
        """Change settings: what is needed at once, the others each for itself if they cannot all be changed."""
        engine = self._session.call.engine
        if not changes:
            return []
        try:
            await engine.update_session(**changes)
        except (UnsupportedFeatureError, ValueError) as failure:
            if isinstance(failure, ProviderError) and failure.retryable:
                raise
        else:
            self._keep(changes)
            return []
        needed = {k: v for k, v in changes.items() if k in _NEEDED}
        if needed:
            await engine.update_session(**needed)
        refused = []
        for name, value in changes.items():
            if name in needed:
                continue
            try:
                await engine.update_session(**{name: value})
            except (UnsupportedFeatureError, ValueError):
                path = _PATHS.get(name, name)
                refused.append(unsupported(path, f"a change of {path}"))
            else:
                self._keep({name: value})
        return refused

    def _keep(self, changes: dict[str, Any]) -> None:
        config = self._session.call.engine.config
        self._options |= {k: v for k, v in changes.items() if not hasattr(config, k)}

    async def _switch(self, route: Route) -> None:
        """Go on with the providers of another route.

        Raises:
            Refused: the caller may not, or none of them can be used. VoiceEngineError: it cannot be connected.
        """
        call = self._session.call
        call.grant.need_route(route.name)
        present = call.engine.config
        config = route.config(
            call.grant,
            input_format=present.input_format,
            output_format=present.output_format,
            instructions=present.instructions,
        )
        self.switching = True
        try:
            await call.engine.switch_provider(config.provider, config)
        finally:
            self.switching = False
        call.route = route
        self.at_work = route.name
        self.forget()

    async def follow(self) -> list[Complaint]:
        """Another provider has taken over, and not because the client wants it: it may do things in another way.

        Raises:
            VoiceEngineError: it does not work with the settings.
        """
        session = self._session
        self.forget()
        self.at_work = model_at_work(session.call, session.gateway.routes)
        settings = copy.copy(session.settings)
        settings.values = {**settings.values, "model": self.at_work}
        return await self.apply(settings)

    def forget(self) -> None:
        """Another provider is at work, which knows of no option yet."""
        self._options.clear()
        self._known.clear()

    # -- as it is

    @property
    def _can(self) -> Capabilities:
        provider = self._session.call.engine.provider
        return provider.capabilities if provider is not None else Capabilities()

    @property
    def _has_spoken(self) -> bool:
        """Whether the client was sent any speech."""
        items = self._session.call.engine.conversation.items
        return any(item.role == "assistant" and item.audio_ms for item in items)

    def _present(self, can: Capabilities) -> dict[str, Any]:
        """What the engine works with, in the form of `Settings.for_engine`."""
        config = self._session.call.engine.config
        voice = config.voice or (can.voices[0] if can.voices else None)
        kinds = [kind for kind in can.turn_detection if kind != "none"]
        return {
            "input_format": config.input_format,
            "output_format": config.output_format,
            "instructions": config.instructions or None,
            "max_response_tokens": config.max_response_tokens,
            "temperature": config.temperature,
            "modalities": ["text"] if config.modalities == ["text"] else ["audio"],
            "voice": map_voice(voice, can.voices).voice if voice and can.voices else voice,
            "language": config.language,
            "turn_detection": config.turn_detection or (kinds[0] if kinds else None),
            "turn_options": config.turn_options,
            "auto_response": config.auto_response,
            "interruptions": config.interruptions,
        }


def model_at_work(call: Call, routes: Routes) -> str:
    """What the provider at work is called: a route by its name, where it is the first choice of that."""
    config = call.engine.config
    for route in (call.route, *routes):
        for place, link in enumerate(route.links):
            if all(
                (getattr(config, name) or None) == (link.entry.get(name) or None) for name in _WHO
            ):
                return route.name if place == 0 else str(link.reference)
    return f"{config.provider}/{config.model}" if config.model else str(config.provider)


def _is_about(complaint: Complaint, given: dict[str, Any]) -> bool:
    """Whether what is refused stands in the session that a client has given."""
    here: Any = given
    for name in (complaint.param or "").split(".")[1:]:
        if not isinstance(here, dict):
            return True  # a part of what was given as a whole
        if name not in here:
            return False
        here = here[name]
    return True
