"""Logs that say which call they are about: fields of a record, those of the context, and lines of JSON.

A record has fields of its own with `logger.info(words, extra=fields(...))`. Whatever is logged in the context of a
call, also by the code of a provider, has those of the call: its tasks and connections begin in that context.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonLine", "TextLine", "fields", "fields_of", "in_context"]

_context: ContextVar[Mapping[str, Any] | None] = ContextVar("voxengine_log_fields", default=None)
#: The attribute of a record that holds its fields.
_ATTRIBUTE = "voxengine"


@contextmanager
def in_context(**values: Any) -> Iterator[None]:
    """Let all records of this context, and of the tasks that begin in it, have these fields."""
    token = _context.set({**(_context.get() or {}), **values})
    try:
        yield
    finally:
        _context.reset(token)


def fields(**values: Any) -> dict[str, Any]:
    """For `extra=`: fields of one record."""
    return {_ATTRIBUTE: values}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a record: its own, and those of the context that it is looked at in."""
    return {**(_context.get() or {}), **getattr(record, _ATTRIBUTE, {})}


class JsonLine(logging.Formatter):
    """A record as a line of JSON: time, level, logger, message, its fields, and the exception.

    Args:
        redact: takes secrets out of the finished line.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(line, ensure_ascii=False, default=str))


class TextLine(logging.Formatter):
    """As another formatter has it, with the call in front, where the words do not name it.

    Args:
        inner: the other formatter.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = self._inner.format(record)
        call = fields_of(record).get("call")
        return text if call is None or call in text else f"{call}: {text}"
