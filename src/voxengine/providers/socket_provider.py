"""`SocketProvider`: what all providers have in common that speak to their vendor over one WebSocket.

It opens the connection within one budget, tells of its beginning and of its one end, says goodbye, sends the audio and
turns what goes wrong into our errors. A vendor's provider says where to connect, what to send first and what the
messages mean:

    class Provider(SocketProvider):
        key_variables = ("VENDOR_API_KEY",)

        async def address(self):
            return Address(url=self.url("wss://api.vendor.com/v1/talk"), headers={"Authorization": self.key()})

        def opened(self, socket):
            socket.send_text(codec.encode_settings(...))

        def on_text(self, payload):
            ...  # self.ready() when the vendor has accepted the settings

Options that it reads, as keywords or in `metadata`: `endpoint`, `headers`, `proxy`, `ssl_context`, `connect_timeout`
(seconds), and `resume` where the capability is "handle".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.errors import ConnectionError, MessageError, ProviderError
from voxengine.net import BINARY, TEXT, WebSocket
from voxengine.providers.endpoints import Address, Parameters, websocket_url
from voxengine.providers.socket_link import SocketLink

__all__ = ["Address", "SocketProvider"]


class SocketProvider(SocketLink):
    """A provider on one WebSocket. See the module for how a vendor's is made of it.

    The session stands from the moment at which the vendor's provider calls `ready`: `ConnectionEstablished` is told in
    there, so that what comes right behind it finds a session. Until then, and after the end, events of anything but the
    connection are let go.
    """

    takes_audio = True
    #: Whether audio goes out in binary messages. May be set by `__init__`.
    binary_audio: bool = False

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._sent_bytes = 0

    def on_binary(self, payload: memoryview) -> None:
        """A binary message came. The view is valid only during the call."""
        self.complain(f"{len(payload)} bytes that are no text, which nobody expects")

    def encode_audio(self, audio: bytes) -> bytes | memoryview:
        """The message that carries this audio."""
        return audio

    def url(self, default: str, parameters: Parameters | None = None) -> str:
        """The address with these parameters; the option `endpoint` takes the place of the vendor's own.

        Raises:
            ConfigurationError: the endpoint is no address.
        """
        return websocket_url(default, self.config.option("endpoint"), parameters)

    # -- to tell

    def error(
        self, failure: ProviderError, *, fatal: bool = False, recoverable: bool | None = None
    ) -> None:
        """The vendor tells of an error: it refuses the session, or, where that stands, the application is told.

        `fatal`: the vendor closes the connection after this. `recoverable` is then False, else True by default.
        """
        words = self.masked(str(failure).removeprefix(f"{self.name}: "))
        failure.args = (f"{self.name}: {words}",)
        if fatal:
            self._told_code = failure.code
        self.refuse(failure)
        self.emit(
            ev.ErrorGeneral(
                exception=failure,
                error=words,
                code=failure.code,
                recoverable=not fatal if recoverable is None else recoverable,
                **self.meta(),
            )
        )

    def raw(self, name: str, payload: Any) -> None:
        """Hand on a message that we have no name for."""
        self.emit(ev.RawEvent(name=name, payload=payload, **self.meta()))

    def complain(self, words: str) -> None:
        """A message is not what it should be: `words` say what was sent instead."""
        error = self.masked(f"{self.name} sent {words}")
        self.emit(ev.ErrorGeneral(code="bad_message", error=error, **self.meta()))

    def tell_end(self, response_id: str, code: str | None) -> None:
        """Tell that a response ends with the session; `code` as of `end_response`."""
        meta = self.meta()
        if code is None:
            why = "client_cancelled"
            self.emit(ev.ResponseCancelled(response_id=response_id, reason=why, **meta))
        else:
            words = "the connection was lost"
            self.emit(ev.ResponseError(response_id=response_id, code=code, error=words, **meta))

    # -- to send

    def open_socket(self) -> WebSocket:
        """The connection, to send on.

        Raises:
            ConnectionError: the session does not stand yet ("not_connected"), or no longer ("closed").
        """
        if self._socket is None or not self.at_work:
            fresh = self._loss is None and not self._closing
            raise ConnectionError(
                f"provider {self.name!r} is not connected",
                provider=self.name,
                code="not_connected" if fresh else "closed",
            )
        return self._socket

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words.

        Raises:
            MessageError: it has no type, or is nothing that JSON can hold.
        """
        socket = self.open_socket()
        if not isinstance(event.get("type"), str):
            raise MessageError("an event has a type", provider=self.name)
        socket.send_text(self.as_json(event))

    def as_json(self, event: Mapping[str, Any]) -> bytes:
        """The application's message as it goes out.

        Raises:
            MessageError: it is nothing that JSON can hold.
        """
        try:
            return msgspec.json.encode(event)
        except (TypeError, ValueError, OverflowError, msgspec.EncodeError) as failure:
            raise MessageError(f"not JSON: {failure}", provider=self.name) from None

    async def send_audio(self, audio_data: bytes) -> None:
        """Send what the user's microphone heard, in the format of `get_audio_format`.

        Raises:
            AudioError: it cannot be audio of the format. ConnectionError: not connected.
        """
        self.open_socket()
        self.check_audio(audio_data)
        self.take_audio(audio_data)

    def take_audio(self, audio_data: bytes) -> None:
        """As `send_audio`, of audio that was checked."""
        socket, n = self._ear, len(audio_data)
        if socket is None or not n:
            self.open_socket()
            return
        self._sent_bytes += n
        message = self.encode_audio(audio_data)
        # The shorter half of the socket's `send_audio`: this is the audio path.
        send = socket.send_now
        if send is not None:
            send(BINARY if self.binary_audio else TEXT, message)
        else:
            socket.send_audio(message, n, binary=self.binary_audio)

    @property
    def sent_ms(self) -> float:
        """Milliseconds of audio that were sent; what was dropped does not count."""
        return self.get_audio_format().duration_ms(self._sent_bytes)

    # -- what is needed of what the application asks for

    def need_text(self, text: object) -> None:
        """Raise a `MessageError` unless this is a text that can be sent."""
        if not isinstance(text, str) or not text:
            raise MessageError("a text is a string that is not empty", provider=self.name)

    def need_call(self, call_id: str, calls: Collection[str]) -> None:
        """Raise a `MessageError` (`unknown_call`) unless the call is one of those that wait for a result."""
        if call_id not in calls:
            words = f"no call {call_id!r} is waiting for a result"
            raise MessageError(words, provider=self.name, code="unknown_call")

    def need_early(self, moment: str, *, late: bool) -> None:
        """Raise a `MessageError` (`history_late`) if it is too late for an earlier conversation: after the moment."""
        if late:
            words = f"an earlier conversation is given before {moment}"
            raise MessageError(words, provider=self.name, code="history_late")

    def need_changeable(
        self, settings: Collection[str], changeable: Collection[str], moment: str
    ) -> None:
        """Raise an `UnsupportedFeatureError` if one of the settings is fixed from this moment on."""
        fixed = [name for name in settings if name not in changeable]
        if fixed:
            raise self.unsupported(f"a change of {', '.join(fixed)} {moment}")

    def _on_dropped(self, messages: int, n_bytes: int) -> None:
        self._sent_bytes -= n_bytes
        self.emit(
            ev.AudioDropped(
                direction="input",
                audio_ms=self.get_audio_format().duration_ms(n_bytes),
                chunks=messages,
                reason="the connection takes less than is sent; the oldest was dropped",
                **self.meta(),
            )
        )
