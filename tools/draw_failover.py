"""Hold a call whose provider dies in the middle of a sentence, and draw what happened, by its own clock.

    .venv/bin/python tools/draw_failover.py

Two emulated vendors on loopback, real sockets, real time: `openai` is cut off, and from then on refuses; `azure` is its
fallback. Everything in `docs/images/failover.svg` was measured in that one call; the vendors' own time to answer
is the emulator's (`LATENCY_MS`), and there is no network in between.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai.emulator import Watch
from voxengine.testing.emulators.openai.session import Session

OUT = Path(__file__).parents[1] / "docs" / "images" / "failover.svg"
KEY = "sk-emulated"
FORMAT = AudioFormat()
FRAME_MS = 20
LATENCY_MS = 300.0
SENTENCE = "my order has not arrived yet"
ANSWER = "I am sorry to hear that"
#: Seconds of the sentence after which the vendor is cut off.
CUT_AFTER = 1.0

# -- the call


class Story:
    """What happened, in seconds since the connection was lost."""

    def __init__(self) -> None:
        self.lost = 0.0
        #: The sentence; and the end of the one before it, which was answered by the first vendor.
        self.spoke: tuple[float, float] = (0.0, 0.0)
        self.greeted = 0.0
        self.marks: list[tuple[float, str, str]] = []
        self.heard: list[tuple[float, float]] = []
        self.switched: ev.ProviderSwitched | None = None

    def vendor(self, name: str) -> Watch:
        """Notes the events that this vendor sends."""

        def sent(_: Session, event: dict[str, Any] | None) -> None:
            if event is not None:
                self.marks.append((time.perf_counter(), name, event["type"]))

        return sent

    def note(self, event: ev.ProviderEvent) -> None:
        """Note an event of the engine, and when audio will be heard."""
        now = time.perf_counter()
        self.marks.append((now, "engine", str(event.type)))
        if isinstance(event, ev.ConnectionLost):
            self.lost = now
        elif isinstance(event, ev.ProviderSwitched):
            self.switched = event
        elif isinstance(event, ev.AudioOutputChunk):
            seconds = FORMAT.duration_ms(len(event.audio_data)) / 1000
            begin = max(now, self.heard[-1][1]) if self.heard else now
            if self.heard and begin - self.heard[-1][1] < 0.03:
                self.heard[-1] = (self.heard[-1][0], begin + seconds)
            else:
                self.heard.append((begin, begin + seconds))

    def first(self, who: str, what: str, after: float = 0.0) -> float:
        """Seconds from the loss to the first event of a kind after some moment."""
        times = [
            t - self.lost
            for t, w, k in self.marks
            if (w, k) == (who, what) and t - self.lost >= after
        ]
        if not times:
            raise SystemExit(f"{who} has sent no {what}: the call did not go as it should")
        return times[0]


async def talk(engine: VoiceEngine, words: bytearray) -> None:
    """A microphone that is always on."""
    size = FORMAT.n_bytes(FRAME_MS)
    due = time.perf_counter()
    while True:
        frame = bytes(words[:size]).ljust(size, b"\0")
        del words[:size]
        await engine.send_audio(frame)
        due += FRAME_MS / 1000
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def hold() -> Story:
    """The call: two turns that go well, and one in which the vendor dies."""
    story, words = Story(), bytearray()
    answers = {SENTENCE: ANSWER}
    async with (
        OpenAIEmulator(
            "openai", answers, latency_ms=LATENCY_MS, on_event=story.vendor("old")
        ) as old,
        OpenAIEmulator(
            "azure", answers, latency_ms=LATENCY_MS, on_event=story.vendor("new")
        ) as new,
    ):
        backup = {"provider": "azure", "api_key": KEY, "metadata": new.metadata}
        engine = VoiceEngine(
            provider="openai", api_key=KEY, metadata=old.metadata, fallback=[backup]
        )
        engine.on("*", story.note)
        async with engine:
            microphone = asyncio.create_task(talk(engine, words))
            for greeting in ("good morning", "are you there"):  # the first one warms everything up
                words += speak(greeting, FORMAT)
                story.greeted = time.perf_counter() + FORMAT.duration_ms(len(words)) / 1000
                await asyncio.sleep(4.5)
            words += speak(SENTENCE, FORMAT)
            begin = time.perf_counter()
            story.spoke = begin, begin + FORMAT.duration_ms(len(words)) / 1000
            await asyncio.sleep(CUT_AFTER)
            await old.kill()
            await asyncio.sleep(6)
            microphone.cancel()
            await asyncio.wait([microphone])
            said = [item.text for item in engine.conversation]
    if said[-2:] != [SENTENCE, ANSWER]:
        raise SystemExit(f"the call did not go as it should: {said}")
    return story


# -- the picture

WIDTH, LEFT, RIGHT = 960, 150, 24
LANES = {"speaks": 74, "old": 130, "new": 186, "hears": 242}
BAR = 30
STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #24292f }
.small { font-size: 12px } .quiet { fill: #57606a } .bold { font-weight: 600 }
.back { fill: #ffffff } .lane { stroke: #d0d7de } .tick { stroke: #d0d7de; stroke-dasharray: 2 4 }
.user { fill: #54aeff } .old { fill: #d4a72c } .new { fill: #4ac26b } .ear { fill: #a475f9 }
.pale { fill-opacity: .28 } .lost { stroke: #cf222e; stroke-width: 2 } .alarm { fill: #cf222e }
.on { fill: #0b1f33 } .lens { fill: #afb8c1; fill-opacity: .16 } .dot { fill: #24292f }
.lead { stroke: #57606a; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .quiet { fill: #9198a1 } .back { fill: #0d1117 } .lane, .tick { stroke: #3d444d }
.lost { stroke: #ff7b72 } .alarm { fill: #ff7b72 } .dot { fill: #e6edf3 } .lead { stroke: #9198a1 }
.on { fill: #0b1f33 }
}
"""


