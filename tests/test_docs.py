"""The pages say what is so: their code runs, their links lead somewhere, their tables are those of the code.

Every block of Python on a page is compiled. One that begins with the comment "# runs" is a whole program, and is run
as a reader would run it, in a process of its own; "# runs with pytest" is a test module. ", needs the speech models"
behind it marks the test with `models`. If a block of text follows after "It prints", that is what the program prints.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from voxengine import BaseProvider, Capabilities, EventType
from voxengine.providers.cascade import CascadeSettings
from voxengine.providers.cascade.local.catalogue import MODELS
from voxengine.providers.mock.config import MockSettings
from voxengine.providers.mock.faults import _KINDS, Fault
from voxengine.testing.conformance import all_checks

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_RUNS = re.compile(r"# runs(?P<pytest> with pytest)?(?P<models>, needs the speech models)?\n")
_PRINTS = re.compile(r"\s*It prints\s+```text\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A piece of code of a page."""

    name: str
    code: str
    #: What it prints, None where the page does not say.
    prints: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        if fence["language"] == "python":
            line = text.count("\n", 0, fence.start()) + 1
            prints = _PRINTS.match(text, fence.end())
            code = textwrap.dedent(fence["body"])
            found.append(Block(f"{page.name}:{line}", code, prints[1] if prints else None))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def programs() -> list[Any]:
    found = []
    for block in BLOCKS:
        runs = _RUNS.match(block.code)
        if runs is not None:
            marks = [pytest.mark.models] if runs["models"] else []
            found.append(pytest.param(block, bool(runs["pytest"]), id=block.name, marks=marks))
    return found


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    heads = re.findall(r"^#+ +(.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def shown(value: Any) -> str:
    """A default as the tables write it."""
    if value is msgspec.NODEFAULT:  # a dict, made anew for each
        return "`{}`"
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:g}"
    return f"`{value}`"


def options_of(page: str) -> dict[str, str]:
    """The defaults in a page's table of options, by name."""
    table = read(page).partition("| option | default |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_code_compiles(block: Block):
    compile(block.code, block.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(("block", "with_pytest"), programs())
def test_programs_run(block: Block, with_pytest: bool, tmp_path: Path):
    file = tmp_path / "test_page.py"
    file.write_text(block.code, "utf-8")
    command = [sys.executable, "-W", "error", str(file)]
    if with_pytest:
        command[3:] = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    clean = {name: value for name, value in os.environ.items() if "VOXENGINE" not in name}
    done = subprocess.run(
        command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    if block.prints is not None:
        said = [line.rstrip() for line in done.stdout.splitlines()]
        assert said == block.prints.splitlines()


def test_there_are_programs_on_the_pages_that_promise_them():
    named = {param.id.partition(":")[0] for param in programs()}
    assert {"providers.md", "local.md", "testing.md"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors_of(target)
        ):
            broken.append(link)
    assert broken == []


def test_every_type_of_event_is_described():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", read("events.md"), re.MULTILINE))
    assert rows == {kind.name: kind.value for kind in EventType}


@pytest.mark.parametrize(
    ("page", "settings"), [("local.md", CascadeSettings), ("testing.md", MockSettings)]
)
def test_every_option_is_described_with_its_default(page: str, settings: type[Any]):
    fields = msgspec.structs.fields(settings)
    assert options_of(page) == {field.name: shown(field.default) for field in fields}


def test_every_capability_and_method_is_described():
    page = read("providers.md")
    methods = [n for n, f in vars(BaseProvider).items() if inspect.isfunction(f) and n[0] != "_"]
    assert [name for name in Capabilities.__struct_fields__ if f"`{name}`" not in page] == []
    helpers = {"emit", "emit_event", "meta", "wall", "unsupported", "check_audio"}
    assert [name for name in methods if name not in helpers and f"`{name}" not in page] == []


def test_every_hash_is_the_pinned_one():
    pins = {f"{m.name}/{f.name}": f.sha256 for m in MODELS.values() for f in m.files}
    assert (
        dict(re.findall(r"^\| `([\w./-]+)` \| `(\w{64})` \|", read("local.md"), re.MULTILINE))
        == pins
    )


def test_every_fault_is_described_with_its_fields():
    table = read("testing.md").partition("| fault | fields |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    assert set(rows) == set(_KINDS) - {"error"}
    for kind, told in rows.items():
        fault = _KINDS[kind]
        # The point at which a fault strikes is in a table of its own.
        common = Fault.__struct_fields__ if issubclass(fault, Fault) else ()
        own = set(fault.__struct_fields__) - set(common)
        assert own <= set(re.findall(r"`(\w+)`", told)), kind


def test_the_checks_are_counted():
    page = read("testing.md")
    areas = {check.area for check in all_checks().values()}
    assert f"\n{len(all_checks())} checks" in page
    assert [area for area in areas if f"| `{area}` |" not in page] == []


def test_the_tables_of_vendors_are_those_of_today() -> None:
    from tools.write_tables import PAGE, written

    page = PAGE.read_text("utf-8")
    assert page == written(page), "run: .venv/bin/python -m tools.write_tables"
