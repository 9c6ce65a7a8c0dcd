"""What operators send and are told: bodies of requests and answers, with their bounds, as the API describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxengine.conversation.injection import InjectionPoint, InjectionStatus
from voxengine.session.moments import When

__all__ = [
    "CallAction",
    "CallList",
    "CallView",
    "CostView",
    "Drained",
    "ErrorAnswer",
    "HangUp",
    "Inject",
    "InjectionView",
    "LegView",
    "Model",
    "ModelList",
    "Say",
    "Switch",
    "Switched",
    "Transcript",
]

#: Characters of one text that is put into a conversation.
MAX_TEXT = 20_000
_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ErrorBody(BaseModel):
    """What was wrong."""

    message: str = Field(description="For people.")
    type: str = Field(description="OpenAI's class of errors, such as invalid_request_error.")
    param: str | None = Field(description="The parameter that it is about.")
    code: str | None = Field(description="For programs.")


class ErrorAnswer(BaseModel):
    """A refusal, in OpenAI's form."""

    error: ErrorBody


class Model(BaseModel):
    """Something that can be called as `model`."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time at which this gateway was started.")
    owned_by: str = Field(description="'voxengine' for a route, else the name of the provider.")


class ModelList(BaseModel):
    """OpenAI's list of models."""

    object: Literal["list"] = "list"
    data: list[Model]


class StageView(BaseModel):
    """A stage of the turns, in milliseconds after the end of the user's speech."""

    median: float
    p90: float
    max: float


class CallView(BaseModel):
    """A live call."""

    id: str
    object: Literal["call"] = "call"
    state: str = Field(description="idle, listening, thinking, speaking, closed or disconnected.")
    attached: bool = Field(description="Whether its client is there.")
    speaker: Literal["user", "assistant"] | None = Field(description="Who speaks.")
    route: str
    provider: str = Field(description="The one at work.")
    model: str | None
    reconnecting: bool
    wire: str = Field(description="websocket, webrtc or twilio.")
    key_id: str
    started_at: float = Field(description="Unix time.")
    duration_s: float
    items: int = Field(description="Items of the conversation.")
    turns: int
    responses: int
    interruptions: int
    tool_calls: int
    switches: int
    errors: int
    latency: dict[str, StageView]
    cost: float | None = Field(description="US dollars so far; null if a price is not known.")


class CallList(BaseModel):
    """Live calls, the latest last."""

    object: Literal["list"] = "list"
    data: list[CallView]


class LegView(BaseModel):
    """What one provider used of one model, in counts to add up, and what that cost in US dollars."""

    model_config = ConfigDict(extra="allow")

    provider: str
    model: str
    responses: int
    cost: float | None
    input_cost: float | None
    output_cost: float | None


class CostView(BaseModel):
    """What a call has used and cost so far."""

    model_config = ConfigDict(extra="allow")

    object: Literal["call.cost"] = "call.cost"
    call_id: str
    currency: Literal["USD"] = "USD"
    cost: float | None = Field(description="Null if a price is not known.")
    legs: list[LegView]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inject(_Body):
    """A note for the conversation, and when it is to go in."""

    text: _Text
    role: Literal["system", "user", "assistant"] = "system"
    when: InjectionPoint = "now"
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    ttl: _Seconds | None = Field(None, description="Seconds that it is worth waiting for.")
    key: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="A later note of the same key replaces one that waits."
    )
    speak: bool = Field(False, description="Let the assistant respond to it.")
    silence_s: _Seconds = Field(5.0, description="Seconds of silence, for 'on_silence'.")


class InjectionView(BaseModel):
    """What became of a note within two seconds; the event `context_injected` tells the rest."""

    id: str
    object: Literal["call.injection"] = "call.injection"
    status: InjectionStatus
    degraded_to: str | None
    reason: str
    item_id: str | None


class Switch(_Body):
    """Another provider for the call."""

    to: Annotated[
        str,
        Field(
            min_length=1, max_length=100, description="A route, a provider, or 'provider/model'."
        ),
    ]
    when: When = "now"


class Switched(BaseModel):
    """Who is at work now."""

    id: str
    object: Literal["call.switched"] = "call.switched"
    route: str
    provider: str
    model: str | None
    previous: str


class Say(_Body):
    """Words for the assistant to speak as they are."""

    text: _Text


class HangUp(_Body):
    """The end of a call."""

    reason: Annotated[str, Field(max_length=100, description="Told to the client.")] = ""


class CallAction(BaseModel):
    """It was done."""

    id: str
    object: Literal["call"] = "call"
    status: Literal["ok", "ended"]


class Drained(BaseModel):
    """Whether new calls are refused, and how many go on."""

    object: Literal["gateway"] = "gateway"
    draining: bool
    calls: int


class Transcript(BaseModel):
    """The conversation, as `Conversation.from_dict` takes it."""

    model_config = ConfigDict(extra="allow")

    items: list[dict[str, Any]]
