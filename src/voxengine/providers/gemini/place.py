"""Where Gemini Live is, and how one is let in: Google's AI for developers, or Vertex AI in a project of one's own."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping
from typing import Any

from voxengine.config import ProviderConfig
from voxengine.errors import AuthenticationError, ConfigurationError, MissingDependencyError
from voxengine.providers.endpoints import is_key

__all__ = [
    "DEFAULT_MODEL",
    "KEY_VARIABLES",
    "VERTEX_MODEL",
    "address_of",
    "check_place",
    "credentials",
    "default_token",
    "model_path",
    "on_vertex",
    "project_of",
    "token_of",
]

DEFAULT_MODEL = "gemini-3.8-live"
VERTEX_MODEL = "gemini-live-2.5-flash-native-audio"
KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

_HOST = "generativelanguage.googleapis.com"
_SERVICE = "google.ai.generativelanguage.{version}.GenerativeService.{method}"
_VERTEX_SERVICE = "google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: How the names of ephemeral tokens begin, which stand in for a key in a browser or a device.
_EPHEMERAL = "auth_tokens/"


def on_vertex(config: ProviderConfig) -> bool:
    """Whether the model is to be reached on Vertex AI."""
    return bool(config.option("vertex", False))


def project_of(config: ProviderConfig) -> tuple[str, str]:
    """Project and location on Vertex AI.

    Raises:
        ConfigurationError: no project is named.
    """
    project = config.option("project") or os.environ.get("GOOGLE_CLOUD_PROJECT")
    location = config.option("location") or os.environ.get("GOOGLE_CLOUD_LOCATION")
    if not isinstance(project, str) or not project:
        raise ConfigurationError(
            "provider 'gemini' on Vertex AI needs a project: metadata={'project': ...} (or set GOOGLE_CLOUD_PROJECT)"
        )
    return project, str(location or "us-central1")


def model_path(config: ProviderConfig) -> str:
    """The model as the vendor addresses it; a name with a slash in it is taken to be that already."""
    vertex = on_vertex(config)
    model = config.model or (VERTEX_MODEL if vertex else DEFAULT_MODEL)
    if "/" in model:
        return model
    if not vertex:
        return f"models/{model}"
    project, location = project_of(config)
    return f"projects/{project}/locations/{location}/publishers/google/models/{model}"


def address_of(config: ProviderConfig, key: str | None) -> str:
    """The vendor's own address for this configuration."""
    if on_vertex(config):
        _, location = project_of(config)
        host = "aiplatform.googleapis.com"
        if location != "global":
            host = f"{location}-{host}"
        version = config.option("api_version", "v1beta1")
        return f"wss://{host}/ws/{_VERTEX_SERVICE.format(version=version)}"
    ephemeral = bool(key) and str(key).startswith(_EPHEMERAL)
    method = "BidiGenerateContentConstrained" if ephemeral else "BidiGenerateContent"
    version = config.option("api_version", "v1alpha" if ephemeral else "v1beta")
    return f"wss://{_HOST}/ws/{_SERVICE.format(version=version, method=method)}"


async def credentials(config: ProviderConfig, key: str | None) -> dict[str, str]:
    """The headers by which one is let in.

    Raises:
        AuthenticationError: there is no token to be had.
        MissingDependencyError: `google-auth` would have to find one, and is not installed.
    """
    if not on_vertex(config):
        assert key is not None
        if key.startswith(_EPHEMERAL):
            return {"Authorization": f"Token {key}"}
        return {"x-goog-api-key": key}
    if key is not None:  # "express mode": a key of Vertex AI's own
        return {"x-goog-api-key": key}
    return {"Authorization": f"Bearer {await token_of(config.option('token_provider'), 'gemini')}"}


async def token_of(provider: Any, name: str) -> str:
    """A fresh access token: what `provider` returns, a function or a coroutine function; None asks Google's library.

    Raises:
        AuthenticationError: it failed, or gave none.
        MissingDependencyError: `google-auth` is needed, and is not installed.
    """
    ask = default_token if provider is None else provider
    try:
        # A plain function may ask a server: not on the event loop.
        token = ask() if inspect.iscoroutinefunction(ask) else await asyncio.to_thread(ask)
        if inspect.isawaitable(token):
            token = await token
    except MissingDependencyError:
        raise
    except Exception as failure:
        raise AuthenticationError(
            f"no access token for Google Cloud: {type(failure).__name__}", provider=name
        ) from failure
    if not is_key(token):
        raise AuthenticationError(
            f"the token provider gave {type(token).__name__}, not a token", provider=name
        )
    return str(token)


def default_token() -> str:
    """An access token of the credentials that Google's library finds on this machine. It blocks.

    Raises:
        MissingDependencyError: `google-auth` is not installed.
    """
    try:
        import google.auth
        from google.auth.transport.requests import Request
    except ImportError as failure:
        raise MissingDependencyError("Gemini on Vertex AI", "google", str(failure)) from failure
    found: tuple[Any, Any] = google.auth.default(scopes=[_SCOPE])
    found[0].refresh(Request())
    return str(found[0].token)


def check_place(config: ProviderConfig) -> None:
    """Find out what of it can be wrong.

    Raises:
        ConfigurationError: something is.
    """
    if on_vertex(config):
        project_of(config)
    provider = config.option("token_provider")
    if provider is not None and not callable(provider):
        raise ConfigurationError("token_provider is a function that returns an access token")
    if not isinstance(config.option("headers") or {}, Mapping):
        raise ConfigurationError("headers are a dict")
