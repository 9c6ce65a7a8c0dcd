"""The signature of Twilio's requests.

It is the HMAC-SHA1, by the account's auth token, of the whole URL followed by the names and values of the POST
parameters in the order of their names (twilio.com/docs/usage/webhooks/webhooks-security). Whether the URL has the usual
port written out differs from one of Twilio's services to the other; its own validator takes both, and so does this.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

__all__ = ["is_signed", "signature_of"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def signature_of(url: str, parameters: Iterable[tuple[str, str]], token: str) -> str:
    """The signature of a request for exactly this URL. A parameter that is repeated counts once."""
    signed = url + "".join(name + value for name, value in sorted(set(parameters)))
    digest = hmac.new(token.encode(), signed.encode("utf-8", "surrogatepass"), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


def is_signed(url: str, parameters: Iterable[tuple[str, str]], token: str, signature: str) -> bool:
    """Whether the signature is that of the request, in a time that tells nothing about it."""
    pairs = list(parameters)
    given = signature.encode("utf-8", "surrogatepass")
    found = False
    for form in _forms(url):
        found |= hmac.compare_digest(signature_of(form, pairs, token).encode(), given)
    return found


def _forms(url: str) -> list[str]:
    """The URL as it is, and with or without the port that its scheme has anyway."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return [url]
    usual = _PORTS.get(parts.scheme)
    if port is None:
        return [url, _with_host(parts, f"{parts.netloc}:{usual}")]
    return [url, _with_host(parts, parts.netloc.rpartition(":")[0])]


def _with_host(parts: SplitResult, host: str) -> str:
    return parts._replace(netloc=host).geturl()
