"""The gateway's suite: every provider passes it or says why not, a broken gateway fails it, and the page is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxengine.engine import VoiceEngine
from voxengine.errors import ConfigurationError
from voxengine.gateway.wire import commands, input, outbox
from voxengine.gateway.wire.adapting import Adapter
from voxengine.gateway.wire.input import Input
from voxengine.gateway.wire.items import Items
from voxengine.gateway.wire.outbox import Outbox
from voxengine.gateway.wire.output import Output
from voxengine.gateway.wire.settings import Settings
from voxengine.testing.conformance.gateway import (
    GatewayResult,
    gateway_checks,
    run_gateway_check,
    run_gateway_conformance,
    stand_for,
    table_of,
)
from voxengine.testing.oracles.openai_realtime import realtime_judge

PAGE = Path(__file__).parents[2] / "docs" / "gateway-conformance.md"
#: On the virtual clock; `azure` and `custom` speak as `openai` does.
PROVIDERS = ["mock", "openai", "xai", "openai-live"]

Patch = Callable[[pytest.MonkeyPatch], None]


def run(check: str, provider: str = "mock") -> GatewayResult:
    return run_gateway_check(gateway_checks()[check], stand_for(provider), realtime_judge())


# -- every provider, and the page


def page_table() -> dict[str, dict[str, str]]:
    """What the page says, by the sentence of each check and the provider."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    head = rows[0][1:]
    return {
        row[0]: dict(zip(head, row[1:], strict=True)) for row in rows if len(row) == len(rows[0])
    }


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("check", gateway_checks())
def test_the_page_says_how_it_goes(check: str, provider: str):
    result = run(check, provider)
    assert result.outcome != "failed", result.reason
    sign = {"passed": "yes", "refused": "refused"}[result.outcome]
    assert page_table()[result.about.rstrip(".")][provider] == sign
    if result.outcome == "refused":
        assert f"| {provider} | `{check}` | {result.reason} |" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(
    "check",
    [
        "user_text_is_known",
        "deleted_items_are_forgotten",
        "one_response_with_instructions",
        "beside_the_conversation",
        "with_a_context_of_its_own",
        "tools_are_called_and_answered",
    ],
)
@pytest.mark.parametrize("provider", ["hume", "ultravox"])
def test_who_takes_no_items_is_told_in_another_way(check: str, provider: str):
    result = run(check, provider)
    assert result.outcome == "passed", result.reason


@pytest.mark.models
@pytest.mark.parametrize("check", ["speech_is_heard_and_answered", "deleted_items_are_forgotten"])
def test_on_the_models_of_this_machine(check: str):
    result = run(check, "local")
    assert result.outcome == "passed", result.reason


def test_the_page_has_every_check_and_counts_them():
    table = page_table()
    for check in gateway_checks().values():
        assert set(table[check.about.rstrip(".")].values()) <= {"yes", "refused"}, check.name
    for provider in table["passed"]:
        cells = [table[c.about.rstrip(".")][provider] for c in gateway_checks().values()]
        assert table["passed"][provider] == str(cells.count("yes"))
        assert table["refused"][provider] == str(cells.count("refused"))
        assert table["failed"][provider] == "0"
        assert table["types of client events sent"][provider] == "11"


def test_the_report_counts():
    seen: list[GatewayResult] = []
    report = run_gateway_conformance("mock", only=["wire"], on_result=seen.append)
    assert seen == list(report)
    assert report.ok, str(report)
    figures = report.figures()
    assert figures["suite_passed"] == len(seen)
    assert figures["server_events_sent"] == figures["server_events_valid"] > 0
    assert figures["oracle"] == "vendor types"
    table = table_of({"mock": figures})
    assert f"| {seen[0].about.rstrip('.')} | yes |" in table
    assert "| **session** |  |" in table
    with pytest.raises(ConfigurationError, match="no_such_check"):
        run_gateway_conformance("mock", only=["no_such_check"])


def test_a_refusal_without_a_reason_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    # The mock can be asked for a response: an error in its place is none of the provider's.
    monkeypatch.setattr(Output, "create", _refuses)
    result = run("text_is_answered_when_asked")
    assert result.outcome == "failed"
    assert result.reason.startswith("it was refused, though the provider can do it")


async def _refuses(self: Output, asked: Any = None) -> None:
    raise ConfigurationError("not today")


# -- broken gateways


