"""One provider under check: it is opened, spoken to, listened to, and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from voxengine.audio.level import silence
from voxengine.errors import ProviderError, UnsupportedFeatureError, VoiceEngineError
from voxengine.events import (
    ErrorGeneral,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseError,
    ResponseStarted,
)
from voxengine.providers.base import BaseProvider
from voxengine.testing.conformance.checks import NotOffered, expect, fail
from voxengine.testing.conformance.scenario import Scenario

__all__ = ["ENDS", "SECRET", "Case"]

ENDS = (ResponseCompleted, ResponseCancelled, ResponseError)
#: The key that every provider is checked with; it must never be seen again.
SECRET = "sk-conformance-secret"  # noqa: S105

_FRAME_MS = 20

_T = TypeVar("_T")
_E = TypeVar("_E", bound=ProviderEvent)


class Case:
    """What a check works with. `events` are those of all providers that it opened, in the order of their coming."""

    def __init__(self, make: Callable[[dict[str, Any]], BaseProvider], scenario: Scenario) -> None:
        self._make = make
        self.scenario = scenario
        self.events: list[ProviderEvent] = []
        self.providers: list[BaseProvider] = []
        self._arrived = asyncio.Event()
        self._others: list[Case] = []

    # -- opening and closing

    def create(self, **settings: Any) -> BaseProvider:
        """A provider that is not connected; its events are recorded."""
        provider = self._make(settings)
        provider.on_event = self._record
        self.providers.append(provider)
        return provider

    async def open(self, **settings: Any) -> BaseProvider:
        """A provider that is connected."""
        provider = self.create(**settings)
        await self.within(provider.connect(), "connect()")
        return provider

    def another(self) -> Case:
        """A case beside this one, with a record of its own; it is closed together with this one."""
        other = Case(self._make, self.scenario)
        self._others.append(other)
        return other

    async def close(self) -> None:
        """Disconnect all that were made."""
        for other in self._others:
            await other.close()
        for provider in self.providers:
            await self.within(provider.disconnect(), "disconnect()")

    def _record(self, event: ProviderEvent) -> None:
        self.events.append(event)
        self._arrived.set()

    # -- waiting

    async def within(self, work: Awaitable[_T], what: str) -> _T:
        """The result of some work, which may not take longer than the scenario's patience."""
        try:
            async with asyncio.timeout(self.scenario.patience):
                return await work
        except TimeoutError:
            fail(f"{what} took more than {self.scenario.patience:g} s")

    async def wait_for(
        self,
        kind: type[_E],
        *,
        since: int = 0,
        test: Callable[[_E], bool] = lambda _: True,
    ) -> _E:
        """The first event of a class that is in the record from place `since` on, or comes."""

        async def search() -> _E:
            at = since
            while True:
                for event in self.events[at:]:
                    if isinstance(event, kind) and test(event):
                        return event
                at = len(self.events)
                self._arrived.clear()
                await self._arrived.wait()

        try:
            async with asyncio.timeout(self.scenario.patience):
                return await search()
        except TimeoutError:
            came = ", ".join(str(e.type) for e in self.events[since:][-12:]) or "nothing"
            fail(f"no {kind.__name__} within {self.scenario.patience:g} s; what came was {came}")

    async def quiet(self, seconds: float | None = None) -> None:
        """Wait until nothing has come for a while."""
        seconds = self.scenario.quiet if seconds is None else seconds
        while True:
            self._arrived.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return

    async def end_of_response(self, since: int = 0) -> ProviderEvent:
        """The end of the first response that begins after place `since` of the record."""
        started = await self.wait_for(ResponseStarted, since=since)

        def is_end(event: ProviderEvent) -> bool:
            return isinstance(event, ENDS) and event.response_id == started.response_id

        return await self.wait_for(ProviderEvent, since=since, test=is_end)

    # -- talking

    async def ask(self, provider: BaseProvider, text: str) -> list[ProviderEvent]:
        """Say something to it; all events until the answer has ended and nothing more comes."""
        since = len(self.events)
        await self.provoke(provider, text)
        await self.end_of_response(since)
        await self.quiet()
        return self.events[since:]

    async def provoke(self, provider: BaseProvider, text: str) -> None:
        """Make it answer: a text where it takes one, else by speaking to it."""
        if provider.capabilities.text_input:
            await self.within(provider.send_text(text), "send_text()")
            return
        format = provider.get_audio_format()
        await self.stream(provider, self.scenario.audio(format))
        await self.stream(provider, silence(self.scenario.trailing_ms, format))
        if not provider.capabilities.auto_response:
            await self.or_skip(provider.create_response(), "create_response()")

    async def still_answers(self, provider: BaseProvider, after: str) -> None:
        """Fail unless the session is alive."""
        expect(provider.is_connected, f"the connection was lost after {after}")
        events = await self.ask(provider, self.scenario.hello)
        expect(
            any(isinstance(e, ResponseCompleted) for e in events),
            f"a text was not answered after {after}",
        )

    async def speak(self, provider: BaseProvider) -> list[ProviderEvent]:
        """Let the user speak, and be silent long enough; all events from then on until nothing more comes."""
        since = len(self.events)
        format = provider.get_audio_format()
        await self.stream(provider, silence(300, format) + self.scenario.audio(format))
        await self.stream(provider, silence(self.scenario.trailing_ms, format))
        await self.quiet()
        return self.events[since:]

    async def stream(self, provider: BaseProvider, audio: bytes) -> None:
        """Send audio as a microphone would: in frames, at the pace at which it is spoken."""
        size = provider.get_audio_format().n_bytes(_FRAME_MS)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for i in range(0, len(audio), size):
            await provider.send_audio(audio[i : i + size])
            # By the clock, not by the frame: a slow machine must not stretch the speech.
            await asyncio.sleep(max(0.0, start + (i // size + 1) * _FRAME_MS / 1000 - loop.time()))

    # -- refusals

    async def refused(self, work: Awaitable[Any], what: str, *kinds: type[Exception]) -> Exception:
        """Fail unless some work raises one of these errors (any of ours, if none is named)."""
        wanted = kinds or (VoiceEngineError,)
        names = " or ".join(kind.__name__ for kind in wanted)
        try:
            await self.within(work, what)
        except wanted as error:
            self._check_error(error, what)
            return error
        except VoiceEngineError as error:
            fail(f"{what} raised {type(error).__name__} instead of {names}")
        except Exception as error:  # an error of another family is what is looked for
            fail(f"{what} raised {type(error).__name__}, which is none of ours: {error}")
        return fail(f"{what} was accepted in silence instead of raising {names}")

    def _check_error(self, error: Exception, what: str) -> None:
        expect(str(error), f"the {type(error).__name__} of {what} says nothing")
        if isinstance(error, ProviderError):
            names = {p.name for p in self.providers}
            expect(
                error.provider in names,
                f"the {type(error).__name__} of {what} does not name the provider",
            )

    async def refused_now_or_later(self, work: Awaitable[Any], what: str) -> None:
        """As `refused`, but a vendor may also answer with an error event."""
        since = len(self.events)
        try:
            await self.within(work, what)
        except VoiceEngineError as error:
            self._check_error(error, what)
            return
        await self.quiet()
        reports = [e for e in self.events[since:] if isinstance(e, ErrorGeneral)]
        expect(reports, f"{what} was accepted in silence instead of being refused")
        expect(
            all(e.code and e.error for e in reports),
            f"the error event about {what} has no code or no words",
        )

    def skip(self, reason: str) -> None:
        """The check does not apply."""
        raise NotOffered(reason)

    async def or_skip(self, work: Awaitable[Any], what: str) -> None:
        """Do something that a provider may refuse; then the check does not apply."""
        try:
            await self.within(work, what)
        except UnsupportedFeatureError as error:
            raise NotOffered(str(error)) from None


def merged(*configs: Mapping[str, Any]) -> dict[str, Any]:
    """Configurations one over the other; mappings in them are merged, not replaced."""
    result: dict[str, Any] = {}
    for config in configs:
        for key, value in config.items():
            old = result.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            result[key] = {**old, **value} if both else value  # type: ignore[dict-item]
    return result


def of(events: Sequence[ProviderEvent], kind: type[_E]) -> list[_E]:
    """The events of a class."""
    return [e for e in events if isinstance(e, kind)]
