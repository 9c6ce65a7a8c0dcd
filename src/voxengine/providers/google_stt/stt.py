"""The recogniser, and the stream of one session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

from voxengine.errors import MissingDependencyError, ProviderError
from voxengine.providers.cascade.brains.http_pool import HttpPool
from voxengine.providers.cascade.parts import STTEvent, STTFailed, STTFinal
from voxengine.providers.google_stt.failures import NAME, error_of
from voxengine.providers.google_stt.shape import SAMPLE_RATE, config_of, settings_of
from voxengine.providers.google_stt.talk import Talk

__all__ = ["MAX_CALL_S", "GoogleSTT", "GoogleSTTStream"]

#: Seconds of audio after which another call is begun: the vendor ends one after 305.
MAX_CALL_S = 280.0
#: Calls whose last words are still awaited. With more than that, the vendor does not keep up.
_MAX_ENDING = 4


class GoogleSTT:
    """Speech-to-Text v2 ("google/chirp_3"). Credentials are those that Google's library finds, or `api_key`.

    Options: `project` (or GOOGLE_CLOUD_PROJECT), `location` ("us"), `recognizer` ("_", or the full path of one),
    `languages`, `punctuation`, `endpointing` ("standard", "short", "supershort"), `boost` of the vocabulary (0 to 20),
    `endpoint`, `timeout_s` for the last words, `api_key`.

    Raises:
        ConfigurationError: an option is wrong or missing.
    """

    name = NAME
    sample_rate = SAMPLE_RATE
    detects_turns = False
    takes_vocabulary = True
    tells_emotion = False

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self.settings = settings_of(model, options)
        self._pool = HttpPool(cast("Any", self._make_client))

    def __repr__(self) -> str:
        return f"GoogleSTT(model={self.settings.model!r}, endpoint={self.settings.endpoint!r})"

    async def load(self) -> None:
        """Look whether the vendor's client is there, and credentials; nothing is connected.

        Raises:
            MissingDependencyError: it is not installed.
            AuthenticationError: there are none.
        """
        await self._pool.get()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._pool.close()

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> GoogleSTTStream:
        """Open a stream for one session. The vendor is called when the first audio comes.

        Raises:
            ProviderError: there are no credentials (`auth`).
        """
        client: Any = await self._pool.get()
        return GoogleSTTStream(
            client, self, on_event, config_of(self.settings, language, vocabulary)
        )

    def _make_client(self) -> Any:
        try:
            import grpc
            from google.api_core.client_options import ClientOptions
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import speech_v2
            from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
        except ImportError as failure:
            raise MissingDependencyError("stt 'google'", "google", str(failure)) from failure
        settings = self.settings
        if settings.insecure:
            channel = grpc.aio.insecure_channel(settings.endpoint)
            transport = SpeechGrpcAsyncIOTransport(channel=channel)
            return _Client(speech_v2.SpeechAsyncClient(transport=transport), settings.api_key)
        options = ClientOptions(api_endpoint=settings.endpoint, api_key=settings.api_key)
        try:
            return _Client(speech_v2.SpeechAsyncClient(client_options=options), None)
        except GoogleAuthError as failure:
            from voxengine.errors import AuthenticationError

            raise AuthenticationError(
                f"{NAME}: no credentials for Google Cloud: {type(failure).__name__}", provider=NAME
            ) from failure


class _Client:
    """The vendor's client, with an end. `api_key` is shown in a header where the transport does not do that."""

    def __init__(self, client: Any, api_key: str | None) -> None:
        self._client = client
        self._metadata = (("x-goog-api-key", api_key),) if api_key else ()

    async def recognize(self, requests: AsyncIterator[Any]) -> Any:
        """Begin a call."""
        return await self._client.streaming_recognize(
            requests=requests, retry=None, timeout=None, metadata=self._metadata
        )

    async def aclose(self) -> None:
        """Close the channel."""
        await self._client.transport.close()


class GoogleSTTStream:
    """The ears of one session."""

    def __init__(
        self,
        client: _Client,
        recogniser: GoogleSTT,
        on_event: Callable[[STTEvent], None],
        config: Mapping[str, Any],
    ) -> None:
        from google.cloud.speech_v2 import types

        self._client = client
        self._settings = recogniser.settings
        self._on_event: Callable[[STTEvent], None] | None = on_event
        self._request: Any = types.StreamingRecognizeRequest
        self._first = self._request(recognizer=self._settings.path, streaming_config=config)
        self._fed = 0
        #: The call that takes audio, and all that have not ended, in order.
        self._talk: Talk | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def feed(self, audio: bytes) -> None:
        """Take the next audio. Never waits."""
        if self._on_event is None or not audio:
            return
        talk = self._talk
        if talk is not None and talk.fed >= MAX_CALL_S * SAMPLE_RATE * 2:
            talk.end()
            talk = None
        if talk is None:
            talk = self._begin()
        talk.feed(audio)
        self._fed += len(audio)
        if talk.too_slow or len(self._tasks) > _MAX_ENDING:
            self._fail(
                ProviderError(
                    f"{NAME} takes less audio than is spoken",
                    provider=NAME,
                    code="overloaded",
                    retryable=True,
                )
            )

    def finalize(self) -> None:
        """The turn is over: end the call, and tell when its last words have come."""
        if self._on_event is None:
            return
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.end()
        self._later(self._say_asked())

    async def close(self) -> None:
        """Close it; no event comes after that, but for the seconds that are billed."""
        self._on_event, self._talk = None, None
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- inside

    def _begin(self) -> Talk:
        talk = self._talk = Talk(
            self._client.recognize,
            self._first,
            lambda audio: self._request(audio=audio),
            self._tell,
            base_ms=self._fed / (SAMPLE_RATE * 2) * 1000,
            timeout_s=self._settings.timeout_s,
        )
        self._later(self._hold(talk, self._tasks[-1] if self._tasks else None))
        return talk

    def _later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name="google-stt")
        self._tasks.append(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            failure = task.exception()
            self._fail(failure if isinstance(failure, ProviderError) else error_of(failure))

    async def _hold(self, talk: Talk, before: asyncio.Task[None] | None) -> None:
        await talk.run(before)
        if self._talk is talk:  # the vendor has ended it: the next audio begins another
            self._talk = None

    async def _say_asked(self) -> None:
        """When all calls before this have ended."""
        before = self._tasks[: self._tasks.index(_this_task())]
        if before:
            await asyncio.wait(before)
        self._tell(STTFinal("", asked=True))

    def _tell(self, event: STTEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _fail(self, failure: ProviderError) -> None:
        on_event, self._on_event = self._on_event, None
        self._talk = None
        for task in self._tasks:
            task.cancel()
        if on_event is not None:
            on_event(STTFailed(failure))


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
