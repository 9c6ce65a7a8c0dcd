"""Settings fit to be shown: no key, no token, no password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["masked"]

_SECRET = ("key", "token", "secret", "pass", "authorization", "credential", "cookie")
#: Settings that hold an address, also where that has no scheme.
_ADDRESSES = ("endpoint", "proxy")
#: In an address: a user with a password, and a parameter that is named like a secret.
_USER = re.compile(r"(?<=://)[^/?#\s]*@|^[^/?#\s:]*:[^/?#\s]*@")
_PARAMETER = re.compile(
    rf"([?&][^=&#\s]*(?:{'|'.join((*_SECRET, 'auth', 'sig'))})[^=&#\s]*=)[^&#\s]*", re.I
)


def masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy fit to be shown: whatever is named like a secret is replaced, also inside what it holds."""
    return {
        name: "***" if _is_secret(str(name), value) else _shown(value, str(name) in _ADDRESSES)
        for name, value in values.items()
    }


def _is_secret(name: str, value: Any) -> bool:
    # A number is a count, such as max_tokens, or a switch.
    return (
        value is not None
        and not isinstance(value, (int, float))
        and any(word in name.lower() for word in _SECRET)
    )


def _shown(value: Any, address: bool = False) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, (list, tuple)):
        return [_shown(v) for v in value]
    if isinstance(value, str) and (address or "://" in value):
        return _PARAMETER.sub(r"\1***", _USER.sub("***@", value))
    return value
