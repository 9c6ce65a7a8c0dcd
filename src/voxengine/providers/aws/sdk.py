"""AWS's own library for event streams over HTTP/2: whether it is there, and what all of its clients are made with."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.providers.aws.access import Access

__all__ = ["OldPythonError", "credentials", "need", "transport"]

#: AWS's library is for this Python and newer ones.
OLDEST = (3, 12)
#: Its loggers, which at the level of debugging write down every message with all of its audio, and every request
#: with the session token.
_LOQUACIOUS = ("smithy_core", "smithy_http", "smithy_aws_core", "smithy_aws_event_stream")


class OldPythonError(MissingDependencyError):
    """The running Python is older than AWS's library allows."""

    def __init__(self, feature: str) -> None:
        """`feature` is what was asked for."""
        self.feature, self.extra = feature, "aws"
        here = ".".join(map(str, sys.version_info[:2]))
        text = f"{feature} needs Python 3.12 or newer; this is {here}"
        # Past the parent's own text: no command would help.
        super(MissingDependencyError, self).__init__(text)


def need(feature: str, module: str) -> Any:
    """A module of AWS's library.

    Raises:
        OldPythonError: this Python is too old for it.
        MissingDependencyError: it is not installed.
    """
    if sys.version_info < OLDEST:
        raise OldPythonError(feature)
    for name in _LOQUACIOUS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        raise MissingDependencyError(feature, "aws", str(failure)) from None


def credentials(access: Access, feature: str) -> Any:
    """What a client of the library takes its credentials from."""
    components = need(feature, "smithy_aws_core.identity.components")
    static = need(feature, "smithy_aws_core.identity.static")
    return static.StaticCredentialsResolver(
        components.AWSCredentialsIdentity(
            access_key_id=access.key_id,
            secret_access_key=access.secret,
            session_token=access.token,
        )
    )


def transport(option: Callable[[str], Any], feature: str) -> Any:
    """The HTTP/2 client of one connection: what the option `transport` makes, else AWS's own.

    `ca_bundle` is a file of certificates to trust in the place of the system's.

    Raises:
        ConfigurationError: the certificates cannot be read.
        MissingDependencyError: it is not installed.
    """
    given = option("transport")
    if given is not None:
        return given()
    need(feature, "awscrt")
    client = _tidy(need(feature, "smithy_http.aio.crt").AWSCRTHTTPClient)()
    bundle = option("ca_bundle")
    if bundle:
        io = need(feature, "awscrt.io")
        options = io.TlsContextOptions()
        try:
            options.override_default_trust_store_from_path(None, str(bundle))
            # The client has no setting for this.
            client._tls_ctx = io.ClientTlsContext(options)
        except Exception as failure:  # the runtime has an error class of its own
            raise ConfigurationError(f"ca_bundle {str(bundle)!r}: {failure}") from None
    return client


def _tidy(base: Any) -> Any:
    """AWS's client, one that takes with it what it began: of a stream that ends early it leaves a task behind."""

    class Client(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._streams: list[Any] = []

        async def send(self, request: Any, **settings: Any) -> Any:
            response = await super().send(request, **settings)
            self._streams.append(getattr(response, "_stream", None))
            return response

        async def close(self) -> None:
            for stream in self._streams:
                writer = getattr(stream, "_writer", None)
                if writer is not None:
                    writer.cancel()
                    await asyncio.wait([writer])
                    if not writer.cancelled():
                        writer.exception()  # it was cut off while it wrote
                generator = getattr(stream, "_request_body_generator", None)
                if generator is not None:
                    await generator.aclose()
            self._streams.clear()
            await super().close()

    return Client
