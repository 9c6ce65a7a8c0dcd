"""Chromium, with the page that OpenAI's guide to WebRTC describes: a client secret, an offer, an answer, a channel."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.gateway.web.browsing import IN_A_BROWSER, browser, playground, recording
from tests.gateway.webrtc.calling import KEY, VARIABLE, Served, serving
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.oracles.openai_realtime import realtime_judge

pytestmark = IN_A_BROWSER

FORMAT = AudioFormat(sample_rate=48_000)
SECOND = bytes(FORMAT.bytes_per_second)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
SECRETS = {"session": {"type": "realtime", "model": "play"}}

PAGE = """<!doctype html><title>call</title><script>
const events = [];
let channel, loudest = 0;
async function start(gateway, key, withMicrophone) {
  const pc = new RTCPeerConnection();
  const audio = document.createElement("audio");
  audio.autoplay = true;
  pc.ontrack = e => {
    audio.srcObject = e.streams[0];
    const context = new AudioContext(), analyser = context.createAnalyser();
    context.createMediaStreamSource(e.streams[0]).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      loudest = Math.max(loudest, ...samples.map(Math.abs));
    }, 20);
  };
  if (withMicrophone) {
    const media = await navigator.mediaDevices.getUserMedia({audio: true});
    pc.addTrack(media.getTracks()[0]);
  } else {
    pc.addTransceiver("audio", {direction: "recvonly"});
  }
  channel = pc.createDataChannel("oai-events");
  channel.onmessage = e => events.push(JSON.parse(e.data));
  channel.onclose = () => events.push({type: "closed"});
  window.pc = pc;
  const offer = await pc.createOffer();
  await pc.setLocalDescription(offer);
  const answer = await fetch(gateway + "/v1/realtime/calls", {
    method: "POST", body: offer.sdp,
    headers: {Authorization: `Bearer ${key}`, "Content-Type": "application/sdp"},
  });
  await pc.setRemoteDescription({type: "answer", sdp: await answer.text()});
  return answer.headers.get("location");
}
const send = event => channel.send(JSON.stringify(event));
</script>"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A server of another origin that has the page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Guest:
    """The page, in a call."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def start(self, served: Served, *, microphone: bool = True) -> str:
        secret = await served.client.realtime.client_secrets.create(**SECRETS)  # type: ignore[arg-type]
        location: str = await self.page.evaluate(
            "given => start(...given)", [served.http, secret.value, microphone]
        )
        await self.told("session.created")
        return location

    async def events(self, kind: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.page.evaluate("events")
        return [event for event in found if event["type"] == kind or not kind]

    async def told(self, kind: str, n: int = 1, seconds: float = 25.0) -> dict[str, Any]:
        for _ in range(int(seconds / 0.1)):
            found = await self.events(kind)
            if len(found) >= n:
                return found[n - 1]
            await asyncio.sleep(0.1)
        kinds = [event["type"] for event in await self.events()]
        raise AssertionError(f"{kind} did not come: {kinds}")

    async def send(self, kind: str, **fields: Any) -> None:
        await self.page.evaluate("event => send(event)", {"type": kind, **fields})


async def test_a_whole_conversation(tmp_path: Path, elsewhere: str) -> None:
    microphone = recording(
        tmp_path / "voice.wav",
        SECOND * 3 + speak("count", FORMAT) + SECOND * 4 + speak("weather", FORMAT) + SECOND * 60,
        FORMAT.sample_rate,
    )
    call = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    vendor = OpenAIEmulator(
        responses={"count": LONG, "weather": {"tool": call, "then": "it rains"}}
    )
    async with vendor, serving(vendor) as served, browser(microphone) as chromium:
        context = await chromium.new_context()
        await context.grant_permissions(["microphone"])
        guest = Guest(await context.new_page())
        await guest.page.goto(elsewhere)
        location = await guest.start(served)
        assert location.startswith("/v1/realtime/calls/rtc_")
        tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
        session = {
            "type": "realtime",
            "tools": [tool],
            "audio": {"input": {"transcription": {"model": "whisper-1"}}},
        }
        await guest.send("session.update", session=session)

        transcribed = "conversation.item.input_audio_transcription.completed"
        assert (await guest.told(transcribed))["transcript"] == "count"
        await guest.told("output_audio_buffer.started")
        cut = await guest.told("conversation.item.truncated")
        await guest.told("output_audio_buffer.cleared")
        assert (await guest.told(transcribed, 2))["transcript"] == "weather"
        assert 1000 < cut["audio_end_ms"] < 5000

        done = await guest.told("response.function_call_arguments.done")
        await guest.told("response.done", 2)
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "rain"}
        await guest.send("conversation.item.create", item=output)
        await guest.send("response.create")
        await guest.told("output_audio_buffer.stopped")
        spoken = await guest.told("response.output_audio_transcript.done", 2)
        assert spoken["transcript"] == "it rains"
        assert await guest.page.evaluate("loudest") > 0.02

        judge = realtime_judge()
        events = await guest.events()
        assert [problem for event in events for problem in judge.server(event)] == []
        assert [event for event in events if event["type"] == "error"] == []
        assert len([e for e in events if e["type"] == "conversation.item.truncated"]) == 1

        await guest.page.evaluate("pc.close()")
        for _ in range(50):
            if not len(served.gateway.calls):
                break
            await asyncio.sleep(0.1)
        assert not len(served.gateway.calls)
        await context.close()


async def test_a_page_without_a_microphone_hides_its_address(elsewhere: str) -> None:
    vendor = OpenAIEmulator(responses={"*": "good evening"})
    async with vendor, serving(vendor) as served, browser() as chromium:
        guest = Guest(await chromium.new_page())
        await guest.page.goto(elsewhere)
        location = await guest.start(served, microphone=False)
        await guest.send("response.create")
        await guest.told("output_audio_buffer.stopped")
        await served.client.realtime.calls.hangup(location.rpartition("/")[2])
        await guest.told("closed")


async def test_the_playground(tmp_path: Path) -> None:
    microphone = recording(
        tmp_path / "voice.wav",
        SECOND * 3 + speak("count", FORMAT) + SECOND * 4 + speak("stop", FORMAT) + SECOND * 60,
        FORMAT.sample_rate,
    )
    vendor = OpenAIEmulator(responses={"count": LONG, "stop": "gladly"})
    async with (
        vendor,
        serving(vendor) as served,
        playground(served.http, microphone) as page,
    ):
        await page.choose(model="play", transport="webrtc")
        await page.call()
        [call] = list(served.gateway.calls)
        assert call.wire == "webrtc"
        await page.until("voxPlayground.items.some(i => i.cut)", 30)
        await page.until("voxPlayground.items.some(i => i.text === 'gladly' && i.heardAll)")
        [cut] = [item for item in await page.state("items") if item["cut"]]
        assert cut["heard"].startswith("one two")
        assert cut["heard"] + cut["struck"] == LONG
        assert (await page.state("levels"))["loudest"]["output"] > 0.02
