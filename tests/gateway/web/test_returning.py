"""The page comes back to its call when the network was cut: the transcript stays, the conversation goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.web.browsing import (
    IN_A_BROWSER,
    KEY,
    VARIABLE,
    Playground,
    hosting,
    playground,
    recording,
)
from tests.gateway.web.networks import Air, cable
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.gateway.gateway import Gateway
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = IN_A_BROWSER

FORMAT = AudioFormat("pcm16", 24000)
SECOND = b"\0\0" * 24000
LONG = "one two three four five six seven eight nine ten " * 4
ANSWERS = {"count": LONG, "*": "gladly"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


async def test_cut_network_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    # What is said after the cut shows that the microphone is heard again.
    later = SECOND * 7 + speak("stop", FORMAT) + SECOND * 60
    microphone = recording(tmp_path / "voice.wav", SECOND * 2 + speak("count", FORMAT) + later)
    vendor = OpenAIEmulator(responses=ANSWERS)
    async with (
        vendor,
        hosting({"openai": vendor}) as (address, gateway),
        cable(address) as network,
        playground(network.address, microphone) as page,
    ):
        await page.choose(model="to-openai", transport="websocket")
        await page.call()
        await page.until("voxPlayground.items.some(i => i.heardMs > 600)")
        call_id = await page.until("voxPlayground.callId")
        network.cut()
        await page.until("voxPlayground.state === 'reconnecting'")
        assert "Reconnecting" in await page.page.locator("#state").inner_text()
        await asyncio.sleep(1.5)
        assert await page.state("state") == "reconnecting"
        network.mend()
        await page.until("voxPlayground.state === 'live'")
        await _goes_on(page, gateway, call_id)
        await page.until("voxPlayground.items.some(i => i.text === 'gladly' && i.heardAll)")
        asked, cut, *others = [item["text"] for item in await page.state("items")]
        assert (asked, others) == ("count", ["stop", "gladly"])
        assert LONG.startswith(cut)


async def test_media_that_stops_is_noticed_and_the_call_goes_on() -> None:
    vendor = OpenAIEmulator(responses=ANSWERS)
    with Air() as air:
        async with (
            vendor,
            hosting({"openai": vendor}) as (address, gateway),
            playground(address) as page,
        ):
            await page.page.route("**/v1/realtime/calls*", air.intercept)
            await page.choose(model="to-openai", transport="webrtc", turns="off")
            await page.call()
            call_id = await page.until("voxPlayground.callId")
            await page.say("count")
            await page.until("voxPlayground.items.some(i => i.heardMs > 600)")
            air.cut()
            await page.until("voxPlayground.state === 'reconnecting'", 30)
            await page.until("voxPlayground.state === 'live'")
            assert await page.state("transport") == "WebRTC"
            await _goes_on(page, gateway, call_id)
            await page.say("hello")
            await page.until("voxPlayground.items.some(i => i.text === 'gladly' && i.heardAll)")
            assert (await page.state("levels"))["loudest"]["output"] > 0.02


async def _goes_on(page: Playground, gateway: Gateway, call_id: str) -> None:
    """It is the same call, and what was said is there: the answer as far as it was heard."""
    assert [call.id for call in gateway.calls] == [call_id]
    await page.until("voxPlayground.items.some(i => i.cut)")
    cut = (await page.state("items"))[1]
    assert cut["heard"].startswith("one")
    assert cut["struck"]
    shown = await page.page.locator("#transcript").inner_text()
    assert "count" in shown
    assert "The connection was lost" in shown
    assert "Back after" in shown
    await page.until("voxPlayground.callId")
    assert await page.state("callId") == call_id
    kinds = {mark["kind"] for mark in await page.state("marks")}
    assert "error" not in kinds


async def test_call_that_ended_meanwhile_is_over() -> None:
    vendor = OpenAIEmulator(responses=ANSWERS)
    async with (
        vendor,
        hosting({"openai": vendor}) as (address, gateway),
        playground(address) as page,
    ):
        await page.choose(model="to-openai", transport="webrtc", turns="off")
        await page.call()
        [call] = list(gateway.calls)
        await call.end("that will do")
        await page.until("voxPlayground.state === 'idle'")
        assert "The call ended" in await page.page.locator("#banner").inner_text()
