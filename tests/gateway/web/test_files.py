"""The files of the playground as they are served: complete, guarded, and nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from voxengine.gateway.http import web
from voxengine.gateway.http.web import web_router

WEB = Path(web.__file__).parents[1] / "web"
SCRIPTS = sorted(WEB.rglob("*.js"))
IMPORT = re.compile(r"""(?:from|import)\s+'([^']+)'""")


def client() -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(web_router())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


class Page(HTMLParser):
    """Notes what a page refers to, its ids, and what is inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        values = dict(attrs)
        for name in ("src", "href"):
            if name in values and not values[name].startswith("#"):
                self.references.append(values[name])
        if "id" in values:
            self.ids.append(values["id"])
        self.inline += [name for name in values if name.startswith("on") or name == "style"]
        self._script = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


async def test_page_has_all_that_it_refers_to_and_nothing_inline() -> None:
    async with client() as http:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = Page(answer.text)
        assert page.inline == []
        assert len(page.ids) == len(set(page.ids))
        assert page.references
        for reference in page.references:
            assert (await http.get(urljoin("/", reference))).status_code == 200, reference


async def test_scripts_import_what_is_served() -> None:
    async with client() as http:
        for script in SCRIPTS:
            own = f"/playground/{script.relative_to(WEB)}"
            answer = await http.get(own)
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            for name in IMPORT.findall(answer.text):
                assert name.startswith("."), (own, name)
                assert (await http.get(urljoin(own, name))).status_code == 200, (own, name)


async def test_every_id_that_a_script_looks_up_is_on_the_page() -> None:
    ids = set(Page((WEB / "index.html").read_text()).ids)
    for script in SCRIPTS:
        wanted = set(re.findall(r"byId\('([^']+)'\)", script.read_text()))
        assert wanted <= ids, (script.name, wanted - ids)


async def test_nothing_comes_from_elsewhere() -> None:
    for file in [path for path in WEB.rglob("*") if path.is_file()]:
        hosts = {
            urlsplit(url).hostname for url in re.findall(r"https?://[^\s'\"<>)]+", file.read_text())
        }
        assert hosts <= {"www.w3.org"}, file.name


async def test_policy_allows_the_page_itself_and_nothing_else() -> None:
    async with client() as http:
        headers = (await http.get("/")).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"].startswith("microphone=(self)")


async def test_browser_keeps_a_file_until_it_changes() -> None:
    async with client() as http:
        first = await http.get("/playground/js/main.js")
        assert first.headers["cache-control"] == "no-cache"
        tag = first.headers["etag"]
        again = await http.get("/playground/js/main.js", headers={"if-none-match": f'"x", W/{tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        other = await http.get("/playground/js/main.js", headers={"if-none-match": '"x"'})
        assert other.content == first.content
        head = await http.head("/playground/js/main.js")
        assert head.headers["content-length"] == str(len(first.content))
        assert head.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/playground/index.html",
        "/playground/",
        "/playground/js",
        "/playground/js/nothing.js",
        "/playground/../config.py",
        "/playground/..%2fconfig.py",
        "/playground/%2e%2e/%2e%2e/__init__.py",
        "/playground//etc/passwd",
        "/playground/js/main.js%00.svg",
    ],
)
async def test_what_is_not_a_file_of_the_page_is_not_there(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
        assert answer.status_code == 404
        assert "import" not in answer.text


async def test_files_stay_small() -> None:
    sizes = {script.name: len(script.read_text().splitlines()) for script in SCRIPTS}
    assert max(sizes.values()) <= 400, sizes


def _colours() -> dict[str, tuple[str, str]]:
    """Each colour of the page by its name: for light, for dark."""
    text = (WEB / "css" / "tokens.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", text)
    return {name: (light, dark) for name, light, dark in pairs}


def _contrast(one: str, other: str) -> float:
    """As WCAG 2.2 reckons it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_what_wcag_asks_for(theme: int) -> None:
    colours = {name: pair[theme] for name, pair in _colours().items()} | {"on-accent": "#ffffff"}
    words = ("text", "muted", "faint", "you", "assistant", "note", "cut", "bad", "accent", "good")
    grounds = ("panel", "raised", "canvas", "hover", "you-soft")
    texts = [(word, ground) for word in words for ground in grounds]
    texts += [("on-accent", "accent-fill"), ("cut", "cut-soft"), ("bad", "bad-soft")]
    drawn = [name for name in colours if name.startswith("stage-")]
    assert len(drawn) == 5
    # Level AA: 4.5 for words (1.4.3), 3 for borders of fields and for what is drawn (1.4.11).
    wanted = [(pair, 4.5) for pair in texts]
    wanted += [((name, "panel"), 3.0) for name in ("field-line", *drawn)]
    found = {(a, b): _contrast(colours[a], colours[b]) for (a, b), _ in wanted}
    assert [(pair, found[pair]) for pair, least in wanted if found[pair] < least] == []
