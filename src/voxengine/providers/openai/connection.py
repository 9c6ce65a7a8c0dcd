"""The connection of the OpenAI family: opening, configuring, losing and closing it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from voxengine import events as ev
from voxengine.clock import Clock
from voxengine.config import ProviderConfig
from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
    SessionClosedError,
    VoiceEngineError,
)
from voxengine.net import Closed, connect_websocket
from voxengine.net.masking import Mask
from voxengine.providers import failures
from voxengine.providers.base import ConnectionState
from voxengine.providers.openai import address, encode, shape
from voxengine.providers.openai.intake import OpenAIIntake
from voxengine.providers.openai.memory import SeenEvents

__all__ = ["OpenAIConnection"]

logger = logging.getLogger("voxengine.providers.openai")

#: Seconds that the vendor may take to acknowledge a change of the session.
ACK_BUDGET = 8.0
#: Settings of the connection: another one is made with others.
_FIXED = frozenset(
    {
        "api_key",
        "auth_name",
        "auth_type",
        "connect_timeout",
        "endpoint",
        "headers",
        "intent",
        "proxy",
        "resume",
        "ssl_context",
        "token_provider",
        "transport",
    }
)


class OpenAIConnection(OpenAIIntake):
    """What of the provider is there before a word is said."""

    # -- opening

    async def connect(self) -> bool:
        """Open the connection and configure the session; True.

        Raises:
            AuthenticationError: the key was not accepted. RateLimitError: too many sessions, or no quota.
            ConnectionError: anything else; `code` says what.
            MessageError: the session's settings were refused.
            SessionClosedError: it was connected before; a new session needs a new provider.
        """
        if self.is_connected:
            return True
        if self._closing or self._socket is not None or self._opening is not None:
            raise SessionClosedError("a provider is connected once; create a new one")
        self.emit(ev.ConnectionStarting(**self.meta()))
        # A task of its own: so `disconnect` can end it, however long the other side is silent.
        opening = asyncio.get_running_loop().create_task(
            self._open_session(), name=f"voxengine-{self.name}-connect"
        )
        self._opening = opening
        try:
            await opening
            if self._failure is not None:  # it was lost as soon as it was there
                raise self._failure
        except asyncio.CancelledError:
            await self._give_up()
            if opening.cancelled() and self._closing:
                self._closing_check()
            self.state = ConnectionState.DISCONNECTED
            raise
        except BaseException as failure:
            await self._give_up()
            self._closing_check()
            self._tell_failure(failure)
            raise
        finally:
            self._opening = None
        self.emit(ev.ConnectionEstablished(resumed=self.resumed, **self.meta()))
        for code, words in shape.notes_of(self.dialect, self.config):
            self.emit(ev.SystemWarning(code=code, message=words, **self.meta()))
        early, self._early = self._early, None
        for event in early or ():
            self._take(event)
        return True

    def _tell_failure(self, failure: BaseException) -> None:
        code = getattr(failure, "code", "connection")
        retryable = getattr(failure, "retryable", False)
        # The words of an error that is none of ours may hold anything, a key too.
        ours = isinstance(failure, VoiceEngineError)
        error = str(failure) if ours else type(failure).__name__
        self.emit(ev.ConnectionFailed(error=error, code=code, retryable=retryable, **self.meta()))

    def _closing_check(self) -> None:
        if self._closing:
            raise SessionClosedError(
                "the provider was disconnected while it was being connected"
            ) from None

    async def _open_session(self) -> None:
        resume = self.config.option("resume")
        if self.dialect.resume_parameter is None or not resume:
            await self._greet(None)
            return
        try:
            await self._greet(str(resume))
        except (AuthenticationError, RateLimitError, SessionClosedError):
            raise
        except ProviderError as failure:
            if failure.code in failures.NETWORK or (
                self._socket is None and failure.code == "closed"
            ):
                raise
            # It is not known there any more: a new conversation, which is told the old one.
            logger.info("%s: not resumed (%s)", self.name, failure.code)
            await self._give_up()
            self.resumed = False
            await self._greet(None)

    async def _greet(self, resume: str | None) -> None:
        budget = float(self.config.option("connect_timeout", 10.0))
        deadline = asyncio.get_running_loop().time() + budget
        self._failure = self._last_words = self._early = None
        self.resume_handle = None
        try:
            async with asyncio.timeout_at(deadline):
                headers, secret = await address.credentials(self.dialect, self.config)
        except TimeoutError:
            raise self._too_slow(f"no token within {budget:g} s") from None
        greeting = self._waits.greeting()
        await self._open_socket(headers, self._parameters(secret, resume), deadline)
        try:
            async with asyncio.timeout_at(deadline):
                await greeting
                await self._begin_update(self._session)[1]
        except TimeoutError:
            words = f"the socket opened, but no session within {budget:g} s"
            raise self._too_slow(words) from None
        except ConnectionError as failure:
            # What came before the end says more than the end.
            raise self._failure or failure from None
        if resume is not None:
            self.resumed = self.resume_handle == resume

    def _parameters(
        self, secret: Mapping[str, str | None], resume: str | None
    ) -> dict[str, str | None]:
        transcribes = shape.is_transcription(self.config)
        parameters = {
            "model": None if transcribes else self.model,
            "intent": "transcription" if transcribes else None,
            **secret,
        }
        if self.dialect.resume_parameter is not None:
            parameters[self.dialect.resume_parameter] = resume
        return parameters

    async def _open_socket(
        self, headers: Mapping[str, str], parameters: Mapping[str, str | None], deadline: float
    ) -> None:
        url = address.websocket_url(self.dialect, self.config, parameters)
        secrets = address.secrets_of(self.dialect, self.config)
        self._mask = Mask([url, self.config.option("proxy") or ""], headers, (), secrets)
        self._decoder.clock(Clock())
        self._decoder.seen = SeenEvents()
        self._decoder.provider = self.name  # which may be registered under another one
        self._socket = self.connection = await connect_websocket(
            url,
            on_text=self._on_text,
            on_binary=self._on_binary,
            on_closed=self._on_closed,
            on_dropped=self._on_dropped,
            headers=headers,
            proxy=self.config.option("proxy"),
            ssl_context=self.config.option("ssl_context"),
            timeout=max(deadline - asyncio.get_running_loop().time(), 0.001),
            provider=self.name,
            secrets=secrets,
        )

    def _too_slow(self, words: str) -> ConnectionError:
        return ConnectionError(
            f"provider {self.name!r}: {words}", provider=self.name, code="timeout"
        )

    def _begin_update(self, session: Mapping[str, Any]) -> tuple[str, asyncio.Future[None]]:
        """Ask for a change of the session: its id, and what is settled when the vendor has answered."""
        event_id, done = self._waits.update()
        try:
            self._send(encode.update_session(session, event_id))
        except ProviderError:
            self._waits.forget(event_id)  # else the next confirmation would be taken for this one's
            raise
        return event_id, done

    async def _update(self, session: Mapping[str, Any]) -> None:
        """Change the session, and wait until the vendor has.

        Raises:
            ProviderError: it refuses, or does not answer (`code` is "timeout").
        """
        event_id, done = self._begin_update(session)
        try:
            async with asyncio.timeout(ACK_BUDGET):
                await done
        except TimeoutError:
            self._waits.forget(event_id)
            raise ProviderError(
                f"provider {self.name!r} did not confirm its settings within {ACK_BUDGET:g} s",
                provider=self.name,
                code="timeout",
                retryable=True,
            ) from None

    async def _give_up(self) -> None:
        socket, self._socket = self._socket, None
        self.connection = None
        if socket is not None:
            socket.abort()
            await socket.close()  # which then only waits until nothing is left

    # -- closing

    async def disconnect(self) -> None:
        """Close the connection, and end the stream of events."""
        if self._closing:
            return
        self._closing = True
        socket, opening, established = self._socket, self._opening, self.is_connected
        if established:
            self._report_seconds()
        self._end_open_responses(None)
        if established:
            self.emit(ev.ConnectionClosed(**self.meta()))
        else:
            if self.state != ConnectionState.ERROR:
                self.state = ConnectionState.DISCONNECTED
            self._backlog.close()
        self._waits.fail(SessionClosedError("the provider was disconnected"))
        if opening is not None and opening is not asyncio.current_task():
            opening.cancel()
            await asyncio.wait([opening])
        if socket is not None:
            await socket.close()

    def _on_closed(self, closed: Closed) -> None:
        if self._closing or closed.cause == "local":
            return
        code, retryable = failures.code_of_close(closed, told=self._last_words)
        words = closed.reason or code
        lost = ConnectionError(
            f"provider {self.name!r}: the connection was closed ({words})",
            provider=self.name,
            code=code,
            retryable=retryable,
        )
        self._waits.fail(lost)
        if not self.is_connected:
            self._failure = self._failure or lost
            return
        self._report_seconds()
        self._end_open_responses(code)
        self.emit(
            ev.ConnectionLost(
                code=code,
                close_code=closed.code,
                reason=closed.reason,
                retryable=retryable,
                error=words,
                **self.meta(),
            )
        )

    def _end_open_responses(self, code: str | None) -> None:
        meta = self.meta()
        for response_id in list(self._open):
            if code is None:
                reason = "client_cancelled"
                self.emit(ev.ResponseCancelled(response_id=response_id, reason=reason, **meta))
            else:
                error = "the connection was lost"
                self.emit(ev.ResponseError(response_id=response_id, code=code, error=error, **meta))
        self._open.clear()

    def _on_dropped(self, chunks: int, n_bytes: int) -> None:
        self._dropped_bytes += n_bytes
        if not self.is_connected:
            return
        self.emit(
            ev.AudioDropped(
                direction="input",
                audio_ms=self._given.duration_ms(n_bytes),
                chunks=chunks,
                reason="the connection takes less than is sent; the oldest was dropped",
                **self.meta(),
            )
        )

    # -- for the conversation

    def _changed(self, settings: Mapping[str, Any]) -> tuple[ProviderConfig, dict[str, Any]]:
        """The configuration with other settings, and what of the session changes with them.

        Raises:
            ConfigurationError: a setting is not allowed. MessageError: it is fixed for an open session.
        """
        import copy

        fixed = sorted(_FIXED & settings.keys())
        if fixed:
            raise MessageError(
                f"{', '.join(fixed)}: of the connection, and cannot be changed while it is open",
                provider=self.name,
                code="fixed",
            )
        config = copy.copy(self.config)
        config.options, config.metadata = dict(config.options), dict(config.metadata)
        config.update(**dict(settings))
        if config.model != self.config.model:
            raise MessageError(
                "the model of an open session cannot be changed; switch_provider opens another",
                provider=self.name,
                code="model_fixed",
            )
        self._check_formats(config)
        after = self._session_of(config)
        changed = shape.changes(self._session, after)
        if changed and "type" in after:
            changed["type"] = after["type"]
        return config, changed

    def _check_formats(self, config: ProviderConfig) -> None:
        can = self.capabilities
        for name, wish, formats, now in (
            ("input_format", config.input_format, can.input_formats, self._given),
            ("output_format", config.output_format, can.output_formats, self._taken),
        ):
            if shape.format_of(wish, formats, name) != now:
                raise MessageError(
                    f"the {name} of an open session cannot be changed; it is {now}",
                    provider=self.name,
                    code="format_fixed",
                )
