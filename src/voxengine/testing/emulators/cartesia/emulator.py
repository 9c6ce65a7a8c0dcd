"""The emulated Cartesia: who may connect, and how it behaves."""

from __future__ import annotations

from voxengine.testing.emulators.cartesia.session import CartesiaSession
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.cartesia import CartesiaJudge, cartesia_judge

__all__ = ["CartesiaEmulator", "CartesiaSettings"]

_CODES = {"rate_limit": "concurrency_limited", "quota": "quota_exceeded"}


class CartesiaSettings(ModelSettings, frozen=True, kw_only=True):
    """How the service behaves."""

    #: Seconds after its last speech at which a context ends that has nothing to say.
    idle_s: float = 1.0
    #: Contexts that may be open at once; None is any number.
    concurrency: int | None = None
    #: The places of words are counted from the last flush, not from the beginning of the context.
    from_flush: bool = False
    #: Seconds by which they come later than the speech.
    words_late_s: float = 0.0


class CartesiaEmulator(VendorEmulator):
    """Cartesia's WebSocket for text to speech, on a port of this machine.

    It speaks with the voice of the emulators (`speech`); of `VendorEmulator`'s arguments `responses` have no meaning
    here. A response, as faults count them, is a context.
    """

    path = "/tts/websocket"
    settings_type = CartesiaSettings

    def make_judge(self) -> CartesiaJudge:
        """By the vendor's own types."""
        return cartesia_judge()

    def make_session(self, request: Request, session_id: str) -> CartesiaSession:
        """A connection."""
        return CartesiaSession(self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """The key in one of the three places that it may be in."""
        return request.bearer or request.headers.get("x-api-key") or request.query.get("api_key")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """The vendor's form of an error."""
        error = {
            "error_code": _CODES.get(code, code),
            "title": "Refused",
            "message": message,
            "request_id": "request_1",
        }
        return json_answer(status, error)
