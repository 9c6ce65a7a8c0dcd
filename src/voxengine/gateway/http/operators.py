"""Live calls by HTTP: what goes on in them, and what can be done with them; and whether new ones are taken.

Looking needs the scope "observe", doing "operate"; for a caller's own call "talk" is enough (see `access`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from voxengine.errors import (
    ConfigurationError,
    MessageError,
    SessionClosedError,
    UnsupportedFeatureError,
    VoiceEngineError,
)
from voxengine.gateway.call import Call
from voxengine.gateway.failures import refusal
from voxengine.gateway.grants import Scope
from voxengine.gateway.http import shapes
from voxengine.gateway.http.access import accessible, admitted, owns
from voxengine.gateway.http.description import errors
from voxengine.gateway.http.feed import Feeds
from voxengine.gateway.http.views import cost_view, view
from voxengine.gateway.opening import budget
from voxengine.gateway.refusal import Refused

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["operators_router"]

#: Seconds that an answer waits to see what became of a note.
INJECTION_BUDGET = 2.0
#: Seconds that a provider may take to speak a text, or to stop.
ACTION_BUDGET = 10.0
#: Seconds that a switch may wait for its moment, besides connecting.
MOMENT_BUDGET = 65.0
#: Bytes of the reason in a close frame (RFC 6455, 5.5.1).
_REASON = 120
_PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_Id = Annotated[str, Path(max_length=64)]
_Name = Annotated[str | None, Query(max_length=200)]
_SSE = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
_TRANSCRIPT = {
    "model": shapes.Transcript,
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
_State = Literal["disconnected", "idle", "listening", "thinking", "speaking", "closed"]


def operators_router(gateway: Gateway) -> APIRouter:
    """The routes below `/v1/calls`, and `/v1/drain`."""
    router = APIRouter(tags=["calls"])
    operators = _Operators(gateway)
    call = "/v1/calls/{call_id}"
    can_fail = (404, 409, 502, 503, 504)
    for method, path, endpoint, answers in (
        ("GET", "/v1/calls", operators.calls, errors()),
        ("GET", call, operators.call, errors(404)),
        (
            "GET",
            f"{call}/transcript",
            operators.transcript,
            {200: _TRANSCRIPT, **errors(404)},
        ),
        ("GET", f"{call}/cost", operators.cost, errors(404)),
        ("GET", f"{call}/events", operators.events, {200: _SSE, **errors(404, 409)}),
        ("POST", f"{call}/inject", operators.inject, errors(*can_fail)),
        ("POST", f"{call}/switch", operators.switch, errors(*can_fail)),
        ("POST", f"{call}/say", operators.say, errors(*can_fail)),
        ("POST", f"{call}/interrupt", operators.interrupt, errors(*can_fail)),
        ("POST", f"{call}/hangup", operators.hangup, errors(404)),
        ("POST", "/v1/drain", operators.drain, errors()),
        ("DELETE", "/v1/drain", operators.undrain, errors(409)),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            responses=answers,
            # What is no JSON alone is described by `answers`.
            response_class=Response if 200 in answers else JSONResponse,
        )
    return router


class _Operators:
    """The requests, one method each. Their docstrings are what the API's description says."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._feeds = Feeds()

    # -- looking

    async def calls(
        self,
        request: Request,
        response: Response,
        route: _Name = None,
        provider: _Name = None,
        state: _State | None = None,
        session: _Name = None,
    ) -> shapes.CallList:
        """List the live calls. With `session`, the id of a session, its call alone: its own caller may ask for that."""
        response.headers.update(_PRIVATE)
        grant = admitted(self._gateway, request)
        if session is None:
            grant.need(Scope.OBSERVE)
            found = list(self._gateway.calls)
        else:
            call = self._gateway.calls.by_session(session)
            sees = Scope.OBSERVE in grant.scopes
            if not sees:
                grant.need(Scope.TALK)
            found = [call] if call is not None and (sees or owns(grant, call)) else []
        listed = [
            call
            for call in found
            if route in (None, call.route.name)
            and provider in (None, call.engine.config.provider)
            and state in (None, call.engine.state)
        ]
        return shapes.CallList(data=[await view(call) for call in listed])

    async def call(self, request: Request, response: Response, call_id: _Id) -> shapes.CallView:
        """Show a live call."""
        response.headers.update(_PRIVATE)
        return await view(self._look(request, call_id))

    async def transcript(
        self, request: Request, call_id: _Id, format: Literal["text", "json"] = "text"
    ) -> Response:
        """Show what was said so far: as lines to read, or as the conversation that a `Conversation` can be made of."""
        conversation = self._look(request, call_id).engine.conversation
        if format == "json":
            return JSONResponse(conversation.as_dict(), headers=_PRIVATE)
        return PlainTextResponse(conversation.transcript() + "\n", headers=_PRIVATE)

    async def cost(self, request: Request, response: Response, call_id: _Id) -> shapes.CostView:
        """Show what a call has used and cost so far, by provider and model."""
        response.headers.update(_PRIVATE)
        return await cost_view(self._look(request, call_id))

    async def events(
        self,
        request: Request,
        call_id: _Id,
        last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    ) -> Response:
        """Follow the engine's events of a call as server-sent events, without audio, until it ends.

        With `Last-Event-ID` what was missed comes first; `gap` says that some of it is not there any more, `lagged`
        that the listener was too slow, and has to come back.
        """
        stream = self._feeds.listen(self._look(request, call_id), last_event_id)
        headers = {**_PRIVATE, "x-accel-buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    # -- doing

    async def inject(
        self, request: Request, call_id: _Id, note: shapes.Inject
    ) -> shapes.InjectionView:
        """Put a note into the conversation, now or at a later moment. Of one that waits the status is `queued`."""
        call = self._change(request, call_id)
        with _failures():
            handle = call.engine.inject(**note.model_dump())
            result = None
            with suppress(TimeoutError):
                result = await handle.result(timeout=INJECTION_BUDGET)
        return shapes.InjectionView(
            id=handle.id,
            status=handle.status,
            degraded_to=handle.degraded_to,
            reason=handle.reason,
            item_id=None if result is None else result.item_id,
        )

    async def switch(self, request: Request, call_id: _Id, wish: shapes.Switch) -> shapes.Switched:
        """Let another provider go on with the call. It is told the conversation; if it fails, nothing has changed."""
        call, grant = accessible(self._gateway, request, call_id, Scope.OPERATE)
        route = self._gateway.routes.resolve(wish.to)
        grant.need_route(route.name)
        present = call.engine.config
        with _failures():
            config = route.config(
                call.grant,
                input_format=present.input_format,
                output_format=present.output_format,
                instructions=present.instructions,
            )
            async with asyncio.timeout(budget(config) + MOMENT_BUDGET):
                await call.engine.switch_provider(config.provider, config, when=wish.when)
        call.route = route
        now = call.engine.config
        return shapes.Switched(
            id=call.id,
            route=route.name,
            provider=now.provider,
            model=now.model,
            previous=present.provider,
        )

    async def say(self, request: Request, call_id: _Id, words: shapes.Say) -> shapes.CallAction:
        """Let the assistant speak these words, instead of whatever it is saying."""
        call = self._change(request, call_id)
        return await _done(call, call.engine.say(words.text))

    async def interrupt(self, request: Request, call_id: _Id) -> shapes.CallAction:
        """Stop what is being said or thought."""
        call = self._change(request, call_id)
        return await _done(call, call.engine.interrupt())

    async def hangup(
        self, request: Request, call_id: _Id, end: shapes.HangUp | None = None
    ) -> shapes.CallAction:
        """End a call. Its client is told the reason."""
        call = self._change(request, call_id)
        reason = (end.reason if end is not None else "") or "hung up by an operator"
        short = reason.encode()[:_REASON].decode(errors="ignore")
        # The end is gone through with, also if nobody waits for it any more.
        await asyncio.shield(asyncio.ensure_future(call.end(short)))
        return shapes.CallAction(id=call.id, status="ended")

    async def drain(self, request: Request) -> shapes.Drained:
        """Refuse new calls from now on; those there are go on. `/readyz` says so too."""
        admitted(self._gateway, request, Scope.OPERATE)
        self._gateway.paused = True
        return self._drained()

    async def undrain(self, request: Request) -> shapes.Drained:
        """Take new calls again."""
        admitted(self._gateway, request, Scope.OPERATE)
        if self._gateway.draining:
            raise Refused(409, "server_draining", "The process is about to end.")
        self._gateway.paused = False
        return self._drained()

    # -- inside

    def _look(self, request: Request, call_id: _Id) -> Call:
        return accessible(self._gateway, request, call_id, Scope.OBSERVE)[0]

    def _change(self, request: Request, call_id: _Id) -> Call:
        return accessible(self._gateway, request, call_id, Scope.OPERATE)[0]

    def _drained(self) -> shapes.Drained:
        draining = self._gateway.draining or self._gateway.paused
        return shapes.Drained(draining=draining, calls=len(self._gateway.calls))


async def _done(call: Call, work: Any) -> shapes.CallAction:
    with _failures():
        async with asyncio.timeout(ACTION_BUDGET):
            await work
    return shapes.CallAction(id=call.id, status="ok")


@contextmanager
def _failures() -> Iterator[None]:
    """What the engine cannot do, as an answer."""
    try:
        yield
    except Refused:
        raise
    except SessionClosedError:
        raise Refused(409, "call_is_over", "The call is over.") from None
    except UnsupportedFeatureError as failure:
        raise Refused(409, "unsupported", str(failure)) from None
    except (MessageError, ConfigurationError) as failure:
        raise Refused(400, "invalid_value", str(failure)) from None
    except (VoiceEngineError, TimeoutError) as failure:
        raise refusal(failure) from failure
