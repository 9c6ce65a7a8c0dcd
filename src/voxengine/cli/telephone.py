"""`voxengine emulate twilio`: a call to a server, as Twilio brings one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxengine.cli.console import stdout
from voxengine.cli.exits import ExitCode, InputProblem, keep_secret, redacted
from voxengine.cli.talk import load_recording

if TYPE_CHECKING:
    from voxengine.testing.emulators.twilio import TwilioCall

__all__ = ["TOKEN_VARIABLE", "telephone"]

#: Holds Twilio's auth token, where the server asks for signed requests.
TOKEN_VARIABLE = "TWILIO_AUTH_TOKEN"  # noqa: S105  # the name, not the token
#: Seconds in which an answer has to begin, and of silence that end one.
ANSWER_BUDGET = 30.0
QUIET = 1.5
_LOOK = 0.05


async def telephone(
    url: str | None, recordings: Sequence[Path], *, out: Path | None, as_json: bool
) -> ExitCode:
    """Call, say the recordings one after the other, hear an answer to each, and hang up.

    `url` is the server's stream (ws, wss), or its webhook (http, https), which is asked first.

    Raises:
        InputProblem: an argument does not do. ConnectionError: the server is not there, or does not let us in.
    """
    from voxengine.audio.formats import AudioFormat
    from voxengine.audio.g711 import ulaw_to_pcm16
    from voxengine.audio.wav import write_wav
    from voxengine.gateway.twilio.messages import TELEPHONE
    from voxengine.testing.emulators.twilio import Rejected, TwilioCall, ask_voice

    if not url or not url.startswith(("ws://", "wss://", "http://", "https://")):
        raise InputProblem("--url is the server's stream (ws://) or its webhook (http://)")
    audio = [load_recording(path, TELEPHONE) for path in recordings]
    parameters, call_sid = {}, None
    if url.startswith("http"):
        token = os.environ.get(TOKEN_VARIABLE)
        if token:
            keep_secret(token)
        try:
            target = await ask_voice(url, auth_token=token)
        except Rejected as failure:
            _tell(as_json, "rejected", reason=str(failure))
            return ExitCode.FAILED
        url, parameters, call_sid = target.url, target.parameters, target.call_sid
    call = TwilioCall(url, parameters=parameters, call_sid=call_sid)
    async with call:
        _tell(as_json, "connected", call=call.call_sid)
        for path, speech in zip(recordings, audio, strict=True):
            await _turn(call, path, speech, as_json)
    for violation in call.violations:
        _tell(as_json, "violation", message=violation)
    closed = call.closed
    _tell(
        as_json,
        "ended",
        heard_ms=round(call.heard_ms),
        code=closed.code if closed is not None else None,
        reason=closed.reason if closed is not None else "",
    )
    if out is not None and call.heard:
        write_wav(out, ulaw_to_pcm16(call.heard), AudioFormat(sample_rate=TELEPHONE.sample_rate))
    return ExitCode.OK if call.heard and not call.violations else ExitCode.FAILED


async def _turn(call: TwilioCall, path: Path, speech: bytes, as_json: bool) -> None:
    """Say one recording, and hear what follows."""
    cuts = len(call.clears)
    await call.say(speech)
    before = call.heard_ms
    quiet, waited = 0.0, 0.0
    while quiet < QUIET and waited < ANSWER_BUDGET and call.closed is None:
        await asyncio.sleep(_LOOK)
        begun = call.heard_ms > before
        quiet = quiet + _LOOK if begun and not call.left_ms else 0.0
        waited = 0.0 if begun else waited + _LOOK
    heard = round(call.heard_ms - before)
    _tell(as_json, "turn", said=path.name, heard_ms=heard, cut=len(call.clears) - cuts)


def _tell(as_json: bool, kind: str, **fields: Any) -> None:
    if as_json:
        print(redacted(json.dumps({"type": kind, **fields}, ensure_ascii=False)), flush=True)
        return
    words = "  ".join(f"{name}: {value}" for name, value in fields.items() if value is not None)
    stdout().print(redacted(f"{kind}  {words}"), markup=False, soft_wrap=True)
