"""The log of calls: which call a line is about, and what never gets into it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from tests.gateway.gateways import ANYONE, running
from voxengine.events import ConnectionLost, ErrorGeneral, MetricsUpdated, ProviderSwitched
from voxengine.observe.logs import JsonLine, TextLine, fields, in_context


class Lines(logging.Handler):
    """Keeps what would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))

    @property
    def parsed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.written]

    def of(self, event: str) -> dict[str, object]:
        return next(line for line in self.parsed if line.get("event") == event)


@pytest.fixture
def lines() -> Iterator[Lines]:
    root, ours = logging.getLogger(), logging.getLogger("voxengine")
    level, handler = ours.level, Lines(JsonLine())
    root.addHandler(handler)
    ours.setLevel("INFO")
    yield handler
    root.removeHandler(handler)
    ours.setLevel(level)


async def test_each_line_says_which_call_it_is_about(lines: Lines) -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        publish = call.engine._bus.publish
        publish(ConnectionLost(code="closed", close_code=1011, provider="mock"))
        publish(ProviderSwitched(previous="mock", reason="failover", provider="other"))
        publish(MetricsUpdated(first_audio_ms=420.5, provider="mock"))
        await call.end("enough")
    about = {"call": call.id, "route": "play"}
    opened = lines.of("call_opened")
    assert about.items() <= opened.items()
    assert (opened["provider"], opened["wire"], opened["level"]) == ("mock", "websocket", "info")
    lost = lines.of("connection_lost")
    assert (lost["close_code"], lost["level"], lost["provider"]) == (1011, "warning", "mock")
    assert lines.of("provider_switched")["provider"] == "other"
    assert lines.of("metrics_updated")["first_audio_ms"] == 420.5
    ended = lines.of("call_ended")
    assert (ended["code"], ended["cost_usd"]) == (1000, 0.0)
    assert all(about.items() <= line.items() for line in lines.parsed)


async def test_what_the_parts_of_an_engine_log_names_its_call(lines: Lines) -> None:
    provider_log = logging.getLogger("voxengine.providers.some")

    async def later() -> None:
        await asyncio.sleep(1)
        provider_log.warning("something odd")

    with in_context(call="call_1", route="play"):
        task = asyncio.create_task(later())
    provider_log.warning("something else")
    await task
    other, odd = lines.parsed
    assert (odd["call"], odd["route"], odd["message"]) == ("call_1", "play", "something odd")
    assert "call" not in other


async def test_nothing_that_is_said_is_logged(lines: Lines) -> None:
    async with running() as gateway:
        logging.getLogger("voxengine").setLevel("DEBUG")
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        await call.engine.send_text("my number is four two")
        await asyncio.sleep(8)
        call.engine._bus.publish(
            ErrorGeneral(exception=ValueError("four two"), error="four two", code="odd")
        )
        await call.end()
    assert lines.of("error")["code"] == "odd"
    assert "four" not in "".join(lines.written)
    assert call.session_id not in "".join(lines.written)


async def test_unless_the_configuration_says_so(lines: Lines) -> None:
    async with running(log_transcripts=True) as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        await call.engine.send_text("hello")
        await asyncio.sleep(8)
        await call.end()
    said = [(line["role"], line["text"]) for line in lines.parsed if "text" in line]
    assert said == [("user", "hello"), ("assistant", "You said: hello")]


def test_text_has_the_call_in_front_where_the_words_do_not_name_it() -> None:
    line = TextLine(logging.Formatter("%(levelname)s %(message)s"))
    record = logging.LogRecord("voxengine", logging.INFO, "", 1, "hello", (), None)
    assert line.format(record) == "INFO hello"
    with in_context(call="call_1"):
        assert line.format(record) == "call_1: INFO hello"
        record.msg = "call_1 ended"
        assert line.format(record) == "INFO call_1 ended"
    record.__dict__.update(fields(call="call_2"))
    assert line.format(record).startswith("call_2: ")


def test_secrets_are_taken_out_of_the_whole_line() -> None:
    line = JsonLine(lambda text: text.replace("sk-secret", "***"))
    record = logging.LogRecord("voxengine", logging.INFO, "", 1, "with sk-secret", (), None)
    record.__dict__.update(fields(url="https://host/?key=sk-secret"))
    assert "sk-secret" not in line.format(record)
