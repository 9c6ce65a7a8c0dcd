"""The API against its own description: requests made at random, at a gateway behind its real port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.gateway.operators.house import House, house
from voxengine.gateway.call import Call

#: Requests for each operation.
EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Background:
    """A gateway on a loop of its own, in a thread, for a client that blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._house: House | None = None
        self._call: Call | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Background:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        async with house(self._folder) as self._house:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            await self._stop.wait()

    @property
    def url(self) -> str:
        assert self._house is not None
        return self._house.url

    @property
    def call_id(self) -> str:
        """That of a live call."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self._live(), self._loop).result(30)

    async def _live(self) -> str:
        assert self._house is not None
        if self._call is None or self._call.ending:
            self._house.gateway.paused = False  # a request before may have asked for that
            self._call = await self._house.call()
        return self._call.id


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    with Background(tmp_path_factory.mktemp("schema")) as running:
        yield running


def described(background: Background) -> dict[str, Any]:
    answer = httpx.get(f"{background.url}/openapi.json", trust_env=False)
    found: dict[str, Any] = answer.json()
    return found


#: What is described here; what speaks another wire over HTTP describes itself.
OURS = ("/v1/calls", "/v1/models", "/v1/drain", "/v1/history", "/metrics")
OPERATIONS = [
    (method, path)
    for path, methods in {
        "/healthz": ("GET",),
        "/readyz": ("GET",),
        "/metrics": ("GET",),
        "/v1/models": ("GET",),
        "/v1/models/{model}": ("GET",),
        "/v1/calls": ("GET",),
        "/v1/calls/{call_id}": ("GET",),
        "/v1/calls/{call_id}/transcript": ("GET",),
        "/v1/calls/{call_id}/cost": ("GET",),
        "/v1/calls/{call_id}/inject": ("POST",),
        "/v1/calls/{call_id}/switch": ("POST",),
        "/v1/calls/{call_id}/say": ("POST",),
        "/v1/calls/{call_id}/interrupt": ("POST",),
        "/v1/calls/{call_id}/hangup": ("POST",),
        "/v1/drain": ("POST", "DELETE"),
    }.items()
    for method in methods
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_requests_at_random(background: Background, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_dict(described(background))
    operation = schema[path][method]
    answered = set()

    @given(case=operation.as_strategy(), live=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def requests(case: Any, live: bool) -> None:
        if live and "call_id" in (case.path_parameters or {}):
            case.path_parameters["call_id"] = background.call_id
        answer = case.call(base_url=background.url)
        answered.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    requests()
    # A random name is hardly ever that of a model.
    assert answered >= ({404} if path.endswith(("/switch", "/{model}")) else {200})


def test_every_operation_is_described(background: Background) -> None:
    schema = described(background)
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert "422" not in operation["responses"], where
            if not path.startswith(OURS):
                continue
            assert operation["security"] == [{"key": []}, {}], where
            for status in ("400", "401", "403", "429"):
                content = operation["responses"][status]["content"]["application/json"]
                assert content["schema"]["$ref"].endswith("/ErrorAnswer"), where
    mine = {path for path in schema["paths"] if path.startswith(("/v1/calls", "/v1/models"))}
    tested = {path for _, path in OPERATIONS}
    assert mine - tested == {"/v1/calls/{call_id}/events"}  # a stream, see test_events
