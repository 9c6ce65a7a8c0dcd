"""Where a chat endpoint is, and what it is shown to be let in. What is secret stays in here."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.brains.options import text

__all__ = ["ChatEndpoint"]

_PATH = "/chat/completions"


class ChatEndpoint:
    """Address and headers, from the options `base_url`, `api_key`, `api_key_env` and `headers`.

    Raises:
        ConfigurationError: an option is missing or wrong. The message never holds a secret.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        base = text("openai-chat", options, "base_url")
        if base is None:
            raise ConfigurationError(
                "the openai-chat brain needs the option 'base_url', such as http://127.0.0.1:11434/v1 (Ollama)"
            )
        try:
            parts = urlsplit(base)
            host, port = parts.hostname, parts.port
        except ValueError as e:
            raise ConfigurationError(
                f"option 'base_url' of the openai-chat brain is not an address: {e}"
            ) from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigurationError(
                "option 'base_url' of the openai-chat brain begins with http:// or https://"
            )
        self._parts = parts._replace(path=parts.path.rstrip("/").removesuffix(_PATH), fragment="")
        shown_host = f"[{host}]" if ":" in host else host
        #: The address without user, password and query, for people to read.
        self.shown = f"{parts.scheme}://{shown_host}{f':{port}' if port else ''}{self._parts.path}"
        #: Whether the server runs on this machine.
        self.local = _is_local(host)
        self._secrets: list[str] = [parts.password] if parts.password else []
        self.headers = self._make_headers(options)

    def __repr__(self) -> str:
        return f"ChatEndpoint({self.shown!r})"

    def url(self, path: str) -> str:
        """The full address of a path below the base, with the base's query (Azure has one)."""
        return self._parts._replace(path=f"{self._parts.path}/{path}").geturl()

    def censor(self, said: str) -> str:
        """The text without our secrets: some servers repeat the key that they refuse."""
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said

    def _make_headers(self, options: Mapping[str, Any]) -> dict[str, str]:
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"}
        if (key := _key(options)) is not None:
            headers["authorization"] = f"Bearer {key}"
            self._secrets.append(key)
        more = options.get("headers") or {}
        if not isinstance(more, Mapping):
            raise ConfigurationError(
                "option 'headers' of the openai-chat brain is a table of texts"
            )
        for name, value in more.items():
            if (
                not isinstance(name, str)
                or not isinstance(value, str)
                or not _sendable(name + value)
            ):
                raise ConfigurationError(
                    f"header {name!r} of the openai-chat brain is not a printable text"
                )
            headers[name.lower()] = value
            self._secrets += [value] if len(value) >= 8 else []
        return headers


def _key(options: Mapping[str, Any]) -> str | None:
    key, variable = (
        text("openai-chat", options, "api_key"),
        text("openai-chat", options, "api_key_env"),
    )
    if key is not None and variable is not None:
        raise ConfigurationError(
            "the openai-chat brain takes either 'api_key' or 'api_key_env', not both"
        )
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        if not key:
            raise ConfigurationError(
                f"the environment variable {variable}, which holds the API key, is not set"
            )
    if key is not None and not _sendable(key):
        # Said here, because the HTTP library would repeat the key in its own error.
        raise ConfigurationError(
            "the API key of the openai-chat brain holds characters that no header can"
        )
    return key


def _sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
