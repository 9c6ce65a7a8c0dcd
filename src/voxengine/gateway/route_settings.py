"""`[providers.NAME]` and `[routes.NAME]` of the configuration, checked but for what the providers themselves check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from voxengine.config import VoiceEngineConfig
from voxengine.errors import ConfigurationError
from voxengine.gateway.names import LOOPBACK, check_names

__all__ = ["ProviderSettings", "RouteSettings", "ToolSettings", "read_provider", "read_route"]

#: Settings of an engine that `[providers.NAME]` has: those that may differ from provider to provider.
_OF_PROVIDER = (
    "model",
    "voice",
    "language",
    "temperature",
    "max_response_tokens",
    "turn_detection",
    "connect_timeout",
    "response_timeout",
    "stall_timeout",
    "metadata",
)
#: Settings of an engine that a route does not have, and what takes their place.
_NOT_OF_ROUTE = {
    "provider": "name it in providers, a list in order",
    "fallback": "providers after the first take over in their order",
    "model": "name it in providers, as 'provider/model'",
    "api_key": "name the variable that holds it: api_key_env in [providers.NAME]",
    "metadata": "it belongs to one provider: [providers.NAME.metadata]",
    "mode": "the gateway needs all that a provider can tell",
    "input_format": "the client says it",
    "output_format": "the client says it",
}
_ENGINE = tuple(
    f.name for f in fields(VoiceEngineConfig) if f.name not in {*_NOT_OF_ROUTE, "fallback"}
)
_TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A provider under a name of the operator's own, such as a second account with the same vendor."""

    #: Its registered name.
    provider: str
    #: The environment variable that holds its key; without one, the provider's usual variable.
    api_key_env: str | None = None
    #: Fields of `VoiceEngineConfig`.
    settings: dict[str, Any] = {}


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool of a route. With neither `url` nor `function` it is the client's, which answers the calls."""

    name: Annotated[str, Meta(pattern=_TOOL_NAME)]
    description: str = ""
    #: JSON schema of the arguments. Without one, that of the function's type hints; else there are none.
    parameters: dict[str, Any] | None = None
    #: Where the arguments are sent, as JSON by POST: https, or this machine.
    url: str | None = None
    #: Environment variables of headers that the request has, by the header's name.
    headers_env: dict[str, str] = {}
    #: "module:name" of a Python function.
    function: str | None = None
    #: Seconds that a call may take.
    timeout: Annotated[float, Meta(gt=0, le=600)] = 20.0

    @property
    def is_clients(self) -> bool:
        """Whether the client answers its calls."""
        return self.url is None and self.function is None

    def schema(self) -> dict[str, Any]:
        """As OpenAI's session has it."""
        parameters = self.parameters or {"type": "object", "properties": {}}
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
        }


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for as `model`."""

    #: "provider", "provider/model", or the name of a `[providers.NAME]`, with or without a model. In order.
    providers: tuple[str, ...] = ("local",)
    description: str = ""
    tools: tuple[ToolSettings, ...] = ()
    #: As that of the gateway, where it is to differ.
    recording: Literal["off", "wav", "opus"] | None = None
    #: What becomes of keys that a caller presses on a telephone: the assistant is told, or not.
    dtmf: Literal["inject", "ignore"] = "inject"
    #: Fields of `VoiceEngineConfig`, for every provider of the route.
    settings: dict[str, Any] = {}


def read_provider(name: str, values: Mapping[str, Any]) -> ProviderSettings:
    """A `[providers.NAME]`.

    Raises:
        ConfigurationError: a name or a value is not allowed.
    """
    where = f"[providers.{name}]"
    if not name or "/" in name:
        raise ConfigurationError(f"{where}: a provider's name is not empty and has no '/'")
    given = dict(values)
    if "api_key" in given:
        raise ConfigurationError(
            f"{where}: a key does not belong in a file; api_key_env names the variable that holds it"
        )
    provider = given.pop("provider", name)
    variable = given.pop("api_key_env", None)
    endpoint = given.pop("endpoint", None)
    for what, value in (
        ("provider", provider),
        ("api_key_env", variable),
        ("endpoint", endpoint),
    ):
        if not (isinstance(value, str) and value) and value is not None:
            raise ConfigurationError(f"{where} {what} is text, not {value!r}")
    unknown = [each for each in given if each not in _OF_PROVIDER]
    known = ("provider", "api_key_env", "endpoint", *_OF_PROVIDER)
    try:
        check_names(unknown, known, where)
    except ConfigurationError as failure:
        raise ConfigurationError(
            f"{failure}. What only this provider knows belongs in [providers.{name}.metadata]"
        ) from None
    if endpoint is not None:
        given["metadata"] = {**given.get("metadata", {}), "endpoint": endpoint}
    return ProviderSettings(provider=provider, api_key_env=variable, settings=given)


def read_route(name: str, values: Mapping[str, Any]) -> RouteSettings:
    """A `[routes.NAME]`.

    Raises:
        ConfigurationError: a name or a value is not allowed.
    """
    where = f"[routes.{name}]"
    for wrong, instead in _NOT_OF_ROUTE.items():
        if wrong in values:
            raise ConfigurationError(f"{where} has no {wrong!r}: {instead}")
    own = tuple(f for f in RouteSettings.__struct_fields__ if f != "settings")
    check_names(values, (*own, *_ENGINE), where)
    settings = {key: value for key, value in values.items() if key not in own}
    given = {key: value for key, value in values.items() if key in own}
    try:
        route = msgspec.convert({**given, "settings": settings}, RouteSettings)
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"{where} {str(failure).replace('`', '')}") from None
    if not route.providers:
        raise ConfigurationError(f"{where} providers names one at least")
    if len({tool.name for tool in route.tools}) != len(route.tools):
        raise ConfigurationError(f"{where} has two tools of one name")
    for tool in route.tools:
        _check_tool(tool, f"[[routes.{name}.tools]] {tool.name!r}")
    return route


def _check_tool(tool: ToolSettings, where: str) -> None:
    if tool.url is not None and tool.function is not None:
        raise ConfigurationError(f"{where} has a url or a function, not both")
    if tool.headers_env and tool.url is None:
        raise ConfigurationError(f"{where} has headers_env, but no url")
    if tool.function is not None and not all(tool.function.partition(":")):
        raise ConfigurationError(f"{where}: a function is 'module:name', not {tool.function!r}")
    if tool.url is not None and not _is_private(tool.url):
        raise ConfigurationError(
            f"{where}: its url is https://, or http:// to this machine, not {tool.url!r}"
        )


def _is_private(url: str) -> bool:
    """Whether nobody on the way reads what is sent there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    )
