"""The table `[twilio]` of the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from voxengine.errors import ConfigurationError
from voxengine.gateway.names import check_names
from voxengine.gateway.refusal import Refused

__all__ = ["TwilioSettings"]


class TwilioSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Twilio is known, and by which address it knows us."""

    #: The environment variable that holds the account's auth token. Without it, callers are let in as at
    #: `/v1/realtime`: from this machine, or with a key.
    auth_token_env: Annotated[str, Meta(min_length=1)] | None = None
    #: What the gateway is called from outside, such as "https://voice.example"; None: as the request says.
    public_url: str | None = None

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> TwilioSettings:
        """What the table says.

        Raises:
            ConfigurationError: a name or a value in it is not allowed.
        """
        check_names(table, cls.__struct_fields__, "[twilio]")
        try:
            settings = msgspec.convert(table, cls)
        except msgspec.ValidationError as failure:
            raise ConfigurationError(f"[twilio]: {str(failure).replace('`', '')}") from None
        url = settings.public_url
        if url is None:
            return settings
        if not _is_base(url):
            raise ConfigurationError(
                f"[twilio] public_url is an address such as 'https://voice.example', not {url!r}"
            )
        return msgspec.structs.replace(settings, public_url=url.rstrip("/"))

    def auth_token(self) -> str | None:
        """The token, as the environment has it now; None where none is configured.

        Raises:
            Refused: 503, its variable is not set: then nobody is let in.
        """
        if self.auth_token_env is None:
            return None
        token = os.environ.get(self.auth_token_env)
        if not token:
            raise Refused(
                503,
                "twilio_not_configured",
                f"Calls by Twilio cannot be checked: {self.auth_token_env} is not set.",
                "server_error",
            )
        return token


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    extra = parts.query or parts.fragment or parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not extra
