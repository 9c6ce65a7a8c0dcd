"""Calls that the store has: a list, one with all that was said, its events and recordings, and their deletion.

Reading needs the scope "observe", deleting "operate".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from voxengine.clock import Clock
from voxengine.conversation import Conversation
from voxengine.gateway.failures import refusal
from voxengine.gateway.grants import Scope
from voxengine.gateway.http.description import errors
from voxengine.gateway.record import BEAT
from voxengine.gateway.refusal import Refused
from voxengine.store import StoredCall, StoredConversation, StoreError
from voxengine.store.base import Status

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["history_router"]

_MEDIA = {".wav": "audio/wav", ".ogg": "audio/ogg"}
#: What people said stays where it was asked for.
_PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_Limit = Annotated[int, Query(ge=1, le=200)]


def history_router(gateway: Gateway) -> APIRouter:
    """The routes below `/v1/history`."""
    history = _History(gateway)
    router = APIRouter(prefix="/v1/history", tags=["history"])
    for path, method, endpoint in (
        ("/calls", "GET", history.calls),
        ("/calls/{call_id}", "GET", history.call),
        ("/calls/{call_id}", "DELETE", history.delete),
        ("/calls/{call_id}/transcript", "GET", history.transcript),
        ("/calls/{call_id}/events", "GET", history.events),
        ("/calls/{call_id}/recording", "GET", history.recording),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=None,
            responses=errors(404, 409, 503),
        )
    return router


class _History:
    """The requests, one method each. Their docstrings are what the API's description says."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def calls(
        self,
        request: Request,
        limit: _Limit = 50,
        cursor: str | None = None,
        status: Status | None = None,
        route: str | None = None,
        key_id: str | None = None,
    ) -> Response:
        """List stored calls, the latest first. `next` is the cursor of the page that follows, null at the end."""
        self._admit(request, Scope.OBSERVE)
        with _store_errors():
            # One more than the page tells whether there is another.
            found = await self._gateway.store.list(
                limit=limit + 1, cursor=cursor, status=status, route=route, key_id=key_id
            )
        page = found[:limit]
        following = page[-1].cursor if len(found) > limit else None
        return _json({"object": "list", "data": [_shown(c) for c in page], "next": following})

    async def call(self, request: Request, call_id: str) -> Response:
        """Show one call: what it was, its conversation, its usage by provider and model, its recordings."""
        self._admit(request, Scope.OBSERVE)
        found = await self._load(call_id)
        files = await self._files(found.call)
        return _json(
            {
                **_shown(found.call),
                "conversation": _conversation(found).as_dict(),
                "usage": [{"part": u.part, **msgspec.to_builtins(u.leg)} for u in found.usage],
                "recordings": [{"part": n, "bytes": size} for n, (_, size) in enumerate(files, 1)],
            }
        )

    async def transcript(
        self, request: Request, call_id: str, format: Literal["text", "json"] = "text"
    ) -> Response:
        """Show what was said: as lines to read, or as the conversation that a `Conversation` can be made of."""
        self._admit(request, Scope.OBSERVE)
        conversation = _conversation(await self._load(call_id))
        if format == "json":
            return _json(conversation.as_dict())
        return PlainTextResponse(conversation.transcript() + "\n", headers=_PRIVATE)

    async def events(
        self,
        request: Request,
        call_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Response:
        """Show what happened in a call, in order. `next` is the `after` of the page that follows, null at the end."""
        self._admit(request, Scope.OBSERVE)
        await self._get(call_id)
        with _store_errors():
            found = await self._gateway.store.events(call_id, after=after, limit=limit + 1)
        page = found[:limit]
        following = page[-1].seq if len(found) > limit else None
        return _json({"object": "list", "data": page, "next": following})

    async def recording(
        self, request: Request, call_id: str, part: Annotated[int, Query(ge=1)] = 1
    ) -> Response:
        """Download a recording: stereo, left the user, right the assistant. A resumed call has several parts."""
        self._admit(request, Scope.OBSERVE)
        files = await self._files(await self._get(call_id))
        if part > len(files):
            raise Refused(404, "recording_not_found", f"The call has {len(files)} recordings.")
        path, _ = files[part - 1]
        return FileResponse(
            path, media_type=_MEDIA.get(path.suffix), filename=path.name, headers=_PRIVATE
        )

    async def delete(self, request: Request, call_id: str) -> Response:
        """Remove a call that is over, with all that is stored of it."""
        self._admit(request, Scope.OPERATE)
        gateway = self._gateway
        call = await self._get(call_id)
        lately = Clock().wall() - gateway.config.resume_window - BEAT
        if gateway.calls.get(call_id) is not None or (
            call.status == "live" and call.seen_at > lately
        ):
            text = "The call goes on, or may yet be resumed; hang it up first."
            raise Refused(409, "call_is_live", text)
        if gateway.recordings is not None:
            await gateway.recordings.delete(call.id, call.started_at)
        with _store_errors():
            await gateway.store.delete(call_id)
        return _json({"id": call_id, "object": "call.deleted", "deleted": True})

    # -- inside

    def _admit(self, request: Request, scope: Scope) -> None:
        self._gateway.gatekeeper.admit(
            request.headers,
            query=request.query_params,
            address=request.client.host if request.client is not None else "",
            scope=scope,
        )

    async def _get(self, call_id: str) -> StoredCall:
        with _store_errors():
            found = await self._gateway.store.get(call_id)
        if found is None:
            raise _unknown()
        return found

    async def _load(self, call_id: str) -> StoredConversation:
        with _store_errors():
            found = await self._gateway.store.load(call_id)
        if found is None:
            raise _unknown()
        return found

    async def _files(self, call: StoredCall) -> list[tuple[Path, int]]:
        recordings = self._gateway.recordings
        if recordings is None:
            return []
        return [(p, p.stat().st_size) for p in await recordings.of(call.id, call.started_at)]


def _unknown() -> Refused:
    return Refused(404, "call_not_found", "There is no such call in the store.")


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except StoreError as failure:
        if failure.code == "bad_value":
            raise Refused(400, "invalid_value", str(failure)) from None
        raise refusal(failure) from failure


def _shown(call: StoredCall) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(call)
    del shown["session_hash"]
    return {"object": "call", **shown}


def _conversation(found: StoredConversation) -> Conversation:
    made = Conversation(found.call.id)
    for item in found.items:
        made.add(item)
    return made


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=_PRIVATE)
