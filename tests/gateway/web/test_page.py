"""The page itself in a real browser: its layout, its keyboard, its key, and the parts that reckon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.web.browsing import (
    IN_A_BROWSER,
    KEY,
    VARIABLE,
    playground,
    serving,
)
from voxengine.gateway.auth import Key, KeyFile, new_identity, new_key
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = IN_A_BROWSER

SOCKET = {"transport": "websocket"}
#: What a control is called by those who cannot see it.
UNNAMED = """() => [...document.querySelectorAll('button, input, select, textarea, [role=tab]')]
  .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"""
SIGNAL_TO_NOISE = """async ([from, to]) => {
  const { Resampler } = await import('/playground/js/audio/resampler.js');
  const resampler = new Resampler(from, to);
  const hz = 1000, out = [];
  for (let at = 0; at < from; at += 128) {
    const tone = (_, n) => Math.sin((2 * Math.PI * hz * (at + n)) / from);
    out.push(...resampler.process(Float32Array.from({ length: 128 }, tone)));
  }
  const half = out.slice(to / 4, (3 * to) / 4);
  let sin = 0, cos = 0;
  half.forEach((value, n) => {
    sin += (value * Math.sin((2 * Math.PI * hz * n) / to) * 2) / half.length;
    cos += (value * Math.cos((2 * Math.PI * hz * n) / to) * 2) / half.length;
  });
  let noise = 0;
  half.forEach((value, n) => {
    const phase = (2 * Math.PI * hz * n) / to;
    noise += (value - sin * Math.sin(phase) - cos * Math.cos(phase)) ** 2 / half.length;
  });
  return { length: out.length, amplitude: Math.hypot(sin, cos), db: 10 * Math.log10(0.5 / noise) };
}"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


async def test_narrow_screen_shows_one_thing_at_a_time() -> None:
    async with serving({}) as address, playground(address, width=375, height=812) as page:
        for name in ("talk", "events", "latency", "call", "setup"):
            await page.page.click(f"#tab-{name}")
            shown = [
                other
                for other in ("talk", "events", "latency", "call", "setup")
                if await page.page.locator(f"#panel-{other}").is_visible()
            ]
            assert shown == [name]
            wide = await page.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 375
        await page.page.set_viewport_size({"width": 1440, "height": 900})
        assert await page.page.locator("#panel-talk").is_visible()
        assert await page.page.locator("#panel-setup").is_visible()


async def test_keyboard_does_it_all() -> None:
    vendor = OpenAIEmulator(responses={"*": "one two three four five six seven eight nine ten"})
    async with vendor, serving({"openai": vendor}) as address, playground(address) as page:
        await page.choose(model="to-openai", turns="off", **SOCKET)
        keyboard = page.page.keyboard
        await keyboard.press("3")
        assert await page.page.locator("#panel-call").is_visible()
        await keyboard.press("d")
        assert await page.page.get_attribute("html", "data-theme") == "dark"
        await keyboard.press("?")
        assert await page.page.locator("#shortcuts").is_visible()
        await keyboard.press("Escape")
        await page.page.locator("#shortcuts").wait_for(state="hidden")
        await keyboard.press("c")
        await page.until("voxPlayground.state === 'live'")
        await keyboard.press("/")
        await keyboard.type("count, m?")
        await keyboard.press("Enter")
        await keyboard.press("Escape")
        await page.until("voxPlayground.items.some(i => i.heardMs > 500)")
        await keyboard.press("Escape")
        await page.until("voxPlayground.items.some(i => i.cut)")
        assert await page.page.get_attribute("#mute", "aria-pressed") == "false"
        await keyboard.press("m")
        assert await page.page.get_attribute("#mute", "aria-pressed") == "true"
        await keyboard.press("c")
        await page.until("voxPlayground.state === 'idle'")


async def test_single_keys_can_be_switched_off() -> None:
    async with serving({}) as address, playground(address) as page:
        await page.choose(shortcuts=False)
        await page.page.keyboard.press("d")
        assert await page.page.get_attribute("html", "data-theme") is None


async def test_colours_follow_the_system_until_the_user_chooses() -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with serving({}) as address, playground(address) as page:
        await page.page.emulate_media(color_scheme="light")
        light = await page.page.evaluate(ground)
        await page.page.emulate_media(color_scheme="dark")
        dark = await page.page.evaluate(ground)
        assert light != dark
        await page.page.click("#theme")
        assert await page.page.evaluate(ground) == light
        await page.page.reload()
        await page.until("Boolean(globalThis.voxPlayground)")
        assert await page.page.evaluate(ground) == light


