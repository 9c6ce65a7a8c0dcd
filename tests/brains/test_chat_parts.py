"""The pure parts of the chat brain: events, thoughts, and complaints."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.providers.cascade.brains.chat_errors import complaint_of
from voxengine.providers.cascade.brains.chat_http import Wait
from voxengine.providers.cascade.brains.sse import EventDecoder
from voxengine.providers.cascade.brains.thoughts import ThoughtFilter


def decode(*chunks: bytes) -> list[str]:
    decoder = EventDecoder()
    return [e for c in chunks for e in decoder.feed(c)] + decoder.end()


def test_events():
    stream = b": hello\n\ndata: a\n\nevent: x\ndata:b\r\ndata: c\r\n\r\nid: 1\n\ndata: last"
    assert decode(stream) == ["a", "b\nc", "last"]
    assert decode() == []


@given(
    st.lists(
        st.sampled_from([b"data: a", b"data:", b"\n", b"\r\n", b":", b"x: y", "ü".encode()]),
        max_size=30,
    )
)
def test_events_do_not_depend_on_the_pieces(parts):
    stream = b"".join(parts)
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == decode(stream)


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 200], [b"data: " + b"x" * 40 + b"\n"] * 3])
def test_events_are_bounded(pieces):
    decoder = EventDecoder(max_bytes=100)
    for piece in pieces[:-1]:
        assert decoder.feed(piece) == []
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        decoder.feed(pieces[-1])


def think(*pieces: str) -> str:
    thoughts = ThoughtFilter()
    return "".join(thoughts.feed(p) for p in pieces) + thoughts.flush()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<think>a</think>\n\nb", "b"),
        ("<THINKING>a</THINKING> b", "b"),
        ("a <think>b</think> c", "a c"),
        ("<think>never closed", ""),
        ("thought</think> said", "thoughtsaid"),
        ("1 < 2, <thin air>, <think", "1 < 2, <thin air>, <think"),
        ("no tags", "no tags"),
        ("", ""),
    ],
)
def test_thoughts(text, spoken):
    assert think(text) == spoken
    assert think(*text) == spoken


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<", "think", ">", " ", "a", "/"]), max_size=25
    )
)
def test_thoughts_do_not_depend_on_the_pieces(parts):
    text = "".join(parts)
    assert think(*text) == think(text)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"error": {"message": "No."}}', "No."),
        ('{"error": "No."}', "No."),
        ('{"detail": [{"msg": "No."}]}', "No."),
        ('{"message": "No."}', "No."),
        ('{"other": 1}', '{"other": 1}'),
        ("<html><style>p {}</style><h1>Bad\n Gateway</h1></html>", "Bad Gateway"),
        ("", ""),
        ("x" * 1000, "x" * 200 + "..."),
    ],
)
def test_complaints(body, complaint):
    assert complaint_of(body) == complaint


async def test_a_wait_is_spent_only_while_waiting():
    wait = Wait(1.0)
    async with wait.spend():
        await asyncio.sleep(0.6)
    await asyncio.sleep(100)
    assert wait.left == pytest.approx(0.4)
    with pytest.raises(TimeoutError):
        async with wait.spend():
            await asyncio.sleep(0.5)
    assert asyncio.get_running_loop().time() == pytest.approx(101)
    wait.restart(2.0)
    async with wait.spend():
        await asyncio.sleep(1.9)