def garbles(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Patch:
    """What is told to the client is changed, or left out."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        send = Outbox.send

        def garbled(self: Outbox, event: dict[str, Any], after: Any = None) -> None:
            changed = change(event)
            if changed is not None:
                send(self, changed, after)

        monkeypatch.setattr(Outbox, "send", garbled)

    return patch


def drops(kind: str) -> Patch:
    return garbles(lambda event: None if event["type"] == kind else event)


def tells(kind: str, name: str, **fields: Any) -> Patch:
    """An object of an event has other fields."""

    def change(event: dict[str, Any]) -> dict[str, Any]:
        return {**event, name: {**event[name], **fields}} if event["type"] == kind else event

    return garbles(change)


def does_nothing(owner: Any, name: str, result: Any = None) -> Patch:
    def nothing(*_: Any, **__: Any) -> Any:
        return result

    async def nothing_later(*_: Any, **__: Any) -> Any:
        return result

    waits = name in ("_update", "_switch", "commit", "add_item", "delete_item", "truncate_item")
    return lambda monkeypatch: monkeypatch.setattr(
        owner, name, nothing_later if waits or name in ("truncate", "create") else nothing
    )


def asks_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a response is asked for with is lost."""
    create = Output.create
    monkeypatch.setattr(Output, "create", lambda self, asked=None: create(self))


def only_says_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    async def clear(self: Input) -> None:
        self._session.send({"type": "input_audio_buffer.cleared"})

    monkeypatch.setattr(Input, "clear", clear)


def sets(owner: Any, name: str, value: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


ADDS_NOTHING = does_nothing(VoiceEngine, "add_item")
CHANGES_NOTHING = does_nothing(Adapter, "_update", [])

BROKEN: dict[str, Patch] = {
    "session_is_created": tells("session.created", "session", id="sess_1"),
    "settings_are_told_back": tells("session.updated", "session", max_output_tokens=7),
    "instructions_reach_the_model": CHANGES_NOTHING,
    "voice_reaches_the_model": CHANGES_NOTHING,
    "text_alone_holds_for_the_session": drops("response.output_text.done"),
    "wrong_settings_change_nothing": drops("error"),
    "another_model_takes_over": does_nothing(Adapter, "_switch"),
    "unknown_model_is_refused": drops("error"),
    "speech_is_heard_and_answered": drops("conversation.item.added"),
    "beginning_and_end_are_told": drops("input_audio_buffer.speech_stopped"),
    "commit_makes_an_item": does_nothing(Input, "commit"),
    "clear_throws_away": only_says_cleared,
    "cleared_speech_is_not_answered": only_says_cleared,
    "too_little_is_not_committed": sets(input, "MIN_COMMIT_MS", 0.0),
    "a_turn_waits_to_be_answered": sets(Settings, "answers", True),
    "a_waiting_turn_waits_on": sets(commands, "_stands_apart", lambda _: False),
    "telephones_are_understood": CHANGES_NOTHING,
    "answers_can_be_heard": does_nothing(Outbox, "send_audio"),
    "speech_is_only_written_down": drops("conversation.item.input_audio_transcription.completed"),
    "user_text_is_known": ADDS_NOTHING,
    "system_text_is_known": ADDS_NOTHING,
    "assistant_text_is_known": ADDS_NOTHING,
    "earlier_calls_are_known": ADDS_NOTHING,
    "output_without_a_call_is_refused": does_nothing(Items, "_check_call"),
    "items_stand_where_they_are_put": does_nothing(Items, "_place"),
    "ids_are_the_clients": does_nothing(Items, "_place"),
    "items_can_be_looked_up": does_nothing(Items, "retrieve"),
    "deleted_items_are_forgotten": does_nothing(VoiceEngine, "delete_item"),
    "only_what_was_heard_is_known": does_nothing(VoiceEngine, "truncate_item"),
    "wrong_cuts_are_refused": does_nothing(Items, "truncate"),
    "text_is_answered_when_asked": does_nothing(Output, "create"),
    "one_response_in_text": asks_plainly,
    "one_response_with_instructions": asks_plainly,
    "beside_the_conversation": asks_plainly,
    "with_a_context_of_its_own": asks_plainly,
    "two_at_a_time": asks_plainly,
    "tools_are_called_and_answered": drops("response.function_call_arguments.done"),
    "tools_of_one_response": asks_plainly,
    "cancelled_once": tells("response.done", "response", status="completed"),
    "nothing_to_cancel_is_an_error": drops("error"),
    "one_response_at_a_time": does_nothing(Output, "_check_free"),
    "interrupted_exactly_once": tells("response.done", "response", status="completed"),
    "errors_name_the_event": tells("error", "error", event_id=None),
    "what_is_no_json_is_an_error": drops("error"),
    "output_audio_buffer_is_not_for_sockets": drops("error"),
    "beta_clients_get_the_betas_names": sets(outbox, "as_beta", lambda event: event),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_gateway_fails_the_check(check: str, monkeypatch: pytest.MonkeyPatch):
    BROKEN[check](monkeypatch)
    # Only a provider that cannot be asked shows whether it is made to answer what it was not asked.
    result = run(check, "openai-live" if check == "a_waiting_turn_waits_on" else "mock")
    assert result.outcome == "failed"
    # For a reason of the check's own, not because something fell over.
    assert re.match(r"\w+Error: ", result.reason) is None, result.reason


def test_every_check_was_seen_to_fail():
    assert set(BROKEN) == set(gateway_checks())


# -- the laws


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (garbles(lambda event: {**event, "previous_item_id": "item_of_nobody"}
                 if event["type"] == "conversation.item.added" else event), "previous_item_id"),
        (drops("response.output_item.done"), "response.done lists"),
        (drops("response.created"), "not created"),
        (drops("response.output_audio_transcript.delta"), "its pieces were"),
    ],
)  # fmt: skip
def test_the_laws_of_the_wire(patch: Patch, words: str, monkeypatch: pytest.MonkeyPatch):
    patch(monkeypatch)
    result = run("answers_can_be_heard")
    assert result.outcome == "failed"
    assert words in result.reason
