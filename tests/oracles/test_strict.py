"""What the strict validation sees beyond `model_validate`, shown on models written in the manner of other vendors."""

from __future__ import annotations

from typing import Any, Literal, Optional, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field

from voxengine.testing.oracles.strict import MAX_PROBLEMS, problems_of

Encoding = Union[Literal["linear16", "mulaw"], Any]  # noqa: UP007  as generators of clients write it


class Part(BaseModel):
    model_config = ConfigDict(extra="allow")
    encoding: Optional[Encoding] = None  # noqa: UP045
    open: Union[str, Literal["a"]] = "a"  # noqa: UP007
    kind: str = Field(default="", alias="class")


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: Literal["message"]
    parts: list[Part] = []
    named: dict[str, Part] = {}
    roles: list[Encoding] = []
    count: int = 0
    rate: float = 1.0
    extras: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ({}, []),
        ({"parts": [{"encoding": "mulaw", "class": "x"}], "rate": 1}, []),
        ({"parts": [{"encoding": None, "open": "anything"}]}, []),
        ({"extras": {"whatever": [1, {"deep": 2}]}}, []),
        ({"parts": [{}, {"bogus": 1}]}, ["parts.1.bogus: unknown field"]),
        ({"named": {"a": {"bogus": 1}}}, ["named.a.bogus: unknown field"]),
        (
            {"parts": [{"encoding": "bogus"}]},
            ["parts.0.encoding: 'bogus' is none of 'linear16', 'mulaw'"],
        ),
        ({"roles": ["linear16", "bot"]}, ["roles.1: 'bot' is none of 'linear16', 'mulaw'"]),
        ({"count": "5"}, ["count: Input should be a valid integer"]),
        ({"count": 5.0}, ["count: Input should be a valid integer"]),
        ({"parts": [{"class": 5}]}, ["parts.0.class: Input should be a valid string"]),
    ],
)
def test_problems(more: dict[str, Any], problems: list[str]):
    assert problems_of(Message, {"type": "message", **more}) == problems


def test_the_number_of_problems_is_bounded():
    many = {"type": "message", **{f"field_{n}": n for n in range(1000)}}
    assert len(problems_of(Message, many)) == MAX_PROBLEMS
