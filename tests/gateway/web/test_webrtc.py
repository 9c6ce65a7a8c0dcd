"""The page by WebRTC, which it tries first: a person speaks into its microphone, and hears the answer."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from tests.gateway.web.browsing import (
    IN_A_BROWSER,
    KEY,
    VARIABLE,
    hosting,
    playground,
    recording,
)
from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = IN_A_BROWSER

SPEECH = Path(__file__).parents[2] / "data" / "speech"
RATE = 24000
SECOND = b"\0\0" * RATE
LONG = "one two three four five six seven eight nine ten " * 4


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


def spoken(name: str, seconds: float) -> bytes:
    """The beginning of a recording of a person, at the rate of the test's own."""
    with wave.open(str(SPEECH / name)) as file:
        source = AudioFormat("pcm16", file.getframerate())
        audio = file.readframes(int(seconds * source.sample_rate))
    converter = Converter(source, AudioFormat("pcm16", RATE))
    return converter.process(audio) + converter.flush()


@pytest.mark.models
async def test_person_talks_interrupts_and_changes_the_provider(tmp_path: Path) -> None:
    from voxengine.testing.emulators.voice import LocalVoice

    # The first words of President Kennedy's best known sentence; after them, while the answer is heard, another person.
    said = spoken("jfk.wav", 2.6), spoken("sense_and_sensibility_0870.wav", 3.6)
    microphone = recording(
        tmp_path / "voice.wav", SECOND * 2 + said[0] + SECOND * 5 + said[1] + SECOND * 60
    )
    voice = LocalVoice()
    await voice.load()
    one = OpenAIEmulator(speech=voice, responses={"*fellow*": LONG, "*leisure*": "I see."})
    two = OpenAIEmulator("azure", speech=voice, responses={"*": "From now on it is me."})
    async with (
        one,
        two,
        hosting({"openai": one, "azure": two}) as (address, gateway),
        playground(address, microphone) as page,
    ):
        await page.choose(model="to-openai")
        await page.call()
        [call] = list(gateway.calls)
        assert (call.wire, await page.state("transport")) == ("webrtc", "WebRTC")
        shown = page.page.locator("#transcript")

        await page.until("voxPlayground.items.some(i => i.text.startsWith('one two'))", 40)
        assert "fellow" in (await shown.inner_text()).lower()
        cut = await page.until("voxPlayground.items.find(i => i.cut)", 40)
        assert cut["heard"].startswith("one two")
        assert cut["struck"]
        assert (await shown.locator("del").inner_text()).strip() == cut["struck"].strip()
        await page.until("voxPlayground.items.some(i => i.text === 'I see.' && i.heardAll)", 40)
        assert "leisure" in await shown.inner_text()

        levels = (await page.state("levels"))["loudest"]
        assert levels["input"] > 0.02
        assert levels["output"] > 0.02

        await page.page.select_option("#model", "to-azure")
        await page.until("voxPlayground.model === 'to-azure'")
        await page.say("Who is there?")
        await page.until(
            "voxPlayground.items.some(i => i.text === 'From now on it is me.' && i.heardAll)"
        )
        assert [mark["kind"] for mark in await page.state("marks")] == ["cut", "switch"]
        heard = await page.page.evaluate("voxPlayground.turns.map(t => t.stages.audible)")
        assert [ms for ms in heard if ms is None] == [], str(await page.state("turns"))
        assert page.console == []


async def test_gateway_without_webrtc_is_called_by_a_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxengine.gateway.http.calls.find_spec", lambda _: None)
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with (
        vendor,
        hosting({"openai": vendor}) as (address, gateway),
        playground(address) as page,
    ):
        await page.choose(model="to-openai", turns="off")
        await page.call()
        assert await page.state("transport") == "WebSocket"
        assert [call.wire for call in gateway.calls] == ["websocket"]
        await page.say("hello")
        await page.until("voxPlayground.items.some(i => i.text === 'good evening' && i.heardAll)")
        assert (await page.state("levels"))["loudest"]["output"] > 0.02


async def test_browser_without_webrtc_calls_by_a_socket() -> None:
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with vendor, hosting({"openai": vendor}) as (address, _), playground(address) as page:
        await page.page.add_init_script("delete globalThis.RTCPeerConnection")
        await page.choose(model="to-openai", turns="off")
        await page.call()
        assert await page.state("transport") == "WebSocket"


async def test_button_is_held_to_talk_by_webrtc(tmp_path: Path) -> None:
    words = speak("hello", AudioFormat("pcm16", RATE))
    # Again and again, so that it does not matter when the key goes down.
    microphone = recording(tmp_path / "voice.wav", (words + SECOND) * 40)
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with (
        vendor,
        hosting({"openai": vendor}) as (address, _),
        playground(address, microphone) as page,
    ):
        await page.choose(model="to-openai", turns="off", transport="webrtc")
        await page.call()
        await page.page.locator("#talk-scroll").focus()
        await page.page.keyboard.down("Space")
        await page.page.wait_for_timeout(2500)
        assert await page.state("items") == []
        await page.page.keyboard.up("Space")
        await page.until("voxPlayground.items.some(i => i.text === 'good evening' && i.heardAll)")
        [heard] = [i for i in await page.state("items") if i["role"] == "user"]
        assert "hello" in heard["text"]
