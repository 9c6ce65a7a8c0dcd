"""The capability table, and what providers need."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest
from typer.testing import Result

from voxengine import BaseProvider, Capabilities, register_provider
from voxengine.cli import needs
from voxengine.providers.registry import unregister_provider

Run = Callable[..., Result]


class Vendor(BaseProvider):
    """A provider somewhere on the network."""

    capabilities = Capabilities(tools=True, voices=("x", "y|z"))

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def send_audio(self, audio_data: bytes) -> None: ...
    async def send_text(self, text: str, role: str = "user") -> None: ...
    async def interrupt(self) -> None: ...


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("SOME_VENDOR_API_KEY", raising=False)
    register_provider("some-vendor", Vendor)
    yield "some-vendor"
    unregister_provider("some-vendor")


def rows(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)["providers"]}


def test_the_overview_has_a_line_for_every_provider(run: Run, vendor: str) -> None:
    result = run("providers", env={"COLUMNS": "140"})
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for name in ("mock", "local", "cascade", "openai", "openai-live", "azure", "xai", "custom"):
        assert sum(f"│ {name} " in line for line in lines) == 1
    assert "SOME_VENDOR_API_KEY" in result.stdout
    (openai,) = (line for line in lines if "│ openai " in line)
    assert "60 min" in openai
    assert "tokens" in openai


def test_of_some_there_is_all_to_know(run: Run, vendor: str) -> None:
    result = run("providers", "mock", "xai", env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert vendor not in result.stdout
    for field in Capabilities.__struct_fields__:
        assert field.replace("_", " ") in result.stdout
    assert "pcm16 24, 8, 11.025, 16, 22.05, 32, 44.1, 48; g711_ulaw 8; g711_alaw 8" in " ".join(
        result.stdout.replace("│", " ").split()
    )


def test_a_provider_that_there_is_not(run: Run) -> None:
    result = run("providers", "openia")
    assert result.exit_code == 2
    assert "openai" in result.output


def test_json(run: Run, vendor: str) -> None:
    table = rows(run("providers", "--json"))
    assert table["mock"]["ready"] is True
    assert table["mock"]["capabilities"]["tools"] is True
    assert table["mock"]["needs"] == {"extra": None, "key": None}
    assert table["local"]["needs"]["extra"] == "local"
    assert table[vendor]["missing"] == ["set SOME_VENDOR_API_KEY"]
    assert table[vendor]["ready"] is False


def test_a_key_that_is_set(run: Run, vendor: str) -> None:
    result = run("providers", "--json", env={"SOME_VENDOR_API_KEY": "sk-secret-12345"})
    assert rows(result)[vendor]["ready"] is True
    assert "sk-secret" not in result.output


def test_markdown(run: Run, vendor: str) -> None:
    lines = run("providers", "--markdown", "azure", "mock", vendor).stdout.splitlines()
    assert lines[0].startswith("| capability | `azure` | `mock` |")
    assert set(lines[1]) <= set("|- ")
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert any("y\\|z" in line for line in lines)


def test_comparison(run: Run, vendor: str) -> None:
    lines = run("providers", "--markdown").stdout.splitlines()
    assert lines[0].startswith("| provider | what it is | streams in real time | server VAD |")
    table = {line.split("`")[1]: line.split(" | ") for line in lines[2:]}
    assert {"azure", "cascade", "custom", "local", "mock", "openai", vendor} <= set(table)
    assert len({len(cells) for cells in table.values()}) == 1
    assert table["openai"][-1].startswith("emulator, the types of the openai package")


def test_parts_of_a_cascade(run: Run) -> None:
    lines = run("providers", "--parts").stdout.splitlines()
    assert lines[0] == "| kind | name | what it is | extra | proven by |"
    (whisper,) = (line for line in lines if "`whisper`" in line)
    assert whisper.split(" | ")[3] == "`local`"


def test_a_missing_extra_is_named_with_its_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = metadata.version

    def version(name: str) -> str:
        if name == "hibari-tts":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    local = rows(run("providers", "--json"))["local"]
    assert local["missing"] == ["pip install 'voxengine[local]'"]
    assert "pip install 'voxengine[local]'" in run("providers", env={"COLUMNS": "160"}).stdout


def test_a_provider_that_cannot_be_imported_has_a_row(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxengine.cli import providers

    def broken(name: str) -> Any:
        if name == "mock":
            raise RuntimeError("no luck")
        return None

    monkeypatch.setattr(providers, "capabilities_of", broken)
    row = rows(run("providers", "--json"))["mock"]
    assert row["capabilities"] is None
    assert row["missing"] == ["RuntimeError: no luck"]


def test_extras_of_extras() -> None:
    found = needs.extras()
    assert {"cli", "local", "demo", "devices"} <= set(found)
    assert set(found["local"].installed) <= set(found["demo"].installed) | set(
        found["demo"].missing
    )
    assert "typer" in found["demo"].installed
