"""The emulated recogniser: a real gRPC server on a port of this machine, whose messages are the vendor's own types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from voxengine.testing.emulators.faults import FaultLike, FaultPlan, Refuse, fault_plan
from voxengine.testing.emulators.google_stt.hearing import Recognition
from voxengine.testing.emulators.voice import LocalVoice, Voice, voice_of
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["GoogleSTTEmulator"]

_METHOD = "/google.cloud.speech.v2.Speech/StreamingRecognize"
#: gRPC statuses by what a `Refuse` can be.
_REFUSALS = {
    "auth": ("UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
    "forbidden": ("PERMISSION_DENIED", "Permission 'speech.recognizers.recognize' denied."),
    "not_found": ("NOT_FOUND", "Requested entity was not found."),
    "rate_limit": ("RESOURCE_EXHAUSTED", "Too many concurrent streams."),
    "quota": ("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric."),
    "server_error": ("INTERNAL", "Internal error encountered."),
    "refused": ("UNAVAILABLE", "The service is currently unavailable."),
}


class GoogleSTTEmulator:
    """Speech-to-Text v2 of one's own. An async context manager.

    Args:
        faults: what goes wrong: `Refuse`, `Flap`, and in the n-th call after so many messages of audio `Drop`, `Stall`.
        speech: its ears, see `voxengine.testing.emulators.voice`.
        key: the only key that is accepted; None takes any, or none.
        host, port: where it listens; port 0 is a free one.
        max_call_s: seconds of audio after which it ends a call.
        settings: what other emulators have, and this one has no use for.

    Attributes:
        calls: all calls so far, the latest last.

    Raises:
        MissingVendorTypesError: `google-cloud-speech` is not installed.
    """

    def __init__(
        self,
        *,
        faults: FaultPlan | Iterable[FaultLike] | FaultLike | None = None,
        speech: Voice | str | None = None,
        key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        max_call_s: float = 305.0,
        **settings: Any,
    ) -> None:
        self.faults = fault_plan(faults)
        self.voice = voice_of(speech)
        self.key = key
        self.host, self.port = host, port
        self.max_call_s = max_call_s
        self.calls: list[Recognition] = []
        self.types = vendor_module(
            "google.cloud.speech_v2",
            package="google-cloud-speech",
            feature="emulating Google's recogniser",
        )
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the part finds it."""
        return {"endpoint": self.endpoint, "project": "emulated"}

    async def start(self) -> None:
        """Open the port."""
        import grpc

        if isinstance(self.voice, LocalVoice):
            await self.voice.load()
        types = self.types
        handler = grpc.stream_stream_rpc_method_handler(
            self._recognize,
            request_deserializer=types.StreamingRecognizeRequest.deserialize,
            response_serializer=types.StreamingRecognizeResponse.serialize,
        )
        self._server = grpc.aio.server()
        service, method = _METHOD[1:].split("/")
        generic = grpc.method_handlers_generic_handler(service, {method: handler})
        self._server.add_generic_rpc_handlers((generic,))
        self.port = self._server.add_insecure_port(f"{self.host}:{self.port}")
        await self._server.start()

    async def close(self) -> None:
        """Close all calls and the port."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- inside

    async def _recognize(self, requests: AsyncIterator[Any], context: Any) -> None:
        import grpc

        for fault in self.faults.connecting():
            code = fault.code if isinstance(fault, Refuse) else "refused"
            status, words = _REFUSALS.get(code, _REFUSALS["server_error"])
            await context.abort(grpc.StatusCode[status], words)
        shown = dict(context.invocation_metadata()).get("x-goog-api-key")
        if self.key is not None and shown != self.key:
            status, words = _REFUSALS["auth"]
            await context.abort(grpc.StatusCode[status], words)
        call = Recognition(self, context, self.faults.responding())
        self.calls.append(call)
        await call.run(requests)
