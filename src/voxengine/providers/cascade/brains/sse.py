"""Server-sent events, as far as chat endpoints use them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

__all__ = ["MAX_EVENT_BYTES", "EventDecoder"]

#: The most that one event may hold. A real one holds a few hundred bytes.
MAX_EVENT_BYTES = 1024 * 1024


class EventDecoder:
    """Turns the bytes of one response into the `data` of its events. Other fields and comments are passed over."""

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The events that the bytes complete.

        Raises:
            ValueError: a line or event is longer than `max_bytes`, or is not UTF-8.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > self._max_bytes:
            raise ValueError(f"a line is longer than {self._max_bytes} bytes")
        return [
            event for line in lines if (event := self._line(line.removesuffix(b"\r"))) is not None
        ]

    def end(self) -> list[str]:
        """The response is over: the event that was not closed by an empty line, if there is one.

        Raises:
            ValueError: as `feed`.
        """
        return [*self.feed(b"\n"), *self.feed(b"\n")] if self._rest or self._data else []

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode("utf-8") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._max_bytes:
                raise ValueError(f"an event is longer than {self._max_bytes} bytes")
            self._data.append(value.removeprefix(b" "))
        return None
