"""Keep keys out of what people read: some servers repeat the key that they refuse."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote_plus, unquote, urlsplit

__all__ = ["Mask", "clip", "is_secret_name"]

_SECRET_NAME = re.compile(r"auth|cookie|credential|key|pass|secret|sig|token", re.IGNORECASE)
#: Shorter texts are words, and stand in messages for themselves.
_SHORTEST = 4
#: A part of a subprotocol of this length may be a key: browsers can send one in no other place.
_LONG_SUBPROTOCOL = 16
#: Characters of a key from which on a text counts as that key, starred out by the server.
_PREFIX = 6


def is_secret_name(name: str) -> bool:
    """Whether a header or a parameter of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def clip(text: str, limit: int) -> str:
    """The text on one line, without control characters, and not longer than `limit`."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


class Mask:
    """Call it with a text: the same text without the secrets of one connection."""

    __slots__ = ("_pattern",)

    def __init__(
        self,
        urls: Sequence[str],
        headers: Mapping[str, str],
        subprotocols: Sequence[str],
        more: Sequence[str] = (),
    ) -> None:
        secrets: set[str] = {*more, *map(quote_plus, more)}
        for url in urls:
            parts = urlsplit(url)
            secrets |= {v for k, v in parse_qsl(parts.query) if is_secret_name(k)}
            for pair in parts.query.split("&"):
                name, _, value = pair.partition("=")
                secrets |= {value} if is_secret_name(name) else set()
            if parts.password:
                pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
                basic = base64.b64encode(pair.encode()).decode()  # as it travels
                secrets |= {parts.password, unquote(parts.password), basic}
        for name, value in headers.items():
            if is_secret_name(name):
                secrets |= set(value.split())
        for subprotocol in subprotocols:
            secrets |= {p for p in subprotocol.split(".") if len(p) >= _LONG_SUBPROTOCOL}
        secrets -= {"Bearer", "Basic", "Token"}
        self._pattern = _pattern_of(secrets)

    def __call__(self, text: str) -> str:
        """The text with `***` for each secret."""
        return text if self._pattern is None else self._pattern.sub("***", text)


def _pattern_of(secrets: set[str]) -> re.Pattern[str] | None:
    choices = []
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 2 * _PREFIX and any(c.isdigit() for c in secret):  # not a word
            choices.append(f"{re.escape(secret)}|{re.escape(secret[:_PREFIX])}[\\w*.\\-]*")
        elif len(secret) >= _SHORTEST:
            choices.append(re.escape(secret))
    return re.compile("|".join(choices)) if choices else None
