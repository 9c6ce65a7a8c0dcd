"""Short-lived keys, for clients that must not have the real one."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import msgspec

from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.net.addresses import Address, check_headers, choose_proxy, parse_url
from voxengine.net.handshake import Attempt, Refusal
from voxengine.net.masking import Mask
from voxengine.providers.openai.address import credentials, http_url, secrets_of
from voxengine.providers.openai.dialects import Dialect

__all__ = ["ClientSecret", "request_secret"]

#: Seconds that the request may take.
BUDGET = 15.0
#: Bytes of the answer that are read.
_LONGEST = 1_000_000


class ClientSecret(msgspec.Struct, frozen=True):
    """A key that opens sessions until `expires_at` (Unix seconds). Its repr does not show it."""

    value: str
    expires_at: float
    #: The session that it opens, in the vendor's form.
    session: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ClientSecret(value='***', expires_at={self.expires_at})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("value", "***"), ("expires_at", self.expires_at)]


async def request_secret(
    dialect: Dialect, config: ProviderConfig, session: Mapping[str, Any], seconds: int
) -> ClientSecret:
    """Ask the vendor for one (POST client_secrets).

    Raises:
        ConfigurationError: `seconds` is not 10 to 7200, or the proxy is none that HTTP goes through.
        AuthenticationError, RateLimitError, ConnectionError, ProviderError: the vendor did not give one.
    """
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 10 <= seconds <= 7200:
        raise ConfigurationError(f"a client secret lasts 10 to 7200 seconds, not {seconds!r}")
    try:
        async with asyncio.timeout(BUDGET):
            headers, parameters = await credentials(dialect, config)
            url = http_url(dialect, config, "client_secrets", parameters)
            # Told from the socket's address by its scheme alone.
            address = parse_url(f"ws{url.removeprefix('http')}", secrets_of(dialect, config))
            via = choose_proxy(address, config.option("proxy"))
            mask = Mask([url, via.url if via else ""], headers, (), secrets_of(dialect, config))
            attempt = Attempt(address.shown, via.shown if via else None, dialect.name, mask)
            request = _request(address, headers, _body(dialect, config, session, seconds))
            opener = _opener(via, config.option("ssl_context"))
            answer = await asyncio.to_thread(_post, opener, request, attempt)
    except TimeoutError:
        raise ConnectionError(
            f"provider {dialect.name!r}: no client secret within {BUDGET:g} s",
            provider=dialect.name,
            code="timeout",
        ) from None
    if answer.status >= 300:
        raise attempt.refused(answer)
    try:
        return msgspec.json.decode(answer.body, type=ClientSecret)
    except msgspec.DecodeError as failure:
        raise ProviderError(
            f"{address.shown} answered with no client secret: {failure}",
            provider=dialect.name,
            code="bad_message",
        ) from None


def _body(
    dialect: Dialect, config: ProviderConfig, session: Mapping[str, Any], seconds: int
) -> bytes:
    model = config.model or config.metadata.get("model") or dialect.default_model
    # A session that only transcribes has no model but that of its transcripts.
    named = {} if session.get("type") == "transcription" or not model else {"model": model}
    lasts = {"anchor": "created_at", "seconds": seconds}
    return msgspec.json.encode({"expires_after": lasts, "session": {**named, **session}})


def _request(address: Address, headers: Mapping[str, str], body: bytes) -> urllib.request.Request:
    check_headers(headers, ())
    sent = {**headers, "Content-Type": "application/json"}
    if address.authorization is not None:
        sent.setdefault("Authorization", address.authorization)
    url = f"http{address.url.removeprefix('ws')}"
    return urllib.request.Request(url, data=body, headers=sent, method="POST")  # noqa: S310


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Whoever a redirect leads to would be shown our key."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""


def _opener(via: Address | None, tls: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    proxies = {}
    if via is not None:
        if not via.url.startswith("http"):
            raise ConfigurationError(
                f"a client secret is asked for over HTTP, which cannot go through {via.shown}"
            )
        proxies = {"http": via.url, "https": via.url}
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=tls),
        _NoRedirects(),
    )


def _post(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, attempt: Attempt
) -> Refusal:
    """The answer, whatever its status."""
    try:
        with opener.open(request, timeout=BUDGET) as answer:
            return _answer(answer.status, answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return _answer(refused.code, refused)
    except http.client.HTTPException as failure:
        raise attempt.malformed(str(failure) or type(failure).__name__) from None
    except OSError as failure:
        reason = getattr(failure, "reason", None)
        cause = reason if isinstance(reason, Exception) else failure
        raise attempt.broken(cause, "connect") from None


def _answer(status: int, answer: Any) -> Refusal:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Refusal(status, headers, answer.read(_LONGEST))
