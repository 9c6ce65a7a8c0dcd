"""Why a connection could not be opened, as one of our errors."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.errors import AuthenticationError, ConnectionError, ProviderError, RateLimitError
from voxengine.net.masking import Mask, clip

__all__ = ["Attempt", "Refusal"]

#: Characters of the server's own words that are shown.
_SHOWN = 300
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |$)")


class Refusal(msgspec.Struct, frozen=True):
    """The answer of a server that did not open the WebSocket."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def parse(cls, head: bytes | None, body: bytes | None) -> Refusal | None:
        """From the head of a response, without its empty line. None if it is not HTTP."""
        lines = (head or b"").split(b"\r\n")
        found = _STATUS_LINE.match(lines[0])
        if found is None:
            return None
        pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return cls(int(found[1]), headers, body or b"")

    @property
    def missing(self) -> int:
        """Bytes of the body that have not come yet; 0 where the server does not say."""
        length = self.headers.get("content-length", "")
        return max(0, int(length) - len(self.body)) if length.isdecimal() else 0

    def words(self) -> str:
        """What the server says about it: the message of a JSON error, else the text of the page."""
        body = self.body
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            body = _without_chunks(body)
        try:
            return _message(msgspec.json.decode(body)) or ""
        except msgspec.DecodeError:
            page = body.decode("utf-8", "replace")
            return re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", page)

    def retry_after(self) -> float | None:
        """Seconds to wait (RFC 9110, section 10.2.3: a number or a date; OpenAI also sends milliseconds)."""
        try:
            if ms := self.headers.get("retry-after-ms"):
                return max(0.0, float(ms) / 1000)
            value = self.headers.get("retry-after", "")
            if re.fullmatch(r"\d+(\.\d+)?", value):
                return float(value)
            return max(0.0, parsedate_to_datetime(value).timestamp() - Clock().wall())
        except ValueError:
            return None


class Attempt:
    """One attempt to connect, and how each way in which it can fail is told."""

    def __init__(self, where: str, proxy: str | None, provider: str, mask: Mask) -> None:
        """`where` and `proxy` are the addresses as they may be shown."""
        self._where = where
        self._proxy = proxy
        self._provider = provider
        self._mask = mask

    def refused(self, answer: Refusal) -> ProviderError:
        """The server answered, but not with a WebSocket."""
        status, provider = answer.status, self._provider
        words = clip(self._mask(answer.words()), _SHOWN)
        text = f"{self._where} answered {status}" + (f": {words}" if words else "")
        if status in (401, 403):
            return AuthenticationError(text, provider=provider)
        if status == 429:
            wait = answer.retry_after()
            if b"insufficient_quota" in answer.body:
                return RateLimitError(
                    text, provider=provider, code="quota", retryable=False, retry_after=wait
                )
            return RateLimitError(text, provider=provider, retry_after=wait)
        if status >= 500:
            return self._error(text, "server", retryable=True)
        if status == 404:
            return self._error(text, "not_found", retryable=False)
        if 300 <= status < 400:
            # Following it would show the key to whoever it leads to.
            text = f"{text} (it leads elsewhere; redirects are not followed)"
        return self._error(text, "rejected", retryable=False)

    def malformed(self, what: str) -> ProviderError:
        """The server does not speak WebSocket, or not by the rules."""
        text = f"{self._where}: {clip(self._mask(what), _SHOWN)}"
        return self._error(text, "protocol", retryable=False)

    def ended(self) -> ProviderError:
        """The connection was closed before there was an answer."""
        text = f"{self._where} closed the connection during the handshake"
        return self._error(text, "closed", retryable=True)

    def too_slow(self, stage: str, seconds: float) -> ProviderError:
        """The budget is used up."""
        during = {"dns": "the look-up of its name", "connect": "the connecting"}
        what = during.get(stage, "the handshake")
        text = f"{self._where} could not be reached within {seconds:g} s; that was during {what}"
        return self._error(text, "timeout", retryable=True)

    def broken(self, error: Exception, stage: str) -> ProviderError:
        """The network failed, or TLS, or the proxy."""
        said = clip(self._mask(str(error) or type(error).__name__), _SHOWN)
        if isinstance(error, ssl.SSLError):
            text = f"{self._where}: TLS failed: {said}"
            certificate = isinstance(error, ssl.SSLCertVerificationError)
            return self._error(text, "tls", retryable=not certificate)
        if self._proxy is not None and (
            stage != "handshake" or not isinstance(error, ConnectionResetError | BrokenPipeError)
        ):
            text = f"{self._where}: the proxy {self._proxy} failed: {said}"
            refused = re.search(r"\b40[37]\b|auth", said) is not None
            return self._error(text, "proxy", retryable=not refused)
        if isinstance(error, socket.gaierror):
            text = f"{self._where}: the name of the host is not known: {said}"
            return self._error(text, "dns", retryable=True)
        if stage == "handshake":
            return self._error(f"{self._where}: lost in the handshake: {said}", "closed", True)
        text = f"{self._where} cannot be reached: {said}"
        if isinstance(error, ConnectionRefusedError):
            return self._error(text, "refused", retryable=True)
        code = "timeout" if isinstance(error, TimeoutError) else "unreachable"
        return self._error(text, code, retryable=True)

    def _error(self, text: str, code: str, retryable: bool) -> ConnectionError:
        return ConnectionError(text, provider=self._provider, code=code, retryable=retryable)


def _message(data: Any) -> str | None:
    """The text in the shapes of errors that are in use."""
    if isinstance(data, str):
        return data
    if isinstance(data, list) and data:
        return _message(data[0])
    if not isinstance(data, Mapping):
        return None
    found = (_message(data.get(k)) for k in ("error", "message", "detail", "msg", "err_msg"))
    return next((m for m in found if m), None)


def _without_chunks(body: bytes) -> bytes:
    """The content of a chunked body (RFC 9112, section 7.1), as far as it has come."""
    content = b""
    while body:
        size, found, body = body.partition(b"\r\n")
        try:
            n = int(size.partition(b";")[0], 16)
        except ValueError:
            return content
        if not found or n <= 0:
            return content
        content += body[:n]
        body = body[n + 2 :]
    return content
