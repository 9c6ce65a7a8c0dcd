"""The emulator of Azure Speech: who may connect to which of its two services."""

from __future__ import annotations

from typing import Any

from voxengine.testing.emulators.azure_speech.recognition import RecognitionSession
from voxengine.testing.emulators.azure_speech.session import SpeechSession
from voxengine.testing.emulators.azure_speech.synthesis import SynthesisSession
from voxengine.testing.emulators.http import Answer, Request
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.azure_speech import SpeechJudge

__all__ = ["AzureSpeechEmulator", "AzureSpeechSettings"]

RECOGNITION = "/speech/recognition/conversation/cognitiveservices/v1"
SYNTHESIS = "/tts/cognitiveservices/websocket/v2"


class AzureSpeechSettings(ModelSettings, frozen=True, kw_only=True):
    """How the services behave."""

    #: Whether requests to end a phrase are answered; the vendor does not promise it.
    acknowledges: bool = True


class AzureSpeechEmulator(VendorEmulator):
    """Recognition and synthesis of Azure Speech, on a port of this machine, for the native client.

    It hears and speaks with the voice of the emulators (`speech`); of `VendorEmulator`'s arguments `responses` have no
    meaning here.
    """

    path = RECOGNITION
    settings_type = AzureSpeechSettings

    def make_judge(self) -> SpeechJudge:
        """By the documented shape."""
        return SpeechJudge()

    def make_session(self, request: Request, session_id: str) -> SpeechSession:
        """A session of the service that the address names."""
        kind = RecognitionSession if request.path == RECOGNITION else SynthesisSession
        return kind(self, request, session_id)

    def opens(self, request: Request) -> bool:
        """There are two services."""
        return request.path in (RECOGNITION, SYNTHESIS)

    def key_of(self, request: Request) -> str | None:
        """The key has a header of its own."""
        return request.headers.get("ocp-apim-subscription-key") or request.bearer

    def subprotocol(self, request: Request) -> str | None:
        """The client asks for its own."""
        return "USP" if "USP" in request.subprotocols else None

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """The client reads nothing but the status."""
        return Answer(status, message.encode(), {"Content-Type": "text/plain"})

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the parts find it."""
        return {"endpoint": self.ws_url}
