"""A browser on the playground of a real gateway, in front of an emulated vendor."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.gateway.gateways import config
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front
from voxengine.testing.emulators.openai import OpenAIEmulator

CHROMIUM = Path("/usr/bin/chromium")
KEY = "sk-emulated"
VARIABLE = "PLAYGROUND_TEST_KEY"
#: A busy machine must not make the gateway refuse the one call that a test makes.
PATIENT = {"max_loop_lag_ms": 60_000.0}

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
#: The marks of a file whose tests drive it.
IN_A_BROWSER = [
    needs_chromium,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.real_clock,
    pytest.mark.timeout(120),
]


def recording(path: Path, pcm16: bytes, rate: int = 24000) -> Path:
    """A WAV file of that audio, for the browser's microphone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm16)
    return path


@asynccontextmanager
async def serving(
    vendors: Mapping[str, OpenAIEmulator], folder: Path = Path(), **gateway: Any
) -> AsyncIterator[str]:
    """A gateway with a route to each of these emulators, by its name. Gives its address."""
    async with hosting(vendors, folder, **gateway) as (address, _):
        yield address


@asynccontextmanager
async def hosting(
    vendors: Mapping[str, OpenAIEmulator], folder: Path = Path(), **gateway: Any
) -> AsyncIterator[tuple[str, Gateway]]:
    """The same, with the gateway itself."""
    providers = {
        name: {"provider": vendor.dialect.name, "api_key_env": VARIABLE, **vendor.metadata}
        for name, vendor in vendors.items()
    }
    routes = {f"to-{name}": {"providers": [name]} for name in vendors}
    made = Gateway(
        config({"providers": providers, "routes": routes}, folder, port=0, **PATIENT, **gateway)
    )
    front = make_front(made)
    await front.start()
    try:
        yield f"http://127.0.0.1:{front.port}", made
    finally:
        await front.close(2.0)


@asynccontextmanager
async def browser(microphone: Path | None = None) -> AsyncIterator[Browser]:
    """Chromium. It hears the recording once, then silence; without one, the beeps of its own fake device."""
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield found
        finally:
            await found.close()


class Playground:
    """The page, as its user and as its test hook see it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        #: Errors and warnings of the browser's console, such as requests that were refused.
        self.console: list[str] = []
        page.on("pageerror", lambda failure: self.complaints.append(str(failure)))
        page.on("console", self._noted)

    def _noted(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.console.append(message.text)

    async def state(self, expression: str) -> Any:
        """What `voxPlayground` says."""
        return await self.page.evaluate(f"voxPlayground.{expression}")

    async def until(self, expression: str, seconds: float = 20.0) -> Any:
        """Wait until an expression holds; its value. Fails with what the page shows."""
        for _ in range(int(seconds / 0.1)):
            found = await self.page.evaluate(expression)
            if found:
                return found
            await asyncio.sleep(0.1)
        items = json.dumps(await self.state("items"), indent=1)
        shown = [await self.page.locator(f"#{name}").inner_text() for name in ("state", "banner")]
        said = f"{shown} {self.console}"
        raise AssertionError(f"not within {seconds:g} s: {expression}\n{said}\n{items}")

    async def call(self) -> None:
        """Connect, by the button, and wait until the call is live."""
        await self.page.click("#connect")
        await self.until("voxPlayground.state === 'live'")

    async def say(self, text: str) -> None:
        """Type it."""
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def choose(self, **settings: Any) -> None:
        """Settings as the user would find them from a visit before."""
        # Before that the page itself may still write them, with the first model of the list.
        await self.until("document.querySelector('#model').value")
        await self.page.evaluate(
            "values => localStorage.setItem('voxengine.playground', JSON.stringify(values))",
            settings,
        )
        await self.page.reload()
        await self.until("Boolean(globalThis.voxPlayground)")


@asynccontextmanager
async def playground(
    address: str, microphone: Path | None = None, *, width: int = 1280, height: int = 800
) -> AsyncIterator[Playground]:
    """The page in a browser of its own. No error of its scripts may be left."""
    async with browser(microphone) as chromium:
        context = await chromium.new_context(viewport={"width": width, "height": height})
        await context.grant_permissions(["microphone"])
        opened = Playground(await context.new_page())
        await opened.page.goto(address)
        await opened.until("Boolean(globalThis.voxPlayground)")
        yield opened
        assert opened.complaints == []
        await context.close()
