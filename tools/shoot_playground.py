"""Hold a call on the playground in a real browser, and take its pictures for the documentation.

    .venv/bin/python tools/shoot_playground.py

A gateway with two routes, each to an emulated vendor on loopback that really hears and speaks (Whisper and hibari, on
this machine). The browser's microphone is fed from recordings of people. What is on the pictures happened in that
call; the vendors' own time to answer is the emulator's. Needs Debian's Chromium and the extra `local`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import wave
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.voice import LocalVoice

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SPEECH = ROOT / "tests" / "data" / "speech"
CHROMIUM = "/usr/bin/chromium"
KEY, VARIABLE = "sk-emulated", "PLAYGROUND_KEY"
RATE = 24000
#: Seconds of silence before each recording, and how much of it is played: the second comes while the answer to the
#: first is heard.
SCRIPT = ((3.0, "sense_and_sensibility_0870.wav", 60.0), (13.0, "jfk.wav", 2.6))
FIRST = {
    "*leisure*": "That is Jane Austen: Sense and Sensibility, the first chapter. Mister Dashwood has just promised "
    "his dying father to look after his sisters, and now he reckons how little that may cost him. Shall I go on?",
    "*fellow*": "And that is how the best known sentence of President Kennedy's inaugural address begins.",
    "*dark*": {
        "tool": {"name": "set_page_theme", "arguments": '{"theme": "dark"}'},
        "then": "Done. Easier on the eyes?",
    },
}
SECOND = {"*older*": "The novel, by a century and a half: it came out in 1811."}
WIDE, NARROW = (1440, 900), (375, 812)


def microphone(path: Path) -> Path:
    """The recordings, with the silence around them, as one file for the browser."""
    audio = b""
    for silence, name, seconds in SCRIPT:
        with wave.open(str(SPEECH / name)) as file:
            source = AudioFormat("pcm16", file.getframerate())
            converter = Converter(source, AudioFormat("pcm16", RATE))
            spoken = (
                converter.process(file.readframes(int(seconds * source.sample_rate)))
                + converter.flush()
            )
        audio += b"\0\0" * int(silence * RATE) + spoken
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(audio + b"\0\0" * RATE * 120)
    return path


async def until(page: Page, expression: str, seconds: float = 90.0) -> None:
    """Wait until that holds in the page."""
    for _ in range(int(seconds / 0.1)):
        if await page.evaluate(expression):
            return
        await asyncio.sleep(0.1)
    items = await page.evaluate("voxPlayground.items.map(i => [i.role, i.text, i.heardMs])")
    raise SystemExit(f"not within {seconds:g} s: {expression}\n{items}")


async def say(page: Page, text: str, answer: str) -> None:
    """Type something, and wait until the answer that begins so was heard."""
    await page.fill("#text", text)
    await page.press("#text", "Enter")
    await until(page, f"voxPlayground.items.some(i => i.text.startsWith('{answer}') && i.heardAll)")
    await page.evaluate("document.activeElement.blur()")


async def shoot(page: Page, name: str, tab: str, *, size: tuple[int, int] = WIDE) -> None:
    """One picture."""
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.click(f"#tab-{tab}")
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(600)
    await page.screenshot(path=IMAGES / f"playground-{name}.png")
    print(IMAGES / f"playground-{name}.png")


async def talk(page: Page) -> None:
    """The call, and its pictures."""
    await page.click("#tab-setup")
    await page.check("#set-tools")
    await page.click("#tab-events")
    await page.click("#connect")
    await until(page, "voxPlayground.items.some(i => i.heardMs > 1500)")
    await shoot(page, "talk", "events")
    await until(page, "voxPlayground.items.some(i => i.cut)")
    await until(
        page, "voxPlayground.items.some(i => i.text.startsWith('And that is how') && i.heardAll)"
    )
    await page.select_option("#model", "second")
    await until(page, "voxPlayground.model === 'second'")
    await say(page, "Which of the two is older?", "The novel")
    await shoot(page, "latency", "latency")
    await page.select_option("#model", "first")
    await until(page, "voxPlayground.model === 'first'")
    await say(page, "Please make the page dark.", "Done")
    await shoot(page, "call", "call")
    await shoot(page, "phone", "talk", size=NARROW)


async def main() -> None:
    """Serve, browse, shoot."""
    os.environ[VARIABLE] = KEY
    voice = LocalVoice()
    one = OpenAIEmulator(speech=voice, responses=FIRST, key=KEY, latency_ms=300.0)
    two = OpenAIEmulator("azure", speech=voice, responses=SECOND, key=KEY, latency_ms=300.0)
    async with one, two:
        providers = {
            name: {"provider": vendor.dialect.name, "api_key_env": VARIABLE, **vendor.metadata}
            for name, vendor in (("openai", one), ("azure", two))
        }
        routes = {"first": {"providers": ["openai"]}, "second": {"providers": ["azure"]}}
        own = {"store": "memory", "port": 0, "max_loop_lag_ms": 60_000}
        config = GatewayConfig.from_dict({"gateway": own, "providers": providers, "routes": routes})
        front = make_front(Gateway(config))
        await front.start()
        with tempfile.TemporaryDirectory() as folder:
            heard = microphone(Path(folder) / "microphone.wav")
            await browse(f"http://127.0.0.1:{front.port}", heard)
        await front.close(2.0)


async def browse(address: str, heard: Path) -> None:
    """The browser, with that recording as its microphone."""
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*flags, f"--use-file-for-fake-audio-capture={heard}%noloop"],
        )
        size = ViewportSize(width=WIDE[0], height=WIDE[1])
        context = await browser.new_context(viewport=size, color_scheme="light")
        await context.grant_permissions(["microphone"])
        page = await context.new_page()
        await page.goto(address)
        await page.wait_for_selector("#model option[value=first]", state="attached")
        await talk(page)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
