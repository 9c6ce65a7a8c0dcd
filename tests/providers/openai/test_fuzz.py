"""A hundred thousand damaged frames of a vendor, through the decoder and the session's state machine."""

from __future__ import annotations

import base64
import gc
import hashlib
import random
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.providers.openai.messages import SERVER, decoder
from tests.session.driver import SERVER_VAD
from voxengine import events as ev
from voxengine.conversation import Conversation
from voxengine.events import ProviderEvent
from voxengine.providers.openai.decode import Decoder
from voxengine.session import effects as fx
from voxengine.session.core import CoreOptions, SessionCore
from voxengine.session.effects import PASS
from voxengine.session.rules import tools

FRAMES = 100_000
#: Frames of one conversation. The log of a conversation grows with it, so memory is compared between conversations.
LENGTH = 500
SEED = 20261121

_encode = msgspec.json.encode
#: Where words, and where ids stand in a message.
_WORDS = ("delta", "transcript", "text", "arguments")
_IDS = ("item_id", "call_id", "response_id", "id")
#: How a frame with audio begins; a field of these names, and the text that is its value.
_AUDIO = b'{"type":"response.output_audio.delta"'
_SAID = re.compile(rb'"(' + "|".join((*_WORDS, *_IDS)).encode() + rb')":("(?:[^"\\]|\\.)*")')


# -- what a vendor sends


def turn(n: int) -> Iterator[dict[str, Any]]:
    """One turn of a conversation: now and then with a tool, or cut short by the user."""
    user, item, response, call = f"u{n}", f"a{n}", f"r{n}", f"c{n}"
    where = {"item_id": item, "response_id": response}
    heard = {"item_id": user}
    yield _message("input_audio_buffer.speech_started", **heard, audio_start_ms=n * 1000)
    yield _message("input_audio_buffer.speech_stopped", **heard, audio_end_ms=n * 1000 + 800)
    yield _message("input_audio_buffer.committed", **heard)
    yield _message("conversation.item.added", item={"id": user, "type": "message", "role": "user"})
    yield _message("response.created", response=_response(response, "in_progress"))
    kind = "conversation.item.input_audio_transcription"
    for words in ("where", " is", f" order {n}"):
        yield _message(f"{kind}.delta", **heard, delta=words)
    yield _message(f"{kind}.updated", **heard, transcript=f"where is order {n} now")
    yield _message(f"{kind}.completed", **heard, transcript=f" Where is order {n}? ")
    if n % 3 == 0:
        asked = {"id": f"i{n}", "type": "function_call", "call_id": call, "name": "lookup"}
        yield _message("response.output_item.added", response_id=response, item=asked)
        arguments = {"call_id": call, "arguments": f'{{"order": {n}}}', "name": "lookup"}
        yield _message("response.function_call_arguments.done", response_id=response, **arguments)
        yield _message(
            "response.output_item.done", response_id=response, item={**asked, **arguments}
        )
        yield _message("response.done", response=_response(response, "completed"))
        response = f"r{n}b"
        where["response_id"] = response
        yield _message("response.created", response=_response(response, "in_progress"))
    started = {"id": item, "type": "message", "role": "assistant"}
    yield _message("response.output_item.added", response_id=response, item=started)
    audio = base64.b64encode(bytes(480)).decode()
    for words in ("It", " ships", " today,", f" order {n}."):
        yield _message("response.output_audio_transcript.delta", **where, delta=words)
        yield _message("response.output_audio.delta", **where, delta=audio)
    status = "completed"
    if n % 4 == 1:
        yield _message("input_audio_buffer.speech_started", item_id=f"u{n + 1}")
        status = "cancelled"
    else:
        whole = f"It ships today, order {n}."
        yield _message("response.output_audio_transcript.done", **where, transcript=whole)
    yield _message("response.done", response=_response(response, status))
    yield _message("rate_limits.updated")
    if n % 5 == 0:
        yield _message("error")
        yield {"type": "something.new", "event_id": f"e{n}", "text": "news"}


def _response(response_id: str, status: str) -> dict[str, Any]:
    done = SERVER["response.done"]["response"]
    reason = {"reason": "turn_detected"} if status == "cancelled" else None
    return {**done, "id": response_id, "status": status, "output": [], "status_details": reason}


def _message(kind: str, **fields: Any) -> dict[str, Any]:
    return {**SERVER.get(kind, {"type": kind}), **fields}


# -- what becomes of it on the way


