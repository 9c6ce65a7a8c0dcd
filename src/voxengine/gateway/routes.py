"""What clients may ask for as `model`, and the configuration of an engine that comes of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from voxengine.config import OWN, VoiceEngineConfig
from voxengine.errors import ConfigurationError
from voxengine.gateway.config import DEFAULT_ROUTE, GatewayConfig
from voxengine.gateway.grants import Grant
from voxengine.gateway.names import meant
from voxengine.gateway.refusal import Refused
from voxengine.gateway.route_settings import RouteSettings, ToolSettings
from voxengine.providers.registry import get_provider, list_providers

__all__ = ["Link", "Route", "Routes"]

#: Models that a client of OpenAI's asks for without having chosen: the default route stands for them.
_OPENAI_MODEL = re.compile(
    r"gpt-(realtime|live|audio|\w+(-mini)?-realtime|\w+(-mini)?-transcribe)(-[\w.-]+)?|whisper-1"
)
#: Characters of a model's name that a refusal repeats.
_SHOWN = 100
#: Seconds that a provider on this machine may take to be ready: its models may have to be read from a cold disk.
_LOADING = 120.0
#: Settings of an engine that are one provider's: they are given to it by name, not by the route.
_SPECIAL = ("hedge", "economy")


class Link(msgspec.Struct, frozen=True):
    """One provider of a route, in the form of an entry of `VoiceEngineConfig.fallback`."""

    #: As the configuration writes it.
    reference: str
    entry: dict[str, Any]
    #: The variable that should hold its key, where one is named.
    key_variable: str | None = None

    @property
    def provider(self) -> str:
        """Its registered name."""
        return str(self.entry["provider"])

    @property
    def has_key(self) -> bool:
        """Whether the variable that the configuration names is set; true where it names none."""
        return self.key_variable is None or bool(os.environ.get(self.key_variable))

    def with_key(self) -> dict[str, Any]:
        """The entry with its key, as the environment has it now."""
        if self.key_variable is None:
            return self.entry
        return {**self.entry, "api_key": os.environ[self.key_variable]}

    def __repr__(self) -> str:
        return f"Link({self.reference!r})"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A name that clients call: the first of its providers answers, the others take over in their order."""

    name: str
    links: tuple[Link, ...]
    description: str = ""
    tools: tuple[ToolSettings, ...] = ()
    recording: Literal["off", "wav", "opus"] = "off"
    #: What becomes of keys that a caller presses on a telephone.
    dtmf: Literal["inject", "ignore"] = "inject"
    #: Fields of `VoiceEngineConfig`.
    settings: dict[str, Any] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers in their order, as the configuration writes them."""
        return tuple(link.reference for link in self.links)

    @property
    def client_tools(self) -> list[dict[str, Any]]:
        """The tools whose calls the client answers, in OpenAI's form."""
        return [tool.schema() for tool in self.tools if tool.is_clients]

    def only(self, place: int) -> Route:
        """The route with one of its providers, and nobody to take over."""
        return msgspec.structs.replace(self, links=(self.links[place],))

    def config(self, grant: Grant | None = None, **changes: Any) -> VoiceEngineConfig:
        """The configuration of an engine for one call, within the limits of the caller. `changes` go over all.

        A provider whose key is in a variable that is not set is left out.

        Raises:
            Refused: 503, no provider is left.
            ConfigurationError: a setting is not allowed.
        """
        links = [link for link in self.links if link.has_key]
        if not links:
            unset = ", ".join(dict.fromkeys(str(link.key_variable) for link in self.links))
            raise Refused(
                503,
                "provider_not_configured",
                f"no provider of {self.name!r} can be used: {unset} is not set",
                "server_error",
            )
        settings = {**self.settings, **changes}
        for limit in ("max_cost", "max_duration"):
            most = getattr(grant, limit, None)
            given = settings.get(limit)
            if most is not None:
                settings[limit] = most if given is None else min(most, given)
        for name in _SPECIAL:
            link = settings.get(name)
            if isinstance(link, Link):
                settings[name] = link.with_key() if link.has_key else None
        # What is set for one provider is stronger than what is set for the route, but not than what the call asks for.
        entries = [_with(link.with_key(), changes) for link in links]
        first = {**{n: settings.pop(n) for n in OWN if n in settings}, **entries[0]}
        first |= {name: value for name, value in changes.items() if name in OWN}
        if _on_device(first["provider"]) and "connect_timeout" not in settings:
            first.setdefault("connect_timeout", _LOADING)
        base = VoiceEngineConfig(**{**settings, "fallback": entries[1:]})
        return base.for_provider(first)


