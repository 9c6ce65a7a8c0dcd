"""Credentials and region of Amazon's services.

They are taken from the options `aws_access_key_id`, `aws_secret_access_key` (or the `api_key`), `aws_session_token`,
`region` and `profile`; else from the environment (`AWS_ACCESS_KEY_ID`, ..., `AWS_REGION`); else, by botocore, from
wherever AWS's own tools take them: profiles, single sign-on, the role of the machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import msgspec

from voxengine.errors import AuthenticationError, ConfigurationError, MissingDependencyError

__all__ = ["OPTIONS", "Access", "Option", "find_access", "is_stated"]

#: A setting by its name, None where it is not made.
Option = Callable[[str], Any]

#: The names of the settings that are read here.
OPTIONS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region",
    "profile",
)


class Access(msgspec.Struct, frozen=True):
    """Who asks, and where. The repr shows no secret."""

    key_id: str
    secret: str
    token: str | None
    region: str

    def __repr__(self) -> str:
        return f"Access({self.region!r}, ...)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.secret, self.token) if self.token else (self.secret,)


def is_stated(option: Option) -> bool:
    """Whether credentials are in the options or the environment; otherwise they have to be looked for."""
    given = option("aws_access_key_id")
    return bool(given or (not option("profile") and os.environ.get("AWS_ACCESS_KEY_ID")))


async def find_access(option: Option, provider: str, secret: str | None = None) -> Access:
    """The credentials and the region. `secret` is taken where an access key is stated without its secret.

    Looking for them may ask other services, in a thread.

    Raises:
        ConfigurationError: an option contradicts another, or there is no region.
        AuthenticationError: there are no credentials.
        MissingDependencyError: they have to be looked for, and botocore is not there.
    """
    stated = _stated(option, provider, secret)
    region = _region(option)
    if stated is not None and region is not None:
        return Access(*stated, region)
    found, profile_region = await asyncio.to_thread(_look, option("profile"), stated is None)
    region = region or profile_region
    if not region:
        raise ConfigurationError(
            f"provider {provider!r} needs a region: the option region, or AWS_REGION"
        )
    who = stated or found
    if who is None:
        raise AuthenticationError(
            f"provider {provider!r}: no AWS credentials were found; give aws_access_key_id and aws_secret_access_key, "
            "or a profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            provider=provider,
        )
    return Access(*who, region)


def _stated(
    option: Option, provider: str, secret: str | None
) -> tuple[str, str, str | None] | None:
    key_id, token = option("aws_access_key_id"), option("aws_session_token")
    secret = option("aws_secret_access_key") or secret
    if not key_id and not option("profile"):
        key_id = os.environ.get("AWS_ACCESS_KEY_ID")
        own = os.environ.get("AWS_SECRET_ACCESS_KEY")
        secret, token = secret or own, token or os.environ.get("AWS_SESSION_TOKEN")
    if not key_id:
        return None
    if not secret:
        raise ConfigurationError(
            f"provider {provider!r}: aws_access_key_id needs its aws_secret_access_key"
        )
    return str(key_id), str(secret), str(token) if token else None


def _region(option: Option) -> str | None:
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    found = option("region") or next((v for n in names if (v := os.environ.get(n))), None)
    return str(found) if found else None


def _look(
    profile: str | None, credentials: bool
) -> tuple[tuple[str, str, str | None] | None, str | None]:
    """What botocore finds: credentials, if they are wanted, and a region."""
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise MissingDependencyError("a profile or a role of AWS", "aws") from None
    session = Session(profile=profile)
    try:
        region = session.get_config_variable("region")
        found = session.get_credentials() if credentials else None
        frozen = found.get_frozen_credentials() if found is not None else None
    except BotoCoreError as failure:
        raise ConfigurationError(f"AWS credentials: {failure}") from None
    if frozen is None or not frozen.access_key:
        return None, region
    return (frozen.access_key, frozen.secret_key, frozen.token), region
