"""The emulated Gemini: addresses, keys, and what all sessions share."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from voxengine.testing.emulators.gemini.session import GeminiSession
from voxengine.testing.emulators.gemini.text import TextModel
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.server import Streamed
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.gemini import GeminiJudge, gemini_judge

__all__ = ["GeminiEmulator", "GeminiSettings"]

#: Handles that are known; the oldest is forgotten.
MAX_KEPT = 1000

_LIVE = re.compile(
    r"/ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService"
    r"\.BidiGenerateContent(Constrained)?"
)
_VERTEX = re.compile(
    r"/ws/google\.cloud\.aiplatform\.(v1|v1beta1)\.LlmBidiService/BidiGenerateContent"
)
_TEXT = re.compile(r"/(v1|v1beta|v1alpha|v1beta1)/(.*models/[\w.-]+):(streamG|g)enerateContent")

#: The status that Google's APIs give, by that of HTTP.
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_QUOTA = "You exceeded your current quota, please check your plan and billing details."


class GeminiSettings(ModelSettings, frozen=True, kw_only=True):
    """How it behaves. Audio is sent faster than it plays, and an answer ends when it has been played."""

    cancels_tools: bool = True
    plays_out: bool = True
    #: Messages go as binary frames, as the vendor's do.
    binary: bool = True
    #: What it thinks before it answers; "" is nothing.
    thoughts: str = ""
    #: It says by itself when a transcript of the user's is complete.
    finishes: bool = True
    #: Handles of earlier sessions are not known any more.
    forgets: bool = False
    #: Seconds until it announces the end of the connection, None never does; and from then to the end.
    go_away_after_s: float | None = None
    time_left_s: float = 50.0
    #: Cached tokens that it reports of each answer.
    cached_tokens: int = 0


class GeminiEmulator(VendorEmulator):
    """Gemini on a port of this machine. See `VendorEmulator`.

    A model is known by a name that begins with "gemini". What a user's text marks as a note, it takes for one.
    """

    path: ClassVar[str] = (
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )
    settings_type: ClassVar[type[ModelSettings]] = GeminiSettings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        #: What sessions knew that can be taken up again, by handle.
        self.kept: dict[str, list[tuple[str, str]]] = {}
        #: Requests of the text models, the latest last, and what answers them.
        self.requests: list[dict[str, Any]] = []
        self._text = TextModel(self)

    def keep(self, handle: str, memory: list[tuple[str, str]]) -> None:
        """A session can be taken up again by this handle."""
        self.kept[handle] = memory
        if len(self.kept) > MAX_KEPT:
            del self.kept[next(iter(self.kept))]

    @property
    def metadata(self) -> dict[str, Any]:
        """Settings with which a provider finds it."""
        return {"endpoint": self.ws_url}

    @property
    def open_texts(self) -> int:
        """Answers of the text models that are being sent."""
        return self._text.open

    @property
    def base_url(self) -> str:
        """The address for the official client, and for the brain."""
        return self.http_url

    def make_judge(self) -> GeminiJudge:
        """By the vendor's own types."""
        return gemini_judge()

    def make_session(self, request: Request, session_id: str) -> GeminiSession:
        """A session of the Live API."""
        return GeminiSession(self, request, session_id)

    def opens(self, request: Request) -> bool:
        """Whether a Live API is at that address."""
        return bool(_LIVE.fullmatch(request.path) or _VERTEX.fullmatch(request.path))

    def may_fail(self, request: Request) -> bool:
        """A text model may refuse, too."""
        return self.opens(request) or _TEXT.fullmatch(request.path) is not None

    def key_of(self, request: Request) -> str | None:
        """A key or a token, in any of the places that it may be in."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        header = request.headers.get("x-goog-api-key")
        return header or token or request.query.get("key") or request.query.get("access_token")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """Google's form of an error."""
        words = {"quota": _QUOTA, "auth": "API key not valid. Please pass a valid API key."}
        error = {
            "code": status,
            "message": words.get(code, message),
            "status": _STATUS.get(status, "UNKNOWN"),
        }
        return json_answer(status, {"error": error})

    def http(self, request: Request) -> Answer | Streamed | None:
        """The text models."""
        found = _TEXT.fullmatch(request.path)
        if found is None or request.method != "POST":
            return None
        return self._text.answer(request, found[2], streamed=found[3] == "streamG")
