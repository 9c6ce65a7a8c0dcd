"""What Amazon's emulators have in common: signed requests over HTTP/2, sessions that are event streams, its errors."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from voxengine.testing.emulators.aws.frames import CONTENT_TYPE, FrameReader, exception_frame
from voxengine.testing.emulators.aws.http2 import AsyncioClient, HTTP2Server
from voxengine.testing.emulators.aws.signing import Signed, check_request
from voxengine.testing.emulators.faults import REFUSALS, Refuse
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.server import Accept
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.emulators.vendor_session import VendorSession

__all__ = ["KEY_ID", "REGION", "AmazonEmulator", "AmazonSession"]

#: The access key that goes with the secret of an emulator, and where it pretends to be.
KEY_ID = "AKIDEMULATOR"
REGION = "us-east-1"
#: Signs what is sent where an emulator takes any secret.
ANY_SECRET = "any-secret"  # noqa: S105

#: Amazon's names for what a `Refuse` can be, and for the other refusals.
_REFUSALS: Mapping[str, str] = {
    "auth": "UnrecognizedClientException",
    "forbidden": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "rate_limit": "ThrottlingException",
    "quota": "ServiceQuotaExceededException",
    "server_error": "InternalServerException",
    "bad_request": "ValidationException",
}


class AmazonEmulator(VendorEmulator):
    """A service of Amazon's. `key` is the secret access key; with None the signature is not checked.

    Requests and the events in their streams have to be signed. A client on the same loop can use `metadata`, which
    holds a transport for AWS's library; others need `tls`.
    """

    #: What can be sent as an exception in a stream, by the code of a `Drop`: any other is the first.
    exceptions: ClassVar[Mapping[int, str]] = {1011: "internalServerException"}

    def __init__(self, *args: Any, tls: ssl.SSLContext | None = None, **settings: Any) -> None:
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(*args, **settings)
        self._server = HTTP2Server(  # type: ignore[assignment]
            self._answer, host=self._server.host, port=self._server.port, tls=tls
        )

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self.http_url

    @property
    def credentials(self) -> dict[str, str]:
        """Settings with which a client is let in, but for the secret."""
        secret = {} if self.key is not None else {"aws_secret_access_key": ANY_SECRET}
        return {"aws_access_key_id": KEY_ID, "region": REGION, **secret}

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which a provider on this loop finds it."""
        return {"endpoint": self.endpoint, "transport": AsyncioClient, **self.credentials}

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """A refusal, with Amazon's name for it."""
        name = _REFUSALS.get(code, "InternalServerException")
        return json_answer(status, {"message": message}, {"x-amzn-ErrorType": name})

    # -- inside

    def _answer(self, request: Request, raw_path: str) -> Answer | Accept | None:
        for fault in self.faults.connecting() if self.may_fail(request) else ():
            if not isinstance(fault, Refuse):
                return None
            status = REFUSALS.get(fault.code, 500)
            if status is None:
                return None
            return self.refusal(status, fault.code, "told to refuse")
        signed = check_request(request, raw_path, self.key) if self.key is not None else None
        if self.key is not None and signed is None:
            return self.refusal(
                403, "auth", "The security token included in the request is invalid."
            )
        if not self.opens(request):
            found = self.http(request)
            if isinstance(found, Answer):
                return found
            return self.refusal(404, "not_found", f"there is no {request.path}")
        self._count += 1
        session = self.make_session(request, f"session_{self._count}")
        assert isinstance(session, AmazonSession)
        session.signed = signed
        self.sessions.append(session)
        return Accept(session)


class AmazonSession(VendorSession, ABC):
    """One event stream. A service says what is in a frame: `unwrap` and `wrap`."""

    def __init__(self, emulator: VendorEmulator, request: Request, session_id: str) -> None:
        super().__init__(emulator, request, session_id)
        #: By what its events are checked; None: they are not.
        self.signed: Signed | None = None
        self._outer, self._inner = FrameReader(), FrameReader()

    @abstractmethod
    def unwrap(self, headers: Mapping[str, Any], payload: bytes) -> str | bytes:
        """The message in a frame of the client's.

        Raises:
            ValueError: it is none.
        """

    @abstractmethod
    def wrap(self, message: str | bytes) -> bytes:
        """A message as a frame."""

    # -- told by the connection

    def response_headers(self) -> list[tuple[str, str]]:
        """The head of the answer that begins the stream."""
        return [("content-type", CONTENT_TYPE), ("x-amzn-requestid", self.id)]

    def frame(self, message: str | bytes) -> bytes:
        """What is sent for a message."""
        return self.wrap(message)

    def last_frame(self, code: int, reason: str) -> bytes:
        """What is sent before the end, if that is no good one."""
        assert isinstance(self.emulator, AmazonEmulator)
        names = self.emulator.exceptions
        name = names.get(code) or next(iter(names.values()))
        return exception_frame(name, reason or name)

    def on_data(self, data: bytes) -> None:
        """Some of the client's stream."""
        try:
            for outer in self._outer.feed(data):
                self._take_signed(outer.headers, outer.payload)
        except ValueError as failure:
            self.invalid([f"the message: {failure}"], data)

    def on_end(self) -> None:
        """The client will send no more."""
        if self.socket is not None:
            self.socket.close()

    def _take_signed(self, headers: Mapping[str, Any], payload: bytes) -> None:
        wrong = self.signed.check_event(headers, payload) if self.signed is not None else None
        if wrong is not None:
            raise ValueError(wrong)
        for inner in self._inner.feed(payload) if payload else ():
            self.on_message(self.unwrap(inner.headers, inner.payload))