async def test_everything_has_a_name_for_those_who_do_not_see_it() -> None:
    async with serving({}) as address, playground(address) as page:
        assert await page.page.evaluate(UNNAMED) == []


async def test_gateway_that_cannot_reach_its_provider_says_so() -> None:
    vendor = OpenAIEmulator()
    async with serving({"openai": vendor}) as address, playground(address) as page:
        await page.choose(model="to-openai", **SOCKET)
        await page.page.click("#connect")
        await page.until("!document.querySelector('#banner').hidden")
        assert await page.state("state") == "idle"
        assert await page.page.locator("#banner-again").is_visible()


async def test_events_are_filtered_and_shown_whole() -> None:
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with vendor, serving({"openai": vendor}) as address, playground(address) as page:
        await page.choose(model="to-openai", turns="off", **SOCKET)
        await page.call()
        await page.say("hello")
        await page.until("voxPlayground.items.some(i => i.text === 'good evening')")
        assert await page.state("events") > 10
        await page.page.fill("#event-filter", "session. -created")
        rows = page.page.locator("#event-list li .type")
        assert set(await rows.all_inner_texts()) == {"session.update", "session.updated"}
        await page.page.uncheck("#show-sent", force=True)
        assert set(await rows.all_inner_texts()) == {"session.updated"}
        await page.page.focus("#event-list")
        await page.page.keyboard.press("ArrowUp")
        shown = await page.page.locator("#event-json").inner_text()
        assert '"session.updated"' in shown
        assert "turn_detection" in shown


async def test_heard_words_follow_from_what_was_played() -> None:
    split = """async (item) => (await import('/playground/js/model/heard.js')).split(item)"""
    item = {"text": "one two, three four", "audioMs": 2000, "complete": True}
    async with serving({}) as address, playground(address) as page:
        evaluate = page.page.evaluate
        assert await evaluate(split, {**item, "heardMs": None}) == [item["text"], ""]
        assert await evaluate(split, {**item, "heardMs": 0}) == ["", item["text"]]
        assert await evaluate(split, {**item, "heardMs": 2000}) == [item["text"], ""]
        heard, rest = await evaluate(split, {**item, "heardMs": 1300})
        assert (heard, rest) == ("one two, ", "three four")


@pytest.mark.parametrize(("source", "target"), [(48000, 24000), (44100, 24000), (24000, 48000)])
async def test_resampling_leaves_a_tone_as_it_is(source: int, target: int) -> None:
    async with serving({}) as address, playground(address) as page:
        found = await page.page.evaluate(SIGNAL_TO_NOISE, [source, target])
        assert abs(found["length"] - target) < 0.01 * target
        assert abs(found["amplitude"] - 1) < 0.01
        assert found["db"] > 60


async def test_key_is_asked_for_and_kept_by_the_tab_alone(tmp_path: Path) -> None:
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    secret = _make_key(tmp_path / "voxengine-keys.json")
    async with (
        vendor,
        serving({"openai": vendor}, tmp_path) as address,
        playground(address) as page,
    ):
        await page.page.locator("#key-dialog").wait_for(state="visible")
        await page.page.fill("#key", "sk-wrong")
        await page.page.click("#key-dialog button[value=use]")
        await page.until("document.querySelector('#key').value === ''")
        await page.page.fill("#key", secret)
        await page.page.click("#key-dialog button[value=use]")
        await page.page.locator("#key-dialog").wait_for(state="hidden")
        assert secret not in await page.page.evaluate("JSON.stringify(localStorage)")
        assert await page.page.evaluate("sessionStorage.getItem('voxengine.key')") == secret
        await page.choose(model="to-openai", turns="off", **SOCKET)
        await page.call()
        await page.say("hello")
        await page.until("voxPlayground.items.some(i => i.text === 'good evening')")


def _make_key(path: Path) -> str:
    """A key of a file of keys; the file is made."""
    file = KeyFile(path)
    with file.changing() as kept:
        identity = new_identity(kept)
        hashed, secret = new_key(identity)
        kept[identity] = Key(id=identity, name="tests", hash=hashed, created_at=0.0)
    return secret