class Routes:
    """The routes of a configuration.

    Raises:
        ConfigurationError: a route names a provider that there is not, or a setting that is not allowed.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        known = list_providers()
        for name, provider in config.providers.items():
            if provider.provider not in known:
                raise ConfigurationError(
                    f"[providers.{name}] provider {provider.provider!r} is not registered; "
                    f"{meant(provider.provider, known)}"
                )
        written = config.routes or {DEFAULT_ROUTE: RouteSettings()}
        self._routes = {name: self._route(name, route) for name, route in written.items()}
        #: The name of the route of a client that names none.
        self.default: str = config.default_route or (
            DEFAULT_ROUTE if DEFAULT_ROUTE in self._routes else next(iter(self._routes))
        )

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    def fallback_config(self) -> VoiceEngineConfig:
        """The configuration of the default route, for connections that bring none; the library's where a key lacks."""
        try:
            return self._routes[self.default].config()
        except Refused:
            return VoiceEngineConfig()

    def resolve(self, model: str | None) -> Route:
        """The route of this name; else a provider, alone or with a model; else the default for OpenAI's own models.

        Raises:
            Refused: 404, it is none of these.
        """
        if not model:
            return self._routes[self.default]
        route = self._routes.get(model)
        if route is not None:
            return route
        if self._config.open_models and len(model) <= _SHOWN:
            name = model.partition("/")[0]
            if name in self._config.providers or name in list_providers():
                return Route(name=model, links=(self._link(model, model),))
        if _OPENAI_MODEL.fullmatch(model):
            return self._routes[self.default]
        raise Refused(
            404,
            "model_not_found",
            f"The model {model[:_SHOWN]!r} does not exist or you do not have access to it.",
        )

    def _route(self, name: str, written: RouteSettings) -> Route:
        where = f"[routes.{name}]"
        links = tuple(self._link(reference, where) for reference in written.providers)
        settings = dict(written.settings)
        try:
            for special in _SPECIAL:
                if isinstance(settings.get(special), str):
                    settings[special] = self._link(settings[special], where)
            route = Route(
                name=name,
                links=links,
                description=written.description,
                tools=written.tools,
                recording=written.recording or self._config.recording,
                dtmf=written.dtmf,
                settings=settings,
            )
            _try(route)
        except ConfigurationError as failure:
            raise ConfigurationError(f"{where} {failure}") from None
        return route

    def _link(self, reference: str, where: str) -> Link:
        name, _, model = reference.partition("/")
        own = self._config.providers.get(name)
        if own is None and name not in list_providers():
            known = sorted({*self._config.providers, *list_providers()})
            raise ConfigurationError(
                f"{where} provider {name!r} is not known; {meant(name, known)}"
            )
        entry: dict[str, Any] = {"provider": own.provider if own else name}
        if own is not None:
            entry.update(own.settings)
        if model:
            entry["model"] = model
        return Link(reference, entry, own.api_key_env if own else None)


def _try(route: Route) -> None:
    """Raise, if the settings of a route would not do for a call."""
    settings = {n: v for n, v in route.settings.items() if n not in _SPECIAL}
    VoiceEngineConfig(**settings)
    for link in route.links:
        VoiceEngineConfig(**link.entry)


def _with(entry: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The entry, but for what the call has of its own and every provider understands."""
    shared = {name: value for name, value in changes.items() if name not in OWN and name in entry}
    return {**entry, **shared}


def _on_device(provider: str) -> bool:
    can = getattr(get_provider(provider), "capabilities", None)
    return bool(getattr(can, "on_device", False))