class Picture:
    """Collects the elements of an SVG."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, look: str = "", anchor: str = "start") -> None:
        """Words at a place."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def bar(self, x1: float, x2: float, y: float, look: str, words: str = "") -> None:
        """A stretch of time on a lane."""
        width = max(2.0, x2 - x1)
        self.parts.append(
            f'<rect x="{x1:.1f}" y="{y - BAR / 2:.1f}" width="{width:.1f}" height="{BAR}" rx="5" class="{look}"/>'
        )
        if words:
            self.text(
                (x1 + x2) / 2, y + 4.5, words, "small" if "pale" in look else "small on", "middle"
            )

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str) -> None:
        """A straight line."""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>'
        )

    def svg(self, height: int, title: str) -> str:
        """All of it."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
            f"<title>{escape(title)}</title><style>{STYLE}</style>"
            f'<rect width="{WIDTH}" height="{height}" rx="8" class="back"/>'
        )
        return "\n".join([head, *self.parts, "</svg>"]) + "\n"


def draw(story: Story) -> str:
    """The whole call above, the moment of the failover below."""
    picture = Picture()
    end = draw_call(picture, story)
    height = draw_moment(picture, story, end + 34)
    return picture.svg(
        height, "A provider dies in mid-sentence, and another one answers the sentence"
    )


def draw_call(picture: Picture, story: Story) -> float:
    """The lanes, in seconds."""
    spoke = story.spoke[0] - story.lost, story.spoke[1] - story.lost
    heard = [(a - story.lost, b - story.lost) for a, b in story.heard if b > story.lost]
    begin, end = spoke[0] - 0.3, heard[-1][1] + 0.25
    scale = (WIDTH - LEFT - RIGHT) / (end - begin)

    def x(t: float) -> float:
        return LEFT + (t - begin) * scale

    picture.text(20, 30, "A provider dies in mid-sentence", "bold")
    names = {
        "speaks": "the caller says",
        "old": "openai",
        "new": "azure (fallback)",
        "hears": "the caller hears",
    }
    top, bottom = LANES["speaks"] - 28, LANES["hears"] + 28
    for second in range(int(begin), int(end) + 1):
        picture.line(x(second), top, x(second), bottom, "tick")
        if x(second) < WIDTH - 2 * RIGHT:
            picture.text(x(second), bottom + 16, f"{second * 1000} ms", "small quiet", "middle")
    for lane, y in LANES.items():
        picture.text(20, y + 4.5, names[lane])
        picture.line(LEFT, y, WIDTH - RIGHT, y, "lane")
    picture.bar(x(spoke[0]), x(spoke[1]), LANES["speaks"], "user", f"“{SENTENCE}”")
    picture.bar(x(begin), x(0), LANES["old"], "old", "listens")
    ready = story.first("engine", "provider_switched")
    turn = story.first("new", "input_audio_buffer.committed", 0.0)
    sound = story.first("new", "response.output_audio.delta")
    done = story.first("new", "response.done")
    picture.bar(x(ready), x(turn), LANES["new"], "new", "hears all of it")
    picture.bar(x(turn), x(sound), LANES["new"], "new pale", "thinks")
    picture.bar(x(sound), x(done), LANES["new"], "new", "sends")
    for a, b in heard:
        picture.bar(x(a), x(b), LANES["hears"], "ear", f"“{ANSWER}”")
    picture.line(x(0), top, x(0), bottom, "lost")
    picture.text(x(0) + 7, LANES["old"] - 8, "cut off, and refuses from now on", "small alarm")
    gap = heard[0][0] - spoke[1]
    y = LANES["hears"]
    picture.line(x(spoke[1]), y, x(heard[0][0]), y, "lead")
    usual = next(a for a, _ in story.heard if a > story.greeted) - story.greeted
    edge = x(heard[0][0]) - 8
    picture.text(edge, y - 8, f"{gap * 1000:.0f} ms after the last word", "small", "end")
    picture.text(edge, y + 18, f"(the turn before: {usual * 1000:.0f} ms)", "small quiet", "end")
    return bottom + 22


def draw_moment(picture: Picture, story: Story, top: float) -> int:
    """The milliseconds after the loss, one under the other."""
    switched = story.switched
    if switched is None:
        raise SystemExit("no other provider has taken over")
    rows = [
        (0.0, "old", "openai: the connection is lost (connection_lost)"),
        (
            story.first("engine", "connection_reconnecting"),
            "old",
            "openai is tried once more, and refuses",
        ),
        (story.first("new", "session.created"), "new", "azure: a session is opened"),
        (
            story.first("new", "session.updated"),
            "new",
            "azure: has the instructions, the voice, the tools",
        ),
        (
            story.first("new", "conversation.item.added"),
            "new",
            f"azure: confirms the {switched.items} items of the conversation that it was told",
        ),
        (
            story.first("engine", "provider_switched"),
            "new",
            f"azure takes over (provider_switched), and hears {switched.audio_ms:.0f} ms of the caller again",
        ),
        (
            story.first("new", "input_audio_buffer.speech_started"),
            "new",
            "azure: the caller is speaking (input_audio_buffer.speech_started)",
        ),
    ]
    rows.sort(key=lambda row: row[0])
    last = rows[-1][0]
    axis, step = LEFT, 26
    width = 250.0
    height = top + 30 + step * len(rows) + 34
    picture.parts.append(
        f'<rect x="12" y="{top - 16:.1f}" width="{WIDTH - 24}" height="{height - top + 4:.1f}" rx="6" class="lens"/>'
    )
    picture.text(20, top + 4, f"The first {last * 1000:.0f} ms", "bold")
    for number, (at, who, words) in enumerate(rows):
        y = top + 30 + number * step
        x = axis + at / last * width
        picture.line(axis, y, x, y, "lane")
        picture.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" class="{who}"/>')
        picture.text(axis - 12, y + 4.5, f"{at * 1000:.1f} ms", "small quiet", "end")
        picture.text(axis + width + 26, y + 4.5, words, "small")
    picture.text(
        20,
        top + 30 + step * len(rows) + 8,
        f"Audio lost: {switched.audio_lost_ms:.0f} ms. Two emulated vendors on loopback, real time; "
        f"{LATENCY_MS:.0f} ms of the vendor's thinking are the emulator's.",
        "small quiet",
    )
    return int(height)


def main() -> None:
    """Hold the call, and draw it."""
    story = asyncio.run(hold())
    OUT.write_text(draw(story), "utf-8")
    print(f"{OUT}: taken over after {story.first('engine', 'provider_switched') * 1000:.0f} ms")


if __name__ == "__main__":
    main()
