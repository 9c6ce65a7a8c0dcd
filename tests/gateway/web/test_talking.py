"""The playground in a real browser: a voice goes in, an answer is heard, and what was cut is shown as cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.web.browsing import (
    IN_A_BROWSER,
    KEY,
    VARIABLE,
    playground,
    recording,
    serving,
)
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = IN_A_BROWSER

FORMAT = AudioFormat("pcm16", 24000)
SECOND = b"\0\0" * 24000
LONG = "one two three four five six seven eight nine ten " * 4
#: WebRTC is tried first unless the user says otherwise; these tests are about one or the other.
SOCKET = {"transport": "websocket"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


async def test_voice_is_written_down_and_the_answer_is_heard(tmp_path: Path) -> None:
    microphone = recording(
        tmp_path / "voice.wav", SECOND * 3 + speak("where is my order", FORMAT) + SECOND * 60
    )
    vendor = OpenAIEmulator(responses={"where is my order": "it is on its way to you"})
    async with (
        vendor,
        serving({"openai": vendor}) as address,
        playground(address, microphone) as page,
    ):
        await page.choose(model="to-openai", **SOCKET)
        await page.call()
        await page.until("voxPlayground.items.some(i => i.text === 'where is my order')")
        await page.until("voxPlayground.items.some(i => i.heardAll)")
        user, answer = (await page.state("items"))[:2]
        assert (user["role"], answer["role"]) == ("user", "assistant")
        assert answer["heard"] == "it is on its way to you"
        levels = (await page.state("levels"))["loudest"]
        assert levels["input"] > 0.02
        assert levels["output"] > 0.02
        shown = await page.page.locator("#transcript").inner_text()
        assert "where is my order" in shown
        assert "it is on its way to you" in shown
        [turn] = await page.state("turns")
        stages = turn["stages"]
        assert stages["decided"] <= stages["response"] <= stages["word"] <= stages["audible"]
        # 500 ms of silence end a turn: the page counts from the last loud moment.
        assert 300 < stages["decided"] < 3000


async def test_barge_in_strikes_what_was_not_heard(tmp_path: Path) -> None:
    microphone = recording(
        tmp_path / "voice.wav",
        SECOND * 3 + speak("count", FORMAT) + SECOND * 7 + speak("stop", FORMAT) + SECOND * 60,
    )
    vendor = OpenAIEmulator(responses={"count": LONG, "stop": "gladly"})
    async with (
        vendor,
        serving({"openai": vendor}) as address,
        playground(address, microphone) as page,
    ):
        await page.choose(model="to-openai", **SOCKET)
        await page.call()
        await page.until("voxPlayground.items.some(i => i.cut)", 30)
        await page.until("voxPlayground.items.some(i => i.text === 'gladly' && i.heardAll)")
        cut = [item for item in await page.state("items") if item["cut"]]
        assert len(cut) == 1
        assert cut[0]["heard"].startswith("one two")
        assert cut[0]["struck"]
        assert cut[0]["heard"] + cut[0]["struck"] == LONG.strip()
        struck = page.page.locator("#transcript del")
        assert (await struck.inner_text()).strip() == cut[0]["struck"].strip()
        assert [mark["kind"] for mark in await page.state("marks")] == ["cut"]


async def test_tool_of_the_page_is_called_and_its_result_is_told() -> None:
    tool = {"name": "set_page_theme", "arguments": '{"theme": "dark"}'}
    vendor = OpenAIEmulator(responses={"*": {"tool": tool, "then": "it is dark now"}})
    async with vendor, serving({"openai": vendor}) as address, playground(address) as page:
        await page.choose(model="to-openai", turns="off", tools=True, **SOCKET)
        await page.call()
        await page.say("make it dark")
        await page.until("voxPlayground.items.some(i => i.text === 'it is dark now')")
        assert await page.page.get_attribute("html", "data-theme") == "dark"
        tool_row = await page.page.locator("#transcript .call").inner_text()
        assert "set_page_theme" in tool_row
        assert '"theme": "dark"' in tool_row


async def test_space_bar_is_held_to_talk(tmp_path: Path) -> None:
    words = speak("hello", FORMAT)
    # Again and again, so that it does not matter when the key goes down.
    microphone = recording(tmp_path / "voice.wav", (words + SECOND) * 40)
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with (
        vendor,
        serving({"openai": vendor}) as address,
        playground(address, microphone) as page,
    ):
        await page.choose(model="to-openai", turns="off", **SOCKET)
        await page.call()
        before = await page.state("items")
        assert before == []
        await page.page.locator("#talk-scroll").focus()
        await page.page.keyboard.down("Space")
        assert "Listening" in await page.page.locator("#push").inner_text()
        await page.page.wait_for_timeout(2500)
        assert await page.state("items") == []
        await page.page.keyboard.up("Space")
        await page.until("voxPlayground.items.some(i => i.text === 'good evening')")
        [heard] = [i for i in await page.state("items") if i["role"] == "user"]
        assert "hello" in heard["text"]
        assert [turn["kind"] for turn in await page.state("turns")] == ["push"]