class Damage:
    """Frames of conversations, most of them damaged in one way or another; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        #: The first turn of the conversation.
        self.first = 0
        self.ways = [
            self.flipped,
            self.truncated,
            self.not_utf8,
            self.wrong_type,
            self.huge,
            self.deep,
            self.foreign,
            self.without,
        ]

    def conversation(self, first: int) -> Iterator[bytes]:
        """The frames of a conversation whose turns are counted from there."""
        self.first = n = first
        frames: list[bytes] = []
        while len(frames) < LENGTH:
            frames += [self.frame(message) for message in turn(n)]
            n += 1
        held: bytes | None = None
        for frame in frames[:LENGTH]:
            chance = self.random.random()
            if held is not None:  # overtaken
                yield frame
                yield held
                held = None
            elif chance < 0.03:
                held = frame
            elif chance < 0.06:
                yield frame
                yield frame
            elif chance > 0.03 + 0.06:
                yield frame  # else lost

    def frame(self, message: dict[str, Any]) -> bytes:
        if self.random.random() < 0.4:
            return _encode(message)
        return self.random.choice(self.ways)(message)

    def flipped(self, message: dict[str, Any]) -> bytes:
        frame = bytearray(_encode(message))
        for _ in range(self.random.randint(1, 3)):
            frame[self.random.randrange(len(frame))] ^= 1 << self.random.randrange(8)
        return bytes(frame)

    def truncated(self, message: dict[str, Any]) -> bytes:
        frame = _encode(message)
        return frame[: self.random.randrange(len(frame))]

    def not_utf8(self, message: dict[str, Any]) -> bytes:
        frame = bytearray(_encode(message))
        at = self.random.randrange(len(frame))
        frame[at:at] = b"\xff\xc0\x80"
        return bytes(frame)

    def wrong_type(self, message: dict[str, Any]) -> bytes:
        text = f"x{self.first}"
        wrong: tuple[Any, ...] = (
            None,
            True,
            -1,
            1.5,
            "",
            text,
            [],
            [1],
            {},
            {"id": 5},
            {"type": None},
        )
        return self._with(message, self.random.choice(wrong))

    def huge(self, message: dict[str, Any]) -> bytes:
        digits = self.random.choice((b"9" * 30, b"-" + b"9" * 400, b"1e308", b"1e999"))
        return self._with(message, msgspec.Raw(digits))

    def deep(self, message: dict[str, Any]) -> bytes:
        depth = self.random.choice((5, 50, 50, 1500))
        return self._with(message, msgspec.Raw(b"[" * depth + b"]" * depth))

    def foreign(self, message: dict[str, Any]) -> bytes:
        """An id that was never heard of, or that something else has."""
        other = f"{self.random.choice('uarci')}{self.first + self.random.randrange(60)}"
        changed = {**message, **{name: other for name in _IDS if name in message}}
        for name in ("item", "response"):
            if isinstance(changed.get(name), dict):
                changed[name] = {**changed[name], "id": other}
        return _encode(changed)

    def without(self, message: dict[str, Any]) -> bytes:
        name = self.random.choice(list(message))
        return _encode({key: value for key, value in message.items() if key != name})

    def _with(self, message: dict[str, Any], value: Any) -> bytes:
        names = list(message)
        name = self.random.choice(names)
        inner = message[name]
        if isinstance(inner, dict) and self.random.random() < 0.7:
            value = {**inner, self.random.choice(list(inner)): value}
        return _encode({**message, name: value})


# -- who gets it


class Session:
    """The core of one conversation, with timers and tools, and what it was told."""

    def __init__(self, now: float, before: frozenset[str] = frozenset()) -> None:
        self.core = SessionCore(Conversation("c"), CoreOptions())
        self.now = now
        self.timers: dict[str, float] = {}
        self.ids: set[str] = set()
        #: With what was said before: the decoder may have kept the beginning of a text of which the rest comes now.
        self.words = {"{}", *before}
        self.before = before
        self.digest = hashlib.sha256()
        self.give(fx.Attached("openai", SERVER_VAD))

    def frame(self, at: Decoder, frame: bytes) -> None:
        self._note(frame)
        self.now += 0.02
        for name in [name for name, due in self.timers.items() if due <= self.now]:
            del self.timers[name]
            self.give(fx.TimerFired(name))
        for event in at.decode(memoryview(frame)):
            assert isinstance(event, ProviderEvent)
            self.digest.update(event.type.encode())
            self.give(event)

    def give(self, event: ProviderEvent | fx.Command) -> None:
        effects = self.core.apply(event, self.now)
        if effects is PASS:
            return
        for effect in effects:
            if isinstance(effect, fx.SetTimer):
                self.timers[effect.name] = effect.at
            elif isinstance(effect, fx.ClearTimer):
                self.timers.pop(effect.name, None)
            elif isinstance(effect, fx.RunTool):
                self.give(fx.ToolFinished(effect.call_id, '"today"'))

    def _note(self, frame: bytes) -> None:
        """What the vendor said. It may stand in a frame of which the rest cannot be read, and need not be."""
        if frame.startswith(_AUDIO):
            frame = frame.partition(b'"delta":')[0]  # no words, and much of it
        for name, text in _SAID.findall(frame):
            try:
                said = msgspec.json.decode(text, type=str)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if name.decode() in _IDS:
                self.ids.add(said)
            else:
                self.words.update((said, said.strip()))

    def check(self) -> int:
        """Nothing in the log is of our own making. Returns how many items there are."""
        words = _by_letter(self.words)
        for item in self.core.conversation:
            if item.kind == "message":
                named = item.id in self.ids or re.fullmatch(r"item_c_\d+", item.id)
                assert named, f"the vendor never named {item.id!r}"
                text = item.text + item.unheard_text
                assert _is_made_of(text, words), f"nobody said {text!r}"
            elif item.kind == "function_call":
                assert item.call_id in self.ids or re.fullmatch(r"call_c_\d+", item.call_id or "")
                assert item.arguments in self.words
            else:
                assert item.output in ('"today"', tools.CANCELLED)
        return len(list(self.core.conversation))


def _by_letter(words: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        found.setdefault(word[:1], []).append(word)
    return found


def _is_made_of(text: str, words: dict[str, list[str]]) -> bool:
    """Whether a text is some of these one after the other, the last perhaps not to its end."""
    reached, ends = {0}, [0]
    while ends:
        at = ends.pop()
        if at == len(text):
            return True
        for word in words.get(text[at], ()):
            if text.startswith(word, at) or word.startswith(text[at:]):
                end = min(len(text), at + len(word))
                if end not in reached:
                    reached.add(end)
                    ends.append(end)
    return False


def _run(frames: int, at: Decoder, seed: int = SEED) -> Iterator[tuple[int, Session]]:
    """Each conversation when it has ended, with the number of frames so far."""
    damage = Damage(seed)
    count = turns = 0
    before: frozenset[str] = frozenset()
    while count < frames:
        session = Session(float(count), before)
        for number, frame in enumerate(damage.conversation(turns)):
            try:
                session.frame(at, frame)
            except Exception as failure:
                raise AssertionError(
                    f"frame {number} of the conversation from turn {turns}: {frame[:500]!r}"
                ) from failure
            count += 1
        turns += LENGTH
        before = frozenset(session.words - session.before)
        yield count, session


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_whatever_comes_nothing_breaks_and_nothing_is_made_up():
    at = decoder()
    items, early, done = 0, None, 0
    try:
        for done, session in _run(FRAMES, at):
            items += session.check()
            if early is None and done >= FRAMES // 5:
                del session
                gc.collect()
                tracemalloc.start()
                early = done
        del session
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done >= FRAMES
    assert items > FRAMES / 50  # much was understood
    assert grown < 300_000, f"{grown} bytes more after {done} frames than after {early}"


def test_the_same_seed_is_the_same_conversation():
    digests = [
        [session.digest.hexdigest() for _, session in _run(2000, decoder(), seed)]
        for seed in (SEED, SEED, SEED + 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_an_undamaged_conversation_is_understood_whole():
    at, session = decoder(), Session(now=0.0)
    events = 0
    for n in range(12):
        for message in turn(n):
            events += len(at.decode(_encode(message)))
            session.frame(at, _encode(message))
    assert events
    session.check()
    texts = [item.text for item in session.core.conversation.messages]
    assert "Where is order 3?" in texts
    assert "It ships today, order 3." in texts


def test_the_check_finds_what_was_made_up():
    session = Session(now=0.0)
    session.give(ev.TranscriptCompleted(text="hello", item_id="u1"))
    with pytest.raises(AssertionError, match="never named 'u1'"):
        session.check()
    session.ids.add("u1")
    with pytest.raises(AssertionError, match="nobody said 'hello'"):
        session.check()
    session.words.update(["hel", "lo there"])
    assert session.check() == 1
