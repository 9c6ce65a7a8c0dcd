"""Twilio calling in: what a telephone call looks like to a server of Media Streams.

target = await ask_voice("http://127.0.0.1:8080/twilio/voice?route=support", auth_token="...")
async with TwilioCall(target.url, parameters=target.parameters) as call:
    await call.say(audio)          # G.711 u-law, 8 kHz
    call.press("5")
    print(call.heard_ms, call.clears)
"""

from __future__ import annotations

from voxengine.testing.emulators.twilio.call import Clear, TwilioCall
from voxengine.testing.emulators.twilio.voice import Rejected, StreamTarget, ask_voice

__all__ = ["Clear", "Rejected", "StreamTarget", "TwilioCall", "ask_voice"]
